// XXH3-64 (xxHash by Yann Collet, header-only): every checksum and every key hash in Marble.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <span>
#include <string_view>

namespace marble {

/// What is at least this long is summed by ChecksumLong: a call through a pointer is then nothing
/// beside the bytes.
inline constexpr size_t kLongChecksumBytes = 1024;

/// The same value as XXH3_64bits_withSeed, with the widest registers this processor has.
uint64_t ChecksumLong(std::string_view bytes, uint64_t seed);

inline uint64_t Checksum(std::string_view bytes, uint64_t seed = 0) {
  if (bytes.size() >= kLongChecksumBytes) return ChecksumLong(bytes, seed);
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// Checksum of `first` and `rest` one behind the other, which need not lie so in memory.
uint64_t ChecksumOfParts(std::string_view first, std::span<const std::string_view> rest,
                         uint64_t seed);

/// Hash of an encoded key for memtables, point indexes and bloom filters; seeded per database so
/// that hostile keys cannot be made to collide.
inline uint64_t HashKey(std::string_view key, uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace marble

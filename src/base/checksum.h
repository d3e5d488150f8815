// XXH3-64 (xxHash by Yann Collet, header-only): every checksum and every key hash in Marble.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace marble {

inline uint64_t Checksum(std::string_view bytes, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

/// Hash of an encoded key for memtables, point indexes and bloom filters; seeded per database so
/// that hostile keys cannot be made to collide.
inline uint64_t HashKey(std::string_view key, uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace marble

// Split block Bloom filter (Putze, Sanders, Singler 2007; the layout of Parquet's): 32-byte blocks,
// 10 bits a key, about 1 percent false positives.
//
// Section: header of 64 bytes {block count u64, reserved}, then the blocks, eight u32 each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "base/prefetch.h"

namespace marble {

/// The section's bytes for the hashes (HashKey) of all distinct keys.
std::string BuildBloomFilter(const std::vector<uint64_t>& hashes);

/// A view of a section; the bytes must outlive it.
class BloomFilter {
 public:
  static constexpr int64_t kHeaderBytes = 64;
  static constexpr int64_t kBlockBytes = 32;

  BloomFilter() = default;
  /// Looks at the header only.
  static arrow::Result<BloomFilter> Open(std::string_view section);

  bool valid() const { return blocks_ != nullptr; }
  /// Offset in the section of the block that MayContain looks at (to verify its page before).
  int64_t BlockOffset(uint64_t hash) const {
    return kHeaderBytes + static_cast<int64_t>(BlockOf(hash)) * kBlockBytes;
  }
  void Prefetch(uint64_t hash) const {
    PrefetchLine(blocks_ + static_cast<int64_t>(BlockOf(hash)) * kBlockBytes);
  }
  bool MayContain(uint64_t hash) const;

 private:
  uint64_t BlockOf(uint64_t hash) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * block_count_) >> 64);
  }

  const uint8_t* blocks_ = nullptr;
  uint64_t block_count_ = 0;
};

}  // namespace marble

// Split block Bloom filter (Putze, Sanders, Singler 2007; the layout of Parquet's): 32-byte blocks, 10 bits a key,
// about 1 percent false positives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

namespace marble {

/// The section's bytes for the hashes (HashKey) of all distinct keys.
std::string BuildBloomFilter(const std::vector<uint64_t>& hashes);

/// A view of a section; the bytes must outlive it.
class BloomFilter {
 public:
  BloomFilter() = default;
  static arrow::Result<BloomFilter> Open(std::string_view section);
  void Prefetch(uint64_t hash) const;
  bool MayContain(uint64_t hash) const;
  bool valid() const { return blocks_ != nullptr; }

 private:
  const uint32_t* blocks_ = nullptr;
  uint64_t block_count_ = 0;
};

}  // namespace marble

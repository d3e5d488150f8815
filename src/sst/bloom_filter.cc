#include "sst/bloom_filter.h"

#include <algorithm>

#include "base/coding.h"

namespace marble {

namespace {

constexpr int kWords = 8;
constexpr uint64_t kBitsPerKey = 10;
// The odd multipliers of Parquet's split block Bloom filter.
constexpr uint32_t kSalt[kWords] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                    0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};

uint32_t BitOf(uint64_t hash, int word) {
  return uint32_t{1} << ((static_cast<uint32_t>(hash) * kSalt[word]) >> 27);
}

}  // namespace

std::string BuildBloomFilter(const std::vector<uint64_t>& hashes) {
  const uint64_t bits_per_block = BloomFilter::kBlockBytes * 8;
  const uint64_t blocks =
      std::max<uint64_t>(1, (hashes.size() * kBitsPerKey + bits_per_block - 1) / bits_per_block);
  std::string section(BloomFilter::kHeaderBytes + blocks * BloomFilter::kBlockBytes, '\0');
  StoreLittle<uint64_t>(section.data(), blocks);
  char* base = section.data() + BloomFilter::kHeaderBytes;
  for (const uint64_t hash : hashes) {
    const auto at = static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * blocks) >> 64);
    char* block = base + at * BloomFilter::kBlockBytes;
    for (int i = 0; i < kWords; ++i) {
      StoreLittle<uint32_t>(block + 4 * i, LoadLittle<uint32_t>(block + 4 * i) | BitOf(hash, i));
    }
  }
  return section;
}

arrow::Result<BloomFilter> BloomFilter::Open(std::string_view section) {
  if (section.size() < kHeaderBytes) return arrow::Status::Invalid("bloom filter too short");
  BloomFilter filter;
  filter.block_count_ = LoadLittle<uint64_t>(section.data());
  const uint64_t bytes = section.size() - kHeaderBytes;
  if (filter.block_count_ == 0 || bytes % kBlockBytes != 0 ||
      filter.block_count_ != bytes / kBlockBytes) {
    return arrow::Status::Invalid("bloom filter of ", section.size(), " bytes says it has ",
                                  filter.block_count_, " blocks");
  }
  filter.blocks_ = reinterpret_cast<const uint8_t*>(section.data()) + kHeaderBytes;
  return filter;
}

bool BloomFilter::MayContain(uint64_t hash) const {
  const uint8_t* block = blocks_ + BlockOf(hash) * kBlockBytes;
  uint32_t missing = 0;
  for (int i = 0; i < kWords; ++i) missing |= BitOf(hash, i) & ~LoadLittle<uint32_t>(block + 4 * i);
  return missing == 0;
}

}  // namespace marble

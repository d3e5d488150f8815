// The ways in which an SSTable's rows are found, for tests of lookups in all of them.
#pragma once

#include <string>
#include <tuple>

#include "unit/sst/sst_test_util.h"

namespace marble::sst_test {

using Way = std::tuple<PointLookup, Compression, bool>;

inline std::string NameOfWay(const ::testing::TestParamInfo<Way>& info) {
  const char* lookups[] = {"NoIndex", "Bloom", "PointIndex"};
  const char* codecs[] = {"Plain", "Lz4", "Zstd"};
  return std::string(lookups[static_cast<int>(std::get<0>(info.param))]) +
         codecs[static_cast<int>(std::get<1>(info.param))] +
         (std::get<2>(info.param) ? "Mapped" : "Read");
}

inline auto AllWays() {
  return ::testing::Combine(
      ::testing::Values(PointLookup::kNone, PointLookup::kBloomFilter, PointLookup::kPointIndex),
      ::testing::Values(Compression::kNone, Compression::kLz4, Compression::kZstd),
      ::testing::Bool());
}

class LookupTest : public ::testing::TestWithParam<Way> {
 protected:
  TableOptions Table(int64_t block_bytes = 1000) const {
    TableOptions options;
    options.point_lookup = std::get<0>(GetParam());
    options.compression = std::get<1>(GetParam());
    options.block_bytes = block_bytes;
    return options;
  }
  bool mapped() const { return std::get<2>(GetParam()); }
};

}  // namespace marble::sst_test

// The keys and values of a run, and the order in which a workload asks for them: functions of a row
// number, cheap beside any engine's work and the same for every engine.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../support.h"

namespace marble::benchmark {

enum class KeyShape { kFixed16, kMixed };

/// Row numbers from here on are never written: keys for reads that find nothing.
inline constexpr uint64_t kMissingRows = uint64_t{1} << 40;

/// What the value of a row starts with, whatever was written last: names its key.
inline uint64_t HeadOf(uint64_t row) { return Scatter(row + 1); }

/// Keys are ASCII. Fixed: 16 hexadecimal digits. Mixed: 8 to 64 characters, evenly.
class Keys {
 public:
  static constexpr size_t kSizeMax = 80;  // some more than a key, so that it is written in words
  explicit Keys(KeyShape shape) : shape_(shape) {}

  /// The key of a row, in `buffer` of kSizeMax; in no order of the rows.
  std::string_view Random(uint64_t row, char* buffer) const {
    return shape_ == KeyShape::kFixed16 ? Fixed(HeadOf(row), buffer) : Mixed(row, buffer);
  }
  /// Such that keys ascend with the rows.
  std::string_view Ascending(uint64_t row, char* buffer) const;

  double bytes_mean() const { return shape_ == KeyShape::kFixed16 ? 16 : 36; }
  KeyShape shape() const { return shape_; }
  const char* name() const { return shape_ == KeyShape::kFixed16 ? "fixed16" : "mixed"; }

 private:
  static std::string_view Fixed(uint64_t bits, char* buffer);
  static std::string_view Mixed(uint64_t row, char* buffer);
  static size_t MixedSize(uint64_t row) { return 8 + Scatter(~row) % 57; }

  KeyShape shape_;
};

/// Values compress to about half, as those of RocksDB's own benchmark do.
class Values {
 public:
  explicit Values(int64_t bytes);

  /// The value of a row as of its `version`-th write, in `buffer` of bytes(); begins with HeadOf.
  std::string_view Of(uint64_t row, uint64_t version, char* buffer) const {
    const uint64_t head = HeadOf(row);
    std::memcpy(buffer, pool_.data() + ((head + version * 7919) & kPoolMask), bytes_);
    std::memcpy(buffer, &head, sizeof(head));
    return {buffer, bytes_};
  }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr uint64_t kPoolMask = (uint64_t{1} << 19) - 1;
  size_t bytes_;
  std::string pool_;
};

/// A number below `rows`, evenly drawn by its own number `i`.
inline uint64_t UniformRow(uint64_t rows, uint64_t i, uint64_t seed) {
  const auto product = static_cast<unsigned __int128>(Scatter(i + (seed << 40))) * rows;
  return static_cast<uint64_t>(product >> 64);
}
/// `count` row numbers below `rows`, evenly drawn. `seed` makes another order.
std::vector<uint32_t> UniformRows(uint64_t rows, uint64_t count, uint64_t seed);

/// As YCSB draws them: the k-th most wanted row is asked for with a frequency of 1 / k^0.99, and
/// the wanted ones lie scattered.
std::vector<uint32_t> ZipfRows(uint64_t rows, uint64_t count, uint64_t seed);
/// The ranks (0 is wanted most) behind ZipfRows.
std::vector<uint32_t> ZipfRanks(uint64_t rows, uint64_t count, uint64_t seed);

}  // namespace marble::benchmark

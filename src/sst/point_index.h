// Point index: for each key of a file the number of its first row, in an open-addressing table of 64-byte
// lines that is used in place from the file (one cache miss for "not here").
//
// Section: header of 64 bytes {line count u64, row count u64, row bits u32, reserved}, then lines.
//   line, 64 bytes: 12 tag bytes | u8 entries used | u8 overflowed | u16 0 | 12 x u32 (extra tag bits above
//   `row bits`, row number below).
// A key's hash chooses its line (high bits, multiply-shift), 8 tag bits and the extra tag bits. A full line sets
// `overflowed` and the key goes to the next line (wrapping). Lines are about 10/12 full. With row bits <= 20 the
// chance of a false candidate is under 12 / 2^20. Files of 2^32 rows or more get a bloom filter instead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

namespace marble {

class PointIndexBuilder {
 public:
  /// Hashes (HashKey) of distinct keys and their first rows, any order.
  void Add(uint64_t hash, uint32_t row) { entries_.push_back({hash, row}); }
  /// The section's bytes.
  std::string Finish(uint64_t rows) const;
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }

 private:
  struct Entry {
    uint64_t hash;
    uint32_t row;
  };
  std::vector<Entry> entries_;
};

/// A view of a section; the bytes must outlive it.
class PointIndex {
 public:
  PointIndex() = default;
  /// Invalid if the bytes are no point index of `rows` rows.
  static arrow::Result<PointIndex> Open(std::string_view section, uint64_t rows);

  void Prefetch(uint64_t hash) const;
  /// Offset in the section of the line of `hash` (to verify its page before Find).
  int64_t LineOffset(uint64_t hash) const;
  /// Rows that may hold the key, at most `max` (always in range). Returns how many. `*lines` receives how many
  /// lines from LineOffset were looked at (wrapping at the end of the table).
  int Find(uint64_t hash, uint32_t* rows, int max) const;
  bool valid() const { return lines_ != nullptr; }

 private:
  const uint8_t* lines_ = nullptr;
  uint64_t line_count_ = 0;
  uint64_t row_count_ = 0;
  uint32_t row_bits_ = 0;
};

}  // namespace marble

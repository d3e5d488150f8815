// Point index: for each key of a file the number of its first row, in an open-addressing table of
// 64-byte lines that is used in place from the file (one cache miss for "not here").
//
// Section: header of 64 bytes {line count u64, row count u64, row bits u32, reserved}, then lines.
//   line, 64 bytes: 12 tag bytes | u8 entries used | u8 overflowed | u16 0 | 12 x u32 (extra tag
//   bits above `row bits`, row number below).
// A key's hash chooses its line (high bits, multiply-shift), 8 tag bits and the extra tag bits. A
// full line sets `overflowed` and the key goes to the next line (wrapping). Lines are about 10/12
// full. With row bits <= 20 the chance of a false candidate is under 12 / 2^20 a line. Files of
// 2^32 rows or more get a bloom filter instead.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "base/coding.h"
#include "base/prefetch.h"

namespace marble {

/// Collects the hashes of a file's distinct keys while it is written. Not thread-safe.
class PointIndexBuilder {
 public:
  /// Hash (HashKey) of the next distinct key and its first row; rows ascend.
  void Add(uint64_t hash, uint32_t row);
  /// The section's bytes. `rows` < 2^32.
  std::string Finish(uint64_t rows) const;
  /// Hashes in the order of Add, for a bloom filter over the same keys.
  const std::vector<uint64_t>& hashes() const { return hashes_; }

 private:
  uint32_t RowAt(size_t entry) const {
    return rows_.empty() ? static_cast<uint32_t>(entry) : rows_[entry];
  }

  std::vector<uint64_t> hashes_;
  // Empty while every key has one row: then the row is the entry's number.
  std::vector<uint32_t> rows_;
};

/// A view of a section; the bytes must outlive it. A lookup walks lines from HomeLine on:
///   for (line = HomeLine(hash), n = 0; n < line_count(); line = NextLine(line), ++n) {
///     for each bit i of Match(line, hash): candidate Row(line, i), to be checked against
///     row_count(); if (!Overflowed(line)) break;
///   }
/// The steps are apart so that a reader can check a line's page before it looks at the line.
class PointIndex {
 public:
  static constexpr int64_t kHeaderBytes = 64;
  static constexpr int64_t kLineBytes = 64;
  static constexpr int kLineEntries = 12;

  PointIndex() = default;
  /// Invalid if the header is not that of a point index of `rows` rows in `section.size()` bytes.
  /// Looks at the header only.
  static arrow::Result<PointIndex> Open(std::string_view section, uint64_t rows);

  bool valid() const { return lines_ != nullptr; }
  uint64_t line_count() const { return line_count_; }
  uint64_t row_count() const { return row_count_; }

  uint64_t HomeLine(uint64_t hash) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * line_count_) >> 64);
  }
  uint64_t NextLine(uint64_t line) const { return line + 1 == line_count_ ? 0 : line + 1; }
  /// Offset in the section of a line.
  static int64_t LineOffset(uint64_t line) {
    return kHeaderBytes + static_cast<int64_t>(line) * kLineBytes;
  }
  void Prefetch(uint64_t hash) const { PrefetchLine(Line(HomeLine(hash))); }
  std::string_view HomeLineBytes(uint64_t hash) const {
    return {reinterpret_cast<const char*>(Line(HomeLine(hash))), kLineBytes};
  }

  /// Bit i is set if entry i of the line may be the key's.
  uint32_t Match(uint64_t line, uint64_t hash) const;
  /// Row of an entry; may be beyond row_count() in damaged bytes.
  uint32_t Row(uint64_t line, int entry) const {
    return LoadLittle<uint32_t>(Line(line) + 16 + 4 * entry) & row_mask_;
  }
  bool Overflowed(uint64_t line) const { return Line(line)[13] != 0; }

  static uint8_t TagOf(uint64_t hash) { return static_cast<uint8_t>(hash); }
  /// The tag bits that fit above the row number in an entry's word.
  static uint32_t ExtraTag(uint64_t hash, uint32_t row_bits) {
    return row_bits == 32 ? 0 : static_cast<uint32_t>(hash >> 8) << row_bits;
  }

 private:
  const uint8_t* Line(uint64_t line) const { return lines_ + line * kLineBytes; }

  const uint8_t* lines_ = nullptr;
  uint64_t line_count_ = 0;
  uint64_t row_count_ = 0;
  uint32_t row_bits_ = 0;
  uint32_t row_mask_ = 0;
};

inline uint32_t PointIndex::Match(uint64_t line, uint64_t hash) const {
  const uint8_t* bytes = Line(line);
  const uint32_t used = bytes[12];
  uint32_t tags = 0;
#if defined(__SSE2__)
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(TagOf(hash)));
  tags = static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(all, wanted)));
#else
  for (int i = 0; i < kLineEntries; ++i) tags |= uint32_t{bytes[i] == TagOf(hash)} << i;
#endif
  tags &= (1u << (used & 31)) - 1;
  tags &= (1u << kLineEntries) - 1;  // damaged bytes may say that more are used
  const uint32_t extra = ExtraTag(hash, row_bits_);
  uint32_t matches = 0;
  for (; tags != 0; tags &= tags - 1) {
    const int entry = std::countr_zero(tags);
    const auto word = LoadLittle<uint32_t>(bytes + 16 + 4 * entry);
    if ((word & ~row_mask_) == extra) matches |= 1u << entry;
  }
  return matches;
}

}  // namespace marble

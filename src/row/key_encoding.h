// Keys as byte strings whose memcmp order is the key order.
//
// Encoding of a column, in key order, each self-delimiting so that a prefix of the columns is a
// prefix of the bytes:
//   unsigned integers      big-endian
//   signed integers, dates, times, timestamps, durations: big-endian with the sign bit flipped
//   float16/32/64          IEEE bits, big-endian; negative: all bits flipped, else sign bit
//   flipped;
//                          -0.0 is encoded as 0.0 and every NaN as one NaN that sorts last
//   bool                   one byte, 0 or 1
//   decimal32..256         big-endian two's complement with the sign bit flipped
//   fixed_size_binary      its bytes
//   utf8, binary, large_*  as the last key column: its bytes as they are; otherwise every 0x00
//   becomes
//                          0x00 0xFF and 0x00 0x01 ends it (as in FoundationDB's tuple layer, with
//                          a two-byte terminator)
// A table keyed by one string or binary column therefore has the column's own bytes as keys.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/scan.h>

#include "base/coding.h"
#include "row/key_column.h"

namespace marble {

/// Bytes [skip, skip + 8) of `key` as a big-endian number, zeros behind the key's end: it orders
/// keys that agree in their first `skip` bytes, except where numbers are equal.
inline uint64_t KeyPrefix(std::string_view key, size_t skip) {
  if (key.size() >= skip + 8) [[likely]] {
    return LoadBig64(key.data() + skip);
  }
  uint64_t prefix = 0;
  if (key.size() > skip) std::memcpy(&prefix, key.data() + skip, key.size() - skip);
  return __builtin_bswap64(prefix);
}

/// Are the keys equal? Without a call: most keys are short, and a lookup compares but one.
inline bool IsSameKey(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const char* left = a.data();
  const char* right = b.data();
  const size_t size = a.size();
  if (size < 8) return size == 0 || std::memcmp(left, right, size) == 0;
  // The last eight bytes may have been compared before in part.
  for (size_t i = 0; i + 8 < size; i += 8) {
    if (LoadLittle<uint64_t>(left + i) != LoadLittle<uint64_t>(right + i)) return false;
  }
  return LoadLittle<uint64_t>(left + size - 8) == LoadLittle<uint64_t>(right + size - 8);
}

/// Encoded keys of consecutive rows. A view with a shared owner: cheap to copy and slice.
class EncodedKeys {
 public:
  EncodedKeys() = default;
  /// `size` keys of `width` bytes each.
  static EncodedKeys Fixed(const uint8_t* data, int32_t width, int64_t size,
                           std::shared_ptr<const void> owner);
  /// Offsets have size + 1 entries (Arrow's layout).
  static EncodedKeys Offsets32(const uint8_t* data, const int32_t* offsets, int64_t size,
                               std::shared_ptr<const void> owner);
  static EncodedKeys Offsets64(const uint8_t* data, const int64_t* offsets, int64_t size,
                               std::shared_ptr<const void> owner);

  int64_t size() const { return size_; }
  /// Bytes of every key if all have the same width by their type, else 0.
  int32_t fixed_width() const {
    return offsets32_ == nullptr && offsets64_ == nullptr ? width_ : 0;
  }
  std::string_view operator[](int64_t i) const {
    if (offsets32_ != nullptr) return View(offsets32_[i], offsets32_[i + 1]);
    if (offsets64_ != nullptr) return View(offsets64_[i], offsets64_[i + 1]);
    return View(i * width_, (i + 1) * width_);
  }
  EncodedKeys Slice(int64_t offset, int64_t length) const;

  /// First index in [begin, end) whose key is >= `key`; `end` if none. Keys must be ascending.
  int64_t LowerBound(std::string_view key, int64_t begin, int64_t end) const;
  /// First index in [begin, end) whose key is > `key`.
  int64_t UpperBound(std::string_view key, int64_t begin, int64_t end) const;
  /// Like LowerBound, galloping from `begin`: O(log distance).
  int64_t GallopLowerBound(std::string_view key, int64_t begin, int64_t end) const;
  /// Mirror of it for reverse reads: the last index in [begin, end) whose key is <= `key`,
  /// galloping down from `end - 1`; `begin - 1` if none.
  int64_t GallopUpperBoundReverse(std::string_view key, int64_t begin, int64_t end) const;

 private:
  std::string_view View(int64_t from, int64_t to) const {
    return {reinterpret_cast<const char*>(data_) + from, static_cast<size_t>(to - from)};
  }
  /// Calls `visit` with a predicate "row i's key stands before the bound": key < bound, or key <=
  /// bound if kInclusive.
  template <bool kInclusive, typename Visit>
  int64_t WithPredicate(std::string_view bound, Visit visit) const;
  const uint8_t* data_ = nullptr;
  const int32_t* offsets32_ = nullptr;
  const int64_t* offsets64_ = nullptr;
  int32_t width_ = 0;
  int64_t size_ = 0;
  std::shared_ptr<const void> owner_;
};

/// Keys of `size` rows of an append table: the row ids first_id, first_id + 1, ... as 8 bytes
/// big-endian. OutOfMemory if there are too many.
arrow::Result<EncodedKeys> EncodeRowIds(uint64_t first_id, int64_t size,
                                        arrow::MemoryPool* pool = arrow::default_memory_pool());
std::string EncodeRowId(uint64_t id);
uint64_t DecodeRowId(std::string_view key);

/// Encodes the key columns of one table. Immutable, thread-safe.
class KeyCodec {
 public:
  /// `columns` are indices into `schema` in key order. Refuses (naming the column): types that
  /// cannot be keys (nested, dictionary, view, run-end-encoded, half-open intervals ...), nullable
  /// fields are accepted, null values are refused by Encode.
  static arrow::Result<std::shared_ptr<const KeyCodec>> Make(std::shared_ptr<arrow::Schema> schema,
                                                             std::vector<int> columns);

  const std::vector<int>& columns() const { return columns_; }
  /// One utf8/binary/large_* column: the keys are the column's bytes, not copied.
  bool is_single_binary() const { return is_single_binary_; }

  /// Keys of all rows of a batch of the codec's schema (or of any batch holding the key arrays at
  /// columns()). Errors: a null key value (names column and row), a key over kKeyBytesMax.
  arrow::Result<EncodedKeys> Encode(const arrow::RecordBatch& batch,
                                    arrow::MemoryPool* pool = arrow::default_memory_pool()) const;
  /// Same from the key arrays alone, in key order.
  arrow::Result<EncodedKeys> EncodeArrays(
      const arrow::ArrayVector& arrays,
      arrow::MemoryPool* pool = arrow::default_memory_pool()) const;
  /// Bytes of every key if all columns have a fixed width, else 0.
  int fixed_width() const { return fixed_width_; }
  /// The key of one row, without nulls, of a batch of the codec's schema. Of keys of fixed width.
  void EncodeFixedRow(const arrow::RecordBatch& batch, int64_t row, std::string* key) const;
  /// A bound: a prefix of the key columns. Scalars are cast to the column types where that is
  /// exact; else an Invalid that names the column. Empty gives "".
  arrow::Result<std::string> EncodeBound(const KeyBound& bound) const;
  /// The key arrays of encoded keys, in key order (inverse of EncodeArrays).
  arrow::Result<arrow::ArrayVector> Decode(const std::vector<std::string_view>& keys) const;
  /// For error messages: (col=value, ...) of an encoded key.
  std::string ToString(std::string_view key) const;

 private:
  KeyCodec() = default;
  arrow::Status CheckNoNulls(const arrow::ArrayVector& arrays) const;
  arrow::Status TooLong(int64_t bytes, int64_t row) const;
  arrow::Result<EncodedKeys> ViewSingleBinary(const arrow::Array& array) const;
  arrow::Result<EncodedKeys> EncodeFixed(const arrow::ArrayVector& arrays,
                                         arrow::MemoryPool* pool) const;
  arrow::Result<EncodedKeys> EncodeVariable(const arrow::ArrayVector& arrays,
                                            arrow::MemoryPool* pool) const;
  const arrow::Field& field(size_t column) const { return *schema_->field(columns_[column]); }

  std::shared_ptr<arrow::Schema> schema_;
  std::vector<int> columns_;
  std::vector<KeyColumn> rules_;  // in step with columns_
  bool is_single_binary_ = false;
  int fixed_width_ = 0;  // bytes of a key if all columns have fixed width, else 0
};

/// The smallest key behind `key`.
inline std::string Successor(std::string_view key) {
  std::string next;
  next.reserve(key.size() + 1);
  next.append(key);
  next.push_back('\0');
  return next;
}

/// A range of encoded keys: [lower, upper), `upper` nullopt = unbounded. The empty lower is
/// unbounded.
struct EncodedRange {
  std::string lower;
  std::optional<std::string> upper;

  bool Contains(std::string_view key) const {
    return key >= lower && (!upper.has_value() || key < *upper);
  }
  bool IsAll() const { return lower.empty() && !upper.has_value(); }
  bool IsEmpty() const { return upper.has_value() && lower >= *upper; }
};

/// Are there keys of `a` behind all of `b`?
inline bool EndsBehind(const EncodedRange& a, const EncodedRange& b) {
  return b.upper.has_value() && (!a.upper.has_value() || *a.upper > *b.upper);
}

/// The keys that are in both ranges.
inline EncodedRange Intersection(const EncodedRange& a, const EncodedRange& b) {
  return {.lower = std::max(a.lower, b.lower), .upper = EndsBehind(a, b) ? b.upper : a.upper};
}

}  // namespace marble

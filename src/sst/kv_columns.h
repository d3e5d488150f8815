// The rows of one key-value block as plain pointers: what ordered reads walk, one row costing a few
// loads and no Arrow objects. A value; who holds it keeps the block's memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

#include <arrow/buffer.h>

#include "base/coding.h"
#include "base/prefetch.h"
#include "row/key_encoding.h"
#include "row/row_kind.h"

namespace marble {

/// A column of strings. Checks offsets at every look: a page may have been read again since its
/// checksum was verified.
struct KvStrings {
  const uint8_t* offsets = nullptr;
  const char* data = nullptr;
  uint64_t bytes = 0;  // of data
  uint32_t width = 0;  // of every string, or 0: then the offsets tell
  bool large = false;  // offsets of 64 bits

  /// False if the row's offsets leave the column: damage.
  bool At(int64_t row, std::string_view* out) const {
    if (width != 0) {
      *out = {data + row * width, width};
      return true;
    }
    uint64_t begin;
    uint64_t end;
    if (large) {
      begin = LoadLittle<uint64_t>(offsets + row * 8);
      end = LoadLittle<uint64_t>(offsets + row * 8 + 8);
    } else {
      begin = LoadLittle<uint32_t>(offsets + row * 4);
      end = LoadLittle<uint32_t>(offsets + row * 4 + 4);
    }
    if (begin > end || end > bytes) [[unlikely]] {
      return false;
    }
    *out = {data + begin, end - begin};
    return true;
  }

  /// Fetches what At(row) looks at first.
  void Prefetch(int64_t row) const {
    if (width != 0) {
      PrefetchLine(data + row * width);
    } else {
      PrefetchLine(offsets + row * (large ? 8 : 4));
    }
  }
};

struct KvColumns {
  KvStrings keys;
  KvStrings values;
  const uint8_t* value_validity = nullptr;  // nullptr: no value is null
  const uint8_t* sequences = nullptr;       // nullptr: all have `sequence`
  const uint8_t* kinds = nullptr;           // nullptr: all are puts
  uint64_t sequence = 0;
  uint64_t sequence_max = 0;  // of `sequences`
  int64_t rows = 0;
  bool unique_keys = true;

  bool KeyAt(int64_t row, std::string_view* key) const { return keys.At(row, key); }
  /// A null value is a view with a null pointer.
  bool ValueAt(int64_t row, std::string_view* value) const {
    if (value_validity != nullptr && ((value_validity[row >> 3] >> (row & 7)) & 1) == 0) {
      *value = {};
      return true;
    }
    return values.At(row, value);
  }
  uint64_t SequenceAt(int64_t row) const {
    return sequences == nullptr ? sequence : LoadLittle<uint64_t>(sequences + row * 8);
  }
  RowKind KindAt(int64_t row) const {
    return kinds == nullptr ? RowKind::kPut : static_cast<RowKind>(kinds[row]);
  }
  /// Every row is the only one of its key, a put, and seen at `snapshot`.
  bool IsPlain(uint64_t snapshot) const {
    return unique_keys && kinds == nullptr &&
           (sequences == nullptr ? sequence : sequence_max) <= snapshot;
  }

  /// Fetches what leads to the row's version and value; to the value alone if it `IsPlain`.
  void PrefetchRow(int64_t row, bool plain) const {
    values.Prefetch(row);
    if (plain) return;
    if (sequences != nullptr) PrefetchLine(sequences + row * 8);
    if (kinds != nullptr) PrefetchLine(kinds + row);
  }
};

/// A block's rows and the memory they point into.
struct KvBlock {
  KvColumns rows;
  std::shared_ptr<arrow::Buffer> bytes;
};

/// Looks for the first row whose key is >= `key`, in steps, so that many searches can wait for
/// their memory together: each step looks at what Prefetch fetched. `keys` and `key` must outlive
/// it.
class KvSearch {
 public:
  KvSearch(const KvStrings* keys, int64_t rows, std::string_view key)
      : keys_(keys), key_(key), prefix_(KeyPrefix(key, 0)), end_(rows) {}

  bool done() const { return begin_ == end_; }
  /// The row found, once it is done.
  int64_t row() const { return begin_; }

  /// Fetches what the next step looks at first.
  void Prefetch() const {
    if (done()) return;
    if (end_ - begin_ <= kProbes) {
      keys_->Prefetch(begin_);
      keys_->Prefetch(end_ - 1);
      return;
    }
    const int64_t step = (end_ - begin_) / kProbes;
    for (int64_t row = begin_ + step; row < end_; row += step) keys_->Prefetch(row);
  }

  /// Needs a search that is not done. False if a key on the way is damaged.
  bool Step() {
    const bool is_last = end_ - begin_ <= kProbes;
    const int64_t step = is_last ? 1 : (end_ - begin_) / kProbes;
    const int64_t first = is_last ? begin_ : begin_ + step;
    int64_t less = 0;
    if (!CountLessByPrefix(first, step, &less) && !CountLess(first, step, &less)) return false;
    const int64_t behind = first + less * step;  // the first probe that is not less
    if (less > 0) begin_ = behind - step + 1;
    end_ = is_last ? begin_ : std::min(behind, end_);
    return true;
  }

 private:
  static constexpr int64_t kProbes = 8;

  // All probes are looked at, which costs less than to guess wrong where to stop.

  /// Counts those of the probes `first`, `first` + `step`, ... that are less than the key. False if
  /// one is damaged.
  bool CountLess(int64_t first, int64_t step, int64_t* less) const {
    *less = 0;
    for (int64_t row = first; row < end_; row += step) {
      std::string_view probe;
      if (!keys_->At(row, &probe)) return false;
      *less += IsLess(probe) ? 1 : 0;
    }
    return true;
  }
  /// The same where keys are of one width and eight bytes of each tell; false if they do not.
  bool CountLessByPrefix(int64_t first, int64_t step, int64_t* less) const {
    if (keys_->width < sizeof(prefix_)) return false;
    const int64_t width = keys_->width;
    const char* const data = keys_->data;
    const uint64_t sought = prefix_;
    bool tied = false;
    for (int64_t row = first; row < end_; row += step) {
      const uint64_t prefix = LoadBig64(data + row * width);
      *less += prefix < sought ? 1 : 0;
      tied |= prefix == sought;
    }
    return !tied;
  }

  bool IsLess(std::string_view probe) const {
    const uint64_t prefix = KeyPrefix(probe, 0);
    if (prefix != prefix_) [[likely]] {
      return prefix < prefix_;
    }
    return probe < key_;
  }

  const KvStrings* keys_;
  std::string_view key_;
  uint64_t prefix_;
  int64_t begin_ = 0;
  int64_t end_;  // the answer is in [begin, end]
};

}  // namespace marble

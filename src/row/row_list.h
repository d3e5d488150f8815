// Rows of several sources in the order in which they are to come.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include "base/check.h"

namespace marble {

/// Consecutive rows of one source, taken in ascending order, or from the last to the first if
/// `descending`.
struct RowSlice {
  int32_t source = 0;
  bool descending = false;
  int64_t start = 0;
  int64_t length = 0;
};

/// A merge of overlapping sources notes a stretch for nearly every row, so each takes one word of 8
/// bytes, and two if it has several rows: the row (its low 40 bits), the source, and two flags;
/// then the length. Owned and used by one thread at a time. Where memory fails the list goes on
/// counting, and its end tells.
class RowList {
 public:
  static constexpr int kRowBits = 40;
  /// Rows of a source, and sources, that can be told apart.
  static constexpr int64_t kRowsMax = int64_t{1} << kRowBits;
  static constexpr int32_t kSourcesMax = int32_t{1} << 22;

  /// Its first memory has room for about `words_expected` words.
  explicit RowList(arrow::MemoryPool* pool, int64_t words_expected = 0)
      : pool_(pool), words_first_(std::max(words_expected, kWordsMin)) {}

  int64_t words() const { return size_; }

  /// Rows [start, start + length), from the last to the first if `descending`; `length` is not 0.
  /// What continues the stretch before becomes part of it.
  void Add(int32_t source, int64_t start, int64_t length, bool descending) {
    MARBLE_DCHECK(length > 0 && source < kSourcesMax && start + length <= kRowsMax);
    rows_ += length;
    if (last_.length > 0 && last_.source == source && last_.descending == descending) {
      if (!descending && last_.start + last_.length == start) {
        last_.length += length;
        return;
      }
      if (descending && start + length == last_.start) {
        last_.start = start;
        last_.length += length;
        return;
      }
    }
    EndStretch();
    last_ = {source, descending, start, length};
    ++stretches_;
  }

  int64_t rows() const { return rows_; }
  int64_t stretches() const { return stretches_; }
  /// The stretch that the last row is part of.
  const RowSlice& last() const { return last_; }

  /// The list's words. If there are as many stretches as rows, each is (source << kRowBits) | row.
  /// OutOfMemory, also of what failed before.
  arrow::Result<std::shared_ptr<arrow::Buffer>> TakeWords() && {
    EndStretch();
    ARROW_RETURN_NOT_OK(status_);
    if (buffer_ == nullptr) return std::make_shared<arrow::Buffer>(nullptr, 0);
    ARROW_RETURN_NOT_OK(buffer_->Resize(size_ * kWordBytes, /*shrink_to_fit=*/false));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer_));
  }
  /// Calls visit(slice) for each stretch in `words`.
  template <typename Visit>
  static void ForEach(std::span<const uint64_t> words, Visit visit) {
    for (size_t i = 0; i < words.size(); ++i) {
      const uint64_t word = words[i];
      RowSlice slice{static_cast<int32_t>((word >> kRowBits) & (kSourcesMax - 1)),
                     (word & kDescending) != 0, static_cast<int64_t>(word & (kRowsMax - 1)), 1};
      if ((word & kHasLength) != 0) slice.length = static_cast<int64_t>(words[++i]);
      visit(slice);
    }
  }

 private:
  static constexpr uint64_t kHasLength = uint64_t{1} << 62;
  static constexpr uint64_t kDescending = uint64_t{1} << 63;

  static constexpr int64_t kWordBytes = sizeof(uint64_t);
  static constexpr int64_t kWordsMin = 64;  // allocated

  void EndStretch() {
    if (last_.length == 0 || !status_.ok()) return;
    if (size_ + 2 > capacity_) [[unlikely]] {
      status_ = Grow();
      if (!status_.ok()) return;
    }
    const uint64_t word =
        (static_cast<uint64_t>(last_.source) << kRowBits) | static_cast<uint64_t>(last_.start);
    uint64_t* const words = reinterpret_cast<uint64_t*>(buffer_->mutable_data());
    if (last_.length == 1) {
      words[size_++] = word;
    } else {
      words[size_++] = word | kHasLength | (last_.descending ? kDescending : 0);
      words[size_++] = static_cast<uint64_t>(last_.length);
    }
    last_.length = 0;
  }

  /// To a power of two: allocators have a place of its own for each size.
  arrow::Status Grow() {
    const auto least = static_cast<uint64_t>(std::max(capacity_ + 2, words_first_));
    const auto words = static_cast<int64_t>(std::bit_ceil(least));
    if (buffer_ == nullptr) {
      ARROW_ASSIGN_OR_RAISE(buffer_, arrow::AllocateResizableBuffer(words * kWordBytes, pool_));
    } else {
      ARROW_RETURN_NOT_OK(buffer_->Reserve(words * kWordBytes));
    }
    capacity_ = words;
    return arrow::Status::OK();
  }

  arrow::MemoryPool* pool_;
  int64_t words_first_;
  std::unique_ptr<arrow::ResizableBuffer> buffer_;  // the words of all stretches but the last
  int64_t capacity_ = 0;                            // of it, words
  int64_t size_ = 0;                                // words in it
  RowSlice last_;                                   // without rows at the beginning
  arrow::Status status_;
  int64_t rows_ = 0;
  int64_t stretches_ = 0;
};

}  // namespace marble

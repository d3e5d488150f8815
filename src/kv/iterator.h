// The ordered cursor of the key-value face, over the same merged reads that scans use.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/key_value.h>

#include "db/core.h"
#include "tree/sorted_reader.h"

namespace marble {

/// Holds the view (memtables and files) and the sequence that it reads, so that neither later
/// writes nor the closing of the database change what it shows. Used by one thread.
///
/// It stands on a row of `batch_`, whose rows are consecutive visible keys; inside the batch it
/// walks both ways. Beyond an edge it pulls the next batch if the reader runs that way, and
/// otherwise makes a reader the other way, from the key at the edge.
class TableIterator final : public Iterator {
 public:
  /// The table of `point` is a key-value table. `core` is kept because its memory pool is used.
  TableIterator(std::shared_ptr<DatabaseCore> core, ReadPoint point, IteratorOptions options);

  bool Valid() const override { return row_ >= 0; }
  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(std::string_view key) override;
  void SeekForPrev(std::string_view key) override;
  void Next() override;
  void Prev() override;
  std::string_view key() const override { return keys_[row_]; }
  std::string_view value() const override { return values_[row_]; }
  const arrow::Status& status() const override { return status_; }

 private:
  /// A binary-like array as pointers: what `key` and `value` read.
  class Strings {
   public:
    Strings() = default;
    explicit Strings(const arrow::Array& array);
    std::string_view operator[](int64_t row) const {
      if (offsets32_ != nullptr) return View(offsets32_[row], offsets32_[row + 1]);
      return View(offsets64_[row], offsets64_[row + 1]);
    }

   private:
    std::string_view View(int64_t from, int64_t to) const {
      return {data_ + from, static_cast<size_t>(to - from)};
    }
    const char* data_ = nullptr;
    const int32_t* offsets32_ = nullptr;
    const int64_t* offsets64_ = nullptr;
  };

  /// Makes a reader over `range` cut to the bounds, and stands on its first row.
  void Start(EncodedRange range, Direction direction, int64_t batch_rows);
  /// Moves to the first row of the reader's next batch.
  void Pull();
  /// Over the edge of the batch, in `direction`.
  void Cross(Direction direction);
  void Step(Direction direction);
  /// Finds the first key >= `key` inside the current batch, if it must be there.
  bool SeekInBatch(std::string_view key);
  void Invalidate(arrow::Status status);

  const std::shared_ptr<DatabaseCore> core_;
  const ReadPoint point_;
  const std::shared_ptr<const Snapshot> snapshot_;
  const EncodedRange bounds_;

  std::unique_ptr<SortedReader> reader_;
  Direction direction_ = Direction::kForward;  // of reader_, and of the rows in batch_
  std::shared_ptr<arrow::RecordBatch> batch_;
  Strings keys_;
  Strings values_;
  int64_t row_ = -1;  // in batch_; -1 = not valid
  int64_t rows_ = 0;
  int64_t batch_rows_ = 0;  // that reader_ was asked for
  int64_t walked_ = 0;      // rows in one direction since the last seek, without batch_'s
  arrow::Status status_;
};

}  // namespace marble

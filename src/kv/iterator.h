// The ordered cursor of the key-value face.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/result.h>

#include <marble/key_value.h>

#include "db/core.h"
#include "tree/kv_cursor.h"

namespace marble {

/// Holds the view (memtables and files) and the sequence that it reads, so that neither later
/// writes nor the closing of the database change what it shows. Used by one thread.
///
/// It stands on a row of a window of consecutive visible rows and walks it both ways. Beyond an
/// edge it takes the cursor's next window if the cursor runs that way, and otherwise starts the
/// cursor the other way, from the key at the edge.
class TableIterator final : public Iterator {
 public:
  /// The table of `point` is a key-value table. `core` is kept because its memory pool is used.
  TableIterator(std::shared_ptr<DatabaseCore> core, ReadPoint point, IteratorOptions options);

  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(std::string_view key) override;
  void SeekForPrev(std::string_view key) override;
  const arrow::Status& status() const override { return status_; }

 private:
  void LeaveWindow(bool onwards) override;
  /// Starts the cursor over `range` cut to the bounds, and stands on its first row.
  void Start(EncodedRange range, Direction direction);
  arrow::Status StartCursor(EncodedRange range, Direction direction);
  /// Stands on the first row of the cursor's next window.
  void Pull();
  /// Finds the first key >= `key` inside the window, if it must be there.
  bool SeekInWindow(std::string_view key);
  void Invalidate(arrow::Status status);

  const std::shared_ptr<DatabaseCore> core_;
  const ReadPoint point_;
  const std::shared_ptr<const Snapshot> snapshot_;
  const EncodedRange bounds_;

  std::unique_ptr<KvCursor> cursor_;  // made by the first seek
  size_t rows_walked_ = 0;            // since the seek, with those of the window
  arrow::Status status_;
};

}  // namespace marble

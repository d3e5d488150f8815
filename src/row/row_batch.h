// The unit that moves between memtables, SSTables, merges and scans: rows of one sorted source with
// their keys, sequence numbers and kinds beside the columns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include "row/key_encoding.h"
#include "row/row_kind.h"

namespace marble {

/// Rows sorted by (key ascending, sequence descending). Immutable once published; cheap to copy.
struct RowBatch {
  /// Stored columns, projected to what the reader asked for; no hidden columns. Never null (may
  /// have zero columns, then its num_rows still counts).
  std::shared_ptr<arrow::RecordBatch> columns;
  /// Keys of all rows, in step with `columns`.
  EncodedKeys keys;
  /// One per row, or nullptr: then every row has `sequence`.
  const uint64_t* sequences = nullptr;
  uint64_t sequence = 0;
  /// One per row, or nullptr: then every row is a put.
  const uint8_t* kinds = nullptr;
  /// No key stands twice (so the first row of a key is its only one).
  bool unique_keys = true;
  /// The request's filter has been here: rows that it does not keep are gone, or too few to be
  /// worth a copy where whoever reads filters again.
  bool filtered = false;
  /// Upper bound of the rows' sequence numbers.
  uint64_t sequence_max = 0;
  /// Keeps `sequences`, `kinds` and the rest alive.
  std::shared_ptr<const void> owner;

  int64_t num_rows() const { return columns->num_rows(); }
  uint64_t SequenceAt(int64_t row) const {
    return sequences == nullptr ? sequence : sequences[row];
  }
  RowKind KindAt(int64_t row) const {
    return kinds == nullptr ? RowKind::kPut : static_cast<RowKind>(kinds[row]);
  }
  RowBatch Slice(int64_t offset, int64_t length) const;
};

/// Do the keys of a sorted source's next rows ascend, from behind `last_key` of those before on,
/// and the sequences of a key's versions descend? Invalid if not; otherwise: is no key there twice?
arrow::Result<bool> CheckRowOrder(const RowBatch& rows, std::optional<std::string_view> last_key);

}  // namespace marble

// How many rows a range of a view has, as far as its files' metadata tells.
#pragma once

#include <cstdint>
#include <vector>

#include <arrow/result.h>

#include "row/key_encoding.h"
#include "tree/table_view.h"

namespace marble {

struct RowCount {
  /// Of the files and blocks that were counted.
  int64_t rows = 0;
  /// Where the range's other rows are: parts of it, ascending, without overlap, to be read.
  std::vector<EncodedRange> unread;
};

/// Counts the files in which each row is one that `snapshot` sees (none is a delete, an older
/// version or newer) and whose bounds meet no other file's and no memtable's: those that lie in the
/// range as a whole, and of those at its ends the blocks that do. They are opened, but no block is
/// read. A memtable's bounds are the lowest and the highest key that it has in the range, and those
/// of its range tombstones; between them all is left unread. O(files log files).
arrow::Result<RowCount> CountFromMetadata(const TableView& view, const EncodedRange& range,
                                          uint64_t snapshot);

}  // namespace marble

// The one pull interface from a memtable or a file to a scan, a flush or a compaction.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <arrow/result.h>

#include "row/row_batch.h"
#include "row/row_filter.h"
#include "sst/zone_filter.h"

namespace marble {

class Helpers;

enum class Direction { kForward, kReverse };

/// The rows that a scan wants.
struct ScanFilter {
  std::shared_ptr<const RowFilter> rows;
  /// Which blocks may have any; nullptr if zone maps cannot tell.
  std::shared_ptr<const ZoneFilter> zones;
  /// Whoever reads applies the filter again: batches of which most rows are wanted may come whole,
  /// which saves a copy.
  bool is_applied_again = false;

  /// Do the rows outside `selection` have to go?
  bool MustCut(const Selection& selection) const {
    if (selection.all()) return false;
    return !is_applied_again || 4 * selection.count < 3 * selection.rows;
  }
};

/// What a reader of a source should deliver.
struct ReadRequest {
  /// Indices into the stored schema, in the order of the delivered batches.
  std::vector<int> columns;
  EncodedRange range;
  Direction direction = Direction::kForward;
  /// Rows newer than this need not be delivered (and are not by memtables; files may deliver them).
  uint64_t snapshot = kSequenceMax;
  /// Without keys only whole-source pass-through is possible; merges need them.
  bool want_keys = true;
  /// Rows of a batch to aim at where the source is free to choose (memtables).
  int64_t batch_rows = 4096;
  /// Rows that it does not keep need not be delivered. Batches that it has been applied to say so
  /// (RowBatch::filtered); its columns are among `columns`. A source is given one only if none of
  /// its rows hides one of another source.
  std::shared_ptr<const ScanFilter> filter;
  /// Read the next blocks of files, and merge the next rows, while the caller is busy with those
  /// before; nullptr for none. Must outlive the reader.
  Helpers* helpers = nullptr;
};

/// Delivers the rows of one source within a range as batches: in key order, or last batch first
/// when reading in reverse (rows inside a batch are always ascending). All versions of a key are in
/// one batch. Not thread-safe.
class SortedReader {
 public:
  virtual ~SortedReader() = default;
  /// The next batch, never empty; nullopt at the end.
  virtual arrow::Result<std::optional<RowBatch>> Next() = 0;
};

}  // namespace marble

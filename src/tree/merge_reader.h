// Merges sorted sources: a vectorised k-way merge that finds stretches by galloping and moves rows
// by slices.
//
// Two policies. Reading: of each key the newest row with sequence <= snapshot, unless that is a
// delete or covered by a newer range tombstone (<= snapshot); no hidden columns come out.
// Compacting: of each key every version that is the newest seen by some snapshot (the current
// moment is one), with sequences and kinds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include "sst/range_tombstone.h"
#include "tree/merge_output.h"
#include "tree/sorted_reader.h"

namespace marble {

inline constexpr int64_t kMergeBatchBytes = 32 << 20;

struct MergeReadOptions {
  /// Schema of the delivered columns (the sources' batches have it).
  std::shared_ptr<arrow::Schema> schema;
  uint64_t snapshot = kSequenceMax;
  Direction direction = Direction::kForward;
  /// Of all sources together; nullptr or empty if there is none.
  std::shared_ptr<const RangeTombstoneSet> tombstones;
  int64_t batch_rows_max = 128 * 1024;
  /// About so many bytes at most are gathered into a batch (4 MiB do in any case); from huge rows
  /// up to eight times as many, or one row.
  int64_t batch_bytes_max = kMergeBatchBytes;
  /// Deliver the first batches small (a seek wants few rows), doubling up to batch_rows_max; 0 =
  /// off.
  int64_t batch_rows_first = 0;
  /// Deliver keys (when ascending). Without them a lone source need not have any either, as long as
  /// there are no tombstones and its keys are unique.
  bool want_keys = true;
  arrow::MemoryPool* pool = nullptr;
  /// Gather some of the columns; nullptr for none.
  Helpers* helpers = nullptr;
};

/// A reader that tells which rows come before they are copied.
class MergedReader : public SortedReader {
 public:
  /// The next batch as Next would give it, to be gathered on any thread while the reader lives;
  /// nullopt at the end.
  virtual arrow::Result<std::optional<ChosenRows>> NextChosen() = 0;
};

/// Visible rows in key order (descending if reverse). Where one source covers a stretch of keys
/// alone and needs no filtering, its batches pass through as zero-copy slices. `keys` of the
/// delivered batches are set when ascending.
arrow::Result<std::unique_ptr<MergedReader>> MergeForRead(
    std::vector<std::unique_ptr<SortedReader>> sources, MergeReadOptions options);

struct CompactOptions {
  std::shared_ptr<arrow::Schema> schema;
  /// Pinned sequences, ascending, without duplicates. The current moment is implied.
  std::vector<uint64_t> snapshots;
  /// Tombstones of all inputs (ask: hidden from every snapshot that sees the row?).
  std::shared_ptr<const RangeTombstoneSet> tombstones;
  /// Nothing lies below the inputs: a delete that every snapshot sees (sequence <= lowest snapshot,
  /// or no snapshots) is dropped together with what it hides.
  bool bottommost = false;
  /// The column whose bytes are the keys; -1 if keys are encoded otherwise.
  int key_column = -1;
  int64_t batch_rows_max = 16 * 1024;
  int64_t batch_bytes_max = kMergeBatchBytes;
  arrow::MemoryPool* pool = nullptr;
};

/// Delivered batches have keys, sequences and kinds (kinds nullptr if all are puts), unique_keys
/// set truthfully.
arrow::Result<std::unique_ptr<SortedReader>> MergeForCompaction(
    std::vector<std::unique_ptr<SortedReader>> sources, CompactOptions options);

}  // namespace marble

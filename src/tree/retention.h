// Which rows of one sorted source can matter to a reader or a compaction, decided before the merge
// and from the source alone. Pure values; const methods are thread-safe.
//
// The moments that may be looked at cut the sequence numbers into stripes: a read has one (its
// snapshot), a compaction one per pinned snapshot and one for the current moment. Of a key, only
// the newest version of each stripe can be seen, and not if a range tombstone of its stripe covers
// it. Both rules may be applied to each source by itself: what they remove hides nothing that they
// would keep elsewhere (an older version in the same stripe is covered by the same tombstone). What
// is left for the merge is to choose between sources.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/result.h>

#include "row/row_batch.h"
#include "sst/range_tombstone.h"

namespace marble {

/// Consecutive rows [begin, end) of a batch that take part in the merge.
struct RowRange {
  int64_t begin = 0;
  int64_t end = 0;
  /// Deletes that are to be dropped: they still hide older versions in other sources.
  bool hidden = false;

  bool operator==(const RowRange&) const = default;
};

class Retention {
 public:
  /// What a reader at `snapshot` sees. `tombstones` may be null.
  static Retention ForRead(uint64_t snapshot, std::shared_ptr<const RangeTombstoneSet> tombstones);
  /// What a compaction keeps for `snapshots` (ascending) and the current moment. `bottommost`:
  /// deletes that all of them see are dropped.
  static Retention ForCompaction(const std::vector<uint64_t>& snapshots, bool bottommost,
                                 std::shared_ptr<const RangeTombstoneSet> tombstones);

  /// At most one version of a key is kept.
  bool single_version() const { return bounds_.size() == 1; }
  /// Number of the stripe of a row with this sequence, oldest first; bounds().size() if nobody sees
  /// it.
  size_t StripeOf(uint64_t sequence) const;

  /// The rows of `batch` that take part, in ascending order. Invalid if the rules need keys and it
  /// has none.
  arrow::Status Select(const RowBatch& batch, std::vector<RowRange>* out) const;

 private:
  Retention(std::vector<uint64_t> bounds, bool drop_deletes,
            std::shared_ptr<const RangeTombstoneSet> tombstones);

  void SelectVersions(const RowBatch& batch, std::vector<RowRange>* out) const;
  void SubtractCovered(const RowBatch& batch, std::vector<RowRange>* ranges) const;
  void KeepUncovered(const RowBatch& batch, const RangeTombstoneSet::Fragment& fragment,
                     RowRange rows, std::vector<RowRange>* out) const;
  void HideDeletes(const RowBatch& batch, std::vector<RowRange>* ranges) const;

  std::vector<uint64_t> bounds_;  // highest sequence of each stripe, ascending
  bool drop_deletes_;             // those of the oldest stripe
  std::shared_ptr<const RangeTombstoneSet> tombstones_;  // null if there is none
};

}  // namespace marble

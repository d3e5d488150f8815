// The range tombstones of one memtable: appended to by the writer, indexed by the first reader
// after a change.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/mutex.h"
#include "sst/range_tombstone.h"
#include "tree/append_list.h"

namespace marble {

/// One writer, any number of readers; the writer never waits.
class TombstoneList {
 public:
  /// Writer only.
  void Append(RangeTombstone tombstone);

  /// All tombstones so far as a set; never null. Costs next to nothing while there are none, and
  /// one pass over all of them at the first call after a change.
  std::shared_ptr<const RangeTombstoneSet> Set() const;

  int64_t size() const { return tombstones_.size(); }
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  AppendList<RangeTombstone> tombstones_;
  std::atomic<int64_t> bytes_{0};
  mutable Mutex mutex_;
  mutable int64_t indexed_ = 0;
  mutable std::shared_ptr<const RangeTombstoneSet> set_;
};

}  // namespace marble

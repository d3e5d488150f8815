// The range tombstones of one memtable: appended to by the writer, indexed by readers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

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

  /// Highest sequence <= `snapshot` of a tombstone so far that covers `key`; 0 if none. Looks at a
  /// few that are not indexed yet, so that gets and range deletes may come by turns.
  uint64_t CoveringSequence(std::string_view key, uint64_t snapshot) const;

  int64_t size() const { return tombstones_.size(); }
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  /// The set of the first so many, all but at most `rest_max` of them.
  std::pair<std::shared_ptr<const RangeTombstoneSet>, int64_t> Indexed(int64_t rest_max) const;

  AppendList<RangeTombstone> tombstones_;
  std::atomic<int64_t> bytes_{0};
  mutable Mutex mutex_;
  mutable int64_t indexed_ MARBLE_GUARDED_BY(mutex_) = 0;   // of the tombstones, the first
  mutable int64_t compared_ MARBLE_GUARDED_BY(mutex_) = 0;  // with others, since they were indexed
  mutable std::shared_ptr<const RangeTombstoneSet> set_ MARBLE_GUARDED_BY(mutex_);  // of these
};

}  // namespace marble

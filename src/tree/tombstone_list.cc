#include "tree/tombstone_list.h"

#include <utility>
#include <vector>

namespace marble {

void TombstoneList::Append(RangeTombstone tombstone) {
  // Twice, for the list and the set; and what indexes the set.
  int64_t bytes = static_cast<int64_t>(6 * sizeof(RangeTombstone) + 2 * tombstone.begin.size());
  if (tombstone.end.has_value()) bytes += static_cast<int64_t>(2 * tombstone.end->size());
  tombstones_.Append(std::move(tombstone));
  bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

std::shared_ptr<const RangeTombstoneSet> TombstoneList::Set() const {
  static const RangeTombstoneSet kNone;
  // Refers to a static without owning it: gets of all threads would share its reference count.
  if (tombstones_.size() == 0) return {std::shared_ptr<const void>(), &kNone};

  MutexLock lock(&mutex_);
  const int64_t size = tombstones_.size();
  if (indexed_ != size) {
    std::vector<RangeTombstone> all;
    all.reserve(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) all.push_back(tombstones_[i]);
    set_ = std::make_shared<const RangeTombstoneSet>(std::move(all));
    indexed_ = size;
  }
  return set_;
}

}  // namespace marble

#include "tree/tombstone_list.h"

#include <utility>
#include <vector>

namespace marble {

namespace {

/// Tombstones that may be compared one by one, in place of indexing all anew; and for how long: as
/// many comparisons as indexing costs.
constexpr int64_t kRestMax = 32;
constexpr int64_t kComparisonsPerTombstone = 8;

bool Covers(const RangeTombstone& t, std::string_view key) {
  return t.begin <= key && (!t.end.has_value() || key < *t.end);
}

}  // namespace

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
  return Indexed(0).first;
}

uint64_t TombstoneList::CoveringSequence(std::string_view key, uint64_t snapshot) const {
  if (tombstones_.size() == 0) return 0;
  const auto [set, indexed] = Indexed(kRestMax);
  uint64_t covering = set == nullptr ? 0 : set->CoveringSequence(key, snapshot);
  for (int64_t i = indexed; i < tombstones_.size(); ++i) {
    const RangeTombstone& t = tombstones_[i];
    if (t.sequence <= snapshot && t.sequence > covering && Covers(t, key)) covering = t.sequence;
  }
  return covering;
}

std::pair<std::shared_ptr<const RangeTombstoneSet>, int64_t> TombstoneList::Indexed(
    int64_t rest_max) const {
  MutexLock lock(&mutex_);
  const int64_t size = tombstones_.size();
  compared_ += size - indexed_;
  if (size - indexed_ > rest_max || compared_ > kComparisonsPerTombstone * size) {
    std::vector<RangeTombstone> all;
    all.reserve(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i) all.push_back(tombstones_[i]);
    set_ = std::make_shared<const RangeTombstoneSet>(std::move(all));
    indexed_ = size;
    compared_ = 0;
  }
  return {set_, indexed_};
}

}  // namespace marble

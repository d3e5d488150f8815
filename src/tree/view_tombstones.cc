#include "tree/view_tombstones.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tree/run_reader.h"

namespace marble {
namespace {

using TombstonesPtr = std::shared_ptr<const RangeTombstoneSet>;

/// Does a tombstone that `snapshot` sees meet the range?
bool Meets(const RangeTombstoneSet& tombstones, const EncodedRange& range, uint64_t snapshot) {
  const auto& fragments = tombstones.fragments();
  auto f = std::partition_point(fragments.begin(), fragments.end(),
                                [&](const RangeTombstoneSet::Fragment& fragment) {
                                  return fragment.end.has_value() && *fragment.end <= range.lower;
                                });
  for (; f != fragments.end() && (!range.upper.has_value() || f->begin < *range.upper); ++f) {
    if (tombstones.NewestVisible(*f, snapshot) > 0) return true;
  }
  return false;
}

}  // namespace

arrow::Result<TombstonesPtr> CollectTombstones(std::span<const Source> sources,
                                               const EncodedRange& range, uint64_t snapshot) {
  std::vector<TombstonesPtr> sets;
  const auto consider = [&](TombstonesPtr set) {
    if (Meets(*set, range, snapshot)) sets.push_back(std::move(set));
  };
  for (const Source& source : sources) {
    if (source.memtable != nullptr) {
      consider(source.memtable->range_tombstones().Set());
      continue;
    }
    if (!source.run->has_range_tombstones()) continue;
    const auto [begin, end] = FilesInRange(*source.run, range);
    for (size_t i = begin; i < end; ++i) {
      const TableFile& file = *source.run->files[i];
      if (file.meta().range_tombstones == 0) continue;
      ARROW_ASSIGN_OR_RAISE(std::shared_ptr<SstReader> reader, file.shared_reader());
      const RangeTombstoneSet* set = &reader->range_tombstones();
      consider(TombstonesPtr(std::move(reader), set));
    }
  }
  if (sets.empty()) return nullptr;
  if (sets.size() == 1) return sets[0];
  std::vector<RangeTombstone> all;
  for (const TombstonesPtr& set : sets) {
    for (RangeTombstone& tombstone : set->Clip(range.lower, range.upper)) {
      if (tombstone.sequence <= snapshot) all.push_back(std::move(tombstone));
    }
  }
  return std::make_shared<const RangeTombstoneSet>(std::move(all));
}

}  // namespace marble

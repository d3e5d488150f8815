#include "tree/view_tombstones.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tree/run_reader.h"

namespace marble {
namespace {

using TombstonesPtr = std::shared_ptr<const RangeTombstoneSet>;

/// The fragments that meet the range.
std::span<const RangeTombstoneSet::Fragment> FragmentsIn(const RangeTombstoneSet& tombstones,
                                                         const EncodedRange& range) {
  const auto& fragments = tombstones.fragments();
  const auto begin = std::partition_point(
      fragments.begin(), fragments.end(), [&](const RangeTombstoneSet::Fragment& fragment) {
        return fragment.end.has_value() && *fragment.end <= range.lower;
      });
  if (!range.upper.has_value()) return {begin, fragments.end()};
  const auto end = std::partition_point(
      begin, fragments.end(),
      [&](const RangeTombstoneSet::Fragment& fragment) { return fragment.begin < *range.upper; });
  return {begin, end};
}

/// Does a tombstone that `snapshot` sees meet the range?
bool Meets(const RangeTombstoneSet& tombstones, const EncodedRange& range, uint64_t snapshot) {
  const auto fragments = FragmentsIn(tombstones, range);
  return std::ranges::any_of(fragments, [&](const RangeTombstoneSet::Fragment& fragment) {
    return tombstones.NewestVisible(fragment, snapshot) > 0;
  });
}

/// Of each fragment in the range the newest tombstone that `snapshot` sees: it hides what the older
/// ones do. (They may reach beyond the range, where nobody asks.)
void AddSeen(const RangeTombstoneSet& tombstones, const EncodedRange& range, uint64_t snapshot,
             std::vector<RangeTombstone>* out) {
  for (const RangeTombstoneSet::Fragment& fragment : FragmentsIn(tombstones, range)) {
    const uint64_t sequence = tombstones.NewestVisible(fragment, snapshot);
    if (sequence == 0) continue;
    std::optional<std::string> end;
    if (fragment.end.has_value()) end.emplace(*fragment.end);
    out->push_back({std::string(fragment.begin), std::move(end), sequence});
  }
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
  for (const TombstonesPtr& set : sets) AddSeen(*set, range, snapshot, &all);
  return std::make_shared<const RangeTombstoneSet>(std::move(all));
}

}  // namespace marble

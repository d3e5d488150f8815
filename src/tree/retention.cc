#include "tree/retention.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <arrow/status.h>

namespace marble {
namespace {

using Fragment = RangeTombstoneSet::Fragment;

/// Appends rows to `out`, growing the last range where they touch it.
void Keep(int64_t begin, int64_t end, std::vector<RowRange>* out) {
  if (begin >= end) return;
  if (!out->empty() && out->back().end == begin) {
    out->back().end = end;
  } else {
    out->push_back({begin, end, false});
  }
}

bool AllPuts(const uint8_t* kinds, int64_t begin, int64_t end) {
  return std::all_of(kinds + begin, kinds + end,
                     [](uint8_t k) { return k == static_cast<uint8_t>(RowKind::kPut); });
}

}  // namespace

Retention::Retention(std::vector<uint64_t> bounds, bool drop_deletes,
                     std::shared_ptr<const RangeTombstoneSet> tombstones)
    : bounds_(std::move(bounds)), drop_deletes_(drop_deletes) {
  if (tombstones != nullptr && !tombstones->empty()) tombstones_ = std::move(tombstones);
}

Retention Retention::ForRead(uint64_t snapshot,
                             std::shared_ptr<const RangeTombstoneSet> tombstones) {
  return Retention({snapshot}, /*drop_deletes=*/true, std::move(tombstones));
}

Retention Retention::ForCompaction(const std::vector<uint64_t>& snapshots, bool bottommost,
                                   std::shared_ptr<const RangeTombstoneSet> tombstones) {
  std::vector<uint64_t> bounds = snapshots;
  if (bounds.empty() || bounds.back() < kSequenceMax) bounds.push_back(kSequenceMax);
  return Retention(std::move(bounds), bottommost, std::move(tombstones));
}

size_t Retention::StripeOf(uint64_t sequence) const {
  return static_cast<size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), sequence) -
                             bounds_.begin());
}

arrow::Status Retention::Select(const RowBatch& batch, std::vector<RowRange>* out) const {
  out->clear();
  const bool has_keys = batch.keys.size() == batch.num_rows();
  if (!has_keys && (!batch.unique_keys || tombstones_ != nullptr)) {
    return arrow::Status::Invalid("rows without keys cannot be merged by key");
  }
  SelectVersions(batch, out);
  if (out->empty()) return arrow::Status::OK();
  if (tombstones_ != nullptr &&
      tombstones_->Overlaps(batch.keys[0], batch.keys[batch.num_rows() - 1], bounds_.back())) {
    SubtractCovered(batch, out);
  }
  if (drop_deletes_ && batch.kinds != nullptr && !AllPuts(batch.kinds, 0, batch.num_rows())) {
    HideDeletes(batch, out);
  }
  return arrow::Status::OK();
}

void Retention::SelectVersions(const RowBatch& batch, std::vector<RowRange>* out) const {
  const int64_t rows = batch.num_rows();
  const uint64_t newest = bounds_.back();
  if (batch.unique_keys) {
    const uint64_t sequence_max = batch.sequences == nullptr ? batch.sequence : batch.sequence_max;
    if (sequence_max <= newest) return Keep(0, rows, out);
    if (batch.sequences == nullptr) return;
    for (int64_t i = 0; i < rows; ++i) {
      if (batch.sequences[i] <= newest) Keep(i, i + 1, out);
    }
    return;
  }
  size_t taken = bounds_.size();  // stripe of the newest version looked at; none yet
  for (int64_t i = 0; i < rows; ++i) {
    if (i == 0 || batch.keys[i] != batch.keys[i - 1]) taken = bounds_.size();
    const size_t stripe = StripeOf(batch.SequenceAt(i));
    if (stripe == bounds_.size() || stripe == taken) continue;
    taken = stripe;
    Keep(i, i + 1, out);
  }
}

void Retention::SubtractCovered(const RowBatch& batch, std::vector<RowRange>* ranges) const {
  const std::vector<Fragment>& fragments = tombstones_->fragments();
  const int64_t rows = batch.num_rows();
  auto fragment = std::partition_point(fragments.begin(), fragments.end(), [&](const Fragment& f) {
    return f.end.has_value() && *f.end <= batch.keys[0];
  });
  std::vector<RowRange> kept;
  size_t r = 0;                         // the range at `row`
  int64_t row = ranges->front().begin;  // rows before it are done
  const auto keep_to = [&](int64_t end, const Fragment* cover) {
    while (r < ranges->size() && (*ranges)[r].begin < end) {
      const RowRange& range = (*ranges)[r];
      const RowRange part{std::max(row, range.begin), std::min(end, range.end), false};
      if (cover == nullptr) {
        Keep(part.begin, part.end, &kept);
      } else if (part.begin < part.end) {
        KeepUncovered(batch, *cover, part, &kept);
      }
      if (range.end > end) break;
      ++r;
    }
    row = std::max(row, end);
  };
  for (; fragment != fragments.end() && row < rows; ++fragment) {
    const int64_t begin = batch.keys.LowerBound(fragment->begin, row, rows);
    if (begin == rows) break;
    const int64_t end =
        fragment->end.has_value() ? batch.keys.LowerBound(*fragment->end, begin, rows) : rows;
    keep_to(begin, nullptr);
    keep_to(end, &*fragment);
  }
  keep_to(rows, nullptr);
  *ranges = std::move(kept);
}

void Retention::KeepUncovered(const RowBatch& batch, const Fragment& fragment, RowRange rows,
                              std::vector<RowRange>* out) const {
  const auto covered = [&](uint64_t sequence) {
    return tombstones_->NewestVisible(fragment, bounds_[StripeOf(sequence)]) > sequence;
  };
  if (batch.sequences == nullptr) {
    if (!covered(batch.sequence)) Keep(rows.begin, rows.end, out);
    return;
  }
  if (single_version()) {
    const uint64_t cover = tombstones_->NewestVisible(fragment, bounds_.back());
    if (cover == 0) return Keep(rows.begin, rows.end, out);
    if (cover > batch.sequence_max) return;
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      if (batch.sequences[i] >= cover) Keep(i, i + 1, out);
    }
    return;
  }
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    if (!covered(batch.sequences[i])) Keep(i, i + 1, out);
  }
}

void Retention::HideDeletes(const RowBatch& batch, std::vector<RowRange>* ranges) const {
  std::vector<RowRange> split;
  for (const RowRange& range : *ranges) {
    for (int64_t i = range.begin; i < range.end; ++i) {
      const bool hidden =
          batch.KindAt(i) == RowKind::kDelete && batch.SequenceAt(i) <= bounds_.front();
      if (!split.empty() && split.back().end == i && split.back().hidden == hidden) {
        split.back().end = i + 1;
      } else {
        split.push_back({i, i + 1, hidden});
      }
    }
  }
  *ranges = std::move(split);
}

}  // namespace marble

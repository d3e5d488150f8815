#include "tree/kv_cursor.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "tree/view_tombstones.h"

namespace marble {

arrow::Result<std::unique_ptr<KvCursor>> KvCursor::Open(std::shared_ptr<const TableView> view,
                                                        uint64_t snapshot,
                                                        const EncodedRange& bounds) {
  MARBLE_CHECK(view->schema->is_key_value());
  // raw new because: the constructor is private.
  std::unique_ptr<KvCursor> cursor(new KvCursor(std::move(view), snapshot));
  ARROW_RETURN_NOT_OK(cursor->OpenSources(bounds));
  return cursor;
}

arrow::Status KvCursor::OpenSources(const EncodedRange& bounds) {
  sources_.reserve(view_->sources.size());
  for (const Source& source : view_->sources) {
    if (source.run != nullptr) {
      sources_.emplace_back(source.run.get(), &walk_);
      continue;
    }
    if (!source.memtable->Concerns(walk_.snapshot)) continue;
    // The memtables of key-value tables are of this kind (Memtable::Make).
    const auto* memtable = static_cast<const PointMemtable*>(source.memtable.get());
    ARROW_ASSIGN_OR_RAISE(auto runs, memtable->SortedRuns());
    sources_.emplace_back(memtable, std::move(runs), &walk_);
  }
  heads_ = std::make_unique<Head[]>(sources_.size());
  ARROW_RETURN_NOT_OK(
      CollectTombstones(view_->sources, bounds, walk_.snapshot).Value(&tombstones_));
  if (tombstones_ != nullptr) stretch_.end = "";  // no key: none was looked at
  return arrow::Status::OK();
}

arrow::Status KvCursor::Start(EncodedRange range, Direction direction) {
  open_ = 0;
  walk_.range = std::move(range);
  walk_.direction = direction;
  for (KvSource& source : sources_) ARROW_RETURN_NOT_OK(source.Start());
  ARROW_RETURN_NOT_OK(Arrive());
  // From the last to the first: those behind are in order.
  open_ = sources_.size();
  for (size_t i = sources_.size(); i > 0; --i) {
    heads_[i - 1].source = &sources_[i - 1];
    PutInPlace(i - 1);
  }
  return arrow::Status::OK();
}

arrow::Status KvCursor::Arrive() {
  for (bool all = false; !all;) {
    all = true;
    for (KvSource& source : sources_) {
      if (source.arrived()) continue;
      ARROW_RETURN_NOT_OK(source.Arrive());
      all = all && source.arrived();
    }
    // Together, so that their waits for memory overlap.
    for (const KvSource& source : sources_) source.Prefetch();
  }
  return arrow::Status::OK();
}

arrow::Result<std::span<const KvRow>> KvCursor::Next(size_t rows_max) {
  window_.Reset(rows_max);
  while (open_ > 0 && window_.size() < rows_max) {
    if (tombstones_ != nullptr) FindStretch(heads_[0].source->key());
    ARROW_RETURN_NOT_OK(IsTied(1) ? TakeTied() : Take(rows_max));
  }
  return window_.rows();
}

bool KvCursor::PrecedesByKey(const KvSource& a, const KvSource& b) const {
  const int order = a.key().compare(b.key());
  if (order != 0) return (order < 0) != walk_.reverse();
  return &a < &b;  // the newer one
}

void KvCursor::PutInPlace(size_t at) {
  Head* const heads = heads_.get();
  KvSource* const source = heads[at].source;
  const Head head = {source->prefix(), source};
  if (source->at_end()) {
    --open_;
    for (; at < open_; ++at) heads[at] = heads[at + 1];
    return;
  }
  for (; at + 1 < open_ && Precedes(heads[at + 1], head); ++at) heads[at] = heads[at + 1];
  heads[at] = head;
}

arrow::Status KvCursor::Take(size_t rows_max) {
  KvSource* const source = heads_[0].source;
  const uint64_t covering = stretch_.sequence;
  if (covering != 0 && covering > source->sequence_max()) {
    ARROW_RETURN_NOT_OK(SkipStretch(source));
  } else {
    const size_t before = window_.size();
    if (source->is_plain() && (covering == 0 || covering <= source->sequence_min())) {
      ARROW_RETURN_NOT_OK(source->EmitPlain(PlainBound(), rows_max, &window_));
    }
    if (window_.size() == before) {
      ARROW_RETURN_NOT_OK(EmitVisible(*source));
      ARROW_RETURN_NOT_OK(source->Advance());
    }
  }
  PutInPlace(0);
  return arrow::Status::OK();
}

arrow::Status KvCursor::TakeTied() {
  size_t tied = 2;
  while (IsTied(tied)) ++tied;
  ARROW_RETURN_NOT_OK(EmitVisible(*heads_[0].source));
  for (size_t i = 0; i < tied; ++i) ARROW_RETURN_NOT_OK(heads_[i].source->Advance());
  for (size_t i = tied; i > 0; --i) PutInPlace(i - 1);
  return arrow::Status::OK();
}

arrow::Status KvCursor::EmitVisible(const KvSource& source) {
  if (source.is_delete() || stretch_.sequence > source.sequence()) return arrow::Status::OK();
  return source.Emit(&window_);
}

void KvCursor::FindStretch(std::string_view key) {
  if (key >= stretch_.begin && (!stretch_.end || key < *stretch_.end)) return;
  const std::vector<RangeTombstoneSet::Fragment>& fragments = tombstones_->fragments();
  const auto behind = std::partition_point(fragments.begin(), fragments.end(),
                                           [&](const auto& other) { return other.begin <= key; });
  stretch_ = {};
  if (behind != fragments.end()) stretch_.end = behind->begin;
  if (behind == fragments.begin()) return;
  const RangeTombstoneSet::Fragment& fragment = *std::prev(behind);
  if (fragment.end.has_value() && *fragment.end <= key) {
    stretch_.begin = *fragment.end;
    return;
  }
  stretch_.begin = fragment.begin;
  stretch_.end = fragment.end;
  stretch_.sequence = tombstones_->NewestVisible(fragment, walk_.snapshot);
}

WalkBound KvCursor::PlainBound() const {
  WalkBound bound;
  if (open_ > 1) bound = {&heads_[1].source->key(), heads_[1].prefix};
  if (tombstones_ == nullptr) return bound;
  const std::string_view* edge = nullptr;
  if (!walk_.reverse()) {
    if (stretch_.end) edge = &*stretch_.end;
  } else if (!stretch_.begin.empty()) {
    edge = &stretch_.begin;
  }
  if (edge == nullptr) return bound;
  const uint64_t prefix = walk_.PrefixOf(*edge);
  return walk_.IsReached(bound, *edge, prefix) ? bound : WalkBound{edge, prefix};
}

arrow::Status KvCursor::SkipStretch(KvSource* source) const {
  if (walk_.reverse()) return source->SkipTo(stretch_.begin, stretch_.sequence);
  if (stretch_.end) return source->SkipTo(*stretch_.end, stretch_.sequence);
  return source->SkipRest(stretch_.sequence);
}

}  // namespace marble

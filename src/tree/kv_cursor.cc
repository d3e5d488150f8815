#include "tree/kv_cursor.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "tree/view_tombstones.h"

namespace marble {

arrow::Result<std::unique_ptr<KvCursor>> KvCursor::Open(std::shared_ptr<const TableView> view,
                                                        uint64_t snapshot) {
  MARBLE_CHECK(view->schema->is_key_value());
  // raw new because: the constructor is private.
  std::unique_ptr<KvCursor> cursor(new KvCursor(std::move(view), snapshot));
  ARROW_RETURN_NOT_OK(cursor->OpenSources());
  return cursor;
}

arrow::Status KvCursor::OpenSources() {
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
  ARROW_RETURN_NOT_OK(CollectTombstones(view_->sources, {}, walk_.snapshot).Value(&tombstones_));
  if (tombstones_ != nullptr) stretch_.end = "";  // no key: none was looked at
  return arrow::Status::OK();
}

arrow::Status KvCursor::Start(EncodedRange range, Direction direction) {
  window_.Clear();
  active_.clear();
  walk_.range = std::move(range);
  walk_.direction = direction;
  arriving_.clear();
  for (KvSource& source : sources_) {
    ARROW_RETURN_NOT_OK(source.Start());
    arriving_.push_back(&source);
  }
  ARROW_RETURN_NOT_OK(Arrive());
  for (KvSource& source : sources_) {
    active_.insert(active_.begin(), &source);
    PutInPlace(0);
  }
  return arrow::Status::OK();
}

arrow::Status KvCursor::Arrive() {
  while (!arriving_.empty()) {
    size_t left = 0;
    for (KvSource* source : arriving_) {
      ARROW_ASSIGN_OR_RAISE(const bool there, source->Arrive());
      if (!there) arriving_[left++] = source;
    }
    arriving_.resize(left);
  }
  return arrow::Status::OK();
}

arrow::Result<std::span<const KvRow>> KvCursor::Next(size_t rows_max) {
  window_.Clear();
  window_.rows.reserve(rows_max);
  while (!active_.empty() && window_.rows.size() < rows_max) {
    if (tombstones_ != nullptr) FindStretch(active_[0]->key());
    const size_t tied = CountTied();
    ARROW_RETURN_NOT_OK(tied > 1 ? TakeTied(tied) : Take(rows_max));
  }
  return std::span<const KvRow>(window_.rows);
}

bool KvCursor::Precedes(const KvSource* a, const KvSource* b) const {
  if (a->prefix() != b->prefix()) return a->prefix() < b->prefix();
  const int order = a->key().compare(b->key());
  if (order != 0) return (order < 0) != walk_.reverse();
  return a < b;  // the newer one
}

void KvCursor::PutInPlace(size_t at) {
  KvSource* const source = active_[at];
  if (source->at_end()) {
    active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(at));
    return;
  }
  for (; at + 1 < active_.size() && Precedes(active_[at + 1], source); ++at) {
    active_[at] = active_[at + 1];
  }
  active_[at] = source;
}

size_t KvCursor::CountTied() const {
  const KvSource* first = active_[0];
  size_t tied = 1;
  while (tied < active_.size() && active_[tied]->prefix() == first->prefix() &&
         active_[tied]->key() == first->key()) {
    ++tied;
  }
  return tied;
}

arrow::Status KvCursor::Take(size_t rows_max) {
  KvSource* source = active_[0];
  const uint64_t covering = stretch_.sequence;
  const size_t before = window_.rows.size();
  if (covering > source->sequence_max()) {
    ARROW_RETURN_NOT_OK(SkipStretch(source));
  } else {
    if (covering <= source->sequence_min()) {
      ARROW_RETURN_NOT_OK(source->EmitPlain(PlainBound(), rows_max, &window_));
    }
    if (window_.rows.size() == before) {
      ARROW_RETURN_NOT_OK(EmitVisible(*source));
      ARROW_RETURN_NOT_OK(source->Advance());
    }
  }
  PutInPlace(0);
  return arrow::Status::OK();
}

arrow::Status KvCursor::TakeTied(size_t tied) {
  ARROW_RETURN_NOT_OK(EmitVisible(*active_[0]));
  for (size_t i = 0; i < tied; ++i) ARROW_RETURN_NOT_OK(active_[i]->Advance());
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
  // Newest first: the first one that the snapshot sees.
  const auto seen = std::ranges::find_if(
      fragment.sequences, [&](uint64_t sequence) { return sequence <= walk_.snapshot; });
  if (seen != fragment.sequences.end()) stretch_.sequence = *seen;
}

const std::string_view* KvCursor::PlainBound() const {
  const std::string_view* bound = nullptr;
  if (!walk_.reverse()) {
    if (stretch_.end) bound = &*stretch_.end;
  } else if (!stretch_.begin.empty()) {
    bound = &stretch_.begin;
  }
  if (active_.size() == 1) return bound;
  const std::string_view& key = active_[1]->key();
  if (bound == nullptr || (walk_.reverse() ? key > *bound : key < *bound)) return &key;
  return bound;
}

arrow::Status KvCursor::SkipStretch(KvSource* source) const {
  if (walk_.reverse()) return source->SkipTo(stretch_.begin, stretch_.sequence);
  if (stretch_.end) return source->SkipTo(*stretch_.end, stretch_.sequence);
  return source->SkipRest(stretch_.sequence);
}

}  // namespace marble

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
    if (source.memtable->empty() || source.memtable->sequence_min() > walk_.snapshot) continue;
    // The memtables of key-value tables are of this kind (Memtable::Make).
    const auto* memtable = static_cast<const PointMemtable*>(source.memtable.get());
    ARROW_ASSIGN_OR_RAISE(auto runs, memtable->SortedRuns());
    sources_.emplace_back(memtable, std::move(runs), &walk_);
  }
  return CollectTombstones(view_->sources, {}, walk_.snapshot).Value(&tombstones_);
}

arrow::Status KvCursor::Start(EncodedRange range, Direction direction) {
  window_.Clear();
  active_.clear();
  walk_.range = std::move(range);
  walk_.direction = direction;
  for (KvSource& source : sources_) {
    ARROW_RETURN_NOT_OK(source.Start());
    if (!source.at_end()) active_.push_back(&source);
  }
  return arrow::Status::OK();
}

arrow::Result<std::span<const KvRow>> KvCursor::Next(size_t rows_max) {
  window_.Clear();
  while (!active_.empty() && window_.rows.size() < rows_max) {
    size_t best = 0;
    const KvSource* second = nullptr;
    Choose(&best, &second);
    if (second != nullptr && second->prefix() == active_[best]->prefix() &&
        second->key() == active_[best]->key()) {
      ARROW_RETURN_NOT_OK(TakeTied(best));
    } else {
      ARROW_RETURN_NOT_OK(Take(best, second, rows_max));
    }
  }
  return std::span<const KvRow>(window_.rows);
}

void KvCursor::Choose(size_t* best, const KvSource** second) const {
  const KvSource* first = active_[0];
  for (size_t i = 1; i < active_.size(); ++i) {
    const KvSource* source = active_[i];
    if (source->Before(*first)) {
      *second = first;
      first = source;
      *best = i;
    } else if (*second == nullptr || source->Before(**second)) {
      *second = source;
    }
  }
}

arrow::Status KvCursor::Take(size_t at, const KvSource* second, size_t rows_max) {
  KvSource* source = active_[at];
  if (tombstones_ == nullptr) {
    const size_t before = window_.rows.size();
    ARROW_RETURN_NOT_OK(source->EmitPlain(second, rows_max, &window_));
    if (window_.rows.size() > before) {
      DropEnded();
      return arrow::Status::OK();
    }
  }
  ARROW_RETURN_NOT_OK(EmitVisible(*source));
  const uint64_t covering = tombstones_ == nullptr ? 0 : CoveringSequence(source->key());
  if (covering > source->sequence_max()) {
    ARROW_RETURN_NOT_OK(SkipCovered(source, covering));
  } else {
    ARROW_RETURN_NOT_OK(source->Advance());
  }
  DropEnded();
  return arrow::Status::OK();
}

arrow::Status KvCursor::TakeTied(size_t at) {
  KvSource* newest = active_[at];
  ARROW_RETURN_NOT_OK(EmitVisible(*newest));
  // Its key is compared with until the last, so it moves last.
  for (KvSource* source : active_) {
    if (source == newest || source->prefix() != newest->prefix()) continue;
    if (source->key() == newest->key()) ARROW_RETURN_NOT_OK(source->Advance());
  }
  ARROW_RETURN_NOT_OK(newest->Advance());
  DropEnded();
  return arrow::Status::OK();
}

arrow::Status KvCursor::EmitVisible(const KvSource& source) {
  if (source.is_delete()) return arrow::Status::OK();
  if (tombstones_ != nullptr && CoveringSequence(source.key()) > source.sequence()) {
    return arrow::Status::OK();
  }
  return source.Emit(&window_);
}

uint64_t KvCursor::CoveringSequence(std::string_view key) {
  const auto holds = [&](const Fragment& fragment) {
    return fragment.begin <= key && (!fragment.end.has_value() || key < *fragment.end);
  };
  if (fragment_ == nullptr || !holds(*fragment_)) {
    const std::vector<Fragment>& fragments = tombstones_->fragments();
    const auto behind =
        std::partition_point(fragments.begin(), fragments.end(),
                             [&](const Fragment& fragment) { return fragment.begin <= key; });
    if (behind == fragments.begin() || !holds(*std::prev(behind))) return 0;
    fragment_ = &*std::prev(behind);
  }
  // Newest first: the first one that the snapshot sees.
  for (const uint64_t sequence : fragment_->sequences) {
    if (sequence <= walk_.snapshot) return sequence;
  }
  return 0;
}

arrow::Status KvCursor::SkipCovered(KvSource* source, uint64_t sequence) {
  // `fragment_` holds the present key.
  if (walk_.reverse()) return source->SkipTo(fragment_->begin, sequence);
  if (fragment_->end.has_value()) return source->SkipTo(*fragment_->end, sequence);
  return source->SkipRest(sequence);
}

void KvCursor::DropEnded() {
  std::erase_if(active_, [](const KvSource* source) { return source->at_end(); });
}

}  // namespace marble

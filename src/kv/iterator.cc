#include "kv/iterator.h"

#include <algorithm>
#include <utility>

namespace marble {
namespace {

// A seek usually wants few rows, a walk many: windows have these bounds and between them a
// kWalkedPerWindow-th of the rows walked since the seek, which bounds what is merged in vain.
constexpr size_t kWindowRowsMin = 16;
constexpr size_t kWindowRowsMax = 256;
constexpr size_t kWalkedPerWindow = 4;

EncodedRange BoundsOf(IteratorOptions* options) {
  EncodedRange bounds;
  if (options->lower.has_value()) bounds.lower = std::move(*options->lower);
  bounds.upper = std::move(options->upper);
  return bounds;
}

}  // namespace

TableIterator::TableIterator(std::shared_ptr<DatabaseCore> core, ReadPoint point,
                             IteratorOptions options)
    : core_(std::move(core)),
      point_(std::move(point)),
      snapshot_(std::move(options.snapshot)),
      bounds_(BoundsOf(&options)) {}

void TableIterator::SeekToFirst() { Start({}, Direction::kForward); }

void TableIterator::SeekToLast() { Start({}, Direction::kReverse); }

void TableIterator::Seek(std::string_view key) {
  if (SeekInWindow(key)) return;
  EncodedRange range;
  range.lower.assign(key);
  Start(std::move(range), Direction::kForward);
}

void TableIterator::SeekForPrev(std::string_view key) {
  EncodedRange range;
  range.upper = Successor(key);
  Start(std::move(range), Direction::kReverse);
}

void TableIterator::LeaveWindow(bool onwards) {
  if (onwards) {
    Pull();
    return;
  }
  // The other way from the key at the edge.
  EncodedRange range;
  if (forward_) {
    range.upper = std::string(key());
  } else {
    range.lower = Successor(key());
  }
  Start(std::move(range), forward_ ? Direction::kReverse : Direction::kForward);
}

void TableIterator::Start(EncodedRange range, Direction direction) {
  range.lower = std::max(range.lower, bounds_.lower);
  if (bounds_.upper.has_value() && (!range.upper.has_value() || *bounds_.upper < *range.upper)) {
    range.upper = bounds_.upper;
  }
  Invalidate(arrow::Status::OK());
  if (range.IsEmpty()) return;
  forward_ = direction == Direction::kForward;
  rows_walked_ = 0;
  if (arrow::Status started = StartCursor(std::move(range), direction); !started.ok()) {
    Invalidate(std::move(started));
    return;
  }
  Pull();
}

arrow::Status TableIterator::StartCursor(EncodedRange range, Direction direction) {
  if (cursor_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(cursor_, KvCursor::Open(point_.view, point_.sequence, bounds_));
  }
  return cursor_->Start(std::move(range), direction);
}

void TableIterator::Pull() {
  auto window =
      cursor_->Next(std::clamp(rows_walked_ / kWalkedPerWindow, kWindowRowsMin, kWindowRowsMax));
  if (!window.ok() || window->empty()) {
    Invalidate(window.status());
    return;
  }
  rows_walked_ += window->size();
  begin_ = at_ = window->data();
  end_ = begin_ + window->size();
}

bool TableIterator::SeekInWindow(std::string_view key) {
  if (!Valid() || !forward_) return false;
  if (key < begin_->first || key > (end_ - 1)->first) return false;
  at_ = std::partition_point(begin_, end_, [&](const Row& row) { return row.first < key; });
  return true;
}

void TableIterator::Invalidate(arrow::Status status) {
  begin_ = at_ = end_ = nullptr;
  status_ = std::move(status);
}

}  // namespace marble

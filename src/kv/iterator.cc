#include "kv/iterator.h"

#include <algorithm>
#include <utility>

#include <arrow/array.h>

namespace marble {
namespace {

// A seek usually wants few rows, a walk many: batches start small, and once a walk turns out to be
// long the reader is made anew for large ones.
constexpr int64_t kSeekBatchRows = 64;
constexpr int64_t kWalkBatchRows = 4096;
constexpr int64_t kLongWalkRows = 1024;

EncodedRange BoundsOf(IteratorOptions* options) {
  EncodedRange bounds;
  if (options->lower.has_value()) bounds.lower = std::move(*options->lower);
  bounds.upper = std::move(options->upper);
  return bounds;
}

// The smallest key behind `key`.
std::string Successor(std::string_view key) {
  std::string next;
  next.reserve(key.size() + 1);
  next.append(key);
  next.push_back('\0');
  return next;
}

}  // namespace

TableIterator::Strings::Strings(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: {
      const auto& strings = static_cast<const arrow::BinaryArray&>(array);
      offsets32_ = strings.raw_value_offsets();
      data_ = reinterpret_cast<const char*>(strings.raw_data());
      break;
    }
    default: {
      const auto& strings = static_cast<const arrow::LargeBinaryArray&>(array);
      offsets64_ = strings.raw_value_offsets();
      data_ = reinterpret_cast<const char*>(strings.raw_data());
      break;
    }
  }
}

TableIterator::TableIterator(std::shared_ptr<DatabaseCore> core, ReadPoint point,
                             IteratorOptions options)
    : core_(std::move(core)),
      point_(std::move(point)),
      snapshot_(std::move(options.snapshot)),
      bounds_(BoundsOf(&options)) {}

void TableIterator::SeekToFirst() { Start({}, Direction::kForward, kSeekBatchRows); }

void TableIterator::SeekToLast() { Start({}, Direction::kReverse, kSeekBatchRows); }

void TableIterator::Seek(std::string_view key) {
  if (SeekInBatch(key)) return;
  EncodedRange range;
  range.lower.assign(key);
  Start(std::move(range), Direction::kForward, kSeekBatchRows);
}

void TableIterator::SeekForPrev(std::string_view key) {
  EncodedRange range;
  range.upper = Successor(key);
  Start(std::move(range), Direction::kReverse, kSeekBatchRows);
}

void TableIterator::Next() { Step(Direction::kForward); }

void TableIterator::Prev() { Step(Direction::kReverse); }

void TableIterator::Step(Direction direction) {
  if (row_ < 0) return;
  if (direction == direction_) {
    if (row_ + 1 < rows_) [[likely]] {
      ++row_;
      return;
    }
  } else if (row_ > 0) {
    --row_;
    return;
  }
  Cross(direction);
}

void TableIterator::Cross(Direction direction) {
  const bool onwards = direction == direction_;
  walked_ = onwards ? walked_ + rows_ : 0;
  const int64_t batch_rows = walked_ < kLongWalkRows ? kSeekBatchRows : kWalkBatchRows;
  if (onwards && batch_rows == batch_rows_) {
    Pull();
    return;
  }
  EncodedRange range;
  if (direction == Direction::kForward) {
    range.lower = Successor(key());
  } else {
    range.upper = std::string(key());
  }
  const int64_t walked = walked_;
  Start(std::move(range), direction, batch_rows);
  walked_ = walked;
}

void TableIterator::Start(EncodedRange range, Direction direction, int64_t batch_rows) {
  range.lower = std::max(range.lower, bounds_.lower);
  if (bounds_.upper.has_value() && (!range.upper.has_value() || *bounds_.upper < *range.upper)) {
    range.upper = bounds_.upper;
  }
  Invalidate(arrow::Status::OK());
  direction_ = direction;
  batch_rows_ = batch_rows;
  if (range.IsEmpty()) return;
  ReadRequest request;
  request.columns = {0, 1};
  request.range = std::move(range);
  request.direction = direction;
  request.snapshot = point_.sequence;
  request.want_keys = false;
  request.batch_rows = batch_rows;
  auto reader = ReadRange(point_.view, std::move(request), batch_rows, /*batch_rows_first=*/0);
  if (!reader.ok()) {
    Invalidate(reader.status());
    return;
  }
  reader_ = std::move(reader).ValueUnsafe();
  Pull();
}

void TableIterator::Pull() {
  auto next = reader_->Next();
  if (!next.ok()) {
    Invalidate(next.status());
    return;
  }
  if (!next->has_value()) {
    Invalidate(arrow::Status::OK());
    return;
  }
  batch_ = std::move((*next)->columns);
  keys_ = Strings(*batch_->column(0));
  values_ = Strings(*batch_->column(1));
  rows_ = batch_->num_rows();
  row_ = 0;
}

bool TableIterator::SeekInBatch(std::string_view key) {
  if (row_ < 0 || direction_ != Direction::kForward) return false;
  if (key < keys_[0] || key > keys_[rows_ - 1]) return false;
  int64_t low = 0;
  int64_t high = rows_ - 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (keys_[middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  row_ = low;
  return true;
}

void TableIterator::Invalidate(arrow::Status status) {
  reader_.reset();
  batch_.reset();
  row_ = -1;
  rows_ = 0;
  walked_ = 0;
  status_ = std::move(status);
}

}  // namespace marble

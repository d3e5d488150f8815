#include "tree/batch_readers.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace marble {

namespace {

/// A batch that is copied together ends at about this many bytes however few rows that is.
constexpr int64_t kBatchBytes = int64_t{64} << 20;

class SliceReader final : public SortedReader {
 public:
  SliceReader(std::shared_ptr<const BatchStore> store, std::vector<RunSlice> slices,
              const ReadRequest& request, BatchRowBuilder builder)
      : store_(std::move(store)),
        slices_(std::move(slices)),
        reverse_(request.direction == Direction::kReverse),
        want_keys_(request.want_keys),
        batch_rows_(std::max<int64_t>(request.batch_rows, 1)),
        builder_(std::move(builder)) {
    // The next slice is always the last one.
    if (!reverse_) std::ranges::reverse(slices_);
  }

  arrow::Result<std::optional<RowBatch>> Next() override {
    taken_.clear();
    int64_t rows = 0;
    int64_t bytes = 0;
    while (!slices_.empty() && rows < batch_rows_ && bytes < kBatchBytes) {
      RunSlice& next = slices_.back();
      const int64_t length = next.end - next.begin;
      // Do not copy what is long enough to stand alone, nor join row ids that are not contiguous.
      if (rows > 0 && (IsLong(length) || !Joins(next))) break;
      const int64_t take = std::min(length, batch_rows_ - rows);
      if (reverse_) {
        taken_.push_back({next.run, next.end - take, next.end});
        next.end -= take;
      } else {
        taken_.push_back({next.run, next.begin, next.begin + take});
        next.begin += take;
      }
      if (next.begin == next.end) slices_.pop_back();
      rows += take;
      bytes += take * (*store_)[taken_.back().run].row_bytes;
      if (taken_.size() == 1 && IsLong(length)) break;
    }
    if (taken_.empty()) return std::nullopt;
    if (reverse_) std::ranges::reverse(taken_);
    return builder_.Build(taken_);
  }

 private:
  bool IsLong(int64_t length) const { return length >= batch_rows_ / 2; }

  bool Joins(const RunSlice& next) const {
    if (!want_keys_ || (*store_)[next.run].rows().keys.size() != 0) return true;
    const RunSlice& last = taken_.back();
    const RunSlice& lower = reverse_ ? next : last;
    const RunSlice& upper = reverse_ ? last : next;
    return (*store_)[lower.run].first_row_id + static_cast<uint64_t>(lower.end) ==
           (*store_)[upper.run].first_row_id + static_cast<uint64_t>(upper.begin);
  }

  const std::shared_ptr<const BatchStore> store_;
  std::vector<RunSlice> slices_;
  const bool reverse_;
  const bool want_keys_;
  const int64_t batch_rows_;
  BatchRowBuilder builder_;
  std::vector<RunSlice> taken_;
};

class IndexReader final : public SortedReader {
 public:
  IndexReader(std::shared_ptr<const BatchStore> store, std::shared_ptr<const RunList> runs,
              const ReadRequest& request, BatchRowBuilder builder)
      : store_(std::move(store)),
        merger_(store_.get(), std::move(runs), request.range, request.direction),
        reverse_(request.direction == Direction::kReverse),
        snapshot_(request.snapshot),
        batch_rows_(static_cast<size_t>(std::max<int64_t>(request.batch_rows, 1))),
        builder_(std::move(builder)) {
    Advance();
  }

  arrow::Result<std::optional<RowBatch>> Next() override {
    handles_.clear();
    int64_t bytes = 0;
    while (next_.has_value()) {
      const bool full = handles_.size() >= batch_rows_ || bytes >= kBatchBytes;
      // Versions of a key stay together.
      if (full && store_->key(handles_.back()) != store_->key(*next_)) break;
      handles_.push_back(*next_);
      bytes += (*store_)[BatchStore::RunOf(*next_)].row_bytes;
      Advance();
    }
    if (handles_.empty()) return std::nullopt;
    if (reverse_) std::ranges::reverse(handles_);
    slices_.clear();
    for (const uint64_t handle : handles_) {
      const int64_t run = BatchStore::RunOf(handle);
      const int64_t row = BatchStore::RowOf(handle);
      if (!slices_.empty() && slices_.back().run == run && slices_.back().end == row) {
        ++slices_.back().end;
      } else {
        slices_.push_back({run, row, row + 1});
      }
    }
    return builder_.Build(slices_);
  }

 private:
  /// Sets `next_` to the next row that the snapshot sees, or to nothing at the end.
  void Advance() {
    uint64_t handle = 0;
    while (merger_.Next(&handle)) {
      if (store_->sequence(handle) > snapshot_) continue;
      next_ = handle;
      return;
    }
    next_.reset();
  }

  const std::shared_ptr<const BatchStore> store_;
  RunMerger<BatchStore> merger_;
  const bool reverse_;
  const uint64_t snapshot_;
  const size_t batch_rows_;
  BatchRowBuilder builder_;
  std::optional<uint64_t> next_;
  std::vector<uint64_t> handles_;
  std::vector<RunSlice> slices_;
};

}  // namespace

std::unique_ptr<SortedReader> NewSliceReader(std::shared_ptr<const BatchStore> store,
                                             std::vector<RunSlice> slices,
                                             const ReadRequest& request, BatchRowBuilder builder) {
  return std::make_unique<SliceReader>(std::move(store), std::move(slices), request,
                                       std::move(builder));
}

std::unique_ptr<SortedReader> NewIndexReader(std::shared_ptr<const BatchStore> store,
                                             std::shared_ptr<const RunList> runs,
                                             const ReadRequest& request, BatchRowBuilder builder) {
  return std::make_unique<IndexReader>(std::move(store), std::move(runs), request,
                                       std::move(builder));
}

}  // namespace marble

#include "tree/run_reader.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace marble {
namespace {

class RunReader : public SortedReader {
 public:
  RunReader(std::shared_ptr<const Run> run, ReadRequest request,
            std::shared_ptr<const RangeTombstoneSet> tombstones)
      : run_(std::move(run)), request_(std::move(request)), tombstones_(std::move(tombstones)) {
    if (tombstones_ != nullptr && tombstones_->empty()) tombstones_ = nullptr;
    if (!request_.range.IsEmpty()) {
      std::tie(files_begin_, files_end_) = FilesInRange(*run_, request_.range);
    }
  }

  arrow::Result<std::optional<RowBatch>> Next() override {
    for (;;) {
      if (blocks_begin_ == blocks_end_) {
        if (files_begin_ == files_end_) return std::nullopt;
        ARROW_RETURN_NOT_OK(OpenFile(*run_->files[reverse() ? --files_end_ : files_begin_++]));
        continue;
      }
      const int64_t block = reverse() ? --blocks_end_ : blocks_begin_++;
      ARROW_ASSIGN_OR_RAISE(const bool covered, IsCovered(block));
      if (covered) continue;
      file_->ReadAhead(block, &walk_);
      ARROW_ASSIGN_OR_RAISE(RowBatch rows, ReadBlock(block));
      if (rows.num_rows() > 0) return rows;
    }
  }

 private:
  bool reverse() const { return request_.direction == Direction::kReverse; }
  arrow::Status OpenFile(const TableFile& file);
  arrow::Result<bool> IsCovered(int64_t block) const;
  arrow::Result<RowBatch> ReadBlock(int64_t block) const;

  const std::shared_ptr<const Run> run_;
  const ReadRequest request_;
  std::shared_ptr<const RangeTombstoneSet> tombstones_;  // null if there are none
  size_t files_begin_ = 0;                               // files not opened yet
  size_t files_end_ = 0;
  std::shared_ptr<SstReader> file_;
  BlockWalk walk_;            // of file_
  int64_t blocks_begin_ = 0;  // blocks of file_ not read yet
  int64_t blocks_end_ = 0;
  int64_t lower_block_ = -1;  // the blocks that the range's ends may cut; -1 if none
  int64_t upper_block_ = -1;
};

arrow::Status RunReader::OpenFile(const TableFile& file) {
  const FileMeta& meta = file.meta();
  blocks_begin_ = blocks_end_ = 0;
  if (meta.rows == 0) return arrow::Status::OK();
  if (tombstones_ != nullptr && !meta.largest_exclusive && !meta.unbounded_end &&
      tombstones_->CoversAll(meta.smallest, meta.largest, meta.sequence_max, request_.snapshot)) {
    return arrow::Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(file_, file.shared_reader());
  walk_ = {};
  blocks_end_ = file_->num_blocks();
  lower_block_ = upper_block_ = -1;
  if (!request_.range.lower.empty()) {
    ARROW_ASSIGN_OR_RAISE(blocks_begin_, file_->FindBlock(request_.range.lower));
    lower_block_ = blocks_begin_;
  }
  if (request_.range.upper.has_value()) {
    // Blocks before the first one that ends at or behind the bound lie below it, those after it
    // beyond.
    ARROW_ASSIGN_OR_RAISE(upper_block_, file_->FindBlock(*request_.range.upper));
    blocks_end_ = std::min(blocks_end_, upper_block_ + 1);
  }
  blocks_begin_ = std::min(blocks_begin_, blocks_end_);
  return arrow::Status::OK();
}

arrow::Result<bool> RunReader::IsCovered(int64_t block) const {
  if (tombstones_ == nullptr) return false;
  ARROW_ASSIGN_OR_RAISE(const std::string_view first, file_->BlockFirstKey(block));
  ARROW_ASSIGN_OR_RAISE(const std::string_view last, file_->BlockLastKey(block));
  return tombstones_->CoversAll(first, last, file_->meta().sequence_max, request_.snapshot);
}

/// The block's rows within the range, possibly none.
arrow::Result<RowBatch> RunReader::ReadBlock(int64_t block) const {
  const bool cut = block == lower_block_ || block == upper_block_;
  const bool want_keys = request_.want_keys || cut;
  ARROW_ASSIGN_OR_RAISE(RowBatch rows, file_->ReadBlock(block, request_.columns, want_keys));
  if (!want_keys && !rows.unique_keys) {
    ARROW_ASSIGN_OR_RAISE(rows, file_->ReadBlock(block, request_.columns, /*want_keys=*/true));
  }
  if (cut) {
    const int64_t size = rows.num_rows();
    const int64_t begin =
        block == lower_block_ && size > 0 ? rows.keys.LowerBound(request_.range.lower, 0, size) : 0;
    const int64_t end = block == upper_block_ && size > 0
                            ? rows.keys.LowerBound(*request_.range.upper, begin, size)
                            : size;
    if (begin > 0 || end < size) rows = rows.Slice(begin, end - begin);
  }
  if (!request_.want_keys && rows.unique_keys) rows.keys = EncodedKeys();
  return rows;
}

}  // namespace

bool EndsBefore(const FileMeta& file, std::string_view key) {
  if (file.unbounded_end || file.largest.empty()) return false;
  return file.largest_exclusive ? file.largest <= key : file.largest < key;
}

std::pair<size_t, size_t> FilesInRange(const Run& run, const EncodedRange& range) {
  const auto& files = run.files;
  const auto first = std::partition_point(files.begin(), files.end(), [&](const auto& file) {
    return EndsBefore(file->meta(), range.lower);
  });
  const auto last = std::partition_point(first, files.end(), [&](const auto& file) {
    return !range.upper.has_value() || file->meta().smallest < *range.upper;
  });
  return {static_cast<size_t>(first - files.begin()), static_cast<size_t>(last - files.begin())};
}

std::unique_ptr<SortedReader> NewRunReader(std::shared_ptr<const Run> run, ReadRequest request,
                                           std::shared_ptr<const RangeTombstoneSet> tombstones) {
  return std::make_unique<RunReader>(std::move(run), std::move(request), std::move(tombstones));
}

std::unique_ptr<SortedReader> NewRunReader(std::shared_ptr<const Run> run, ReadRequest request) {
  return NewRunReader(std::move(run), std::move(request), nullptr);
}

}  // namespace marble

#include "tree/run_reader.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <tuple>
#include <vector>

#include "base/early_work.h"
#include "row/gather_rows.h"

namespace marble {
namespace {

// Bytes of the blocks that are read together, from the third time on: enough for a hand-over
// between threads to cost nothing beside them. Below that a range may be short.
constexpr int64_t kGroupBytesMin = 64 << 10;
constexpr int64_t kGroupBytesMax = 1 << 20;
constexpr int64_t kLoneGroups = 2;
// Groups that helpers read while the caller is busy with the one before.
constexpr size_t kGroupsAhead = 2;

/// Blocks of a file one after the other, in the order of reading.
struct BlockGroup {
  std::shared_ptr<SstReader> file;
  std::vector<int64_t> blocks;
  int64_t lower_block = -1;  // the blocks that the range's ends may cut; -1 if none
  int64_t upper_block = -1;
};

/// What was read before an error, and the error.
struct GroupRows {
  std::vector<RowBatch> batches;  // none of them empty
  arrow::Status status;
};

/// The block's rows within the range, possibly none.
arrow::Result<RowBatch> ReadRows(const ReadRequest& request, const BlockGroup& group,
                                 int64_t block) {
  const bool cut = block == group.lower_block || block == group.upper_block;
  const bool want_keys = request.want_keys || cut;
  ARROW_ASSIGN_OR_RAISE(RowBatch rows, group.file->ReadBlock(block, request.columns, want_keys));
  if (!want_keys && !rows.unique_keys) {
    ARROW_ASSIGN_OR_RAISE(rows, group.file->ReadBlock(block, request.columns, /*want_keys=*/true));
  }
  if (cut) {
    const int64_t size = rows.num_rows();
    const int64_t begin = block == group.lower_block && size > 0
                              ? rows.keys.LowerBound(request.range.lower, 0, size)
                              : 0;
    const int64_t end = block == group.upper_block && size > 0
                            ? rows.keys.LowerBound(*request.range.upper, begin, size)
                            : size;
    if (begin > 0 || end < size) rows = rows.Slice(begin, end - begin);
  }
  if (!request.want_keys && rows.unique_keys) rows.keys = EncodedKeys();
  return rows;
}

/// Those of them that the filter keeps; of a block in which a row may hide another one, all. So it
/// is where the filter fails: there are rows here that nobody is to see, and it may fail of them
/// alone (a delete's row has zeros where nothing was ever divided by zero).
arrow::Result<RowBatch> ReadKept(const ReadRequest& request, const BlockGroup& group,
                                 int64_t block) {
  const RowFilter& filter = *request.filter->rows;
  std::optional<Selection> selection;
  RowBatch rows;
  if (block != group.lower_block && block != group.upper_block) {
    // The other columns are read where a row is left.
    ARROW_ASSIGN_OR_RAISE(RowBatch named,
                          group.file->ReadBlock(block, filter.columns(), /*want_keys=*/false));
    if (!named.unique_keys) return ReadRows(request, group, block);
    auto selected = filter.Select(*named.columns);
    if (!selected.ok()) return ReadRows(request, group, block);
    selection = *std::move(selected);
    if (selection->count == 0) return named.Slice(0, 0);
    if (!request.want_keys && request.columns == filter.columns()) rows = std::move(named);
  }
  if (rows.columns == nullptr) {
    ARROW_ASSIGN_OR_RAISE(rows, ReadRows(request, group, block));
  }
  if (!rows.unique_keys) return rows;
  if (!selection.has_value()) {
    const auto named = SelectColumns(*rows.columns, request.columns, filter.columns());
    auto selected = filter.Select(*named);
    if (!selected.ok()) return rows;
    selection = *std::move(selected);
  }
  if (request.filter->MustCut(*selection)) {
    // Results belong to the caller, so they do not count against the engine's budget.
    ARROW_ASSIGN_OR_RAISE(
        rows, GatherOf(rows, selection->Slices(selection->count), arrow::default_memory_pool()));
  }
  rows.filtered = true;
  return rows;
}

GroupRows ReadGroup(const ReadRequest& request, const BlockGroup& group) {
  GroupRows read;
  for (const int64_t block : group.blocks) {
    auto rows = request.filter == nullptr ? ReadRows(request, group, block)
                                          : ReadKept(request, group, block);
    if (!rows.ok()) {
      read.status = rows.status();
      break;
    }
    if (rows->num_rows() > 0) read.batches.push_back(*std::move(rows));
  }
  return read;
}

bool IsReady(const ReadRequest& request, const BlockGroup& group) {
  return std::all_of(group.blocks.begin(), group.blocks.end(), [&](int64_t block) {
    return group.file->IsReady(block, request.columns, request.want_keys);
  });
}

class RunReader : public SortedReader {
 public:
  RunReader(std::shared_ptr<const Run> run, ReadRequest request,
            std::shared_ptr<const RangeTombstoneSet> tombstones)
      : run_(std::move(run)),
        request_(std::make_shared<const ReadRequest>(std::move(request))),
        tombstones_(std::move(tombstones)) {
    if (tombstones_ != nullptr && tombstones_->empty()) tombstones_ = nullptr;
    if (!request_->range.IsEmpty()) {
      std::tie(files_begin_, files_end_) = FilesInRange(*run_, request_->range);
    }
  }

  arrow::Result<std::optional<RowBatch>> Next() override {
    while (next_ == read_.batches.size()) {
      ARROW_RETURN_NOT_OK(read_.status);
      AskForGroups();
      if (groups_.empty()) {
        ARROW_RETURN_NOT_OK(end_);
        return std::nullopt;
      }
      read_ = groups_.front().Take();
      groups_.pop_front();
      next_ = 0;
    }
    return std::move(read_.batches[next_++]);
  }

 private:
  bool reverse() const { return request_->direction == Direction::kReverse; }
  bool alone() const { return request_->helpers == nullptr || groups_made_ < kLoneGroups; }
  arrow::Status OpenFile(const TableFile& file);
  arrow::Result<bool> IsCovered(int64_t block) const;
  bool MayKeep(int64_t block) const {
    return may_keep_.empty() || may_keep_[static_cast<size_t>(block)];
  }
  arrow::Result<std::optional<BlockGroup>> NextGroup();
  void AskForGroups();

  const std::shared_ptr<const Run> run_;
  const std::shared_ptr<const ReadRequest> request_;     // shared with reads under way
  std::shared_ptr<const RangeTombstoneSet> tombstones_;  // null if there are none
  size_t files_begin_ = 0;                               // files not opened yet
  size_t files_end_ = 0;
  std::shared_ptr<SstReader> file_;
  BlockWalk walk_;            // of file_
  int64_t blocks_begin_ = 0;  // blocks of file_ that belong to no group yet
  int64_t blocks_end_ = 0;
  int64_t lower_block_ = -1;  // as in BlockGroup
  int64_t upper_block_ = -1;
  std::vector<bool> may_keep_;  // by block of file_; empty if every block has to be read

  int64_t groups_made_ = 0;
  int64_t group_bytes_ = kGroupBytesMin;
  bool ended_ = false;  // no more groups, because of
  arrow::Status end_;
  GroupRows read_;   // the group whose rows are given out
  size_t next_ = 0;  // of its batches
  std::deque<EarlyWork<GroupRows>> groups_;
};

/// The blocks to be read next; nullopt at the end.
arrow::Result<std::optional<BlockGroup>> RunReader::NextGroup() {
  while (blocks_begin_ == blocks_end_) {
    if (files_begin_ == files_end_) return std::nullopt;
    ARROW_RETURN_NOT_OK(OpenFile(*run_->files[reverse() ? --files_end_ : files_begin_++]));
  }
  BlockGroup group{file_, {}, lower_block_, upper_block_};
  const int64_t block_bytes = static_cast<int64_t>(file_->meta().size) / file_->num_blocks();
  int64_t bytes = 0;
  while (blocks_begin_ < blocks_end_ && (bytes == 0 || (!alone() && bytes < group_bytes_))) {
    const int64_t block = reverse() ? --blocks_end_ : blocks_begin_++;
    if (!MayKeep(block)) continue;
    ARROW_ASSIGN_OR_RAISE(const bool covered, IsCovered(block));
    if (covered) continue;
    file_->ReadAhead(block, &walk_);
    group.blocks.push_back(block);
    bytes += block_bytes;
  }
  if (!alone()) group_bytes_ = std::min(2 * group_bytes_, kGroupBytesMax);
  ++groups_made_;
  return group;
}

void RunReader::AskForGroups() {
  const size_t wanted = alone() ? 1 : 1 + kGroupsAhead;
  while (!ended_ && groups_.size() < wanted) {
    auto group = NextGroup();
    if (!group.ok() || !group->has_value()) {
      ended_ = true;
      end_ = group.status();
      return;
    }
    // The first one is wanted at once.
    const bool early =
        !groups_.empty() && (request_->filter != nullptr || !IsReady(*request_, **group));
    groups_.emplace_back(
        [request = request_, group = **std::move(group)] { return ReadGroup(*request, group); },
        early ? request_->helpers : nullptr);
  }
}

arrow::Status RunReader::OpenFile(const TableFile& file) {
  const FileMeta& meta = file.meta();
  blocks_begin_ = blocks_end_ = 0;
  if (meta.rows == 0) return arrow::Status::OK();
  if (tombstones_ != nullptr && !meta.largest_exclusive && !meta.unbounded_end &&
      tombstones_->CoversAll(meta.smallest, meta.largest, meta.sequence_max, request_->snapshot)) {
    return arrow::Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(file_, file.shared_reader());
  walk_ = {};
  may_keep_.clear();
  if (request_->filter != nullptr && request_->filter->zones != nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto zones, file_->ReadZoneMaps());
    may_keep_ = request_->filter->zones->MayKeep(zones);
    if (!may_keep_.back()) return arrow::Status::OK();
  }
  blocks_end_ = file_->num_blocks();
  lower_block_ = upper_block_ = -1;
  if (!request_->range.lower.empty()) {
    ARROW_ASSIGN_OR_RAISE(blocks_begin_, file_->FindBlock(request_->range.lower));
    lower_block_ = blocks_begin_;
  }
  if (request_->range.upper.has_value()) {
    // Blocks before the first one that ends at or behind the bound lie below it, those after it
    // beyond.
    ARROW_ASSIGN_OR_RAISE(upper_block_, file_->FindBlock(*request_->range.upper));
    blocks_end_ = std::min(blocks_end_, upper_block_ + 1);
  }
  blocks_begin_ = std::min(blocks_begin_, blocks_end_);
  return arrow::Status::OK();
}

arrow::Result<bool> RunReader::IsCovered(int64_t block) const {
  if (tombstones_ == nullptr) return false;
  ARROW_ASSIGN_OR_RAISE(const std::string_view first, file_->BlockFirstKey(block));
  ARROW_ASSIGN_OR_RAISE(const std::string_view last, file_->BlockLastKey(block));
  return tombstones_->CoversAll(first, last, file_->meta().sequence_max, request_->snapshot);
}

}  // namespace

std::pair<size_t, size_t> FilesInRange(const Run& run, const EncodedRange& range) {
  const auto& files = run.files;
  const size_t first = run.FirstFrom(range.lower);
  if (!range.upper.has_value()) return {first, files.size()};
  const auto last =
      std::partition_point(files.begin() + static_cast<std::ptrdiff_t>(first), files.end(),
                           [&](const auto& file) { return file->meta().smallest < *range.upper; });
  return {first, static_cast<size_t>(last - files.begin())};
}

std::unique_ptr<SortedReader> NewRunReader(std::shared_ptr<const Run> run, ReadRequest request,
                                           std::shared_ptr<const RangeTombstoneSet> tombstones) {
  return std::make_unique<RunReader>(std::move(run), std::move(request), std::move(tombstones));
}

std::unique_ptr<SortedReader> NewRunReader(std::shared_ptr<const Run> run, ReadRequest request) {
  return NewRunReader(std::move(run), std::move(request), nullptr);
}

}  // namespace marble

#include "tree/kv_source.h"

#include <algorithm>
#include <tuple>

#include "tree/entry_sort.h"
#include "tree/run_reader.h"

namespace marble {

namespace {

/// Rows whose values are asked for together at the place of a seek.
constexpr int64_t kRowsAskedFor = 64;

/// Blocks of which one takes the time of searches: reading the clock is not free.
constexpr int64_t kBlocksPerWatch = 8;

bool IsWatched(int64_t block) { return block % kBlocksPerWatch == 0; }

}  // namespace

arrow::Status KvSource::Start() {
  at_end_ = false;
  if (memtable_ == nullptr) return StartRun();
  StartMemtable();
  step_ = Step::kSettle;
  return arrow::Status::OK();
}

arrow::Status KvSource::Arrive() {
  if (memtable_ == nullptr) return StepRun();
  step_ = Step::kThere;
  return AdvanceMemtable();
}

arrow::Status KvSource::Emit(KvWindow* window) const {
  std::string_view value;
  if (memtable_ != nullptr) {
    value = record_->value();
  } else if (!columns_.ValueAt(version_, &value)) {
    return reader_->DamagedRow(block_);
  }
  *window->end() = {key_, value};
  window->Append(1, owner_);
  return arrow::Status::OK();
}

arrow::Status KvSource::EmitPlain(const WalkBound& bound, size_t rows_max, KvWindow* window) {
  // A copy: what is written to the window cannot change it, so it stays in registers.
  const KvColumns columns = columns_;
  const bool reverse = walk_->reverse();
  const auto left = static_cast<size_t>(end_ - begin_);
  const auto count = static_cast<int64_t>(std::min(left, rows_max - window->size()));
  KvRow* const out = window->end();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = reverse ? end_ - 1 - i : begin_ + i;
    std::string_view key;
    std::string_view value;
    if (!columns.KeyAt(row, &key)) return reader_->DamagedRow(block_);
    const uint64_t prefix = walk_->PrefixOf(key);
    if (walk_->IsReached(bound, key, prefix)) {
      (reverse ? end_ : begin_) = reverse ? row + 1 : row;
      window->Append(static_cast<size_t>(i), owner_);
      StandOn(row, key, prefix);
      return arrow::Status::OK();
    }
    if (!columns.ValueAt(row, &value)) return reader_->DamagedRow(block_);
    PrefetchLine(value.data());  // mostly it is looked at next
    out[i] = {key, value};
  }
  window->Append(static_cast<size_t>(count), owner_);
  group_ = count;
  return AdvanceRun();
}

arrow::Status KvSource::SkipTo(std::string_view key, uint64_t sequence) {
  if (memtable_ == nullptr) return Passed(key) ? arrow::Status::OK() : SkipRunTo(key, sequence);
  while (!Passed(key)) ARROW_RETURN_NOT_OK(AdvanceMemtable());
  return arrow::Status::OK();
}

arrow::Status KvSource::SkipRest(uint64_t sequence) {
  if (memtable_ != nullptr) {
    at_end_ = true;
    return arrow::Status::OK();
  }
  begin_ = end_;
  blocks_begin_ = blocks_end_;
  SkipFilesTo(std::nullopt, sequence);
  return Settle();
}

// --- A run.

arrow::Status KvSource::StartRun() {
  owner_.reset();
  blocks_begin_ = blocks_end_ = 0;
  begin_ = end_ = 0;
  files_begin_ = files_end_ = 0;
  search_.reset();
  if (!walk_->range.IsEmpty())
    std::tie(files_begin_, files_end_) = FilesInRange(*run_, walk_->range);
  ARROW_ASSIGN_OR_RAISE(const bool any, FindBlocks());
  step_ = any ? Step::kLoad : Step::kSettle;
  if (any) reader_->PrefetchKvBlock(walk_->reverse() ? blocks_end_ - 1 : blocks_begin_);
  return arrow::Status::OK();
}

arrow::Status KvSource::StepRun() {
  if (step_ == Step::kSettle) {
    ARROW_RETURN_NOT_OK(Settle());
    step_ = Step::kThere;
    return arrow::Status::OK();
  }
  ARROW_RETURN_NOT_OK(step_ == Step::kLoad ? LoadBlock(TakeBlock()) : SearchBlock());
  step_ = searching() ? Step::kSearch : Step::kSettle;
  return arrow::Status::OK();
}

void KvSource::Prefetch() const {
  if (memtable_ != nullptr) return;
  if (searching()) {
    search_->Prefetch();
  } else if (step_ == Step::kSettle && begin_ < end_) {
    columns_.PrefetchRow(walk_->reverse() ? end_ - 1 : begin_, plain_);
  }
}

arrow::Status KvSource::AdvanceRun() {
  if (walk_->reverse()) {
    end_ -= group_;
  } else {
    begin_ += group_;
  }
  return Settle();
}

arrow::Status KvSource::SkipRunTo(std::string_view key, uint64_t sequence) {
  const bool reverse = walk_->reverse();
  ARROW_ASSIGN_OR_RAISE(const std::string_view edge,
                        reverse ? reader_->BlockFirstKey(block_) : reader_->BlockLastKey(block_));
  if (reverse ? edge >= key : edge < key) {
    // Not in this block: the others are passed over unread.
    begin_ = end_;
    ARROW_ASSIGN_OR_RAISE(const int64_t block, reader_->FindBlock(key));
    if (reverse) {
      blocks_end_ = std::clamp(block + 1, blocks_begin_, blocks_end_);
    } else {
      blocks_begin_ = std::clamp(block, blocks_begin_, blocks_end_);
    }
    if (blocks_begin_ == blocks_end_) SkipFilesTo(key, sequence);
    const TableFile* file = file_;
    ARROW_RETURN_NOT_OK(Settle());
    // Another file may hold newer rows: whoever skips has to look at it first.
    return file_ != file || Passed(key) ? arrow::Status::OK() : SkipRunTo(key, sequence);
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t row, RowOf(key));
  (reverse ? end_ : begin_) = std::clamp(row, begin_, end_);
  return Settle();
}

void KvSource::SkipFilesTo(std::optional<std::string_view> key, uint64_t sequence) {
  while (files_begin_ < files_end_) {
    const bool reverse = walk_->reverse();
    const TableFile& file = *run_->files[reverse ? files_end_ - 1 : files_begin_];
    const bool before = !key || (reverse ? file.meta().smallest >= *key : file.EndsBefore(*key));
    if (!before || file.meta().sequence_max >= sequence) return;
    reverse ? --files_end_ : ++files_begin_;
  }
}

arrow::Status KvSource::Settle() {
  for (;;) {
    while (begin_ >= end_) {
      ARROW_ASSIGN_OR_RAISE(const bool more, NextBlock());
      if (more) continue;
      at_end_ = true;
      return arrow::Status::OK();
    }
    if (plain_) return StandOnPlainRow();
    bool visible = false;
    ARROW_RETURN_NOT_OK(ResolveGroup(&visible));
    if (visible) return arrow::Status::OK();
    if (walk_->reverse()) {
      end_ -= group_;
    } else {
      begin_ += group_;
    }
  }
}

arrow::Result<bool> KvSource::NextBlock() {
  ARROW_ASSIGN_OR_RAISE(const bool any, FindBlocks());
  if (!any) return false;
  ARROW_RETURN_NOT_OK(LoadBlock(TakeBlock()));
  while (searching()) {
    search_->Prefetch();
    ARROW_RETURN_NOT_OK(SearchBlock());
  }
  return true;
}

arrow::Result<bool> KvSource::FindBlocks() {
  while (blocks_begin_ == blocks_end_) {
    if (files_begin_ == files_end_) return false;
    ARROW_RETURN_NOT_OK(OpenFile(*run_->files[walk_->reverse() ? --files_end_ : files_begin_++]));
  }
  return true;
}

arrow::Status KvSource::OpenFile(const TableFile& file) {
  blocks_begin_ = blocks_end_ = 0;
  lower_block_ = upper_block_ = -1;
  const FileMeta& meta = file.meta();
  if (meta.rows == 0 || meta.sequence_min > walk_->snapshot) return arrow::Status::OK();
  file_ = &file;
  ARROW_ASSIGN_OR_RAISE(reader_, file.reader());
  blocks_walk_ = {};
  const EncodedRange& range = walk_->range;
  blocks_end_ = reader_->num_blocks();
  if (!range.lower.empty() && meta.smallest < range.lower) {
    ARROW_ASSIGN_OR_RAISE(blocks_begin_, reader_->FindBlock(range.lower));
    lower_block_ = blocks_begin_;
  }
  if (range.upper.has_value() &&
      (meta.largest_exclusive || meta.unbounded_end || meta.largest >= *range.upper)) {
    ARROW_ASSIGN_OR_RAISE(upper_block_, reader_->FindBlock(*range.upper));
    blocks_end_ = std::min(blocks_end_, upper_block_ + 1);
  }
  blocks_begin_ = std::min(blocks_begin_, blocks_end_);
  return arrow::Status::OK();
}

arrow::Status KvSource::LoadBlock(int64_t block) {
  block_ = block;
  reader_->ReadAhead(block, &blocks_walk_);
  const bool cut_below = block == lower_block_;
  const bool cut_above = block == upper_block_;
  const ScarceMemory::Watch watch(reader_->memory(), (cut_below || cut_above) && IsWatched(block));
  ARROW_RETURN_NOT_OK(reader_->ReadKvBlock(block, &columns_, &owner_));
  plain_ = columns_.IsPlain(walk_->snapshot);
  begin_ = 0;
  end_ = columns_.rows;
  if (cut_below || cut_above) AskForKeys();
  const bool reverse = walk_->reverse();
  if (reverse ? cut_above : cut_below) {
    const std::string_view edge = reverse ? *walk_->range.upper : walk_->range.lower;
    search_.emplace(&columns_.keys, columns_.rows, edge);
  }
  if (reverse && cut_below) return RowOf(walk_->range.lower).Value(&begin_);
  if (!reverse && cut_above) return RowOf(*walk_->range.upper).Value(&end_);
  return arrow::Status::OK();
}

arrow::Status KvSource::SearchBlock() {
  const ScarceMemory::Watch watch(reader_->memory(), IsWatched(block_));
  if (!search_->done() && !search_->Step()) return reader_->DamagedRow(block_);
  if (!search_->done()) return arrow::Status::OK();
  (walk_->reverse() ? end_ : begin_) = search_->row();
  search_.reset();
  AskForValues();
  return arrow::Status::OK();
}

arrow::Result<int64_t> KvSource::RowOf(std::string_view key) const {
  KvSearch search(&columns_.keys, columns_.rows, key);
  while (!search.done()) {
    search.Prefetch();
    if (!search.Step()) return reader_->DamagedRow(block_);
  }
  return search.row();
}

void KvSource::AskForKeys() {
  if (owner_ != nullptr || !reader_->memory()->ShouldAsk()) return;
  reader_->WillRead({columns_.keys.data, columns_.keys.bytes});
}

void KvSource::AskForValues() {
  const int64_t rows = std::min(kRowsAskedFor, end_ - begin_);
  if (rows <= 0 || owner_ != nullptr || !reader_->memory()->ShouldAsk()) return;
  const int64_t first = walk_->reverse() ? end_ - rows : begin_;
  std::string_view begin;
  std::string_view end;
  if (!columns_.ValueAt(first, &begin) || !columns_.ValueAt(first + rows - 1, &end)) return;
  if (begin.data() == nullptr || end.data() < begin.data()) return;
  reader_->WillRead({begin.data(), static_cast<size_t>(end.data() + end.size() - begin.data())});
}

arrow::Status KvSource::StandOnPlainRow() {
  const int64_t row = walk_->reverse() ? end_ - 1 : begin_;
  std::string_view key;
  if (!columns_.KeyAt(row, &key)) return reader_->DamagedRow(block_);
  StandOn(row, key, walk_->PrefixOf(key));
  return arrow::Status::OK();
}

void KvSource::StandOn(int64_t row, std::string_view key, uint64_t prefix) {
  version_ = row;
  group_ = 1;
  kind_ = RowKind::kPut;
  key_ = key;
  prefix_ = prefix;
}

arrow::Status KvSource::ResolveGroup(bool* visible) {
  const bool reverse = walk_->reverse();
  int64_t first = reverse ? end_ - 1 : begin_;
  std::string_view key;
  if (!columns_.KeyAt(first, &key)) return reader_->DamagedRow(block_);
  group_ = 1;
  if (!columns_.unique_keys) {
    // All versions of a key are in one block, the newest first.
    std::string_view other;
    for (;; ++group_) {
      const int64_t row = reverse ? first - group_ : first + group_;
      if (row < begin_ || row >= end_) break;
      if (!columns_.KeyAt(row, &other)) return reader_->DamagedRow(block_);
      if (other != key) break;
    }
    if (reverse) first -= group_ - 1;
  }
  for (version_ = first; version_ < first + group_; ++version_) {
    if (columns_.SequenceAt(version_) <= walk_->snapshot) break;
  }
  *visible = version_ < first + group_;
  if (!*visible) return arrow::Status::OK();
  kind_ = columns_.KindAt(version_);
  SetKey(key);
  return arrow::Status::OK();
}

// --- A memtable.

void KvSource::StartMemtable() {
  merger_.emplace(memtable_->store().get(), sorted_, walk_->range, walk_->direction);
  uint64_t handle = 0;
  merger_->Prefetch();
  ahead_ = merger_->Next(&handle) ? RecordStore::RecordOf(handle) : nullptr;
  merger_->Prefetch();
}

arrow::Status KvSource::AdvanceMemtable() {
  record_ = nullptr;
  while (ahead_ != nullptr && record_ == nullptr) {
    // The versions of a key come newest first, or in reverse oldest first: the newest that the
    // snapshot sees is the first of them, or the last.
    const std::string_view key = ahead_->key();
    do {
      if (ahead_->sequence() <= walk_->snapshot && (record_ == nullptr || walk_->reverse())) {
        record_ = ahead_;
      }
      uint64_t handle = 0;
      ahead_ = merger_->Next(&handle) ? RecordStore::RecordOf(handle) : nullptr;
    } while (ahead_ != nullptr && ahead_->key() == key);
  }
  at_end_ = record_ == nullptr;
  if (at_end_) return arrow::Status::OK();
  SetKey(record_->key());
  kind_ = record_->kind();
  return arrow::Status::OK();
}

}  // namespace marble

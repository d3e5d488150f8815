// One sorted source of a key-value table walked key by key in either direction: a run of SSTables
// or a memtable. What a KvCursor merges.
//
// A source stands on a key that its snapshot sees in this source, with the newest such version (a
// delete counts), or is at its end. Used by one thread; the view that its runs and memtables come
// from must outlive it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/result.h>

#include "sst/kv_columns.h"
#include "sst/sst_reader.h"
#include "tree/point_memtable.h"
#include "tree/sorted_runs.h"
#include "tree/version.h"

namespace marble {

/// A key and its value, where they lie.
using KvRow = std::pair<std::string_view, std::string_view>;

/// A key that a walk must not reach, or none.
struct WalkBound {
  const std::string_view* key = nullptr;
  uint64_t prefix = ~uint64_t{0};  // KvWalk::PrefixOf the key
};

/// Where a walk goes and what it sees; the same for all sources of a cursor.
struct KvWalk {
  EncodedRange range;
  Direction direction = Direction::kForward;
  uint64_t snapshot = kSequenceMax;

  bool reverse() const { return direction == Direction::kReverse; }
  /// The key's first eight bytes as a number that is lower for the key that comes first.
  uint64_t PrefixOf(std::string_view key) const {
    const uint64_t prefix = KeyPrefix(key, 0);
    return reverse() ? ~prefix : prefix;
  }
  bool IsReached(const WalkBound& bound, std::string_view key, uint64_t prefix) const {
    if (prefix != bound.prefix) [[likely]] {
      return prefix > bound.prefix;
    }
    return bound.key != nullptr && (reverse() ? key <= *bound.key : key >= *bound.key);
  }
};

/// Rows handed out, and what keeps those alive whose memory does not live as long as the view.
class KvWindow {
 public:
  /// Empties it and makes room for `rows_max` rows.
  void Reset(size_t rows_max) {
    if (rows_max > capacity_) {
      capacity_ = std::max(rows_max, 2 * capacity_);  // windows mostly grow
      rows_ = std::make_unique_for_overwrite<KvRow[]>(capacity_);
    }
    size_ = 0;
    owners_.clear();
  }
  size_t size() const { return size_; }
  std::span<const KvRow> rows() const { return {rows_.get(), size_}; }

  /// Where the next rows go; Append counts them once they are there.
  KvRow* end() { return rows_.get() + size_; }
  /// `owner` keeps them; nullptr if the view does.
  void Append(size_t rows, const std::shared_ptr<const void>& owner) {
    size_ += rows;
    if (owner != nullptr && (owners_.empty() || owners_.back() != owner)) owners_.push_back(owner);
  }

 private:
  std::unique_ptr<KvRow[]> rows_;
  size_t capacity_ = 0;
  size_t size_ = 0;
  std::vector<std::shared_ptr<const void>> owners_;
};

class KvSource {
 public:
  KvSource(const Run* run, const KvWalk* walk) : walk_(walk), run_(run) {}
  /// `runs` are those of `memtable`, refreshed.
  KvSource(const PointMemtable* memtable, std::shared_ptr<const RunList> runs, const KvWalk* walk)
      : walk_(walk), memtable_(memtable), sorted_(std::move(runs)) {}

  /// Begins to go to the first key of the walk's range, in its direction; then Arrive goes on, step
  /// by step, until it has arrived. Start and Prefetch fetch what the next step looks at first: a
  /// cursor that takes the steps of all sources in turn waits for memory once for all of them.
  arrow::Status Start();
  bool arrived() const { return step_ == Step::kThere; }
  void Prefetch() const;
  arrow::Status Arrive();
  /// Goes to the next key.
  arrow::Status Advance() { return memtable_ != nullptr ? AdvanceMemtable() : AdvanceRun(); }
  /// Passes over keys below `key`, in reverse over keys at and above it, whose rows are all older
  /// than `sequence`, as those of the present file (by sequence_max) must be: it does not go into a
  /// file with newer ones. What lies between is not read where the index allows.
  arrow::Status SkipTo(std::string_view key, uint64_t sequence);

  /// The same for all keys that follow, forward.
  arrow::Status SkipRest(uint64_t sequence);

  bool at_end() const { return at_end_; }
  // The following need a source that is not at its end.
  const std::string_view& key() const { return key_; }
  uint64_t prefix() const { return prefix_; }  // KvWalk::PrefixOf(key())
  uint64_t sequence() const {
    return memtable_ != nullptr ? record_->sequence() : columns_.SequenceAt(version_);
  }
  bool is_delete() const { return kind_ == RowKind::kDelete; }
  // Bounds of the sequences of the rows around the present one (of its file or memtable).
  uint64_t sequence_min() const {
    return memtable_ != nullptr ? memtable_->sequence_min() : file_->meta().sequence_min;
  }
  uint64_t sequence_max() const {
    return memtable_ != nullptr ? memtable_->sequence_max() : file_->meta().sequence_max;
  }

  /// Appends the present row to the window.
  arrow::Status Emit(KvWindow* window) const;
  /// Does it stand in a block that needs no look at kinds and sequences?
  bool is_plain() const { return plain_; }
  /// Appends rows of a plain block that come before `bound`, up to `rows_max` in the window, and
  /// advances over them. May append none.
  arrow::Status EmitPlain(const WalkBound& bound, size_t rows_max, KvWindow* window);

 private:
  void SetKey(std::string_view key) {
    key_ = key;
    prefix_ = walk_->PrefixOf(key);
  }
  bool Passed(std::string_view key) const {
    return at_end_ || (walk_->reverse() ? key_ < key : key_ >= key);
  }

  enum class Step { kLoad, kSearch, kSettle, kThere };

  // --- A run.
  arrow::Status StartRun();
  arrow::Status StepRun();
  arrow::Status AdvanceRun();
  arrow::Status SkipRunTo(std::string_view key, uint64_t sequence);
  /// Passes over files that are not opened, end before `key` (nullopt: all) and are older.
  void SkipFilesTo(std::optional<std::string_view> key, uint64_t sequence);
  /// Stands on the first group of the rows left that the snapshot sees.
  arrow::Status Settle();
  /// Goes to the next block, of the next file if need be; false at the end of the run.
  arrow::Result<bool> NextBlock();
  /// Opens files until one has blocks to read; false at the end of the run.
  arrow::Result<bool> FindBlocks();
  arrow::Status OpenFile(const TableFile& file);
  int64_t TakeBlock() { return walk_->reverse() ? --blocks_end_ : blocks_begin_++; }
  /// Makes `block` the present one. If the range cuts it where the walk comes in, `search_` has to
  /// find that place: SearchBlock, until it is done.
  arrow::Status LoadBlock(int64_t block);
  bool searching() const { return search_.has_value(); }
  arrow::Status SearchBlock();
  /// The first row of the block whose key is >= `key`.
  arrow::Result<int64_t> RowOf(std::string_view key) const;
  /// Starts reading the keys, the values of the first rows of the block that will be shown.
  void AskForKeys();
  void AskForValues();
  /// Finds the end of the group of versions that the first row left begins (in reverse: the last
  /// one ends) and the version to show.
  arrow::Status ResolveGroup(bool* visible);
  /// The same in a plain block, where each row is a key's only one and seen.
  arrow::Status StandOnPlainRow();
  void StandOn(int64_t row, std::string_view key, uint64_t prefix);

  // --- A memtable.
  void StartMemtable();
  arrow::Status AdvanceMemtable();

  const KvWalk* walk_;
  bool at_end_ = true;
  Step step_ = Step::kThere;
  RowKind kind_ = RowKind::kPut;
  std::string_view key_;
  uint64_t prefix_ = 0;

  const Run* run_ = nullptr;
  size_t files_begin_ = 0;  // files not opened yet
  size_t files_end_ = 0;
  const TableFile* file_ = nullptr;
  SstReader* reader_ = nullptr;
  BlockWalk blocks_walk_;     // of the file
  int64_t blocks_begin_ = 0;  // blocks of the file not read yet
  int64_t blocks_end_ = 0;
  int64_t lower_block_ = -1;  // the blocks that the range's ends may cut; -1 if none
  int64_t upper_block_ = -1;
  int64_t block_ = -1;
  KvColumns columns_;
  std::optional<KvSearch> search_;
  std::shared_ptr<const void> owner_;  // of columns_, if the view does not keep them
  bool plain_ = false;                 // columns_.IsPlain
  // Rows of the block in the range that were not passed; the present group of versions stands at
  // its begin (forward) or end (reverse) and is `group_` rows long.
  int64_t begin_ = 0;
  int64_t end_ = 0;
  int64_t group_ = 0;
  int64_t version_ = 0;  // the row to show

  const PointMemtable* memtable_ = nullptr;
  std::shared_ptr<const RunList> sorted_;
  std::optional<RunMerger<RecordStore>> merger_;
  const Record* record_ = nullptr;  // the version to show
  const Record* ahead_ = nullptr;   // the merger's next record
};

}  // namespace marble

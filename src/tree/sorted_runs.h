// Order for a memtable, made lazily: the first ordered reader sorts the rows that came since the
// last one into a run, and runs are merged so that there are never more than eight. Runs hold
// handles, not rows; they are immutable and shared by readers. Everything here runs on readers'
// threads; a writer never waits for it.
//
// `Source` (see entry_sort.h) also lists its rows in the order in which they were written: `int64_t
// rows()` published so far, and `Collect(position, size, entries)`, which sets the handles of the
// next `size` rows and moves the position (of type `Source::Position`).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include "base/branchless_search.h"
#include "base/check.h"
#include "base/mutex.h"
#include "row/key_encoding.h"
#include "tree/arena.h"
#include "tree/entry_sort.h"
#include "tree/sorted_reader.h"

namespace marble {

/// Rows in order. All keys begin with the same `common` bytes; the entries' prefixes are taken
/// behind them.
struct SortedRun {
  PoolMemory memory;
  int64_t size = 0;
  std::string common;

  const KeyEntry* begin() const { return reinterpret_cast<const KeyEntry*>(memory.data()); }
  const KeyEntry* end() const { return begin() + size; }
};

/// Runs from the oldest to the newest: of one key a later run has newer rows only.
struct RunList {
  static constexpr size_t kRunsMax = 8;

  std::vector<std::shared_ptr<const SortedRun>> runs;
  /// Rows of the source that they hold: the first so many.
  int64_t rows = 0;
};

/// First entry of `run` whose key is >= `key`.
template <typename Source>
const KeyEntry* LowerBound(const Source& source, const SortedRun& run, std::string_view key) {
  const std::string_view common = run.common;
  const int order = common.compare(key.substr(0, common.size()));
  // A key shorter than what all keys share is below them all if it is a prefix of it.
  if (order != 0) return order < 0 ? run.end() : run.begin();
  const uint64_t prefix = KeyPrefix(key, common.size());
  const KeyEntry* at =
      BranchlessPartitionPoint(run.begin(), static_cast<size_t>(run.size),
                               [prefix](const KeyEntry& entry) { return entry.prefix < prefix; });
  if (at == run.end() || at->prefix != prefix) return at;
  return std::partition_point(at, run.end(), [&](const KeyEntry& entry) {
    return entry.prefix == prefix && source.key(entry.handle) < key;
  });
}

/// Walks the rows of several runs within a range in (key, sequence descending) order, or in exactly
/// the opposite one.
template <typename Source>
class RunMerger {
 public:
  /// `source` must outlive this.
  RunMerger(const Source* source, std::shared_ptr<const RunList> list, const EncodedRange& range,
            Direction direction)
      : source_(source), list_(std::move(list)), reverse_(direction == Direction::kReverse) {
    MARBLE_CHECK(list_->runs.size() <= cursors_.size());
    for (const auto& run : list_->runs) {
      comparable_ = comparable_ && run->common == list_->runs.front()->common;
      const KeyEntry* begin = LowerBound(*source, *run, range.lower);
      const KeyEntry* end =
          range.upper.has_value() ? LowerBound(*source, *run, *range.upper) : run->end();
      if (begin < end) cursors_[open_++] = {begin, end};
    }
    Choose();
  }

  /// Starts reading the row that comes next.
  void Prefetch() const {
    if (open_ > 0) source_->Prefetch(Head(cursors_[best_]).handle);
  }

  /// The next row's handle; false at the end.
  bool Next(uint64_t* handle) {
    if (open_ == 0) return false;
    Cursor& cursor = cursors_[best_];
    *handle = Head(cursor).handle;
    if (reverse_) {
      --cursor.end;
    } else {
      ++cursor.begin;
    }
    if (cursor.begin == cursor.end) {
      // The others stay in the order of their age.
      std::move(cursors_.begin() + best_ + 1, cursors_.begin() + open_, cursors_.begin() + best_);
      --open_;
      Choose();
      return true;
    }
    if (cursor.end - cursor.begin > kAhead) {
      source_->Prefetch((reverse_ ? cursor.end[-kAhead] : cursor.begin[kAhead]).handle);
    }
    // As long as the best one stays ahead of the second one nothing else has to be compared.
    if (open_ > 1 && !Before(cursor, cursors_[second_])) Choose();
    return true;
  }

 private:
  struct Cursor {
    const KeyEntry* begin;
    const KeyEntry* end;
  };
  static constexpr int64_t kAhead = 12;  // prefetched rows

  const KeyEntry& Head(const Cursor& cursor) const {
    return reverse_ ? cursor.end[-1] : *cursor.begin;
  }

  bool Before(const Cursor& a, const Cursor& b) const {
    const KeyEntry& x = Head(a);
    const KeyEntry& y = Head(b);
    if (comparable_ && x.prefix != y.prefix) return (x.prefix < y.prefix) != reverse_;
    const int order = source_->key(x.handle).compare(source_->key(y.handle));
    // Of one key the newer row comes first, and the newer run has it.
    if (order == 0) return (&a > &b) != reverse_;
    return (order < 0) != reverse_;
  }

  void Choose() {
    best_ = 0;
    for (size_t i = 1; i < open_; ++i) {
      if (Before(cursors_[i], cursors_[best_])) best_ = i;
    }
    second_ = best_ == 0 ? 1 : 0;
    for (size_t i = second_ + 1; i < open_; ++i) {
      if (i != best_ && Before(cursors_[i], cursors_[second_])) second_ = i;
    }
  }

  const Source* const source_;
  const std::shared_ptr<const RunList> list_;
  const bool reverse_;
  bool comparable_ = true;
  // Of the runs that have rows left, the newest last.
  std::array<Cursor, RunList::kRunsMax> cursors_;
  size_t open_ = 0;
  size_t best_ = 0;
  size_t second_ = 1;
};

/// The runs of one memtable. Thread-safe; one thread sorts while others that want order wait for
/// it.
template <typename Source>
class RunCache {
 public:
  explicit RunCache(arrow::MemoryPool* pool) : pool_(pool) {}

  /// The runs made so far.
  std::shared_ptr<const RunList> Current() const {
    MutexLock lock(&mutex_);
    return list_;
  }

  /// Runs of all rows that `source` has published. A failed allocation changes nothing.
  arrow::Result<std::shared_ptr<const RunList>> Refresh(const Source& source) {
    MutexLock build_lock(&build_mutex_);
    const std::shared_ptr<const RunList> current = Current();
    const int64_t fresh = source.rows() - current->rows;
    if (fresh == 0) return current;
    auto list = std::make_shared<RunList>(*current);
    typename Source::Position position = position_;
    ARROW_ASSIGN_OR_RAISE(auto run, Build(source, &position, fresh));
    list->runs.push_back(std::move(run));
    list->rows += fresh;
    auto& runs = list->runs;
    while (runs.size() > 1) {
      const size_t last = runs.size() - 1;
      if (runs[last - 1]->size >= runs[last]->size * kRatio && runs.size() <= RunList::kRunsMax) {
        break;
      }
      ARROW_ASSIGN_OR_RAISE(runs[last - 1], Merge(source, runs[last - 1], runs[last]));
      runs.pop_back();
    }
    int64_t bytes = 0;
    for (const auto& kept : runs) bytes += kept->memory.bytes();
    bytes_.store(bytes, std::memory_order_relaxed);
    position_ = position;
    MutexLock lock(&mutex_);
    list_ = list;
    return list;
  }

  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  /// A run is merged into the one before unless that is so many times larger: a row is moved a few
  /// times for each power of it, not once for each reader.
  static constexpr int64_t kRatio = 4;
  /// Stretches in order of this many rows on average are merged and not sorted.
  static constexpr int64_t kStretchRowsMin = 1024;

  arrow::Result<std::shared_ptr<const SortedRun>> Build(const Source& source,
                                                        typename Source::Position* position,
                                                        int64_t size) const {
    ARROW_ASSIGN_OR_RAISE(auto run, NewRun(size));
    auto* entries = reinterpret_cast<KeyEntry*>(run->memory.data());
    source.Collect(position, size, entries);
    // What all keys share is found on the way, guessing that it is already known.
    const std::string_view first = source.key(entries[0].handle);
    size_t skip = first.size();
    int64_t valid_from = 0;
    // Ends of the stretches in which keys ascend, as long as they are few.
    std::vector<int64_t> ends;
    std::string_view previous = first;
    for (int64_t i = 0; i < size; ++i) {
      const std::string_view key = source.key(entries[i].handle);
      const size_t common = CommonPrefix(first, key, skip);
      if (common < skip) {
        skip = common;
        valid_from = i;
      }
      entries[i].prefix = KeyPrefix(key, skip);
      if (i == 0 || static_cast<int64_t>(ends.size()) * kStretchRowsMin > size) continue;
      if (previous >= key) ends.push_back(i);
      previous = key;
    }
    ends.push_back(size);
    for (int64_t i = 0; i < valid_from; ++i) {
      entries[i].prefix = KeyPrefix(source.key(entries[i].handle), skip);
    }
    run->common = first.substr(0, skip);
    if (ends.size() == 1) return run;
    PoolMemory memory;
    ARROW_RETURN_NOT_OK(memory.Allocate(size * static_cast<int64_t>(sizeof(KeyEntry)), pool_));
    auto* scratch = reinterpret_cast<KeyEntry*>(memory.data());
    if (static_cast<int64_t>(ends.size()) * kStretchRowsMin <= size) {
      MergeStretches(source, entries, scratch, std::move(ends));
    } else {
      EntrySorter<Source>(source, entries, scratch).Sort(size, skip);
    }
    return run;
  }

  arrow::Result<std::shared_ptr<const SortedRun>> Merge(
      const Source& source, const std::shared_ptr<const SortedRun>& older,
      const std::shared_ptr<const SortedRun>& newer) const {
    ARROW_ASSIGN_OR_RAISE(auto run, NewRun(older->size + newer->size));
    const size_t skip = CommonPrefix(older->common, newer->common, older->common.size());
    run->common = older->common.substr(0, skip);
    auto* out = reinterpret_cast<KeyEntry*>(run->memory.data());
    Side a = {older->begin(), older->end(), older->common.size() == skip, {}};
    Side b = {newer->begin(), newer->end(), newer->common.size() == skip, {}};
    a.Load(source, skip);
    b.Load(source, skip);
    while (a.at != a.end && b.at != b.end) {
      bool take_newer = b.head.prefix < a.head.prefix;
      if (a.head.prefix == b.head.prefix) {
        take_newer = source.key(b.head.handle) <= source.key(a.head.handle);
      }
      Side& side = take_newer ? b : a;
      *out++ = side.head;
      ++side.at;
      side.Load(source, skip);
    }
    for (Side* side : {&a, &b}) {
      while (side->at != side->end) {
        *out++ = side->head;
        ++side->at;
        side->Load(source, skip);
      }
    }
    return run;
  }

  /// One input of a merge; its prefixes are taken anew if the result's begin elsewhere.
  struct Side {
    const KeyEntry* at;
    const KeyEntry* end;
    bool same_skip;
    KeyEntry head;

    void Load(const Source& source, size_t skip) {
      if (at == end) return;
      head = *at;
      if (same_skip) return;
      if (end - at > 8) source.Prefetch(at[8].handle);
      head.prefix = KeyPrefix(source.key(head.handle), skip);
    }
  };

  arrow::Result<std::shared_ptr<SortedRun>> NewRun(int64_t size) const {
    auto run = std::make_shared<SortedRun>();
    ARROW_RETURN_NOT_OK(run->memory.Allocate(size * static_cast<int64_t>(sizeof(KeyEntry)), pool_));
    run->size = size;
    return run;
  }

  arrow::MemoryPool* const pool_;
  Mutex build_mutex_;  // held while rows are sorted; taken before mutex_
  typename Source::Position position_ MARBLE_GUARDED_BY(build_mutex_){};
  mutable Mutex mutex_;  // held for as long as it takes to copy a pointer
  std::shared_ptr<const RunList> list_ MARBLE_GUARDED_BY(mutex_) =
      std::make_shared<const RunList>();
  std::atomic<int64_t> bytes_{0};
};

}  // namespace marble

// Walks the visible rows of a key-value table in key order, or backward, over one view: the merge
// of its memtables and runs, row by row on plain pointers. Beside ReadRange, which makes record
// batches of any table, this is what seeks and walks of keys are made of: it decodes nothing and
// copies nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "sst/range_tombstone.h"
#include "tree/kv_source.h"
#include "tree/table_view.h"

namespace marble {

/// Used by one thread. Keeps the view.
class KvCursor {
 public:
  /// `view` is of a key-value table. All walks are to stay within `bounds`.
  static arrow::Result<std::unique_ptr<KvCursor>> Open(std::shared_ptr<const TableView> view,
                                                       uint64_t snapshot,
                                                       const EncodedRange& bounds);

  /// Goes before the first key of `range`, or in reverse behind the last.
  arrow::Status Start(EncodedRange range, Direction direction);
  /// The next rows in the direction of the walk, at most `rows_max` (> 0); none at the end. They
  /// stay until the next call of Start or Next.
  arrow::Result<std::span<const KvRow>> Next(size_t rows_max);

 private:
  /// Keys that lie alike in the deleted ranges: all in the same ones, or all between two.
  struct Stretch {
    std::string_view begin;
    std::optional<std::string_view> end;  // nullopt: all keys that follow
    uint64_t sequence = 0;                // of the newest tombstone that the snapshot sees, or 0
  };

  KvCursor(std::shared_ptr<const TableView> view, uint64_t snapshot) : view_(std::move(view)) {
    walk_.snapshot = snapshot;
  }
  arrow::Status OpenSources(const EncodedRange& bounds);
  /// Lets all sources go to their first keys, step by step.
  arrow::Status Arrive();
  /// A source that is not at its end, and the prefix of its key.
  struct Head {
    uint64_t prefix;
    KvSource* source;
  };
  /// Does the key of `a` come first, or is it the same and `a` the newer source?
  bool Precedes(const Head& a, const Head& b) const {
    return a.prefix != b.prefix ? a.prefix < b.prefix : PrecedesByKey(*a.source, *b.source);
  }
  bool PrecedesByKey(const KvSource& a, const KvSource& b) const;
  /// Moves a source of heads_ that went on back to where its key belongs, or out if it is at its
  /// end. Those behind it are in order.
  void PutInPlace(size_t at);
  /// Is there a source at this place of heads_, and does it stand on the next key, too?
  bool IsTied(size_t at) const {
    return at < open_ && heads_[at].prefix == heads_[0].prefix &&
           heads_[at].source->key() == heads_[0].source->key();
  }
  /// Takes rows from the first source, whose key no other source has.
  arrow::Status Take(size_t rows_max);
  /// Takes the newest row of the key on which more than one source stands.
  arrow::Status TakeTied();
  /// Hands out the present row of a source unless it is deleted.
  arrow::Status EmitVisible(const KvSource& source);
  /// Makes `stretch_` the one that holds `key`, which is the next to be taken.
  void FindStretch(std::string_view key);
  /// Where rows that are taken together from the first source have to end: at the key of the second
  /// and at the end of the stretch, whichever comes first.
  WalkBound PlainBound() const;
  /// Passes over the rest of the stretch in a source that has nothing newer.
  arrow::Status SkipStretch(KvSource* source) const;

  const std::shared_ptr<const TableView> view_;
  KvWalk walk_;
  std::vector<KvSource> sources_;  // newest first
  std::unique_ptr<Head[]> heads_;  // of those that are not at their end, by their keys
  size_t open_ = 0;                // how many these are
  std::shared_ptr<const RangeTombstoneSet> tombstones_;  // nullptr if there are none
  Stretch stretch_;                                      // all keys, if there are none
  KvWindow window_;
};

}  // namespace marble

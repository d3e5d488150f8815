// A deleted range of keys, and the questions asked of a set of them. Pure values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

namespace marble {

/// Keys in [begin, end) written before `sequence` are deleted; `end` nullopt = unbounded.
struct RangeTombstone {
  std::string begin;
  std::optional<std::string> end;
  uint64_t sequence = 0;

  bool operator==(const RangeTombstone&) const = default;
};

/// An index built once over tombstones that may overlap: fragments of the key space in order, and
/// which sequences cover them. Immutable, thread-safe. n tombstones take O(n log n) of memory and
/// time to build, however they are nested; a question takes O(log n), and O(log^2 n) if the
/// snapshot does not see the newest tombstone of a fragment.
class RangeTombstoneSet {
 public:
  RangeTombstoneSet() = default;
  explicit RangeTombstoneSet(std::vector<RangeTombstone> tombstones);
  // Fragments refer to keys of the tombstones, which stay where they are in a move.
  RangeTombstoneSet(RangeTombstoneSet&&) = default;
  RangeTombstoneSet& operator=(RangeTombstoneSet&&) = default;

  bool empty() const { return fragments_.empty(); }
  /// The tombstones, by begin; those of one sequence that overlap or touch are one.
  const std::vector<RangeTombstone>& tombstones() const { return tombstones_; }
  /// Highest sequence <= `snapshot` of a tombstone that covers `key`; 0 if none.
  uint64_t CoveringSequence(std::string_view key, uint64_t snapshot) const;
  /// Does some tombstone with sequence <= snapshot meet keys in [first, last] (inclusive)?
  bool Overlaps(std::string_view first, std::string_view last, uint64_t snapshot) const;
  /// Is every key in [first, last] covered by tombstones with `row_sequence_max` < sequence <=
  /// snapshot?
  bool CoversAll(std::string_view first, std::string_view last, uint64_t row_sequence_max,
                 uint64_t snapshot) const;

  /// Keys between two neighbouring ends of tombstones, all covered by the same ones.
  struct Fragment {
    std::string_view begin;
    std::optional<std::string_view> end;  // nullopt = unbounded
    uint64_t newest = 0;                  // sequence
  };
  /// Those that are covered, in order.
  const std::vector<Fragment>& fragments() const { return fragments_; }
  /// Highest sequence <= `snapshot` that covers one of fragments(); 0 if none.
  uint64_t NewestVisible(const Fragment& fragment, uint64_t snapshot) const {
    return fragment.newest <= snapshot ? fragment.newest : OlderVisible(fragment, snapshot);
  }
  /// The tombstones cut to [lower, upper) (upper nullopt = unbounded).
  std::vector<RangeTombstone> Clip(std::string_view lower,
                                   const std::optional<std::string>& upper) const;
  /// Of each fragment what the current moment and the `snapshots` (ascending) need: a tombstone is
  /// left out where a newer one is seen by all of them that see it.
  std::vector<RangeTombstone> NeededBy(const std::vector<uint64_t>& snapshots) const;

 private:
  void FindFragments();
  void BuildTree();
  uint64_t OlderVisible(const Fragment& fragment, uint64_t snapshot) const;

  std::vector<RangeTombstone> tombstones_;
  std::vector<Fragment> fragments_;
  // A segment tree over the fragments: leaf i is node fragments_.size() + i, the parent of node k
  // is k / 2. Each tombstone stands in the O(log n) nodes that together are its fragments. The
  // sequences of node k, descending, are node_sequences_ from node_begins_[k] to node_begins_[k+1].
  std::vector<size_t> node_begins_;
  std::vector<uint64_t> node_sequences_;
};

std::string EncodeRangeTombstones(const std::vector<RangeTombstone>& tombstones);
/// Hostile bytes give an Invalid.
arrow::Result<std::vector<RangeTombstone>> DecodeRangeTombstones(std::string_view bytes);

}  // namespace marble

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

/// Non-overlapping fragments in key order, each with the sequences that cover it: an index built
/// once over tombstones that may overlap. Immutable, thread-safe. O(log n) a question.
class RangeTombstoneSet {
 public:
  RangeTombstoneSet() = default;
  explicit RangeTombstoneSet(std::vector<RangeTombstone> tombstones);

  bool empty() const { return fragments_.empty(); }
  /// Highest sequence <= `snapshot` of a tombstone that covers `key`; 0 if none.
  uint64_t CoveringSequence(std::string_view key, uint64_t snapshot) const;
  /// Does some tombstone with sequence <= snapshot meet keys in [first, last] (inclusive)?
  bool Overlaps(std::string_view first, std::string_view last, uint64_t snapshot) const;
  /// Is every key in [first, last] covered by tombstones with `row_sequence_max` < sequence <=
  /// snapshot?
  bool CoversAll(std::string_view first, std::string_view last, uint64_t row_sequence_max,
                 uint64_t snapshot) const;

  struct Fragment {
    std::string begin;
    std::optional<std::string> end;
    std::vector<uint64_t> sequences;  // descending
  };
  const std::vector<Fragment>& fragments() const { return fragments_; }
  /// The tombstones cut to [lower, upper) (upper nullopt = unbounded), as fragments, one per
  /// sequence.
  std::vector<RangeTombstone> Clip(std::string_view lower,
                                   const std::optional<std::string>& upper) const;

 private:
  std::vector<Fragment> fragments_;
};

std::string EncodeRangeTombstones(const std::vector<RangeTombstone>& tombstones);
/// Hostile bytes give an Invalid.
arrow::Result<std::vector<RangeTombstone>> DecodeRangeTombstones(std::string_view bytes);

}  // namespace marble

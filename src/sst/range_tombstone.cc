// Range tombstones: cutting overlapping intervals into fragments, and their bytes in a file's
// section. Pure values, no shared state.
#include "sst/range_tombstone.h"

#include <algorithm>
#include <functional>
#include <utility>

#include <arrow/status.h>

#include "base/coding.h"
#include "row/row_kind.h"

namespace marble {
namespace {

using Fragment = RangeTombstoneSet::Fragment;

/// Holds no key at all.
bool IsVoid(const RangeTombstone& t) { return t.end.has_value() && t.begin >= *t.end; }

/// Does `a` end before `b`?
bool EndsBefore(const std::optional<std::string>& a, const std::optional<std::string>& b) {
  return a.has_value() && (!b.has_value() || *a < *b);
}

/// Drops those that hold no key, and joins those of one sequence that overlap or touch: pieces of
/// one that was cut at the ends of files grow together again.
void Join(std::vector<RangeTombstone>* tombstones) {
  std::erase_if(*tombstones, IsVoid);
  std::ranges::sort(*tombstones, [](const RangeTombstone& a, const RangeTombstone& b) {
    return a.sequence != b.sequence ? a.sequence < b.sequence : a.begin < b.begin;
  });
  size_t kept = 0;
  for (size_t i = 0; i < tombstones->size(); ++i) {
    RangeTombstone& t = (*tombstones)[i];
    if (kept > 0) {
      RangeTombstone& last = (*tombstones)[kept - 1];
      if (last.sequence == t.sequence && (!last.end.has_value() || t.begin <= *last.end)) {
        if (EndsBefore(last.end, t.end)) last.end = std::move(t.end);
        continue;
      }
    }
    if (kept != i) (*tombstones)[kept] = std::move(t);
    ++kept;
  }
  tombstones->resize(kept);
}

/// Index of the first fragment that does not end at or before `key`.
size_t FirstNotBefore(const std::vector<Fragment>& fragments, std::string_view key) {
  const auto it = std::partition_point(fragments.begin(), fragments.end(), [&](const Fragment& f) {
    return f.end.has_value() && *f.end <= key;
  });
  return static_cast<size_t>(it - fragments.begin());
}

/// Calls visit(node) for the nodes of a segment tree over `leaves` leaves that are [first, last).
template <typename Visit>
void ForEachNode(size_t leaves, size_t first, size_t last, Visit visit) {
  for (first += leaves, last += leaves; first < last; first /= 2, last /= 2) {
    if (first % 2 == 1) visit(first++);
    if (last % 2 == 1) visit(--last);
  }
}

}  // namespace

RangeTombstoneSet::RangeTombstoneSet(std::vector<RangeTombstone> tombstones)
    : tombstones_(std::move(tombstones)) {
  Join(&tombstones_);
  std::ranges::sort(tombstones_, [](const RangeTombstone& a, const RangeTombstone& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.sequence > b.sequence;
  });
  FindFragments();
  BuildTree();
}

void RangeTombstoneSet::FindFragments() {
  struct Boundary {
    std::string_view key;
    bool is_end;
  };
  std::vector<Boundary> boundaries;
  boundaries.reserve(tombstones_.size() * 2);
  for (const RangeTombstone& t : tombstones_) {
    boundaries.push_back({t.begin, false});
    if (t.end.has_value()) boundaries.push_back({*t.end, true});
  }
  std::ranges::sort(boundaries, {}, &Boundary::key);
  int64_t open = 0;  // tombstones that cover what comes next
  std::string_view from;
  for (const Boundary& boundary : boundaries) {
    if (open > 0 && boundary.key != from) fragments_.push_back({from, boundary.key});
    open += boundary.is_end ? -1 : 1;
    from = boundary.key;
  }
  if (open > 0) fragments_.push_back({from, std::nullopt});
}

void RangeTombstoneSet::BuildTree() {
  struct Cover {
    uint64_t sequence;
    size_t first;
    size_t last;
  };
  const size_t leaves = fragments_.size();
  const auto fragment_at = [&](std::string_view key) {
    const auto it = std::ranges::lower_bound(fragments_, key, {}, &Fragment::begin);
    return static_cast<size_t>(it - fragments_.begin());
  };
  std::vector<Cover> covers;
  covers.reserve(tombstones_.size());
  for (const RangeTombstone& t : tombstones_) {
    const size_t last = t.end.has_value() ? fragment_at(*t.end) : leaves;
    covers.push_back({t.sequence, fragment_at(t.begin), last});
  }
  std::ranges::sort(covers, std::greater<>(), &Cover::sequence);
  node_begins_.assign(2 * leaves + 1, 0);
  for (const Cover& cover : covers) {
    ForEachNode(leaves, cover.first, cover.last, [&](size_t node) { ++node_begins_[node + 1]; });
  }
  for (size_t node = 0; node < 2 * leaves; ++node) node_begins_[node + 1] += node_begins_[node];
  node_sequences_.resize(node_begins_.back());
  std::vector<size_t> filled(node_begins_.begin(), node_begins_.end() - 1);
  for (const Cover& cover : covers) {
    ForEachNode(leaves, cover.first, cover.last,
                [&](size_t node) { node_sequences_[filled[node]++] = cover.sequence; });
  }
  for (Fragment& fragment : fragments_) fragment.newest = OlderVisible(fragment, kSequenceMax);
}

uint64_t RangeTombstoneSet::OlderVisible(const Fragment& fragment, uint64_t snapshot) const {
  uint64_t newest = 0;
  const auto leaf = static_cast<size_t>(&fragment - fragments_.data());
  for (size_t node = fragments_.size() + leaf; node > 0; node /= 2) {
    const auto begin = node_sequences_.begin() + node_begins_[node];
    const auto end = node_sequences_.begin() + node_begins_[node + 1];
    const auto seen = std::lower_bound(begin, end, snapshot, std::greater<>());
    if (seen != end) newest = std::max(newest, *seen);
  }
  return newest;
}

uint64_t RangeTombstoneSet::CoveringSequence(std::string_view key, uint64_t snapshot) const {
  const size_t i = FirstNotBefore(fragments_, key);
  if (i == fragments_.size() || fragments_[i].begin > key) return 0;
  return NewestVisible(fragments_[i], snapshot);
}

bool RangeTombstoneSet::Overlaps(std::string_view first, std::string_view last,
                                 uint64_t snapshot) const {
  for (size_t i = FirstNotBefore(fragments_, first);
       i < fragments_.size() && fragments_[i].begin <= last; ++i) {
    if (NewestVisible(fragments_[i], snapshot) > 0) return true;
  }
  return false;
}

bool RangeTombstoneSet::CoversAll(std::string_view first, std::string_view last,
                                  uint64_t row_sequence_max, uint64_t snapshot) const {
  std::string_view covered_to = first;
  for (size_t i = FirstNotBefore(fragments_, first); i < fragments_.size(); ++i) {
    const Fragment& f = fragments_[i];
    if (f.begin > covered_to || NewestVisible(f, snapshot) <= row_sequence_max) return false;
    if (!f.end.has_value() || *f.end > last) return true;
    covered_to = *f.end;
  }
  return false;
}

std::vector<RangeTombstone> RangeTombstoneSet::Clip(std::string_view lower,
                                                    const std::optional<std::string>& upper) const {
  std::vector<RangeTombstone> clipped;
  for (const RangeTombstone& t : tombstones_) {
    if (upper.has_value() && t.begin >= *upper) break;
    if (t.end.has_value() && *t.end <= lower) continue;
    RangeTombstone& piece = clipped.emplace_back(t);
    if (piece.begin < lower) piece.begin = lower;
    if (EndsBefore(upper, piece.end)) piece.end = upper;
    if (IsVoid(piece)) clipped.pop_back();
  }
  return clipped;
}

std::vector<RangeTombstone> RangeTombstoneSet::NeededBy(
    const std::vector<uint64_t>& snapshots) const {
  std::vector<RangeTombstone> needed;
  for (const Fragment& f : fragments_) {
    std::optional<std::string> end;
    if (f.end.has_value()) end.emplace(*f.end);
    uint64_t sequence = f.newest;
    while (sequence > 0) {
      needed.push_back({std::string(f.begin), end, sequence});
      // The newest snapshot that does not see it.
      const auto sees = std::ranges::lower_bound(snapshots, sequence);
      sequence = sees == snapshots.begin() ? 0 : NewestVisible(f, *std::prev(sees));
    }
  }
  return needed;
}

std::string EncodeRangeTombstones(const std::vector<RangeTombstone>& tombstones) {
  std::string bytes;
  PutVarint(&bytes, tombstones.size());
  for (const RangeTombstone& t : tombstones) {
    PutBytes(&bytes, t.begin);
    bytes.push_back(t.end.has_value() ? 1 : 0);
    if (t.end.has_value()) PutBytes(&bytes, *t.end);
    PutVarint(&bytes, t.sequence);
  }
  return bytes;
}

arrow::Result<std::vector<RangeTombstone>> DecodeRangeTombstones(std::string_view bytes) {
  Decoder decoder(bytes);
  uint64_t count = 0;
  // Each tombstone takes three bytes at least, so a count beyond that is damage, not a reason to
  // allocate.
  if (!decoder.Varint(&count) || count > decoder.rest().size() / 3) {
    return arrow::Status::Invalid("range tombstones: bad count");
  }
  std::vector<RangeTombstone> tombstones(count);
  for (RangeTombstone& t : tombstones) {
    uint8_t has_end = 0;
    bool ok = decoder.Bytes(&t.begin) && decoder.Fixed(&has_end) && has_end <= 1;
    if (ok && has_end == 1) ok = decoder.Bytes(&t.end.emplace());
    if (!ok || !decoder.Varint(&t.sequence)) {
      return arrow::Status::Invalid("range tombstones: truncated or malformed");
    }
    if (t.sequence > kSequenceMax) {
      return arrow::Status::Invalid("range tombstones: sequence ", t.sequence, " is out of range");
    }
  }
  if (!decoder.AtEnd()) return arrow::Status::Invalid("range tombstones: trailing bytes");
  return tombstones;
}

}  // namespace marble

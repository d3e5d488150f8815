// Range tombstones: cutting overlapping intervals into fragments, and their bytes in a file's
// section. Pure values, no shared state.
#include "sst/range_tombstone.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include <arrow/status.h>

#include "base/coding.h"
#include "row/row_kind.h"

namespace marble {
namespace {

using Fragment = RangeTombstoneSet::Fragment;

/// Holds no key at all.
bool IsVoid(const RangeTombstone& t) { return t.end.has_value() && t.begin >= *t.end; }

/// Begin or end of one tombstone while sweeping over the key space.
struct Boundary {
  std::string_view key;
  uint64_t sequence;
  bool is_end;
};

void AppendFragment(std::string_view begin, std::optional<std::string_view> end,
                    const std::multiset<uint64_t, std::greater<>>& active,
                    std::vector<Fragment>* out) {
  if (active.empty()) return;
  std::vector<uint64_t> sequences;
  sequences.reserve(active.size());
  for (uint64_t sequence : active) {
    if (sequences.empty() || sequences.back() != sequence) sequences.push_back(sequence);
  }
  std::optional<std::string> owned_end;
  if (end.has_value()) owned_end.emplace(*end);
  // Neighbours with the same cover are one fragment: clipped pieces grow together again.
  if (!out->empty() && out->back().end == begin && out->back().sequences == sequences) {
    out->back().end = std::move(owned_end);
    return;
  }
  out->push_back({std::string(begin), std::move(owned_end), std::move(sequences)});
}

/// Index of the first fragment that does not end at or before `key`.
size_t FirstNotBefore(const std::vector<Fragment>& fragments, std::string_view key) {
  const auto it = std::partition_point(fragments.begin(), fragments.end(), [&](const Fragment& f) {
    return f.end.has_value() && *f.end <= key;
  });
  return static_cast<size_t>(it - fragments.begin());
}

/// Highest sequence of a fragment that is <= `snapshot`; 0 if none.
uint64_t NewestVisible(const Fragment& fragment, uint64_t snapshot) {
  const auto it = std::lower_bound(fragment.sequences.begin(), fragment.sequences.end(), snapshot,
                                   std::greater<>());
  return it == fragment.sequences.end() ? 0 : *it;
}

}  // namespace

RangeTombstoneSet::RangeTombstoneSet(std::vector<RangeTombstone> tombstones) {
  std::vector<Boundary> boundaries;
  boundaries.reserve(tombstones.size() * 2);
  for (const RangeTombstone& t : tombstones) {
    if (IsVoid(t)) continue;
    boundaries.push_back({t.begin, t.sequence, false});
    if (t.end.has_value()) boundaries.push_back({*t.end, t.sequence, true});
  }
  std::sort(boundaries.begin(), boundaries.end(),
            [](const Boundary& a, const Boundary& b) { return a.key < b.key; });

  // Boundaries at one key are applied together, so no fragment is empty and their order does not
  // matter (an end never precedes its own begin, since void tombstones are gone).
  std::multiset<uint64_t, std::greater<>> active;
  std::string_view from;
  for (size_t i = 0; i < boundaries.size();) {
    const std::string_view key = boundaries[i].key;
    AppendFragment(from, key, active, &fragments_);
    for (; i < boundaries.size() && boundaries[i].key == key; ++i) {
      if (boundaries[i].is_end) {
        active.erase(active.find(boundaries[i].sequence));
      } else {
        active.insert(boundaries[i].sequence);
      }
    }
    from = key;
  }
  AppendFragment(from, std::nullopt, active, &fragments_);
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
    if (fragments_[i].sequences.back() <= snapshot) return true;
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
  for (size_t i = FirstNotBefore(fragments_, lower); i < fragments_.size(); ++i) {
    const Fragment& f = fragments_[i];
    RangeTombstone piece;
    piece.begin = std::max(std::string_view(f.begin), lower);
    if (upper.has_value() && piece.begin >= *upper) break;
    piece.end = f.end;
    if (upper.has_value() && (!piece.end.has_value() || *piece.end > *upper)) piece.end = upper;
    for (uint64_t sequence : f.sequences) {
      piece.sequence = sequence;
      clipped.push_back(piece);
    }
  }
  return clipped;
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

// Sorts the rows of a memtable by (key ascending, sequence descending) without touching the keys
// more than it must: what moves are pairs of eight key bytes and a handle, spread into buckets and
// then sorted by std::sort; only rows whose eight bytes tie look at their keys again, eight bytes
// further on.
//
// `Source` tells what a handle means: `std::string_view key(uint64_t handle)`, `uint64_t
// sequence(uint64_t handle)` and `void Prefetch(uint64_t handle)`.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "row/key_encoding.h"
#include "row/row_kind.h"

namespace marble {

/// A row to be sorted: eight bytes of its key as a big-endian number, and where the row is.
struct KeyEntry {
  uint64_t prefix;
  uint64_t handle;
};

/// Length of the longest common prefix, at most `limit`.
inline size_t CommonPrefix(std::string_view a, std::string_view b, size_t limit) {
  limit = std::min({limit, a.size(), b.size()});
  if (std::memcmp(a.data(), b.data(), limit) == 0) return limit;
  return static_cast<size_t>(std::mismatch(a.begin(), a.begin() + limit, b.begin()).first -
                             a.begin());
}

inline int BitWidth(uint64_t value) { return static_cast<int>(std::bit_width(value)); }

/// Sorts `entries` by `prefix` alone. `scratch` has room for as many.
inline void SortByPrefix(KeyEntry* entries, KeyEntry* scratch, int64_t size) {
  constexpr int64_t kSmall = 48;
  const auto less = [](const KeyEntry& a, const KeyEntry& b) { return a.prefix < b.prefix; };
  if (size <= kSmall) {
    std::sort(entries, entries + size, less);
    return;
  }
  uint64_t lowest = entries[0].prefix;
  uint64_t highest = lowest;
  bool sorted = true;
  for (int64_t i = 1; i < size; ++i) {
    sorted = sorted && entries[i - 1].prefix <= entries[i].prefix;
    lowest = std::min(lowest, entries[i].prefix);
    highest = std::max(highest, entries[i].prefix);
  }
  if (sorted) return;
  // Buckets by the upper bits of the range that is in use, some 16 entries each if they spread
  // evenly, but no more buckets than the caches have room for lines being written. Each level takes
  // at least two bits off the range, so the recursion is shallow.
  const int bits = std::clamp(BitWidth(static_cast<uint64_t>(size)) - 5, 2, 10);
  const int shift = std::max(0, BitWidth(highest - lowest) - bits);
  const auto buckets = static_cast<size_t>(((highest - lowest) >> shift) + 1);
  std::vector<int64_t> ends(buckets + 1, 0);
  for (int64_t i = 0; i < size; ++i) ++ends[((entries[i].prefix - lowest) >> shift) + 1];
  for (size_t i = 1; i <= buckets; ++i) ends[i] += ends[i - 1];
  for (int64_t i = 0; i < size; ++i) {
    scratch[ends[(entries[i].prefix - lowest) >> shift]++] = entries[i];
  }
  std::memcpy(entries, scratch, static_cast<size_t>(size) * sizeof(KeyEntry));
  if (shift == 0) return;
  int64_t begin = 0;
  for (size_t i = 0; i < buckets; ++i) {  // ends[i] is now the end of bucket i
    SortByPrefix(entries + begin, scratch + begin, ends[i] - begin);
    begin = ends[i];
  }
}

/// Sorts entries whose `prefix` is KeyPrefix(key, skip) and whose keys agree in their first `skip`
/// bytes.
template <typename Source>
class EntrySorter {
 public:
  EntrySorter(const Source& source, KeyEntry* entries, KeyEntry* scratch)
      : source_(source), entries_(entries), scratch_(scratch) {}

  void Sort(int64_t size, size_t skip) {
    // A list of ranges still to be sorted in place of recursion: long common prefixes would nest it
    // deeply.
    todo_.push_back({0, size, skip});
    bool outermost = true;
    while (!todo_.empty()) {
      const Range range = todo_.back();
      todo_.pop_back();
      SortByPrefix(entries_ + range.begin, scratch_ + range.begin, range.end - range.begin);
      SortTies(range, outermost);
      outermost = false;
    }
    for (const Tie& tie : ties_) {
      for (int64_t i = tie.begin; i < tie.end; ++i) entries_[i].prefix = tie.prefix;
    }
  }

 private:
  static constexpr int64_t kAhead = 16;  // prefetched entries

  struct Range {
    int64_t begin;
    int64_t end;
    size_t skip;  // `prefix` begins here
  };
  /// Rows that agreed in the first eight bytes: their `prefix` is overwritten on the way.
  struct Tie {
    int64_t begin;
    int64_t end;
    uint64_t prefix;
  };

  void SortTies(const Range& range, bool outermost) {
    for (int64_t begin = range.begin; begin < range.end;) {
      int64_t end = begin + 1;
      while (end < range.end && entries_[end].prefix == entries_[begin].prefix) ++end;
      if (end - begin > 1) {
        if (outermost) ties_.push_back({begin, end, entries_[begin].prefix});
        SortTie({begin, end, range.skip + 8});
      }
      begin = end;
    }
  }

  /// Keys that agree in their first `tie.skip` bytes (zeros stand behind the end of a shorter one).
  /// Those that end there come first, ordered by length (a shorter one is a prefix of a longer one)
  /// and then newest first.
  void SortTie(const Range& tie) {
    int64_t longer = tie.begin;  // where the keys begin that go on
    int64_t set_aside = tie.begin;
    for (int64_t i = tie.begin; i < tie.end; ++i) {
      if (i + kAhead < tie.end) source_.Prefetch(entries_[i + kAhead].handle);
      const KeyEntry entry = entries_[i];
      const size_t bytes = source_.key(entry.handle).size();
      if (bytes > tie.skip) {
        scratch_[set_aside++] = entry;
        continue;
      }
      // At most eight bytes of the key lie in the window, and a sequence has 56 bits.
      const uint64_t length = bytes + 8 - tie.skip;
      entries_[longer++] = {length << 56 | (kSequenceMax - source_.sequence(entry.handle)),
                            entry.handle};
    }
    std::copy(scratch_ + tie.begin, scratch_ + set_aside, entries_ + longer);
    SortByPrefix(entries_ + tie.begin, scratch_ + tie.begin, longer - tie.begin);
    if (longer == tie.end) return;
    // Step over what the rest has in common, however long it is.
    const std::string_view first = source_.key(entries_[longer].handle);
    size_t skip = first.size();
    for (int64_t i = longer + 1; i < tie.end; ++i) {
      if (i + kAhead < tie.end) source_.Prefetch(entries_[i + kAhead].handle);
      skip = CommonPrefix(first, source_.key(entries_[i].handle), skip);
    }
    for (int64_t i = longer; i < tie.end; ++i) {
      entries_[i].prefix = KeyPrefix(source_.key(entries_[i].handle), skip);
    }
    todo_.push_back({longer, tie.end, skip});
  }

  const Source& source_;
  KeyEntry* const entries_;
  KeyEntry* const scratch_;
  std::vector<Range> todo_;
  std::vector<Tie> ties_;
};

/// Sorts entries that are a few sorted stretches, such as batches that were sorted before, by
/// merging them two and two. `ends` are the ends of the stretches, ascending; of rows with one key
/// a later stretch has the newer. `scratch` has room for as many entries.
template <typename Source>
void MergeStretches(const Source& source, KeyEntry* entries, KeyEntry* scratch,
                    std::vector<int64_t> ends) {
  const auto newer_first = [&](const KeyEntry& older, const KeyEntry& newer) {
    return source.key(newer.handle) <= source.key(older.handle);
  };
  KeyEntry* from = entries;
  KeyEntry* to = scratch;
  while (ends.size() > 1) {
    std::vector<int64_t> merged;
    int64_t begin = 0;
    for (size_t i = 0; i < ends.size(); i += 2) {
      const int64_t middle = ends[i];
      const int64_t end = i + 1 < ends.size() ? ends[i + 1] : middle;
      const KeyEntry* a = from + begin;
      const KeyEntry* b = from + middle;
      KeyEntry* out = to + begin;
      while (a != from + middle && b != from + end) {
        // Which one comes next is a coin's toss: no branch depends on it but for ties. Compilers
        // make branches of `?:`, but not of masks.
        uint64_t take_b = b->prefix < a->prefix ? 1 : 0;
        if (b->prefix == a->prefix) [[unlikely]]
          take_b = newer_first(*a, *b) ? 1 : 0;
        const uint64_t mask = ~take_b + 1;
        *out++ = {a->prefix ^ ((a->prefix ^ b->prefix) & mask),
                  a->handle ^ ((a->handle ^ b->handle) & mask)};
        a += 1 - take_b;
        b += take_b;
      }
      out = std::copy(a, static_cast<const KeyEntry*>(from + middle), out);
      std::copy(b, static_cast<const KeyEntry*>(from + end), out);
      merged.push_back(end);
      begin = end;
    }
    ends = std::move(merged);
    std::swap(from, to);
  }
  if (from != entries) std::copy(from, from + ends.back(), entries);
}

}  // namespace marble

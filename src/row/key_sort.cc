// Keys are sorted 8 bytes at a time: (8 bytes as a number, row) pairs go through a radix sort, then
// the groups that are equal in them continue with the next 8 bytes. Bytes that a whole group shares
// are skipped, so that "user:0001" costs no more than 4 bytes would.
#include "row/key_sort.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "base/coding.h"

namespace marble {

namespace {

struct Item {
  uint64_t prefix;
  uint64_t row;
};

/// Items [begin, end) are equal in their first `depth` bytes.
struct Group {
  int64_t begin;
  int64_t end;
  size_t depth;
};

/// Below this many items a comparison sort of the prefixes is quicker than counting digits.
constexpr int64_t kRadixMin = 512;
constexpr int kDigitBits = 11;
constexpr size_t kDigits = size_t{1} << kDigitBits;
constexpr int kPasses = 3;

/// 8 bytes of the key from `depth` on, filled with zeros.
uint64_t PrefixAt(std::string_view key, size_t depth) {
  if (key.size() >= depth + 8) return LoadBig64(key.data() + depth);
  uint64_t word = 0;
  if (key.size() > depth) std::memcpy(&word, key.data() + depth, key.size() - depth);
  return __builtin_bswap64(word);
}

/// Length of the common beginning of two strings, known to be at least `known`.
size_t CommonLength(std::string_view a, std::string_view b, size_t known) {
  const size_t end = std::min(a.size(), b.size());
  size_t at = known;
  while (at + 8 <= end) {
    const uint64_t difference =
        LoadLittle<uint64_t>(a.data() + at) ^ LoadLittle<uint64_t>(b.data() + at);
    if (difference != 0) return at + static_cast<size_t>(std::countr_zero(difference)) / 8;
    at += 8;
  }
  while (at < end && a[at] == b[at]) ++at;
  return at;
}

/// One pass: a stable distribution of `from` into `to` by the digit at `shift`, where `places`
/// counts digits. False if all items agree in it, so that nothing was moved.
bool Distribute(const Item* from, Item* to, int64_t count, int shift, int64_t* places) {
  if (places[(from[0].prefix >> shift) & (kDigits - 1)] == count) return false;
  int64_t place = 0;
  for (size_t digit = 0; digit < kDigits; ++digit) place += std::exchange(places[digit], place);
  for (int64_t i = 0; i < count; ++i) {
    to[places[(from[i].prefix >> shift) & (kDigits - 1)]++] = from[i];
  }
  return true;
}

/// Stable sort by prefix: least digit first by the upper 33 of the bits in which items differ,
/// which tells nearly all of many keys apart, then what ties in them by comparing. `spare` has room
/// for `count` items.
void RadixSort(Item* items, Item* spare, int64_t count) {
  uint64_t differing = 0;
  for (int64_t i = 1; i < count; ++i) differing |= items[i].prefix ^ items[0].prefix;
  const int low = std::max(0, static_cast<int>(std::bit_width(differing)) - kPasses * kDigitBits);
  std::vector<std::array<int64_t, kDigits>> counts(kPasses);
  for (int64_t i = 0; i < count; ++i) {
    uint64_t prefix = items[i].prefix >> low;
    for (auto& pass : counts) {
      ++pass[prefix & (kDigits - 1)];
      prefix >>= kDigitBits;
    }
  }
  Item* from = items;
  Item* to = spare;
  for (int pass = 0; pass < kPasses; ++pass) {
    auto* places = counts[static_cast<size_t>(pass)].data();
    if (Distribute(from, to, count, low + pass * kDigitBits, places)) std::swap(from, to);
  }
  if (from != items) std::copy(from, from + count, items);
  if (low == 0) return;
  for (int64_t begin = 0; begin < count;) {
    int64_t end = begin + 1;
    while (end < count && items[end].prefix >> low == items[begin].prefix >> low) ++end;
    if (end - begin > 1) {
      std::stable_sort(items + begin, items + end,
                       [](const Item& a, const Item& b) { return a.prefix < b.prefix; });
    }
    begin = end;
  }
}

class Sorter {
 public:
  Sorter(const EncodedKeys& keys, Item* items, Item* spare)
      : keys_(keys), items_(items), spare_(spare) {}

  void Sort() {
    for (int64_t i = 0; i < keys_.size(); ++i) items_[i].row = static_cast<uint64_t>(i);
    groups_.push_back({0, keys_.size(), 0});
    while (!groups_.empty()) {
      const Group group = groups_.back();
      groups_.pop_back();
      SortGroup(group);
    }
  }

 private:
  std::string_view Key(int64_t item) const { return keys_[static_cast<int64_t>(items_[item].row)]; }

  void SortGroup(Group group) {
    const int64_t count = group.end - group.begin;
    size_t longest = 0;
    if (!SkipCommonBytes(&group, &longest)) return;
    Item* begin = items_ + group.begin;
    for (int64_t i = 0; i < count; ++i) {
      begin[i].prefix = PrefixAt(keys_[static_cast<int64_t>(begin[i].row)], group.depth);
    }
    if (count >= kRadixMin) {
      RadixSort(begin, spare_, count);
    } else {
      std::sort(begin, begin + count, [](const Item& a, const Item& b) {
        return a.prefix != b.prefix ? a.prefix < b.prefix : a.row < b.row;
      });
    }
    // Keys of up to 8 bytes more, all of one width, are told apart by the prefix alone.
    if (keys_.fixed_width() > 0 && longest <= group.depth + 8) return;
    PushTies(group);
  }

  /// Moves the group's depth behind what all its keys share. False if the keys are all equal; then
  /// their rows are already ascending, because every step is stable.
  bool SkipCommonBytes(Group* group, size_t* longest) const {
    const std::string_view first = Key(group->begin);
    if (keys_.fixed_width() > 0 && first.size() <= 8) {
      *longest = first.size();
      return true;
    }
    size_t common = first.size();
    *longest = first.size();
    size_t shortest = first.size();
    for (int64_t i = group->begin + 1; i < group->end; ++i) {
      const std::string_view key = Key(i);
      *longest = std::max(*longest, key.size());
      shortest = std::min(shortest, key.size());
      if (common > group->depth) {
        common = CommonLength(first.substr(0, common), key, group->depth);
      }
    }
    if (common == *longest && common == shortest) return false;
    group->depth = std::max(common, group->depth);
    return true;
  }

  /// Of items with equal prefixes those whose key ends within it come first (their rest was filled
  /// with zeros), shorter ones before longer; the others go on with the next 8 bytes.
  void PushTies(const Group& group) {
    const size_t depth = group.depth + 8;
    int64_t begin = group.begin;
    while (begin < group.end) {
      int64_t end = begin + 1;
      while (end < group.end && items_[end].prefix == items_[begin].prefix) ++end;
      if (end - begin > 1) {
        Item* const tied_end = items_ + end;
        Item* const longer = std::stable_partition(
            items_ + begin, tied_end, [&](const Item& item) { return Length(item) <= depth; });
        std::stable_sort(items_ + begin, longer,
                         [&](const Item& a, const Item& b) { return Length(a) < Length(b); });
        if (tied_end - longer > 1) groups_.push_back({longer - items_, end, depth});
      }
      begin = end;
    }
  }

  size_t Length(const Item& item) const { return keys_[static_cast<int64_t>(item.row)].size(); }

  const EncodedKeys& keys_;
  Item* items_;
  Item* spare_;
  std::vector<Group> groups_;
};

bool IsSortedAndUnique(const EncodedKeys& keys) {
  if (keys.fixed_width() == 8) {
    if (keys.size() == 0) return true;
    const char* data = keys[0].data();
    for (int64_t i = 1; i < keys.size(); ++i) {
      if (LoadBig64(data + (i - 1) * 8) >= LoadBig64(data + i * 8)) return false;
    }
    return true;
  }
  for (int64_t i = 1; i < keys.size(); ++i) {
    if (!(keys[i - 1] < keys[i])) return false;
  }
  return true;
}

}  // namespace

arrow::Result<SortedIndices> SortKeys(const EncodedKeys& keys, arrow::MemoryPool* pool) {
  SortedIndices sorted;
  if (IsSortedAndUnique(keys)) {
    sorted.is_identity = true;
    return sorted;
  }
  const int64_t count = keys.size();
  const int64_t bytes = count * static_cast<int64_t>(sizeof(Item));
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<arrow::Buffer> items_buffer,
                        arrow::AllocateBuffer(bytes, pool));
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<arrow::Buffer> spare_buffer,
                        arrow::AllocateBuffer(count >= kRadixMin ? bytes : 0, pool));
  auto* items = reinterpret_cast<Item*>(items_buffer->mutable_data());
  Sorter(keys, items, reinterpret_cast<Item*>(spare_buffer->mutable_data())).Sort();

  ARROW_ASSIGN_OR_RAISE(sorted.owner, arrow::AllocateBuffer(count * 8, pool));
  auto* out = reinterpret_cast<uint64_t*>(sorted.owner->mutable_data());
  size_t kept = 0;
  const bool prefix_is_key = keys.fixed_width() > 0 && keys.fixed_width() <= 8;
  for (int64_t i = 0; i < count; ++i) {
    if (i + 1 < count) {
      const bool same = prefix_is_key ? items[i].prefix == items[i + 1].prefix
                                      : keys[static_cast<int64_t>(items[i].row)] ==
                                            keys[static_cast<int64_t>(items[i + 1].row)];
      if (same) continue;
    }
    out[kept++] = items[i].row;
  }
  sorted.indices = {out, kept};
  return sorted;
}

}  // namespace marble

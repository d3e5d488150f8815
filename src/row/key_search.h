// Finds a key's place among ascending keys by eight bytes of each, which lie together: few of the
// keys themselves have to be compared, mostly none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/branchless_search.h"
#include "row/key_encoding.h"

namespace marble {

/// Immutable; keeps nothing of the keys but what it searches by.
class KeySearch {
 public:
  /// Keys before `first` are less than the key looked for, those from `behind` on greater. Those
  /// between have to be compared; mostly there are none.
  struct Place {
    size_t first;
    size_t behind;
  };

  KeySearch() = default;
  /// The keys key_at(0), ..., key_at(count - 1), which must ascend (equal ones may follow each
  /// other). Of others Find gives some place between 0 and `count`.
  template <typename KeyAt>
  KeySearch(size_t count, const KeyAt& key_at) {
    if (count == 0) return;
    // What the first and the last begin with, all begin with.
    const std::string_view first = key_at(0);
    const std::string_view last = key_at(count - 1);
    const auto differ = std::ranges::mismatch(first, last);
    common_ = first.substr(0, static_cast<size_t>(differ.in1 - first.begin()));
    if (!common_.empty() && common_.size() <= 8) {
      common_mask_ = ~uint64_t{0} << (8 * (8 - common_.size()));
      common_word_ = KeyPrefix(common_, 0);
    }
    prefixes_.reserve(count);
    for (size_t i = 0; i < count; ++i) prefixes_.push_back(KeyPrefix(key_at(i), common_.size()));
  }

  size_t size() const { return prefixes_.size(); }
  int64_t bytes() const {
    return static_cast<int64_t>(prefixes_.size() * sizeof(uint64_t) + common_.size());
  }

  Place Find(std::string_view key) const {
    if (!common_.empty()) {
      const int order = CompareBegin(key);
      if (order != 0) return order < 0 ? Place{0, 0} : Place{size(), size()};
    }
    const uint64_t prefix = KeyPrefix(key, common_.size());
    const size_t first = CountLess(prefix);
    size_t behind = first;
    if (first < size() && prefixes_[first] == prefix) [[unlikely]] {
      behind = static_cast<size_t>(std::ranges::upper_bound(prefixes_, prefix) - prefixes_.begin());
    }
    return {first, behind};
  }

 private:
  /// What `key` begins with beside what all keys begin with; without a call where that is short.
  int CompareBegin(std::string_view key) const {
    if (common_.size() > 8 || key.size() < 8) {
      return key.substr(0, common_.size()).compare(common_);
    }
    const uint64_t begin = KeyPrefix(key, 0) & common_mask_;
    return begin == common_word_ ? 0 : begin < common_word_ ? -1 : 1;
  }
  size_t CountLess(uint64_t prefix) const {
    const uint64_t* const begin = prefixes_.data();
    const auto is_less = [prefix](uint64_t other) { return other < prefix; };
    return static_cast<size_t>(BranchlessPartitionPoint(begin, size(), is_less) - begin);
  }

  std::string common_;              // what all keys begin with
  uint64_t common_word_ = 0;        // the same as the first bytes of a KeyPrefix, if it fits one
  uint64_t common_mask_ = 0;        // and the bits of it that count
  std::vector<uint64_t> prefixes_;  // KeyPrefix behind that
};

}  // namespace marble

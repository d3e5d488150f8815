#include "row/key_search.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace marble {
namespace {

KeySearch SearchOf(const std::vector<std::string>& keys) {
  return KeySearch(keys.size(), [&](size_t i) -> std::string_view { return keys[i]; });
}

TEST(KeySearch, PlacesEveryKeyAmongRandomOnes) {
  std::mt19937 random(5);
  const auto key = [&](const std::string& begin) {
    // Few letters, zero bytes among them, and lengths around eight: prefixes are often equal.
    std::string made = begin;
    const size_t size = random() % 12;
    for (size_t i = 0; i < size; ++i) made.push_back("\0ab\xff"[random() % 4]);
    return made;
  };
  for (int round = 0; round < 300; ++round) {
    const std::string begin = round % 3 == 0 ? "" : round % 3 == 1 ? "a" : "abbaabbaabba";
    std::multiset<std::string> made;
    const size_t count = random() % (round % 5 == 0 ? 400 : 40);
    for (size_t i = 0; i < count; ++i) made.insert(key(begin));
    const std::vector<std::string> keys(made.begin(), made.end());
    const KeySearch search = SearchOf(keys);
    ASSERT_EQ(search.size(), keys.size());
    for (int i = 0; i < 100; ++i) {
      const std::string wanted = key(i % 2 == 0 ? begin : "");
      const auto [first, behind] = search.Find(wanted);
      ASSERT_LE(first, behind);
      ASSERT_LE(behind, keys.size());
      for (size_t k = 0; k < first; ++k) ASSERT_LT(keys[k], wanted);
      for (size_t k = behind; k < keys.size(); ++k) ASSERT_GT(keys[k], wanted);
    }
  }
}

TEST(KeySearch, ComparesNoKeyWhereEightBytesTell) {
  const KeySearch search = SearchOf({"table/00000010", "table/00000020", "table/00000030"});
  for (const auto& [key, place] :
       {std::pair{"table/00000015", size_t{1}}, std::pair{"table/00000031", size_t{3}},
        std::pair{"tabl", size_t{0}}, std::pair{"u", size_t{3}}}) {
    EXPECT_EQ(search.Find(key).first, place) << key;
    EXPECT_EQ(search.Find(key).behind, place) << key;
  }
}

TEST(KeySearch, WhatAllKeysBeginWithMayBeOfAnyLength) {
  for (size_t common = 1; common <= 10; ++common) {
    const std::string begin(common, 'm');
    const KeySearch search = SearchOf({begin + "b", begin + "d"});
    for (size_t size = 0; size <= 12; ++size) {
      std::string less(size, 'm');
      std::string greater(size, 'm');
      if (size > 0) less[std::min(size, common) - 1] = 'a';
      if (size > 0) greater[std::min(size, common) - 1] = 'z';
      EXPECT_EQ(search.Find(less).behind, 0u) << common << ", " << less;
      EXPECT_EQ(search.Find(greater).first, size > 0 ? 2u : 0u) << common << ", " << greater;
    }
    EXPECT_EQ(search.Find(begin).behind, 0u) << common;
    EXPECT_EQ(search.Find(begin + "c").first, 1u) << common;
    EXPECT_EQ(search.Find(begin + "c").behind, 1u) << common;
  }
}

TEST(KeySearch, LeavesKeysOfOnePrefixToCompare) {
  const KeySearch search = SearchOf({"a", "b12345678", "b12345678x", "c"});
  EXPECT_EQ(search.Find("b1234567").first, 1u);
  EXPECT_EQ(search.Find("b1234567").behind, 3u);
}

TEST(KeySearch, OfNoKeysFindsNoPlace) {
  EXPECT_EQ(SearchOf({}).Find("a").first, 0u);
  EXPECT_EQ(SearchOf({}).Find("a").behind, 0u);
}

}  // namespace
}  // namespace marble

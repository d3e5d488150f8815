// The search for a key in the columns of a block.
#include "sst/kv_columns.h"

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace marble {
namespace {

/// Strings as a column of 32-bit offsets, or without offsets where all have one width.
struct Column {
  explicit Column(const std::set<std::string>& keys, uint32_t width = 0)
      : sorted(keys.begin(), keys.end()) {
    offsets.push_back(0);
    for (const std::string& key : sorted) {
      data += key;
      offsets.push_back(static_cast<uint32_t>(data.size()));
    }
    strings.offsets = reinterpret_cast<const uint8_t*>(offsets.data());
    strings.data = data.data();
    strings.bytes = data.size();
    strings.width = width;
  }

  std::vector<std::string> sorted;
  std::vector<uint32_t> offsets;
  std::string data;
  KvStrings strings;
};

/// The row found, or -1 for damage.
int64_t Search(const Column& column, std::string_view key) {
  KvSearch search(&column.strings, static_cast<int64_t>(column.sorted.size()), key);
  while (!search.done()) {
    search.Prefetch();
    if (!search.Step()) return -1;
  }
  return search.row();
}

TEST(KvSearch, FindsTheFirstRowNotBelowAKeyInColumnsOfAnySize) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const bool fixed = round % 2 == 0;
    // Keys are told apart by their first eight bytes, in part by them, or only by what follows.
    constexpr std::array<size_t, 4> kCommon = {0, 4, 6, 10};
    const std::string common(kCommon[random() % 4], 'c');
    const auto key = [&] {
      std::string out = std::to_string(1000 + random() % 9000);
      if (!fixed) out.resize(random() % 5);
      return common + out;
    };
    std::set<std::string> keys;
    const size_t tries = random() % 400;
    for (size_t i = 0; i < tries; ++i) keys.insert(key());
    const Column column(keys, fixed ? static_cast<uint32_t>(common.size() + 4) : 0);
    for (int probe = 0; probe < 40; ++probe) {
      const std::string wanted = key();
      const auto found = std::ranges::lower_bound(column.sorted, wanted) - column.sorted.begin();
      ASSERT_EQ(Search(column, wanted), found) << "round " << round << " key " << wanted;
    }
  }
}

TEST(KvSearch, ReportsOffsetsThatLeaveTheColumn) {
  Column column({"a", "b", "c"});
  column.offsets[2] = 1000;
  EXPECT_EQ(Search(column, "b"), -1);
}

}  // namespace
}  // namespace marble

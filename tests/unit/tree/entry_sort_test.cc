// The sort behind ordered reads of memtables, on keys that are hard for it.
#include "tree/entry_sort.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "support/random.h"
#include "tree/append_list.h"

namespace marble::test {
namespace {

/// Rows in a vector; a handle is an index, and also the row's sequence.
struct VectorSource {
  std::vector<std::string> keys;

  std::string_view key(uint64_t handle) const { return keys[handle]; }
  uint64_t sequence(uint64_t handle) const { return handle; }
  void Prefetch(uint64_t) const {}
};

/// The entries of `source` sorted by `sort(entries, scratch, skip)` must be in order.
template <typename Sort>
void ExpectSortsBy(const VectorSource& source, Sort sort) {
  std::vector<KeyEntry> entries;
  size_t skip = source.keys.front().size();
  for (const std::string& key : source.keys) skip = CommonPrefix(source.keys.front(), key, skip);
  for (uint64_t i = 0; i < source.keys.size(); ++i) {
    entries.push_back({KeyPrefix(source.keys[i], skip), i});
  }
  std::vector<uint64_t> expected;
  for (const KeyEntry& entry : entries) expected.push_back(entry.handle);
  std::ranges::sort(expected, [&](uint64_t a, uint64_t b) {
    return source.keys[a] != source.keys[b] ? source.keys[a] < source.keys[b] : a > b;
  });
  std::vector<KeyEntry> scratch(entries.size());
  sort(entries.data(), scratch.data(), skip);
  for (size_t i = 0; i < entries.size(); ++i) {
    ASSERT_EQ(entries[i].handle, expected[i]) << i;
    ASSERT_EQ(entries[i].prefix, KeyPrefix(source.keys[expected[i]], skip));
  }
}

void ExpectSorts(const VectorSource& source) {
  ExpectSortsBy(source, [&](KeyEntry* entries, KeyEntry* scratch, size_t skip) {
    EntrySorter<VectorSource>(source, entries, scratch)
        .Sort(static_cast<int64_t>(source.keys.size()), skip);
  });
}

TEST(MergeStretches, GivesOrderNewestVersionFirst) {
  Random random(SeedOfThisRun());
  SCOPED_TRACE(SeedOfThisRun());
  for (const size_t stretches : {1, 2, 3, 7, 16}) {
    VectorSource source;
    std::vector<int64_t> ends;
    for (size_t i = 0; i < stretches; ++i) {
      std::set<std::string> keys;
      // Keys that tie in eight bytes and more, and stand in several stretches.
      const uint64_t size = 1 + random.Next() % 300;
      while (keys.size() < size) {
        keys.insert("some prefix" + std::to_string(random.Next() % 900));
      }
      source.keys.insert(source.keys.end(), keys.begin(), keys.end());
      ends.push_back(static_cast<int64_t>(source.keys.size()));
    }
    ExpectSortsBy(source, [&](KeyEntry* entries, KeyEntry* scratch, size_t) {
      MergeStretches(source, entries, scratch, ends);
    });
  }
}

TEST(EntrySort, SortsRandomKeys) {
  Random random(SeedOfThisRun());
  SCOPED_TRACE(SeedOfThisRun());
  for (const int size : {1, 2, 48, 49, 1000, 50000}) {
    VectorSource source;
    for (int i = 0; i < size; ++i) {
      source.keys.push_back(std::to_string(random.Next()) + std::to_string(i % 3));
    }
    ExpectSorts(std::move(source));
  }
}

TEST(EntrySort, PutsNewerVersionsOfAKeyFirst) {
  VectorSource source;
  for (int i = 0; i < 20000; ++i) source.keys.push_back("key" + std::to_string(i % 7));
  ExpectSorts(std::move(source));
}

TEST(EntrySort, SortsEqualKeysAlone) {
  ExpectSorts({std::vector<std::string>(5000, "the same key")});
  ExpectSorts({std::vector<std::string>(5000, "")});
}

TEST(EntrySort, TellsZerosFromTheEndOfAKey) {
  VectorSource source;
  for (int i = 0; i < 3000; ++i) {
    source.keys.push_back(std::string(static_cast<size_t>(i * 7 % 30), '\0'));
  }
  ExpectSorts(std::move(source));
}

TEST(EntrySort, SortsKeysThatArePrefixesOfEachOtherToAnyLength) {
  VectorSource source;
  for (size_t i = 0; i < 4000; ++i) source.keys.push_back(std::string(i * 2339 % 4000, 'a'));
  ExpectSorts(std::move(source));
}

TEST(EntrySort, SortsKeysThatDifferFarBehind) {
  Random random(SeedOfThisRun());
  SCOPED_TRACE(SeedOfThisRun());
  VectorSource source;
  for (int i = 0; i < 3000; ++i) {
    source.keys.push_back(std::string(random.OneIn(2) ? 500 : 300, 'p') +
                          std::to_string(random.Uniform(500)));
  }
  ExpectSorts(std::move(source));
}

TEST(EntrySort, SortsUnevenDistributions) {
  Random random(SeedOfThisRun());
  SCOPED_TRACE(SeedOfThisRun());
  VectorSource source;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t number = random.Next() >> random.Uniform(64);
    std::string key(8, '\0');
    StoreBig64(key.data(), number);
    source.keys.push_back(std::move(key));
  }
  ExpectSorts(std::move(source));
}

TEST(AppendList, ElementsStayInPlaceWhileItGrows) {
  AppendList<std::string> list;
  list.Append("0");
  const std::string* first = &list[0];
  for (int i = 1; i < 5000; ++i) list.Append(std::to_string(i));
  EXPECT_EQ(&list[0], first);
  ASSERT_EQ(list.size(), 5000);
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(list[i], std::to_string(i));
}

}  // namespace
}  // namespace marble::test

// Tests of the cache of rows: what it keeps, for how long, and in how much memory.
#include "sst/row_cache.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/random.h"

namespace marble {
namespace {

constexpr int64_t kCapacity = int64_t{8} << 20;
constexpr uint64_t kFile = 7;

class RowCacheTest : public ::testing::Test {
 protected:
  RowCacheTest() : cache_(kCapacity) { cache_.SetCapacity(kCapacity); }

  static std::string KeyOf(uint64_t i) { return "key" + std::to_string(i); }
  static PointQuery QueryOf(std::string_view key) {
    // As good as HashKey: a number's bits spread over the word.
    return {.key = key, .hash = std::hash<std::string_view>()(key)};
  }
  bool Offer(const std::string& key, std::string_view value, uint64_t file = kFile,
             RowKind kind = RowKind::kPut) {
    FoundValue row;
    row.found = true;
    row.kind = kind;
    row.value = value;
    return cache_.Offer(file, QueryOf(key), row);
  }
  void Keep(const std::string& key, std::string_view value, uint64_t file = kFile,
            RowKind kind = RowKind::kPut) {
    for (int i = 0; i < 2; ++i) Offer(key, value, file, kind);
  }
  FoundValue Find(const std::string& key, uint64_t file = kFile) {
    FoundValue row;
    EXPECT_EQ(cache_.Find(file, QueryOf(key), &row), row.found);
    return row;
  }

  RowCache cache_;
};

TEST_F(RowCacheTest, ARowIsKeptAtOnceWhileThereIsRoom) {
  EXPECT_FALSE(Find("a").found);
  Offer("a", "value");
  EXPECT_EQ(Find("a").value, "value");
  EXPECT_EQ(cache_.hits(), 1);
}

TEST_F(RowCacheTest, AFullCacheKeepsARowThatIsOfferedForTheSecondTime) {
  const std::string value(300, 'v');
  for (int i = 0; i < 50000; ++i) Keep(KeyOf(i), value);
  int at_once = 0;
  int then = 0;
  for (int i = 50000; i < 50100; ++i) {
    Offer(KeyOf(i), value);
    at_once += Find(KeyOf(i)).found;
    Offer(KeyOf(i), value);
    then += Find(KeyOf(i)).found;
  }
  EXPECT_EQ(at_once, 0);
  EXPECT_EQ(then, 100);
}

TEST_F(RowCacheTest, KeysAndFilesAreToldApart) {
  for (int i = 0; i < 3000; ++i) {
    Keep(KeyOf(i), "1:" + std::to_string(i), 1);
    Keep(KeyOf(i), "2:" + std::to_string(i), 2);
  }
  int found = 0;
  for (int i = 0; i < 3000; ++i) {
    for (const uint64_t file : {1, 2, 3}) {
      const FoundValue row = Find(KeyOf(i), file);
      if (!row.found) continue;
      ++found;
      EXPECT_EQ(row.value, std::to_string(file) + ":" + std::to_string(i));
    }
  }
  EXPECT_GT(found, 5900);
}

TEST_F(RowCacheTest, AKeyOfAnotherFileInTheSamePlaceIsNotFound) {
  // Places are chosen by this: as if the two files had the key by two hashes.
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;
  FoundValue row;
  row.found = true;
  row.value = "value";
  cache_.Offer(1, {.key = "a", .hash = 5 ^ kFactor}, row);
  FoundValue found;
  EXPECT_TRUE(cache_.Find(1, {.key = "a", .hash = 5 ^ kFactor}, &found));
  EXPECT_FALSE(cache_.Find(2, {.key = "a", .hash = 5 ^ 2 * kFactor}, &found));
}

TEST_F(RowCacheTest, DeletesAndNullAndEmptyValuesComeBack) {
  Keep("null", std::string_view());
  Keep("empty", std::string_view("", 0));
  Keep("delete", std::string_view("", 0), kFile, RowKind::kDelete);
  Keep("", "of the empty key");
  EXPECT_TRUE(Find("null").found);
  EXPECT_EQ(Find("null").value.data(), nullptr);
  EXPECT_NE(Find("empty").value.data(), nullptr);
  EXPECT_EQ(Find("empty").value, "");
  EXPECT_EQ(Find("empty").kind, RowKind::kPut);
  EXPECT_EQ(Find("delete").kind, RowKind::kDelete);
  EXPECT_EQ(Find("").value, "of the empty key");
}

TEST_F(RowCacheTest, NeverHoldsMoreThanItsCapacity) {
  const std::string value(300, 'v');
  for (int i = 0; i < 100000; ++i) {
    Keep(KeyOf(i), value);
    ASSERT_LE(cache_.bytes(), kCapacity);
  }
  EXPECT_GT(cache_.bytes(), kCapacity * 3 / 4);
}

TEST_F(RowCacheTest, RowsThatAreAskedForStayWhileOthersGo) {
  const std::string value(300, 'v');
  for (int i = 0; i < 100; ++i) Keep(KeyOf(i), KeyOf(i));
  for (int i = 100; i < 200000; ++i) {
    Keep(KeyOf(i), value);
    Find(KeyOf(i % 100));
  }
  int hot = 0;
  for (int i = 0; i < 100; ++i) hot += Find(KeyOf(i)).value == KeyOf(i);
  EXPECT_GT(hot, 95);
  EXPECT_FALSE(Find(KeyOf(150)).found);
}

TEST_F(RowCacheTest, AValueStaysForItsReaderWhenTheRowIsGone) {
  Keep("a", "value");
  const FoundValue row = Find("a");
  cache_.SetCapacity(0);
  EXPECT_FALSE(Find("a").found);
  EXPECT_EQ(cache_.bytes(), 0);
  EXPECT_NE(row.owner, nullptr);
  EXPECT_EQ(row.value, "value");
}

TEST_F(RowCacheTest, AnotherCapacityHoldsAtOnce) {
  const std::string value(300, 'v');
  for (int i = 0; i < 50000; ++i) Keep(KeyOf(i), value);
  cache_.SetCapacity(kCapacity / 2);
  EXPECT_LE(cache_.bytes(), kCapacity / 2);
  EXPECT_TRUE(Find(KeyOf(49999)).found) << "the newest stay";
  for (int i = 50000; i < 100000; ++i) Keep(KeyOf(i), value);
  EXPECT_LE(cache_.bytes(), kCapacity / 2);
  cache_.SetCapacity(kCapacity);
  for (int i = 0; i < 50000; ++i) Keep(KeyOf(i), value);
  EXPECT_GT(cache_.bytes(), kCapacity * 3 / 4);
}

TEST_F(RowCacheTest, LargeRowsAreNotKept) {
  Keep("a", std::string(10000, 'v'));
  EXPECT_FALSE(Find("a").found);
  EXPECT_EQ(cache_.bytes(), 0);
}

TEST_F(RowCacheTest, ThreadsFindWhatBelongsToTheirKeys) {
  constexpr int kThreads = 4;
  std::atomic<int64_t> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, &wrong] {
      test::Random random(t + 1);
      for (int i = 0; i < 60000; ++i) {
        const std::string key = KeyOf(random.Next() % (i % 4 == 0 ? 100000 : 500));
        const std::string value = key + std::string(200, 'v');
        const FoundValue row = Find(key);
        if (!row.found) {
          Offer(key, value);
        } else if (row.value != value) {
          ++wrong;
        }
        if (t == 0 && i % 5000 == 0) cache_.SetCapacity(kCapacity / (1 + i / 5000 % 3));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(cache_.hits(), 1000);
}

}  // namespace
}  // namespace marble

// Tests of the block cache: what it keeps, what it evicts, what it counts.
#include "sst/block_cache.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "sst/sst_reader.h"

namespace marble {
namespace {

std::shared_ptr<const Block> SomeBlock() { return std::make_shared<const Block>(); }

TEST(BlockCache, GivesBackTheBlockThatWasInserted) {
  BlockCache cache(1000);
  const auto block = SomeBlock();
  cache.Insert(7, 3, block, 10);
  EXPECT_EQ(cache.Find(7, 3), block);
  EXPECT_EQ(cache.Find(7, 4), nullptr);
  EXPECT_EQ(cache.Find(8, 3), nullptr);
  EXPECT_EQ(cache.hits(), 1);
  EXPECT_EQ(cache.misses(), 2);
}

TEST(BlockCache, NeverHoldsMoreThanItsCapacity) {
  BlockCache cache(1000);
  for (int64_t i = 0; i < 500; ++i) {
    cache.Insert(1, i, SomeBlock(), 90);
    EXPECT_LE(cache.bytes(), 1000);
  }
  EXPECT_EQ(cache.bytes(), 990);
}

TEST(BlockCache, EvictsTheLeastRecentlyUsedOfAShard) {
  // Blocks of one shard compete with each other: find some by filling a cache of two.
  BlockCache cache(20);
  cache.Insert(1, 0, SomeBlock(), 10);
  cache.Insert(1, 1, SomeBlock(), 10);
  EXPECT_NE(cache.Find(1, 1), nullptr);
  cache.Insert(1, 2, SomeBlock(), 10);
  EXPECT_NE(cache.Find(1, 2), nullptr);
  EXPECT_EQ(cache.bytes(), 20);
}

TEST(BlockCache, ABlockLargerThanTheCapacityIsNotKept) {
  BlockCache cache(100);
  cache.Insert(1, 0, SomeBlock(), 60);
  cache.Insert(1, 1, SomeBlock(), 101);
  EXPECT_EQ(cache.Find(1, 1), nullptr);
  EXPECT_NE(cache.Find(1, 0), nullptr);
}

TEST(BlockCache, ABlockAsLargeAsTheCapacityReplacesAllOthers) {
  BlockCache cache(100);
  for (int64_t i = 0; i < 10; ++i) cache.Insert(1, i, SomeBlock(), 10);
  cache.Insert(2, 0, SomeBlock(), 100);
  EXPECT_NE(cache.Find(2, 0), nullptr);
  EXPECT_EQ(cache.bytes(), 100);
}

TEST(BlockCache, InsertingAgainReplacesBlockAndBytes) {
  BlockCache cache(100);
  cache.Insert(1, 0, SomeBlock(), 60);
  const auto second = SomeBlock();
  cache.Insert(1, 0, second, 20);
  EXPECT_EQ(cache.bytes(), 20);
  EXPECT_EQ(cache.Find(1, 0), second);
}

TEST(BlockCache, EraseFileForgetsItsBlocksOnly) {
  BlockCache cache(10000);
  for (int64_t i = 0; i < 50; ++i) {
    cache.Insert(1, i, SomeBlock(), 10);
    cache.Insert(2, i, SomeBlock(), 10);
  }
  cache.EraseFile(1);
  EXPECT_EQ(cache.bytes(), 500);
  for (int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(cache.Find(1, i), nullptr);
    EXPECT_NE(cache.Find(2, i), nullptr);
  }
}

TEST(BlockCache, ASmallerCapacityEvictsAtOnce) {
  BlockCache cache(1000);
  for (int64_t i = 0; i < 100; ++i) cache.Insert(1, i, SomeBlock(), 10);
  cache.SetCapacity(200);
  EXPECT_LE(cache.bytes(), 200);
  cache.SetCapacity(0);
  EXPECT_EQ(cache.bytes(), 0);
}

TEST(BlockCache, AnEvictedBlockLivesWhileSomebodyHoldsIt) {
  BlockCache cache(10);
  auto block = SomeBlock();
  std::weak_ptr<const Block> watch = block;
  cache.Insert(1, 0, block, 10);
  cache.Insert(1, 1, SomeBlock(), 10);
  EXPECT_EQ(cache.Find(1, 0), nullptr);
  EXPECT_FALSE(watch.expired());
  block.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(BlockCache, RowsPushBlocksOutUpToTheirShare) {
  constexpr int64_t kCapacity = int64_t{8} << 20;
  BlockCache cache(kCapacity);
  for (int64_t i = 0; i < 900; ++i) cache.Insert(1, i, SomeBlock(), kCapacity / 1000);
  const std::string value(500, 'v');
  FoundValue row;
  row.found = true;
  row.value = value;
  for (uint64_t i = 0; i < 60000; ++i) {
    const std::string key = std::to_string(i / 2);
    cache.OfferRow(1, {.key = key, .hash = std::hash<std::string>()(key)}, row);
    ASSERT_LE(cache.bytes() + cache.row_bytes(), kCapacity);
  }
  EXPECT_GT(cache.row_bytes(), kCapacity / 2);
  EXPECT_GT(cache.bytes(), kCapacity / 5);
  cache.SetCapacity(1000);
  EXPECT_EQ(cache.row_bytes(), 0);
  EXPECT_LE(cache.bytes(), 1000);
}

TEST(BlockCache, BytesThatOthersTakePushBlocksOutUntilTheyAreGivenBack) {
  BlockCache cache(1000);
  for (int64_t i = 0; i < 20; ++i) cache.Insert(1, i, SomeBlock(), 50);
  EXPECT_EQ(cache.bytes(), 1000);
  EXPECT_FALSE(cache.TryTake(800));
  EXPECT_TRUE(cache.TryTake(600));
  EXPECT_LE(cache.bytes(), 400);
  EXPECT_EQ(cache.pinned_bytes(), 600);
  EXPECT_FALSE(cache.TryTake(200)) << "three quarters at most";
  cache.GiveBack(600);
  for (int64_t i = 0; i < 20; ++i) cache.Insert(1, i, SomeBlock(), 50);
  EXPECT_EQ(cache.bytes(), 1000);
  EXPECT_EQ(cache.pinned_bytes(), 0);
}

TEST(BlockCache, PinnedBytesLeaveSoMuchLessToBlocks) {
  BlockCache cache(100);
  cache.AddPinned(30);
  cache.Insert(1, 0, SomeBlock(), 40);
  cache.Insert(1, 1, SomeBlock(), 40);
  EXPECT_LE(cache.bytes(), 70);
  EXPECT_EQ(cache.Find(1, 0), nullptr);
  EXPECT_NE(cache.Find(1, 1), nullptr);
  cache.AddPinned(-30);
  cache.Insert(1, 0, SomeBlock(), 40);
  EXPECT_EQ(cache.bytes(), 80);
}

TEST(BlockCache, ManyThreadsLeaveTheByteCountRight) {
  BlockCache cache(500);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int64_t i = 0; i < 5000; ++i) {
        if (cache.Find(t % 2, i % 97) == nullptr) cache.Insert(t % 2, i % 97, SomeBlock(), 10);
        if (i % 1000 == 999) cache.EraseFile(t % 2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache.bytes(), 500);
  cache.EraseFile(0);
  cache.EraseFile(1);
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace marble

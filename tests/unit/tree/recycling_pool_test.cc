#include "tree/recycling_pool.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace marble {
namespace {

uint8_t* Take(RecyclingPool* pool, int64_t bytes, int64_t alignment = kHugePageBytes) {
  uint8_t* data = nullptr;
  EXPECT_TRUE(pool->Allocate(bytes, alignment, &data).ok());
  return data;
}

/// Without spares nothing is left.
void ExpectAllGivenBack(RecyclingPool* pool) {
  pool->SetSpareBytesMax(0);
  EXPECT_EQ(pool->bytes_allocated(), 0);
}

/// A block that was asked for and is a spare now.
uint8_t* MakeSpare(RecyclingPool* pool, int64_t bytes) {
  uint8_t* data = Take(pool, bytes, 64);
  pool->Free(data, bytes, 64);
  return data;
}

TEST(RecyclingPool, GivesOutAgainWhatWasFreed) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(8 * kHugePageBytes);
  uint8_t* first = Take(&pool, kHugePageBytes);
  pool.Free(first, kHugePageBytes, kHugePageBytes);
  EXPECT_EQ(pool.spare_bytes(), kHugePageBytes);
  EXPECT_EQ(pool.bytes_allocated(), kHugePageBytes) << "a spare is accounted";
  EXPECT_EQ(Take(&pool, kHugePageBytes), first);
  EXPECT_EQ(pool.spare_bytes(), 0);
  pool.Free(first, kHugePageBytes, kHugePageBytes);
}

TEST(RecyclingPool, KeepsNoMoreThanAllowedAndTheNewest) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(2 * kHugePageBytes);
  uint8_t* blocks[3];
  for (uint8_t*& block : blocks) block = Take(&pool, kHugePageBytes);
  for (uint8_t* block : blocks) pool.Free(block, kHugePageBytes, kHugePageBytes);
  EXPECT_EQ(pool.spare_bytes(), 2 * kHugePageBytes);
  uint8_t* again = Take(&pool, kHugePageBytes);
  EXPECT_EQ(again, blocks[2]);
  pool.Free(again, kHugePageBytes, kHugePageBytes);
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, KeepsALargeBlockBeforeManySmallOnes) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(4 * kHugePageBytes);
  uint8_t* large = Take(&pool, 3 * kHugePageBytes);
  uint8_t* blocks[3];
  for (uint8_t*& block : blocks) block = Take(&pool, kHugePageBytes);
  pool.Free(large, 3 * kHugePageBytes, kHugePageBytes);
  for (uint8_t* block : blocks) pool.Free(block, kHugePageBytes, kHugePageBytes);
  EXPECT_EQ(pool.spare_bytes(), 4 * kHugePageBytes);
  EXPECT_EQ(Take(&pool, 3 * kHugePageBytes), large);
  pool.Free(large, 3 * kHugePageBytes, kHugePageBytes);
}

TEST(RecyclingPool, GivesBackALargeBlockThatNobodyAsksFor) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(4 * kHugePageBytes);
  pool.Free(Take(&pool, 3 * kHugePageBytes), 3 * kHugePageBytes, kHugePageBytes);
  uint8_t* blocks[4];
  for (int round = 0; round < 300; ++round) {
    for (uint8_t*& block : blocks) block = Take(&pool, kHugePageBytes);
    for (uint8_t* block : blocks) pool.Free(block, kHugePageBytes, kHugePageBytes);
  }
  for (uint8_t*& block : blocks) block = Take(&pool, kHugePageBytes);
  EXPECT_EQ(pool.spare_bytes(), 0) << "only the small ones were kept";
  for (uint8_t* block : blocks) pool.Free(block, kHugePageBytes, kHugePageBytes);
}

TEST(RecyclingPool, KeepsALargeBlockWhileManySmallOnesComeAndGo) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(8 * kHugePageBytes);
  pool.Free(Take(&pool, 7 * kHugePageBytes), 7 * kHugePageBytes, kHugePageBytes);
  for (int round = 0; round < 1900; ++round) {  // of 238 MiB together; 16 times 16 MiB are 256
    uint8_t* block = Take(&pool, kRecycledBytesMin, 64);
    pool.Free(block, kRecycledBytesMin, 64);
  }
  uint8_t* two = Take(&pool, 2 * kHugePageBytes);
  pool.Free(two, 2 * kHugePageBytes, kHugePageBytes);  // something has to go
  EXPECT_EQ(pool.spare_bytes(), 7 * kHugePageBytes) << "the large one";
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, GivesBackABlockOverTheMostAndKeepsTheOthers) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(4 * kHugePageBytes);
  uint8_t* kept = Take(&pool, kHugePageBytes);
  uint8_t* over = Take(&pool, 5 * kHugePageBytes);
  pool.Free(kept, kHugePageBytes, kHugePageBytes);
  pool.Free(over, 5 * kHugePageBytes, kHugePageBytes);
  EXPECT_EQ(pool.spare_bytes(), kHugePageBytes);
  EXPECT_EQ(Take(&pool, kHugePageBytes), kept);
  pool.Free(kept, kHugePageBytes, kHugePageBytes);
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, GivesNoSmallerSpareAndKeepsNothingSmall) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(8 * kHugePageBytes);
  uint8_t* small = Take(&pool, 4096, 64);
  pool.Free(small, 4096, 64);
  EXPECT_EQ(pool.spare_bytes(), 0);
  uint8_t* one = Take(&pool, kHugePageBytes);
  pool.Free(one, kHugePageBytes, kHugePageBytes);
  uint8_t* two = Take(&pool, 2 * kHugePageBytes);
  EXPECT_EQ(pool.spare_bytes(), kHugePageBytes);
  pool.Free(two, 2 * kHugePageBytes, kHugePageBytes);
}

TEST(RecyclingPool, GivesNoSpareOfAnotherAlignment) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(8 * kHugePageBytes);
  uint8_t* loose = MakeSpare(&pool, kHugePageBytes);
  uint8_t* huge = Take(&pool, kHugePageBytes);
  EXPECT_NE(huge, loose);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(huge) % kHugePageBytes, 0);
  EXPECT_EQ(pool.spare_bytes(), kHugePageBytes);
  pool.Free(huge, kHugePageBytes, kHugePageBytes);
  EXPECT_EQ(Take(&pool, kHugePageBytes, 64), loose);
  pool.Free(loose, kHugePageBytes, 64);
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, GivesOutLargeMemoryAgainForSizesNearIt) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(kHugePageBytes);
  uint8_t* first = MakeSpare(&pool, kRecycledBytesMin + 1);
  EXPECT_GT(pool.spare_bytes(), kRecycledBytesMin);
  EXPECT_EQ(Take(&pool, kRecycledBytesMin + 1000, 64), first);
  EXPECT_EQ(pool.spare_bytes(), 0);
  pool.Free(first, kRecycledBytesMin + 1000, 64);
  uint8_t* other = Take(&pool, 2 * kRecycledBytesMin, 64);
  EXPECT_GT(pool.spare_bytes(), 0) << "too small for it";
  pool.Free(other, 2 * kRecycledBytesMin, 64);
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, GivesOutASpareOfUpToTwiceTheSizeAndKeepsAllOfItAfterwards) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(32 * kRecycledBytesMin);
  uint8_t* first = MakeSpare(&pool, 8 * kRecycledBytesMin);
  uint8_t* small = Take(&pool, 3 * kRecycledBytesMin, 64);
  EXPECT_NE(small, first) << "it would waste more than half";
  EXPECT_EQ(Take(&pool, 5 * kRecycledBytesMin, 64), first);
  EXPECT_EQ(pool.spare_bytes(), 0);
  EXPECT_EQ(pool.bytes_allocated(), 11 * kRecycledBytesMin);
  first[0] = 7;
  ASSERT_TRUE(pool.Reallocate(5 * kRecycledBytesMin, 6 * kRecycledBytesMin, 64, &first).ok());
  EXPECT_EQ(first[0], 7);
  pool.Free(first, 6 * kRecycledBytesMin, 64);
  EXPECT_EQ(pool.spare_bytes(), (8 + 6) * kRecycledBytesMin);
  pool.Free(small, 3 * kRecycledBytesMin, 64);
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, WastesNoMoreThanAnEighthOfWhatItKeepsOnSparesThatAreTooLarge) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(16 * kRecycledBytesMin);
  uint8_t* blocks[3];
  for (uint8_t*& block : blocks) block = Take(&pool, 4 * kRecycledBytesMin, 64);
  for (uint8_t* block : blocks) pool.Free(block, 4 * kRecycledBytesMin, 64);
  for (uint8_t*& block : blocks) block = Take(&pool, 3 * kRecycledBytesMin, 64);
  EXPECT_EQ(pool.spare_bytes(), 4 * kRecycledBytesMin) << "the third was new";
  for (uint8_t* block : blocks) pool.Free(block, 3 * kRecycledBytesMin, 64);
  EXPECT_EQ(pool.spare_bytes(), (4 + 4 + 4 + 3) * kRecycledBytesMin);
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, MemoryThatGrowsAndShrinksKeepsItsContent) {
  RecyclingPool pool(arrow::default_memory_pool());
  pool.SetSpareBytesMax(4 * kHugePageBytes);
  int64_t size = 1000;
  uint8_t* data = Take(&pool, size, 64);
  for (int64_t i = 0; i < size; ++i) data[i] = static_cast<uint8_t>(i);
  const int64_t sizes[] = {2000,
                           kRecycledBytesMin,
                           kRecycledBytesMin + 10,
                           3 * kRecycledBytesMin,
                           5'000'000,
                           kRecycledBytesMin,
                           1500,
                           1000};
  for (const int64_t next : sizes) {
    ASSERT_TRUE(pool.Reallocate(size, next, 64, &data).ok());
    size = next;
    for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(data[i], static_cast<uint8_t>(i)) << size;
  }
  pool.Free(data, size, 64);
  ExpectAllGivenBack(&pool);
}

TEST(RecyclingPool, KeepsNothingUnlessTold) {
  RecyclingPool pool(arrow::default_memory_pool());
  uint8_t* block = Take(&pool, kHugePageBytes);
  pool.Free(block, kHugePageBytes, kHugePageBytes);
  EXPECT_EQ(pool.bytes_allocated(), 0);
}

}  // namespace
}  // namespace marble

#include "tree/recycling_pool.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

uint8_t* Take(RecyclingPool* pool, int64_t bytes, int64_t alignment = kHugePageBytes) {
  uint8_t* data = nullptr;
  EXPECT_TRUE(pool->Allocate(bytes, alignment, &data).ok());
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
  pool.SetSpareBytesMax(0);
  EXPECT_EQ(pool.bytes_allocated(), 0);
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

TEST(RecyclingPool, GivesNoSpareOfAnotherSizeAndKeepsNothingSmall) {
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

TEST(RecyclingPool, KeepsNothingUnlessTold) {
  RecyclingPool pool(arrow::default_memory_pool());
  uint8_t* block = Take(&pool, kHugePageBytes);
  pool.Free(block, kHugePageBytes, kHugePageBytes);
  EXPECT_EQ(pool.bytes_allocated(), 0);
}

}  // namespace
}  // namespace marble

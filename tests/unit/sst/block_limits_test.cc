// Tests of where blocks end.
#include "sst/block_limits.h"

#include <limits>

#include <gtest/gtest.h>

namespace marble {
namespace {

constexpr int64_t kAnyRows = std::numeric_limits<int64_t>::max();

TEST(BlockLimits, TheFirstBlockEndsAtTheBytesAimedAt) {
  const BlockLimits limits(1000, kAnyRows);
  EXPECT_FALSE(limits.IsFull(999, 999));
  EXPECT_TRUE(limits.IsFull(1, 1000));
}

TEST(BlockLimits, TheNextBlocksHaveAsManyRows) {
  BlockLimits limits(1000, kAnyRows);
  limits.Next(10, 1010);
  for (const int64_t bytes : {500, 900, 1999}) {
    EXPECT_EQ(limits.rows(), 10);
    EXPECT_FALSE(limits.IsFull(9, 1999));
    EXPECT_TRUE(limits.IsFull(10, 10));
    limits.Next(10, bytes);
  }
  EXPECT_EQ(limits.rows(), 10);
}

TEST(BlockLimits, ABlockThatIsTwiceAsLongAsAimedAtEndsEarlier) {
  BlockLimits limits(1000, kAnyRows);
  limits.Next(10, 1000);
  EXPECT_TRUE(limits.IsFull(2, 2000));
  limits.Next(2, 2000);
  EXPECT_FALSE(limits.IsFull(10, 999));
  EXPECT_TRUE(limits.IsFull(3, 1000));
}

TEST(BlockLimits, BlocksThatBecomeHalfAsLongAreCutByBytesAgain) {
  BlockLimits limits(1000, kAnyRows);
  limits.Next(10, 1000);
  limits.Next(10, 499);
  EXPECT_FALSE(limits.IsFull(10, 499));
  limits.Next(21, 1001);
  EXPECT_EQ(limits.rows(), 21);
}

TEST(BlockLimits, MoreVersionsOfABlocksLastKeyDoNotCount) {
  BlockLimits limits(1000, kAnyRows);
  limits.Next(10, 1000);
  limits.Next(14, 1300);
  EXPECT_EQ(limits.rows(), 10);
}

TEST(BlockLimits, NoBlockAimsAtMoreRowsThanAllowed) {
  BlockLimits limits(1000, 5);
  EXPECT_TRUE(limits.IsFull(5, 10));
  limits.Next(7, 1200);  // two more versions of its last key
  EXPECT_EQ(limits.rows(), 5);
}

TEST(BlockLimits, BytesWithoutALimitAreNoOverflow) {
  BlockLimits limits(std::numeric_limits<int64_t>::max(), kAnyRows);
  EXPECT_FALSE(limits.IsFull(1 << 30, int64_t{1} << 60));
  limits.Next(10, int64_t{1} << 62);
  EXPECT_EQ(limits.rows(), 10);
  EXPECT_EQ(limits.bytes(), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace marble

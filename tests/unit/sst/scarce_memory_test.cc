#include "sst/scarce_memory.h"

#include <thread>

#include <gtest/gtest.h>

namespace marble {
namespace {

int CountAsks(ScarceMemory* memory) {
  int asks = 0;
  while (memory->ShouldAsk()) ++asks;
  return asks;
}

void TouchSlowly(ScarceMemory* memory, bool looked_at) {
  const ScarceMemory::Watch watch(memory, looked_at);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(ScarceMemory, AsksAFewTimesAtFirst) {
  ScarceMemory memory;
  EXPECT_FALSE(memory.IsScarce());
  const int asks = CountAsks(&memory);
  EXPECT_GT(asks, 0);
  EXPECT_LT(asks, 10);
}

TEST(ScarceMemory, DoesNotAskWhereNothingWasSlow) {
  ScarceMemory memory;
  CountAsks(&memory);
  memory.Note(/*absent=*/false);
  TouchSlowly(&memory, /*looked_at=*/false);
  EXPECT_EQ(CountAsks(&memory), 0);
}

TEST(ScarceMemory, ASlowAccessIsAskedAboutAFewTimesOnly) {
  ScarceMemory memory;
  CountAsks(&memory);
  TouchSlowly(&memory, /*looked_at=*/true);
  const int asks = CountAsks(&memory);
  EXPECT_GT(asks, 0);
  EXPECT_LT(asks, 10);
}

TEST(ScarceMemory, AsksForLongOnceBytesWereAbsentAndASlowAccessDoesNotShortenThat) {
  ScarceMemory memory;
  memory.Note(/*absent=*/true);
  TouchSlowly(&memory, /*looked_at=*/true);
  EXPECT_TRUE(memory.IsScarce());
  EXPECT_GT(CountAsks(&memory), 500);
  EXPECT_FALSE(memory.IsScarce());
  EXPECT_FALSE(memory.ShouldAsk());
}

}  // namespace
}  // namespace marble

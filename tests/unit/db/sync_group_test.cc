#include "db/sync_group.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

using std::chrono::microseconds;

TEST(SyncGroup, OneWriterNeverWaitsForOthers) {
  SyncGroup group;
  for (int i = 0; i < 3; ++i) {
    const uint64_t entered = group.Enter();
    EXPECT_TRUE(group.IsComplete());
    group.Begin();
    group.End(microseconds(100));
    group.Leave(entered);
  }
}

TEST(SyncGroup, IsCompleteWhenAllAreBackThatWereThereWhenTheLastSyncEnded) {
  SyncGroup group;
  const uint64_t first = group.Enter();
  group.Begin();
  group.Enter();  // two more come while it is synced
  group.Enter();
  group.End(microseconds(100));
  group.Leave(first);
  EXPECT_FALSE(group.IsComplete());
  group.Enter();  // the first one comes back
  EXPECT_TRUE(group.IsComplete());
}

TEST(SyncGroup, WritersThatStayAwayAreNotWaitedForAgain) {
  SyncGroup group;
  group.Enter();
  group.Enter();
  group.Begin();
  group.End(microseconds(100));
  group.Enter();
  EXPECT_FALSE(group.IsComplete());
  group.Begin();
  group.End(microseconds(100));
  group.Enter();
  EXPECT_TRUE(group.IsComplete());
}

TEST(SyncGroup, ACommitThatLeavesBeforeASyncIsNotCounted) {
  SyncGroup group;
  group.Leave(group.Enter());
  group.Enter();
  group.Begin();
  group.End(microseconds(100));
  group.Enter();
  EXPECT_TRUE(group.IsComplete());
}

TEST(SyncGroup, WaitsAFractionOfASyncAndNeverLong) {
  SyncGroup group;
  group.Begin();
  group.End(microseconds(100));
  EXPECT_EQ(group.patience(), microseconds(50));
  group.Begin();
  group.End(std::chrono::seconds(1));
  EXPECT_EQ(group.patience(), microseconds(200));
}

}  // namespace
}  // namespace marble

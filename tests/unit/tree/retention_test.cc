// Which rows of one source take part in a merge: every rule by example.
#include "tree/retention.h"

#include <gtest/gtest.h>

#include "unit/tree/merge_test_support.h"

namespace marble {
namespace {

using merge_test::MakeBatch;
using merge_test::Row;
using Ranges = std::vector<RowRange>;
using Tombstones = std::vector<RangeTombstone>;

std::shared_ptr<const RangeTombstoneSet> SetOf(Tombstones tombstones) {
  return std::make_shared<const RangeTombstoneSet>(std::move(tombstones));
}

Row Put(std::string key, uint64_t sequence) { return {std::move(key), sequence, false, 0}; }
Row Delete(std::string key, uint64_t sequence) { return {std::move(key), sequence, true, 0}; }

Ranges Select(const Retention& retention, const RowBatch& batch) {
  Ranges ranges = {{7, 8, true}};  // must be overwritten
  const arrow::Status status = retention.Select(batch, &ranges);
  EXPECT_TRUE(status.ok()) << status;
  return ranges;
}

TEST(RetentionForRead, AllRowsOfAPlainBatchAreOneRange) {
  const RowBatch batch = MakeBatch({Put("a", 1), Put("b", 2), Put("c", 3)});
  EXPECT_EQ(Select(Retention::ForRead(3, nullptr), batch), (Ranges{{0, 3, false}}));
}

TEST(RetentionForRead, RowsBeyondTheSnapshotAreLeftOut) {
  const RowBatch batch = MakeBatch({Put("a", 1), Put("b", 9), Put("c", 3)});
  EXPECT_EQ(Select(Retention::ForRead(8, nullptr), batch), (Ranges{{0, 1, false}, {2, 3, false}}));
  const RowBatch constant = MakeBatch({Put("a", 5), Put("b", 5)});
  EXPECT_EQ(Select(Retention::ForRead(4, nullptr), constant), Ranges{});
  EXPECT_EQ(Select(Retention::ForRead(5, nullptr), constant), (Ranges{{0, 2, false}}));
}

TEST(RetentionForRead, OnlyTheNewestVisibleVersionTakesPart) {
  const RowBatch batch = MakeBatch({Put("a", 9), Put("a", 5), Put("a", 1), Put("b", 2)});
  EXPECT_EQ(Select(Retention::ForRead(6, nullptr), batch), (Ranges{{1, 2, false}, {3, 4, false}}));
}

TEST(RetentionForRead, DeletesAreHiddenButTakePart) {
  const RowBatch batch = MakeBatch({Put("a", 1), Delete("b", 2), Delete("c", 3), Put("d", 4)});
  EXPECT_EQ(Select(Retention::ForRead(9, nullptr), batch),
            (Ranges{{0, 1, false}, {1, 3, true}, {3, 4, false}}));
}

TEST(RetentionForRead, RowsOlderThanAVisibleTombstoneAreLeftOut) {
  const RowBatch batch = MakeBatch({Put("a", 1), Put("b", 2), Put("c", 8), Put("d", 3)});
  const auto tombstones = SetOf({{"b", "d", 5}});
  EXPECT_EQ(Select(Retention::ForRead(9, tombstones), batch),
            (Ranges{{0, 1, false}, {2, 4, false}}));
  EXPECT_EQ(Select(Retention::ForRead(4, tombstones), MakeBatch({Put("b", 2), Put("c", 3)})),
            (Ranges{{0, 2, false}}));
}

TEST(RetentionForRead, ABatchUnderATombstoneIsLeftOutWhole) {
  const auto tombstones = SetOf({{"", std::nullopt, 5}});
  EXPECT_EQ(Select(Retention::ForRead(9, tombstones), MakeBatch({Put("a", 4), Put("b", 4)})),
            Ranges{});
  EXPECT_EQ(Select(Retention::ForRead(9, tombstones), MakeBatch({Put("a", 5), Put("b", 5)})),
            (Ranges{{0, 2, false}}));
}

TEST(RetentionForRead, KeysAreNeededOnlyWhereRulesAskForThem) {
  RowBatch batch = MakeBatch({Put("a", 1), Put("b", 9)});
  batch.keys = EncodedKeys();
  EXPECT_EQ(Select(Retention::ForRead(5, nullptr), batch), (Ranges{{0, 1, false}}));
  Ranges ranges;
  EXPECT_TRUE(Retention::ForRead(5, SetOf({{"a", "b", 2}})).Select(batch, &ranges).IsInvalid());
  batch.unique_keys = false;
  EXPECT_TRUE(Retention::ForRead(5, nullptr).Select(batch, &ranges).IsInvalid());
}

TEST(RetentionForCompaction, OfEachStripeTheNewestVersionStays) {
  const RowBatch batch =
      MakeBatch({Put("a", 9), Put("a", 7), Put("a", 5), Put("a", 4), Put("a", 2), Put("a", 1)});
  // Stripes (..2], (2..5], (5..]: 9, 5 and 2 stay.
  EXPECT_EQ(Select(Retention::ForCompaction({2, 5}, false, nullptr), batch),
            (Ranges{{0, 1, false}, {2, 3, false}, {4, 5, false}}));
  EXPECT_EQ(Select(Retention::ForCompaction({}, false, nullptr), batch), (Ranges{{0, 1, false}}));
}

TEST(RetentionForCompaction, ASnapshotBetweenRowAndTombstoneKeepsTheRow) {
  const RowBatch batch = MakeBatch({Put("a", 3)});
  const auto tombstones = SetOf({{"a", "b", 6}});
  EXPECT_EQ(Select(Retention::ForCompaction({}, false, tombstones), batch), Ranges{});
  EXPECT_EQ(Select(Retention::ForCompaction({2}, false, tombstones), batch), Ranges{});
  EXPECT_EQ(Select(Retention::ForCompaction({3}, false, tombstones), batch),
            (Ranges{{0, 1, false}}));
  EXPECT_EQ(Select(Retention::ForCompaction({5}, false, tombstones), batch),
            (Ranges{{0, 1, false}}));
  EXPECT_EQ(Select(Retention::ForCompaction({6}, false, tombstones), batch), Ranges{});
  EXPECT_EQ(Select(Retention::ForCompaction({2, 5, 8}, false, tombstones), batch),
            (Ranges{{0, 1, false}}));
}

TEST(RetentionForCompaction, DeletesStayUnlessBottommostAndSeenByAll) {
  const RowBatch batch = MakeBatch({Delete("a", 3), Put("b", 4), Delete("c", 8)});
  EXPECT_EQ(Select(Retention::ForCompaction({}, false, nullptr), batch), (Ranges{{0, 3, false}}));
  EXPECT_EQ(Select(Retention::ForCompaction({}, true, nullptr), batch),
            (Ranges{{0, 1, true}, {1, 2, false}, {2, 3, true}}));
  EXPECT_EQ(Select(Retention::ForCompaction({5}, true, nullptr), batch),
            (Ranges{{0, 1, true}, {1, 3, false}}));
  EXPECT_EQ(Select(Retention::ForCompaction({2, 9}, true, nullptr), batch),
            (Ranges{{0, 3, false}}));
}

}  // namespace
}  // namespace marble

// What BulkLoad promises: any amount of rows in one commit, whatever their order, and nothing at
// all if it fails.
#include <random>

#include <arrow/api.h>

#include <marble/transfer.h>

#include "io/memory_file_system.h"
#include "support/made_rows.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr int64_t kBatchRows = 1000;

std::vector<int64_t> BatchIds(int64_t first) { return Consecutive(first, kBatchRows); }

/// A run is a mebibyte: some nine batches.
using BulkLoadTest = MadeRowsTest;

TEST_F(BulkLoadTest, RowsInAnyOrderComeBackInKeyOrder) {
  constexpr int64_t kBatches = 60;
  std::vector<int64_t> ids(kBatches * kBatchRows);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i);
  std::mt19937_64 random(17);
  std::ranges::shuffle(ids, random);
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == kBatches) return nullptr;
    const auto begin = ids.begin() + n * kBatchRows;
    return RowsOf({begin, begin + kBatchRows}, 1);
  });
  ASSERT_OK_AND_ASSIGN(const int64_t loaded, BulkLoad(keyed_, &rows));
  EXPECT_EQ(loaded, kBatches * kBatchRows);
  ASSERT_OK(Reopen());
  ASSERT_OK_AND_ASSIGN(auto table, ScanAll(*keyed_));
  ASSERT_OK_AND_ASSIGN(auto expected, arrow::Table::FromRecordBatches({RowsOf(
                                          [&] {
                                            std::vector<int64_t> sorted = ids;
                                            std::ranges::sort(sorted);
                                            return sorted;
                                          }(),
                                          1)}));
  EXPECT_TRUE(SameRows(*expected, *table));
}

TEST_F(BulkLoadTest, OfAKeyThatComesAgainInALaterRunTheLastRowWins) {
  // Enough runs for two tiers of merges; each key comes in some 140 batches, a run has nine.
  constexpr int64_t kBatches = 400;
  constexpr int64_t kStep = 7;
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == kBatches) return nullptr;
    return RowsOf(BatchIds(n * kStep), n);
  });
  ASSERT_OK(BulkLoad(keyed_, &rows));
  for (const bool compacted : {false, true}) {
    if (compacted) ASSERT_OK(database_->Compact("keyed"));
    ASSERT_OK_AND_ASSIGN(auto table, ScanAll(*keyed_));
    ASSERT_OK_AND_ASSIGN(auto found, table->CombineChunksToBatch());
    ASSERT_EQ(found->num_rows(), (kBatches - 1) * kStep + kBatchRows);
    const auto& values = static_cast<const arrow::Int64Array&>(*found->column(1));
    for (int64_t id = 0; id < found->num_rows(); ++id) {
      ASSERT_EQ(values.Value(id), std::min(id / kStep, kBatches - 1)) << "of key " << id;
    }
  }
}

TEST_F(BulkLoadTest, LoadedRowsReplaceOlderOnesAndAreReplacedByNewerOnes) {
  ASSERT_OK(keyed_->Insert(RowsOf(BatchIds(0), 1)));
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == 20) return nullptr;
    return RowsOf(BatchIds(0), 2);
  });
  ASSERT_OK(BulkLoad(keyed_, &rows));
  EXPECT_EQ(ValuesOf(*keyed_), std::vector<int64_t>(kBatchRows, 2));
  ASSERT_OK(keyed_->Insert(RowsOf(BatchIds(0), 3)));
  EXPECT_EQ(ValuesOf(*keyed_), std::vector<int64_t>(kBatchRows, 3));
  ASSERT_OK(Reopen());
  EXPECT_EQ(ValuesOf(*keyed_), std::vector<int64_t>(kBatchRows, 3));
}

TEST_F(BulkLoadTest, AnAppendTableKeepsTheOrderOfTheRowsAndGoesOnBehindThem) {
  ASSERT_OK(append_->Insert(RowsOf({7, 7}, 0)));
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == 30) return nullptr;
    return RowsOf(BatchIds(-n * kBatchRows), n);
  });
  ASSERT_OK(BulkLoad(append_, &rows));
  ASSERT_OK(append_->Insert(RowsOf({8}, 0)));
  ASSERT_OK(Reopen());
  ASSERT_OK(append_->Insert(RowsOf({9}, 0)));
  std::vector<int64_t> ids = {7, 7};
  for (int64_t n = 0; n < 30; ++n) std::ranges::copy(BatchIds(-n * kBatchRows), back_inserter(ids));
  ids.push_back(8);
  ids.push_back(9);
  ASSERT_OK_AND_ASSIGN(auto expected, arrow::Table::FromRecordBatches({RowsOf(ids, 0)}));
  // As loaded by one run alone, and merged by the row ids with the others.
  for (const bool compacted : {false, true}) {
    if (compacted) ASSERT_OK(database_->Compact("append"));
    ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*append_, Only("id")));
    EXPECT_TRUE(found->column(0)->Equals(*expected->column(0))) << found->num_rows();
  }
}

TEST_F(BulkLoadTest, RowsInKeyOrderBecomeOneRunThatIsWrittenOnce) {
  constexpr int64_t kBatches = 200;
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == kBatches) return nullptr;
    return RowsOf(BatchIds(n * kBatchRows), 1);
  });
  ASSERT_OK(BulkLoad(keyed_, &rows));
  ASSERT_OK_AND_ASSIGN(const Stats stats, database_->GetStats());
  for (const TableStats& table : stats.tables) {
    if (table.name != "keyed") continue;
    for (const LevelStats& level : table.levels) EXPECT_LE(level.runs, 1);
    EXPECT_EQ(table.rows_in_files, kBatches * kBatchRows);
  }
}

TEST_F(BulkLoadTest, NothingIsSeenBeforeTheEnd) {
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == 50) return nullptr;
    EXPECT_EQ(*keyed_->Count(), 0);
    return RowsOf(BatchIds(n * kBatchRows / 2), n);
  });
  ASSERT_OK(BulkLoad(keyed_, &rows));
  EXPECT_EQ(*keyed_->Count(), 51 * kBatchRows / 2);
}

TEST_F(BulkLoadTest, AReaderThatFailsLeavesNeitherRowsNorFiles) {
  ASSERT_OK(keyed_->Insert(RowsOf({1}, 1)));
  ASSERT_OK(database_->Flush());
  const size_t before = SstFiles();
  size_t meanwhile = 0;
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    meanwhile = std::max(meanwhile, SstFiles());
    if (n == 200) return arrow::Status::IOError("the source broke");
    return RowsOf(BatchIds(n * 7), n);
  });
  EXPECT_FAILS_WITH("the source broke", BulkLoad(keyed_, &rows));
  EXPECT_GT(meanwhile, before);
  EXPECT_EQ(SstFiles(), before);
  EXPECT_EQ(*keyed_->Count(), 1);
}

TEST_F(BulkLoadTest, ARowThatIsRefusedIsNamedAndNothingIsWritten) {
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64()), RowSchema()->field(1), RowSchema()->field(2)});
  ASSERT_OK_AND_ASSIGN(auto bad, BatchFromJson(schema, {"[1, null]", "[1, 2]", R"(["a", "b"])"}));
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == 40) return bad;
    return RowsOf(BatchIds(n * kBatchRows), n);
  });
  EXPECT_FAILS_WITH("'id'", BulkLoad(keyed_, &rows));
  EXPECT_EQ(*keyed_->Count(), 0);
}

TEST_F(BulkLoadTest, AReaderOfOtherColumnsIsRefusedThoughItHasNoRows) {
  const auto schema = arrow::schema({arrow::field("other", arrow::int8())});
  ASSERT_OK_AND_ASSIGN(auto rows, arrow::RecordBatchReader::Make({}, schema));
  EXPECT_FAILS_WITH("'keyed'", BulkLoad(keyed_, rows.get()));
}

TEST_F(BulkLoadTest, ATableDroppedMeanwhileRefusesTheRowsAndTheFilesGo) {
  const size_t before = SstFiles();
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == 40) return nullptr;
    if (n == 39) ARROW_RETURN_NOT_OK(database_->DropTable("keyed"));
    return RowsOf(BatchIds(n * kBatchRows), n);
  });
  const auto loaded = BulkLoad(keyed_, &rows);
  EXPECT_TRUE(IsNotFound(loaded.status())) << loaded.status().ToString();
  EXPECT_EQ(SstFiles(), before);
}

TEST_F(BulkLoadTest, ASchemaChangedMeanwhileRefusesTheRowsAndTheFilesGo) {
  const size_t before = SstFiles();
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == 40) return nullptr;
    if (n == 20) {
      SchemaChange change;
      change.Add(arrow::field("more", arrow::int8()));
      ARROW_RETURN_NOT_OK(database_->AlterTable("keyed", change));
    }
    return RowsOf(BatchIds(n * kBatchRows), n);
  });
  const auto loaded = BulkLoad(keyed_, &rows);
  EXPECT_TRUE(IsConflict(loaded.status())) << loaded.status().ToString();
  EXPECT_EQ(SstFiles(), before);
  EXPECT_EQ(*keyed_->Count(), 0);
}

TEST_F(BulkLoadTest, ADatabaseClosedMeanwhileRefusesTheRowsAndTheNextOpenRemovesTheFiles) {
  const size_t before = SstFiles();
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n == 40) return nullptr;
    if (n == 30) ARROW_RETURN_NOT_OK(database_->Close());
    return RowsOf(BatchIds(n * kBatchRows), n);
  });
  const auto loaded = BulkLoad(keyed_, &rows);
  EXPECT_TRUE(IsClosed(loaded.status())) << loaded.status().ToString();
  ASSERT_OK(Reopen());
  EXPECT_EQ(*keyed_->Count(), 0);
  EXPECT_EQ(SstFiles(), before);
}

/// On a disk that fails and loses what was not synced.
class BulkLoadOnDiskTest : public testing::Test {
 protected:
  arrow::Status Open() {
    table_.reset();
    database_.reset();
    Options options = TinyOptions();
    options.file_system = &fs_;
    ARROW_RETURN_NOT_OK(Database::Open("/db", options).Value(&database_));
    ARROW_RETURN_NOT_OK(database_->CreateTable("rows", RowSchema(), {.primary_key = {"id"}}));
    return Table::Open(database_, "rows").Value(&table_);
  }
  MadeRows Rows(int64_t batches) {
    return MadeRows([=](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
      if (n == batches) return nullptr;
      return RowsOf(BatchIds(n * 7), n);
    });
  }
  size_t SstFiles() { return fs_.List("/db/sst").ValueOr({}).size(); }

  MemoryFileSystem fs_;
  std::shared_ptr<Database> database_;
  std::shared_ptr<Table> table_;
};

TEST_F(BulkLoadOnDiskTest, ASyncedLoadSurvivesPowerLossWhole) {
  ASSERT_OK(Open());
  auto rows = Rows(100);
  WriteOptions synced;
  synced.sync = true;
  ASSERT_OK(BulkLoad(table_, &rows, synced));
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  ASSERT_OK(Open());
  EXPECT_EQ(*table_->Count(), 99 * 7 + kBatchRows);
}

TEST_F(BulkLoadOnDiskTest, RunsThatWereMergedLeaveNothingInTheBlockCache) {
  ASSERT_OK(Open());
  TableOptions compressed;
  compressed.primary_key = {"id"};
  compressed.compression = Compression::kLz4;
  ASSERT_OK(database_->CreateTable("compressed", RowSchema(), compressed));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database_, "compressed"));
  int64_t cached = -1;
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n < 300) return RowsOf(BatchIds(n * 7), n);
    ARROW_ASSIGN_OR_RAISE(const Stats stats, database_->GetStats());
    cached = stats.block_cache_bytes;
    return nullptr;
  });
  ASSERT_OK(BulkLoad(table, &rows));
  EXPECT_EQ(cached, 0);
}

TEST_F(BulkLoadOnDiskTest, AFullDiskMeanwhileLeavesNeitherRowsNorFiles) {
  ASSERT_OK(Open());
  const size_t before = SstFiles();
  for (uint64_t nth : {3u, 17u, 30u}) {  // a run, and about the first merge
    fs_.FailNth(FileOp::kCreate, nth, ENOSPC, /*sticky=*/true);
    auto rows = Rows(300);
    EXPECT_FALSE(BulkLoad(table_, &rows).ok());
    fs_.ClearFaults();
    EXPECT_EQ(SstFiles(), before) << "after failing at file " << nth;
    EXPECT_EQ(*table_->Count(), 0);
  }
  auto rows = Rows(10);
  ASSERT_OK(BulkLoad(table_, &rows));
}

TEST_F(BulkLoadOnDiskTest, WhatALoadLeftThatDiedIsRemovedByTheNextOpen) {
  ASSERT_OK(Open());
  const size_t before = SstFiles();
  MadeRows rows([&](int64_t n) -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
    if (n < 50) return RowsOf(BatchIds(n * 7), n);
    EXPECT_GT(SstFiles(), before);
    // The process dies: it will not clean up.
    fs_.FailNth(FileOp::kRemove, 1, EIO, /*sticky=*/true);
    fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
    return arrow::Status::Cancelled("dead");
  });
  EXPECT_FALSE(BulkLoad(table_, &rows).ok());
  EXPECT_GT(SstFiles(), before);
  fs_.ClearFaults();
  ASSERT_OK(Open());
  EXPECT_EQ(SstFiles(), before);
  EXPECT_EQ(*table_->Count(), 0);
}

}  // namespace
}  // namespace marble::test

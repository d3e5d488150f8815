// Flushes, compactions and edits of the manifest: what waits for them, and what does not.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/overtaking.h"
#include "support/small_database.h"
#include "support/wait_until.h"

namespace marble {
namespace {

constexpr int kRuns = 6;
constexpr int kRowsOfARun = 2000;

class BackgroundTest : public test::SmallDatabaseTest {
 protected:
  BackgroundTest() {
    options_.log_segment_bytes = 16 << 20;  // one segment is enough
    options_.memtable_bytes = 1 << 20;
  }
  /// A table, of files that overlap and of many parts, with much to compact once it is opened with
  /// auto_compaction.
  arrow::Status MakeDebt(const std::string& name) {
    options_.auto_compaction = false;
    options_.target_file_bytes = 16 << 10;
    options_.level_base_bytes = 32 << 10;
    ARROW_RETURN_NOT_OK(Open());
    ARROW_ASSIGN_OR_RAISE(auto kv, KeyValue::Open(db_, name, /*create_if_missing=*/true));
    for (int run = 0; run < kRuns; ++run) {
      for (int i = 0; i < kRowsOfARun; ++i) {
        ARROW_RETURN_NOT_OK(kv->Put(Key(kRuns * i + run), Value(i)));
      }
      ARROW_RETURN_NOT_OK(db_->Flush());
    }
    return arrow::Status::OK();
  }
  /// Who creates the next SSTable sets `begun`, waits until `may_go_on`, and then so long.
  void HoldFirstSstable(std::atomic<bool>* begun, std::atomic<bool>* may_go_on,
                        std::chrono::milliseconds then) {
    fs_->set_observer([=](MemoryDisk*, FileOp operation, const std::string& path) {
      if (operation != FileOp::kCreate || !path.starts_with("/db/sst") || begun->exchange(true)) {
        return;
      }
      EXPECT_TRUE(test::WaitUntil([&] { return may_go_on->load(); }));
      std::this_thread::sleep_for(then);
    });
  }
};

TEST_F(BackgroundTest, NobodyWaitsForTheFilesOfADroppedTableToBeRemoved) {
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(auto other, KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  ASSERT_OK(other->Put("k", "v"));
  ASSERT_OK(db_->Flush());
  ASSERT_OK(db_->WaitForBackground());
  const auto drop = [&] { EXPECT_TRUE(db_->DropTable("other").ok()); };
  EXPECT_TRUE(test::Overtakes(fs_.get(), FileOp::kRemove, drop, [&] { db_->ListTables(); }));
  EXPECT_TRUE(Files("/db/sst").empty());
}

TEST_F(BackgroundTest, NobodyWaitsForWhatAFailedCompactionWroteToBeRemoved) {
  ASSERT_OK(MakeDebt("default"));
  const size_t files = Files("/db/sst").size();
  fs_->FailNth(FileOp::kCreate, 2, ENOSPC);
  const auto compact = [&] { EXPECT_FALSE(db_->Compact("default").ok()); };
  EXPECT_TRUE(test::Overtakes(fs_.get(), FileOp::kRemove, compact, [&] { db_->ListTables(); }));
  EXPECT_EQ(Files("/db/sst").size(), files);
}

TEST_F(BackgroundTest, ADropDoesNotWaitForAllCompactionsThatAreDue) {
  ASSERT_OK(MakeDebt("t"));
  Release();
  options_.auto_compaction = true;
  std::atomic<bool> begun = false;
  std::atomic<bool> called = false;
  HoldFirstSstable(&begun, &called, std::chrono::milliseconds(100));  // it waits by then
  ASSERT_OK(Open());
  EXPECT_TRUE(test::WaitUntil([&] { return begun.load(); }));
  const auto done = [&] {
    const auto stats = db_->GetStats();
    return stats.ok() ? stats->compactions + stats->trivial_moves : -1;
  };
  const int64_t before = done();
  called = true;
  ASSERT_OK(db_->DropTable("t"));
  fs_->set_observer(nullptr);
  EXPECT_LE(done() - before, 3) << "of a hundred";
}

TEST_F(BackgroundTest, TheOnlyThreadFlushesWhileACompactionIsUnderWay) {
  ASSERT_OK(MakeDebt("default"));
  Release();
  options_.auto_compaction = true;
  options_.background_threads = 1;
  std::atomic<bool> begun = false;
  std::atomic<bool> asked = false;
  std::atomic<bool> flushed = false;
  std::atomic<bool> in_time = false;
  std::atomic<int> files = 0;  // since a flush was asked for
  fs_->set_observer([&](MemoryDisk*, FileOp operation, const std::string& path) {
    if (operation != FileOp::kCreate || !path.starts_with("/db/sst")) return;
    constexpr std::chrono::milliseconds kPause(100);
    if (!begun.exchange(true)) std::this_thread::sleep_for(kPause);  // so that the put comes
    if (!asked) return;
    const int file = ++files;
    if (file == 1) std::this_thread::sleep_for(kPause);  // so that the flush waits
    // One of the next is the flush's, and the caller is told.
    if (file != 8) return;
    const auto end = std::chrono::steady_clock::now() + 10 * kPause;
    while (!flushed && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    in_time = flushed.load();
  });
  ASSERT_OK(Open());
  ASSERT_TRUE(test::WaitUntil([&] { return begun.load(); }));
  ASSERT_OK(Put(0));
  asked = true;
  ASSERT_OK(db_->Flush());
  flushed = true;
  ASSERT_OK(db_->WaitForBackground());
  fs_->set_observer(nullptr);
  EXPECT_GE(files, 8);
  EXPECT_TRUE(in_time);
}

TEST_F(BackgroundTest, AWriteThatWaitsForAFlushIsNotRefusedForWhatACompactionLacks) {
  ASSERT_OK(Open());
  fs_->FailNth(FileOp::kOpen, 1, EMFILE, /*sticky=*/true);  // of what a compaction reads
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < 10; ++i) ASSERT_OK(Put(i));
    ASSERT_OK(db_->Flush());
  }
  ASSERT_TRUE(test::WaitUntil([&] { return !db_->GetStats()->background_error.empty(); }));
  ASSERT_OK_AND_ASSIGN(auto other, KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  std::atomic<bool> slept = false;
  fs_->set_observer([&](MemoryDisk*, FileOp operation, const std::string& path) {
    if (operation != FileOp::kCreate || !path.starts_with("/db/sst") || slept.exchange(true))
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds(700));  // longer than a call is patient
  });
  WriteBatch batch;  // more than all memtables may hold
  for (int i = 0; i < 60; ++i) batch.Put("other", Key(i), std::string(100'000, 'v'));
  ASSERT_OK(db_->Write(batch));
  EXPECT_TRUE(other->Put("k", "v").ok());
  fs_->set_observer(nullptr);
  EXPECT_TRUE(slept);
  EXPECT_GT(db_->GetStats()->write_stops, 0) << "no write had to wait";
}

TEST_F(BackgroundTest, ACompactionIsNoFailureBecauseTheLogCouldNotBeRecycled) {
  options_.auto_compaction = false;
  options_.log_segment_bytes = 64 << 10;
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(auto other, KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  // Beyond the first half of the segment the next one is made beforehand; the flush goes on in it.
  for (int i = 0; i < 250; ++i) ASSERT_OK(Put(i));
  ASSERT_TRUE(test::WaitUntil([&] { return Files("/db/wal").size() >= 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_OK(db_->Flush());
  WriteOptions sync;
  sync.sync = true;
  ASSERT_OK(other->Put("k", "v", sync));  // in the second segment: the first may go
  fs_->FailNth(FileOp::kRename, 1, EMFILE);
  const uint64_t renames = fs_->operations(FileOp::kRename);
  ASSERT_OK(db_->Compact("default"));
  EXPECT_GT(fs_->operations(FileOp::kRename), renames) << "the log's beginning did not go";
  EXPECT_EQ(db_->GetStats()->compactions, 1);
}

TEST_F(BackgroundTest, CommitsDoNotWriteTheEditsOfOthers) {
  constexpr int kInserts = 15;
  options_.auto_compaction = false;
  options_.memtable_bytes = 256 << 10;
  ASSERT_OK(Open());
  ASSERT_OK(db_->CreateTable("t", RowSchema(), {.primary_key = {"id"}}));
  const auto rows = Rows(0, 6000, "");  // more than a memtable: files, which an edit names
  const int64_t flushes = db_->GetStats()->flushes;
  std::atomic<int64_t> edits = 0;
  fs_->set_observer([&](MemoryDisk*, FileOp operation, const std::string& path) {
    if (operation != FileOp::kSync || path.find("MANIFEST") == std::string::npos) return;
    ++edits;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // so that others come meanwhile
  });
  std::atomic<int> busy = 2;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      auto table = *Table::Open(db_, "t");
      for (int n = 0; n < kInserts; ++n) EXPECT_TRUE(table->Insert(rows).ok());
      --busy;
    });
    threads.emplace_back([&, i] {
      for (int n = 0; busy > 0; ++n) EXPECT_TRUE(Put(100 * i + n % 100).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  fs_->set_observer(nullptr);
  EXPECT_LE(edits, 2 * kInserts + db_->GetStats()->flushes - flushes);
}

TEST_F(BackgroundTest, WritesToAFullLevel0AreRefusedWhileThereIsNoRoomAndGoOnAfterwards) {
  constexpr int kStopRuns = 28;
  constexpr int kFlushes = 30;  // the first run moves down
  constexpr int kRows = 300;    // of a run
  options_.log_segment_bytes = 64 << 10;
  for (const int threads : {1, 2}) {
    SCOPED_TRACE(threads);
    options_.background_threads = threads;
    options_.auto_compaction = false;
    ASSERT_OK(Open());
    for (int run = 0; run < kFlushes; ++run) {
      for (int i = 0; i < kRows; ++i) ASSERT_OK(Put(kFlushes * i + run));
      ASSERT_OK(db_->Flush());
    }
    Release();
    options_.auto_compaction = true;
    // For the log, not for a file with all rows.
    fs_->set_capacity_bytes(fs_->used_bytes() + (200 << 10));
    ASSERT_OK(Open());
    const arrow::Status refused = Put(1);
    EXPECT_TRUE(refused.message().find("no room for a compaction") != std::string::npos)
        << refused.ToString();
    fs_->set_capacity_bytes(-1);
    EXPECT_TRUE(test::WaitUntil([&] { return Put(1).ok(); }));
    EXPECT_TRUE(test::WaitUntil([&] { return db_->GetStats()->background_error.empty(); }));
    EXPECT_LT(db_->GetStats()->tables[0].levels[0].runs, kStopRuns);
    ExpectKeys(kFlushes * kRows);
    Release();
  }
}

TEST_F(BackgroundTest, ACompactionWithoutRoomIsToldButWritesToOtherTablesWaitForTheirOwn) {
  constexpr int kFlushes = 30;
  constexpr int kRows = 300;  // of a run of the table without room
  options_.log_segment_bytes = 64 << 10;
  options_.auto_compaction = false;
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(auto other, KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  for (int run = 0; run < kFlushes; ++run) {
    for (int i = 0; i < kRows; ++i) ASSERT_OK(Put(kFlushes * i + run));
    ASSERT_OK(other->Put(Key(0), Value(run)));
    ASSERT_OK(other->Put(Key(1), Value(run)));
    ASSERT_OK(db_->Flush());
  }
  other.reset();
  Release();
  options_.auto_compaction = true;
  fs_->set_capacity_bytes(fs_->used_bytes() + (200 << 10));
  // Longer than a write is patient with what is hopeless.
  std::atomic<bool> begun = false;
  std::atomic<bool> waits = false;
  HoldFirstSstable(&begun, &waits, std::chrono::milliseconds(400));
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(other, KeyValue::Open(db_, "other"));
  waits = true;
  ASSERT_OK(other->Put(Key(0), "new"));
  fs_->set_observer(nullptr);
  EXPECT_NE(db_->GetStats()->background_error.find("no room for a compaction"), std::string::npos);
}

TEST_F(BackgroundTest, AFlushWithoutRoomDoesNotKeepCompactionsFromMakingSome) {
  constexpr int kRows = 1000;  // less than a memtable
  constexpr int kPuts = 2000;  // more than a memtable, less than two
  options_.background_threads = 1;
  options_.auto_compaction = false;
  options_.memtable_bytes = 256 << 10;
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(auto emptied, KeyValue::Open(db_, "emptied", /*create_if_missing=*/true));
  for (int i = 0; i < kRows; ++i) ASSERT_OK(emptied->Put(Key(i), Value(i)));
  ASSERT_OK(db_->Compact("emptied"));
  emptied.reset();
  Release();
  options_.auto_compaction = true;
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(emptied, KeyValue::Open(db_, "emptied"));
  for (int i = 100; i < kRows; ++i) ASSERT_OK(emptied->Delete(Key(i)));
  // The flush of the deletes goes through. The compaction that is due then fails at first, so that
  // another flush comes before it.
  fs_->FailNth(FileOp::kCreate, 2, ENOSPC, /*sticky=*/true);
  ASSERT_OK(db_->Flush());
  for (int i = 0; i < kPuts; ++i) ASSERT_OK(Put(i));
  ASSERT_TRUE(test::WaitUntil([&] { return !db_->GetStats()->background_error.empty(); }));
  fs_->set_capacity_bytes(fs_->used_bytes() + (100 << 10));
  ASSERT_EQ(db_->GetStats()->compactions, 0);
  fs_->ClearFaults();
  EXPECT_TRUE(test::WaitUntil([&] { return db_->GetStats()->compactions > 0; }));
}

TEST_F(BackgroundTest, SmallFilesOfAnAppendTableAreJoined) {
  ASSERT_OK(Open());
  ASSERT_OK(db_->CreateTable("t", RowSchema()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db_, "t"));
  constexpr int kFlushes = 60;
  for (int i = 0; i < kFlushes; ++i) {
    ASSERT_OK(table->Insert(Rows(10 * i, 10, "")));
    ASSERT_OK(db_->Flush());
  }
  ASSERT_OK(db_->WaitForBackground());
  EXPECT_LT(Files("/db/sst").size(), 20U);
  ASSERT_OK_AND_ASSIGN(const int64_t rows, table->Count());
  EXPECT_EQ(rows, 10 * kFlushes);
  ASSERT_OK_AND_ASSIGN(auto found, test::ScanAll(*table));
  ASSERT_OK_AND_ASSIGN(auto expected,
                       arrow::Table::FromRecordBatches({Rows(0, 10 * kFlushes, "")}));
  EXPECT_TRUE(test::SameRows(*expected, *found));
}

TEST_F(BackgroundTest, FilesThatJoiningDoesNotMakeFewerAreLeftAlone) {
  options_.target_file_bytes = 64 << 10;
  ASSERT_OK(Open());
  const auto schema = arrow::schema({arrow::field("x", arrow::int64())});
  ASSERT_OK(db_->CreateTable("t", schema,
                             {.compression = Compression::kZstd, .block_bytes = int64_t{1} << 20}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db_, "t"));
  ASSERT_OK_AND_ASSIGN(auto zeros, arrow::MakeArrayFromScalar(arrow::Int64Scalar(0), 2'000'000));
  ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, zeros->length(), {zeros})));
  ASSERT_OK(db_->Flush());
  ASSERT_OK(db_->WaitForBackground());
  EXPECT_LE(db_->GetStats()->compactions, 1);
  ASSERT_OK_AND_ASSIGN(const int64_t rows, table->Count());
  EXPECT_EQ(rows, zeros->length());
}

TEST_F(BackgroundTest, AManifestIsNotWrittenAnewBecauseItsStateIsLong) {
  ASSERT_OK(Open());
  arrow::FieldVector columns = {arrow::field("id", arrow::int64(), /*nullable=*/false)};
  for (int i = 1; i < 4096; ++i) {
    columns.push_back(arrow::field(std::string(200, 'c') + std::to_string(i), arrow::int8()));
  }
  for (int i = 0; i < 7; ++i) {  // more than 4 MiB
    ASSERT_OK(
        db_->CreateTable("t" + std::to_string(i), arrow::schema(columns), {.primary_key = {"id"}}));
  }
  ASSERT_OK(Put(0));
  ASSERT_OK(db_->Flush());
  const auto manifest = Files("/db", "MANIFEST");
  ASSERT_EQ(manifest.size(), 1u);
  EXPECT_GT(*fs_->FileSize(manifest.front()), 4 << 20);
  for (int i = 1; i < 4; ++i) {
    ASSERT_OK(Put(i));
    ASSERT_OK(db_->Flush());
    EXPECT_EQ(Files("/db", "MANIFEST"), manifest);
  }
}

TEST_F(BackgroundTest, RowsTooLongForACompactionDoNotStopWritesAndAreTriedAgain) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(0));
  ASSERT_OK_AND_ASSIGN(auto snapshot, db_->GetSnapshot());
  // Of what a compaction reads: as if versions that snapshots hold were too long for a batch.
  fs_->FailNth(FileOp::kOpen, 1, arrow::Status::CapacityError("too long"), /*sticky=*/true);
  for (int run = 0; run < kRuns; ++run) {
    for (int i = 0; i < 10; ++i) ASSERT_OK(Put(i));
    ASSERT_OK(db_->Flush());
  }
  ASSERT_TRUE(test::WaitUntil([&] { return !db_->GetStats()->background_error.empty(); }));
  EXPECT_NE(db_->GetStats()->background_error.find("too long"), std::string::npos);
  ASSERT_OK(db_->WaitForBackground());
  ASSERT_OK(Put(10));
  fs_->ClearFaults();
  ASSERT_OK(db_->GetSnapshot());  // and let go: it held nothing of what is too long
  EXPECT_NE(db_->GetStats()->background_error, "");
  snapshot.reset();
  EXPECT_TRUE(test::WaitUntil([&] { return db_->GetStats()->compactions > 0; }));
  EXPECT_EQ(db_->GetStats()->background_error, "");
  ExpectKeys(11);
}

}  // namespace
}  // namespace marble

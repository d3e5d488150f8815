// What is left behind where the disk was full, and how a database goes on from there. On the
// in-memory file system, through the public API.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/small_database.h"
#include "support/wait_until.h"

namespace marble {
namespace {

class NoRoomTest : public test::SmallDatabaseTest {
 protected:
  /// What a bulk load that was killed leaves: files with the highest numbers, that take all room.
  arrow::Status FillWithOrphans() {
    for (const char* name : {"000900.arrow", "000901.arrow"}) {
      ARROW_ASSIGN_OR_RAISE(auto file, fs_->CreateWritable(std::string("/db/sst/") + name));
      ARROW_RETURN_NOT_OK(file->Append(std::string(1 << 20, 'x')));
      ARROW_RETURN_NOT_OK(file->Sync());
      ARROW_RETURN_NOT_OK(file->Close());
    }
    ARROW_RETURN_NOT_OK(fs_->SyncDirectory("/db/sst"));
    fs_->set_capacity_bytes(fs_->used_bytes() + 100);
    return arrow::Status::OK();
  }

  arrow::Result<std::shared_ptr<Table>> TableOfANewDatabase() {
    Release();
    fs_ = std::make_unique<MemoryFileSystem>();
    ARROW_RETURN_NOT_OK(Open());
    ARROW_RETURN_NOT_OK(db_->CreateTable("t", RowSchema(), {.primary_key = {"id"}}));
    return Table::Open(db_, "t");
  }

  /// Puts so many rows and flushes them, again and again, until one flush has written its file but
  /// finds no room for a manifest that names it, which lasts until ClearFaults. Returns the number
  /// of all rows.
  int FlushUntilNoManifestHasRoom(int rows_at_once) {
    int count = 0;
    const uint64_t renames = fs_->operations(FileOp::kRename);
    for (uint64_t nth = 1; fs_->operations(FileOp::kRename) == renames; ++nth) {
      EXPECT_LT(nth, 100u);
      if (nth == 100) break;
      fs_->ClearFaults();
      for (int i = 0; i < rows_at_once; ++i) EXPECT_TRUE(Put(count++).ok());
      fs_->FailNth(FileOp::kWrite, nth, ENOSPC);  // one of these is the manifest's
      // That of CURRENT, which would name another manifest.
      fs_->FailNth(FileOp::kRename, 1, ENOSPC, /*sticky=*/true);
      static_cast<void>(db_->Flush());
    }
    return count;
  }
};

TEST_F(NoRoomTest, ALogWhoseNextSegmentFoundNoRoomGoesOnWithoutAGap) {
  options_.memtable_bytes = 4 << 20;  // no flush makes the log's beginning needless
  ASSERT_OK(Open());
  int count = 0;
  while (count < 100) ASSERT_OK(Put(count++));  // a fifth of the segment
  fs_->FailNth(FileOp::kCreate, 1, ENOSPC);
  ASSERT_FALSE(kv_->Put("long", std::string(60'000, 'v')).ok());
  fs_->ClearFaults();
  // Beyond the half of it the next one is made beforehand; some more are filled after it.
  while (count < 300) ASSERT_OK(Put(count++));
  ASSERT_TRUE(test::WaitUntil([&] { return Files("/db/wal").size() >= 2; }));
  while (count < 1500) ASSERT_OK(Put(count++));
  ASSERT_OK(Put(count++, /*sync=*/true));
  LosePower();
  ASSERT_OK(Open());
  ExpectKeys(count);
}

TEST_F(NoRoomTest, ADiskFullOfFilesThatNothingNamesCanBeOpened) {
  ASSERT_OK(Open());
  for (int i = 0; i < 3000; ++i) ASSERT_OK(Put(i));
  ASSERT_OK(Put(3000, /*sync=*/true));
  LosePower();
  ASSERT_OK(FillWithOrphans());
  ASSERT_OK(Open());
  ExpectKeys(3001);
  for (const std::string& name : Files("/db/sst")) EXPECT_LT(name, "/db/sst/000900");
}

TEST_F(NoRoomTest, AnErrorOfTheDiskWhileLeftoversAreRemovedIsToldAndLosesNothing) {
  // With the power the segments that were made ahead lose their headers, else they keep them.
  for (const LossPolicy policy : {LossPolicy::kDropAll, LossPolicy::kKeepAll}) {
    int failed = 0;
    bool reached = true;
    for (uint64_t nth = 1; reached; ++nth) {
      SCOPED_TRACE("EIO at operation " + std::to_string(nth) + " of the open");
      Release();
      fs_ = std::make_unique<MemoryFileSystem>();
      ASSERT_OK(Open());
      for (int i = 0; i < 1500; ++i) ASSERT_OK(Put(i));
      ASSERT_OK(Put(1500, /*sync=*/true));
      LosePower(nth, policy);
      ASSERT_OK(FillWithOrphans());
      const uint64_t before = fs_->operations(FileOp::kAny);
      fs_->FailNth(FileOp::kAny, nth, EIO);
      if (!Open().ok()) ++failed;
      reached = fs_->operations(FileOp::kAny) - before >= nth;
      fs_->ClearFaults();
      ASSERT_OK(Open());
      ExpectKeys(1501);
      for (const char* orphan : {"/db/sst/000900.arrow", "/db/sst/000901.arrow"}) {
        EXPECT_FALSE(*fs_->Exists(orphan));
      }
    }
    EXPECT_GT(failed, 20);
  }
}

TEST_F(NoRoomTest, FilesThatOnlyTheLogNamesAreNoLeftovers) {
  const auto rows = Rows(0, 6000, "");
  int committed = 0;
  for (uint64_t nth = 1; nth < 40; ++nth) {  // one of these writes is the manifest's
    {
      ASSERT_OK_AND_ASSIGN(auto table, TableOfANewDatabase());
      fs_->FailNth(FileOp::kWrite, nth, ENOSPC, /*sticky=*/true);
      WriteOptions sync;
      sync.sync = true;
      if (!table->Insert(rows, sync).ok()) continue;
    }
    ++committed;
    LosePower();
    ASSERT_OK(FillWithOrphans());
    ASSERT_OK(Open());
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db_, "t"));
    EXPECT_EQ(*table->Count(), 6000) << nth;
  }
  EXPECT_GT(committed, 0);
}

TEST_F(NoRoomTest, OpensThatFindNoRoomDoNotFillTheDisk) {
  ASSERT_OK(Open());
  for (int i = 0; i < 1500; ++i) ASSERT_OK(Put(i));
  ASSERT_OK(Put(1500, /*sync=*/true));
  LosePower();
  fs_->set_capacity_bytes(1);
  EXPECT_FALSE(Open().ok());  // and what was left by the crash is gone
  // A few KiB more each time, until there is room for an SSTable, a segment of the log and the
  // manifest, 300 KiB at most. Of opens that leave their files behind none gets so far.
  const int64_t before = fs_->used_bytes();
  int64_t room = 0;
  int failed = -1;
  arrow::Status status;
  do {
    ++failed;
    room += 4 << 10;
    ASSERT_LT(room, 700 << 10) << status.ToString();
    fs_->set_capacity_bytes(before + room);
    status = Open();
  } while (!status.ok());
  EXPECT_GT(failed, 10);
  ExpectKeys(1501);
}

TEST_F(NoRoomTest, ATableDroppedOnAFullDiskIsGoneAndItsFilesGoThoughNobodyWrites) {
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(auto other, KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  ASSERT_OK(other->Put("k", "v"));
  ASSERT_OK(db_->Flush());
  ASSERT_OK(db_->WaitForBackground());
  other.reset();
  ASSERT_EQ(Files("/db/sst").size(), 1u);
  fs_->FailNth(FileOp::kWrite, 2, ENOSPC, /*sticky=*/true);  // the manifest's, after the log's
  ASSERT_OK(db_->DropTable("other"));
  EXPECT_EQ(db_->ListTables(), std::vector<std::string>{"default"});
  EXPECT_EQ(Files("/db/sst").size(), 1u) << "the manifest on disk still names the file";
  fs_->ClearFaults();
  EXPECT_TRUE(test::WaitUntil([&] { return Files("/db/sst").empty(); }));
  ASSERT_OK(db_->Close());
  ASSERT_OK(Open());
  EXPECT_EQ(db_->ListTables(), std::vector<std::string>{"default"});
}

TEST_F(NoRoomTest, ManifestsThatCurrentCouldNotNameAreRemoved) {
  ASSERT_OK(Open());
  ASSERT_OK(KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  ASSERT_OK(db_->Flush());
  ASSERT_OK(db_->WaitForBackground());
  fs_->FailNth(FileOp::kWrite, 2, ENOSPC);   // the edit's, so that another manifest begins
  fs_->FailNth(FileOp::kCreate, 2, ENOSPC);  // CURRENT's temporary, after that manifest
  const uint64_t before = fs_->operations(FileOp::kCreate);
  ASSERT_OK(db_->DropTable("other"));
  ASSERT_TRUE(test::WaitUntil([&] { return fs_->operations(FileOp::kCreate) >= before + 4; }));
  EXPECT_TRUE(test::WaitUntil([&] { return Files("/db", "MANIFEST").size() == 1; }));
}

TEST_F(NoRoomTest, AFileThatCouldNotBeNamedGoesBeforeItsFlushIsTriedAgain) {
  options_.log_segment_bytes = 4 << 20;  // the log needs no more room
  ASSERT_OK(Open());
  for (int i = 0; i < 500; ++i) ASSERT_OK(Put(i));
  ASSERT_OK(db_->Flush());
  const int64_t file_bytes = *fs_->FileSize(Files("/db/sst").front());
  Release();
  fs_ = std::make_unique<MemoryFileSystem>();
  ASSERT_OK(Open());
  for (int i = 0; i < 500; ++i) ASSERT_OK(Put(i));
  const int64_t before = fs_->used_bytes();
  fs_->set_capacity_bytes(before + file_bytes + 20);
  EXPECT_FALSE(db_->Flush().ok());
  ASSERT_EQ(Files("/db/sst").size(), 1u) << "there is room for the file, not for what names it";
  // Enough, but not beside that file.
  fs_->set_capacity_bytes(before + file_bytes + file_bytes / 2);
  EXPECT_TRUE(test::WaitUntil([&] { return db_->Flush().ok(); }));
  EXPECT_EQ(Files("/db/sst").size(), 1u);
  fs_->set_capacity_bytes(-1);
  LosePower();
  ASSERT_OK(Open());
  ExpectKeys(500);
}

TEST_F(NoRoomTest, AFlushThatIsTriedAgainAndAgainLeavesOneFile) {
  options_.auto_compaction = false;
  ASSERT_OK(Open());
  const int count = FlushUntilNoManifestHasRoom(1);
  const size_t files = Files("/db/sst").size();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // five tries or so
  EXPECT_EQ(Files("/db/sst").size(), files);
  fs_->ClearFaults();
  EXPECT_TRUE(test::WaitUntil([&] { return db_->Flush().ok(); }));
  EXPECT_EQ(Files("/db/sst").size(), files);
  ExpectKeys(count);
}

TEST_F(NoRoomTest, ACloseMakesRoomForItsFlushes) {
  options_.auto_compaction = false;
  options_.log_segment_bytes = 4 << 20;  // the log needs no more room
  ASSERT_OK(Open());
  const int count = FlushUntilNoManifestHasRoom(100);
  fs_->set_capacity_bytes(fs_->used_bytes() + (8 << 10));  // not enough for the rows once more
  fs_->ClearFaults();
  EXPECT_TRUE(db_->Close().ok());
  ASSERT_OK(Open());
  ExpectKeys(count);
}

TEST_F(NoRoomTest, AFileThatCouldNotBeMovedToAnotherLevelStays) {
  for (uint64_t nth = 1; nth < 12; ++nth) {  // one of these writes is that of the manifest
    SCOPED_TRACE(nth);
    Release();
    fs_ = std::make_unique<MemoryFileSystem>();
    ASSERT_OK(Open());
    ASSERT_OK(Put(0));
    fs_->FailNth(FileOp::kWrite, nth, ENOSPC);
    ASSERT_TRUE(test::WaitUntil([&] { return db_->Flush().ok(); }));
    ASSERT_TRUE(test::WaitUntil([&] {
      const TableStats table = db_->GetStats()->tables.front();
      return !table.levels.empty() && table.levels.front().level == 1;
    }));
    fs_->ClearFaults();
    ASSERT_OK(db_->Close());
    ASSERT_OK(Open());
    ExpectKeys(1);
  }
}

TEST_F(NoRoomTest, AFlushMakesBulkRowsDurableWhoseManifestEditFoundNoRoom) {
  const auto first = Rows(0, 6000, "");
  const auto second = Rows(6000, 6000, "");
  int committed = 0;
  for (uint64_t nth = 1; nth < 40; ++nth) {  // one of these writes is the manifest's
    {
      ASSERT_OK_AND_ASSIGN(auto table, TableOfANewDatabase());
      fs_->FailNth(FileOp::kWrite, nth, ENOSPC);
      if (!table->Insert(first).ok() || !table->Insert(second).ok()) continue;
      ASSERT_OK(db_->Flush());
    }
    ++committed;
    LosePower();
    ASSERT_OK(Open());
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db_, "t"));
    EXPECT_EQ(*table->Count(), 12000) << nth;
  }
  EXPECT_GT(committed, 0);
}

TEST_F(NoRoomTest, LogFilesThatCouldNotBeRecycledGoLater) {
  ASSERT_OK(Open());
  for (int i = 0; i < 1500; ++i) ASSERT_OK(Put(i));  // some segments
  ASSERT_GE(Files("/db/wal").size(), 4u);
  fs_->FailNth(FileOp::kRename, 1, EMFILE);
  ASSERT_OK(db_->Flush());
  fs_->ClearFaults();
  ASSERT_OK(Put(1500));
  ASSERT_OK(db_->Flush());
  ASSERT_OK(db_->Close());
  EXPECT_TRUE(Files("/db/wal").empty()) << "the log is empty after a close";
}

TEST_F(NoRoomTest, AFlushDoesNotFailForWhatACompactionLacks) {
  options_.log_segment_bytes = 4 << 20;
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(auto other, KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  fs_->FailNth(FileOp::kOpen, 1, EMFILE, /*sticky=*/true);  // of what a compaction reads
  for (int run = 0; run < 6; ++run) {
    for (int i = 0; i < 10; ++i) ASSERT_OK(Put(i));
    ASSERT_OK(db_->Flush());
  }
  ASSERT_TRUE(test::WaitUntil([&] { return !db_->GetStats()->background_error.empty(); }));
  std::atomic<bool> slept = false;
  fs_->set_observer([&](MemoryDisk*, FileOp operation, const std::string& path) {
    if (operation != FileOp::kCreate || !path.starts_with("/db/sst") || slept.exchange(true))
      return;
    std::this_thread::sleep_for(std::chrono::milliseconds(400));  // longer than a call is patient
  });
  ASSERT_OK(other->Put("k", "v"));
  EXPECT_TRUE(db_->Flush().ok());
  fs_->set_observer(nullptr);
}

}  // namespace
}  // namespace marble

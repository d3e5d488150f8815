// What is left behind where the disk was full, and how a database goes on from there. On the
// in-memory file system, through the public API.
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "io/memory_file_system.h"
#include "support/test_database.h"
#include "support/wait_until.h"

namespace marble {
namespace {

class NoRoomTest : public testing::Test {
 protected:
  arrow::Status Open() {
    Release();
    Options options;
    options.file_system = fs_.get();
    options.log_segment_bytes = 64 * 1024;
    options.memtable_bytes = 256 * 1024;
    options.memory_budget = 8 << 20;
    ARROW_ASSIGN_OR_RAISE(db_, Database::Open("/db", options));
    return KeyValue::Open(db_).Value(&kv_);
  }
  void Release() {
    kv_.reset();
    db_.reset();
  }
  void LosePower() {
    fs_->LoseUnsynced(LossPolicy::kDropAll, 1);
    Release();
    fs_->ClearFaults();
  }
  arrow::Status Put(int i, bool sync = false) {
    WriteOptions options;
    options.sync = sync;
    return kv_->Put(Key(i), std::string(100, 'v'), options);
  }
  static std::string Key(int i) { return "key" + std::to_string(100000 + i); }
  void ExpectKeys(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(*kv_->Exists(Key(i))) << i;
  }

  std::vector<std::string> Files(const std::string& directory, const std::string& prefix = "") {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : *fs_->List(directory)) {
      if (!entry.is_directory && entry.name.starts_with(prefix)) names.push_back(entry.name);
    }
    return names;
  }

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

  std::unique_ptr<MemoryFileSystem> fs_ = std::make_unique<MemoryFileSystem>();
  std::shared_ptr<Database> db_;
  std::shared_ptr<KeyValue> kv_;
};

TEST_F(NoRoomTest, ALogWhoseNextSegmentFoundNoRoomGoesOnWithoutAGap) {
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
  for (const std::string& name : Files("/db/sst")) EXPECT_LT(name, "000900") << name;
}

TEST_F(NoRoomTest, FilesThatOnlyTheLogNamesAreNoLeftovers) {
  const auto schema = arrow::schema({arrow::field("id", arrow::int64(), /*nullable=*/false),
                                     arrow::field("text", arrow::utf8())});
  std::string ids = "[";
  std::string texts = "[";
  for (int i = 0; i < 6000; ++i) {
    ids += (i > 0 ? "," : "") + std::to_string(i);
    texts += (i > 0 ? ",\"" : "\"") + std::string(60, '.') + "\"";
  }
  ASSERT_OK_AND_ASSIGN(const auto rows, test::BatchFromJson(schema, {ids + "]", texts + "]"}));
  int committed = 0;
  for (uint64_t nth = 1; nth < 40; ++nth) {  // one of these writes is the manifest's
    Release();
    fs_ = std::make_unique<MemoryFileSystem>();
    ASSERT_OK(Open());
    ASSERT_OK(db_->CreateTable("t", schema, {.primary_key = {"id"}}));
    {
      ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db_, "t"));
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

TEST_F(NoRoomTest, FilesOfADroppedTableGoThoughNobodyWrites) {
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(auto other, KeyValue::Open(db_, "other", /*create_if_missing=*/true));
  ASSERT_OK(other->Put("k", "v"));
  ASSERT_OK(db_->Flush());
  ASSERT_OK(db_->WaitForBackground());
  other.reset();
  ASSERT_EQ(Files("/db/sst").size(), 1u);
  fs_->FailNth(FileOp::kWrite, 2, ENOSPC);  // the manifest's write, after the log's
  ASSERT_OK(db_->DropTable("other"));
  EXPECT_TRUE(test::WaitUntil([&] { return Files("/db/sst").empty(); }));
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

}  // namespace
}  // namespace marble

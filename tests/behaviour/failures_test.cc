// What a database does when the disk fails, runs full, loses what was not synced, or returns other
// bytes than were written. On the in-memory file system, through the public API.

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/checksum.h"
#include "base/coding.h"
#include "support/small_database.h"
#include "support/wait_until.h"

namespace marble {
namespace {

class FailuresTest : public test::SmallDatabaseTest {
 protected:
  /// Puts 0, 1, ... until one is refused for a reason that passes; returns its number. It is not
  /// there, all before it are.
  int PutUntilRefused() {
    int written = 0;
    arrow::Status refused = Put(0);
    while (refused.ok() && written < 100000) refused = Put(++written);
    EXPECT_FALSE(refused.ok()) << "no write was refused";
    EXPECT_FALSE(IsReadOnly(refused)) << refused.ToString();
    const auto absent = kv_->Get(Key(written));
    EXPECT_TRUE(absent.ok() && !absent->has_value()) << absent.status().ToString();
    for (int i = 0; i < written; ++i) EXPECT_TRUE(Has(i)) << i;
    return written;
  }
  /// Put `refused` is taken after a while, and all up to it are there, also when opened again.
  void ExpectWritesResume(int refused) {
    // The background thread notices within its retry period; a write that comes earlier is still
    // refused.
    for (int attempt = 0; attempt < 200; ++attempt) {
      if (Put(refused).ok()) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    for (int i = 0; i <= refused; ++i) ASSERT_TRUE(Has(i)) << i;
    ASSERT_OK(db_->Close());
    ASSERT_OK(Open());
    for (int i = 0; i <= refused; ++i) ASSERT_TRUE(Has(i)) << i;
  }
  std::string Manifest() const { return Files("/db", "MANIFEST").front(); }
};

TEST_F(FailuresTest, ASyncedWriteSurvivesPowerLossWithAllBeforeIt) {
  ASSERT_OK(Open());
  for (int i = 0; i < 50; ++i) ASSERT_OK(Put(i));
  ASSERT_OK(Put(50, /*sync=*/true));
  LosePower();
  ASSERT_OK(Open());
  for (int i = 0; i <= 50; ++i) EXPECT_TRUE(Has(i)) << i;
}

TEST_F(FailuresTest, APowerCutFindsTheLogSegmentThatTheManifestNames) {
  ASSERT_OK(Open());
  // Beyond the first half of the segment the next one is made beforehand; the flush goes on in it.
  for (int i = 0; i < 250; ++i) ASSERT_OK(Put(i));
  ASSERT_TRUE(test::WaitUntil([&] { return Files("/db/wal").size() >= 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_OK(db_->Flush());
  ASSERT_OK(db_->Compact());  // says where the log begins, and appends nothing to it
  LosePower();
  ASSERT_OK(Open());
  for (int i = 0; i < 250; ++i) EXPECT_TRUE(Has(i)) << i;
}

TEST_F(FailuresTest, WritesResumeByThemselvesWhenThereIsRoomAgain) {
  ASSERT_OK(Open());
  fs_->set_capacity_bytes(fs_->used_bytes() + (1 << 20));
  const int written = PutUntilRefused();
  fs_->set_capacity_bytes(-1);
  ExpectWritesResume(written);
}

TEST_F(FailuresTest, WritesResumeByThemselvesWhenThereAreDescriptorsAgain) {
  ASSERT_OK(Open());
  fs_->FailNth(FileOp::kCreate, 1, EMFILE, /*sticky=*/true);
  const int written = PutUntilRefused();
  fs_->ClearFaults();
  ExpectWritesResume(written);
}

TEST_F(FailuresTest, WritesResumeWhenASegmentOfTheLogCouldNotBeOpened) {
  ASSERT_OK(Open());
  for (int i = 0; i < 20000; ++i) ASSERT_OK(Put(i));  // leaves segments to be recycled
  ASSERT_OK(db_->Flush());
  fs_->FailNth(FileOp::kOpen, 1, EMFILE, /*sticky=*/true);
  int next = 20000;
  while (Put(next).ok()) ASSERT_LT(++next, 100000);
  for (int i = 0; i < 20; ++i) next += Put(next).ok() ? 1 : 0;  // until none is left to recycle
  fs_->ClearFaults();
  ExpectWritesResume(next);
}

TEST_F(FailuresTest, WritesResumeWhenMemoryWasShortWhileAFlushFoundNoRoom) {
  // One small memtable waits for its flush while the others fill the memory: what is flushed first
  // is not enough, and nothing else was asked to be flushed.
  options_.log_segment_bytes = 16 << 20;  // the log has room
  ASSERT_OK(Open());
  std::vector<std::shared_ptr<KeyValue>> tables;
  for (int i = 0; i < 40; ++i) {
    tables.push_back(*KeyValue::Open(db_, "t" + std::to_string(i), /*create_if_missing=*/true));
  }
  ASSERT_OK(Put(0));
  fs_->FailNth(FileOp::kCreate, 1, ENOSPC, /*sticky=*/true);
  EXPECT_FALSE(db_->Compact("default").ok());
  WriteOptions in_time;
  in_time.timeout = std::chrono::seconds(5);
  arrow::Status refused;
  const std::string large(150'000, 'v');
  for (const auto& table : tables) {
    refused = table->Put("k", large, in_time);
    if (!refused.ok()) break;
  }
  EXPECT_FALSE(refused.ok()) << "memory was never short";
  EXPECT_FALSE(IsReadOnly(refused)) << refused.ToString();
  fs_->ClearFaults();
  ASSERT_OK(tables[0]->Put("after", "it", in_time));
}

TEST_F(FailuresTest, ACommitOfBulkRowsThatIsRefusedLeavesNoFileBehind) {
  ASSERT_OK(Open());
  const auto schema = arrow::schema({arrow::field("key", arrow::utf8(), /*nullable=*/false),
                                     arrow::field("value", arrow::binary())});
  std::string keys = "[";
  std::string values = "[";
  for (int i = 0; i < 4000; ++i) {
    keys += (i > 0 ? ",\"" : "\"") + Key(i) + "\"";
    values += (i > 0 ? ",\"" : "\"") + Value(i) + "\"";
  }
  ASSERT_OK_AND_ASSIGN(const auto rows, test::BatchFromJson(schema, {keys + "]", values + "]"}));
  ASSERT_OK(db_->CreateTable("other", schema, {.primary_key = {"key"}}));
  WriteBatch batch;
  batch.Insert("default", rows);
  batch.Insert("other", rows);
  const size_t before = Files("/db/sst").size();
  fs_->FailNth(FileOp::kCreate, 2, ENOSPC);
  EXPECT_FALSE(db_->Write(batch).ok());
  EXPECT_EQ(Files("/db/sst").size(), before);
  ASSERT_OK(db_->Write(batch));
  EXPECT_TRUE(Has(17));
}

/// A database that dies when the manifest knows of bulk rows, but the rows written before them are
/// in the log only.
class BulkOverLogTest : public FailuresTest {
 protected:
  arrow::Status WriteAndDie(TableOptions options) {
    ARROW_RETURN_NOT_OK(Open());
    ARROW_RETURN_NOT_OK(db_->CreateTable("t", RowSchema(), std::move(options)));
    {
      ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(db_, "t"));
      fs_->FailNth(FileOp::kCreate, 2, ENOSPC, /*sticky=*/true);  // all but the file of bulk rows
      ARROW_RETURN_NOT_OK(table->Insert(Rows(0, 100, "old")));
      ARROW_RETURN_NOT_OK(table->Insert(Rows(50, 8000, "new")));
      ARROW_RETURN_NOT_OK(table->Insert(Rows(100000, 1, "last")));
      WriteOptions sync;
      sync.sync = true;
      ARROW_RETURN_NOT_OK(kv_->Put("end", "of it", sync));
    }
    LosePower();
    return Open();
  }
};

TEST_F(BulkOverLogTest, RowsOfTheLogThatAreOlderStayOlder) {
  ASSERT_OK(WriteAndDie({.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db_, "t"));
  for (const int64_t id : {0, 49, 50, 99, 100}) {
    ASSERT_OK_AND_ASSIGN(const auto keys,
                         test::BatchFromJson(arrow::schema({RowSchema()->field(0)}),
                                             {"[" + std::to_string(id) + "]"}));
    ASSERT_OK_AND_ASSIGN(const auto row, table->Get(keys));
    ASSERT_EQ(row->num_rows(), 1);
    const auto& text = static_cast<const arrow::StringArray&>(*row->column(1));
    EXPECT_EQ(text.GetView(0).substr(0, 3), id < 50 ? "old" : "new") << id;
  }
  EXPECT_EQ(*table->Count(), 50 + 8000 + 1);
}

TEST_F(BulkOverLogTest, RowsOfAnAppendTableGetNewPlacesBehindThem) {
  ASSERT_OK(WriteAndDie({}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db_, "t"));
  ASSERT_EQ(*table->Count(), 100 + 8000 + 1);
  ASSERT_OK(table->Insert(Rows(0, 10, "again")));
  ASSERT_OK(db_->Compact());
  EXPECT_EQ(*table->Count(), 100 + 8000 + 1 + 10);
  ASSERT_OK_AND_ASSIGN(const auto rows, test::ScanAll(*table));
  EXPECT_EQ(rows->num_rows(), 100 + 8000 + 1 + 10);
}

TEST_F(FailuresTest, AFullDiskIsTriedAgainNowAndThenNotAllTheTime) {
  ASSERT_OK(Open());
  fs_->set_capacity_bytes(fs_->used_bytes() + (1 << 20));
  PutUntilRefused();
  const uint64_t before = fs_->operations(FileOp::kChange);
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  // Five tries or so of some changes each.
  EXPECT_LT(fs_->operations(FileOp::kChange) - before, 300u);
}

TEST_F(FailuresTest, ASegmentThatTookNoRecordDoesNotEndTheLog) {
  ASSERT_OK(Open());
  for (int i = 0; i < 10; ++i) ASSERT_OK(Put(i));
  arrow::Status status;
  for (int tries = 0; status.ok(); ++tries) {
    ASSERT_LT(tries, 2000);
    // The segment's header is a write of its own: the record after it finds no room, unless it was
    // another thread's write that did not.
    fs_->FailNth(FileOp::kWrite, 2, ENOSPC);
    status = kv_->Put("long", std::string(100'000, 'v'));  // gets a segment of its own
    fs_->ClearFaults();
  }
  EXPECT_FALSE(IsReadOnly(status)) << status.ToString();
  ASSERT_OK(kv_->Put("long", std::string(200'000, 'v')));  // too long for that one
  ASSERT_OK(Put(10, /*sync=*/true));
  LosePower();
  ASSERT_OK(Open());
  for (int i = 0; i <= 10; ++i) ASSERT_TRUE(Has(i)) << i;
  EXPECT_TRUE(*kv_->Exists("long"));
}

TEST_F(FailuresTest, AFailedSyncRefusesWritesForGoodButNotReads) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(1, /*sync=*/true));
  fs_->FailNth(FileOp::kSync, 1, EIO);
  EXPECT_FALSE(Put(2, /*sync=*/true).ok());
  const arrow::Status later = Put(3);
  EXPECT_TRUE(IsReadOnly(later)) << later.ToString();
  EXPECT_TRUE(Has(1));
  ASSERT_OK_AND_ASSIGN(const Stats stats, db_->GetStats());
  EXPECT_NE(stats.background_error, "");
}

TEST_F(FailuresTest, EveryFailingOperationLeavesADatabaseThatOpensWithWhatWasAcknowledged) {
  // Fails the n-th change of the disk, for every n of a short script, then loses power and opens
  // again.
  for (uint64_t n = 1;; ++n) {
    SCOPED_TRACE("failing change " + std::to_string(n));
    MemoryFileSystem fs;
    Options options = SmallOptions();
    options.file_system = &fs;
    std::vector<int> synced;
    const uint64_t before = fs.operations(FileOp::kChange);
    fs.FailNth(FileOp::kChange, n, EIO);
    {
      auto db = Database::Open("/db", options);
      if (db.ok()) {
        auto kv = *KeyValue::Open(*db);
        WriteOptions sync;
        sync.sync = true;
        for (int i = 0; i < 5; ++i) {
          if (kv->Put(Key(i), Value(i), sync).ok()) synced.push_back(i);
        }
        if ((*db)->Flush().ok()) {
          for (int i = 5; i < 8; ++i) {
            if (kv->Put(Key(i), Value(i), sync).ok()) synced.push_back(i);
          }
        }
      }
      fs.LoseUnsynced(LossPolicy::kDropAll, n);
    }
    const bool reached = fs.operations(FileOp::kChange) - before >= n;
    fs.ClearFaults();
    auto db = Database::Open("/db", options);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    auto kv = *KeyValue::Open(*db);
    for (int i : synced) {
      auto value = kv->Get(Key(i));
      ASSERT_TRUE(value.ok()) << value.status().ToString();
      EXPECT_TRUE(value->has_value()) << "lost synced key " << i;
    }
    if (!reached || n > 400) break;
  }
}

TEST_F(FailuresTest, ADamagedLogRecordBelowADurableMarkIsReportedWithItsOffset) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(1, /*sync=*/true));
  ASSERT_OK(Put(2, /*sync=*/true));
  ASSERT_OK(Put(3, /*sync=*/true));
  LosePower();
  const std::string log = Files("/db/wal").front();
  // The first record: 64 bytes of header and a payload of key and value.
  for (int64_t at = 64; at < 64 + 64 + 100; ++at) {
    ASSERT_OK(fs_->Damage(log, at, 0x20));
    const arrow::Status status = Open();
    EXPECT_TRUE(IsCorruption(status)) << "byte " << at << ": " << status.ToString();
    if (const ErrorDetail* detail = DetailOf(status)) {
      EXPECT_EQ(detail->file(), log);
      EXPECT_EQ(detail->offset(), 64);
    }
    ASSERT_OK(fs_->Damage(log, at, 0x20));
  }
  ASSERT_OK(Open());
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(Has(i));
}

/// A log of two segments, the first of which loses its first record. Pairs 1 to last() were put.
class LostFirstRecordTest : public FailuresTest {
 protected:
  arrow::Status Make(bool synced) {
    ARROW_RETURN_NOT_OK(Open());
    // Records of 192 bytes: more than a segment holds.
    for (int64_t bytes = 0; bytes < options_.log_segment_bytes + 4096; bytes += 192) {
      ARROW_RETURN_NOT_OK(Put(++last_));
    }
    if (synced) ARROW_RETURN_NOT_OK(db_->SyncLog());
    ARROW_RETURN_NOT_OK(Put(++last_));  // says how far the log was synced
    fs_->LoseUnsynced(LossPolicy::kKeepAll, 1);
    Release();
    return fs_->Damage(Files("/db/wal").front(), 64 + 70, 0x01);
  }
  int last() const { return last_; }

 private:
  int last_ = 0;
};

TEST_F(LostFirstRecordTest, WhatWasNotSyncedDoesNotGoOnInTheNextSegment) {
  ASSERT_OK(Make(/*synced=*/false));
  ASSERT_OK(Open());
  for (int i = 1; i <= last(); ++i) EXPECT_FALSE(Has(i)) << i;
}

TEST_F(LostFirstRecordTest, WhatWasSyncedIsReported) {
  ASSERT_OK(Make(/*synced=*/true));
  const std::string log = Files("/db/wal").front();
  const arrow::Status status = Open();
  EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_FAILS_WITH(log, status);
}

TEST_F(FailuresTest, AnUnsyncedTornTailIsCutAndCounted) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(1, /*sync=*/true));
  ASSERT_OK(Put(2));
  fs_->LoseUnsynced(LossPolicy::kKeepAll, 1);
  Release();
  const std::string log = Files("/db/wal").front();
  // Record 1 takes 64 + 128 bytes; record 2 begins behind it.
  ASSERT_OK(fs_->Damage(log, 64 + 256 + 70, 0x01));
  ASSERT_OK(Open());
  EXPECT_TRUE(Has(1));
  ASSERT_OK_AND_ASSIGN(const auto second, kv_->Get(Key(2)));
  EXPECT_FALSE(second.has_value());
  ASSERT_OK_AND_ASSIGN(Stats stats, db_->GetStats());
  EXPECT_EQ(stats.log_tail_cut_bytes, 192);  // a record header of 64 bytes, key and value
  // It was dropped for good: the next opening finds nothing to cut.
  ASSERT_OK(Put(3));
  fs_->LoseUnsynced(LossPolicy::kKeepAll, 2);
  ASSERT_OK(Open());
  EXPECT_TRUE(Has(3));
  ASSERT_OK_AND_ASSIGN(stats, db_->GetStats());
  EXPECT_EQ(stats.log_tail_cut_bytes, 0);
}

TEST_F(FailuresTest, AfterACleanCloseEveryDamagedByteOfCurrentManifestAndTablesIsReported) {
  ASSERT_OK(Open());
  for (int i = 0; i < 20; ++i) ASSERT_OK(Put(i));
  ASSERT_OK(db_->Close());
  std::vector<std::string> paths = Files("/db/sst");
  for (const std::string& path : Files("/db")) {
    if (path != "/db/LOCK") paths.push_back(path);
  }
  ASSERT_GE(paths.size(), 3u);
  for (const std::string& path : paths) {
    ASSERT_OK_AND_ASSIGN(const int64_t size, fs_->FileSize(path));
    for (int64_t at = 0; at < size; at += 7) {
      ASSERT_OK(fs_->Damage(path, at, 0x10));
      Options options = SmallOptions();
      options.read_only = true;
      auto db = Database::Open("/db", options);
      arrow::Status status = db.status();
      if (db.ok()) {
        // Every row once by scan and once by key: between them they touch all that is stored.
        auto table = *Table::Open(*db, "default");
        auto scan = table->Scan();
        status = scan.status();
        if (status.ok()) status = (*scan)->ToTable().status();
        auto kv = *KeyValue::Open(*db);
        for (int i = 0; status.ok() && i < 20; ++i) {
          auto value = kv->Get(Key(i));
          status = value.status();
          if (status.ok()) {
            EXPECT_EQ(value->value_or(""), Value(i)) << path << " byte " << at;
          }
        }
      }
      ASSERT_TRUE(IsCorruption(status)) << path << " byte " << at << ": " << status.ToString();
      EXPECT_EQ(DetailOf(status)->file(), path) << "byte " << at;
      EXPECT_GE(DetailOf(status)->offset(), 0) << "byte " << at;
      ASSERT_OK(fs_->Damage(path, at, 0x10));
    }
  }
}

/// Sets a byte of a file header and makes its checksum anew, as a newer version would.
arrow::Status SetInHeader(MemoryFileSystem* fs, const std::string& path, size_t at, char value) {
  ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
  ARROW_ASSIGN_OR_RAISE(auto bytes, file->Read(0, 64));
  std::string header{std::string_view(*bytes)};
  header[at] = value;
  StoreLittle(header.data() + 56, Checksum(std::string_view(header).substr(0, 56)));
  return fs->Overwrite(path, 0, header);
}

TEST_F(FailuresTest, ANewerFormatIsRefusedByTheFileThatHasIt) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(1, /*sync=*/true));
  LosePower();
  const std::string manifest = Manifest();
  for (const std::string& path : {manifest, Files("/db/wal").front()}) {
    for (const size_t at : {size_t{8}, size_t{52}}) {  // the version, and a must-refuse flag
      ASSERT_OK(SetInHeader(fs_.get(), path, at, 3));
      const arrow::Status status = Open();
      EXPECT_TRUE(IsIncompatibleFormat(status)) << status.ToString();
      EXPECT_NE(status.message().find(path), std::string::npos) << status.ToString();
      ASSERT_OK(SetInHeader(fs_.get(), path, at, 1));
    }
  }
  ASSERT_OK(Open());
  EXPECT_TRUE(Has(1));
}

TEST_F(FailuresTest, WhatANewerVersionLetsOthersOnlyReadIsOpenedForReadingOnly) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(1, /*sync=*/true));
  LosePower();
  const std::string manifest = Manifest();
  for (const std::string& path : {manifest, Files("/db/wal").front()}) {
    ASSERT_OK(SetInHeader(fs_.get(), path, 50, 1));
    const arrow::Status status = Open();
    EXPECT_TRUE(IsIncompatibleFormat(status)) << status.ToString();
    EXPECT_NE(status.message().find("read-only"), std::string::npos) << status.ToString();
    Options options = SmallOptions();
    options.read_only = true;
    ASSERT_OK_AND_ASSIGN(db_, Database::Open("/db", options));
    ASSERT_OK_AND_ASSIGN(kv_, KeyValue::Open(db_));
    EXPECT_TRUE(Has(1));
    Release();
    ASSERT_OK(SetInHeader(fs_.get(), path, 50, 0));
  }
  ASSERT_OK(Open());
}

TEST_F(FailuresTest, AMultiGetThatMeetsDamageGivesNoValues) {
  options_.memtable_bytes = 2 << 20;  // one file
  ASSERT_OK(Open());
  std::vector<std::string> names;
  for (int i = 0; i < 5000; ++i) {
    ASSERT_OK(Put(i));
    names.push_back(Key(i));
  }
  ASSERT_OK(db_->Close());
  const std::string file = Files("/db/sst").front();
  ASSERT_OK_AND_ASSIGN(const int64_t size, fs_->FileSize(file));
  ASSERT_OK(fs_->Damage(file, size / 2, 0x40));
  ASSERT_OK(Open());
  const std::vector<std::string_view> keys(names.begin(), names.end());
  PinnedValues values;
  const arrow::Status status = kv_->MultiGetPinned(keys, &values);
  EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  ASSERT_EQ(values.size(), keys.size());
  for (size_t i = 0; i < values.size(); ++i) ASSERT_FALSE(values[i].has_value()) << i;
}

TEST_F(FailuresTest, AMissingSstableFailsTheOpenAndNamesIt) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(1));
  ASSERT_OK(db_->Close());
  const std::string file = Files("/db/sst").front();
  ASSERT_OK(fs_->Remove(file));
  const arrow::Status status = Open();
  EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_NE(status.message().find(file), std::string::npos) << status.ToString();
}

TEST_F(FailuresTest, AReadOnlyOpenWritesNothingAndSeesTheLog) {
  ASSERT_OK(Open());
  ASSERT_OK(Put(1, /*sync=*/true));
  LosePower();
  Options options = SmallOptions();
  options.read_only = true;
  const uint64_t changes = fs_->operations(FileOp::kChange);
  ASSERT_OK_AND_ASSIGN(db_, Database::Open("/db", options));
  ASSERT_OK_AND_ASSIGN(kv_, KeyValue::Open(db_));
  EXPECT_TRUE(Has(1));
  EXPECT_TRUE(IsReadOnly(Put(2)));
  ASSERT_OK(db_->Close());
  EXPECT_EQ(fs_->operations(FileOp::kChange), changes);
}

}  // namespace
}  // namespace marble

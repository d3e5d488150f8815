// The creation of a database is cut short, also several times: it is taken up again. But a database
// that has lost its CURRENT is not taken for a creation that was cut short.
#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include <marble/key_value.h>

#include "io/memory_file_system.h"
#include "support/test_database.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr char kPath[] = "/database";

Options OptionsOn(MemoryFileSystem* disk) {
  Options options = TinyOptions();
  options.file_system = disk;
  return options;
}

TEST(CreationCrashTest, ACreationMayBeCutShortAnyNumberOfTimesAtAnyOperation) {
  for (const LossPolicy policy : kLossPolicies) {
    bool created = false;
    for (uint64_t operation = 1; !created; ++operation) {
      SCOPED_TRACE(std::string(marble::NameOf(policy)) + ", operation " +
                   std::to_string(operation));
      ASSERT_LT(operation, 100u) << "it is never created";
      MemoryFileSystem disk;
      for (const uint64_t attempt : {1, 2, 3}) {
        disk.FailNth(FileOp::kChange, operation, EIO, /*sticky=*/true);
        created |= Database::Open(kPath, OptionsOn(&disk)).ok();
        disk.ClearFaults();
        disk.LoseUnsynced(policy, operation * 10 + attempt);
      }
      auto database = Database::Open(kPath, OptionsOn(&disk));
      ASSERT_OK(database);
      ASSERT_OK((*database)->Close());
    }
  }
}

TEST(CreationCrashTest, AnErrorOfTheDiskWhileOneThatWasCutShortIsTakenUpIsToldAndLeavesItAsItWas) {
  bool created = false;
  for (uint64_t cut = 1; !created; ++cut) {
    bool failed = true;
    for (uint64_t operation = 1; failed; ++operation) {
      SCOPED_TRACE("cut at " + std::to_string(cut) + ", error at " + std::to_string(operation));
      MemoryFileSystem disk;
      disk.FailNth(FileOp::kChange, cut, EIO, /*sticky=*/true);
      created |= Database::Open(kPath, OptionsOn(&disk)).ok();
      disk.LoseUnsynced(LossPolicy::kKeepAll, cut);
      disk.ClearFaults();
      disk.FailNth(FileOp::kAny, operation, EIO);
      const auto opened = Database::Open(kPath, OptionsOn(&disk));
      failed = !opened.ok();
      if (failed) EXPECT_FAILS_WITH("injected fault", opened);
      disk.ClearFaults();
      if (failed) ASSERT_OK(Database::Open(kPath, OptionsOn(&disk)));
      ASSERT_LT(operation, 200u) << "it is never opened";
    }
    ASSERT_LT(cut, 100u) << "it is never created";
  }
}

TEST(CreationCrashTest, ACreationThatFoundNoRoomThreeTimesSucceedsWhenThereIsRoom) {
  MemoryFileSystem disk;
  for (int attempt = 0; attempt < 3; ++attempt) {
    disk.FailNth(FileOp::kRename, 1, ENOSPC);  // of CURRENT, the last thing
    EXPECT_FALSE(Database::Open(kPath, OptionsOn(&disk)).ok());
  }
  ASSERT_OK(Database::Open(kPath, OptionsOn(&disk)));
}

TEST(CreationCrashTest, FilesOfOthersInTheFoldersOfACreationThatWasCutShortAreLeftThere) {
  MemoryFileSystem disk;
  disk.FailNth(FileOp::kRename, 1, EIO);  // of CURRENT, the last thing
  EXPECT_FALSE(Database::Open(kPath, OptionsOn(&disk)).ok());
  ASSERT_OK(disk.CreateWritable("/database/wal/notes.txt"));
  ASSERT_OK(Database::Open(kPath, OptionsOn(&disk)));
  EXPECT_TRUE(disk.Exists("/database/wal/notes.txt").ValueOrDie());
}

TEST(CreationCrashTest, ADatabaseWithoutItsCurrentIsNotTakenForOneThatWasBeingCreated) {
  for (const bool closed : {false, true}) {
    MemoryFileSystem disk;
    {
      auto database = Database::Open(kPath, OptionsOn(&disk));
      ASSERT_OK(database);
      auto pairs = KeyValue::Open(*database);
      ASSERT_OK(pairs);
      ASSERT_OK((*pairs)->Put("key", "value", {.sync = true}));
      // Nothing is flushed: all there is of it is the log.
      if (!closed) disk.FailNth(FileOp::kChange, 1, EIO, /*sticky=*/true);
    }
    disk.ClearFaults();
    ASSERT_OK(disk.Rename("/database/CURRENT", "/CURRENT"));
    EXPECT_FAILS_WITH("CURRENT is missing", Database::Open(kPath, OptionsOn(&disk)));
    for (uint64_t operation = 1; operation < 40; ++operation) {
      disk.FailNth(FileOp::kAny, operation, EIO);
      EXPECT_FALSE(Database::Open(kPath, OptionsOn(&disk)).ok()) << "error at " << operation;
      disk.ClearFaults();
    }
    ASSERT_OK(disk.Rename("/CURRENT", "/database/CURRENT"));
    auto database = Database::Open(kPath, OptionsOn(&disk));
    ASSERT_OK(database);
    auto pairs = KeyValue::Open(*database);
    ASSERT_OK(pairs);
    EXPECT_EQ((*pairs)->Get("key").ValueOrDie(), "value");
  }
}

TEST(CreationCrashTest, NorIsOneWhoseManifestIsDamagedInItsFirstRecord) {
  MemoryFileSystem disk;
  {
    auto database = Database::Open(kPath, OptionsOn(&disk));
    ASSERT_OK(database);
    ASSERT_OK(KeyValue::Open(*database, "empty", /*create_if_missing=*/true));
  }
  ASSERT_OK(disk.Remove("/database/CURRENT"));
  ASSERT_OK(disk.Overwrite("/database/MANIFEST-000001", 100, "damage"));
  EXPECT_FAILS_WITH("CURRENT is missing", Database::Open(kPath, OptionsOn(&disk)));
}

TEST(CreationCrashTest, NorIsOneWhoseLogIsDamagedInItsFirstRecord) {
  MemoryFileSystem disk;
  {
    auto database = Database::Open(kPath, OptionsOn(&disk));
    ASSERT_OK(database);
    auto pairs = KeyValue::Open(*database);
    ASSERT_OK(pairs);
    for (const char* key : {"one", "two"}) ASSERT_OK((*pairs)->Put(key, "value", {.sync = true}));
    disk.FailNth(FileOp::kChange, 1, EIO, /*sticky=*/true);  // it is not closed
  }
  disk.ClearFaults();
  ASSERT_OK(disk.Remove("/database/CURRENT"));
  ASSERT_OK_AND_ASSIGN(const auto segments, disk.List("/database/wal"));
  for (const DirectoryEntry& segment : segments) {
    ASSERT_OK(disk.Overwrite("/database/wal/" + segment.name, 100, "damage"));
  }
  EXPECT_FAILS_WITH("CURRENT is missing beside a log", Database::Open(kPath, OptionsOn(&disk)));
}

}  // namespace
}  // namespace marble::test

// How the file system in memory fails: power loss, faults on order, no room, damage.
#include "io/memory_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

#include <marble/error.h>

#include "unit/io/io_test_support.h"

namespace marble {
namespace {

class MemoryFileSystemTest : public ::testing::Test {
 protected:
  arrow::Status Write(SegmentFile* file, int64_t offset, std::string_view bytes) {
    return file->Write(offset, {&bytes, 1}, WriteVia::kMapping);
  }

  MemoryFileSystem fs_;
};

TEST_F(MemoryFileSystemTest, SyncedBytesSurviveEveryPolicy) {
  for (const LossPolicy policy : kLossPolicies) {
    MemoryFileSystem fs;
    const std::string content = Pattern(10000);
    WriteFile(&fs, "/a", content);
    ASSERT_STATUS_OK(fs.SyncDirectory("/"));
    fs.LoseUnsynced(policy, 1);
    EXPECT_EQ(ReadFile(&fs, "/a"), content);
  }
}

TEST_F(MemoryFileSystemTest, AnEntryOfAnUnsyncedDirectoryIsLostThoughItsFileWasSynced) {
  WriteFile(&fs_, "/a", "a");
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_FALSE(Must(fs_.Exists("/a")));
}

TEST_F(MemoryFileSystemTest, ADirectoryGoesWithAllInIt) {
  ASSERT_STATUS_OK(fs_.CreateDirectory("/d"));
  WriteFile(&fs_, "/d/a", "a");
  ASSERT_STATUS_OK(fs_.SyncDirectory("/d"));
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_FALSE(Must(fs_.Exists("/d")));
}

TEST_F(MemoryFileSystemTest, AnUnsyncedRemoveIsUndone) {
  WriteFile(&fs_, "/a", "a");
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  ASSERT_STATUS_OK(fs_.Remove("/a"));
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_EQ(ReadFile(&fs_, "/a"), "a");
}

TEST_F(MemoryFileSystemTest, ARenameHappensWhollyOrNotAtAll) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    MemoryFileSystem fs;
    WriteFile(&fs, "/to", "old");
    WriteFile(&fs, "/from", "new");
    ASSERT_STATUS_OK(fs.SyncDirectory("/"));
    ASSERT_STATUS_OK(fs.Rename("/from", "/to"));
    fs.LoseUnsynced(LossPolicy::kRandomPages, seed);
    const std::string to = ReadFile(&fs, "/to");
    EXPECT_EQ(Must(fs.Exists("/from")), to == "old");
    seen.insert(to);
  }
  EXPECT_EQ(seen, (std::set<std::string>{"new", "old"}));
}

TEST_F(MemoryFileSystemTest, AFileRenamedOftenNeverGetsTwoNames) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    MemoryFileSystem fs;
    ASSERT_STATUS_OK(fs.CreateDirectory("/d"));
    WriteFile(&fs, "/0", "x");
    ASSERT_STATUS_OK(fs.SyncDirectory("/"));
    ASSERT_STATUS_OK(fs.Rename("/0", "/1"));
    ASSERT_STATUS_OK(fs.Rename("/1", "/d/2"));
    if (seed % 2 == 0) ASSERT_STATUS_OK(fs.SyncDirectory("/d"));
    ASSERT_STATUS_OK(fs.Rename("/d/2", "/3"));
    fs.LoseUnsynced(LossPolicy::kTorn, seed);
    int names = 0;
    for (const char* path : {"/0", "/1", "/d/2", "/3"}) names += Must(fs.Exists(path)) ? 1 : 0;
    EXPECT_EQ(names, 1) << seed;
  }
}

TEST_F(MemoryFileSystemTest, DropAllGivesTheLastSync) {
  auto file = Must(fs_.CreateWritable("/a"));
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  ASSERT_STATUS_OK(file->Append("synced"));
  ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(file->Append(Pattern(9000)));
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_EQ(ReadFile(&fs_, "/a"), "synced");
}

TEST_F(MemoryFileSystemTest, KeepAllGivesEverything) {
  auto file = Must(fs_.CreateWritable("/a"));
  ASSERT_STATUS_OK(file->Append(Pattern(9000)));
  fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
  EXPECT_EQ(ReadFile(&fs_, "/a"), Pattern(9000));
  EXPECT_EQ(fs_.used_bytes(), 9000);
}

TEST_F(MemoryFileSystemTest, RandomPagesAreOldOrNewAsAWhole) {
  constexpr int64_t kPages = 64;
  auto file = Must(fs_.CreateSegment("/s", kPages * 4096));
  ASSERT_STATUS_OK(Write(file.get(), 0, std::string(kPages * 4096, 'o')));
  ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  ASSERT_STATUS_OK(Write(file.get(), 0, std::string(kPages * 4096, 'n')));
  fs_.LoseUnsynced(LossPolicy::kRandomPages, 3);
  const std::string content = ReadFile(&fs_, "/s");
  int kept = 0;
  for (int64_t page = 0; page < kPages; ++page) {
    const std::string bytes = content.substr(page * 4096, 4096);
    EXPECT_EQ(bytes, std::string(4096, bytes[0]));
    kept += bytes[0] == 'n' ? 1 : 0;
  }
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, kPages);
}

TEST_F(MemoryFileSystemTest, TornPagesMixOldAndNewSectors) {
  auto file = Must(fs_.CreateSegment("/s", 4096));
  ASSERT_STATUS_OK(Write(file.get(), 0, std::string(4096, 'o')));
  ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  ASSERT_STATUS_OK(Write(file.get(), 0, std::string(4096, 'n')));
  fs_.LoseUnsynced(LossPolicy::kTorn, 4);
  const std::string content = ReadFile(&fs_, "/s");
  std::set<char> seen;
  for (int sector = 0; sector < 8; ++sector) {
    const std::string bytes = content.substr(sector * 512, 512);
    EXPECT_EQ(bytes, std::string(512, bytes[0]));
    seen.insert(bytes[0]);
  }
  EXPECT_EQ(seen, (std::set<char>{'n', 'o'}));
}

TEST_F(MemoryFileSystemTest, ASizeMayGrowWithoutItsBytes) {
  bool zeros = false;
  for (uint64_t seed = 0; seed < 50 && !zeros; ++seed) {
    MemoryFileSystem fs;
    auto file = Must(fs.CreateWritable("/a"));
    ASSERT_STATUS_OK(fs.SyncDirectory("/"));
    ASSERT_STATUS_OK(file->Append("content"));
    fs.LoseUnsynced(LossPolicy::kRandomPages, seed);
    zeros = ReadFile(&fs, "/a") == std::string(7, '\0');
  }
  EXPECT_TRUE(zeros);
}

TEST_F(MemoryFileSystemTest, TheSameSeedGivesTheSameLoss) {
  const auto run = [](uint64_t seed) {
    MemoryFileSystem fs;
    auto file = Must(fs.CreateSegment("/s", 100 * 4096));
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_TRUE(fs.SyncDirectory("/").ok());
    const std::string content = Pattern(100 * 4096);
    const std::string_view part = content;
    EXPECT_TRUE(file->Write(0, {&part, 1}, WriteVia::kMapping).ok());
    fs.LoseUnsynced(LossPolicy::kTorn, seed);
    return ReadFile(&fs, "/s");
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST_F(MemoryFileSystemTest, HandlesAreDeadAndLocksFreeAfterPowerLoss) {
  WriteFile(&fs_, "/a", "a");
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  auto readable = Must(fs_.OpenReadable("/a"));
  auto writable = Must(fs_.OpenAppend("/a"));
  auto segment = Must(fs_.OpenSegment("/a"));
  auto lock = Must(fs_.Lock("/LOCK"));
  fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
  EXPECT_TRUE(readable->Read(0, 1).status().IsIOError());
  EXPECT_TRUE(readable->Map().status().IsIOError());
  EXPECT_TRUE(writable->Append("x").IsIOError());
  EXPECT_TRUE(writable->Sync().IsIOError());
  EXPECT_TRUE(Write(segment.get(), 0, "x").IsIOError());
  EXPECT_TRUE(segment->Sync().IsIOError());
  auto second = Must(fs_.Lock("/LOCK"));
  lock.reset();  // must not release the second one
  EXPECT_TRUE(IsLocked(fs_.Lock("/LOCK").status()));
  EXPECT_EQ(ReadFile(&fs_, "/a"), "a");
}

TEST_F(MemoryFileSystemTest, TheChosenOperationFailsOnce) {
  fs_.FailNth(FileOp::kCreate, 2, EMFILE);
  EXPECT_TRUE(fs_.CreateWritable("/a").ok());
  const arrow::Status status = fs_.CreateWritable("/b").status();
  EXPECT_EQ(ErrnoOf(status), EMFILE);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("/b"));
  EXPECT_FALSE(Must(fs_.Exists("/b")));
  EXPECT_TRUE(fs_.CreateWritable("/b").ok());
}

TEST_F(MemoryFileSystemTest, AStickyFaultStaysUntilCleared) {
  fs_.FailNth(FileOp::kAny, 1, arrow::Status::IOError("gone"), /*sticky=*/true);
  EXPECT_FALSE(fs_.CreateWritable("/a").ok());
  EXPECT_FALSE(fs_.CreateDirectory("/d").ok());
  fs_.ClearFaults();
  EXPECT_TRUE(fs_.CreateWritable("/a").ok());
}

TEST_F(MemoryFileSystemTest, EveryKindOfOperationCanFail) {
  WriteFile(&fs_, "/a", "a");
  auto readable = Must(fs_.OpenReadable("/a"));
  auto writable = Must(fs_.OpenAppend("/a"));
  for (size_t kind = 0; kind < kFileOpKinds; ++kind) {
    fs_.FailNth(static_cast<FileOp>(kind), 1, EIO);
    const bool all_fine = readable->Read(0, 1).ok() && readable->Map().ok() &&
                          fs_.OpenReadable("/a").ok() && writable->Append("x").ok() &&
                          writable->Sync().ok() && fs_.CreateDirectory("/d").ok() &&
                          fs_.Rename("/d", "/e").ok() && fs_.Remove("/e").ok() &&
                          fs_.SyncDirectory("/").ok() && fs_.List("/").ok();
    EXPECT_FALSE(all_fine) << kind;
    fs_.ClearFaults();
    writable = Must(fs_.OpenAppend("/a"));
    for (const char* path : {"/d", "/e"}) {
      if (Must(fs_.Exists(path))) ASSERT_STATUS_OK(fs_.Remove(path));
    }
  }
}

TEST_F(MemoryFileSystemTest, EveryWayToLookAtAPathCanFail) {
  WriteFile(&fs_, "/a", "a");
  fs_.FailNth(FileOp::kInspect, 1, EIO, /*sticky=*/true);
  EXPECT_EQ(ErrnoOf(fs_.Exists("/a").status()), EIO);
  EXPECT_EQ(ErrnoOf(fs_.FileSize("/a").status()), EIO);
  EXPECT_EQ(ErrnoOf(fs_.List("/").status()), EIO);
  EXPECT_EQ(ErrnoOf(fs_.Identity("/").status()), EIO);
  EXPECT_TRUE(fs_.OpenReadable("/a").ok());
}

TEST_F(MemoryFileSystemTest, OperationsAreCountedByKind) {
  WriteFile(&fs_, "/a", "a");
  EXPECT_EQ(fs_.operations(FileOp::kCreate), 1u);
  EXPECT_EQ(fs_.operations(FileOp::kWrite), 1u);
  EXPECT_EQ(fs_.operations(FileOp::kSync), 1u);
  EXPECT_EQ(ReadFile(&fs_, "/a"), "a");
  EXPECT_EQ(fs_.operations(FileOp::kChange), 3u);
  EXPECT_EQ(fs_.operations(FileOp::kAny), 5u);
}

TEST_F(MemoryFileSystemTest, AFailedWriteMayHaveWrittenHalf) {
  auto file = Must(fs_.CreateSegment("/s", 100));
  fs_.FailNth(FileOp::kWrite, 1, EIO);
  EXPECT_EQ(ErrnoOf(Write(file.get(), 0, "12345678")), EIO);
  EXPECT_EQ(ReadFile(&fs_, "/s").substr(0, 8), std::string("1234\0\0\0\0", 8));
  EXPECT_TRUE(Write(file.get(), 0, "12345678").ok());
}

TEST_F(MemoryFileSystemTest, AfterAFailedSyncNothingMakesTheBytesDurable) {
  auto file = Must(fs_.CreateSegment("/s", 100));
  ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  ASSERT_STATUS_OK(Write(file.get(), 0, "lost"));
  fs_.FailNth(FileOp::kSync, 1, EIO);
  EXPECT_EQ(ErrnoOf(file->Sync()), EIO);
  EXPECT_EQ(ErrnoOf(file->Sync()), EIO);
  // A new handle knows nothing of it, as after a restart of the program: the kernel says OK.
  auto again = Must(fs_.OpenSegment("/s"));
  ASSERT_STATUS_OK(again->Sync());
  EXPECT_EQ(ReadFile(&fs_, "/s").substr(0, 4), "lost");
  fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
  EXPECT_EQ(ReadFile(&fs_, "/s").substr(0, 4), std::string(4, '\0'));
}

TEST_F(MemoryFileSystemTest, RunningFullIsEnospcAndEndsWhenThereIsRoom) {
  fs_.set_capacity_bytes(10000);
  auto segment = Must(fs_.CreateSegment("/s", 6000));
  EXPECT_EQ(ErrnoOf(fs_.CreateSegment("/t", 6000).status()), ENOSPC);
  EXPECT_FALSE(Must(fs_.Exists("/t")));
  auto file = Must(fs_.CreateWritable("/a"));
  ASSERT_STATUS_OK(file->Append(Pattern(4000)));
  EXPECT_EQ(ErrnoOf(file->Append("x")), ENOSPC);
  EXPECT_EQ(ErrnoOf(file->Append("")), ENOSPC);  // the file's content is unknown from then on
  EXPECT_TRUE(Write(segment.get(), 0, Pattern(6000)).ok());  // its room is reserved
  ASSERT_STATUS_OK(segment->Close());
  segment.reset();
  ASSERT_STATUS_OK(fs_.Remove("/s"));
  EXPECT_EQ(fs_.used_bytes(), 4000);
  EXPECT_TRUE(fs_.CreateSegment("/t", 6000).ok());
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_EQ(fs_.used_bytes(), 0);
}

TEST_F(MemoryFileSystemTest, DamageSurvivesPowerLoss) {
  WriteFile(&fs_, "/a", "abcdef");
  ASSERT_STATUS_OK(fs_.SyncDirectory("/"));
  ASSERT_STATUS_OK(fs_.Damage("/a", 2, 0x20));
  ASSERT_STATUS_OK(fs_.Overwrite("/a", 4, "XY"));
  EXPECT_EQ(ReadFile(&fs_, "/a"), "abCdXY");
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_EQ(ReadFile(&fs_, "/a"), "abCdXY");
  EXPECT_TRUE(fs_.Damage("/a", 6, 1).IsInvalid());
  ASSERT_STATUS_OK(fs_.Truncate("/a", 3));
  fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
  EXPECT_EQ(ReadFile(&fs_, "/a"), "abC");
}

TEST_F(MemoryFileSystemTest, WithoutMappingsMapGivesNull) {
  MemoryFileSystem fs(/*with_mappings=*/false);
  WriteFile(&fs, "/a", "a");
  EXPECT_EQ(Must(Must(fs.OpenReadable("/a"))->Map()), nullptr);
}

TEST_F(MemoryFileSystemTest, HandlesOutliveTheFileSystem) {
  auto fs = std::make_unique<MemoryFileSystem>();
  WriteFile(fs.get(), "/a", "a");
  auto file = Must(fs->OpenReadable("/a"));
  auto lock = Must(fs->Lock("/LOCK"));
  fs.reset();
  EXPECT_EQ(Must(file->Read(0, 1))->ToString(), "a");
}

TEST_F(MemoryFileSystemTest, DirectoriesOfTwoFileSystemsDiffer) {
  MemoryFileSystem other;
  EXPECT_NE(Must(fs_.Identity("/")), Must(other.Identity("/")));
}

}  // namespace
}  // namespace marble

// What each policy of losing power leaves of files and directory entries, and what clones of a disk
// share.
#include "io/power_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

#include "io/memory_file_system.h"
#include "unit/io/io_test_support.h"

namespace marble {
namespace {

constexpr uint64_t kSeeds = 40;

class PowerLossTest : public ::testing::Test {
 protected:
  static arrow::Status Write(SegmentFile* file, int64_t offset, std::string_view bytes) {
    return file->Write(offset, {&bytes, 1}, WriteVia::kMapping);
  }

  /// A file of which `synced` bytes were synced and as many as `more` appended after that.
  static void WritePartlySynced(MemoryFileSystem* fs, const std::string& path,
                                const std::string& synced, const std::string& more) {
    auto file = Must(fs->CreateWritable(path));
    ASSERT_STATUS_OK(file->Append(synced));
    ASSERT_STATUS_OK(file->Sync());
    ASSERT_STATUS_OK(fs->SyncDirectory("/"));
    ASSERT_STATUS_OK(file->Append(more));
  }
};

TEST_F(PowerLossTest, WhatWasSyncedSurvivesEveryPolicy) {
  for (const LossPolicy policy : kLossPolicies) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      SCOPED_TRACE(std::string(NameOf(policy)) + ", seed " + std::to_string(seed));
      MemoryFileSystem fs;
      WriteFile(&fs, "/kept", "kept");
      WriteFile(&fs, "/from", "moved");
      WriteFile(&fs, "/to", "replaced");
      WriteFile(&fs, "/gone", "gone");
      ASSERT_STATUS_OK(fs.Rename("/from", "/to"));
      ASSERT_STATUS_OK(fs.Remove("/gone"));
      ASSERT_STATUS_OK(fs.SyncDirectory("/"));
      WriteFile(&fs, "/later", "later");
      auto grown = Must(fs.OpenAppend("/kept"));
      ASSERT_STATUS_OK(grown->Append("more"));
      fs.LoseUnsynced(policy, seed);
      EXPECT_EQ(ReadFile(&fs, "/kept").substr(0, 4), "kept");
      EXPECT_EQ(ReadFile(&fs, "/to"), "moved");
      EXPECT_FALSE(Must(fs.Exists("/from")));
      EXPECT_FALSE(Must(fs.Exists("/gone")));
      // A file that was synced is whole, if its entry is there.
      if (Must(fs.Exists("/later"))) {
        EXPECT_EQ(ReadFile(&fs, "/later"), "later");
      }
    }
  }
}

TEST_F(PowerLossTest, PagesOfASegmentWrittenThroughAMappingAreLikeAllOthers) {
  for (const LossPolicy policy : kLossPolicies) {
    std::set<char> seen;
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      MemoryFileSystem fs;
      auto file = Must(fs.CreateSegment("/s", 8192));
      ASSERT_STATUS_OK(Write(file.get(), 0, std::string(8192, 'o')));
      ASSERT_STATUS_OK(file->Sync());
      ASSERT_STATUS_OK(fs.SyncDirectory("/"));
      ASSERT_STATUS_OK(Write(file.get(), 4096, std::string(4096, 'n')));
      fs.LoseUnsynced(policy, seed);
      const std::string content = ReadFile(&fs, "/s");
      ASSERT_EQ(content.substr(0, 4096), std::string(4096, 'o')) << NameOf(policy);
      for (size_t at = 4096; at < 8192; at += 512) {
        ASSERT_EQ(content.substr(at, 512), std::string(512, content[at])) << NameOf(policy);
        seen.insert(content[at]);
      }
    }
    const bool loses = policy != LossPolicy::kKeepAll;
    const bool keeps = policy != LossPolicy::kDropAll && policy != LossPolicy::kRenamesFirst;
    EXPECT_EQ(seen.contains('o'), loses) << NameOf(policy);
    EXPECT_EQ(seen.contains('n'), keeps) << NameOf(policy);
  }
}

TEST_F(PowerLossTest, AZeroTailIsZerosBehindWhatWasSynced) {
  MemoryFileSystem fs;
  WritePartlySynced(&fs, "/a", Pattern(100), Pattern(9000));
  fs.LoseUnsynced(LossPolicy::kZeroTail, 1);
  EXPECT_EQ(ReadFile(&fs, "/a"), Pattern(100) + std::string(9000, '\0'));
}

TEST_F(PowerLossTest, AGarbageTailIsAnythingBehindWhatWasSynced) {
  std::set<std::string> tails;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    WriteFile(&fs, "/other", std::string(4096, 'x'));
    WritePartlySynced(&fs, "/a", Pattern(100), Pattern(5000));
    fs.LoseUnsynced(LossPolicy::kGarbageTail, seed);
    const std::string content = ReadFile(&fs, "/a");
    ASSERT_EQ(content.size(), 5100u);
    EXPECT_EQ(content.substr(0, 100), Pattern(100));
    tails.insert(content.substr(4096));
  }
  EXPECT_TRUE(tails.contains(std::string(1004, 'x'))) << "what another file holds is garbage, too";
  EXPECT_GT(tails.size(), kSeeds / 4);
}

TEST_F(PowerLossTest, WithRandomEntriesALaterRenameNeedsNoEarlierOne) {
  bool skipped = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    MemoryFileSystem fs;
    WriteFile(&fs, "/1", "new");
    WriteFile(&fs, "/2", "old");
    ASSERT_STATUS_OK(fs.SyncDirectory("/"));
    ASSERT_STATUS_OK(fs.Rename("/1", "/2"));
    ASSERT_STATUS_OK(fs.Rename("/2", "/3"));
    fs.LoseUnsynced(LossPolicy::kRandomEntries, seed);
    int names = 0;
    for (const char* path : {"/1", "/2", "/3"}) {
      names += Must(fs.Exists(path)) && ReadFile(&fs, path) == "new" ? 1 : 0;
    }
    EXPECT_EQ(names, 1) << "seed " << seed;
    skipped |= Must(fs.Exists("/3")) && Must(fs.Exists("/2"));
  }
  EXPECT_TRUE(skipped);
}

TEST_F(PowerLossTest, ARenameComesBeforeTheDataOfItsFile) {
  MemoryFileSystem fs;
  WriteFile(&fs, "/CURRENT", "old");
  ASSERT_STATUS_OK(fs.SyncDirectory("/"));
  auto file = Must(fs.CreateWritable("/tmp"));
  ASSERT_STATUS_OK(file->Append("new"));
  ASSERT_STATUS_OK(fs.Rename("/tmp", "/CURRENT"));
  fs.LoseUnsynced(LossPolicy::kRenamesFirst, 1);
  EXPECT_FALSE(Must(fs.Exists("/tmp")));
  EXPECT_THAT(ReadFile(&fs, "/CURRENT"), testing::AnyOf("", std::string(3, '\0')));
}

TEST_F(PowerLossTest, ARemoveComesBeforeAnEarlierRename) {
  MemoryFileSystem fs;
  WriteFile(&fs, "/CURRENT", "names 1");
  WriteFile(&fs, "/1", "1");
  ASSERT_STATUS_OK(fs.SyncDirectory("/"));
  WriteFile(&fs, "/tmp", "names 2");
  ASSERT_STATUS_OK(fs.Rename("/tmp", "/CURRENT"));
  ASSERT_STATUS_OK(fs.Remove("/1"));
  fs.LoseUnsynced(LossPolicy::kRemovesFirst, 1);
  EXPECT_EQ(ReadFile(&fs, "/CURRENT"), "names 1");
  EXPECT_FALSE(Must(fs.Exists("/1")));
  EXPECT_FALSE(Must(fs.Exists("/tmp")));
}

TEST_F(PowerLossTest, AfterAScrambledFailedSyncPagesAreOldOrNewHereAndOnTheDevice) {
  constexpr size_t kPages = 64;
  MemoryFileSystem fs;
  fs.ScrambleFailedSyncs(5);
  auto file = Must(fs.CreateSegment("/s", kPages * 4096));
  ASSERT_STATUS_OK(Write(file.get(), 0, std::string(kPages * 4096, 'o')));
  ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(fs.SyncDirectory("/"));
  ASSERT_STATUS_OK(Write(file.get(), 0, std::string(kPages * 4096, 'n')));
  fs.FailNth(FileOp::kSync, 1, EIO);
  EXPECT_EQ(ErrnoOf(file->Sync()), EIO);
  const std::string read = ReadFile(&fs, "/s");
  ASSERT_STATUS_OK(Must(fs.OpenSegment("/s"))->Sync());  // has nothing to do: all counts as clean
  fs.LoseUnsynced(LossPolicy::kKeepAll, 1);
  const std::string device = ReadFile(&fs, "/s");
  std::set<std::string> seen;
  for (size_t at = 0; at < kPages * 4096; at += 4096) {
    EXPECT_EQ(read.substr(at, 4096), std::string(4096, read[at]));
    EXPECT_EQ(device.substr(at, 4096), std::string(4096, device[at]));
    seen.insert({read[at], device[at]});
  }
  EXPECT_EQ(seen, (std::set<std::string>{"nn", "no", "on", "oo"}));
}

TEST_F(PowerLossTest, ACloneHasTheUnsyncedStateAndNeitherSeesTheOthersWrites) {
  MemoryFileSystem fs;
  WritePartlySynced(&fs, "/a", "synced", " and not");
  WriteFile(&fs, "/b", "entry not synced");
  MemoryFileSystem clone(fs.CloneDisk());
  auto appended = Must(clone.OpenAppend("/a"));
  ASSERT_STATUS_OK(appended->Append(", clone"));
  ASSERT_STATUS_OK(fs.Overwrite("/a", 0, "S"));
  ASSERT_STATUS_OK(fs.Remove("/b"));
  EXPECT_EQ(ReadFile(&fs, "/a"), "Synced and not");
  EXPECT_EQ(ReadFile(&clone, "/a"), "synced and not, clone");
  EXPECT_EQ(ReadFile(&clone, "/b"), "entry not synced");
  MemoryFileSystem kept(clone.CloneDisk());
  kept.LoseUnsynced(LossPolicy::kKeepAll, 1);
  EXPECT_EQ(ReadFile(&kept, "/a"), "synced and not, clone");
  EXPECT_EQ(ReadFile(&kept, "/b"), "entry not synced");
  clone.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_EQ(ReadFile(&clone, "/a"), "synced");
  EXPECT_FALSE(Must(clone.Exists("/b")));
  EXPECT_EQ(clone.used_bytes(), 6);
  EXPECT_EQ(ReadFile(&fs, "/a"), "Synced and not");
}

TEST_F(PowerLossTest, AnObserverSeesTheDiskBeforeEachChange) {
  MemoryFileSystem fs;
  std::vector<std::string> seen;
  fs.set_observer([&](MemoryDisk* disk, FileOp operation, const std::string& path) {
    MemoryFileSystem before(disk->Clone());
    seen.push_back(path + (Must(before.Exists("/a")) ? ": " + ReadFile(&before, "/a") : ""));
  });
  WriteFile(&fs, "/a", "a");
  EXPECT_EQ(ReadFile(&fs, "/a"), "a");
  ASSERT_STATUS_OK(fs.Remove("/a"));
  EXPECT_THAT(seen, testing::ElementsAre("/a", "/a: ", "/a: a", "/a: a"));
}

}  // namespace
}  // namespace marble

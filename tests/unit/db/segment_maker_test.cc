// Tests of making log segments when they are needed, and beforehand.
#include "db/segment_maker.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/memory_file_system.h"
#include "log/log_reader.h"
#include "support/wait_until.h"
#include "tree/file_names.h"
#include "unit/io/io_test_support.h"

namespace marble {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kDirectory[] = "/db";
constexpr int64_t kSegmentBytes = 4096;

/// A segment that counts how often its pages were made ready.
class CountedSegment : public SegmentFile {
 public:
  CountedSegment(std::unique_ptr<SegmentFile> file, std::atomic<int>* prepared)
      : file_(std::move(file)), prepared_(prepared) {}
  int64_t capacity() const override { return file_->capacity(); }
  arrow::Status Write(int64_t offset, std::span<const std::string_view> parts,
                      WriteVia via) override {
    return file_->Write(offset, parts, via);
  }
  arrow::Status Sync() override { return file_->Sync(); }
  void WillWrite() override { ++*prepared_; }
  arrow::Status Close() override { return file_->Close(); }

 private:
  const std::unique_ptr<SegmentFile> file_;
  std::atomic<int>* const prepared_;
};

/// Takes its time to create a segment.
class SlowFileSystem : public MemoryFileSystem {
 public:
  arrow::Result<std::unique_ptr<SegmentFile>> CreateSegment(const std::string& path,
                                                            int64_t capacity) override {
    ++begun;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ARROW_ASSIGN_OR_RAISE(auto file, MemoryFileSystem::CreateSegment(path, capacity));
    return std::make_unique<CountedSegment>(std::move(file), &prepared);
  }

  std::atomic<int> begun{0};
  std::atomic<int> prepared{0};
};

class SegmentMakerTest : public ::testing::Test {
 protected:
  SegmentMakerTest() {
    EXPECT_TRUE(fs_.CreateDirectory(kDirectory).ok());
    EXPECT_TRUE(fs_.CreateDirectory(LogDirectory(kDirectory)).ok());
  }

  std::unique_ptr<SegmentMaker> NewMaker() {
    return std::make_unique<SegmentMaker>(&fs_, kDirectory, uuid_, kSegmentBytes);
  }

  /// One that has given segment 1.
  std::unique_ptr<SegmentMaker> MakerAfterTheFirst() {
    auto maker = NewMaker();
    EXPECT_EQ(Must(maker->First(1))->number(), 1);
    return maker;
  }

  std::vector<std::string> Files() {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : Must(fs_.List(LogDirectory(kDirectory)))) {
      names.push_back(entry.name);
    }
    std::ranges::sort(names);
    return names;
  }

  void WaitForFiles(size_t count) {
    ASSERT_TRUE(test::WaitUntil([&] { return Files().size() >= count; }));
    ASSERT_EQ(Files().size(), count);
  }
  void WaitUntilBegun(int more_than) {
    ASSERT_TRUE(test::WaitUntil([&] { return fs_.begun > more_than; }));
  }
  static void WaitUntilReady(const SegmentMaker& maker) {
    ASSERT_TRUE(test::WaitUntil([&] { return maker.IsReady(); }));
  }

  /// What recovery sees of a segment.
  LogFileHeader HeaderOf(uint64_t number) {
    const std::string path = LogSegmentPath(kDirectory, number);
    auto reader = Must(
        LogReader::Open(Must(fs_.OpenReadable(path)), path, LogFileKind::kSegment, &uuid_, number));
    EXPECT_EQ(Must(reader->Next()), nullptr);
    return reader->header();
  }

  SlowFileSystem fs_;
  Uuid uuid_{1, 2, 3};
};

TEST_F(SegmentMakerTest, ASegmentIsMadeWhenItIsNeeded) {
  auto maker = NewMaker();
  auto segment = Must(maker->Next(6, kSegmentBytes));
  EXPECT_EQ(segment->number(), 7);
  EXPECT_EQ(segment->capacity(), kSegmentBytes);
  EXPECT_EQ(HeaderOf(7).predecessor, 6);
  EXPECT_FALSE(maker->IsReady());
}

TEST_F(SegmentMakerTest, TheFirstSegmentHasNoPredecessor) {
  auto maker = NewMaker();
  EXPECT_EQ(Must(maker->First(7))->number(), 7);
  EXPECT_EQ(HeaderOf(7).predecessor, 0);
  maker->MakeAhead(1, /*pages=*/true);
  WaitUntilReady(*maker);
  EXPECT_EQ(Must(maker->Next(7, kSegmentBytes))->number(), 8);
  EXPECT_EQ(HeaderOf(8).predecessor, 7);
}

TEST_F(SegmentMakerTest, SegmentsMadeBeforehandFollowEachOther) {
  auto maker = MakerAfterTheFirst();
  maker->MakeAhead(3, /*pages=*/true);
  WaitForFiles(4);
  for (uint64_t number = 2; number <= 12; ++number) {
    EXPECT_EQ(HeaderOf(number).predecessor, number - 1);
    EXPECT_EQ(Must(maker->Next(number - 1, kSegmentBytes))->number(), number);
    maker->MakeAhead(3, /*pages=*/true);
    WaitUntilReady(*maker);
  }
}

TEST_F(SegmentMakerTest, PagesAreMadeReadyIfThatIsAskedFor) {
  auto maker = MakerAfterTheFirst();
  maker->MakeAhead(1, /*pages=*/false);
  WaitUntilReady(*maker);
  EXPECT_EQ(fs_.prepared, 0);
  EXPECT_EQ(Must(maker->Next(1, kSegmentBytes))->number(), 2);
  maker->MakeAhead(1, /*pages=*/true);
  WaitUntilReady(*maker);
  EXPECT_EQ(fs_.prepared, 1);
}

TEST_F(SegmentMakerTest, NextWaitsForTheSegmentThatIsBeingMade) {
  auto maker = MakerAfterTheFirst();
  for (uint64_t number = 2; number < 8; ++number) {
    const int before = fs_.begun;
    maker->MakeAhead(1, /*pages=*/true);
    WaitUntilBegun(before);
    ASSERT_EQ(Must(maker->Next(number - 1, kSegmentBytes))->number(), number);
    EXPECT_EQ(fs_.begun, before + 1);
  }
}

TEST_F(SegmentMakerTest, ALongerSegmentTakesThePlaceOfThoseMadeBeforehand) {
  auto maker = MakerAfterTheFirst();
  maker->MakeAhead(2, /*pages=*/true);
  WaitForFiles(3);
  auto longer = Must(maker->Next(1, 3 * kSegmentBytes));
  EXPECT_EQ(longer->number(), 2);
  EXPECT_EQ(longer->capacity(), 3 * kSegmentBytes);
  EXPECT_EQ(Must(maker->Next(2, kSegmentBytes))->number(), 3);
  EXPECT_EQ(HeaderOf(3).predecessor, 2);
  EXPECT_EQ(Files().size(), 4) << "1, 2, 3 and one spare: the other became 3";
}

TEST_F(SegmentMakerTest, AnErrorBeforehandIsToldOnlyIfItStays) {
  auto maker = MakerAfterTheFirst();
  fs_.FailNth(FileOp::kCreate, 1, EIO, /*sticky=*/true);
  const int before = fs_.begun;
  maker->MakeAhead(1, /*pages=*/true);
  WaitUntilBegun(before);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_EQ(fs_.begun, before + 1) << "it is not tried again and again";
  const auto failed = maker->Next(1, kSegmentBytes);
  ASSERT_FALSE(failed.ok());
  EXPECT_THAT(failed.status().message(), HasSubstr(LogSegmentPath(kDirectory, 2)));
  fs_.ClearFaults();
  EXPECT_EQ(Must(maker->Next(1, kSegmentBytes))->number(), 2);
}

TEST_F(SegmentMakerTest, ASegmentThatFailedAndCouldNotBeRemovedIsNoObstacleLater) {
  auto maker = MakerAfterTheFirst();
  fs_.FailNth(FileOp::kWrite, 1, ENOSPC);
  fs_.FailNth(FileOp::kRemove, 1, ENOSPC);
  EXPECT_EQ(ErrnoOf(maker->Next(1, kSegmentBytes).status()), ENOSPC);
  EXPECT_EQ(Must(maker->Next(1, kSegmentBytes))->number(), 2);
}

TEST_F(SegmentMakerTest, WhatIsMadeBeforehandAfterAFailureHasTheNumberThatWasNotGiven) {
  for (const int64_t capacity : {kSegmentBytes, 3 * kSegmentBytes}) {
    auto maker = MakerAfterTheFirst();
    fs_.FailNth(FileOp::kCreate, 1, ENOSPC);
    ASSERT_FALSE(maker->Next(1, capacity).ok());
    maker->MakeAhead(1, /*pages=*/true);
    WaitUntilReady(*maker);
    EXPECT_EQ(Must(maker->Next(1, kSegmentBytes))->number(), 2);
    EXPECT_EQ(HeaderOf(2).predecessor, 1);
    maker->MakeAhead(1, /*pages=*/true);
    WaitUntilReady(*maker);
    EXPECT_EQ(Must(maker->Next(2, kSegmentBytes))->number(), 3);
    EXPECT_THAT(Files(), testing::SizeIs(3));
    for (const std::string& name : Files()) {
      ASSERT_TRUE(fs_.Remove(LogDirectory(kDirectory) + "/" + name).ok());
    }
  }
}

TEST_F(SegmentMakerTest, ASegmentThatCannotBeTakenBackIsGivenLater) {
  auto maker = MakerAfterTheFirst();
  maker->MakeAhead(1, /*pages=*/true);
  WaitUntilReady(*maker);
  fs_.FailNth(FileOp::kRename, 1, ENOSPC);
  ASSERT_FALSE(maker->TakeSpares().ok());
  auto segment = Must(maker->Next(1, kSegmentBytes));
  LogRecordHeader record;
  record.first_sequence = record.count = 1;
  EXPECT_TRUE(segment->Append(record, {}, WriteVia::kSystemCall).ok());
}

TEST_F(SegmentMakerTest, SparesAreUsedAgainAndNoMoreAreKeptThanMatter) {
  SegmentMaker of_large(&fs_, kDirectory, uuid_, int64_t{64} << 20);
  EXPECT_FALSE(of_large.SparePath(2).empty());
  EXPECT_TRUE(of_large.SparePath(3).empty()) << "four of 64 MiB";
  auto maker = NewMaker();
  auto first = Must(maker->First(1));
  ASSERT_TRUE(first->Close().ok());
  const std::string spare = maker->SparePath(0);
  ASSERT_TRUE(fs_.Rename(LogSegmentPath(kDirectory, 1), spare).ok());
  maker->AddSpare(spare);
  EXPECT_EQ(Must(maker->Next(1, kSegmentBytes))->number(), 2);
  EXPECT_EQ(Files().size(), 1);
  EXPECT_EQ(HeaderOf(2).predecessor, 1);
}

TEST_F(SegmentMakerTest, SparesAndSegmentsMadeBeforehandCanBeGivenUp) {
  auto maker = MakerAfterTheFirst();
  EXPECT_FALSE(maker->HasSpares());
  maker->MakeAhead(2, /*pages=*/true);
  WaitForFiles(3);
  WaitUntilReady(*maker);
  EXPECT_TRUE(maker->HasSpares());
  const auto paths = Must(maker->TakeSpares());
  EXPECT_EQ(paths.size(), 2);
  EXPECT_FALSE(maker->HasSpares());
  for (const std::string& path : paths) EXPECT_TRUE(fs_.Remove(path).ok()) << path;
  EXPECT_EQ(Must(maker->Next(1, kSegmentBytes))->number(), 2);
  EXPECT_EQ(HeaderOf(2).predecessor, 1);
  EXPECT_EQ(Files().size(), 2);
}

TEST_F(SegmentMakerTest, SparesThatSomebodyClearedAwayAreNotMissed) {
  auto maker = MakerAfterTheFirst();
  maker->AddSpare(maker->SparePath(0));  // the path of no file
  EXPECT_EQ(Must(maker->Next(1, kSegmentBytes))->number(), 2);
  EXPECT_EQ(HeaderOf(2).predecessor, 1);
  maker->AddSpare(maker->SparePath(0));
  EXPECT_TRUE(maker->Close(/*remove=*/true).ok());
}

TEST_F(SegmentMakerTest, ClosingRemovesWhatWasNotUsed) {
  auto maker = MakerAfterTheFirst();
  maker->MakeAhead(2, /*pages=*/true);
  WaitForFiles(3);
  EXPECT_TRUE(maker->Close(/*remove=*/true).ok());
  EXPECT_EQ(Files().size(), 1);
  maker->MakeAhead(2, /*pages=*/true);  // after the end: nothing
  EXPECT_EQ(Files().size(), 1);
}

}  // namespace
}  // namespace marble

// What every FileSystem promises, run on the operating system's and on the one in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <marble/error.h>
#include <marble/file_system.h>

#include "io/memory_file_system.h"
#include "io/posix_file_system.h"
#include "unit/io/io_test_support.h"

namespace marble {
namespace {

using ::testing::HasSubstr;

enum class Kind { kPosix, kMemory };

class FileSystemContract : public ::testing::TestWithParam<Kind> {
 protected:
  FileSystemContract() {
    if (GetParam() == Kind::kPosix) {
      fs_ = std::make_unique<PosixFileSystem>(2);  // few descriptors, so that they are reopened
      root_ = directory_.path();
    } else {
      fs_ = std::make_unique<MemoryFileSystem>();
      root_ = "/root";
      EXPECT_TRUE(fs_->CreateDirectory(root_).ok());
    }
  }
  std::string Path(const std::string& name) const { return root_ + "/" + name; }

  TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> fs_;
  std::string root_;
};

TEST_P(FileSystemContract, AppendedBytesAreRead) {
  const std::string small = "first ";
  const std::string large = Pattern(300000);
  auto file = Must(fs_->CreateWritable(Path("a")));
  ASSERT_STATUS_OK(file->Append(small));
  ASSERT_STATUS_OK(file->Append(""));
  ASSERT_STATUS_OK(file->Append(large));
  ASSERT_STATUS_OK(file->Append(small));
  ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(file->Append(small));
  ASSERT_STATUS_OK(file->Close());
  EXPECT_EQ(ReadFile(fs_.get(), Path("a")), small + large + small + small);
}

TEST_P(FileSystemContract, ManySmallAppendsKeepTheirOrder) {
  auto file = Must(fs_->CreateWritable(Path("a")));
  std::string expected;
  for (int i = 0; i < 20000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    ASSERT_STATUS_OK(file->Append(piece));
    expected += piece;
  }
  ASSERT_STATUS_OK(file->Close());
  EXPECT_EQ(ReadFile(fs_.get(), Path("a")), expected);
}

TEST_P(FileSystemContract, CreateRefusesAnExistingFile) {
  WriteFile(fs_.get(), Path("a"), "old");
  EXPECT_EQ(ErrnoOf(fs_->CreateWritable(Path("a")).status()), EEXIST);
  EXPECT_EQ(ErrnoOf(fs_->CreateSegment(Path("a"), 4096).status()), EEXIST);
  EXPECT_EQ(ReadFile(fs_.get(), Path("a")), "old");
}

TEST_P(FileSystemContract, OpenAppendGoesOnAtTheEnd) {
  WriteFile(fs_.get(), Path("a"), "one,");
  auto file = Must(fs_->OpenAppend(Path("a")));
  ASSERT_STATUS_OK(file->Append("two"));
  ASSERT_STATUS_OK(file->Sync());
  ASSERT_STATUS_OK(file->Close());
  EXPECT_EQ(ReadFile(fs_.get(), Path("a")), "one,two");
}

TEST_P(FileSystemContract, AFileThatIsAbsentGivesEnoentAndItsPath) {
  const arrow::Status statuses[] = {fs_->OpenReadable(Path("none")).status(),
                                    fs_->OpenAppend(Path("none")).status(),
                                    fs_->OpenSegment(Path("none")).status(),
                                    fs_->FileSize(Path("none")).status(),
                                    fs_->Remove(Path("none")),
                                    fs_->Rename(Path("none"), Path("b")),
                                    fs_->List(Path("none")).status(),
                                    fs_->SyncDirectory(Path("none")),
                                    fs_->Identity(Path("none")).status()};
  for (const arrow::Status& status : statuses) {
    EXPECT_TRUE(status.IsIOError());
    EXPECT_EQ(ErrnoOf(status), ENOENT);
    EXPECT_THAT(status.message(), HasSubstr(Path("none")));
    EXPECT_THAT(status.message(), HasSubstr("No such file"));
  }
  EXPECT_FALSE(Must(fs_->Exists(Path("none"))));
  EXPECT_FALSE(Must(fs_->Exists(Path("none/deeper"))));
}

TEST_P(FileSystemContract, APathWithAZeroByteIsRefused) {
  const std::string path = Path(std::string("a\0b", 3));
  EXPECT_TRUE(fs_->CreateWritable(path).status().IsInvalid());
  EXPECT_TRUE(fs_->CreateDirectory(path).IsInvalid());
  EXPECT_TRUE(fs_->Exists(path).status().IsInvalid());
  EXPECT_TRUE(Must(fs_->List(root_)).empty());
}

TEST_P(FileSystemContract, ADirectoryIsNoFile) {
  ASSERT_STATUS_OK(fs_->CreateDirectory(Path("d")));
  EXPECT_FALSE(fs_->OpenReadable(Path("d")).ok());
  EXPECT_FALSE(fs_->OpenAppend(Path("d")).ok());
  EXPECT_FALSE(fs_->FileSize(Path("d")).ok());
}

TEST_P(FileSystemContract, ReadsBeyondTheFileAreIOErrors) {
  WriteFile(fs_.get(), Path("a"), "0123456789");
  auto file = Must(fs_->OpenReadable(Path("a")));
  EXPECT_EQ(Must(file->Read(3, 4))->ToString(), "3456");
  EXPECT_EQ(Must(file->Read(10, 0))->size(), 0);
  EXPECT_TRUE(file->Read(3, 8).status().IsIOError());
  EXPECT_TRUE(file->Read(11, 0).status().IsIOError());
  EXPECT_TRUE(file->Read(0, INT64_MAX).status().IsIOError());
  EXPECT_TRUE(file->Read(INT64_MAX, INT64_MAX).status().IsIOError());
  EXPECT_TRUE(file->Read(-1, 1).status().IsInvalid());
  EXPECT_TRUE(file->Read(0, -1).status().IsInvalid());
}

TEST_P(FileSystemContract, ReadIntoFillsTheCallersMemory) {
  WriteFile(fs_.get(), Path("a"), "0123456789");
  auto file = Must(fs_->OpenReadable(Path("a")));
  char out[6] = "-----";
  ASSERT_STATUS_OK(file->ReadInto(7, 3, out));
  EXPECT_STREQ(out, "789--");
}

TEST_P(FileSystemContract, AMappingOutlivesTheFileAndItsName) {
  const std::string content = Pattern(10000);
  WriteFile(fs_.get(), Path("a"), content);
  auto file = Must(fs_->OpenReadable(Path("a")));
  const auto buffer = Must(file->Map());
  ASSERT_NE(buffer, nullptr);
  file.reset();
  ASSERT_STATUS_OK(fs_->Remove(Path("a")));
  EXPECT_EQ(buffer->ToString(), content);
  EXPECT_FALSE(buffer->is_mutable());
}

TEST_P(FileSystemContract, AnEmptyFileMapsToAnEmptyBuffer) {
  WriteFile(fs_.get(), Path("a"), "");
  auto file = Must(fs_->OpenReadable(Path("a")));
  const auto buffer = Must(file->Map());
  ASSERT_NE(buffer, nullptr);
  EXPECT_EQ(buffer->size(), 0);
}

TEST_P(FileSystemContract, RenameReplacesItsTarget) {
  WriteFile(fs_.get(), Path("new"), "new");
  WriteFile(fs_.get(), Path("old"), "old");
  ASSERT_STATUS_OK(fs_->Rename(Path("new"), Path("old")));
  EXPECT_FALSE(Must(fs_->Exists(Path("new"))));
  EXPECT_EQ(ReadFile(fs_.get(), Path("old")), "new");
}

TEST_P(FileSystemContract, ListGivesNamesSizesAndKindsInOrder) {
  WriteFile(fs_.get(), Path("b"), "12345");
  WriteFile(fs_.get(), Path("a"), "");
  ASSERT_STATUS_OK(fs_->CreateDirectory(Path("c")));
  const auto entries = Must(fs_->List(root_));
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[0].size, 0);
  EXPECT_EQ(entries[1].name, "b");
  EXPECT_EQ(entries[1].size, 5);
  EXPECT_FALSE(entries[1].is_directory);
  EXPECT_EQ(entries[2].name, "c");
  EXPECT_TRUE(entries[2].is_directory);
  EXPECT_EQ(entries[2].size, 0);
}

TEST_P(FileSystemContract, CreateDirectoryAcceptsAnExistingOneButNoFile) {
  ASSERT_STATUS_OK(fs_->CreateDirectory(Path("d")));
  ASSERT_STATUS_OK(fs_->CreateDirectory(Path("d")));
  EXPECT_EQ(ErrnoOf(fs_->CreateDirectory(Path("x/y"))), ENOENT);
  WriteFile(fs_.get(), Path("f"), "");
  EXPECT_EQ(ErrnoOf(fs_->CreateDirectory(Path("f"))), ENOTDIR);
}

TEST_P(FileSystemContract, RemoveTakesFilesAndEmptyDirectoriesOnly) {
  ASSERT_STATUS_OK(fs_->CreateDirectory(Path("d")));
  WriteFile(fs_.get(), Path("d/f"), "");
  EXPECT_EQ(ErrnoOf(fs_->Remove(Path("d"))), ENOTEMPTY);
  ASSERT_STATUS_OK(fs_->Remove(Path("d/f")));
  ASSERT_STATUS_OK(fs_->Remove(Path("d")));
  EXPECT_FALSE(Must(fs_->Exists(Path("d"))));
}

TEST_P(FileSystemContract, ANewSegmentIsZeroAndHasItsWholeSize) {
  auto segment = Must(fs_->CreateSegment(Path("s"), 100000));
  EXPECT_EQ(segment->capacity(), 100000);
  EXPECT_EQ(ReadFile(fs_.get(), Path("s")), std::string(100000, '\0'));
  EXPECT_TRUE(fs_->CreateSegment(Path("none"), 0).status().IsInvalid());
  EXPECT_TRUE(fs_->CreateSegment(Path("none"), -1).status().IsInvalid());
  EXPECT_FALSE(Must(fs_->Exists(Path("none"))));
}

TEST_P(FileSystemContract, BothWaysOfWritingASegmentMeetInOneFile) {
  constexpr int64_t kCapacity = (5 << 20) + 123;  // several populated windows, the last one partial
  std::string expected(kCapacity, '\0');
  auto segment = Must(fs_->CreateSegment(Path("s"), kCapacity));
  int64_t offset = 0;
  for (int i = 0; offset < kCapacity; ++i) {
    const auto left = static_cast<size_t>(kCapacity - offset);
    const std::string bytes = Pattern(std::min<size_t>(left, 1000 + 977 * (i % 700)), i);
    const size_t half = bytes.size() / 2;
    const std::string_view parts[] = {std::string_view(bytes).substr(0, half), "",
                                      std::string_view(bytes).substr(half)};
    const WriteVia via = i % 3 == 2 ? WriteVia::kSystemCall : WriteVia::kMapping;
    ASSERT_STATUS_OK(segment->Write(offset, parts, via));
    expected.replace(static_cast<size_t>(offset), bytes.size(), bytes);
    offset += static_cast<int64_t>(bytes.size());
  }
  const std::string_view again = "written again";
  ASSERT_STATUS_OK(segment->Write(77, {&again, 1}, WriteVia::kMapping));
  expected.replace(77, again.size(), again);
  ASSERT_STATUS_OK(segment->Sync());
  ASSERT_STATUS_OK(segment->Sync());
  ASSERT_STATUS_OK(segment->Close());
  EXPECT_EQ(ReadFile(fs_.get(), Path("s")), expected);
}

TEST_P(FileSystemContract, AWriteBeyondTheCapacityIsInvalidAndWritesNothing) {
  auto segment = Must(fs_->CreateSegment(Path("s"), 1000));
  const std::string_view parts[] = {"aaaa", "bbbb"};
  for (const WriteVia via : {WriteVia::kMapping, WriteVia::kSystemCall}) {
    EXPECT_TRUE(segment->Write(993, parts, via).IsInvalid());
    EXPECT_TRUE(segment->Write(-1, parts, via).IsInvalid());
    EXPECT_TRUE(segment->Write(1001, {}, via).IsInvalid());
    EXPECT_TRUE(segment->Write(INT64_MAX, parts, via).IsInvalid());
    EXPECT_TRUE(segment->Write(1000, {}, via).ok());
  }
  EXPECT_EQ(ReadFile(fs_.get(), Path("s")), std::string(1000, '\0'));
  EXPECT_TRUE(segment->Write(992, parts, WriteVia::kMapping).ok());
}

TEST_P(FileSystemContract, ARecycledSegmentKeepsItsOldBytes) {
  {
    auto segment = Must(fs_->CreateSegment(Path("s"), 5000));
    const std::string_view bytes = "old bytes";
    ASSERT_STATUS_OK(segment->Write(100, {&bytes, 1}, WriteVia::kMapping));
    ASSERT_STATUS_OK(segment->Close());
  }
  ASSERT_STATUS_OK(fs_->Rename(Path("s"), Path("t")));
  auto segment = Must(fs_->OpenSegment(Path("t")));
  EXPECT_EQ(segment->capacity(), 5000);
  const std::string_view bytes = "new";
  ASSERT_STATUS_OK(segment->Write(100, {&bytes, 1}, WriteVia::kMapping));
  EXPECT_EQ(ReadFile(fs_.get(), Path("t")).substr(100, 9), "new bytes");
}

TEST_P(FileSystemContract, ASegmentMayBeSyncedBesideItsWriter) {
  auto segment = Must(fs_->CreateSegment(Path("s"), 4 << 20));
  std::thread syncer([&] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(segment->Sync().ok());
  });
  const std::string bytes = Pattern(1000);
  const std::string_view part = bytes;
  for (int64_t i = 0; i < 4000; ++i) {
    const WriteVia via = i % 50 == 0 ? WriteVia::kSystemCall : WriteVia::kMapping;
    EXPECT_TRUE(segment->Write(i * 1000, {&part, 1}, via).ok());
  }
  syncer.join();
  const std::string content = ReadFile(fs_.get(), Path("s"));
  for (size_t i = 0; i < 4000; ++i) ASSERT_EQ(content.compare(i * 1000, 1000, bytes), 0);
}

TEST_P(FileSystemContract, ClosedFilesSaySo) {
  auto file = Must(fs_->CreateWritable(Path("a")));
  ASSERT_STATUS_OK(file->Close());
  ASSERT_STATUS_OK(file->Close());
  EXPECT_TRUE(IsClosed(file->Append("x")));
  EXPECT_TRUE(IsClosed(file->Sync()));
  auto segment = Must(fs_->CreateSegment(Path("s"), 4096));
  ASSERT_STATUS_OK(segment->Close());
  ASSERT_STATUS_OK(segment->Close());
  const std::string_view bytes = "x";
  EXPECT_TRUE(IsClosed(segment->Write(0, {&bytes, 1}, WriteVia::kMapping)));
  EXPECT_TRUE(IsClosed(segment->Sync()));
}

TEST_P(FileSystemContract, ALockIsRefusedWhileHeldAndNamesItsOwner) {
  auto lock = Must(fs_->Lock(Path("LOCK")));
  const arrow::Status refused = fs_->Lock(Path("LOCK")).status();
  EXPECT_TRUE(IsLocked(refused)) << refused.ToString();
  EXPECT_THAT(refused.message(), HasSubstr(Path("LOCK")));
  EXPECT_THAT(refused.message(), HasSubstr("process " + std::to_string(::getpid())));
  EXPECT_THAT(refused.message(), HasSubstr("host "));
  lock.reset();
  EXPECT_TRUE(fs_->Lock(Path("LOCK")).ok());
}

TEST_P(FileSystemContract, ALockOfWhoOnlyReadsExcludesOthersAndWritesNothing) {
  EXPECT_EQ(Must(fs_->LockUnchanged(Path("LOCK"))), nullptr);
  EXPECT_FALSE(Must(fs_->Exists(Path("LOCK"))));
  WriteFile(fs_.get(), Path("LOCK"), "17 somebody\n");
  auto lock = Must(fs_->LockUnchanged(Path("LOCK")));
  ASSERT_NE(lock, nullptr);
  EXPECT_TRUE(IsLocked(fs_->Lock(Path("LOCK")).status()));
  EXPECT_TRUE(IsLocked(fs_->LockUnchanged(Path("LOCK")).status()));
  EXPECT_EQ(Must(fs_->FileSize(Path("LOCK"))), 12);
  lock.reset();
  lock = Must(fs_->Lock(Path("LOCK")));
  EXPECT_TRUE(IsLocked(fs_->LockUnchanged(Path("LOCK")).status()));
}

TEST_P(FileSystemContract, IdentityNamesADirectoryWhateverItsPath) {
  ASSERT_STATUS_OK(fs_->CreateDirectory(Path("d")));
  ASSERT_STATUS_OK(fs_->CreateDirectory(Path("e")));
  const std::string identity = Must(fs_->Identity(Path("d")));
  EXPECT_EQ(Must(fs_->Identity(Path("./d/"))), identity);
  EXPECT_NE(Must(fs_->Identity(Path("e"))), identity);
  WriteFile(fs_.get(), Path("f"), "");
  EXPECT_EQ(ErrnoOf(fs_->Identity(Path("f")).status()), ENOTDIR);
}

TEST_P(FileSystemContract, ReadersOnManyThreadsSeeTheirOwnFiles) {
  std::vector<std::shared_ptr<ReadableFile>> files;
  for (int i = 0; i < 8; ++i) {
    WriteFile(fs_.get(), Path(std::to_string(i)), Pattern(5000, i));
    files.push_back(Must(fs_->OpenReadable(Path(std::to_string(i)))));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 300; ++round) {
        const int i = (round * 5 + t) % 8;
        const auto buffer = files[i]->Read(100, 4000);
        ASSERT_TRUE(buffer.ok()) << buffer.status().ToString();
        ASSERT_EQ((*buffer)->ToString(), Pattern(5000, i).substr(100, 4000));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

INSTANTIATE_TEST_SUITE_P(Both, FileSystemContract, ::testing::Values(Kind::kPosix, Kind::kMemory),
                         [](const auto& info) {
                           return info.param == Kind::kPosix ? "Posix" : "Memory";
                         });

}  // namespace
}  // namespace marble

// What only the operating system's file system can show: permissions, links, processes,
// descriptors.
#include "io/posix_file_system.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <marble/error.h>

#include "io/posix_segment_file.h"
#include "unit/io/io_test_support.h"

namespace marble {
namespace {

using ::testing::HasSubstr;

class PosixFileSystemTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }

  TemporaryDirectory directory_;
  PosixFileSystem fs_;
};

/// Sets a limit and puts the old one back.
class LimitedResource {
 public:
  LimitedResource(decltype(RLIMIT_NOFILE) resource, rlim_t value) : resource_(resource) {
    EXPECT_EQ(::getrlimit(resource_, &old_), 0);
    const rlimit limit{value, old_.rlim_max};
    EXPECT_EQ(::setrlimit(resource_, &limit), 0);
  }
  ~LimitedResource() { ::setrlimit(resource_, &old_); }

 private:
  const decltype(RLIMIT_NOFILE) resource_;
  rlimit old_;
};

mode_t ModeOf(const std::string& path) {
  struct stat info;
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 0777;
}

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

/// Runs `child` in a forked process and returns its exit status.
template <typename Child>
int InChild(Child child) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(child());
  int status = -1;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class PermissionTest : public PosixFileSystemTest, public ::testing::WithParamInterface<mode_t> {};

TEST_P(PermissionTest, FilesAndDirectoriesAreTheOwnersAloneUnderAnyUmask) {
  const mode_t old = ::umask(GetParam());
  EXPECT_TRUE(fs_.CreateWritable(Path("file")).ok());
  EXPECT_TRUE(fs_.CreateSegment(Path("segment"), 4096).ok());
  EXPECT_TRUE(fs_.Lock(Path("LOCK")).ok());
  EXPECT_TRUE(fs_.CreateDirectory(Path("directory")).ok());
  ::umask(old);
  EXPECT_EQ(ModeOf(Path("file")), 0600u);
  EXPECT_EQ(ModeOf(Path("segment")), 0600u);
  EXPECT_EQ(ModeOf(Path("LOCK")), 0600u);
  EXPECT_EQ(ModeOf(Path("directory")), 0700u);
}

INSTANTIATE_TEST_SUITE_P(Umasks, PermissionTest, ::testing::Values(0, 022, 0777));

TEST_F(PosixFileSystemTest, ASymbolicLinkInTheFilesPlaceIsRefused) {
  WriteFile(&fs_, Path("target"), "target");
  ASSERT_EQ(::symlink(Path("target").c_str(), Path("link").c_str()), 0);
  EXPECT_EQ(ErrnoOf(fs_.OpenReadable(Path("link")).status()), ELOOP);
  EXPECT_EQ(ErrnoOf(fs_.OpenAppend(Path("link")).status()), ELOOP);
  EXPECT_EQ(ErrnoOf(fs_.OpenSegment(Path("link")).status()), ELOOP);
  EXPECT_EQ(ErrnoOf(fs_.CreateWritable(Path("link")).status()), EEXIST);
  EXPECT_EQ(ErrnoOf(fs_.Lock(Path("link")).status()), ELOOP);
  EXPECT_EQ(ReadFile(&fs_, Path("target")), "target");
}

TEST_F(PosixFileSystemTest, APipeInTheFilesPlaceIsRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_FALSE(fs_.OpenReadable(Path("pipe")).ok());
  EXPECT_FALSE(fs_.OpenAppend(Path("pipe")).ok());
  EXPECT_FALSE(fs_.OpenSegment(Path("pipe")).ok());
}

TEST_F(PosixFileSystemTest, DescriptorsAreClosedByExec) {
  auto writable = Must(fs_.CreateWritable(Path("a")));
  auto segment = Must(fs_.CreateSegment(Path("b"), 4096));
  auto readable = Must(fs_.OpenReadable(Path("a")));
  auto lock = Must(fs_.Lock(Path("LOCK")));
  int ours = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    char target[4096];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t n = ::readlink(link.c_str(), target, sizeof(target));
    if (n < 0) continue;
    const std::string_view path(target, static_cast<size_t>(n));
    if (path.find(directory_.path()) == std::string_view::npos) continue;
    ++ours;
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << path;
  }
  EXPECT_EQ(ours, 4);
}

TEST_F(PosixFileSystemTest, TwoThousandFilesFitIn256Descriptors) {
  constexpr int kFiles = 2000;
  LimitedResource limit(RLIMIT_NOFILE, 256);
  std::vector<std::shared_ptr<ReadableFile>> files;
  std::vector<std::shared_ptr<arrow::Buffer>> mappings;
  for (int i = 0; i < kFiles; ++i) {
    WriteFile(&fs_, Path(std::to_string(i)), "file " + std::to_string(i), /*sync=*/false);
    files.push_back(Must(fs_.OpenReadable(Path(std::to_string(i)))));
    mappings.push_back(Must(files.back()->Map()));
  }
  for (int i = 0; i < kFiles; ++i) {
    ASSERT_EQ(Must(files[i]->Read(5, files[i]->size() - 5))->ToString(), std::to_string(i));
    ASSERT_EQ(mappings[i]->ToString(), "file " + std::to_string(i));
  }
}

TEST_F(PosixFileSystemTest, CachedDescriptorsMakeRoomForOthers) {
  for (int i = 0; i < 40; ++i) WriteFile(&fs_, Path(std::to_string(i)), std::to_string(i));
  std::vector<std::shared_ptr<ReadableFile>> files;
  for (int i = 0; i < 40; ++i) files.push_back(Must(fs_.OpenReadable(Path(std::to_string(i)))));
  // No descriptor is left, but the 40 ones are only cached.
  LimitedResource limit(RLIMIT_NOFILE, OpenDescriptors() - 1);
  EXPECT_TRUE(fs_.CreateWritable(Path("new")).ok());
  EXPECT_TRUE(fs_.List(directory_.path()).ok());
  EXPECT_TRUE(fs_.SyncDirectory(directory_.path()).ok());
  EXPECT_EQ(Must(files[7]->Read(0, 1))->ToString(), "7");
}

TEST_F(PosixFileSystemTest, RunningOutOfDescriptorsIsATellableError) {
  WriteFile(&fs_, Path("a"), "a");
  arrow::Status read;
  arrow::Status created;
  {
    LimitedResource limit(RLIMIT_NOFILE, 3);
    read = fs_.OpenReadable(Path("a")).status();
    created = fs_.CreateWritable(Path("b")).status();
  }
  EXPECT_EQ(ErrnoOf(read), EMFILE);
  EXPECT_EQ(ErrnoOf(created), EMFILE);
  EXPECT_TRUE(fs_.OpenReadable(Path("a")).ok());
}

TEST_F(PosixFileSystemTest, ADirectoryIsSyncedWithoutAFreeDescriptor) {
  LimitedResource limit(RLIMIT_NOFILE, 64);
  std::vector<UniqueFd> held;
  do {
    held.emplace_back(::open("/", O_PATH | O_CLOEXEC));
  } while (held.back().is_open());
  EXPECT_EQ(ErrnoOf(fs_.CreateWritable(Path("b")).status()), EMFILE);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(fs_.SyncDirectory(directory_.path()).ok());
  EXPECT_FALSE(fs_.SyncDirectory(Path("none")).ok());
}

TEST_F(PosixFileSystemTest, AForgottenFileLeavesNoDescriptor) {
  WriteFile(&fs_, Path("a"), "a");
  const size_t before = OpenDescriptors();
  auto file = Must(fs_.OpenReadable(Path("a")));
  EXPECT_EQ(OpenDescriptors(), before + 1);
  file.reset();
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(PosixFileSystemTest, AnotherFileInThePlaceOfTheOneOpenedIsNotRead) {
  PosixFileSystem fs(1);
  WriteFile(&fs, Path("a"), "first");
  WriteFile(&fs, Path("b"), "other");
  auto file = Must(fs.OpenReadable(Path("a")));
  auto evicts = Must(fs.OpenReadable(Path("b")));
  ASSERT_STATUS_OK(fs.Rename(Path("b"), Path("a")));
  const arrow::Status status = file->Read(0, 5).status();
  EXPECT_TRUE(status.IsIOError());
  EXPECT_THAT(status.message(), HasSubstr("another file"));
}

TEST_F(PosixFileSystemTest, AFileCutShortIsNotMapped) {
  WriteFile(&fs_, Path("a"), Pattern(10000));
  auto file = Must(fs_.OpenReadable(Path("a")));
  ASSERT_EQ(::truncate(Path("a").c_str(), 100), 0);
  EXPECT_TRUE(file->Map().status().IsIOError());
  EXPECT_TRUE(file->Read(0, 10000).status().IsIOError());
}

TEST_F(PosixFileSystemTest, ASecondProcessIsRefusedWithTheFirstOnesPid) {
  auto lock = Must(fs_.Lock(Path("LOCK")));
  const std::string expected = "process " + std::to_string(::getpid()) + " on host";
  EXPECT_EQ(InChild([&] {
              const auto second = PosixFileSystem().Lock(Path("LOCK"));
              if (!IsLocked(second.status())) return 1;
              return second.status().message().find(expected) == std::string::npos ? 2 : 0;
            }),
            0);
}

TEST_F(PosixFileSystemTest, ALockEndsWithItsProcess) {
  EXPECT_EQ(InChild([&] {
              auto lock = fs_.Lock(Path("LOCK"));
              return lock.ok() ? (static_cast<void>(lock->release()), 0) : 1;
            }),
            0);
  EXPECT_TRUE(fs_.Lock(Path("LOCK")).ok());
}

TEST_F(PosixFileSystemTest, AForkedChildNeitherKeepsNorReleasesALock) {
  auto lock = Must(fs_.Lock(Path("LOCK")));
  // The child's copy of the lock object goes away: the parent keeps the lock.
  EXPECT_EQ(InChild([&] {
              lock.reset();
              return 0;
            }),
            0);
  EXPECT_TRUE(IsLocked(fs_.Lock(Path("LOCK")).status()));
  // The parent's goes away while a child still has the descriptor: the lock is free.
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    char byte;
    ::close(pipe_ends[1]);
    ::_exit(::read(pipe_ends[0], &byte, 1) == 0 ? 0 : 1);
  }
  lock.reset();
  EXPECT_TRUE(fs_.Lock(Path("LOCK")).ok());
  ::close(pipe_ends[1]);
  int status;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ::close(pipe_ends[0]);
}

TEST_F(PosixFileSystemTest, AnyBytesInALockFileOnlyChangeTheMessage) {
  auto lock = Must(fs_.Lock(Path("LOCK")));
  for (const std::string& owner :
       {std::string(), std::string("x\0\xff 12", 6), std::string(100000, 'a'),
        std::string("12345678901234567890 \x1b[")}) {
    ASSERT_EQ(::truncate(Path("LOCK").c_str(), 0), 0);
    auto file = Must(fs_.OpenAppend(Path("LOCK")));
    ASSERT_STATUS_OK(file->Append(owner));
    ASSERT_STATUS_OK(file->Close());
    const arrow::Status refused = fs_.Lock(Path("LOCK")).status();
    EXPECT_TRUE(IsLocked(refused));
    EXPECT_TRUE(std::all_of(refused.message().begin(), refused.message().end(),
                            [](unsigned char c) { return c >= 0x20 && c < 0x7f; }));
  }
}

TEST_F(PosixFileSystemTest, IdentitySeesThroughALinkToTheDirectory) {
  ASSERT_STATUS_OK(fs_.CreateDirectory(Path("d")));
  ASSERT_EQ(::symlink(Path("d").c_str(), Path("link").c_str()), 0);
  EXPECT_EQ(Must(fs_.Identity(Path("link"))), Must(fs_.Identity(Path("d"))));
  EXPECT_TRUE(fs_.CreateDirectory(Path("link")).ok());
}

TEST_F(PosixFileSystemTest, ASegmentsRoomIsReservedAndReservedAgainWhenSparse) {
  constexpr int64_t kCapacity = 1 << 20;
  const auto allocated = [&](const std::string& name) {
    struct stat info;
    EXPECT_EQ(::stat(Path(name).c_str(), &info), 0);
    return static_cast<int64_t>(info.st_blocks) * 512;
  };
  {
    auto segment = Must(fs_.CreateSegment(Path("s"), kCapacity));
  }
  EXPECT_GE(allocated("s"), kCapacity);
  WriteFile(&fs_, Path("sparse"), "kept");
  ASSERT_EQ(::truncate(Path("sparse").c_str(), kCapacity), 0);
  ASSERT_LT(allocated("sparse"), kCapacity);
  {
    auto segment = Must(fs_.OpenSegment(Path("sparse")));
  }
  EXPECT_GE(allocated("sparse"), kCapacity);
  EXPECT_EQ(ReadFile(&fs_, Path("sparse")).substr(0, 5), std::string("kept\0", 5));
}

TEST_F(PosixFileSystemTest, ASegmentThatCannotBeReservedIsNotLeftBehind) {
  // More than any file system here can hold in one file or in all.
  const arrow::Status status = fs_.CreateSegment(Path("s"), int64_t{1} << 60).status();
  EXPECT_TRUE(status.IsIOError());
  EXPECT_TRUE(ErrnoOf(status) == EFBIG || ErrnoOf(status) == ENOSPC) << status.ToString();
  EXPECT_FALSE(Must(fs_.Exists(Path("s"))));
}

class SegmentMappingTest : public PosixFileSystemTest,
                           public ::testing::WithParamInterface<PosixSegmentFile::Mapping> {};

TEST_P(SegmentMappingTest, MappedWritesOfAKilledProcessAreThere) {
  constexpr int64_t kCapacity = 3 << 20;
  const std::string content = Pattern(kCapacity);
  EXPECT_EQ(InChild([&]() -> int {
              auto fd = CreateFile(Path("s"), O_RDWR);
              if (!fd.ok()) return 1;
              auto segment = PosixSegmentFile::Create(std::move(*fd), Path("s"), kCapacity);
              if (!segment.ok()) return 2;
              if ((*segment)->mapping() == PosixSegmentFile::Mapping::kPopulate) {
                (*segment)->set_mapping(GetParam());
              }
              for (int64_t at = 0; at < kCapacity; at += 1024) {
                const auto part = std::string_view(content).substr(at, 1024);
                if (!(*segment)->Write(at, {&part, 1}, WriteVia::kMapping).ok()) return 3;
              }
              ::_exit(0);  // nothing is synced, closed or unmapped
            }),
            0);
  EXPECT_EQ(ReadFile(&fs_, Path("s")), content);
}

INSTANTIATE_TEST_SUITE_P(Ways, SegmentMappingTest,
                         ::testing::Values(PosixSegmentFile::Mapping::kPopulate,
                                           PosixSegmentFile::Mapping::kTouch,
                                           PosixSegmentFile::Mapping::kNone));

/// Gives this process a mount table of its own with a file system of 4 MiB at `root`; false where
/// that is not allowed.
bool MountSmall(const std::string& root) {
  const std::string uid_map = "0 " + std::to_string(::getuid()) + " 1";
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    UniqueFd fd(::open("/proc/self/uid_map", O_WRONLY));
    const auto size = static_cast<ssize_t>(uid_map.size());
    if (::write(fd.get(), uid_map.data(), uid_map.size()) != size) return false;
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", root.c_str(), "tmpfs", 0, "size=4m,mode=0700") == 0;
}

/// What runs there; the claim that failed, or nullptr.
const char* RunFull(const std::string& root) {
  constexpr int64_t kCapacity = 2 << 20;
  PosixFileSystem fs;
  const auto is_full = [](const arrow::Status& status) { return ErrnoOf(status) == ENOSPC; };
  auto segment = fs.CreateSegment(root + "/s", kCapacity);
  if (!segment.ok()) return "a segment fits";
  const arrow::Status second = fs.CreateSegment(root + "/t", 2 * kCapacity).status();
  if (!is_full(second)) return "a second one does not";
  if (fs.Exists(root + "/t").ValueOr(true)) return "the second one leaves no file";
  // Take the segment's reserved room behind its back, and fill the device.
  const UniqueFd fd(::open((root + "/s").c_str(), O_RDWR));
  const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(fd.get(), punch, 0, kCapacity) != 0) return "a hole can be made";
  auto filler = fs.CreateWritable(root + "/f");
  if (!filler.ok()) return "a file can be created";
  const std::string bytes(64 << 10, 'x');
  arrow::Status status;
  while (status.ok()) status = (*filler)->Append(bytes);
  if (!is_full(status)) return "appending runs full";
  if (!is_full((*filler)->Append("x"))) return "the file refuses more after a partial write";
  const std::string_view part = bytes;
  const auto write = [&](WriteVia via) { return (*segment)->Write(1 << 20, {&part, 1}, via); };
  // A signal would end this process.
  if (!is_full(write(WriteVia::kMapping))) return "a mapped write runs full";
  if (!is_full(write(WriteVia::kSystemCall))) return "a system call runs full";
  if (!fs.Remove(root + "/f").ok()) return "the file can be removed";
  filler->reset();
  if (!write(WriteVia::kMapping).ok()) return "with room again the write succeeds";
  return nullptr;
}

/// Locks a directory whose device has no room for the owner's name; the claim that failed, or
/// nullptr.
const char* LockFull(const std::string& root) {
  PosixFileSystem fs;
  if (!fs.CreateWritable(root + "/LOCK").ok()) return "a lock file without a block is there";
  auto filler = fs.CreateWritable(root + "/f");
  if (!filler.ok()) return "a file can be created";
  const std::string page(4096, 'x');
  arrow::Status status;
  while (status.ok()) status = (*filler)->Append(page);
  if (ErrnoOf(status) != ENOSPC) return "appending runs full";
  auto lock = fs.Lock(root + "/LOCK");
  if (!lock.ok()) return "the directory can be locked";
  if (!IsLocked(fs.Lock(root + "/LOCK").status())) return "others are refused";
  return nullptr;
}

/// Runs claims on a small device at `root`. Where nothing may be mounted none is made.
void ExpectOnSmallDevice(const std::string& root, const char* (*claims)(const std::string&)) {
  constexpr int kNotAllowed = 77;
  const int result = InChild([&] {
    if (!MountSmall(root)) return kNotAllowed;
    const char* failed = claims(root);
    if (failed != nullptr) std::fprintf(stderr, "not so: %s\n", failed);
    return failed == nullptr ? 0 : 1;
  });
  if (result != kNotAllowed) EXPECT_EQ(result, 0);
}

// The in-memory file system's test of the same claim runs everywhere.
TEST_F(PosixFileSystemTest, RunningFullIsAStatusAndNeverASignal) {
  ExpectOnSmallDevice(directory_.path(), RunFull);
}

TEST_F(PosixFileSystemTest, AFullDiskCanBeLocked) {
  ExpectOnSmallDevice(directory_.path(), LockFull);
}

TEST_F(PosixFileSystemTest, AFullDeviceIsEnospcWithItsPath) {
  // /dev/full is no regular file, so the descriptor is made here.
  UniqueFd fd(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.is_open());
  const std::string bytes = Pattern(100000);
  const std::string_view part = bytes;
  const arrow::Status status = WriteFully(fd.get(), "/dev/full", 0, {&part, 1});
  EXPECT_TRUE(status.IsIOError());
  EXPECT_EQ(ErrnoOf(status), ENOSPC);
  EXPECT_THAT(status.message(), HasSubstr("/dev/full"));
  EXPECT_THAT(status.message(), HasSubstr("No space left"));
}

// A file system over a network may tell only then that it has no room. Here somebody else has
// closed the descriptor.
TEST_F(PosixFileSystemTest, AnErrorOfCloseIsReported) {
  UniqueFd fd(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(fd.is_open());
  ASSERT_EQ(::close(fd.get()), 0);
  const arrow::Status status = fd.Close("/dev/null");
  EXPECT_EQ(ErrnoOf(status), EBADF);
  EXPECT_THAT(status.message(), HasSubstr("/dev/null"));
}

TEST_F(PosixFileSystemTest, AWriteOfMoreThanIovMaxPartsIsWhole) {
  auto segment = Must(fs_.CreateSegment(Path("s"), 10000));
  const std::string bytes = Pattern(5000);
  std::vector<std::string_view> parts;
  for (size_t i = 0; i < 5000; ++i) parts.push_back(std::string_view(bytes).substr(i, 1));
  ASSERT_STATUS_OK(segment->Write(10, parts, WriteVia::kSystemCall));
  EXPECT_EQ(ReadFile(&fs_, Path("s")).substr(10, 5000), bytes);
}

/// Pages of a mapping that are in memory.
int64_t PagesInMemory(const arrow::Buffer& mapped) {
  const auto page = static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages(static_cast<size_t>((mapped.size() + page - 1) / page));
  void* address = const_cast<uint8_t*>(mapped.data());
  EXPECT_EQ(::mincore(address, static_cast<size_t>(mapped.size()), pages.data()), 0);
  return std::count_if(pages.begin(), pages.end(), [](unsigned char in) { return (in & 1) != 0; });
}

/// A mapped file of 8 MiB whose pages were dropped from memory, where the file system does that.
std::shared_ptr<arrow::Buffer> MapDropped(PosixFileSystem* fs, const std::string& path,
                                          std::shared_ptr<ReadableFile>* file) {
  WriteFile(fs, path, Pattern(8 << 20));
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  *file = Must(fs->OpenReadable(path));
  return Must((*file)->Map());
}

TEST_F(PosixFileSystemTest, WillReadOfFewBytesReadsTheirPageOnly) {
  std::shared_ptr<ReadableFile> file;
  const auto mapped = MapDropped(&fs_, Path("f"), &file);
  if (PagesInMemory(*mapped) > 0) return;  // a file system that lives in memory
  const std::span<const uint8_t> bytes(mapped->data() + (5 << 20) + 100, 16);
  EXPECT_FALSE(file->InMemory(bytes));
  file->WillRead(bytes);
  for (int i = 0; i < 10000 && !file->InMemory(bytes); ++i) ::usleep(1000);
  EXPECT_TRUE(file->InMemory(bytes));
  const volatile uint8_t byte = bytes[0];
  static_cast<void>(byte);
  EXPECT_EQ(PagesInMemory(*mapped), 1);
}

TEST_F(PosixFileSystemTest, WillReadBringsPagesInBeforeTheyAreTouched) {
  std::shared_ptr<ReadableFile> file;
  const auto mapped = MapDropped(&fs_, Path("f"), &file);
  if (PagesInMemory(*mapped) > 0) return;  // a file system that lives in memory
  file->WillRead({mapped->data() + 1000, size_t{3} << 20});
  const int64_t wanted = ((int64_t{3} << 20) + 4096) / ::sysconf(_SC_PAGESIZE);
  for (int i = 0; i < 10000 && PagesInMemory(*mapped) < wanted; ++i) ::usleep(1000);
  EXPECT_GE(PagesInMemory(*mapped), wanted);
  EXPECT_LT(PagesInMemory(*mapped), 2 * wanted);
}

TEST_F(PosixFileSystemTest, TheDefaultFileSystemIsOne) {
  EXPECT_EQ(DefaultFileSystem(), DefaultFileSystem());
  EXPECT_TRUE(Must(DefaultFileSystem()->Exists(directory_.path())));
}

}  // namespace
}  // namespace marble

#include "io/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>

#include "io/posix_file_lock.h"
#include "io/posix_readable_file.h"
#include "io/posix_segment_file.h"
#include "io/posix_util.h"
#include "io/posix_writable_file.h"

namespace marble {

namespace {

constexpr mode_t kDirectoryMode = S_IRWXU;
/// A thread that is not ours may take the descriptor that was let go of; then it is tried again.
constexpr int kReserveAttempts = 20;
constexpr std::chrono::milliseconds kReservePause(5);

/// A descriptor that is good for nothing but being closed; none if there is none.
UniqueFd OpenReserve() { return UniqueFd(::open("/", O_PATH | O_CLOEXEC)); }

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

arrow::Result<struct stat> StatPath(const std::string& path) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return PosixError(errno, "stat", path);
  return info;
}

arrow::Result<struct stat> StatDirectory(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatPath(path));
  if (!S_ISDIR(info.st_mode)) return PosixError(ENOTDIR, "use as a directory", path);
  return info;
}

arrow::Result<UniqueFd> OpenDirectory(const std::string& path) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return PosixError(errno, "open the directory", path);
  return fd;
}

arrow::Result<DirectoryStream> OpenStream(const std::string& path) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  DirectoryStream stream(::opendir(path.c_str()));
  if (stream == nullptr) return PosixError(errno, "list", path);
  return stream;
}

}  // namespace

PosixFileSystem::PosixFileSystem(size_t read_descriptors)
    : descriptors_(std::make_shared<DescriptorCache>(read_descriptors)), reserve_(OpenReserve()) {}

template <typename Open>
auto PosixFileSystem::WithDescriptors(Open open) -> decltype(open()) {
  const std::shared_lock lock(descriptors_->opening());
  auto result = open();
  if (result.ok() || !IsOutOfDescriptors(result.status())) return result;
  descriptors_->Clear();
  return open();
}

arrow::Result<std::shared_ptr<ReadableFile>> PosixFileSystem::OpenReadable(
    const std::string& path) {
  return PosixReadableFile::Open(descriptors_, path);
}

arrow::Result<std::unique_ptr<WritableFile>> PosixFileSystem::CreateWritable(
    const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(UniqueFd fd, WithDescriptors([&] { return CreateFile(path, O_WRONLY); }));
  return std::make_unique<PosixWritableFile>(std::move(fd), path, 0);
}

arrow::Result<std::unique_ptr<WritableFile>> PosixFileSystem::OpenAppend(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(UniqueFd fd, WithDescriptors([&] { return OpenFile(path, O_WRONLY); }));
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDescriptor(fd, path));
  return std::make_unique<PosixWritableFile>(std::move(fd), path, info.st_size);
}

arrow::Result<std::unique_ptr<SegmentFile>> PosixFileSystem::CreateSegment(const std::string& path,
                                                                           int64_t capacity) {
  if (capacity <= 0) return arrow::Status::Invalid(path, ": capacity ", capacity);
  ARROW_ASSIGN_OR_RAISE(UniqueFd fd, WithDescriptors([&] { return CreateFile(path, O_RDWR); }));
  auto file = PosixSegmentFile::Create(std::move(fd), path, capacity);
  if (file.ok()) return std::move(file).ValueUnsafe();
  // Half a reservation would be taken for a whole segment, and holds room that is wanted.
  const arrow::Status removed = Remove(path);
  if (removed.ok()) return file.status();
  return file.status().WithMessage(file.status().message(), "; and ", removed.message());
}

arrow::Result<std::unique_ptr<SegmentFile>> PosixFileSystem::OpenSegment(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(UniqueFd fd, WithDescriptors([&] { return OpenFile(path, O_RDWR); }));
  return PosixSegmentFile::Open(std::move(fd), path);
}

arrow::Result<bool> PosixFileSystem::Exists(const std::string& path) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  struct stat info;
  // A link counts, wherever it leads: its name is taken.
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return PosixError(errno, "stat", path);
}

arrow::Result<int64_t> PosixFileSystem::FileSize(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatPath(path));
  if (!S_ISREG(info.st_mode)) return PosixError(EINVAL, "take the size of a non-file", path);
  return static_cast<int64_t>(info.st_size);
}

arrow::Result<std::vector<DirectoryEntry>> PosixFileSystem::List(const std::string& directory) {
  ARROW_ASSIGN_OR_RAISE(const DirectoryStream stream,
                        WithDescriptors([&] { return OpenStream(directory); }));
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(stream.get());
    if (found == nullptr) {
      if (errno != 0) return PosixError(errno, "list", directory);
      break;
    }
    DirectoryEntry entry{found->d_name};
    if (entry.name == "." || entry.name == "..") continue;
    struct stat info;
    if (::fstatat(::dirfd(stream.get()), found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed in the meantime
      return PosixError(errno, "stat", directory + "/" + entry.name);
    }
    entry.is_directory = S_ISDIR(info.st_mode);
    if (!entry.is_directory) entry.size = info.st_size;
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

arrow::Status PosixFileSystem::CreateDirectory(const std::string& path) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  if (::mkdir(path.c_str(), kDirectoryMode) != 0) {
    if (errno != EEXIST) return PosixError(errno, "create the directory", path);
    return StatDirectory(path).status();
  }
  // A umask can take bits from the mode of mkdir(2), never add any.
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDirectory(path));
  if ((info.st_mode & kPermissionBits) != kDirectoryMode &&
      ::chmod(path.c_str(), kDirectoryMode) != 0) {
    return PosixError(errno, "set the permissions", path);
  }
  return arrow::Status::OK();
}

arrow::Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  ARROW_RETURN_NOT_OK(CheckPath(from));
  ARROW_RETURN_NOT_OK(CheckPath(to));
  if (::rename(from.c_str(), to.c_str()) != 0) return PosixError(errno, "rename to " + to, from);
  return arrow::Status::OK();
}

arrow::Status PosixFileSystem::Remove(const std::string& path) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  if (std::remove(path.c_str()) != 0) return PosixError(errno, "remove", path);
  return arrow::Status::OK();
}

arrow::Status PosixFileSystem::SyncDirectory(const std::string& directory) {
  auto fd = WithDescriptors([&] { return OpenDirectory(directory); });
  if (!fd.ok()) {
    return IsOutOfDescriptors(fd.status()) ? SyncWithReserve(directory) : fd.status();
  }
  ARROW_RETURN_NOT_OK(SyncDescriptor(fd->get(), directory, /*whole=*/true));
  ARROW_RETURN_NOT_OK(fd->Close(directory));
  MutexLock lock(&reserve_mutex_);
  if (!reserve_.is_open()) reserve_ = OpenReserve();
  return arrow::Status::OK();
}

arrow::Result<UniqueFd> PosixFileSystem::OpenInPlaceOfReserve(const std::string& directory) {
  const std::unique_lock alone(descriptors_->opening());
  reserve_ = UniqueFd();
  auto fd = OpenDirectory(directory);
  for (int i = 1; i < kReserveAttempts && !fd.ok() && IsOutOfDescriptors(fd.status()); ++i) {
    std::this_thread::sleep_for(kReservePause);
    fd = OpenDirectory(directory);
  }
  return fd;
}

arrow::Status PosixFileSystem::SyncWithReserve(const std::string& directory) {
  MutexLock lock(&reserve_mutex_);
  auto fd = OpenInPlaceOfReserve(directory);
  ARROW_RETURN_NOT_OK(fd.status());
  const arrow::Status synced = SyncDescriptor(fd->get(), directory, /*whole=*/true);
  // It is the next reserve: so no other thread can take its place.
  reserve_ = *std::move(fd);
  return synced;
}

arrow::Result<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  return WithDescriptors([&] { return PosixFileLock::Take(path); });
}

arrow::Result<std::unique_ptr<FileLock>> PosixFileSystem::LockUnchanged(const std::string& path) {
  return WithDescriptors([&] { return PosixFileLock::TakeUnchanged(path); });
}

arrow::Result<std::string> PosixFileSystem::Identity(const std::string& directory) {
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDirectory(directory));
  return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

arrow::Result<std::string> PosixFileSystem::Canonical(const std::string& directory) {
  const std::unique_ptr<char, decltype(&std::free)> path(::realpath(directory.c_str(), nullptr),
                                                         &std::free);
  // A directory above may not be searched, for example: then the path is good for as long as it is.
  return path == nullptr ? directory : std::string(path.get());
}

FileSystem* DefaultFileSystem() {
  // raw new because: never destroyed; files and buffers may be used by threads that outlive main's
  // statics.
  static FileSystem* const file_system = new PosixFileSystem;
  return file_system;
}

}  // namespace marble

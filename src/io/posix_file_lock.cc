#include "io/posix_file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <arrow/util/io_util.h>

#include "io/lock_owner.h"

namespace marble {

namespace {

constexpr size_t kOwnerBytes = 512;
constexpr int kAttempts = 8;

/// Creates the file with our permissions, or opens the one that is there.
arrow::Result<UniqueFd> OpenOrCreate(const std::string& path) {
  arrow::Result<UniqueFd> fd = CreateFile(path, O_RDWR);
  if (fd.ok() || arrow::internal::ErrnoFromStatus(fd.status()) != EEXIST) return fd;
  return OpenFile(path, O_RDWR);
}

/// Over the text that is there, whose room it takes. On a full disk the lock is good without a
/// text: who opens a database there may be about to make room.
arrow::Status WriteOwner(const UniqueFd& fd, const std::string& path) {
  const std::string text = LockOwnerText();
  const std::string_view part = text;
  const arrow::Status written = WriteFully(fd.get(), path, 0, {&part, 1});
  if (!written.ok() && !IsDiskFull(written)) return written;
  const off_t length = written.ok() ? static_cast<off_t>(text.size()) : 0;
  if (::ftruncate(fd.get(), length) == 0) return arrow::Status::OK();
  const arrow::Status cut = PosixError(errno, "truncate", path);
  return IsDiskFull(cut) ? arrow::Status::OK() : cut;
}

/// The refusal, with whatever the owner wrote.
arrow::Status Refusal(const UniqueFd& fd, const std::string& path) {
  char owner[kOwnerBytes];
  const ssize_t n = ::pread(fd.get(), owner, sizeof(owner), 0);
  return LockedBy(path, std::string_view(owner, n < 0 ? 0 : static_cast<size_t>(n)));
}

/// Does `path` still lead to `fd`? Someone may have removed or replaced it since it was opened.
arrow::Result<bool> IsCurrent(const UniqueFd& fd, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const struct stat ours, StatDescriptor(fd, path));
  struct stat there;
  if (::lstat(path.c_str(), &there) != 0) {
    if (errno == ENOENT) return false;
    return PosixError(errno, "stat", path);
  }
  return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

}  // namespace

arrow::Result<std::unique_ptr<FileLock>> PosixFileLock::Take(const std::string& path) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    ARROW_ASSIGN_OR_RAISE(UniqueFd fd, OpenOrCreate(path));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return Refusal(fd, path);
      return PosixError(errno, "lock", path);
    }
    ARROW_ASSIGN_OR_RAISE(const bool current, IsCurrent(fd, path));
    if (!current) continue;
    ARROW_RETURN_NOT_OK(WriteOwner(fd, path));
    return std::unique_ptr<FileLock>(new PosixFileLock(std::move(fd), ::getpid()));
  }
  return arrow::Status::IOError(path, ": the lock file is being replaced again and again");
}

arrow::Result<std::unique_ptr<FileLock>> PosixFileLock::TakeUnchanged(const std::string& path) {
  arrow::Result<UniqueFd> fd = OpenFile(path, O_RDONLY);
  if (!fd.ok()) {
    if (IsMissing(fd.status())) return nullptr;
    return fd.status();
  }
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return Refusal(*fd, path);
    return PosixError(errno, "lock", path);
  }
  return std::unique_ptr<FileLock>(new PosixFileLock(std::move(*fd), ::getpid()));
}

PosixFileLock::~PosixFileLock() {
  // Closing alone would leave the lock to forked children that still hold a copy of the descriptor.
  // Unlocking in such a child would take it from its owner.
  if (::getpid() == owner_) ::flock(fd_.get(), LOCK_UN);
}

}  // namespace marble

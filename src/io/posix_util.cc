#include "io/posix_util.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include <arrow/util/io_util.h>

namespace marble {

namespace {

constexpr mode_t kFileMode = S_IRUSR | S_IWUSR;

/// Collects the parts from byte `skip` on into `vectors`, at most IOV_MAX of them.
void CollectVectors(std::span<const std::string_view> parts, size_t skip,
                    std::vector<iovec>* vectors) {
  vectors->clear();
  for (const std::string_view part : parts) {
    if (skip >= part.size()) {
      skip -= part.size();
      continue;
    }
    vectors->push_back({const_cast<char*>(part.data()) + skip, part.size() - skip});
    skip = 0;
    if (vectors->size() == IOV_MAX) return;
  }
}

}  // namespace

arrow::Status PosixError(int errnum, std::string_view what, const std::string& path) {
  return arrow::internal::IOErrorFromErrno(errnum, path, ": cannot ", what, ": ",
                                           arrow::internal::ErrnoMessage(errnum));
}

bool IsOutOfDescriptors(const arrow::Status& status) {
  const int errnum = arrow::internal::ErrnoFromStatus(status);
  return errnum == EMFILE || errnum == ENFILE;
}

bool IsMissing(const arrow::Status& status) {
  return arrow::internal::ErrnoFromStatus(status) == ENOENT;
}

bool IsDiskFull(const arrow::Status& status) {
  const int errnum = arrow::internal::ErrnoFromStatus(status);
  return errnum == ENOSPC || errnum == EDQUOT;
}

arrow::Status RemoveIfThere(FileSystem* fs, const std::string& path) {
  const arrow::Status status = fs->Remove(path);
  return IsMissing(status) ? arrow::Status::OK() : status;
}

arrow::Status CheckPath(const std::string& path) {
  if (path.find('\0') == std::string::npos) return arrow::Status::OK();
  return arrow::Status::Invalid("a path must not contain a zero byte: ", path.c_str(), "\\0...");
}

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (is_open()) ::close(fd_);
    fd_ = other.Release();
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (is_open()) ::close(fd_);
}

arrow::Status UniqueFd::Close(const std::string& path) {
  if (!is_open()) return arrow::Status::OK();
  if (::close(Release()) != 0) return PosixError(errno, "close", path);
  return arrow::Status::OK();
}

arrow::Result<struct stat> StatDescriptor(const UniqueFd& fd, const std::string& path) {
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return PosixError(errno, "stat", path);
  return info;
}

arrow::Result<UniqueFd> OpenFile(const std::string& path, int flags) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd.is_open()) {
    const char* what = errno == ELOOP ? "open, because it is a symbolic link" : "open";
    return PosixError(errno, what, path);
  }
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDescriptor(fd, path));
  if (!S_ISREG(info.st_mode)) {
    return PosixError(S_ISDIR(info.st_mode) ? EISDIR : EINVAL, "open as a regular file", path);
  }
  return fd;
}

arrow::Result<UniqueFd> CreateFile(const std::string& path, int flags) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  const int all_flags = flags | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd fd(::open(path.c_str(), all_flags, kFileMode));
  if (!fd.is_open()) return PosixError(errno, "create", path);
  // A umask can take bits from the mode of open(2), never add any.
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDescriptor(fd, path));
  if ((info.st_mode & kPermissionBits) != kFileMode && ::fchmod(fd.get(), kFileMode) != 0) {
    const arrow::Status status = PosixError(errno, "set the permissions", path);
    if (::unlink(path.c_str()) != 0) {
      return status.WithMessage(status.message(), "; the file is left behind");
    }
    return status;
  }
  return fd;
}

arrow::Status ReadFully(int fd, const std::string& path, int64_t offset, int64_t length,
                        void* out) {
  auto* position = static_cast<char*>(out);
  while (length > 0) {
    const ssize_t n = ::pread(fd, position, static_cast<size_t>(length), offset);
    if (n < 0) {
      if (errno == EINTR) continue;
      return PosixError(errno, "read", path);
    }
    if (n == 0) {
      return arrow::Status::IOError(path, ": the file ends at offset ", offset, ", ", length,
                                    " bytes too early");
    }
    position += n;
    offset += n;
    length -= n;
  }
  return arrow::Status::OK();
}

arrow::Status WriteFully(int fd, const std::string& path, int64_t offset,
                         std::span<const std::string_view> parts) {
  size_t total = 0;
  for (const std::string_view part : parts) total += part.size();
  std::vector<iovec> vectors;
  for (size_t done = 0; done < total;) {
    ssize_t n;
    const auto at = static_cast<off_t>(offset + static_cast<int64_t>(done));
    if (parts.size() == 1) {
      n = ::pwrite(fd, parts[0].data() + done, total - done, at);
    } else {
      CollectVectors(parts, done, &vectors);
      n = ::pwritev(fd, vectors.data(), static_cast<int>(vectors.size()), at);
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      return PosixError(errno, "write", path);
    }
    if (n == 0) return PosixError(EIO, "write", path);
    done += static_cast<size_t>(n);
  }
  return arrow::Status::OK();
}

arrow::Status SyncDescriptor(int fd, const std::string& path, bool whole) {
  const int result = whole ? ::fsync(fd) : ::fdatasync(fd);
  if (result != 0) return PosixError(errno, "sync", path);
  return arrow::Status::OK();
}

}  // namespace marble

// What the POSIX files share: errors with path and errno, an owned descriptor, whole reads and
// writes. No state, so every function may run on any thread.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <arrow/result.h>
#include <arrow/status.h>

#include <marble/file_system.h>

namespace marble {

/// An IOError "<path>: cannot <what>: <strerror>" that carries `errnum` for
/// arrow::internal::ErrnoFromStatus.
arrow::Status PosixError(int errnum, std::string_view what, const std::string& path);

/// Is `status` the lack of a descriptor (EMFILE, ENFILE)?
bool IsOutOfDescriptors(const arrow::Status& status);

/// Is there no such file (ENOENT)?
bool IsMissing(const arrow::Status& status);

/// Is the device full, or the user's share of it?
bool IsDiskFull(const arrow::Status& status);

/// Removes the file unless it is gone already: somebody else may remove it as well.
arrow::Status RemoveIfThere(FileSystem* fs, const std::string& path);

/// A path with a zero byte would name another file to the kernel; it is refused.
arrow::Status CheckPath(const std::string& path);

/// The bits of a file's mode that say who may do what.
inline constexpr mode_t kPermissionBits = 0777;

/// Owns a descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  /// Closes silently: for descriptors that were only read, and for abandoned files.
  ~UniqueFd();

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  /// Closes and reports what close(2) reports. The descriptor is gone either way (on Linux also
  /// after EINTR), so this is never repeated.
  arrow::Status Close(const std::string& path);

 private:
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  int fd_ = -1;
};

/// Opens a regular file. Never follows a symbolic link as the last component, never waits for the
/// other end of a pipe, and is closed by exec. `flags` as of open(2).
arrow::Result<UniqueFd> OpenFile(const std::string& path, int flags);

/// Creates a file that must not exist, readable and writable by its owner alone whatever the umask.
arrow::Result<UniqueFd> CreateFile(const std::string& path, int flags);

arrow::Result<struct stat> StatDescriptor(const UniqueFd& fd, const std::string& path);

/// Reads exactly `length` bytes at `offset`; the end of the file before that is an IOError.
arrow::Status ReadFully(int fd, const std::string& path, int64_t offset, int64_t length, void* out);

/// Writes all parts one after the other from `offset` on.
arrow::Status WriteFully(int fd, const std::string& path, int64_t offset,
                         std::span<const std::string_view> parts);

/// fsync when `whole`, else fdatasync.
arrow::Status SyncDescriptor(int fd, const std::string& path, bool whole);

}  // namespace marble

// A lock file held by flock(2): the kernel releases it when its owner dies.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include <marble/file_system.h>

#include "io/posix_util.h"

namespace marble {

class PosixFileLock : public FileLock {
 public:
  /// LockedError when another descriptor, of this process or another, has the lock.
  static arrow::Result<std::unique_ptr<FileLock>> Take(const std::string& path);
  /// The same, reading the file at most; nullptr if there is none.
  static arrow::Result<std::unique_ptr<FileLock>> TakeUnchanged(const std::string& path);
  ~PosixFileLock() override;

 private:
  PosixFileLock(UniqueFd fd, pid_t owner) : fd_(std::move(fd)), owner_(owner) {}

  UniqueFd fd_;
  const pid_t owner_;  // a forked child has a copy of the descriptor but does not own the lock
};

}  // namespace marble

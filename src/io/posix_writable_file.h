// A POSIX file written front to back through a 64 KiB buffer. Owned and used by one thread at a
// time.
#pragma once

#include <memory>
#include <string>

#include <marble/file_system.h>

#include "io/posix_util.h"

namespace marble {

class PosixWritableFile : public WritableFile {
 public:
  /// Takes a descriptor open for writing and appends behind `size`.
  PosixWritableFile(UniqueFd fd, std::string path, int64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), written_(size), writeback_(size) {}

  arrow::Status Append(std::string_view bytes) override;
  arrow::Status Sync() override;
  /// Bytes that stand in the buffer when a file is destroyed without Close are dropped: it was
  /// abandoned.
  arrow::Status Close() override;

 private:
  arrow::Status CheckUsable() const;
  /// Writes the buffer and then `bytes`.
  arrow::Status Flush(std::string_view bytes);

  UniqueFd fd_;
  const std::string path_;
  int64_t written_;    // bytes handed to the kernel, and so the place of the next write
  int64_t writeback_;  // up to here the kernel was asked to write to the device
  std::unique_ptr<char[]> buffer_;
  size_t buffered_ = 0;
  bool synced_before_ = false;
  // The first failure stays: after a partial write or a failed sync nobody knows what the file
  // holds.
  arrow::Status failure_;
};

}  // namespace marble

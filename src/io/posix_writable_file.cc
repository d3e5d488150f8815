#include "io/posix_writable_file.h"

#include <fcntl.h>

#include <cstring>

#include <marble/error.h>

namespace marble {

namespace {

constexpr size_t kBufferBytes = 64 << 10;
/// The kernel is asked to begin writing to the device whenever so much has come together, so that a
/// sync at the end finds little left to do.
constexpr int64_t kWritebackBytes = 8 << 20;

}  // namespace

arrow::Status PosixWritableFile::CheckUsable() const {
  if (!fd_.is_open()) return ClosedError(path_ + ": the file was closed");
  return failure_;
}

arrow::Status PosixWritableFile::Append(std::string_view bytes) {
  ARROW_RETURN_NOT_OK(CheckUsable());
  if (bytes.empty()) return arrow::Status::OK();
  if (bytes.size() > kBufferBytes - buffered_) {
    if (bytes.size() >= kBufferBytes) return Flush(bytes);
    ARROW_RETURN_NOT_OK(Flush({}));
  }
  if (buffer_ == nullptr) buffer_ = std::make_unique<char[]>(kBufferBytes);
  std::memcpy(buffer_.get() + buffered_, bytes.data(), bytes.size());
  buffered_ += bytes.size();
  return arrow::Status::OK();
}

arrow::Status PosixWritableFile::Flush(std::string_view bytes) {
  const std::string_view parts[] = {{buffer_.get(), buffered_}, bytes};
  failure_ = WriteFully(fd_.get(), path_, written_, parts);
  ARROW_RETURN_NOT_OK(failure_);
  written_ += static_cast<int64_t>(buffered_ + bytes.size());
  buffered_ = 0;
  if (written_ - writeback_ >= kWritebackBytes) {
    // Only advice: what goes wrong here, the sync reports.
    static_cast<void>(
        ::sync_file_range(fd_.get(), writeback_, written_ - writeback_, SYNC_FILE_RANGE_WRITE));
    writeback_ = written_;
  }
  return arrow::Status::OK();
}

arrow::Status PosixWritableFile::Sync() {
  ARROW_RETURN_NOT_OK(CheckUsable());
  ARROW_RETURN_NOT_OK(Flush({}));
  failure_ = SyncDescriptor(fd_.get(), path_, /*whole=*/!synced_before_);
  synced_before_ = true;
  return failure_;
}

arrow::Status PosixWritableFile::Close() {
  if (!fd_.is_open()) return arrow::Status::OK();
  arrow::Status status = failure_;
  if (status.ok()) status = Flush({});
  const arrow::Status closed = fd_.Close(path_);
  return status.ok() ? closed : status;
}

}  // namespace marble

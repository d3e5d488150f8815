#include "io/posix_segment_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

#include <arrow/util/io_util.h>

#include <marble/error.h>

namespace marble {

namespace {

/// Pages are made writable in windows of up to a huge page's size, at multiples of it.
constexpr int64_t kPopulateBytes = 2 << 20;
constexpr int64_t kRewriteBytes = 1 << 20;
constexpr int64_t kStatBlockBytes = 512;  // the unit of st_blocks, whatever the file system's own

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int64_t PageBytes() {
  static const int64_t bytes = ::sysconf(_SC_PAGESIZE);
  return bytes;
}

int64_t RoundDown(int64_t value, int64_t unit) { return value / unit * unit; }
int64_t RoundUp(int64_t value, int64_t unit) { return RoundDown(value + unit - 1, unit); }

/// File systems on which a reserved block stays ours when it is written again. Others may need room
/// for the second write of a page, and would raise SIGBUS for want of it.
bool KeepsBlocksInPlace(decltype(statfs::f_type) type) {
  return type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == TMPFS_MAGIC;
}

}  // namespace

arrow::Result<std::unique_ptr<PosixSegmentFile>> PosixSegmentFile::Create(UniqueFd fd,
                                                                          std::string path,
                                                                          int64_t capacity) {
  if (capacity <= 0) return arrow::Status::Invalid(path, ": capacity ", capacity);
  std::unique_ptr<PosixSegmentFile> file(
      new PosixSegmentFile(std::move(fd), std::move(path), capacity));
  if (::ftruncate(file->fd_.get(), capacity) != 0) return PosixError(errno, "size", file->path_);
  ARROW_RETURN_NOT_OK(file->Reserve());
  ARROW_RETURN_NOT_OK(file->ChooseMapping());
  file->fresh_ = true;
  return file;
}

arrow::Result<std::unique_ptr<PosixSegmentFile>> PosixSegmentFile::Open(UniqueFd fd,
                                                                        std::string path) {
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDescriptor(fd, path));
  std::unique_ptr<PosixSegmentFile> file(
      new PosixSegmentFile(std::move(fd), std::move(path), info.st_size));
  if (info.st_blocks * kStatBlockBytes < info.st_size) {
    ARROW_RETURN_NOT_OK(file->Reserve());
  } else {
    file->reserved_by_fallocate_ = true;  // all blocks are there, which is the same
  }
  ARROW_RETURN_NOT_OK(file->ChooseMapping());
  return file;
}

PosixSegmentFile::~PosixSegmentFile() { Unmap(); }

arrow::Status PosixSegmentFile::Reserve() {
  int result;
  do {
    // A large reservation may be interrupted; asking again goes on with it.
    result = ::fallocate(fd_.get(), 0, 0, capacity_);
  } while (result != 0 && errno == EINTR);
  if (result == 0) {
    reserved_by_fallocate_ = true;
    return arrow::Status::OK();
  }
  if (errno == EOPNOTSUPP || errno == ENOSYS) return RewriteAll();
  return PosixError(errno, "reserve room", path_);
}

arrow::Status PosixSegmentFile::RewriteAll() {
  std::vector<char> bytes(static_cast<size_t>(std::min(capacity_, kRewriteBytes)));
  for (int64_t offset = 0; offset < capacity_;) {
    const int64_t length = std::min(capacity_ - offset, kRewriteBytes);
    ARROW_RETURN_NOT_OK(ReadFully(fd_.get(), path_, offset, length, bytes.data()));
    const std::string_view part(bytes.data(), static_cast<size_t>(length));
    ARROW_RETURN_NOT_OK(WriteFully(fd_.get(), path_, offset, {&part, 1}));
    offset += length;
  }
  return arrow::Status::OK();
}

arrow::Status PosixSegmentFile::ChooseMapping() {
  struct statfs info;
  if (::fstatfs(fd_.get(), &info) != 0) return PosixError(errno, "stat the file system", path_);
  const bool can_map = capacity_ > 0 && KeepsBlocksInPlace(info.f_type);
  mapping_ = can_map ? Mapping::kPopulate : Mapping::kNone;
  return arrow::Status::OK();
}

arrow::Status PosixSegmentFile::Write(int64_t offset, std::span<const std::string_view> parts,
                                      WriteVia via) {
  if (!fd_.is_open()) return ClosedError(path_ + ": the file was closed");
  size_t total = 0;
  for (const std::string_view part : parts) total += part.size();
  if (offset < 0 || offset > capacity_ || total > static_cast<size_t>(capacity_ - offset)) {
    return arrow::Status::Invalid(path_, ": ", total, " bytes at offset ", offset,
                                  " do not fit a capacity of ", capacity_);
  }
  const int64_t end = offset + static_cast<int64_t>(total);
  const bool mapped = via == WriteVia::kMapping && PrepareMapped(offset, end);
  written_end_ = std::max(written_end_, end);
  if (!mapped) {
    // Also the way to a true error: where a page could not be had, pwrite says why.
    return WriteFully(fd_.get(), path_, offset, parts);
  }
  char* out = base_ + offset;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    std::memcpy(out, part.data(), part.size());
    out += part.size();
  }
  return arrow::Status::OK();
}

void PosixSegmentFile::WillWrite() {
  if (!fd_.is_open()) return;
  for (int64_t at = 0; at < capacity_; at += kPopulateBytes) {
    if (!PrepareMapped(at, std::min(at + kPopulateBytes, capacity_))) return;
  }
}

bool PosixSegmentFile::PrepareMapped(int64_t begin, int64_t end) {
  if (begin >= populated_begin_ && end <= populated_end_) [[likely]]
    return true;
  if (mapping_ == Mapping::kNone) return false;
  if (base_ == nullptr) {
    void* address = ::mmap(nullptr, static_cast<size_t>(capacity_), PROT_READ | PROT_WRITE,
                           MAP_SHARED, fd_.get(), 0);
    if (address == MAP_FAILED) {
      mapping_ = Mapping::kNone;
      return false;
    }
    base_ = static_cast<char*>(address);
  }
  // The usual case lengthens the window; a write elsewhere begins a new one.
  const bool lengthens = begin >= populated_begin_ && begin <= populated_end_;
  const int64_t from = lengthens ? populated_end_ : RoundDown(begin, PageBytes());
  // As much again as there is, so that neither the first writes nor the many wait for long.
  const int64_t there = lengthens ? from - populated_begin_ : 0;
  const int64_t step = std::clamp(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(there))),
                                  PageBytes(), kPopulateBytes);
  const int64_t to = std::min(capacity_, RoundUp(std::max(end, from + 1), step));
  if (!FillFresh(from, to) || !PopulatePages(from, to)) return false;
  if (!lengthens) populated_begin_ = from;
  populated_end_ = to;  // a page boundary, or the end of the file
  return true;
}

bool PosixSegmentFile::FillFresh(int64_t begin, int64_t end) {
  if (!fresh_ || begin < written_end_ || begin % kPopulateBytes != 0 || begin == 0) return true;
  static const std::vector<char> zeros(kPopulateBytes);
  for (int64_t at = begin; at < end; at += kPopulateBytes) {
    const auto length = static_cast<size_t>(std::min(kPopulateBytes, end - at));
    const std::string_view part(zeros.data(), length);
    if (!WriteFully(fd_.get(), path_, at, {&part, 1}).ok()) return false;
  }
  return true;
}

bool PosixSegmentFile::PopulatePages(int64_t begin, int64_t end) {
  if (mapping_ == Mapping::kPopulate) {
    int result;
    do {
      result = ::madvise(base_ + begin, static_cast<size_t>(end - begin), MADV_POPULATE_WRITE);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return true;
    // EINVAL: a kernel that does not know the advice. Anything else (EFAULT stands for no room and
    // for device errors) concerns this range now.
    if (errno != EINVAL) return false;
    mapping_ = reserved_by_fallocate_ ? Mapping::kTouch : Mapping::kNone;
  }
  if (mapping_ == Mapping::kNone) return false;
  for (int64_t at = begin; at < end; at += PageBytes()) {
    volatile char* byte = base_ + at;
    *byte = *byte;
  }
  return true;
}

arrow::Status PosixSegmentFile::Sync() {
  if (!fd_.is_open()) return ClosedError(path_ + ": the file was closed");
  if (const int errnum = sync_errno_.load(); errnum != 0) {
    return PosixError(errnum, "sync (an earlier sync failed)", path_);
  }
  // The first sync must bring the size and the reservation to the device as well.
  const bool whole = !synced_before_.load();
  const arrow::Status status = SyncDescriptor(fd_.get(), path_, whole);
  if (!status.ok()) {
    sync_errno_ = arrow::internal::ErrnoFromStatus(status);
    return status;
  }
  synced_before_ = true;
  return arrow::Status::OK();
}

arrow::Status PosixSegmentFile::Close() {
  Unmap();
  return fd_.Close(path_);
}

void PosixSegmentFile::Unmap() {
  if (base_ == nullptr) return;
  ::munmap(base_, static_cast<size_t>(capacity_));
  base_ = nullptr;
  populated_begin_ = populated_end_ = 0;
}

}  // namespace marble

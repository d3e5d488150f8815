// A preallocated POSIX file written at given offsets, through a shared mapping or by pwrite. One
// writer; Sync may run beside it.
//
// A store into a mapping has no way to fail but a signal, so it may only go to pages that the
// kernel has promised: room is reserved when the file is created or opened, and pages are made
// writable some 2 MiB ahead (MADV_POPULATE_WRITE) before anything is stored. Where that promise
// does not hold (file systems that allocate anew on every write, no room) the bytes go through
// pwrite, which fails with a status.
//
// A new file is filled with zeros by writes of 2 MiB on the way: a page cache with large folios
// then keeps it in huge pages, which are made writable by one fault each, also when the file is
// recycled (64 MiB: 1.5 ms; zeroed and mapped page by page: 29 ms).
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <marble/file_system.h>

#include "io/posix_util.h"

namespace marble {

class PosixSegmentFile : public SegmentFile {
 public:
  enum class Mapping {
    kPopulate,  // by madvise
    kTouch,     // by a load and store per page: for kernels before 5.14, where room is reserved
    kNone,      // kMapping writes use pwrite
  };

  /// Takes a new file, open for reading and writing, and reserves its room. On error the caller
  /// removes the file.
  static arrow::Result<std::unique_ptr<PosixSegmentFile>> Create(UniqueFd fd, std::string path,
                                                                 int64_t capacity);
  /// Takes an existing file; its size is the capacity.
  static arrow::Result<std::unique_ptr<PosixSegmentFile>> Open(UniqueFd fd, std::string path);
  ~PosixSegmentFile() override;

  int64_t capacity() const override { return capacity_; }
  arrow::Status Write(int64_t offset, std::span<const std::string_view> parts,
                      WriteVia via) override;
  arrow::Status Sync() override;
  /// Makes all pages writable.
  void WillWrite() override;
  /// Unmaps: a sync would have to write-protect every page of the mapping on all processors.
  void EndWrites() override { Unmap(); }
  arrow::Status Close() override;

  Mapping mapping() const { return mapping_; }
  /// Lessens what is used of the mapping; for tests. Call before the first Write.
  void set_mapping(Mapping mapping) { mapping_ = mapping; }

 private:
  PosixSegmentFile(UniqueFd fd, std::string path, int64_t capacity)
      : fd_(std::move(fd)), path_(std::move(path)), capacity_(capacity) {}

  /// Makes the file's blocks exist; its bytes stay as they are.
  arrow::Status Reserve();
  arrow::Status RewriteAll();
  arrow::Status ChooseMapping();
  /// May [begin, end) be stored to? Populates ahead if not yet.
  bool PrepareMapped(int64_t begin, int64_t end);
  /// Writes zeros to a stretch of a new file that nothing was written to yet. The first window is
  /// left as it is: most logs of small databases end there.
  bool FillFresh(int64_t begin, int64_t end);
  bool PopulatePages(int64_t begin, int64_t end);
  void Unmap();

  UniqueFd fd_;
  const std::string path_;
  const int64_t capacity_;
  bool reserved_by_fallocate_ = false;
  bool fresh_ = false;       // created by this object: no byte but those written here matters
  int64_t written_end_ = 0;  // of all writes so far
  Mapping mapping_ = Mapping::kNone;
  char* base_ = nullptr;  // the mapping of the whole file, made by the first mapped write
  // Stores are safe in [populated_begin_, populated_end_).
  int64_t populated_begin_ = 0;
  int64_t populated_end_ = 0;
  std::atomic<bool> synced_before_ = false;
  // errno of a failed sync: after it the kernel forgets what was dirty, so no later sync may
  // succeed.
  std::atomic<int> sync_errno_ = 0;
};

}  // namespace marble

// The operating system's file system (Linux). Thread-safe; its only state is the cache of
// descriptors open for reading, which its readable files share, and one descriptor in reserve.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <marble/file_system.h>

#include "base/mutex.h"
#include "io/descriptor_cache.h"
#include "io/posix_util.h"

namespace marble {

class PosixFileSystem : public FileSystem {
 public:
  static constexpr size_t kReadDescriptors = 64;

  explicit PosixFileSystem(size_t read_descriptors = kReadDescriptors);

  arrow::Result<std::shared_ptr<ReadableFile>> OpenReadable(const std::string& path) override;
  arrow::Result<std::unique_ptr<WritableFile>> CreateWritable(const std::string& path) override;
  arrow::Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) override;
  arrow::Result<std::unique_ptr<SegmentFile>> CreateSegment(const std::string& path,
                                                            int64_t capacity) override;
  arrow::Result<std::unique_ptr<SegmentFile>> OpenSegment(const std::string& path) override;

  arrow::Result<bool> Exists(const std::string& path) override;
  arrow::Result<int64_t> FileSize(const std::string& path) override;
  arrow::Result<std::vector<DirectoryEntry>> List(const std::string& directory) override;
  arrow::Status CreateDirectory(const std::string& path) override;
  arrow::Status Rename(const std::string& from, const std::string& to) override;
  /// Removes a file, or a directory that is empty.
  arrow::Status Remove(const std::string& path) override;
  /// Works without a free descriptor: a sync that fails ends writing, other wants of one do not.
  arrow::Status SyncDirectory(const std::string& directory) override;
  arrow::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  arrow::Result<std::unique_ptr<FileLock>> LockUnchanged(const std::string& path) override;
  arrow::Result<std::string> Identity(const std::string& directory) override;
  arrow::Result<std::string> Canonical(const std::string& directory) override;

 private:
  /// Runs `open`; when descriptors run out, closes those that are only cached and runs it again.
  template <typename Open>
  auto WithDescriptors(Open open) -> decltype(open());
  /// Syncs it with the descriptor in reserve.
  arrow::Status SyncWithReserve(const std::string& directory);
  arrow::Result<UniqueFd> OpenInPlaceOfReserve(const std::string& directory)
      MARBLE_REQUIRES(reserve_mutex_);

  const std::shared_ptr<DescriptorCache> descriptors_;
  Mutex reserve_mutex_;
  UniqueFd reserve_ MARBLE_GUARDED_BY(reserve_mutex_);
};

}  // namespace marble

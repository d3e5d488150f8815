// A file system that passes everything on to the operating system's and keeps a list of what was
// asked of it, for a comparison with what the kernel saw. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <marble/file_system.h>

namespace marble::test {

/// What was done, as "kind path", and how often. The kinds: read, create, append, reopen (a
/// segment), directory (listed or synced), lock, mkdir, remove, "rename path to path"; and "sync"
/// alone, for files and directories together.
using Operations = std::map<std::string, int>;

class RecordingFileSystem : public FileSystem {
 public:
  /// Counted when they have succeeded.
  Operations operations() const;

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
  arrow::Status Remove(const std::string& path) override;
  arrow::Status SyncDirectory(const std::string& directory) override;
  arrow::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  arrow::Result<std::unique_ptr<FileLock>> LockUnchanged(const std::string& path) override;
  arrow::Result<std::string> Identity(const std::string& directory) override;

  void Note(const std::string& operation);

 private:
  template <typename Result>
  Result Noted(const std::string& operation, Result result);

  FileSystem* const base_ = DefaultFileSystem();
  mutable std::mutex mutex_;
  Operations operations_;
};

}  // namespace marble::test

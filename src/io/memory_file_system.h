// A file system in memory that can fail like a real one: it loses what was not synced, runs full,
// and fails chosen operations. For tests, and for databases that need no disk. Thread-safe: one
// mutex guards the disk; handles share it and may outlive the file system object.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <marble/file_system.h>

#include "io/memory_disk.h"

namespace marble {

/// What an operation does, for counting and failing it. kChange stands for every kind that changes
/// the disk (write, sync, rename, remove, create, sync of a directory), kAny for every kind.
enum class FileOp {
  kInspect,  // existence, size, entries or identity
  kRead,
  kMap,
  kOpen,
  kWrite,
  kSync,
  kCreate,  // of files, segments and directories
  kRename,
  kRemove,
  kSyncDirectory,
  kChange,
  kAny,
};
inline constexpr size_t kFileOpKinds = static_cast<size_t>(FileOp::kAny) + 1;

/// Called before each operation that changes the disk, of whatever thread, which waits meanwhile.
/// Must not call the file system; it may clone the disk.
using ChangeObserver =
    std::function<void(MemoryDisk* disk, FileOp operation, const std::string& path)>;

class MemoryFileSystem : public FileSystem {
 public:
  /// Without mappings ReadableFile::Map returns nullptr.
  explicit MemoryFileSystem(bool with_mappings = true);
  explicit MemoryFileSystem(std::unique_ptr<MemoryDisk> disk, bool with_mappings = true);
  ~MemoryFileSystem() override;

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
  arrow::Status SyncDirectory(const std::string& directory) override;
  arrow::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  arrow::Result<std::unique_ptr<FileLock>> LockUnchanged(const std::string& path) override;
  arrow::Result<std::string> Identity(const std::string& directory) override;

  /// Power fails and comes back: what was not synced is dropped, kept or torn; locks are gone, and
  /// every handle open before returns IOError from now on. The same seed gives the same loss.
  void LoseUnsynced(LossPolicy policy, uint64_t seed);

  /// Another disk that is as this one is now (see MemoryDisk::Clone). Nothing is open on it.
  std::unique_ptr<MemoryDisk> CloneDisk();
  void set_observer(ChangeObserver observer);

  /// The `n`th operation of `kind` from now (1: the next) fails with `status`; a sticky fault
  /// stays, so that all later ones fail too. A write that fails has still written half its bytes; a
  /// sync that fails leaves the bytes unsynced for ever, though a later sync succeeds. A second
  /// fault for the same kind replaces the first.
  void FailNth(FileOp kind, uint64_t n, arrow::Status status, bool sticky = false);
  /// Same, with the IOError of an errno.
  void FailNth(FileOp kind, uint64_t n, int errnum, bool sticky = false);
  void ClearFaults();
  /// From now on each page that a failed sync should have made durable is read as it was or as it
  /// was written, and so is what the device has of it: file systems differ there.
  void ScrambleFailedSyncs(uint64_t seed);
  /// Operations of `kind` so far, failed ones included.
  uint64_t operations(FileOp kind) const;

  /// The sum of file sizes above which writes fail with ENOSPC; negative (at first): no limit. A
  /// file that was removed counts while it is open.
  void set_capacity_bytes(int64_t bytes);
  int64_t used_bytes() const;

  /// Mapped files say, or say no longer, that their pages are not in memory when they are asked
  /// for: as if there were more files than memory.
  void set_memory_is_scarce(bool scarce);

  /// Damage on the device, behind everybody's back: survives LoseUnsynced. Open mappings keep what
  /// they showed.
  arrow::Status Damage(const std::string& path, int64_t offset, uint8_t xor_mask);
  arrow::Status Overwrite(const std::string& path, int64_t offset, std::string_view bytes);
  arrow::Status Truncate(const std::string& path, int64_t size);

  /// What handles share; defined in the .cc file.
  struct State;

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace marble

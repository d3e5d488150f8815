// The one seam to the disk. Everything Marble reads or writes goes through a FileSystem: production
// is POSIX, tests use an in-memory one that loses unsynced bytes, fails and runs full. Files only:
// no threads, no clock, no logger. Paths are plain strings made by the engine from file numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/result.h>
#include <arrow/status.h>

namespace marble {

/// A file open for reading whose content does not change. Thread-safe.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  /// Size in bytes when it was opened.
  virtual int64_t size() const = 0;
  /// Reads exactly `length` bytes at `offset` by a system call (never through a mapping, so that a
  /// device error is a Status). Fewer bytes in the file is an IOError.
  virtual arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t offset, int64_t length) = 0;
  /// Same, into memory of the caller.
  virtual arrow::Status ReadInto(int64_t offset, int64_t length, void* out) = 0;
  /// The whole file as one read-only buffer that shares the page cache and stays valid after this
  /// object is gone and the file unlinked; nullptr where mappings are not offered.
  /// Touching a page that is not in memory may read many around it: WillRead those wanted before.
  virtual arrow::Result<std::shared_ptr<arrow::Buffer>> Map() = 0;
  /// Are all these bytes of a living buffer of Map() in memory, so that touching them reads nothing
  /// from the device? false where that cannot be told.
  virtual bool InMemory(std::span<const uint8_t> /*mapped*/) { return false; }
  /// Hint: these bytes of a living buffer of Map() will soon be touched in order. Starts reading
  /// those that are not in memory, and returns at once whether there are any.
  virtual bool WillRead(std::span<const uint8_t> /*mapped*/) { return false; }
};

/// A file being written front to back once: an SSTable, a manifest, CURRENT's temporary. One
/// thread.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual arrow::Status Append(std::string_view bytes) = 0;
  /// Bytes appended so far reach the device (fdatasync, or fsync where the size changed).
  virtual arrow::Status Sync() = 0;
  /// Closes and reports what close(2) reports. The destructor closes silently.
  virtual arrow::Status Close() = 0;
};

/// How SegmentFile::Write hands bytes to the kernel.
enum class WriteVia {
  kMapping,     // memcpy into a mapping: no system call, survives a killed process
  kSystemCall,  // pwrite: for writes that are synced at once, and for large ones
};

/// A preallocated file written at given offsets: a segment of the write-ahead log. Writes by one
/// thread at a time; Sync may run beside them. Room up to `capacity()` is reserved at creation, and
/// within it a Write fails cleanly (never by a signal).
class SegmentFile {
 public:
  virtual ~SegmentFile() = default;
  virtual int64_t capacity() const = 0;
  virtual arrow::Status Write(int64_t offset, std::span<const std::string_view> parts,
                              WriteVia via) = 0;
  /// Everything written before the call reaches the device (fdatasync, mapping included).
  virtual arrow::Status Sync() = 0;
  /// All of the file will be written through the mapping, maybe by another thread: does now what
  /// such writes would have to wait for. Advice; beside no other call.
  virtual void WillWrite() {}
  /// No Write follows: what only writing needs is let go of. May run in another thread than writes
  /// did, not beside Sync.
  virtual void EndWrites() {}
  virtual arrow::Status Close() = 0;
};

/// Exclusive ownership of a directory, released by the destructor.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct DirectoryEntry {
  std::string name;  // without the directory
  int64_t size = 0;  // bytes; 0 for directories
  bool is_directory = false;
};

/// Thread-safe. Errors are IOError with path and errno text; "no such file" has
/// arrow::internal::ErrnoFromStatus == ENOENT semantics and can be asked with Exists.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual arrow::Result<std::shared_ptr<ReadableFile>> OpenReadable(const std::string& path) = 0;
  /// Creates `path`; it must not exist (O_EXCL), mode 0600.
  virtual arrow::Result<std::unique_ptr<WritableFile>> CreateWritable(const std::string& path) = 0;
  /// Opens an existing file for appending at its end.
  virtual arrow::Result<std::unique_ptr<WritableFile>> OpenAppend(const std::string& path) = 0;
  /// Creates `path` (it must not exist) with `capacity` zero bytes of reserved room.
  virtual arrow::Result<std::unique_ptr<SegmentFile>> CreateSegment(const std::string& path,
                                                                    int64_t capacity) = 0;
  /// Opens an existing segment for writing (a recycled one: its old bytes are still there).
  virtual arrow::Result<std::unique_ptr<SegmentFile>> OpenSegment(const std::string& path) = 0;

  virtual arrow::Result<bool> Exists(const std::string& path) = 0;
  virtual arrow::Result<int64_t> FileSize(const std::string& path) = 0;
  virtual arrow::Result<std::vector<DirectoryEntry>> List(const std::string& directory) = 0;
  /// Creates a directory, mode 0700; parents must exist. An existing directory is OK.
  virtual arrow::Status CreateDirectory(const std::string& path) = 0;
  /// Replaces `to` atomically if it exists.
  virtual arrow::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual arrow::Status Remove(const std::string& path) = 0;
  /// Entries created, renamed and removed in `directory` so far survive power loss.
  virtual arrow::Status SyncDirectory(const std::string& directory) = 0;
  /// Creates `path` if needed and locks it against other processes. Fails at once with a
  /// LockedError that names the owner's pid and host when it is taken.
  virtual arrow::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  /// The lock of Lock, for who only reads: leaves the file's bytes alone, and gives nullptr where
  /// there is no such file, so that no process has the directory open.
  virtual arrow::Result<std::unique_ptr<FileLock>> LockUnchanged(const std::string& path) = 0;
  /// A text that is equal for two paths exactly when they name the same directory (device and
  /// inode for POSIX), used to share one database within a process.
  virtual arrow::Result<std::string> Identity(const std::string& directory) = 0;
  /// A path of an existing directory that goes on meaning the same when the process changes its
  /// working directory: from the root, without links. Where there is no such thing, `directory`.
  virtual arrow::Result<std::string> Canonical(const std::string& directory) { return directory; }
};

/// The operating system's file system; lives for ever.
FileSystem* DefaultFileSystem();

/// The in-memory file system of the tests (src/io/memory_file_system.h), which is not installed.
class MemoryFileSystem;

}  // namespace marble

// The state behind MemoryFileSystem: a tree of nodes, and beside what programs see of it what a
// power failure would leave. File pages, file sizes and directory entries each have their own
// unsynced state. Not thread-safe: MemoryFileSystem's mutex guards all of it.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>
#include <arrow/status.h>

namespace marble {

/// What a simulated power failure does to each 4 KiB page that was written and not synced, and to
/// each directory entry whose directory was not synced.
enum class LossPolicy {
  kDropAll,      // none reached the device
  kKeepAll,      // all did
  kRandomPages,  // each one by itself did or did not
  kTorn,         // as kRandomPages, but each 512-byte sector of a page by itself
};

/// A file or a directory.
class MemoryNode {
 public:
  static constexpr int64_t kPageBytes = 4096;
  static constexpr int64_t kSectorBytes = 512;
  using Entries = std::map<std::string, std::shared_ptr<MemoryNode>>;

  MemoryNode(uint64_t inode, bool is_directory, int64_t* used_bytes)
      : inode_(inode), is_directory_(is_directory), used_bytes_(used_bytes) {}
  MemoryNode(const MemoryNode&) = delete;
  MemoryNode& operator=(const MemoryNode&) = delete;

  uint64_t inode() const { return inode_; }
  bool is_directory() const { return is_directory_; }
  int64_t size() const { return size_; }

  /// Whether its bytes count as used: they do while a path leads to it.
  void SetCounted(bool counted);
  /// Grows or shrinks the file; new bytes are zero.
  void Resize(int64_t size);
  /// [offset, offset + length) must lie within size().
  void Read(int64_t offset, int64_t length, char* out) const;
  /// Must lie within size().
  void Write(int64_t offset, std::string_view bytes);
  /// Damages the device itself: changes what is seen now and what a power failure leaves.
  void WriteBoth(int64_t offset, std::string_view bytes);

  /// What was written so far reaches the device.
  void MarkSynced();
  /// A sync that failed, as Linux does it: pages count as clean, yet the device never got them.
  void MarkSyncFailed();
  void LoseUnsynced(LossPolicy policy, std::mt19937_64* random);

  // Of a directory: as seen now, and as left by a power failure.
  Entries entries;
  Entries durable_entries;

 private:
  using Page = std::array<char, kPageBytes>;
  using PagePointer = std::shared_ptr<Page>;  // null: all zero

  static size_t PagesFor(int64_t size) {
    return static_cast<size_t>((size + kPageBytes - 1) / kPageBytes);
  }
  /// The page, ours alone and so free to be written.
  Page* Own(std::vector<PagePointer>* pages, size_t index);
  void WritePages(std::vector<PagePointer>* pages, int64_t offset, std::string_view bytes);
  PagePointer DurablePage(size_t index) const;
  PagePointer Torn(size_t index, std::mt19937_64* random) const;

  const uint64_t inode_;
  const bool is_directory_;
  int64_t* const used_bytes_;  // of the whole disk
  bool counted_ = false;
  int64_t size_ = 0;
  int64_t durable_size_ = 0;
  bool size_is_dirty_ = false;
  std::vector<PagePointer> pages_;
  std::vector<PagePointer> durable_pages_;
  std::set<size_t> dirty_;
};

/// The tree of nodes. Paths are split at "/"; absolute and relative ones mean the same.
class MemoryDisk {
 public:
  using NodePointer = std::shared_ptr<MemoryNode>;

  MemoryDisk();
  MemoryDisk(const MemoryDisk&) = delete;  // its nodes point at it
  MemoryDisk& operator=(const MemoryDisk&) = delete;

  /// IOError with ENOENT or ENOTDIR when there is none.
  arrow::Result<NodePointer> Find(const std::string& path) const;
  arrow::Result<NodePointer> FindFile(const std::string& path) const;
  arrow::Result<NodePointer> FindDirectory(const std::string& path) const;
  /// Creates an entry that must not exist.
  arrow::Result<NodePointer> Create(const std::string& path, bool is_directory);
  arrow::Status Rename(const std::string& from, const std::string& to);
  arrow::Status Remove(const std::string& path);
  void SyncDirectory(const NodePointer& directory);
  void LoseUnsynced(LossPolicy policy, std::mt19937_64* random);

  int64_t used_bytes() const { return used_bytes_; }

 private:
  /// Where a path leads: its directory and the name in it.
  struct Place {
    NodePointer directory;
    std::string name;
  };
  /// One change of directory entries that the device has not got yet. A rename is one change, so
  /// that it happens wholly or not at all.
  struct Change {
    Place removed;  // directory null: none
    Place added;    // directory null: none
    NodePointer node;
  };

  static arrow::Result<std::vector<std::string>> Split(const std::string& path);
  arrow::Result<Place> Locate(const std::string& path) const;
  static void ApplyDurably(const Change& change);
  static void UncountAll(MemoryNode* node);
  static void LoseIn(MemoryNode* node, LossPolicy policy, std::mt19937_64* random);

  int64_t used_bytes_ = 0;
  uint64_t next_inode_ = 1;
  NodePointer root_;
  std::list<Change> unsynced_;
};

}  // namespace marble

// The state behind MemoryFileSystem: a tree of nodes, and beside what programs see of it what a
// power failure would leave. File pages, file sizes and directory entries each have their own
// unsynced state. Not thread-safe: MemoryFileSystem's mutex guards all of it.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>
#include <arrow/status.h>

#include "io/power_loss.h"

namespace marble {

/// What all nodes of a disk share.
struct MemoryDiskTotals {
  int64_t used_bytes = 0;
  /// Pages of another generation are shared with a clone, and never written.
  uint64_t generation = 0;
};

/// A file or a directory.
class MemoryNode {
 public:
  static constexpr int64_t kPageBytes = 4096;
  static constexpr int64_t kSectorBytes = 512;
  using Entries = std::map<std::string, std::shared_ptr<MemoryNode>>;

  MemoryNode(uint64_t inode, bool is_directory, MemoryDiskTotals* disk)
      : inode_(inode), is_directory_(is_directory), disk_(disk) {}
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
  /// With `chance`, as one file system or another does it: what is read of each page is the new or
  /// the old content, and what the device has is, too.
  void MarkSyncFailed(PowerLoss* chance);
  void LoseUnsynced(PowerLoss* loss, std::span<const std::shared_ptr<MemoryNode>> others);
  /// All but the entries, on another disk. Pages are shared until one of the two writes them.
  std::shared_ptr<MemoryNode> CloneFile(MemoryDiskTotals* disk) const;

  // Of a directory: as seen now, and as left by a power failure.
  Entries entries;
  Entries durable_entries;

 private:
  struct Page {
    std::array<char, kPageBytes> bytes{};
    uint64_t generation = 0;
    char* data() { return bytes.data(); }
    const char* data() const { return bytes.data(); }
  };
  using PagePointer = std::shared_ptr<Page>;  // null: all zero

  static size_t PagesFor(int64_t size) {
    return static_cast<size_t>((size + kPageBytes - 1) / kPageBytes);
  }
  /// The page, ours alone and so free to be written.
  Page* Own(std::vector<PagePointer>* pages, size_t index);
  void WritePages(std::vector<PagePointer>* pages, int64_t offset, std::string_view bytes);
  PagePointer DurablePage(size_t index) const;
  PagePointer Torn(size_t index, PowerLoss* loss) const;
  /// The synced bytes, and behind them what some file once had in this block.
  PagePointer Garbage(size_t index, PowerLoss* loss,
                      std::span<const std::shared_ptr<MemoryNode>> others) const;

  const uint64_t inode_;
  const bool is_directory_;
  MemoryDiskTotals* const disk_;
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
  void LoseUnsynced(LossPolicy policy, uint64_t seed);
  /// The disk as it is, unsynced state included, at the cost of its directories: pages are shared
  /// until one of the two writes them. Clones may be used by different threads.
  std::unique_ptr<MemoryDisk> Clone();

  int64_t used_bytes() const { return totals_.used_bytes; }

 private:
  /// Where a path leads: its directory and the name in it.
  struct Place {
    NodePointer directory;
    std::string name;
  };
  /// One change of directory entries that the device has not got yet. A rename is one change, so
  /// that it happens wholly or not at all.
  struct Change {
    PowerLoss::EntryChange kind;
    Place removed;  // directory null: none
    Place added;    // directory null: none
    NodePointer node;
  };

  static arrow::Result<std::vector<std::string>> Split(const std::string& path);
  arrow::Result<Place> Locate(const std::string& path) const;
  static void ApplyDurably(const Change& change);
  static void UncountAll(MemoryNode* node);
  static void LoseIn(MemoryNode* node, PowerLoss* loss, const std::vector<NodePointer>& files);
  void LoseEntries(PowerLoss* loss);
  std::vector<NodePointer> AllFiles() const;

  MemoryDiskTotals totals_;
  uint64_t next_inode_ = 1;
  NodePointer root_;
  std::list<Change> unsynced_;
};

}  // namespace marble

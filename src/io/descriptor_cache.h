// The descriptors of files open for reading: a small LRU shared by a file system, so that thousands
// of SSTables fit in a limit of 256 descriptors. Owned by the file system and its readable files.
// Thread-safe; opening and closing happen outside its mutex.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include <arrow/result.h>

#include "base/mutex.h"
#include "io/posix_util.h"

namespace marble {

/// Which file a path led to when it was opened.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

class DescriptorCache {
 public:
  explicit DescriptorCache(size_t limit) : limit_(limit) {}

  /// Opens `path` for reading and keeps the descriptor under a new key.
  struct Opened {
    uint64_t key;
    FileIdentity identity;
    int64_t size;
  };
  arrow::Result<Opened> Open(const std::string& path);

  /// The descriptor kept under `key`; reopens `path` when it was dropped, and fails when that is no
  /// longer the file `identity`. The caller's reference keeps it open while it is used.
  arrow::Result<std::shared_ptr<UniqueFd>> Get(uint64_t key, const std::string& path,
                                               const FileIdentity& identity);

  void Forget(uint64_t key);
  /// Closes everything not in use at the moment: room for others when descriptors run out.
  void Clear();

  /// Held shared while a descriptor is opened, and alone by who closes one and needs its place.
  std::shared_mutex& opening() { return opening_; }

 private:
  struct Entry {
    uint64_t key;
    std::shared_ptr<UniqueFd> fd;
  };

  std::shared_ptr<UniqueFd> Find(uint64_t key);
  std::shared_ptr<UniqueFd> Insert(uint64_t key, std::shared_ptr<UniqueFd> fd);
  arrow::Result<UniqueFd> OpenForRead(const std::string& path);

  const size_t limit_;
  std::shared_mutex opening_;
  Mutex mutex_;
  uint64_t next_key_ MARBLE_GUARDED_BY(mutex_) = 0;
  std::list<Entry> entries_ MARBLE_GUARDED_BY(mutex_);  // the most recently used first
  std::unordered_map<uint64_t, std::list<Entry>::iterator> by_key_ MARBLE_GUARDED_BY(mutex_);
};

}  // namespace marble

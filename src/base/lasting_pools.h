// Memory pools that are never destroyed, because buffers that users hold, tasks of Arrow's and
// other static destructors may outlive whoever asked for the memory. One that is empty again is
// given out anew. Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include <arrow/memory_pool.h>

#include "base/mutex.h"

namespace marble {

/// All pools of one type, made over Arrow's default pool.
template <typename Pool>
class LastingPools {
 public:
  /// The pools of this process.
  static LastingPools& Get() {
    static auto* pools = std::make_unique<LastingPools>().release();
    return *pools;
  }

  /// A pool that nobody else uses until it is released.
  Pool* Acquire() {
    MutexLock lock(&mutex_);
    for (auto& entry : entries_) {
      if (entry->in_use || entry->pool.bytes_allocated() != 0) continue;
      entry->in_use = true;
      return &entry->pool;
    }
    entries_.push_back(std::make_unique<Entry>());
    return &entries_.back()->pool;
  }

  void Release(Pool* pool) {
    MutexLock lock(&mutex_);
    for (auto& entry : entries_) {
      if (&entry->pool == pool) entry->in_use = false;
    }
  }

 private:
  struct Entry {
    Pool pool{arrow::default_memory_pool()};
    bool in_use = true;
  };

  Mutex mutex_;
  std::vector<std::unique_ptr<Entry>> entries_ MARBLE_GUARDED_BY(mutex_);
};

}  // namespace marble

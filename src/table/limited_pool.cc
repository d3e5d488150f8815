#include "table/limited_pool.h"

#include <vector>

#include "base/mutex.h"

namespace marble {

namespace {

struct PoolEntry {
  LimitedPool pool{arrow::default_memory_pool()};
  bool in_use = true;
};

struct PoolList {
  Mutex mutex;
  std::vector<std::unique_ptr<PoolEntry>> entries MARBLE_GUARDED_BY(mutex);
};

PoolList& Pools() {
  static auto* pools = std::make_unique<PoolList>().release();
  return *pools;
}

}  // namespace

arrow::Status LimitedPool::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  ARROW_RETURN_NOT_OK(CheckRoom(size));
  return ProxyMemoryPool::Allocate(size, alignment, out);
}

arrow::Status LimitedPool::Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                                      uint8_t** ptr) {
  ARROW_RETURN_NOT_OK(CheckRoom(new_size - old_size));
  return ProxyMemoryPool::Reallocate(old_size, new_size, alignment, ptr);
}

arrow::Status LimitedPool::CheckRoom(int64_t more) const {
  const int64_t limit = limit_.load();
  if (more <= limit - bytes_allocated()) return arrow::Status::OK();
  return arrow::Status::OutOfMemory(more, " bytes beside ", bytes_allocated(),
                                    " are more than the limit of ", limit);
}

void ReleaseLimitedPool::operator()(LimitedPool* pool) const {
  PoolList& pools = Pools();
  MutexLock lock(&pools.mutex);
  for (auto& entry : pools.entries) {
    if (&entry->pool == pool) entry->in_use = false;
  }
}

LimitedPoolHandle AcquireLimitedPool(int64_t limit) {
  PoolList& pools = Pools();
  MutexLock lock(&pools.mutex);
  PoolEntry* free = nullptr;
  for (auto& entry : pools.entries) {
    if (!entry->in_use && entry->pool.bytes_allocated() == 0) free = entry.get();
  }
  if (free == nullptr) {
    pools.entries.push_back(std::make_unique<PoolEntry>());
    free = pools.entries.back().get();
  }
  free->in_use = true;
  free->pool.SetLimit(limit);
  return LimitedPoolHandle(&free->pool);
}

}  // namespace marble

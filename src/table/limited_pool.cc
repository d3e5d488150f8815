#include "table/limited_pool.h"

#include "base/lasting_pools.h"

namespace marble {

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
  LastingPools<LimitedPool>::Get().Release(pool);
}

LimitedPoolHandle AcquireLimitedPool(int64_t limit) {
  LimitedPool* pool = LastingPools<LimitedPool>::Get().Acquire();
  pool->SetLimit(limit);
  return LimitedPoolHandle(pool);
}

}  // namespace marble

#include "table/limited_pool.h"

#include <algorithm>

#include "base/lasting_pools.h"

namespace marble {

namespace {

/// What a small file may always ask for when it is decoded, as a multiple of its size.
constexpr int64_t kExpansion = 16;

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
  LastingPools<LimitedPool>::Get().Release(pool);
}

LimitedPoolHandle AcquireLimitedPool(int64_t memory, int64_t file_bytes) {
  LimitedPool* pool = LastingPools<LimitedPool>::Get().Acquire();
  pool->SetLimit(std::max(memory, kExpansion * file_bytes));
  return LimitedPoolHandle(pool);
}

arrow::Status TooLarge(const arrow::Status& status) {
  if (!status.IsOutOfMemory()) return status;
  return arrow::Status::OutOfMemory(
      "a batch takes more memory decoded than the database's memory_budget, and than ", kExpansion,
      " times the size of the file: ", status.message());
}

}  // namespace marble

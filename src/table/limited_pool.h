// Memory for what a file from outside makes Arrow allocate: not more than a limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <arrow/memory_pool.h>
#include <arrow/status.h>

namespace marble {

/// Thread-safe; threads that allocate at once may get beyond the limit by what one of them asks
/// for.
class LimitedPool final : public arrow::ProxyMemoryPool {
 public:
  explicit LimitedPool(arrow::MemoryPool* base) : ProxyMemoryPool(base) {}

  void SetLimit(int64_t bytes) { limit_.store(bytes); }

  // arrow::MemoryPool
  using arrow::ProxyMemoryPool::Allocate;
  using arrow::ProxyMemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** ptr) override;

 private:
  arrow::Status CheckRoom(int64_t more) const;

  std::atomic<int64_t> limit_{0};
};

struct ReleaseLimitedPool {
  void operator()(LimitedPool* pool) const;
};
using LimitedPoolHandle = std::unique_ptr<LimitedPool, ReleaseLimitedPool>;

/// A pool that nobody else uses, until the handle goes, for decoding a file: it has `memory` bytes,
/// or a multiple of the file's size if that is more.
LimitedPoolHandle AcquireLimitedPool(int64_t memory, int64_t file_bytes);
/// `status`, said in the words of a user if the pool's limit was met.
arrow::Status TooLarge(const arrow::Status& status);

}  // namespace marble

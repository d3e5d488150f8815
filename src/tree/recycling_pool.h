// The memory pool of one database: counts what is allocated through it, and keeps large pieces of
// memory that flushed memtables, merges and scans give back for those to come. The kernel hands out
// memory zeroed, and a virtual machine may have to fetch it from its host first, which costs more
// than filling it; a recycled block is mapped, and its content is nobody's. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>

#include <arrow/memory_pool.h>

#include "base/mutex.h"

namespace marble {

/// Size and alignment from which memory is asked for in huge pages, bytes. Random reads of a large
/// memtable miss the TLB otherwise.
inline constexpr int64_t kHugePageBytes = int64_t{2} << 20;
/// Size from which other memory is recycled, bytes. Allocators give such pieces back to the kernel
/// soon, and Arrow's own asks for all its memory in huge pages: the first touch of a column of some
/// hundred KiB clears 2 MiB then. (From 64 KiB on updates among reads took 1.07 of the time.)
inline constexpr int64_t kRecycledBytesMin = int64_t{128} << 10;

class RecyclingPool final : public arrow::ProxyMemoryPool {
 public:
  explicit RecyclingPool(arrow::MemoryPool* base) : ProxyMemoryPool(base) {}
  ~RecyclingPool() override { SetSpareBytesMax(0); }

  /// Bytes kept at most; what is over goes back at once, small blocks first. 0 until this is
  /// called.
  void SetSpareBytesMax(int64_t bytes);
  /// Bytes kept now. They are part of bytes_allocated().
  int64_t spare_bytes() const;

  // arrow::MemoryPool. Memory aligned to kHugePageBytes is in huge pages where the kernel has them,
  // and recycled; so is other memory from kRecycledBytesMin on, in sizes that are up to an eighth
  // larger than what was asked for, or as spares of up to twice that.
  using arrow::ProxyMemoryPool::Allocate;
  using arrow::ProxyMemoryPool::Free;
  using arrow::ProxyMemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** ptr) override;
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override;

 private:
  struct Spare {
    uint8_t* data;
    int64_t bytes;
    int64_t alignment;
    int64_t freed;  // bytes given back until then
  };
  /// The best spare for so many bytes of this alignment; nullptr if none is near enough.
  uint8_t* TakeSpare(int64_t bytes, int64_t alignment);
  /// What was allocated for memory that is given back now.
  int64_t TakeTrueBytes(const uint8_t* data, int64_t size, int64_t alignment)
      MARBLE_REQUIRES(mutex_);
  void Trim() MARBLE_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::deque<Spare> spares_ MARBLE_GUARDED_BY(mutex_);  // oldest first
  /// True sizes of memory that was a larger spare than it was asked to be.
  std::unordered_map<const uint8_t*, int64_t> larger_ MARBLE_GUARDED_BY(mutex_);
  int64_t wasted_bytes_ MARBLE_GUARDED_BY(mutex_) = 0;  // by them
  int64_t freed_bytes_ MARBLE_GUARDED_BY(mutex_) = 0;   // ever
  int64_t spare_bytes_ MARBLE_GUARDED_BY(mutex_) = 0;
  int64_t spare_bytes_max_ MARBLE_GUARDED_BY(mutex_) = 0;
};

}  // namespace marble

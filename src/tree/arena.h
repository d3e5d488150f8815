// Memory for the records of one memtable: blocks of a MemoryPool that are only ever appended to and
// are given back together. One thread allocates; any number may walk what was published, in
// allocation order, without locks.
#pragma once

#include <atomic>
#include <cstdint>

#include <arrow/memory_pool.h>
#include <arrow/status.h>

#include "tree/recycling_pool.h"

namespace marble {

/// Addresses of an arena fit this many bits: what x86-64 and ARM64 give a process that does not ask
/// for more. The index of records keeps tags above them.
inline constexpr int kAddressBits = 48;

/// Memory of one owner from a pool; aligned to huge pages if it is large (recycling_pool.h). Not
/// thread-safe.
class PoolMemory {
 public:
  PoolMemory() = default;
  ~PoolMemory() { Free(); }
  PoolMemory(PoolMemory&& other) noexcept { *this = std::move(other); }
  PoolMemory& operator=(PoolMemory&& other) noexcept;
  PoolMemory(const PoolMemory&) = delete;
  PoolMemory& operator=(const PoolMemory&) = delete;

  /// Replaces what is held. `bytes` is rounded up to whole huge pages when it is large.
  arrow::Status Allocate(int64_t bytes, arrow::MemoryPool* pool);

  uint8_t* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  void Free();
  arrow::MemoryPool* pool_ = nullptr;
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
  int64_t alignment_ = 64;
};

class Arena {
 public:
  explicit Arena(arrow::MemoryPool* pool) : pool_(pool) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // --- Writer side.

  /// Makes sure that `bytes` can be allocated without failing. Takes no memory before the first
  /// call.
  arrow::Status Reserve(int64_t bytes);
  /// `bytes` is a multiple of 8 and was reserved. Aligned to 8.
  uint8_t* Allocate(int64_t bytes) {
    uint8_t* result = last_->data() + last_used_;
    last_used_ += bytes;
    return result;
  }
  /// What was allocated so far becomes visible to walkers; its content is complete.
  void Publish() { last_->used.store(last_used_, std::memory_order_release); }

  // --- Any thread.

  /// Where a walk stands. The default is the beginning.
  struct Position;
  /// The next published object, or nullptr if there is none yet. `size_of(pointer)` tells its size
  /// in bytes.
  template <typename SizeOf>
  const uint8_t* Next(Position* position, const SizeOf& size_of) const;

  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  /// Stands at the head of its own memory.
  struct Block {
    PoolMemory memory;
    std::atomic<Block*> next{nullptr};
    std::atomic<int64_t> used{0};

    uint8_t* data() { return reinterpret_cast<uint8_t*>(this) + kHeadBytes; }
    const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(this) + kHeadBytes; }
    int64_t capacity() const { return memory.bytes() - kHeadBytes; }
  };
  static constexpr int64_t kHeadBytes = 64;
  static_assert(sizeof(Block) <= kHeadBytes);

  arrow::MemoryPool* const pool_;
  std::atomic<Block*> first_{nullptr};
  Block* last_ = nullptr;
  int64_t last_used_ = 0;
  std::atomic<int64_t> bytes_{0};

 public:
  struct Position {
    const Block* block = nullptr;
    int64_t offset = 0;
  };
};

template <typename SizeOf>
const uint8_t* Arena::Next(Position* position, const SizeOf& size_of) const {
  if (position->block == nullptr) {
    position->block = first_.load(std::memory_order_acquire);
    if (position->block == nullptr) return nullptr;
  }
  while (true) {
    // In this order: once a block has a successor, its `used` is final.
    const Block* next = position->block->next.load(std::memory_order_acquire);
    if (position->offset < position->block->used.load(std::memory_order_acquire)) {
      const uint8_t* object = position->block->data() + position->offset;
      position->offset += size_of(object);
      return object;
    }
    if (next == nullptr) return nullptr;
    *position = {next, 0};
  }
}

}  // namespace marble

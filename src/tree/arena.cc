#include "tree/arena.h"

#include <algorithm>
#include <new>
#include <utility>

namespace marble {

namespace {

// Blocks grow from the first size by this factor until they are huge pages: 400 idle tables with a
// row or two each hold little, and a full memtable is some dozens of blocks.
constexpr int64_t kFirstBlockBytes = 16 * 1024;
constexpr int64_t kBlockGrowth = 4;

}  // namespace

PoolMemory& PoolMemory::operator=(PoolMemory&& other) noexcept {
  if (this != &other) {
    Free();
    pool_ = other.pool_;
    bytes_ = std::exchange(other.bytes_, 0);
    data_ = std::exchange(other.data_, nullptr);
    alignment_ = other.alignment_;
  }
  return *this;
}

arrow::Status PoolMemory::Allocate(int64_t bytes, arrow::MemoryPool* pool) {
  const bool huge = bytes >= kHugePageBytes;
  const int64_t alignment = huge ? kHugePageBytes : 64;
  const int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  uint8_t* data = nullptr;
  ARROW_RETURN_NOT_OK(pool->Allocate(rounded, alignment, &data));
  Free();
  pool_ = pool;
  data_ = data;
  bytes_ = rounded;
  alignment_ = alignment;
  return arrow::Status::OK();
}

void PoolMemory::Free() {
  if (data_ != nullptr) pool_->Free(data_, bytes_, alignment_);
  data_ = nullptr;
  bytes_ = 0;
}

Arena::~Arena() {
  for (Block* block = first_.load(std::memory_order_relaxed); block != nullptr;) {
    Block* next = block->next.load(std::memory_order_relaxed);
    // The block stands in the memory that it owns: take that out before it goes.
    const PoolMemory memory = std::move(block->memory);
    block->~Block();
    block = next;
  }
}

arrow::Status Arena::Reserve(int64_t bytes) {
  if (last_ != nullptr && last_->capacity() - last_used_ >= bytes) return arrow::Status::OK();
  int64_t wanted = kFirstBlockBytes;
  if (last_ != nullptr) wanted = std::min(last_->memory.bytes() * kBlockGrowth, kHugePageBytes);
  PoolMemory memory;
  ARROW_RETURN_NOT_OK(memory.Allocate(std::max(wanted, bytes + kHeadBytes), pool_));
  if ((reinterpret_cast<uint64_t>(memory.data()) + static_cast<uint64_t>(memory.bytes())) >>
      kAddressBits) {
    return arrow::Status::NotImplemented("memory beyond ", kAddressBits, "-bit addresses");
  }
  auto* block = new (memory.data()) Block;
  block->memory = std::move(memory);
  bytes_.store(bytes_.load(std::memory_order_relaxed) + block->memory.bytes(),
               std::memory_order_relaxed);
  if (last_ == nullptr) {
    first_.store(block, std::memory_order_release);
  } else {
    last_->next.store(block, std::memory_order_release);
  }
  last_ = block;
  last_used_ = 0;
  return arrow::Status::OK();
}

}  // namespace marble

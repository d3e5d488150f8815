#include "tree/recycling_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace marble {

namespace {

/// A spare that was not asked for while so many times the most that is kept were given back is
/// taken for useless.
constexpr int64_t kTurnsUntilStale = 16;

/// Only advice: without huge pages everything works, more slowly. Allocators have often touched the
/// first page of fresh memory already, and a range with a small page in it gets no huge one: give
/// such pages back first (the content of new memory is nobody's).
void AskForHugePages(uint8_t* data, int64_t bytes) {
  static_cast<void>(madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE));
  static_cast<void>(madvise(data, static_cast<size_t>(bytes), MADV_DONTNEED));
}

/// What is allocated for `size` bytes; equal for many sizes, so that one's memory does for another.
int64_t SizeClass(int64_t size, int64_t alignment) {
  // What is far too much is for the base pool to refuse.
  constexpr int64_t most = int64_t{1} << 40;
  if (alignment == kHugePageBytes || size < kRecycledBytesMin || size > most) return size;
  const auto step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(size))) / 8;
  return (size + step - 1) / step * step;
}

/// How much larger than what is asked for a spare may be, and the part of the most that is kept
/// which may go to waste so.
constexpr int64_t kSpareFitMax = 2;
constexpr int64_t kWastePart = 8;

bool IsRecycled(int64_t size, int64_t alignment) {
  return alignment == kHugePageBytes || size >= kRecycledBytesMin;
}

}  // namespace

void RecyclingPool::SetSpareBytesMax(int64_t bytes) {
  MutexLock lock(&mutex_);
  spare_bytes_max_ = bytes;
  Trim();
}

int64_t RecyclingPool::spare_bytes() const {
  MutexLock lock(&mutex_);
  return spare_bytes_;
}

uint8_t* RecyclingPool::TakeSpare(int64_t bytes, int64_t alignment) {
  MutexLock lock(&mutex_);
  auto best = spares_.end();
  // Of the smallest that do the newest: it may still be in the processor's cache.
  for (auto spare = spares_.begin(); spare != spares_.end(); ++spare) {
    if (spare->alignment != alignment || spare->bytes < bytes) continue;
    if (best == spares_.end() || spare->bytes <= best->bytes) best = spare;
  }
  if (best == spares_.end() || best->bytes > kSpareFitMax * bytes) return nullptr;
  const int64_t waste = best->bytes - bytes;
  if (waste > 0) {
    if (wasted_bytes_ + waste > spare_bytes_max_ / kWastePart) return nullptr;
    larger_.emplace(best->data, best->bytes);
    wasted_bytes_ += waste;
  }
  uint8_t* data = best->data;
  spare_bytes_ -= best->bytes;
  spares_.erase(best);
  return data;
}

int64_t RecyclingPool::TakeTrueBytes(const uint8_t* data, int64_t size, int64_t alignment) {
  const int64_t asked = SizeClass(size, alignment);
  const auto larger = larger_.find(data);
  if (larger == larger_.end()) return asked;
  const int64_t bytes = larger->second;
  wasted_bytes_ -= bytes - asked;
  larger_.erase(larger);
  return bytes;
}

arrow::Status RecyclingPool::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  if (!IsRecycled(size, alignment)) return ProxyMemoryPool::Allocate(size, alignment, out);
  const int64_t bytes = SizeClass(size, alignment);
  *out = TakeSpare(bytes, alignment);
  if (*out != nullptr) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(ProxyMemoryPool::Allocate(bytes, alignment, out));
  if (alignment == kHugePageBytes) AskForHugePages(*out, bytes);
  return arrow::Status::OK();
}

arrow::Status RecyclingPool::Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                                        uint8_t** ptr) {
  if (!IsRecycled(old_size, alignment) && !IsRecycled(new_size, alignment)) {
    return ProxyMemoryPool::Reallocate(old_size, new_size, alignment, ptr);
  }
  if (SizeClass(old_size, alignment) == SizeClass(new_size, alignment)) return arrow::Status::OK();
  uint8_t* moved = nullptr;
  ARROW_RETURN_NOT_OK(Allocate(new_size, alignment, &moved));
  std::memcpy(moved, *ptr, static_cast<size_t>(std::min(old_size, new_size)));
  Free(*ptr, old_size, alignment);
  *ptr = moved;
  return arrow::Status::OK();
}

void RecyclingPool::Free(uint8_t* buffer, int64_t size, int64_t alignment) {
  if (!IsRecycled(size, alignment)) return ProxyMemoryPool::Free(buffer, size, alignment);
  MutexLock lock(&mutex_);
  const int64_t bytes = TakeTrueBytes(buffer, size, alignment);
  freed_bytes_ += bytes;
  // One that would drive all others out, and then go as well.
  if (bytes > spare_bytes_max_) return ProxyMemoryPool::Free(buffer, bytes, alignment);
  spares_.push_back({buffer, bytes, alignment, freed_bytes_});
  spare_bytes_ += bytes;
  Trim();
}

void RecyclingPool::Trim() {
  while (spare_bytes_ > spare_bytes_max_) {
    // A large block is waited for in one piece when it has to be made again: the smallest go, but
    // before them one whose size nobody asks for.
    auto goes = spares_.begin();
    if (freed_bytes_ - goes->freed < kTurnsUntilStale * spare_bytes_max_) {
      goes = std::ranges::min_element(spares_, {}, &Spare::bytes);
    }
    const Spare spare = *goes;
    spares_.erase(goes);
    spare_bytes_ -= spare.bytes;
    ProxyMemoryPool::Free(spare.data, spare.bytes, spare.alignment);
  }
}

}  // namespace marble

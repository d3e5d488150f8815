#include "tree/recycling_pool.h"

#include <sys/mman.h>

#include <algorithm>

namespace marble {

namespace {

/// Blocks given back until one that waited is taken for useless: those of some memtables.
constexpr uint64_t kFreesUntilStale = 1024;

/// Only advice: without huge pages everything works, more slowly. Allocators have often touched the
/// first page of fresh memory already, and a range with a small page in it gets no huge one: give
/// such pages back first (the content of new memory is nobody's).
void AskForHugePages(uint8_t* data, int64_t bytes) {
  static_cast<void>(madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE));
  static_cast<void>(madvise(data, static_cast<size_t>(bytes), MADV_DONTNEED));
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

arrow::Status RecyclingPool::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  if (alignment != kHugePageBytes) return ProxyMemoryPool::Allocate(size, alignment, out);
  {
    MutexLock lock(&mutex_);
    const auto found = std::find_if(spares_.rbegin(), spares_.rend(),
                                    [size](const Spare& spare) { return spare.bytes == size; });
    if (found != spares_.rend()) {
      *out = found->data;
      spare_bytes_ -= size;
      spares_.erase(std::next(found).base());
      return arrow::Status::OK();
    }
  }
  ARROW_RETURN_NOT_OK(ProxyMemoryPool::Allocate(size, alignment, out));
  AskForHugePages(*out, size);
  return arrow::Status::OK();
}

void RecyclingPool::Free(uint8_t* buffer, int64_t size, int64_t alignment) {
  if (alignment != kHugePageBytes) return ProxyMemoryPool::Free(buffer, size, alignment);
  MutexLock lock(&mutex_);
  spares_.push_back({buffer, size, ++frees_});
  spare_bytes_ += size;
  Trim();
}

void RecyclingPool::Trim() {
  while (spare_bytes_ > spare_bytes_max_) {
    // A large block is waited for in one piece when it has to be made again: the smallest go, but
    // before them one whose size nobody asks for.
    auto goes = spares_.begin();
    if (frees_ - goes->freed < kFreesUntilStale) {
      goes = std::ranges::min_element(spares_, {}, &Spare::bytes);
    }
    const Spare spare = *goes;
    spares_.erase(goes);
    spare_bytes_ -= spare.bytes;
    ProxyMemoryPool::Free(spare.data, spare.bytes, kHugePageBytes);
  }
}

}  // namespace marble

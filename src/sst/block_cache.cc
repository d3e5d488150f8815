#include "sst/block_cache.h"

#include <algorithm>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace marble {

namespace {

struct CacheKey {
  uint64_t file;
  int64_t block;
  bool operator==(const CacheKey&) const = default;
};

struct CacheKeyHash {
  size_t operator()(const CacheKey& key) const {
    // Multiply-shift over both numbers; consecutive blocks must not share a shard.
    const uint64_t mixed =
        key.file * 0x9e3779b97f4a7c15ull + static_cast<uint64_t>(key.block) * 0xc2b2ae3d27d4eb4full;
    return mixed ^ (mixed >> 29);
  }
};

struct CacheEntry {
  CacheKey key;
  std::shared_ptr<const Block> block;
  int64_t bytes;
};

}  // namespace

struct BlockCache::Shard {
  Mutex mutex;
  // Most recently used first.
  std::list<CacheEntry> entries MARBLE_GUARDED_BY(mutex);
  std::unordered_map<CacheKey, std::list<CacheEntry>::iterator, CacheKeyHash> index
      MARBLE_GUARDED_BY(mutex);
};

BlockCache::BlockCache(int64_t capacity_bytes, int64_t most_bytes)
    : shards_(std::make_unique<Shard[]>(kShards)),
      rows_(Share(std::max(capacity_bytes, most_bytes))),
      capacity_(capacity_bytes) {
  rows_.SetCapacity(Share(capacity_bytes));
}

BlockCache::~BlockCache() = default;

int BlockCache::ShardOf(uint64_t file, int64_t block) {
  return static_cast<int>((CacheKeyHash()({file, block}) >> 7) % kShards);
}

std::shared_ptr<const Block> BlockCache::Find(uint64_t file, int64_t block) {
  Shard& shard = shards_[ShardOf(file, block)];
  {
    MutexLock lock(&shard.mutex);
    const auto found = shard.index.find({file, block});
    if (found != shard.index.end()) {
      shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
      hits_.fetch_add(1, std::memory_order_relaxed);
      return found->second->block;
    }
  }
  misses_.fetch_add(1, std::memory_order_relaxed);
  return nullptr;
}

void BlockCache::Insert(uint64_t file, int64_t block, std::shared_ptr<const Block> value,
                        int64_t bytes) {
  if (bytes > room()) return;
  const int at = ShardOf(file, block);
  Shard& shard = shards_[at];
  // Freed after the mutex: dropping a block may free many buffers.
  std::shared_ptr<const Block> replaced;
  {
    MutexLock lock(&shard.mutex);
    const CacheKey key{file, block};
    const auto found = shard.index.find(key);
    if (found != shard.index.end()) {
      CacheEntry& entry = *found->second;
      bytes_ += bytes - entry.bytes;
      entry.bytes = bytes;
      replaced = std::exchange(entry.block, std::move(value));
      shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
    } else {
      shard.entries.push_front({key, std::move(value), bytes});
      shard.index.emplace(key, shard.entries.begin());
      bytes_ += bytes;
    }
  }
  Shrink(at);
}

void BlockCache::Shrink(int first_shard) {
  for (int i = 0; i < kShards && bytes() > room(); ++i) {
    Shard& shard = shards_[(first_shard + i) % kShards];
    // The block just inserted is the first of its shard and stays unless nothing else is left.
    const size_t keep = i == 0 ? 1 : 0;
    std::list<CacheEntry> evicted;
    MutexLock lock(&shard.mutex);
    while (bytes() > room() && shard.entries.size() > keep) {
      const auto last = std::prev(shard.entries.end());
      bytes_ -= last->bytes;
      shard.index.erase(last->key);
      evicted.splice(evicted.end(), shard.entries, last);
    }
  }
  if (bytes() <= room()) return;
  // A capacity that shrank below the one block left.
  Shard& shard = shards_[first_shard];
  std::list<CacheEntry> evicted;
  MutexLock lock(&shard.mutex);
  for (const CacheEntry& entry : shard.entries) bytes_ -= entry.bytes;
  shard.index.clear();
  evicted.swap(shard.entries);
}

void BlockCache::EraseFile(uint64_t file) {
  for (int i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    std::list<CacheEntry> erased;
    MutexLock lock(&shard.mutex);
    for (auto it = shard.entries.begin(); it != shard.entries.end();) {
      const auto next = std::next(it);
      if (it->key.file == file) {
        bytes_ -= it->bytes;
        shard.index.erase(it->key);
        erased.splice(erased.end(), shard.entries, it);
      }
      it = next;
    }
  }
}

void BlockCache::SetCapacity(int64_t bytes) {
  capacity_ = bytes;
  Fit();
}

void BlockCache::Fit() {
  // One at a time, so that the last one sets what the last change asks for.
  const std::lock_guard lock(fitting_);
  rows_.SetCapacity(Share(capacity() - pinned_bytes_));
  Shrink(0);
}

bool BlockCache::TryTake(int64_t bytes, int64_t most) {
  const int64_t taken = taken_.fetch_add(bytes) + bytes;
  if (taken > most) {
    taken_ -= bytes;
    return false;
  }
  pinned_bytes_ += bytes;
  Fit();
  return true;
}

void BlockCache::GiveBack(int64_t bytes) {
  taken_ -= bytes;
  pinned_bytes_ -= bytes;
  Fit();
}

}  // namespace marble

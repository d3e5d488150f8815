// A sharded LRU cache of decoded blocks (compressed files, files without mapping) and the
// accounting of memory that SSTable readers pin. One per database; thread-safe, one mutex a shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace marble {

struct Block;  // sst_reader.h

class BlockCache {
 public:
  explicit BlockCache(int64_t capacity_bytes);
  ~BlockCache();

  std::shared_ptr<const Block> Find(uint64_t file, int64_t block);
  /// Keeps `value` (of `bytes`) if it fits; evicts the least recently used. The shards share one
  /// capacity: a full cache makes room in the shard that grows, then in the others.
  void Insert(uint64_t file, int64_t block, std::shared_ptr<const Block> value, int64_t bytes);
  /// Forgets all blocks of a file that was deleted.
  void EraseFile(uint64_t file);

  void AddPinned(int64_t bytes) { pinned_bytes_ += bytes; }
  int64_t pinned_bytes() const { return pinned_bytes_; }
  int64_t bytes() const { return bytes_; }
  int64_t hits() const { return hits_; }
  int64_t misses() const { return misses_; }
  int64_t capacity() const { return capacity_; }
  void SetCapacity(int64_t bytes);

 private:
  struct Shard;
  static constexpr int kShards = 16;

  static int ShardOf(uint64_t file, int64_t block);
  /// Evicts until the cache is within its capacity, beginning with `first_shard`.
  void Shrink(int first_shard);

  std::unique_ptr<Shard[]> shards_;
  std::atomic<int64_t> capacity_;
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> pinned_bytes_{0};
  std::atomic<int64_t> hits_{0};
  std::atomic<int64_t> misses_{0};
};

}  // namespace marble

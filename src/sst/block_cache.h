// A sharded LRU cache of decoded blocks (compressed files, files without mapping, and of mapped
// tables what their readers do not keep), which shares its capacity with a cache of rows
// (row_cache.h), and the accounting of memory that SSTable readers pin. One per database;
// thread-safe, one mutex a shard.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "sst/row_cache.h"

namespace marble {

struct Block;  // sst_reader.h

class BlockCache {
 public:
  /// `most_bytes`: what SetCapacity may ask for at most, if that is more.
  explicit BlockCache(int64_t capacity_bytes, int64_t most_bytes = 0);
  ~BlockCache();

  std::shared_ptr<const Block> Find(uint64_t file, int64_t block);
  /// Keeps `value` (of `bytes`) if it fits; evicts the least recently used. The shards share one
  /// capacity: a full cache makes room in the shard that grows, then in the others.
  void Insert(uint64_t file, int64_t block, std::shared_ptr<const Block> value, int64_t bytes);
  /// Rows: as RowCache says. They get three quarters of the capacity at most, and push blocks out.
  bool FindRow(uint64_t reader, const PointQuery& query, FoundValue* out) {
    return rows_.Find(reader, query, out);
  }
  void OfferRow(uint64_t reader, const PointQuery& query, const FoundValue& row) {
    if (rows_.Offer(reader, query, row)) Shrink(0);
  }
  int64_t row_bytes() const { return rows_.bytes(); }
  int64_t row_hits() const { return rows_.hits(); }
  /// Forgets all blocks of a file that was deleted.
  void EraseFile(uint64_t file);

  /// Takes bytes of the capacity, until they are given back, for what somebody else keeps in its
  /// place. False if all that was taken would be more than three quarters.
  bool TryTake(int64_t bytes) { return TryTake(bytes, Share(capacity())); }
  /// The same with another limit.
  bool TryTake(int64_t bytes, int64_t most);
  void GiveBack(int64_t bytes);

  /// What readers keep for as long as they live. It leaves so much less to blocks and rows.
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

  static int64_t Share(int64_t capacity) { return std::max<int64_t>(capacity, 0) / 4 * 3; }
  /// What others leave to blocks, an eighth of the capacity at least.
  int64_t room() const {
    return std::max(capacity() / 8, capacity() - rows_.bytes() - pinned_bytes_);
  }
  /// To what the capacity and taken_ are now.
  void Fit();
  static int ShardOf(uint64_t file, int64_t block);
  /// Evicts until the cache is within its capacity, beginning with `first_shard`.
  void Shrink(int first_shard);

  std::unique_ptr<Shard[]> shards_;
  RowCache rows_;
  std::atomic<int64_t> capacity_;
  std::atomic<int64_t> taken_{0};
  std::mutex fitting_;
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> pinned_bytes_{0};  // taken_ and more
  std::atomic<int64_t> hits_{0};
  std::atomic<int64_t> misses_{0};
};

}  // namespace marble

// Rows of mapped key-value files, copied into memory of their own: where the files do not fit
// memory, a hot row costs the page cache several pages (index, key, value), here only its bytes.
//
// Once memory is full, a row is kept when it is offered for the second time in a while; in between,
// the table of rows remembers that it was there, in as many places as it has to spare. Kept rows
// lie in segments that are filled one after the other; when there are too many the oldest goes with
// its rows, but a row that is found in the older half is moved to the newest segment first. Nothing
// is ever changed in place, so that values stay as long as somebody holds their segment.
//
// Thread-safe, sharded, one mutex a shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "sst/point_query.h"

namespace marble {

class RowCache {
 public:
  /// `bytes_max`: what SetCapacity may ask for at most. The capacity is 0 at first.
  explicit RowCache(int64_t bytes_max);
  ~RowCache();

  /// The row of `query.key` in a file; snapshot and sequence are not looked at. The value is valid
  /// as long as its owner.
  bool Find(uint64_t file, const PointQuery& query, FoundValue* out);
  /// Keeps a row that was found in a file, if it is not large and there is room for it or it was
  /// offered before. True if that took memory.
  bool Offer(uint64_t file, const PointQuery& query, const FoundValue& row);

  void SetCapacity(int64_t bytes);
  /// Of segments and tables, never more than the capacity and what readers hold.
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  int64_t hits() const { return hits_.load(std::memory_order_relaxed); }

 private:
  struct Shard;
  struct Place;
  static constexpr int kShards = 16;

  Place PlaceOf(uint64_t file, uint64_t hash) const;

  const uint64_t buckets_;  // of a shard
  const std::unique_ptr<Shard[]> shards_;
  std::atomic<int64_t> segments_max_{0};  // of a shard; 0: keep nothing
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> hits_{0};
};

}  // namespace marble

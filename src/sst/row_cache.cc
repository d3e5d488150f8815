#include "sst/row_cache.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <vector>

#include "base/mutex.h"

namespace marble {

namespace {

constexpr int64_t kSegmentBytes = int64_t{64} << 10;
// Larger rows would waste the ends of segments, and gain less.
constexpr int64_t kRowBytesMax = kSegmentBytes / 8;
// Of a row and its part of the table, about: smaller ones find no place before the memory is full.
constexpr int64_t kBytesASlot = 128;
constexpr int64_t kUnit = 8;         // rows begin at multiples
constexpr int64_t kSegmentsMin = 2;  // of a shard

struct Segment {
  alignas(kUnit) std::array<char, kSegmentBytes> bytes;
};

/// In front of a row's key and value.
struct RowHeader {
  uint64_t file;
  uint16_t key_bytes;
  uint16_t value_bytes;
  RowKind kind;
  bool is_null;
};
static_assert(kRowBytesMax <= UINT16_MAX);

int64_t RowBytes(std::string_view key, std::string_view value) {
  const auto bytes = static_cast<int64_t>(sizeof(RowHeader) + key.size() + value.size());
  return (bytes + kUnit - 1) / kUnit * kUnit;
}

RowHeader HeaderOf(uint64_t file, std::string_view key, const FoundValue& row) {
  return {.file = file,
          .key_bytes = static_cast<uint16_t>(key.size()),
          .value_bytes = static_cast<uint16_t>(row.value.size()),
          .kind = row.kind,
          .is_null = row.value.data() == nullptr};
}

/// A place in the table: nothing (0), a key that was offered once (no segment), or a row.
class Slot {
 public:
  Slot() = default;
  Slot(uint16_t tag, uint32_t segment, int64_t offset)
      : tag_(tag), offset_(static_cast<uint16_t>(offset / kUnit)), segment_(segment) {}

  uint16_t tag() const { return tag_; }
  bool is_offered() const { return tag_ != 0 && segment_ == 0; }
  /// They are numbered from 1 on, per shard.
  uint32_t segment() const { return segment_; }
  int64_t offset() const { return offset_ * kUnit; }

 private:
  uint16_t tag_ = 0;
  uint16_t offset_ = 0;
  uint32_t segment_ = 0;
};

/// The slots where a key may be: one cache line.
struct alignas(64) Bucket {
  std::array<Slot, 8> slots;
};
static_assert(sizeof(Bucket) == 64);

}  // namespace

/// Where a key belongs.
struct RowCache::Place {
  Shard* shard;
  uint64_t bucket;
  uint16_t tag;  // not 0
};

struct RowCache::Shard {
  Mutex mutex;
  std::vector<Bucket> table MARBLE_GUARDED_BY(mutex);  // empty until a row is offered
  std::deque<std::shared_ptr<Segment>> segments MARBLE_GUARDED_BY(mutex);
  uint32_t first_segment MARBLE_GUARDED_BY(mutex) = 1;
  int64_t used MARBLE_GUARDED_BY(mutex) = 0;  // bytes of the last segment

  bool Has(const Slot& slot) const MARBLE_REQUIRES(mutex) {
    return slot.segment() >= first_segment && slot.segment() - first_segment < segments.size();
  }
  const std::shared_ptr<Segment>& SegmentOf(const Slot& slot) const MARBLE_REQUIRES(mutex) {
    return segments[slot.segment() - first_segment];
  }
  /// The header of the row at a slot that Has one, and the bytes behind it.
  const char* Load(const Slot& slot, RowHeader* header) const MARBLE_REQUIRES(mutex) {
    const char* at = SegmentOf(slot)->bytes.data() + slot.offset();
    std::memcpy(header, at, sizeof(*header));
    return at + sizeof(*header);
  }
  /// Is it the row of `key`?
  bool IsOf(const Slot& slot, uint64_t file, std::string_view key) const MARBLE_REQUIRES(mutex);
  FoundValue Row(const Slot& slot) const MARBLE_REQUIRES(mutex);
  /// The slot to give up for another key: an empty one, one without a row, or that with the oldest.
  Slot* Victim(Bucket* bucket, uint16_t tag) MARBLE_REQUIRES(mutex);
  /// Copies a row into the last segment.
  Slot Append(uint64_t file, std::string_view key, const FoundValue& row, uint16_t tag,
              int64_t segments_max) MARBLE_REQUIRES(mutex);
  void KeepSegments(int64_t most) MARBLE_REQUIRES(mutex);
  int64_t bytes() const MARBLE_REQUIRES(mutex) {
    return static_cast<int64_t>(segments.size()) * kSegmentBytes +
           static_cast<int64_t>(table.size() * sizeof(Bucket));
  }
};

bool RowCache::Shard::IsOf(const Slot& slot, uint64_t file, std::string_view key) const {
  RowHeader header;
  const char* at = Load(slot, &header);
  return header.file == file && std::string_view(at, header.key_bytes) == key;
}

FoundValue RowCache::Shard::Row(const Slot& slot) const {
  RowHeader header;
  const char* at = Load(slot, &header);
  FoundValue row;
  row.found = true;
  row.kind = header.kind;
  if (!header.is_null) row.value = {at + header.key_bytes, header.value_bytes};
  row.owner = SegmentOf(slot);
  return row;
}

Slot* RowCache::Shard::Victim(Bucket* bucket, uint16_t tag) {
  Slot* offered = nullptr;
  Slot* oldest = nullptr;
  // From another place on for other keys, so that those offered once do not all replace one.
  for (size_t i = 0; i < bucket->slots.size(); ++i) {
    Slot* slot = &bucket->slots[(i + tag / 2) % bucket->slots.size()];
    if (slot->is_offered()) {
      if (offered == nullptr) offered = slot;
    } else if (!Has(*slot)) {
      return slot;
    } else if (oldest == nullptr || slot->segment() < oldest->segment()) {
      oldest = slot;
    }
  }
  return offered != nullptr ? offered : oldest;
}

Slot RowCache::Shard::Append(uint64_t file, std::string_view key, const FoundValue& row,
                             uint16_t tag, int64_t segments_max) {
  const RowHeader header = HeaderOf(file, key, row);
  const int64_t length = RowBytes(key, row.value);
  if (segments.empty() || length > kSegmentBytes - used) {
    KeepSegments(segments_max - 1);
    segments.push_back(std::make_shared_for_overwrite<Segment>());
    used = 0;
  }
  char* at = segments.back()->bytes.data() + used;
  std::memcpy(at, &header, sizeof(header));
  at = std::ranges::copy(key, at + sizeof(header)).out;
  std::ranges::copy(row.value, at);
  const auto segment = first_segment + static_cast<uint32_t>(segments.size()) - 1;
  const Slot slot(tag, segment, used);
  used += length;
  return slot;
}

void RowCache::Shard::KeepSegments(int64_t most) {
  while (static_cast<int64_t>(segments.size()) > most) {
    segments.pop_front();
    ++first_segment;
  }
}

RowCache::RowCache(int64_t bytes_max)
    : buckets_(static_cast<uint64_t>(bytes_max / kShards / kBytesASlot) / Bucket().slots.size() +
               1),
      shards_(std::make_unique<Shard[]>(kShards)) {}

RowCache::~RowCache() = default;

RowCache::Place RowCache::PlaceOf(uint64_t file, uint64_t hash) const {
  // A key has one hash in all files. The high bits of a product depend on all bits of its factors.
  const uint64_t mixed = (hash ^ file * 0x9e3779b97f4a7c15ull) * 0xc2b2ae3d27d4eb4full;
  return {&shards_[mixed >> 60], (mixed >> 28 & UINT32_MAX) * buckets_ >> 32,
          static_cast<uint16_t>(mixed >> 12 | 1)};
}

bool RowCache::Find(uint64_t file, const PointQuery& query, FoundValue* out) {
  const Place place = PlaceOf(file, query.hash);
  Shard* shard = place.shard;
  MutexLock lock(&shard->mutex);
  if (shard->table.empty()) return false;
  for (Slot& slot : shard->table[place.bucket].slots) {
    if (slot.tag() != place.tag || !shard->Has(slot)) continue;
    if (!shard->IsOf(slot, file, query.key)) continue;
    *out = shard->Row(slot);
    const int64_t before = shard->bytes();
    const int64_t most = segments_max_.load(std::memory_order_relaxed);
    // The segment that is going to go first takes no row with it that is still asked for.
    if (slot.segment() - shard->first_segment < most / 2 &&
        static_cast<int64_t>(shard->segments.size()) >= most) {
      slot = shard->Append(file, query.key, *out, place.tag, most);
    }
    bytes_.fetch_add(shard->bytes() - before, std::memory_order_relaxed);
    hits_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  return false;
}

bool RowCache::Offer(uint64_t file, const PointQuery& query, const FoundValue& row) {
  if (RowBytes(query.key, row.value) > kRowBytesMax) return false;
  const Place place = PlaceOf(file, query.hash);
  Shard* shard = place.shard;
  MutexLock lock(&shard->mutex);
  const int64_t most = segments_max_.load(std::memory_order_relaxed);
  if (most == 0) return false;
  const int64_t before = shard->bytes();
  if (shard->table.empty()) shard->table.resize(buckets_);
  Bucket* bucket = &shard->table[place.bucket];
  Slot* slot = nullptr;
  for (Slot& other : bucket->slots) {
    if (other.tag() != place.tag) continue;
    if (!shard->Has(other)) {
      slot = &other;
    } else if (shard->IsOf(other, file, query.key)) {
      return false;
    }
  }
  const bool full = static_cast<int64_t>(shard->segments.size()) >= most;
  const bool offered = slot != nullptr;
  if (slot == nullptr) slot = shard->Victim(bucket, place.tag);
  if (full && !offered) {
    *slot = Slot(place.tag, /*segment=*/0, /*offset=*/0);
  } else {
    *slot = shard->Append(file, query.key, row, place.tag, most);
  }
  const int64_t grown = shard->bytes() - before;
  bytes_.fetch_add(grown, std::memory_order_relaxed);
  return grown > 0;
}

void RowCache::SetCapacity(int64_t bytes) {
  const auto tables = static_cast<int64_t>(kShards * buckets_ * sizeof(Bucket));
  const int64_t segments = (bytes - tables) / kShards / kSegmentBytes;
  const int64_t most = segments < kSegmentsMin ? 0 : segments;
  segments_max_.store(most, std::memory_order_relaxed);
  for (int i = 0; i < kShards; ++i) {
    Shard& shard = shards_[i];
    MutexLock lock(&shard.mutex);
    const int64_t before = shard.bytes();
    shard.KeepSegments(most);
    if (most == 0) std::vector<Bucket>().swap(shard.table);
    bytes_.fetch_add(shard.bytes() - before, std::memory_order_relaxed);
  }
}

}  // namespace marble

#include "tree/record_index.h"

#include <algorithm>
#include <bit>

#include "base/checksum.h"
#include "base/prefetch.h"
#include "row/key_encoding.h"

namespace marble {

namespace {

constexpr int64_t kFirstSlots = 256;
/// Tables grow by much, since entering anew what is there takes time, up to a size (of 4 MiB) that
/// is worth having for a hundred thousand records; larger ones by as little as can be.
constexpr int64_t kGrowth = 8;
constexpr int64_t kGrowthOfLarge = 2;
constexpr int64_t kLargeSlots = 512 * 1024;
/// Tables up to this size grow step by step whatever is expected of them: many idle tables with a
/// few rows each hold little.
constexpr int64_t kSmallSlots = 16 * 1024;
constexpr int kTagBits = 64 - kAddressBits + 3;  // addresses are multiples of 8
constexpr uint64_t kAddressMask = (uint64_t{1} << (kAddressBits - 3)) - 1;

/// Grow at three quarters: with whole lines as buckets most probes end in the first line still.
constexpr int64_t KeysMax(int64_t slots) { return slots / 4 * 3; }

int64_t GrownFrom(int64_t slots) {
  if (slots == 0) return kFirstSlots;
  return slots < kLargeSlots ? std::min(slots * kGrowth, kLargeSlots) : slots * kGrowthOfLarge;
}

uint64_t TagOf(uint64_t hash) { return hash & ((uint64_t{1} << kTagBits) - 1); }

uint64_t MakeSlot(const Record* record, uint64_t hash) {
  return TagOf(hash) << (kAddressBits - 3) | reinterpret_cast<uint64_t>(record) >> 3;
}

const Record* RecordOf(uint64_t slot) {
  return reinterpret_cast<const Record*>((slot & kAddressMask) << 3);
}

bool TagMatches(uint64_t slot, uint64_t hash) { return slot >> (kAddressBits - 3) == TagOf(hash); }

uint64_t Load(const uint64_t* slot) {
  // atomic_ref of const objects comes with C++26; loading does not write.
  return std::atomic_ref<uint64_t>(*const_cast<uint64_t*>(slot)).load(std::memory_order_acquire);
}

/// The slots in which a key with this hash may stand, in order: its line from some place on and
/// around, then the following lines. `visit(slot)` returns true to stop.
template <typename Visit>
void Probe(uint64_t* line, uint64_t* begin, uint64_t* end, uint64_t hash, int line_slots,
           const Visit& visit) {
  const uint64_t start = hash >> kTagBits;
  while (true) {
    for (int i = 0; i < line_slots; ++i) {
      if (visit(line + ((start + static_cast<uint64_t>(i)) & (line_slots - 1)))) return;
    }
    line += line_slots;
    if (line == end) line = begin;
  }
}

}  // namespace

const Record* RecordIndex::Find(std::string_view key, uint64_t hash) const {
  const Table* table = table_.load(std::memory_order_acquire);
  if (table == nullptr) return nullptr;
  auto* begin = reinterpret_cast<uint64_t*>(table->memory.data());
  const Record* found = nullptr;
  Probe(table->Line(hash), begin, begin + table->slots, hash, kLineSlots, [&](uint64_t* place) {
    const uint64_t slot = Load(place);
    if (slot == 0) return true;
    if (!TagMatches(slot, hash) || !IsSameKey(RecordOf(slot)->key(), key)) return false;
    found = RecordOf(slot);
    return true;
  });
  return found;
}

void RecordIndex::Insert(Record* record, uint64_t hash) {
  const Table& table = *tables_.back();
  auto* begin = reinterpret_cast<uint64_t*>(table.memory.data());
  record->older = nullptr;
  Probe(table.Line(hash), begin, begin + table.slots, hash, kLineSlots, [&](uint64_t* place) {
    const uint64_t slot = *place;  // only this thread writes it
    if (slot == 0) {
      ++keys_;
    } else if (TagMatches(slot, hash) && IsSameKey(RecordOf(slot)->key(), record->key())) {
      record->older = RecordOf(slot);
    } else {
      return false;
    }
    std::atomic_ref<uint64_t>(*place).store(MakeSlot(record, hash), std::memory_order_release);
    return true;
  });
}

arrow::Status RecordIndex::Reserve(int64_t keys, arrow::MemoryPool* pool) {
  int64_t slots = tables_.empty() ? 0 : tables_.back()->slots;
  if (keys_ + keys <= KeysMax(slots)) return arrow::Status::OK();
  while (keys_ + keys > KeysMax(slots)) slots = GrownFrom(slots);
  if (slots > kSmallSlots) {
    // Some more than expected, so that a table does not grow shortly before it is full.
    while (expected_keys_ + expected_keys_ / 8 > KeysMax(slots)) slots *= 2;
  }

  auto table = std::make_unique<Table>();
  const int64_t bytes = slots * static_cast<int64_t>(sizeof(uint64_t));
  ARROW_RETURN_NOT_OK(table->memory.Allocate(bytes, pool));
  std::memset(table->memory.data(), 0, static_cast<size_t>(bytes));
  table->slots = slots;
  table->line_shift = 64 - std::countr_zero(static_cast<uint64_t>(slots / kLineSlots));
  if (!tables_.empty()) Rehash(*tables_.back(), *table);
  bytes_.store(bytes_.load(std::memory_order_relaxed) + table->memory.bytes(),
               std::memory_order_relaxed);
  tables_.push_back(std::move(table));
  table_.store(tables_.back().get(), std::memory_order_release);
  return arrow::Status::OK();
}

void RecordIndex::Rehash(const Table& from, const Table& to) const {
  // The line is taken from the upper bits of the hash, so both tables are passed through from front
  // to back; only the records are read at random, and those are prefetched.
  constexpr int64_t kAhead = 16;
  const auto* old_slots = reinterpret_cast<const uint64_t*>(from.memory.data());
  auto* begin = reinterpret_cast<uint64_t*>(to.memory.data());
  for (int64_t i = 0; i < from.slots; ++i) {
    if (i + kAhead < from.slots) PrefetchLine(RecordOf(old_slots[i + kAhead]));
    if (old_slots[i] == 0) continue;
    const uint64_t hash = HashKey(RecordOf(old_slots[i])->key(), hash_seed_);
    Probe(to.Line(hash), begin, begin + to.slots, hash, kLineSlots, [&](uint64_t* place) {
      if (*place != 0) return false;
      *place = old_slots[i];
      return true;
    });
  }
}

}  // namespace marble

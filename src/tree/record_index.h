// The records of a key-value memtable and the hash table that finds the newest one of a key. The
// writer and any number of readers work at the same time: a record is complete before its slot or a
// newer record points to it.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/status.h>

#include "base/prefetch.h"
#include "row/row_kind.h"
#include "tree/arena.h"

namespace marble {

/// One version of one key, in an arena: this head, the key's bytes, the value's bytes. Immutable
/// once published.
struct Record {
  /// The next older version of the same key; nullptr if there is none.
  const Record* older;
  /// Sequence << 8 | null flag << 7 | kind.
  uint64_t sequence_and_kind;
  uint32_t key_bytes;
  uint32_t value_bytes;

  static constexpr uint64_t kNullFlag = 0x80;

  uint64_t sequence() const { return sequence_and_kind >> 8; }
  RowKind kind() const { return static_cast<RowKind>(sequence_and_kind & 0x7f); }
  /// The value column is null (only rows of record batches can be).
  bool value_is_null() const { return (sequence_and_kind & kNullFlag) != 0; }
  const char* key_data() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view key() const { return {key_data(), key_bytes}; }
  std::string_view value() const { return {key_data() + key_bytes, value_bytes}; }

  /// Bytes of a record in the arena, a multiple of 8.
  static int64_t SizeOf(int64_t key_bytes, int64_t value_bytes) {
    return (static_cast<int64_t>(sizeof(Record)) + key_bytes + value_bytes + 7) & ~int64_t{7};
  }
  int64_t size() const { return SizeOf(key_bytes, value_bytes); }
};

/// Open addressing in lines of eight slots. A slot is 0 or a 19-bit tag of the key's hash above the
/// address of the key's newest record (48 bits, of which the lower 3 are zero): an address instead
/// of an arena offset saves every get the look into a directory of blocks. A growing index leaves
/// its former tables in place until it dies, since readers may be in them; what a reader may see
/// was in the table that it finds.
class RecordIndex {
 public:
  /// `expected_keys` may be wrong: a table that outgrows a small size gets room for so many at
  /// once.
  RecordIndex(uint64_t hash_seed, int64_t expected_keys)
      : hash_seed_(hash_seed), expected_keys_(expected_keys) {}

  // --- Any thread.

  /// Newest record of `key`; nullptr if there is none.
  const Record* Find(std::string_view key, uint64_t hash) const;
  void Prefetch(uint64_t hash) const {
    const Table* table = table_.load(std::memory_order_acquire);
    if (table != nullptr) PrefetchLine(table->Line(hash));
  }
  int64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // --- Writer side.

  /// Makes sure that `keys` more can be inserted without failing.
  arrow::Status Reserve(int64_t keys, arrow::MemoryPool* pool);
  /// Makes `record` the newest of its key: sets its `older` and publishes it. Room was reserved.
  void Insert(Record* record, uint64_t hash);

 private:
  struct Table {
    PoolMemory memory;
    int line_shift = 0;  // the line of a hash is hash >> line_shift
    int64_t slots = 0;

    uint64_t* Line(uint64_t hash) const {
      return reinterpret_cast<uint64_t*>(memory.data()) + (hash >> line_shift) * kLineSlots;
    }
  };
  static constexpr int kLineSlots = 8;

  void Rehash(const Table& from, const Table& to) const;

  const uint64_t hash_seed_;
  const int64_t expected_keys_;
  std::atomic<const Table*> table_{nullptr};
  std::atomic<int64_t> bytes_{0};
  // The writer's: all tables, the last one in use, and how many slots of it are taken.
  std::vector<std::unique_ptr<Table>> tables_;
  int64_t keys_ = 0;
};

}  // namespace marble

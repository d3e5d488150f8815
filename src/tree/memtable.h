// Rows in memory, before they are flushed: point_memtable.h for tables of one binary-like key and
// value (a hash over an arena), batch_memtable.h for all others (sorted record batches). Written by
// one thread at a time (under the database's mutex), read by any number at the same time without
// locks; readers see a row once its sequence is published (they pass the snapshot). Sealed
// memtables do not change.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include "row/batch_ops.h"
#include "row/stored_schema.h"
#include "sst/sst_reader.h"
#include "tree/sorted_reader.h"
#include "tree/tombstone_list.h"

namespace marble {

/// A key, its value and HashKey(key), where they lie.
struct PutPair {
  std::string_view key;
  std::string_view value;
  uint64_t hash = 0;
};

class Memtable {
 public:
  /// The right kind for `schema`. `pool` accounts the arenas. `hash_seed` as in HashKey.
  /// `expected_keys` sizes the index of a key-value memtable that grows large.
  static std::shared_ptr<Memtable> Make(std::shared_ptr<const StoredSchema> schema,
                                        uint64_t hash_seed, arrow::MemoryPool* pool,
                                        int64_t expected_keys = 0);
  virtual ~Memtable() = default;

  // --- Writer side. Sequences never decrease. A failed allocation is a Status and leaves no trace.

  /// Key-value tables only. `hash` = HashKey(key).
  virtual arrow::Status Put(uint64_t sequence, std::string_view key, uint64_t hash,
                            std::string_view value) = 0;
  /// As that many puts, the first at `sequence` and each of the others one behind. A failed
  /// allocation leaves those that came before it.
  virtual arrow::Status PutMany(uint64_t sequence, std::span<const PutPair> pairs) = 0;
  virtual arrow::Status Delete(uint64_t sequence, std::string_view key, uint64_t hash) = 0;
  /// Any table. `rows` is sorted and unique and owned by the engine; it is kept, not copied, by
  /// batch memtables. For append tables `keys` is empty and `first_row_id` numbers the rows.
  virtual arrow::Status InsertRows(uint64_t sequence, const SortedRows& rows, RowKind kind,
                                   uint64_t first_row_id) = 0;
  virtual arrow::Status DeleteRange(RangeTombstone tombstone) = 0;

  // --- Readers.

  /// The newest row of `key` with sequence <= snapshot, deletes included; range tombstones are not
  /// looked at. FindValue: key-value tables, a fresh `out`; its owner stays empty, since the value
  /// lies in the memtable.
  virtual arrow::Status FindValue(std::string_view key, uint64_t hash, uint64_t snapshot,
                                  FoundValue* out) const = 0;
  virtual arrow::Result<std::optional<FoundRow>> GetRow(std::string_view key, uint64_t hash,
                                                        uint64_t snapshot) const = 0;
  virtual void Prefetch(uint64_t hash) const = 0;
  /// All versions with sequence <= request.snapshot. The memtable must outlive the reader's
  /// batches' use: batches keep what they need alive themselves.
  virtual arrow::Result<std::unique_ptr<SortedReader>> NewReader(
      const ReadRequest& request) const = 0;
  /// Those written so far (their sequences may be beyond the snapshot: ask with it).
  const TombstoneList& range_tombstones() const { return range_tombstones_; }

  /// Memory of rows and indexes, bytes.
  virtual int64_t bytes() const = 0;
  /// Rows and tombstones written (versions count).
  virtual int64_t entries() const = 0;
  virtual bool has_deletes() const = 0;
  bool empty() const { return entries() == 0; }

  /// Lowest and highest sequence written; valid when not empty.
  uint64_t sequence_min() const { return sequence_min_.load(std::memory_order_acquire); }
  /// May it have rows or tombstones that `snapshot`, a published sequence, sees?
  bool Concerns(uint64_t snapshot) const {
    const uint64_t first = sequence_min();
    return first != 0 && first <= snapshot;
  }
  uint64_t sequence_max() const { return sequence_max_.load(std::memory_order_acquire); }
  /// Append tables: id of the first row; valid when not empty.
  virtual uint64_t first_row_id() const { return 0; }

 protected:
  void NoteSequence(uint64_t sequence) {
    if (sequence_min_.load(std::memory_order_relaxed) == 0) {
      sequence_min_.store(sequence, std::memory_order_release);
    }
    sequence_max_.store(sequence, std::memory_order_release);
  }

  TombstoneList range_tombstones_;

 private:
  std::atomic<uint64_t> sequence_min_{0};
  std::atomic<uint64_t> sequence_max_{0};
};

}  // namespace marble

// Memtable of key-value tables: records in an arena, found by key through a hash table
// (record_index.h) and put into order only when somebody asks for order (sorted_runs.h). One writer
// at a time, readers without locks; a row is complete in the index and in the order of writing
// before its writer publishes its sequence.
//
// Values found by FindValue lie in the arena: FoundValue::owner stays empty, and who wants to keep
// them holds the memtable.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/prefetch.h"
#include "tree/arena.h"
#include "tree/memtable.h"
#include "tree/record_index.h"
#include "tree/sorted_runs.h"

namespace marble {

/// The records in the order of writing, as a source of sorted runs: a handle is a record's address.
/// Shared with readers, which therefore outlive the memtable safely.
class RecordStore {
 public:
  using Position = Arena::Position;

  explicit RecordStore(arrow::MemoryPool* pool) : arena_(pool) {}

  static const Record* RecordOf(uint64_t handle) { return reinterpret_cast<const Record*>(handle); }

  std::string_view key(uint64_t handle) const { return RecordOf(handle)->key(); }
  uint64_t sequence(uint64_t handle) const { return RecordOf(handle)->sequence(); }
  void Prefetch(uint64_t handle) const {
    const auto* bytes = reinterpret_cast<const char*>(handle);
    PrefetchLine(bytes);
    PrefetchLine(bytes + 64);
    PrefetchLine(bytes + 128);
  }
  int64_t rows() const { return rows_.load(std::memory_order_acquire); }
  void Collect(Position* position, int64_t size, KeyEntry* entries) const;

  // --- Writer side.
  Arena* arena() { return &arena_; }
  void PublishRows(int64_t rows) {
    arena_.Publish();
    rows_.store(rows_.load(std::memory_order_relaxed) + rows, std::memory_order_release);
  }
  int64_t bytes() const { return arena_.bytes(); }

 private:
  Arena arena_;
  std::atomic<int64_t> rows_{0};
};

class PointMemtable final : public Memtable {
 public:
  PointMemtable(std::shared_ptr<const StoredSchema> schema, uint64_t hash_seed,
                arrow::MemoryPool* pool, int64_t expected_keys);

  arrow::Status Put(uint64_t sequence, std::string_view key, uint64_t hash,
                    std::string_view value) override;
  arrow::Status PutMany(uint64_t sequence, std::span<const PutPair> pairs) override;
  arrow::Status Delete(uint64_t sequence, std::string_view key, uint64_t hash) override;
  arrow::Status InsertRows(uint64_t sequence, const SortedRows& rows, RowKind kind,
                           uint64_t first_row_id) override;
  arrow::Status DeleteRange(RangeTombstone tombstone) override;

  arrow::Status FindValue(std::string_view key, uint64_t hash, uint64_t snapshot,
                          FoundValue* out) const override;
  arrow::Result<std::optional<FoundRow>> GetRow(std::string_view key, uint64_t hash,
                                                uint64_t snapshot) const override;
  void Prefetch(uint64_t hash) const override { index_.Prefetch(hash); }
  arrow::Result<std::unique_ptr<SortedReader>> NewReader(const ReadRequest& request) const override;

  /// The rows published so far in order, and where they are: for cursors. Both outlive the
  /// memtable.
  arrow::Result<std::shared_ptr<const RunList>> SortedRuns() const {
    return runs_.Refresh(*store_);
  }
  const std::shared_ptr<RecordStore>& store() const { return store_; }

  int64_t bytes() const override {
    return store_->bytes() + index_.bytes() + runs_.bytes() + range_tombstones_.bytes();
  }
  int64_t entries() const override { return store_->rows() + range_tombstones_.size(); }
  bool has_deletes() const override { return has_deletes_.load(std::memory_order_acquire); }

 private:
  /// Makes sure that Append cannot fail for `rows` records of `bytes` bytes together.
  arrow::Status Reserve(int64_t rows, int64_t bytes);
  void Append(std::string_view key, uint64_t hash, std::string_view value,
              uint64_t sequence_and_kind);
  template <typename ArrayType>
  arrow::Status InsertArrays(uint64_t sequence, const EncodedKeys& keys, const ArrayType& values,
                             RowKind kind);
  const Record* Find(std::string_view key, uint64_t hash, uint64_t snapshot) const;

  const std::shared_ptr<const StoredSchema> schema_;
  const uint64_t hash_seed_;
  arrow::MemoryPool* const pool_;
  const std::shared_ptr<RecordStore> store_;
  RecordIndex index_;
  std::atomic<bool> has_deletes_{false};
  mutable RunCache<RecordStore> runs_;
};

}  // namespace marble

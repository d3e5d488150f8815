// Memtable of all tables but key-value ones: the inserted record batches themselves, each a sorted
// run, in a list that readers see without locks. Few batches are searched and merged directly; of
// many the readers keep a sorted index of (key, batch, row), so columns are moved only when rows
// are delivered. Batches of append tables are numbered by row id and need no order.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "tree/batch_rows.h"
#include "tree/memtable.h"
#include "tree/sorted_runs.h"

namespace marble {

class BatchMemtable final : public Memtable {
 public:
  BatchMemtable(std::shared_ptr<const StoredSchema> schema, arrow::MemoryPool* pool);

  /// Refused: rows come as batches.
  arrow::Status Put(uint64_t sequence, std::string_view key, uint64_t hash,
                    std::string_view value) override;
  arrow::Status PutMany(uint64_t sequence, std::span<const PutPair> pairs) override;
  arrow::Status Delete(uint64_t sequence, std::string_view key, uint64_t hash) override;
  arrow::Status InsertRows(uint64_t sequence, const SortedRows& rows, RowKind kind,
                           uint64_t first_row_id) override;
  arrow::Status DeleteRange(RangeTombstone tombstone) override;

  /// Refused, as Put is.
  arrow::Status FindValue(std::string_view key, uint64_t hash, uint64_t snapshot,
                          FoundValue* out) const override;
  /// Keyed tables only.
  arrow::Result<std::optional<FoundRow>> GetRow(std::string_view key, uint64_t hash,
                                                uint64_t snapshot) const override;
  /// Keys are searched for, not hashed.
  void Prefetch(uint64_t /*hash*/) const override {}
  arrow::Result<std::unique_ptr<SortedReader>> NewReader(const ReadRequest& request) const override;

  int64_t bytes() const override {
    return batch_bytes_.load(std::memory_order_relaxed) + runs_.bytes() + range_tombstones_.bytes();
  }
  int64_t entries() const override { return store_->rows() + range_tombstones_.size(); }
  bool has_deletes() const override { return has_deletes_.load(std::memory_order_acquire); }
  uint64_t first_row_id() const override {
    return store_->size() == 0 ? 0 : (*store_)[0].first_row_id;
  }

 private:
  /// The parts of the runs that a request asks for, in key order, if no two of them overlap;
  /// nullopt otherwise, or if there are too many to look.
  std::optional<std::vector<RunSlice>> DisjointSlices(const ReadRequest& request) const;
  std::vector<RunSlice> AppendSlices(const ReadRequest& request) const;
  /// The row of `key` in one run, if it is there.
  std::optional<int64_t> FindInRun(int64_t run, std::string_view key, uint64_t snapshot) const;
  FoundRow Found(int64_t run, int64_t row) const;

  const std::shared_ptr<const StoredSchema> schema_;
  arrow::MemoryPool* const pool_;
  const std::shared_ptr<BatchStore> store_;
  std::atomic<int64_t> batch_bytes_{0};
  std::atomic<bool> has_deletes_{false};
  mutable RunCache<BatchStore> runs_;
};

}  // namespace marble

// The record batches of a memtable that keeps batches, and how rows are taken out of them. A row is
// named by its run (the how-manieth batch it came in) and its place there; nothing is copied until
// rows of several batches are delivered as one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>
#include <arrow/type.h>

#include "row/batch_ops.h"
#include "row/stored_schema.h"
#include "sst/sst_reader.h"
#include "tree/append_list.h"
#include "tree/entry_sort.h"

namespace marble {

/// One inserted batch: sorted, one row a key, one sequence; in append tables in the order of row
/// ids.
struct BatchRun {
  std::shared_ptr<const Block> block;
  /// Append tables: id of the first row.
  uint64_t first_row_id = 0;
  /// Rows of the memtable before this run.
  int64_t rows_before = 0;
  /// Bytes of a row, roughly.
  int64_t row_bytes = 0;

  const RowBatch& rows() const { return block->rows; }
  int64_t num_rows() const { return rows().num_rows(); }
};

/// The batches in the order of writing, as a source of sorted runs (sorted_runs.h): a handle is run
/// << 32 | row. One writer, any number of readers, who share it and may outlive the memtable.
class BatchStore {
 public:
  /// A run.
  using Position = int64_t;

  static uint64_t HandleOf(int64_t run, int64_t row) {
    return static_cast<uint64_t>(run) << 32 | static_cast<uint64_t>(row);
  }
  static int64_t RunOf(uint64_t handle) { return static_cast<int64_t>(handle >> 32); }
  static int64_t RowOf(uint64_t handle) { return static_cast<int64_t>(handle & 0xffffffff); }

  std::string_view key(uint64_t handle) const {
    return runs_[RunOf(handle)].rows().keys[RowOf(handle)];
  }
  uint64_t sequence(uint64_t handle) const { return runs_[RunOf(handle)].rows().sequence; }
  /// A key lies several pointers away: there is no one address to fetch.
  void Prefetch(uint64_t /*handle*/) const {}
  int64_t rows() const { return RowsBefore(runs_.size()); }
  void Collect(Position* position, int64_t size, KeyEntry* entries) const;

  int64_t size() const { return runs_.size(); }
  const BatchRun& operator[](int64_t run) const { return runs_[run]; }
  /// Rows in the first `run` runs.
  int64_t RowsBefore(int64_t run) const {
    return run == 0 ? 0 : runs_[run - 1].rows_before + runs_[run - 1].num_rows();
  }

  /// Writer only; sets `rows_before`.
  void Append(BatchRun run) {
    run.rows_before = rows();
    runs_.Append(std::move(run));
  }

 private:
  AppendList<BatchRun> runs_;
};

/// Rows [begin, end) of a run.
struct RunSlice {
  int64_t run;
  int64_t begin;
  int64_t end;
};

/// Makes batches of some columns of one table from slices of runs. Not thread-safe.
class BatchRowBuilder {
 public:
  BatchRowBuilder(std::shared_ptr<const BatchStore> store,
                  std::shared_ptr<const StoredSchema> schema, std::vector<int> columns,
                  bool want_keys, arrow::MemoryPool* pool);

  /// The slices' rows in their order. One slice alone is not copied. Of an append table with keys
  /// wanted the row ids must be contiguous.
  arrow::Result<RowBatch> Build(std::span<const RunSlice> slices);

 private:
  arrow::Result<RowBatch> Copy(std::span<const RunSlice> slices);
  const std::shared_ptr<arrow::RecordBatch>& Projected(int64_t run);
  /// Place of a run among the sources of a copy, added if it is not there.
  int32_t SourceOf(int64_t run, std::vector<RowBatch>* sources);

  const std::shared_ptr<const BatchStore> store_;
  const std::shared_ptr<const StoredSchema> schema_;
  const std::vector<int> columns_;
  const bool want_keys_;
  arrow::MemoryPool* const pool_;
  std::shared_ptr<arrow::Schema> projected_schema_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> projected_;  // by run, made when asked for
  std::vector<int32_t> source_of_run_;                          // of a copy under way, else -1
};

}  // namespace marble

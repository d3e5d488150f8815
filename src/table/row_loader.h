// Rows of any number on their way into one commit: an external sort whose runs are SSTables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/options.h>

#include "db/core.h"

namespace marble {

/// Rows are collected up to a share of the memory budget, then sorted and written as a run of
/// synced SSTables that nothing refers to; at the end one log record attaches the runs. Commit
/// point: that record. What is not committed is removed by the destructor. One thread.
class RowLoader {
 public:
  /// Bytes that are collected: an eighth of Options::memory_budget, but 1 MiB to 1 GiB.
  static int64_t ShareOf(int64_t memory_budget);

  RowLoader(std::shared_ptr<DatabaseCore> core, std::shared_ptr<TableState> table,
            int64_t memory_budget);
  ~RowLoader();
  RowLoader(const RowLoader&) = delete;
  RowLoader& operator=(const RowLoader&) = delete;

  /// Checks a batch from outside and takes it behind those before. Its buffers are kept until
  /// their run is written, or to the end; those of a slice of a larger batch are copied if that is
  /// asked for, so that the batch can go.
  arrow::Status Add(const std::shared_ptr<arrow::RecordBatch>& batch, bool copy_slices = false);
  /// All that `rows` still gives, slices copied.
  arrow::Status AddAll(arrow::RecordBatchReader* rows);

  /// All rows in one commit. Those that never filled a run are inserted batch by batch: through
  /// log and memtable, or in a file of their own if a batch is larger than these.
  arrow::Status Commit(const WriteOptions& options);
  /// The same in SSTables, however few there are.
  arrow::Status CommitInFiles(const WriteOptions& options);

  /// Rows taken, those included that later ones of their key replace.
  int64_t rows() const { return rows_; }

 private:
  /// Files that do not overlap. Later runs have later rows.
  struct Run {
    std::vector<FileMeta> files;
    int merges = 0;  // times that its rows were merged
  };

  arrow::Status CommitPending(const WriteOptions& options);
  arrow::Status FinishRun();
  arrow::Status AddRun(std::vector<FileMeta> files);
  size_t NewestAlike() const;
  arrow::Status MergeNewest(size_t count);

  const std::shared_ptr<DatabaseCore> core_;
  const std::shared_ptr<TableState> table_;
  const int64_t run_bytes_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> pending_;  // stored types
  int64_t pending_bytes_ = 0;
  int64_t pending_rows_ = 0;
  int64_t rows_ = 0;
  uint64_t rows_written_ = 0;
  std::vector<Run> runs_;  // oldest first
};

}  // namespace marble

// A load of any size in one commit: an external sort whose runs are SSTables. Rows are collected up
// to a share of the memory budget, sorted and written as a run; at the end one log record attaches
// the runs. Commit point: that record. One thread; nobody else knows of the files before it.
#include <algorithm>
#include <utility>

#include <arrow/util/byte_size.h>

#include <marble/transfer.h>

#include "db/core.h"
#include "row/batch_ops.h"

namespace marble {
namespace {

/// Rows collected before they are sorted: a part of the memory budget, within bounds. The upper one
/// keeps the offsets of a collected column within 32 bits.
constexpr int64_t kBudgetParts = 8;
constexpr int64_t kRunBytesMin = int64_t{1} << 20;
constexpr int64_t kRunBytesMax = int64_t{1} << 30;
/// Runs merged at once: as many blocks are in memory.
constexpr size_t kMergeRuns = 16;
/// Runs that are attached at most. Reads look into each until compaction has merged them, and
/// writers slow down where level 0 has many.
constexpr size_t kAttachRuns = 8;

class BulkLoader {
 public:
  BulkLoader(std::shared_ptr<DatabaseCore> core, std::shared_ptr<TableState> table,
             int64_t memory_budget)
      : core_(std::move(core)),
        table_(std::move(table)),
        run_bytes_(std::clamp(memory_budget / kBudgetParts, kRunBytesMin, kRunBytesMax)) {}
  ~BulkLoader() {
    for (const Run& run : runs_) core_->RemoveBulkFiles(run.files);
  }
  BulkLoader(const BulkLoader&) = delete;
  BulkLoader& operator=(const BulkLoader&) = delete;

  arrow::Status Add(const std::shared_ptr<arrow::RecordBatch>& batch) {
    ARROW_ASSIGN_OR_RAISE(auto stored, InTable(table_->info.name, table_->schema->ToStored(batch)));
    if (stored->num_rows() == 0) return arrow::Status::OK();
    // Batches may have one row each.
    const int64_t bytes = BatchBytes(*stored) + BatchOverhead(stored->num_columns());
    // A slice would keep all of its batch's memory until the run is written.
    if (arrow::util::TotalBufferSize(*stored) > 2 * bytes) {
      ARROW_ASSIGN_OR_RAISE(stored, InTable(table_->info.name, CopyBatch(stored, core_->pool())));
    }
    if (!pending_.empty() && pending_bytes_ + bytes > run_bytes_) {
      ARROW_RETURN_NOT_OK(FinishRun());
    }
    pending_.push_back(std::move(stored));
    pending_bytes_ += bytes;
    rows_ += batch->num_rows();
    return arrow::Status::OK();
  }

  arrow::Result<int64_t> Commit(const WriteOptions& options) {
    ARROW_RETURN_NOT_OK(FinishRun());
    while (runs_.size() > kAttachRuns) {
      const size_t alike = NewestAlike();
      ARROW_RETURN_NOT_OK(MergeNewest(std::max<size_t>(alike, 2)));
    }
    std::vector<Operation> operations;
    for (Run& run : std::exchange(runs_, {})) {
      Operation op;
      op.kind = OperationKind::kAttach;
      op.table = table_.get();
      op.files = std::move(run.files);
      operations.push_back(std::move(op));
    }
    ARROW_RETURN_NOT_OK(core_->Commit(operations, options));
    return rows_;
  }

 private:
  /// Files that do not overlap. Later runs have later rows.
  struct Run {
    std::vector<FileMeta> files;
    int merges = 0;  // times that its rows were merged
  };

  arrow::Status FinishRun() {
    if (pending_.empty()) return arrow::Status::OK();
    const StoredSchema& schema = *table_->schema;
    std::vector<RowSlice> slices;
    for (size_t i = 0; i < pending_.size(); ++i) {
      slices.push_back({static_cast<int32_t>(i), false, 0, pending_[i]->num_rows()});
    }
    ARROW_ASSIGN_OR_RAISE(auto rows,
                          InTable(table_->info.name,
                                  Gather(schema.stored_schema(), pending_, slices, core_->pool())));
    pending_.clear();
    pending_bytes_ = 0;
    SortedRows sorted;
    if (schema.is_append()) {
      sorted.columns = std::move(rows);
    } else {
      ARROW_ASSIGN_OR_RAISE(auto keys, InTable(table_->info.name, schema.codec()->Encode(*rows)));
      ARROW_ASSIGN_OR_RAISE(
          sorted, SortByKey(rows, keys, *schema.codec(), core_->pool(), core_->helpers()));
    }
    const auto written = static_cast<uint64_t>(sorted.columns->num_rows());
    ARROW_ASSIGN_OR_RAISE(auto files, core_->WriteBulkRun(*table_, sorted, rows_written_));
    rows_written_ += written;
    return AddRun(std::move(files));
  }

  arrow::Status AddRun(std::vector<FileMeta> files) {
    // Rows in order of their keys need no merge: the run goes on.
    if (!runs_.empty() && (table_->schema->is_append() ||
                           runs_.back().files.back().largest < files.front().smallest)) {
      std::ranges::move(files, std::back_inserter(runs_.back().files));
      return arrow::Status::OK();
    }
    runs_.push_back({std::move(files), 0});
    while (NewestAlike() >= kMergeRuns) ARROW_RETURN_NOT_OK(MergeNewest(kMergeRuns));
    return arrow::Status::OK();
  }

  /// How many of the newest runs went through equally many merges.
  size_t NewestAlike() const {
    size_t alike = 0;
    for (auto run = runs_.rbegin(); run != runs_.rend() && run->merges == runs_.back().merges;
         ++run) {
      ++alike;
    }
    return alike;
  }

  arrow::Status MergeNewest(size_t count) {
    std::vector<std::vector<FileMeta>> inputs;
    int merges = 0;
    for (size_t i = runs_.size() - count; i < runs_.size(); ++i) {
      inputs.push_back(runs_[i].files);
      merges = std::max(merges, runs_[i].merges);
    }
    ARROW_ASSIGN_OR_RAISE(auto files, core_->MergeBulkRuns(*table_, inputs));
    runs_.resize(runs_.size() - count);
    runs_.push_back({std::move(files), merges + 1});
    return arrow::Status::OK();
  }

  const std::shared_ptr<DatabaseCore> core_;
  const std::shared_ptr<TableState> table_;
  const int64_t run_bytes_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> pending_;  // stored types
  int64_t pending_bytes_ = 0;
  int64_t rows_ = 0;
  uint64_t rows_written_ = 0;
  std::vector<Run> runs_;  // oldest first
};

}  // namespace

arrow::Result<int64_t> BulkLoad(const std::shared_ptr<Table>& table, arrow::RecordBatchReader* rows,
                                const WriteOptions& options) {
  if (table == nullptr || rows == nullptr) {
    return arrow::Status::Invalid("BulkLoad needs a table and a reader, not null");
  }
  ARROW_ASSIGN_OR_RAISE(auto core, table->database()->core());
  BulkLoader loader(std::move(core), table->state(), table->database()->options().memory_budget);
  // Columns that do not fit are refused though no rows may come.
  ARROW_ASSIGN_OR_RAISE(auto none, arrow::RecordBatch::MakeEmpty(rows->schema()));
  ARROW_RETURN_NOT_OK(loader.Add(none));
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(loader.Add(batch));
  }
  // A handle that was closed meanwhile writes no more, though others keep the database open.
  ARROW_RETURN_NOT_OK(table->database()->core().status());
  return loader.Commit(options);
}

}  // namespace marble

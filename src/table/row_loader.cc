#include "table/row_loader.h"

#include <algorithm>
#include <utility>

#include <arrow/util/byte_size.h>

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

}  // namespace

RowLoader::RowLoader(std::shared_ptr<DatabaseCore> core, std::shared_ptr<TableState> table,
                     int64_t memory_budget)
    : core_(std::move(core)), table_(std::move(table)), run_bytes_(ShareOf(memory_budget)) {}

int64_t RowLoader::ShareOf(int64_t memory_budget) {
  return std::clamp(memory_budget / kBudgetParts, kRunBytesMin, kRunBytesMax);
}

RowLoader::~RowLoader() {
  for (const Run& run : runs_) core_->RemoveBulkFiles(run.files);
}

arrow::Status RowLoader::Add(const std::shared_ptr<arrow::RecordBatch>& batch, bool copy_slices) {
  ARROW_ASSIGN_OR_RAISE(auto stored, CheckedRows(*table_, batch));
  if (stored->num_rows() == 0) return arrow::Status::OK();
  // Batches may have one row each.
  const int64_t bytes = BatchBytes(*stored) + BatchOverhead(stored->num_columns());
  if (copy_slices && arrow::util::TotalBufferSize(*stored) > 2 * bytes) {
    ARROW_ASSIGN_OR_RAISE(stored, InTable(table_->info.name, CopyBatch(stored, core_->pool())));
  }
  const int64_t rows = stored->num_rows();
  const bool is_full =
      pending_bytes_ + bytes > run_bytes_ || pending_rows_ + rows > kMemtableRowsMax;
  if (is_full && !pending_.empty()) ARROW_RETURN_NOT_OK(FinishRun());
  rows_ += rows;
  pending_rows_ += rows;
  pending_.push_back(std::move(stored));
  pending_bytes_ += bytes;
  return arrow::Status::OK();
}

arrow::Status RowLoader::AddAll(arrow::RecordBatchReader* rows) {
  // Columns that do not fit are refused though no rows may come.
  const arrow::Status fits = table_->schema->CheckFields(*rows->schema());
  if (!fits.ok()) return InTable(table_->info.name, fits);
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(Add(batch, /*copy_slices=*/true));
  }
}

arrow::Status RowLoader::Commit(const WriteOptions& options) {
  return runs_.empty() ? CommitPending(options) : CommitInFiles(options);
}

arrow::Status RowLoader::CommitPending(const WriteOptions& options) {
  std::vector<Operation> operations;
  operations.reserve(pending_.size() + 1);
  for (auto& stored : std::exchange(pending_, {})) {
    ARROW_ASSIGN_OR_RAISE(Operation op, PrepareStored(table_.get(), std::move(stored),
                                                      core_->pool(), core_->helpers()));
    operations.push_back(std::move(op));
  }
  pending_bytes_ = pending_rows_ = 0;
  if (operations.empty()) {  // a table that is gone refuses no rows as well
    Operation& none = operations.emplace_back();
    none.kind = OperationKind::kInsertRows;
    none.table = table_.get();
    none.rows = std::make_shared<SortedRows>();
    none.rows->columns = arrow::RecordBatch::Make(arrow::schema({}), 0, arrow::ArrayVector());
  }
  return core_->Commit(operations, options);
}

arrow::Status RowLoader::CommitInFiles(const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(FinishRun());
  if (runs_.empty()) return CommitPending(options);
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
  return core_->Commit(operations, options);
}

arrow::Status RowLoader::FinishRun() {
  if (pending_.empty()) return arrow::Status::OK();
  const StoredSchema& schema = *table_->schema;
  std::vector<RowSlice> slices;
  for (size_t i = 0; i < pending_.size(); ++i) {
    slices.push_back({static_cast<int32_t>(i), false, 0, pending_[i]->num_rows()});
  }
  ARROW_ASSIGN_OR_RAISE(
      auto rows,
      InTable(table_->info.name, Gather(schema.stored_schema(), pending_, slices, core_->pool())));
  pending_.clear();
  pending_bytes_ = pending_rows_ = 0;
  SortedRows sorted;
  if (schema.is_append()) {
    sorted.columns = std::move(rows);
  } else {
    ARROW_ASSIGN_OR_RAISE(auto keys, InTable(table_->info.name, schema.codec()->Encode(*rows)));
    ARROW_ASSIGN_OR_RAISE(sorted,
                          SortByKey(rows, keys, *schema.codec(), core_->pool(), core_->helpers()));
  }
  const auto written = static_cast<uint64_t>(sorted.columns->num_rows());
  ARROW_ASSIGN_OR_RAISE(auto files, core_->WriteBulkRun(*table_, sorted, rows_written_));
  rows_written_ += written;
  return AddRun(std::move(files));
}

arrow::Status RowLoader::AddRun(std::vector<FileMeta> files) {
  // Rows in order of their keys need no merge: the run goes on.
  if (!runs_.empty() &&
      (table_->schema->is_append() || runs_.back().files.back().largest < files.front().smallest)) {
    std::ranges::move(files, std::back_inserter(runs_.back().files));
    return arrow::Status::OK();
  }
  runs_.push_back({std::move(files), 0});
  while (NewestAlike() >= kMergeRuns) ARROW_RETURN_NOT_OK(MergeNewest(kMergeRuns));
  return arrow::Status::OK();
}

// How many of the newest runs went through equally many merges.
size_t RowLoader::NewestAlike() const {
  size_t alike = 0;
  for (auto run = runs_.rbegin(); run != runs_.rend() && run->merges == runs_.back().merges;
       ++run) {
    ++alike;
  }
  return alike;
}

arrow::Status RowLoader::MergeNewest(size_t count) {
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

}  // namespace marble

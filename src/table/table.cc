// The table face over one table. Thread-safe: all members are fixed after Open. A table that gets
// another schema has another TableState, which the handle finds from the one it was opened with.
#include <marble/table.h>

#include <unordered_map>
#include <utility>

#include "db/core.h"
#include "row/batch_ops.h"
#include "table/scan.h"

namespace marble {
namespace {

class DatabaseTable final : public Table {
 public:
  DatabaseTable(std::shared_ptr<Database> database, std::shared_ptr<DatabaseCore> core,
                std::shared_ptr<TableState> table)
      : database_(std::move(database)), core_(std::move(core)), table_(std::move(table)) {}

  arrow::Status Insert(const std::shared_ptr<arrow::RecordBatch>& batch,
                       const WriteOptions& options) override;
  arrow::Status Insert(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                       const WriteOptions& options) override;
  arrow::Status Delete(const std::shared_ptr<arrow::RecordBatch>& keys,
                       const WriteOptions& options) override;
  arrow::Status DeleteRange(const KeyRange& range, const WriteOptions& options) override;
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Get(
      const std::shared_ptr<arrow::RecordBatch>& keys,
      const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
      const std::shared_ptr<const Snapshot>& snapshot) const override;
  arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(
      const ScanOptions& options) const override;
  arrow::Result<int64_t> Count(const ScanOptions& options) const override;

  const TableInfo& info() const override { return Current()->info; }
  const std::shared_ptr<Database>& database() const override { return database_; }
  std::shared_ptr<TableState> state() const override { return {table_, Current()}; }

 private:
  arrow::Status CheckOpen() const {
    if (!database_->closed()) return arrow::Status::OK();
    return ClosedError("the database '" + database_->path() + "' was closed");
  }
  // The table with its present schema; kept alive by the state it was opened with.
  TableState* Current() const {
    TableState* state = table_.get();
    while (TableState* successor = state->successor()) state = successor;
    return state;
  }
  // Calls `call(state)` anew for as long as the schema is changed while it works.
  template <typename Call>
  auto WithCurrent(Call call) const {
    while (true) {
      TableState* const state = Current();
      auto result = call(state);
      if (!IsOutdated(*state, StatusOf(result))) return result;
    }
  }
  static const arrow::Status& StatusOf(const arrow::Status& status) { return status; }
  template <typename T>
  static const arrow::Status& StatusOf(const arrow::Result<T>& result) {
    return result.status();
  }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> GetRows(
      const TableState& table, const std::shared_ptr<arrow::RecordBatch>& keys,
      const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
      const Snapshot* snapshot) const;

  const std::shared_ptr<Database> database_;
  const std::shared_ptr<DatabaseCore> core_;
  const std::shared_ptr<TableState> table_;  // as it was opened
};

// Rows found by key, gathered from the blocks that hold them. Filled in the order of the result.
class FoundRows {
 public:
  void Add(const FoundRow& found) {
    const auto [entry, is_new] =
        source_of_block_.try_emplace(found.block.get(), static_cast<int32_t>(blocks_.size()));
    if (is_new) blocks_.push_back(found.block);
    ++rows_;
    if (!slices_.empty()) {
      RowSlice& last = slices_.back();
      if (last.source == entry->second && last.start + last.length == found.row) {
        ++last.length;
        return;
      }
    }
    slices_.push_back(
        {.source = entry->second, .descending = false, .start = found.row, .length = 1});
  }

  // A batch of the user's types with the columns `columns`.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Finish(const StoredSchema& schema,
                                                            const std::vector<int>& columns) const {
    arrow::FieldVector fields;
    for (int column : columns) fields.push_back(schema.stored_schema()->field(column));
    auto stored = arrow::schema(std::move(fields));
    if (columns.empty()) {
      return schema.ToUser(arrow::RecordBatch::Make(stored, rows_, arrow::ArrayVector{}), columns);
    }
    if (rows_ == 0) {
      ARROW_ASSIGN_OR_RAISE(auto empty, arrow::RecordBatch::MakeEmpty(stored));
      return schema.ToUser(empty, columns);
    }
    std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
    sources.reserve(blocks_.size());
    for (const auto& block : blocks_) {
      arrow::ArrayVector arrays;
      for (int column : columns) arrays.push_back(block->rows.columns->column(column));
      sources.push_back(
          arrow::RecordBatch::Make(stored, block->rows.num_rows(), std::move(arrays)));
    }
    ARROW_ASSIGN_OR_RAISE(auto gathered,
                          Gather(stored, sources, slices_, arrow::default_memory_pool()));
    return schema.ToUser(gathered, columns);
  }

 private:
  std::vector<std::shared_ptr<const Block>> blocks_;
  std::unordered_map<const Block*, int32_t> source_of_block_;
  std::vector<RowSlice> slices_;
  int64_t rows_ = 0;
};

arrow::Status DatabaseTable::Insert(const std::shared_ptr<arrow::RecordBatch>& batch,
                                    const WriteOptions& options) {
  return Insert(std::vector<std::shared_ptr<arrow::RecordBatch>>{batch}, options);
}

arrow::Status DatabaseTable::Insert(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                    const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> arrow::Status {
    std::vector<Operation> operations;
    operations.reserve(batches.size());
    for (const auto& batch : batches) {
      ARROW_ASSIGN_OR_RAISE(Operation op, PrepareInsert(table, batch, core_->pool()));
      if (op.rows->columns->num_rows() > 0) operations.push_back(std::move(op));
    }
    if (operations.empty()) return arrow::Status::OK();
    return core_->Commit(operations, options);
  });
}

arrow::Status DatabaseTable::Delete(const std::shared_ptr<arrow::RecordBatch>& keys,
                                    const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(Operation op, PrepareDeleteKeys(table, keys, core_->pool()));
    if (op.rows->columns->num_rows() == 0) return arrow::Status::OK();
    return core_->Commit({&op, 1}, options);
  });
}

arrow::Status DatabaseTable::DeleteRange(const KeyRange& range, const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(Operation op, PrepareDeleteRange(table, range));
    if (op.IsEmptyRange()) return arrow::Status::OK();
    return core_->Commit({&op, 1}, options);
  });
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> DatabaseTable::Get(
    const std::shared_ptr<arrow::RecordBatch>& keys,
    const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
    const std::shared_ptr<const Snapshot>& snapshot) const {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent(
      [&](TableState* table) { return GetRows(*table, keys, columns, indices, snapshot.get()); });
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> DatabaseTable::GetRows(
    const TableState& table, const std::shared_ptr<arrow::RecordBatch>& keys,
    const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
    const Snapshot* snapshot) const {
  if (indices != nullptr) indices->clear();
  ARROW_ASSIGN_OR_RAISE(const ReadPoint point, core_->BeginRead(table, snapshot));
  const StoredSchema& schema = *table.schema;
  if (schema.is_append()) {
    return arrow::Status::Invalid(
        "getting rows by key needs a table with a primary key, and table '", table.info.name,
        "' has none");
  }
  ARROW_ASSIGN_OR_RAISE(auto output, ResolveColumns(table, columns));
  auto key_columns = schema.KeysToStored(keys);
  if (!key_columns.ok()) {
    return key_columns.status().WithMessage("table '", table.info.name,
                                            "': ", key_columns.status().message());
  }
  ARROW_ASSIGN_OR_RAISE(auto encoded, schema.codec()->EncodeArrays((*key_columns)->columns()));
  FoundRows rows;
  for (int64_t i = 0; i < encoded.size(); ++i) {
    ARROW_ASSIGN_OR_RAISE(auto found, FindRow(*point.view, encoded[i], point.sequence));
    if (!found.has_value()) continue;
    rows.Add(*found);
    if (indices != nullptr) indices->push_back(i);
  }
  return rows.Finish(schema, output);
}

arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> DatabaseTable::Scan(
    const ScanOptions& options) const {
  using Reader = arrow::Result<std::shared_ptr<arrow::RecordBatchReader>>;
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> Reader {
    ARROW_ASSIGN_OR_RAISE(ReadPoint point, core_->BeginRead(*table, options.snapshot.get()));
    ARROW_ASSIGN_OR_RAISE(ScanPlan plan, PlanScan(*table, options));
    return OpenScan(core_, std::move(point), std::move(plan), options.snapshot);
  });
}

arrow::Result<int64_t> DatabaseTable::Count(const ScanOptions& options) const {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> arrow::Result<int64_t> {
    ARROW_ASSIGN_OR_RAISE(ReadPoint point, core_->BeginRead(*table, options.snapshot.get()));
    ARROW_ASSIGN_OR_RAISE(ScanPlan plan, PlanScan(*table, options));
    return CountScan(*core_, point, std::move(plan));
  });
}

}  // namespace

arrow::Result<std::shared_ptr<Table>> Table::Open(std::shared_ptr<Database> database,
                                                  const std::string& name) {
  if (database == nullptr) {
    return arrow::Status::Invalid("Table::Open needs a database, not null");
  }
  ARROW_ASSIGN_OR_RAISE(auto core, database->core());
  ARROW_ASSIGN_OR_RAISE(auto table, core->FindTable(name));
  return std::make_shared<DatabaseTable>(std::move(database), std::move(core), std::move(table));
}

}  // namespace marble

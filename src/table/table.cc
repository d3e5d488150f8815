// The table face over one table. Thread-safe: all members are fixed after Open. A table that gets
// another schema has another TableState, which the handle finds from the one it was opened with.
#include <marble/table.h>

#include <algorithm>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/util/bit_util.h>

#include "db/core.h"
#include "sst/row_lookup.h"
#include "table/found_rows.h"
#include "table/row_loader.h"
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
  arrow::Result<int64_t> Insert(arrow::RecordBatchReader* rows,
                                const WriteOptions& options) override;
  arrow::Status Delete(const std::shared_ptr<arrow::RecordBatch>& keys,
                       const WriteOptions& options) override;
  arrow::Status DeleteRange(const KeyRange& range, const WriteOptions& options) override;
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Get(
      const std::shared_ptr<arrow::RecordBatch>& keys,
      const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
      const std::shared_ptr<const Snapshot>& snapshot, RowOrder order) const override;
  arrow::Result<std::shared_ptr<arrow::BooleanArray>> Contains(
      const std::shared_ptr<arrow::RecordBatch>& keys,
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
  static arrow::Result<EncodedKeys> EncodeKeys(const TableState& table,
                                               const std::shared_ptr<arrow::RecordBatch>& keys);
  // What is there of `keys` goes to `sink`, which looks at stored columns `columns`.
  static arrow::Status Find(const ReadPoint& point, const EncodedKeys& keys,
                            std::vector<int> columns, RowSink* sink);
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> GetRows(
      const TableState& table, const std::shared_ptr<arrow::RecordBatch>& keys,
      const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
      const Snapshot* snapshot, RowOrder order) const;
  arrow::Result<std::shared_ptr<arrow::BooleanArray>> ContainsKeys(
      const TableState& table, const std::shared_ptr<arrow::RecordBatch>& keys,
      const Snapshot* snapshot) const;

  const std::shared_ptr<Database> database_;
  const std::shared_ptr<DatabaseCore> core_;
  const std::shared_ptr<TableState> table_;  // as it was opened
};

// Marks the keys whose rows are there.
class FoundKeys final : public RowSink {
 public:
  explicit FoundKeys(uint8_t* bits) : bits_(bits) {}
  arrow::Status Take(int64_t key, const FoundRow&) override {
    arrow::bit_util::SetBit(bits_, key);
    return arrow::Status::OK();
  }

 private:
  uint8_t* const bits_;
};

arrow::Status DatabaseTable::Insert(const std::shared_ptr<arrow::RecordBatch>& batch,
                                    const WriteOptions& options) {
  return Insert(std::vector<std::shared_ptr<arrow::RecordBatch>>{batch}, options);
}

arrow::Status DatabaseTable::Insert(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                                    const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> arrow::Status {
    RowLoader loader(core_, {table_, table}, database_->options().memory_budget);
    for (const auto& batch : batches) ARROW_RETURN_NOT_OK(loader.Add(batch));
    return loader.Commit(options);
  });
}

arrow::Result<int64_t> DatabaseTable::Insert(arrow::RecordBatchReader* rows,
                                             const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  if (rows == nullptr) {
    return arrow::Status::Invalid("table '", info().name, "': a reader is needed, not null");
  }
  RowLoader loader(core_, state(), database_->options().memory_budget);
  ARROW_RETURN_NOT_OK(loader.AddAll(rows));
  ARROW_RETURN_NOT_OK(CheckOpen());  // reading may have taken long
  ARROW_RETURN_NOT_OK(loader.Commit(options));
  return loader.rows();
}

arrow::Status DatabaseTable::Delete(const std::shared_ptr<arrow::RecordBatch>& keys,
                                    const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(Operation op, PrepareDeleteKeys(table, keys, core_->pool()));
    return core_->Commit({&op, 1}, options);
  });
}

arrow::Status DatabaseTable::DeleteRange(const KeyRange& range, const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(Operation op, PrepareDeleteRange(table, range));
    return core_->Commit({&op, 1}, options);
  });
}

arrow::Result<EncodedKeys> DatabaseTable::EncodeKeys(
    const TableState& table, const std::shared_ptr<arrow::RecordBatch>& keys) {
  const StoredSchema& schema = *table.schema;
  if (schema.is_append()) {
    return arrow::Status::Invalid(
        "getting rows by key needs a table with a primary key, and table '", table.info.name,
        "' has none");
  }
  ARROW_ASSIGN_OR_RAISE(const auto key_columns,
                        InTable(table.info.name, schema.KeysToStored(keys)));
  return InTable(table.info.name, schema.codec()->EncodeArrays(key_columns->columns()));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> DatabaseTable::Get(
    const std::shared_ptr<arrow::RecordBatch>& keys,
    const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
    const std::shared_ptr<const Snapshot>& snapshot, RowOrder order) const {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) {
    return GetRows(*table, keys, columns, indices, snapshot.get(), order);
  });
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> DatabaseTable::GetRows(
    const TableState& table, const std::shared_ptr<arrow::RecordBatch>& keys,
    const std::optional<std::vector<std::string>>& columns, std::vector<int64_t>* indices,
    const Snapshot* snapshot, RowOrder order) const {
  if (indices != nullptr) indices->clear();
  ARROW_ASSIGN_OR_RAISE(const ReadPoint point, core_->BeginRead(table, snapshot));
  ARROW_ASSIGN_OR_RAISE(const auto encoded, EncodeKeys(table, keys));
  ARROW_ASSIGN_OR_RAISE(const auto output, ResolveColumns(table, columns));
  FoundRows rows(table.schema.get(), output, core_->pool());
  ARROW_RETURN_NOT_OK(Find(point, encoded, output, &rows));
  return rows.Finish(order, encoded.size(), indices);
}

arrow::Result<std::shared_ptr<arrow::BooleanArray>> DatabaseTable::Contains(
    const std::shared_ptr<arrow::RecordBatch>& keys,
    const std::shared_ptr<const Snapshot>& snapshot) const {
  ARROW_RETURN_NOT_OK(CheckOpen());
  return WithCurrent([&](TableState* table) { return ContainsKeys(*table, keys, snapshot.get()); });
}

arrow::Result<std::shared_ptr<arrow::BooleanArray>> DatabaseTable::ContainsKeys(
    const TableState& table, const std::shared_ptr<arrow::RecordBatch>& keys,
    const Snapshot* snapshot) const {
  ARROW_ASSIGN_OR_RAISE(const ReadPoint point, core_->BeginRead(table, snapshot));
  ARROW_ASSIGN_OR_RAISE(const auto encoded, EncodeKeys(table, keys));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bits,
                        arrow::AllocateEmptyBitmap(encoded.size()));
  FoundKeys found(bits->mutable_data());
  ARROW_RETURN_NOT_OK(Find(point, encoded, /*columns=*/{}, &found));
  return std::make_shared<arrow::BooleanArray>(encoded.size(), std::move(bits));
}

arrow::Status DatabaseTable::Find(const ReadPoint& point, const EncodedKeys& keys,
                                  std::vector<int> columns, RowSink* sink) {
  // One row alone is found faster, but with all its columns.
  if (keys.size() == 1 && !columns.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto found, FindRow(*point.view, keys[0], point.sequence));
    return found.has_value() ? sink->Take(0, *found) : arrow::Status::OK();
  }
  std::ranges::sort(columns);
  return FindRows(*point.view, keys, point.sequence, columns, sink);
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

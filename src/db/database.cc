// Database handles: the public face of an open database.

#include <marble/database.h>

#include <algorithm>
#include <atomic>

#include "base/mutex.h"
#include "base/warn.h"
#include "db/open_database.h"
#include "db/registry.h"

namespace marble {

namespace {

class DatabaseHandle : public Database {
 public:
  DatabaseHandle(std::string path, std::shared_ptr<OpenDatabase> database)
      : path_(std::move(path)), database_(std::move(database)) {}
  ~DatabaseHandle() override {
    if (!closed()) WarnIfError(Close());
  }

  arrow::Status Close() override {
    // Whoever comes second waits for the first, and is told the same.
    MutexLock lock(&close_mutex_);
    if (!closed_.exchange(true)) close_status_ = ReleaseDatabase(database_);
    return close_status_;
  }
  bool closed() const override { return closed_.load(std::memory_order_acquire); }

  arrow::Status CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                            const TableOptions& options) override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->CreateTable(name, schema, options);
  }
  arrow::Status DropTable(const std::string& name) override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->DropTable(name);
  }
  arrow::Status AlterTable(const std::string& name, const SchemaChange& change) override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->AlterTable(name, change);
  }
  arrow::Result<std::vector<std::string>> ListTables() const override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->ListTables();
  }
  arrow::Result<TableInfo> GetTable(const std::string& name) const override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    ARROW_ASSIGN_OR_RAISE(auto table, database_->FindTable(name));
    return table->info;
  }

  arrow::Status Write(const WriteBatch& batch, const WriteOptions& options) override;

  arrow::Result<std::shared_ptr<const Snapshot>> GetSnapshot() override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->TakeSnapshot();
  }
  arrow::Status Flush() override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->Flush();
  }
  arrow::Status SyncLog() override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->SyncLog();
  }
  arrow::Status Compact(const std::string& table) override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->Compact(table);
  }
  arrow::Status WaitForBackground() override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->WaitForBackground();
  }
  arrow::Result<Stats> GetStats() const override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return database_->GetStats();
  }
  const std::string& path() const override { return path_; }
  const Options& options() const override { return database_->options(); }
  arrow::Result<std::shared_ptr<DatabaseCore>> core() const override {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return std::shared_ptr<DatabaseCore>(database_);
  }

 private:
  arrow::Status CheckOpen() const {
    if (!closed()) return arrow::Status::OK();
    return ClosedError("the database " + path_ + " was closed");
  }
  /// `outdated`: a table has got another schema meanwhile, and nothing was written.
  arrow::Status TryWrite(const WriteBatch& batch, const WriteOptions& options, bool* outdated);
  arrow::Status Prepare(const WriteBatch& batch, const WriteBatch::Operation& from,
                        TableState* table, Operation* op) const;

  const std::string path_;
  const std::shared_ptr<OpenDatabase> database_;
  std::atomic<bool> closed_{false};
  Mutex close_mutex_;
  arrow::Status close_status_ MARBLE_GUARDED_BY(close_mutex_);
};

arrow::Status DatabaseHandle::Prepare(const WriteBatch& batch, const WriteBatch::Operation& from,
                                      TableState* table, Operation* op) const {
  const uint64_t seed = database_->hash_seed();
  switch (from.kind) {
    case WriteBatch::Kind::kPut:
      return PreparePut(table, seed, batch.key(from), batch.value(from), op);
    case WriteBatch::Kind::kDelete:
      return PrepareDelete(table, seed, batch.key(from), op);
    case WriteBatch::Kind::kDeleteRange:
      return PreparePointDeleteRange(table, batch.key(from), batch.value(from), from.end_unbounded,
                                     op);
    case WriteBatch::Kind::kInsert:
      return PrepareInsert(table, from.batch, database_->pool(), database_->helpers()).Value(op);
    case WriteBatch::Kind::kDeleteKeys:
      return PrepareDeleteKeys(table, from.batch, database_->pool()).Value(op);
    case WriteBatch::Kind::kDeleteKeyRange:
      return PrepareDeleteRange(table, *from.range).Value(op);
  }
  return arrow::Status::Invalid("unknown operation");
}

arrow::Status DatabaseHandle::Write(const WriteBatch& batch, const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  bool outdated = false;
  arrow::Status status;
  do {
    status = TryWrite(batch, options, &outdated);
  } while (outdated);
  return status;
}

arrow::Status DatabaseHandle::TryWrite(const WriteBatch& batch, const WriteOptions& options,
                                       bool* outdated) {
  std::vector<std::shared_ptr<TableState>> tables;
  for (const std::string& name : batch.tables()) {
    ARROW_ASSIGN_OR_RAISE(tables.emplace_back(), database_->FindTable(name));
  }
  std::vector<Operation> operations(batch.operations().size());
  for (size_t i = 0; i < operations.size(); ++i) {
    const WriteBatch::Operation& from = batch.operations()[i];
    ARROW_RETURN_NOT_OK(Prepare(batch, from, tables[from.table].get(), &operations[i]));
  }
  const arrow::Status status = database_->Commit(operations, options);
  *outdated = std::ranges::any_of(
      tables, [&status](const auto& table) { return IsOutdated(*table, status); });
  return status;
}

}  // namespace

arrow::Result<std::shared_ptr<Database>> Database::Open(const std::string& path,
                                                        const Options& options) {
  ARROW_ASSIGN_OR_RAISE(auto database, AcquireDatabase(path, options));
  return std::make_shared<DatabaseHandle>(path, std::move(database));
}

}  // namespace marble

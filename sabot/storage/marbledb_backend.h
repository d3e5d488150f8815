// The two backends over Marble, written against its public headers only. Backends of one process
// may share a path (also with code that uses marble::Database directly) if their configurations
// agree.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <marble/database.h>
#include <marble/key_value.h>

#include "sabot/storage/interface.h"
#include "sabot/storage/store_backend_base.h"

namespace sabot::storage {

/// How a configuration maps to Marble's options. memtable_size_mb becomes memtable_bytes (and
/// raises memory_budget where a quarter of it would be less).
marble::Options ToMarbleOptions(const StorageConfig& config);
/// Of tables that a backend creates: index_granularity becomes block_rows_max; enable_bloom_filter
/// and enable_sparse_index choose between point index (both), bloom filter (no sparse index) and
/// none.
marble::TableOptions ToMarbleTableOptions(const StorageConfig& config);

/// Held by each open backend: what all backends of one database in this process agree on. Set by
/// Open, let go by Close.
using Agreement = std::shared_ptr<const StorageConfig>;

/// Keys and values in table `__sabot_state__` {key: utf8, value: binary}. A closed backend keeps
/// its handles until it is opened again or destroyed, so that calls racing with Close are refused,
/// not lost.
class MarbleDbStateBackend final : public StateBackend {
 public:
  Status Open(const StorageConfig& config) override;
  Status Close() override;
  Status Flush() override;
  Status Put(const std::string& key, const std::string& value) override;
  Status Get(const std::string& key, std::string* value) override;
  Status Delete(const std::string& key) override;
  Status Exists(const std::string& key, bool* exists) override;
  Status MultiGet(const std::vector<std::string>& keys, std::vector<std::string>* values) override;
  Status MultiGet(const std::vector<std::string>& keys,
                  std::vector<std::optional<std::string>>* values) override;
  Status DeleteRange(const std::string& start, const std::string& end) override;
  Status Scan(const std::string& start, const std::string& end, const ScanCallback& callback,
              bool reverse) override;
  Status NewIterator(const std::string& start, const std::string& end,
                     std::unique_ptr<StateIterator>* iterator, bool reverse) override;

 private:
  StorageConfig config_;
  std::shared_ptr<marble::Database> database_;  // nullptr until the first Open
  Agreement agreement_;
  std::shared_ptr<marble::KeyValue> state_;
};

/// Tables of a Marble database.
class MarbleDbStoreBackend final : public StoreBackendBase {
 public:
  Status Open(const StorageConfig& config) override;
  Status Close() override;
  Status Flush() override;
  Status CreateTable(const std::string& name,
                     const std::shared_ptr<arrow::Schema>& schema) override;
  Status CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                     const TableOptions& options) override;
  Status DropTable(const std::string& name) override;
  Status ListTables(std::vector<std::string>* names) override;
  Status GetSchema(const std::string& name, std::shared_ptr<arrow::Schema>* schema) override;
  Status GetPrimaryKey(const std::string& name, std::vector<std::string>* columns) override;
  Status InsertBatches(const std::string& name,
                       const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) override;
  using StoreBackendBase::DeleteRange;
  Status DeleteRange(const std::string& name, const KeyBound& start, const KeyBound& end) override;

  /// The handle behind it, for calls that this interface does not have; nullptr before Open.
  const std::shared_ptr<marble::Database>& database() const { return database_; }

 protected:
  Status KeyTypes(const std::string& name, arrow::DataTypeVector* types) override;
  Status OpenReader(const std::string& name, const KeyRange& range,
                    std::shared_ptr<arrow::RecordBatchReader>* reader) override;

 private:
  StorageConfig config_;
  std::shared_ptr<marble::Database> database_;  // nullptr until the first Open
  Agreement agreement_;
};

}  // namespace sabot::storage

// The two backends without a disk, with the same contract as those over Marble: for tests, and to
// keep the interface honest.
//
// What is written under a path stays in this process until it ends, like files on a memory disk, so
// that it is there after Close and Open. The empty path names a store of the object's own, gone
// with Close.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sabot/storage/interface.h"
#include "sabot/storage/store_backend_base.h"

namespace sabot::storage {

struct MemoryDatabase;

/// An object's handle on a memory database, which it shares with all others of the same path.
/// Thread-safe.
class MemoryHandle {
 public:
  MemoryHandle() = default;
  ~MemoryHandle() { Close(); }
  MemoryHandle(const MemoryHandle&) = delete;
  MemoryHandle& operator=(const MemoryHandle&) = delete;

  Status Open(const StorageConfig& config);
  void Close();
  /// Closed if it is not open.
  Status Get(std::shared_ptr<MemoryDatabase>* database) const;

 private:
  mutable std::mutex mutex_;
  StorageConfig config_;
  std::shared_ptr<MemoryDatabase> database_;
};

class MemoryStateBackend final : public StateBackend {
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
  MemoryHandle handle_;
};

class MemoryStoreBackend final : public StoreBackendBase {
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

 protected:
  Status KeyTypes(const std::string& name, arrow::DataTypeVector* types) override;
  Status OpenReader(const std::string& name, const KeyRange& range,
                    std::shared_ptr<arrow::RecordBatchReader>* reader) override;

 private:
  MemoryHandle handle_;
};

}  // namespace sabot::storage

// What all store backends have in common: every reading call, made from one primitive, a lazy
// reader over a snapshot. Internal to the backends.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <arrow/record_batch.h>

#include "sabot/storage/interface.h"

namespace sabot::storage {

/// Thread-safe as StoreBackend says; its own state is the cache behind GetBatchAt, under its own
/// mutex.
class StoreBackendBase : public StoreBackend {
 public:
  Status InsertBatch(const std::string& name,
                     const std::shared_ptr<arrow::RecordBatch>& batch) override;
  Status ScanTable(const std::string& name, std::shared_ptr<arrow::Table>* table) override;
  Status ScanTableBatches(const std::string& name,
                          std::vector<std::shared_ptr<arrow::RecordBatch>>* batches) override;
  Status GetBatchCount(const std::string& name, int64_t* count) override;
  Status GetBatchAt(const std::string& name, int64_t index,
                    std::shared_ptr<arrow::RecordBatch>* batch) override;
  Status ClearBatchCache(const std::string& name) override;
  using StoreBackend::ScanRange;
  Status ScanRange(const std::string& name, const KeyBound& start, const KeyBound& end,
                   std::shared_ptr<arrow::Table>* table) override;
  Status ScanRange(const std::string& name, const std::string& start, const std::string& end,
                   std::shared_ptr<arrow::Table>* table) override;
  using StoreBackend::DeleteRange;
  Status DeleteRange(const std::string& name, const std::string& start,
                     const std::string& end) override;
  Status NewIterator(const std::string& name, const KeyRange& range,
                     std::unique_ptr<BatchIterator>* iterator) override;
  Status ExportTableToC(const std::string& name, ArrowArrayStream* stream) override;
  Status ExportTableToC(const std::string& name, ArrowSchema* schema, ArrowArray* array) override;

 protected:
  using BatchVector = std::vector<std::shared_ptr<arrow::RecordBatch>>;

  /// Types of the key columns in key order; none for a table without a key. NotFound, Closed.
  virtual Status KeyTypes(const std::string& name, arrow::DataTypeVector* types) = 0;
  /// A reader of the rows in `range` (an empty one is the whole table) over a snapshot of now.
  virtual Status OpenReader(const std::string& name, const KeyRange& range,
                            std::shared_ptr<arrow::RecordBatchReader>* reader) = 0;

  /// For Close and DropTable.
  void ForgetBatches(const std::string& name);
  void ForgetAllBatches();

 private:
  Status KeyedTypes(const std::string& name, arrow::DataTypeVector* types);
  Status StringRange(const std::string& name, const std::string& start, const std::string& end,
                     KeyRange* range);
  Status CachedBatches(const std::string& name, std::shared_ptr<const BatchVector>* batches);

  std::mutex cache_mutex_;
  std::map<std::string, std::shared_ptr<const BatchVector>> cache_;
};

}  // namespace sabot::storage

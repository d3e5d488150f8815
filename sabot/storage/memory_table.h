// A table of the memory backend: rows in a std::map by key, or batches in order of insertion.
// Internal to the memory backend; not thread-safe (its database has the lock).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <arrow/record_batch.h>

#include "sabot/storage/interface.h"

namespace sabot::storage {

class MemoryTable {
 public:
  /// Checks the schema and the key as StoreBackend::CreateTable says.
  static Status Make(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                     const TableOptions& options, MemoryTable* table);

  /// Equal schema and key.
  bool Equals(const MemoryTable& other) const;
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }
  arrow::DataTypeVector KeyTypes() const;
  std::vector<std::string> PrimaryKey() const;

  /// All batches or nothing.
  Status Insert(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);
  Status DeleteRange(const KeyRange& range);
  /// The rows of `range` as they are now.
  Status Read(const KeyRange& range, std::shared_ptr<arrow::RecordBatchReader>* reader) const;

 private:
  /// A key column's value; all values of a column use one alternative. Vectors of them order as
  /// keys do, and a prefix of the columns orders before all its extensions.
  using KeyPart = std::variant<int64_t, uint64_t, std::string>;
  using Key = std::vector<KeyPart>;
  struct Row {
    std::shared_ptr<arrow::RecordBatch> batch;
    int64_t index = 0;
  };

  /// False if values of the type cannot be keys (which Make refuses).
  static bool PartOf(const arrow::Scalar& scalar, KeyPart* part);
  Status InsertChecked(const arrow::RecordBatch& batch);
  Status CheckBatch(const arrow::RecordBatch& batch) const;
  Status KeysOf(const arrow::RecordBatch& batch, std::vector<Key>* keys) const;
  Status BoundOf(const KeyBound& bound, Key* key) const;
  Status EncodeRange(const KeyRange& range, Key* start, Key* end) const;

  std::string name_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<int> key_columns_;
  std::map<Key, Row> rows_;                                    // keyed tables
  std::vector<std::shared_ptr<arrow::RecordBatch>> appended_;  // tables without a key
};

}  // namespace sabot::storage

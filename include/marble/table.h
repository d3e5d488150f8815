// The table face: rows with a primary key (or none), upserts, columnar scans.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/array/array_primitive.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table.h>

#include <marble/database.h>
#include <marble/scan.h>

namespace marble {

class TableState;

/// In which order rows that are looked up come back.
enum class RowOrder : uint8_t {
  kOfKeys = 0,  // in the order of the keys asked for
  kAny = 1,     // as they are found: faster for many keys, because rows are read where they lie
};

/// Thread-safe. Batches handed out share the engine's memory and outlive the database.
class Table {
 public:
  static arrow::Result<std::shared_ptr<Table>> Open(std::shared_ptr<Database> database,
                                                    const std::string& name);
  virtual ~Table() = default;

  /// Writes all rows or none. Keyed tables: upsert, the last row of a key wins; append tables:
  /// adds. Refused, with the column named: a schema that differs (by name, type or order), a null
  /// key or another null where the table's column is not nullable, invalid UTF-8, a batch that
  /// fails ValidateFull.
  virtual arrow::Status Insert(const std::shared_ptr<arrow::RecordBatch>& batch,
                               const WriteOptions& options = {}) = 0;
  /// Same, for many batches in one commit. Several that take more than an eighth of
  /// `Options::memory_budget` (1 MiB to 1 GiB) are written as by BulkLoad (transfer.h), which needs
  /// no more memory however many they are.
  virtual arrow::Status Insert(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                               const WriteOptions& options = {}) = 0;
  /// Same, for all rows of a reader; returns how many it gave. Only rows not yet written are held.
  /// If the reader fails, or the table is altered (Conflict) or dropped or the database closed
  /// meanwhile, nothing is written.
  virtual arrow::Result<int64_t> Insert(arrow::RecordBatchReader* rows,
                                        const WriteOptions& options = {}) = 0;
  /// Deletes the rows whose keys stand in `keys` (key columns by name; others are ignored).
  virtual arrow::Status Delete(const std::shared_ptr<arrow::RecordBatch>& keys,
                               const WriteOptions& options = {}) = 0;
  /// Deletes [lower, upper) in constant time.
  virtual arrow::Status DeleteRange(const KeyRange& range, const WriteOptions& options = {}) = 0;

  /// The rows of `keys` (key columns by name; others are ignored), absent ones left out; a key that
  /// stands several times gives its row as often. Keys in any number are looked up together. With
  /// `indices` not null it receives for each returned row the index in `keys`. Columns as in
  /// ScanOptions.
  virtual arrow::Result<std::shared_ptr<arrow::RecordBatch>> Get(
      const std::shared_ptr<arrow::RecordBatch>& keys,
      const std::optional<std::vector<std::string>>& columns = std::nullopt,
      std::vector<int64_t>* indices = nullptr,
      const std::shared_ptr<const Snapshot>& snapshot = nullptr,
      RowOrder order = RowOrder::kOfKeys) const = 0;
  /// For each of `keys` whether its row is there (never null): a semi-join. Reads no other columns
  /// than the key's.
  virtual arrow::Result<std::shared_ptr<arrow::BooleanArray>> Contains(
      const std::shared_ptr<arrow::RecordBatch>& keys,
      const std::shared_ptr<const Snapshot>& snapshot = nullptr) const = 0;

  /// Lazily, over one snapshot, in key (or insertion) order. Keeps what it needs alive.
  virtual arrow::Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(
      const ScanOptions& options = {}) const = 0;
  /// Number of rows a scan with these options returns. With neither filter nor limit only rows are
  /// read of which the files' metadata do not tell: those from the lowest to the highest key in
  /// memory, those of files that overlap others, have deletes or several versions of a key or are
  /// newer than the snapshot, and some at the range's ends.
  virtual arrow::Result<int64_t> Count(const ScanOptions& options = {}) const = 0;

  /// With the present schema; valid as long as this handle.
  virtual const TableInfo& info() const = 0;
  virtual const std::shared_ptr<Database>& database() const = 0;

  /// The table behind the handle, for dataset.h.
  virtual std::shared_ptr<TableState> state() const = 0;
};

}  // namespace marble

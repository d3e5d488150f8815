// The storage interface of the founding document: a state backend (keys and values) and a store
// backend (tables of Arrow rows), both abstract, with one contract for every backend behind them.
// Knows Arrow and the standard library only. No exceptions leave any call; every call says how it
// went by a Status.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/c/abi.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/status.h>
#include <arrow/table.h>
#include <arrow/type.h>

namespace sabot::storage {

/// Stable numbers: new codes are added at the end.
enum class StatusCode : int {
  OK = 0,
  NotFound = 1,         // no such key (Get) or table
  InvalidArgument = 2,  // the caller's mistake; the message names what is wrong
  IOError = 3,          // the disk, or writes stopped after the disk failed
  NotSupported = 4,     // also a database of a newer format
  InternalError = 5,
  Corruption = 6,  // bytes on disk are not what was written; message has file and offset
  Conflict = 7,    // the path is open here with another configuration
  Busy = 8,        // another process has the path open (message has its pid), or a write timed out
  AlreadyExists = 9,  // the table is there with another schema or key
  Closed = 10,        // the backend is not open
};

/// The name of a code, e.g. "NotFound".
const char* ToString(StatusCode code);

/// How a call went. A value; an OK one costs nothing.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message,
         std::shared_ptr<arrow::StatusDetail> detail = nullptr)
      : code_(code), message_(std::move(message)), detail_(std::move(detail)) {}

  bool ok() const { return code_ == StatusCode::OK; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  /// What the backend knows beyond the code, such as file and offset of a corruption (Marble's is a
  /// marble::ErrorDetail); nullptr if nothing.
  const std::shared_ptr<arrow::StatusDetail>& detail() const { return detail_; }
  /// "OK", or "<code>: <message>".
  std::string ToString() const;

  static Status OK() { return Status(); }
  static Status NotFound(std::string m) { return {StatusCode::NotFound, std::move(m)}; }
  static Status InvalidArgument(std::string m) {
    return {StatusCode::InvalidArgument, std::move(m)};
  }
  static Status IOError(std::string m) { return {StatusCode::IOError, std::move(m)}; }
  static Status NotSupported(std::string m) { return {StatusCode::NotSupported, std::move(m)}; }
  static Status InternalError(std::string m) { return {StatusCode::InternalError, std::move(m)}; }
  static Status Corruption(std::string m) { return {StatusCode::Corruption, std::move(m)}; }
  static Status Conflict(std::string m) { return {StatusCode::Conflict, std::move(m)}; }
  static Status Busy(std::string m) { return {StatusCode::Busy, std::move(m)}; }
  static Status AlreadyExists(std::string m) { return {StatusCode::AlreadyExists, std::move(m)}; }
  static Status Closed(std::string m) { return {StatusCode::Closed, std::move(m)}; }

  bool IsNotFound() const { return code_ == StatusCode::NotFound; }
  bool IsInvalidArgument() const { return code_ == StatusCode::InvalidArgument; }
  bool IsIOError() const { return code_ == StatusCode::IOError; }
  bool IsNotSupported() const { return code_ == StatusCode::NotSupported; }
  bool IsInternalError() const { return code_ == StatusCode::InternalError; }
  bool IsCorruption() const { return code_ == StatusCode::Corruption; }
  bool IsConflict() const { return code_ == StatusCode::Conflict; }
  bool IsBusy() const { return code_ == StatusCode::Busy; }
  bool IsAlreadyExists() const { return code_ == StatusCode::AlreadyExists; }
  bool IsClosed() const { return code_ == StatusCode::Closed; }

 private:
  StatusCode code_ = StatusCode::OK;
  std::string message_;
  std::shared_ptr<arrow::StatusDetail> detail_;
};

/// How a path is opened. Backends that share a path within a process need equal configurations.
struct StorageConfig {
  /// A directory; created if it does not exist (its parent must).
  std::string path;
  /// Size at which a write buffer is written out, MiB; at least 1.
  int64_t memtable_size_mb = 64;
  /// Keep an index or a filter of all keys beside each file, so that a lookup of an absent key
  /// touches no data. Off: every lookup is a binary search. Fixed for a table when it is created.
  bool enable_bloom_filter = true;
  /// Keep what leads a lookup straight to its row (about 6 bytes a key in memory). Off: lookups
  /// search the file's own block index, first keys of blocks, behind a bloom filter of 1.25 bytes a
  /// key. Without enable_bloom_filter nothing is kept per key and lookups search the block index in
  /// any case. Fixed for a table when it is created.
  bool enable_sparse_index = true;
  /// Largest number of rows in a block (one record batch of a file); at least 1. Fixed for a table
  /// when it is created.
  int64_t index_granularity = 8192;

  bool operator==(const StorageConfig&) const = default;
};

/// Called for each pair in order; false stops the scan. The views are valid during the call.
using ScanCallback = std::function<bool(std::string_view key, std::string_view value)>;

/// Walks pairs of keys and values in order over one consistent snapshot; stands on the first pair
/// when it is made. Views are valid until Next. Not thread-safe.
class StateIterator {
 public:
  virtual ~StateIterator() = default;
  virtual bool Valid() const = 0;
  virtual void Next() = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  /// OK at the end; otherwise why the walk ended early.
  virtual Status status() const = 0;
};

/// Keys (valid UTF-8, the empty one included, up to 64 KiB) and values (any bytes, up to 1 GiB).
/// Thread-safe, except that Open must not run beside other calls on the same object.
class StateBackend {
 public:
  virtual ~StateBackend() = default;

  /// Opens or creates. OK if it is open with this configuration already; Conflict with another one.
  virtual Status Open(const StorageConfig& config) = 0;
  /// Makes everything durable and lets go of the path. Idempotent.
  virtual Status Close() = 0;
  /// Everything written before is durable on return.
  virtual Status Flush() = 0;

  virtual Status Put(const std::string& key, const std::string& value) = 0;
  /// NotFound if there is none.
  virtual Status Get(const std::string& key, std::string* value) = 0;
  /// Deleting an absent key is OK.
  virtual Status Delete(const std::string& key) = 0;
  virtual Status Exists(const std::string& key, bool* exists) = 0;
  /// One value per key, in order; empty where there is none.
  virtual Status MultiGet(const std::vector<std::string>& keys,
                          std::vector<std::string>* values) = 0;
  /// The same, telling absent from empty.
  virtual Status MultiGet(const std::vector<std::string>& keys,
                          std::vector<std::optional<std::string>>* values) = 0;

  /// Deletes keys in [start, end) in constant time; an empty end is unbounded.
  virtual Status DeleteRange(const std::string& start, const std::string& end) = 0;
  /// Visits keys in [start, end), an empty end is unbounded; last key first if `reverse`.
  virtual Status Scan(const std::string& start, const std::string& end,
                      const ScanCallback& callback, bool reverse = false) = 0;
  virtual Status NewIterator(const std::string& start, const std::string& end,
                             std::unique_ptr<StateIterator>* iterator, bool reverse = false) = 0;
};

/// A bound of a key range: values of a prefix of the key columns; empty means unbounded.
using KeyBound = std::vector<std::shared_ptr<arrow::Scalar>>;

/// A bound that a call spells out: `{}` or `{scalar, ...}`.
using BoundList = std::initializer_list<std::shared_ptr<arrow::Scalar>>;

/// Keys in [start, end).
struct KeyRange {
  KeyBound start;
  KeyBound end;
};

struct TableOptions {
  /// Names of the key columns. Empty: the schema metadata key `marble.primary_key`
  /// (comma-separated); if that is not there either, rows are appended and have no key.
  std::vector<std::string> primary_key;
};

/// Walks a table's batches in key (or insertion) order, lazily, over one snapshot; stands on the
/// first batch when it is made. Not thread-safe.
class BatchIterator {
 public:
  virtual ~BatchIterator() = default;
  virtual bool Valid() const = 0;
  virtual void Next() = 0;
  /// The batch that it stands on; nullptr if not valid. Stays valid for as long as it is held.
  virtual std::shared_ptr<arrow::RecordBatch> GetBatch() const = 0;
  /// OK at the end; otherwise why the walk ended early.
  virtual Status status() const = 0;
};

/// Tables of Arrow rows, keyed (insert is upsert) or appended to. A table `default` {key: utf8,
/// value: binary}, keyed by `key`, is always there. Thread-safe, except that Open must not run
/// beside other calls on the same object. Unknown tables are NotFound.
class StoreBackend {
 public:
  virtual ~StoreBackend() = default;

  /// As in StateBackend.
  virtual Status Open(const StorageConfig& config) = 0;
  virtual Status Close() = 0;
  virtual Status Flush() = 0;

  /// OK if the table is there with an equal schema and key; AlreadyExists if it differs.
  virtual Status CreateTable(const std::string& name,
                             const std::shared_ptr<arrow::Schema>& schema) = 0;
  virtual Status CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                             const TableOptions& options) = 0;
  /// `default` cannot be dropped (InvalidArgument).
  virtual Status DropTable(const std::string& name) = 0;
  /// Sorted, `default` included, without internal names (`__...`).
  virtual Status ListTables(std::vector<std::string>* names) = 0;
  virtual Status GetSchema(const std::string& name, std::shared_ptr<arrow::Schema>* schema) = 0;
  /// Names of the key columns in key order; none for a table without a key.
  virtual Status GetPrimaryKey(const std::string& name, std::vector<std::string>* columns) = 0;

  /// The whole batch or nothing. A schema that differs is refused by its first differing field.
  virtual Status InsertBatch(const std::string& name,
                             const std::shared_ptr<arrow::RecordBatch>& batch) = 0;
  /// The same for many batches: all of them or nothing.
  virtual Status InsertBatches(const std::string& name,
                               const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) = 0;

  /// All rows in key (or insertion) order; an empty table has its schema and no rows.
  virtual Status ScanTable(const std::string& name, std::shared_ptr<arrow::Table>* table) = 0;
  virtual Status ScanTableBatches(const std::string& name,
                                  std::vector<std::shared_ptr<arrow::RecordBatch>>* batches) = 0;
  /// Batches by index, all of one snapshot that is taken by the first of these calls and held until
  /// ClearBatchCache, DropTable or Close. An index out of range is InvalidArgument.
  virtual Status GetBatchCount(const std::string& name, int64_t* count) = 0;
  virtual Status GetBatchAt(const std::string& name, int64_t index,
                            std::shared_ptr<arrow::RecordBatch>* batch) = 0;
  virtual Status ClearBatchCache(const std::string& name) = 0;

  /// Rows with keys in [start, end). InvalidArgument on a table without a key.
  virtual Status ScanRange(const std::string& name, const KeyBound& start, const KeyBound& end,
                           std::shared_ptr<arrow::Table>* table) = 0;
  /// For a table keyed by one string or binary column; an empty end is unbounded.
  virtual Status ScanRange(const std::string& name, const std::string& start,
                           const std::string& end, std::shared_ptr<arrow::Table>* table) = 0;
  /// Bounds written as lists, `{}` among them, which would fit both overloads above.
  Status ScanRange(const std::string& name, BoundList start, BoundList end,
                   std::shared_ptr<arrow::Table>* table) {
    return ScanRange(name, KeyBound(start), KeyBound(end), table);
  }
  /// Deletes [start, end) in constant time. InvalidArgument on a table without a key.
  virtual Status DeleteRange(const std::string& name, const KeyBound& start,
                             const KeyBound& end) = 0;
  virtual Status DeleteRange(const std::string& name, const std::string& start,
                             const std::string& end) = 0;
  Status DeleteRange(const std::string& name, BoundList start, BoundList end) {
    return DeleteRange(name, KeyBound(start), KeyBound(end));
  }
  /// An empty range walks the whole table, with or without a key.
  virtual Status NewIterator(const std::string& name, const KeyRange& range,
                             std::unique_ptr<BatchIterator>* iterator) = 0;

  /// The table as an Arrow C stream: lazy, zero-copy, over one snapshot, released by the consumer.
  virtual Status ExportTableToC(const std::string& name, ArrowArrayStream* stream) = 0;
  /// The table as one struct array, for callers that want exactly that. Both are released by the
  /// caller.
  virtual Status ExportTableToC(const std::string& name, ArrowSchema* schema,
                                ArrowArray* array) = 0;
};

/// "marbledb" or "" gives Marble, "memory" a backend that keeps everything in this process; nullptr
/// for any other name.
std::unique_ptr<StateBackend> CreateStateBackend(const std::string& type);
std::unique_ptr<StoreBackend> CreateStoreBackend(const std::string& type);

}  // namespace sabot::storage

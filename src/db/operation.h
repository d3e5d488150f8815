// One operation of a commit, checked and in stored form: what the log writes and memtables apply.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/scan.h>

#include "row/batch_ops.h"
#include "sst/file_meta.h"
#include "tree/memtable.h"

namespace marble {

class TableState;

/// On disk in commit records; never renumbered.
enum class OperationKind : uint8_t {
  kPut = 1,
  kDelete = 2,
  kDeleteRange = 3,
  kInsertRows = 4,  // a record batch of the stored schema, sorted, one row a key
  kDeleteRows = 5,  // same, tombstone rows
  kAttach = 6,      // SSTables written before the commit, one run
  kCreateTable = 7,
  kDropTable = 8,
};

struct Operation {
  OperationKind kind = OperationKind::kPut;
  TableState* table = nullptr;
  // kPut, kDelete: key and value. kDeleteRange: encoded begin and end. Referenced until the commit
  // returns.
  std::string_view key;
  std::string_view value;
  /// kPut: if there are any, these are put in place of `key` and `value`, each as an operation with
  /// a sequence of its own. Referenced until the commit returns.
  std::span<const PutPair> pairs;
  bool end_unbounded = false;
  uint64_t hash = 0;                 // kPut, kDelete: HashKey(key)
  std::shared_ptr<SortedRows> rows;  // kInsertRows, kDeleteRows
  /// kAttach: synced files that do not overlap, ascending, of DatabaseCore::WriteBulkRun. Append
  /// tables: with row ids from 0 on.
  std::vector<FileMeta> files;
  /// Holds the encoded bounds that PrepareDeleteRange made; `key` and `value` point into it, so an
  /// Operation may be moved and copied.
  std::shared_ptr<const std::string> range_bytes;

  /// Rows of kInsertRows, kDeleteRows and kAttach.
  uint64_t row_count() const;
  /// A delete of a range that holds no key: it changes nothing and need not be logged.
  bool IsEmptyRange() const {
    return kind == OperationKind::kDeleteRange && !end_unbounded && key >= value;
  }
};

/// Check a point operation's key and value (sizes, UTF-8 where the column says so, key-value shape)
/// and fill `op`. `hash_seed`: the database's.
arrow::Status PreparePut(TableState* table, uint64_t hash_seed, std::string_view key,
                         std::string_view value, Operation* op);
/// The same for one of many pairs of a key-value table.
arrow::Status PreparePair(const TableState& table, uint64_t hash_seed, std::string_view key,
                          std::string_view value, PutPair* pair);
arrow::Status PrepareDelete(TableState* table, uint64_t hash_seed, std::string_view key,
                            Operation* op);
arrow::Status PreparePointDeleteRange(TableState* table, std::string_view begin,
                                      std::string_view end, bool end_unbounded, Operation* op);
/// Rows that a memtable takes in one batch. More become files, as too many bytes do.
inline constexpr int64_t kMemtableRowsMax = std::numeric_limits<int32_t>::max();

/// Checks a batch from outside and gives it stored types. Invalid, too, if it has more rows than a
/// memtable takes and they hold nothing (null columns): its bytes would not bound the work.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> CheckedRows(
    const TableState& table, const std::shared_ptr<arrow::RecordBatch>& batch);
/// Checks a batch from outside and copies it, sorted by key and deduplicated (last row wins), into
/// `pool`; of a large one `helpers` gather some of the columns.
arrow::Result<Operation> PrepareInsert(TableState* table,
                                       const std::shared_ptr<arrow::RecordBatch>& batch,
                                       arrow::MemoryPool* pool, Helpers* helpers);
/// The same of what CheckedRows gave.
arrow::Result<Operation> PrepareStored(TableState* table,
                                       std::shared_ptr<arrow::RecordBatch> stored,
                                       arrow::MemoryPool* pool, Helpers* helpers);
arrow::Result<Operation> PrepareDeleteKeys(TableState* table,
                                           const std::shared_ptr<arrow::RecordBatch>& keys,
                                           arrow::MemoryPool* pool);
arrow::Result<Operation> PrepareDeleteRange(TableState* table, const KeyRange& range);

}  // namespace marble

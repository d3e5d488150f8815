// The database behind its handles: catalog, log, tables' views, background work. The faces (kv/,
// table/) use the methods below and nothing else of db/.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include <marble/database.h>

#include "db/operation.h"
#include "db/view_holder.h"

namespace marble {

class Helpers;
struct LiveTable;

/// A table of an open database, with one of its schemas: another schema is another state, which
/// succeeds this one. Shared by the catalog and everything that reads it.
class TableState {
 public:
  TableState(TableInfo info, std::shared_ptr<const StoredSchema> schema)
      : info(std::move(info)), schema(std::move(schema)) {}

  const TableInfo info;
  const std::shared_ptr<const StoredSchema> schema;
  /// Set when the table is dropped; operations on it are then refused with NotFound.
  std::atomic<bool> dropped{false};

  /// The table's memtables and files; nullptr once dropped or succeeded. Guarded by the database's
  /// mutex.
  LiveTable* live = nullptr;

  /// Holds nullptr once dropped or succeeded. Stores are guarded by the database's mutex.
  ViewHolder view;

  /// The state with the table's next schema, kept alive by this one; nullptr while this is the
  /// last. Operations on a succeeded state are refused with Conflict.
  TableState* successor() const { return successor_.load(std::memory_order_acquire); }
  /// Once only.
  void Succeed(std::shared_ptr<TableState> successor) {
    successor_owner_ = std::move(successor);
    successor_.store(successor_owner_.get(), std::memory_order_release);
  }
  /// Of an operation that needs the table: why there is none to work on.
  arrow::Status Gone() const;

 private:
  std::shared_ptr<TableState> successor_owner_;
  std::atomic<TableState*> successor_{nullptr};
};

/// Names the table in errors of layers that do not know it.
inline arrow::Status InTable(const std::string& table, const arrow::Status& status) {
  return status.ok() ? status : status.WithMessage("table '", table, "': ", status.message());
}
template <typename T>
arrow::Result<T> InTable(const std::string& table, arrow::Result<T> result) {
  if (result.ok()) return result;
  return InTable(table, result.status());
}

/// Was an operation on `table` refused because the table has another schema by now? Then it is to
/// be prepared anew, for the successor.
inline bool IsOutdated(const TableState& table, const arrow::Status& status) {
  return table.successor() != nullptr && IsConflict(status);
}

/// What a read works on: everything up to `sequence` in `view`.
struct ReadPoint {
  std::shared_ptr<const TableView> view;
  uint64_t sequence = 0;
};

class DatabaseCore : public std::enable_shared_from_this<DatabaseCore> {
 public:
  virtual ~DatabaseCore() = default;

  virtual arrow::Result<std::shared_ptr<TableState>> FindTable(const std::string& name) const = 0;
  /// NotFound if the table was dropped, Invalid if the snapshot is of another database.
  virtual arrow::Result<ReadPoint> BeginRead(const TableState& table,
                                             const Snapshot* snapshot) const = 0;
  /// Commits prepared operations as a whole: one log record, consecutive sequences. Closed and
  /// read-only databases refuse. Files of kAttach are the commit's from here on: they are removed
  /// if it is refused, at the latest by the next open.
  virtual arrow::Status Commit(std::span<Operation> operations, const WriteOptions& options) = 0;

  /// Writes rows that nothing refers to before an operation kAttach commits them: a bulk load. The
  /// files are synced. `first_row_id`: of append tables, counted from the load's first row. Refused
  /// like a commit.
  virtual arrow::Result<std::vector<FileMeta>> WriteBulkRun(const TableState& table,
                                                            const SortedRows& rows,
                                                            uint64_t first_row_id) = 0;
  /// Merges such runs of a keyed table, oldest first, into one: of equal keys the row of the newest
  /// stays. Removes the files of `runs` if it succeeds. Refused like a commit.
  virtual arrow::Result<std::vector<FileMeta>> MergeBulkRuns(
      const TableState& table, std::span<const std::vector<FileMeta>> runs) = 0;
  /// Removes files of these that will not be committed. Once the database is closed they are left
  /// to the next open, which removes what nothing names: their numbers may have been given anew.
  virtual void RemoveBulkFiles(const std::vector<FileMeta>& files) = 0;

  /// Registers a snapshot at the current sequence; Snapshot's destructor calls ReleaseSnapshot.
  virtual arrow::Result<std::shared_ptr<const Snapshot>> TakeSnapshot() = 0;
  virtual void ReleaseSnapshot(uint64_t sequence) = 0;

  virtual uint64_t hash_seed() const = 0;
  virtual arrow::MemoryPool* pool() const = 0;
  /// For reads of many blocks; they do nothing any more once the database is closed.
  virtual Helpers* helpers() const = 0;
};

}  // namespace marble

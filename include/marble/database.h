// Read this first. A Database is one directory; its tables hold Arrow rows. KeyValue (key_value.h)
// and Table (table.h) are the two faces over the same tables and the same files.
//
//   ARROW_ASSIGN_OR_RAISE(auto db, marble::Database::Open("/data/state"));
//   ARROW_ASSIGN_OR_RAISE(auto kv, marble::KeyValue::Open(db));           // table "default"
//   ARROW_RETURN_NOT_OK(kv->Put("user:1", "Ada"));
//   ARROW_ASSIGN_OR_RAISE(auto value, kv->Get("user:1"));                 // optional<string>
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>
#include <arrow/type.h>

#include <marble/error.h>
#include <marble/options.h>
#include <marble/schema_change.h>
#include <marble/snapshot.h>
#include <marble/stats.h>
#include <marble/write_batch.h>

namespace marble {

/// What is known of a table without reading it.
struct TableInfo {
  std::string name;
  uint32_t id = 0;
  std::shared_ptr<arrow::Schema> schema;
  TableOptions options;
  /// Created with one binary-like key column and one binary-like value column, in this order, and
  /// nothing else: point puts work. AlterTable makes none and refuses to change one.
  bool is_key_value = false;
};

/// A handle on an open database. All methods are thread-safe. One process at a time may have a
/// directory open for writing; within a process, opening it again gives another handle on the same
/// database if the options are equal. The database closes with its last handle.
class Database : public std::enable_shared_from_this<Database> {
 public:
  /// Opens or creates; the parent directory must be there. Errors: Locked (names the owner),
  /// IncompatibleFormat, Corruption (names file and offset), Conflict (open in this process with
  /// other options), Invalid (options out of range, no database there, or a directory that holds
  /// something else), IOError.
  static arrow::Result<std::shared_ptr<Database>> Open(const std::string& path,
                                                       const Options& options = {});
  virtual ~Database() = default;

  /// Makes all that was written durable: with the last handle by flushing memtables, and then stops
  /// background work and releases the lock; before it by a sync of the log. Who closes again,
  /// meanwhile or later, gets the same status. Other calls on this handle are refused with Closed;
  /// batches, values and readers that were handed out stay valid.
  virtual arrow::Status Close() = 0;
  virtual bool closed() const = 0;

  /// Creates a table, durable on return. Options: `options`, else the schema metadata key
  /// `marble.primary_key` (comma-separated columns). Returns OK if a table of this name with an
  /// equal schema and key is there (it keeps its other options); Conflict if it differs. Names: 1
  /// to 255 bytes of UTF-8 without control characters, '/' and '..', and not '.'. Types that cannot
  /// be stored (unions) or keyed are refused by column name.
  virtual arrow::Status CreateTable(const std::string& name,
                                    const std::shared_ptr<arrow::Schema>& schema,
                                    const TableOptions& options = {}) = 0;
  /// Drops a table, durable on return. Its files go when the last reader is done. `default` stays.
  virtual arrow::Status DropTable(const std::string& name) = 0;
  /// Changes the columns of a table: all steps of `change` or none, durable on return. No file is
  /// rewritten: what is there is read as rows of the new schema (Compact writes it anew). The
  /// table's memtable is flushed and its writers wait meanwhile; reads in progress go on with the
  /// schema they began with, snapshots are read with the new one, and handles of the table have it
  /// at once. Refused: key-value tables, what SchemaChange does not allow, a name taken twice.
  virtual arrow::Status AlterTable(const std::string& name, const SchemaChange& change) = 0;
  /// Names of all tables, sorted; internal ones (`__...`) included.
  virtual arrow::Result<std::vector<std::string>> ListTables() const = 0;
  /// NotFound if there is none.
  virtual arrow::Result<TableInfo> GetTable(const std::string& name) const = 0;

  /// Commits all operations of `batch`, or none.
  virtual arrow::Status Write(const WriteBatch& batch, const WriteOptions& options = {}) = 0;

  virtual arrow::Result<std::shared_ptr<const Snapshot>> GetSnapshot() = 0;

  /// Everything written before is in SSTables, and durable, on return.
  virtual arrow::Status Flush() = 0;
  /// Everything written before survives power loss on return (one fdatasync of the log).
  virtual arrow::Status SyncLog() = 0;
  /// Merges all files of a table (all tables if empty) into one run, dropping what is hidden and
  /// seen by no snapshot. Waits until done.
  virtual arrow::Status Compact(const std::string& table = "") = 0;
  /// Waits until no background work is due.
  virtual arrow::Status WaitForBackground() = 0;

  virtual arrow::Result<Stats> GetStats() const = 0;
  virtual const std::string& path() const = 0;
  virtual const Options& options() const = 0;

  /// The database behind the handle, for the faces; Closed after Close.
  virtual arrow::Result<std::shared_ptr<DatabaseCore>> core() const = 0;
};

}  // namespace marble

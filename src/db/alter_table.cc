// Changes of a table's schema. Commit point: the manifest edit that has the table's new record.
//
// Nothing of the old schema may be in the log behind that edit, and nothing of the new one before
// it: replay knows one schema. So the table's writers wait while its memtable is flushed and the
// edit becomes durable; what the log has of the table until then is in files, and is skipped.

#include <marble/error.h>

#include "db/altered_record.h"
#include "db/open_database.h"

namespace marble {

arrow::Status OpenDatabase::AlterTable(const std::string& name, const SchemaChange& change) {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  const CallInside inside(this);
  LiveTable* table = tables_.Find(name);
  while (table != nullptr && table->altering) {
    progress_.wait(mutex_);
    ARROW_RETURN_NOT_OK(CheckWritable());
    table = tables_.Find(name);
  }
  // A table that is being dropped has no live state any more, though it is found yet.
  if (table == nullptr || table->state->live == nullptr)
    return NotFoundError("no table '" + name + "' in " + environment_.directory);
  ARROW_ASSIGN_OR_RAISE(TableRecord record, RecordAfter(*table, change));
  if (record.schema == table->record.schema) return arrow::Status::OK();
  table->altering = true;  // DropTable waits for it, so the pointer stays good
  arrow::Status status = FlushAndAlter(table, std::move(record));
  table->altering = false;
  progress_.notify_all();
  work_.notify_all();
  return status;
}

arrow::Result<TableRecord> OpenDatabase::RecordAfter(const LiveTable& table,
                                                     const SchemaChange& change) const {
  if (table.state->info.is_key_value) {
    return arrow::Status::Invalid("table '", table.record.name,
                                  "' is a key-value table: its two columns cannot be changed");
  }
  std::set<uint32_t> versions;
  for (const auto& file : table.version->Files()) versions.insert(file->meta().schema_version);
  if (table.compacting) {
    // What it writes may have any of them.
    for (const SchemaRecord& older : table.record.older_schemas) versions.insert(older.version);
  }
  return InTable(table.record.name, AlteredRecord(table.record, change, versions));
}

arrow::Status OpenDatabase::FlushAndAlter(LiveTable* table, TableRecord record) {
  ARROW_ASSIGN_OR_RAISE(TableSchemas schemas, TableSchemas::Make(record));
  ARROW_RETURN_NOT_OK(FlushAll(table));
  ARROW_RETURN_NOT_OK(CheckWritable());
  VersionEdit edit;
  edit.altered.push_back(record);
  edit.For(table->record.id);  // all that came before is in files
  const arrow::Status status = Install(std::move(edit), nullptr, nullptr);
  // It may be true in spite of an error of what comes after it.
  const auto known = manifest_state_.tables.find(record.id);
  const bool altered =
      known != manifest_state_.tables.end() && known->second.record.schema == record.schema;
  if (!altered) {
    // A manifest that failed may yet name the new schema, and rows of the old one must not follow
    // it. Without room for another manifest no write is taken until the database is opened anew.
    if (IsRoomError(status) && !Install({}, nullptr, nullptr).ok()) FailWrites(status);
    return status;
  }
  tables_.Alter(table, std::move(record), std::move(schemas));
  table->compaction_error = arrow::Status::OK();  // columns may have become wider
  table->joins_are_futile = false;
  memtable_bytes_ = tables_.MemtableBytes();
  return status;
}

}  // namespace marble

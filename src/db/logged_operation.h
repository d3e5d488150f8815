// Does a logged operation fit its table, and what are its rows? The same answer for the replay of
// an open, for verification, repair and dumps.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/result.h>

#include "db/commit_record.h"
#include "row/batch_ops.h"
#include "row/stored_schema.h"
#include "tree/memtable.h"
#include "tree/table_schemas.h"

namespace marble {

/// Invalid if no table of this schema has operations of this kind.
arrow::Status CheckKind(const LoggedOperation& op, const StoredSchema& schema);

/// Invalid if a commit of this sequence number cannot have attached the file to this table.
arrow::Status CheckAttached(const FileMeta& file, uint64_t sequence, const TableSchemas& schemas);

/// The record batch of kInsertRows or kDeleteRows. Invalid if its bytes are none of the schema,
/// whatever Arrow calls it: they are in memory, and no device has failed.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> LoggedBatch(const LoggedOperation& op,
                                                               const StoredSchema& schema);

/// The same with the keys of its rows, of which append tables have none. Invalid as well if they do
/// not ascend, one row a key.
arrow::Result<SortedRows> LoggedRows(const LoggedOperation& op, const StoredSchema& schema);

/// Adds a delete of a range or the rows of the other kinds that are not points to the memtable.
/// Returns how many rows there were.
arrow::Result<int64_t> ReplayRows(uint64_t sequence, const LoggedOperation& op,
                                  const StoredSchema& schema, Memtable* memtable);

/// What is wrong with a record that verifies, but is refused with `status` by who reads its
/// operations: damage of the file at `offset`, or a newer version's. Errors that name a file, and
/// those of memory and devices, stay what they are.
arrow::Status StatusOfRecord(const arrow::Status& status, const std::string& path, uint64_t offset);

}  // namespace marble

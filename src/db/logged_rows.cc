#include "db/logged_rows.h"

#include <optional>
#include <string>
#include <utility>

namespace marble {

arrow::Status CheckKind(const LoggedOperation& op, const StoredSchema& schema) {
  const bool is_point = op.kind == OperationKind::kPut || op.kind == OperationKind::kDelete;
  if (is_point && !schema.is_key_value()) {
    return arrow::Status::Invalid("a point write to a table of rows");
  }
  const bool has_keys =
      op.kind == OperationKind::kDeleteRows || op.kind == OperationKind::kDeleteRange;
  if (has_keys && schema.is_append()) {
    return arrow::Status::Invalid("a delete by key in a table without one");
  }
  return arrow::Status::OK();
}

arrow::Status CheckAttached(const FileMeta& file, uint64_t sequence, const TableSchemas& schemas) {
  if (schemas.Find(file.schema_version) == nullptr) {
    return arrow::Status::Invalid("attached file ", file.number, " has the unknown schema ",
                                  file.schema_version);
  }
  if (file.constant_sequence != sequence) {
    return arrow::Status::Invalid("attached file ", file.number, " has another sequence");
  }
  return arrow::Status::OK();
}

arrow::Result<SortedRows> LoggedRows(const LoggedOperation& op, const StoredSchema& schema) {
  SortedRows rows;
  ARROW_ASSIGN_OR_RAISE(rows.columns, DeserializeBatch(op.message, schema.stored_schema()));
  if (schema.is_append()) return rows;
  ARROW_ASSIGN_OR_RAISE(rows.keys, schema.codec()->Encode(*rows.columns));
  for (int64_t i = 1; i < rows.keys.size(); ++i) {
    if (rows.keys[i - 1] >= rows.keys[i]) {
      return arrow::Status::Invalid("the keys of its rows do not ascend");
    }
  }
  return rows;
}

arrow::Result<int64_t> ReplayRows(uint64_t sequence, const LoggedOperation& op,
                                  const StoredSchema& schema, Memtable* memtable) {
  if (op.kind == OperationKind::kDeleteRange) {
    RangeTombstone tombstone{std::string(op.key), std::nullopt, sequence};
    if (!op.end_unbounded) tombstone.end = std::string(op.value);
    ARROW_RETURN_NOT_OK(memtable->DeleteRange(std::move(tombstone)));
    return 0;
  }
  ARROW_ASSIGN_OR_RAISE(const SortedRows rows, LoggedRows(op, schema));
  const RowKind kind = op.kind == OperationKind::kInsertRows ? RowKind::kPut : RowKind::kDelete;
  ARROW_RETURN_NOT_OK(memtable->InsertRows(sequence, rows, kind, op.first_row_id));
  return rows.columns->num_rows();
}

}  // namespace marble

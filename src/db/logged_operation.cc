#include "db/logged_operation.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <marble/error.h>

#include "base/coding.h"
#include "sst/body_compression.h"
#include "sst/sst_format.h"

namespace marble {

namespace {

/// Arrow allocates what compressed buffers claim to hold. We write none, but others could.
arrow::Status CheckMessage(std::string_view message) {
  constexpr size_t kPrefixBytes = kIpcPrefixBytes;
  const size_t length = message.size() < kPrefixBytes ? 0 : LoadLittle<uint32_t>(&message[4]);
  if (message.size() < kPrefixBytes || length > message.size() - kPrefixBytes) {
    return arrow::Status::Invalid("the message of its rows is cut short");
  }
  const std::string_view body = message.substr(kPrefixBytes + length);
  return CheckBodyClaims(message.substr(kPrefixBytes, length),
                         {reinterpret_cast<const uint8_t*>(body.data()), body.size()})
      .status();
}

}  // namespace

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

arrow::Result<std::shared_ptr<arrow::RecordBatch>> LoggedBatch(const LoggedOperation& op,
                                                               const StoredSchema& schema) {
  ARROW_RETURN_NOT_OK(CheckMessage(std::string_view(*op.message)));
  auto batch = DeserializeBatch(op.message, schema.stored_schema());
  if (batch.ok() || batch.status().IsOutOfMemory()) return batch;
  return arrow::Status::Invalid(batch.status().message());
}

arrow::Result<SortedRows> LoggedRows(const LoggedOperation& op, const StoredSchema& schema) {
  SortedRows rows;
  ARROW_ASSIGN_OR_RAISE(rows.columns, LoggedBatch(op, schema));
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

arrow::Status StatusOfRecord(const arrow::Status& status, const std::string& path,
                             uint64_t offset) {
  if (status.ok() || DetailOf(status) != nullptr || status.IsIOError() || status.IsOutOfMemory()) {
    return status;
  }
  if (status.IsNotImplemented()) return IncompatibleFormatError(path, status.message());
  return CorruptionError(path, static_cast<int64_t>(offset), status.message());
}

}  // namespace marble

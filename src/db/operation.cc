// Turns what callers hand in into checked operations in stored form. Nothing here changes state: a
// mistake found in any operation of a commit leaves no trace. Thread-safe (pure functions of the
// table's immutable parts).
#include "db/operation.h"

#include <cstring>
#include <utility>

#include <arrow/util/byte_size.h>
#include <arrow/util/utf8.h>

#include "base/checksum.h"
#include "db/core.h"
#include "row/row_kind.h"

namespace marble {
namespace {

bool IsUtf8(const StoredSchema& schema, int column) {
  const arrow::Type::type id = schema.stored_schema()->field(column)->type()->id();
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING;
}

// Most keys are short ASCII: eight bytes at a time settle them without a call.
bool IsAscii(std::string_view text) {
  const char* p = text.data();
  size_t left = text.size();
  uint64_t seen = 0;
  for (; left >= 8; p += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    seen |= word;
  }
  for (; left > 0; ++p, --left) seen |= static_cast<uint8_t>(*p);
  return (seen & 0x8080808080808080u) == 0;
}

bool IsValidUtf8(std::string_view text) {
  if (IsAscii(text)) return true;
  static const bool initialized = [] {
    arrow::util::InitializeUTF8();
    return true;
  }();
  return initialized && arrow::util::ValidateUTF8(text);
}

arrow::Status Utf8Error(const TableState& table, int column) {
  return arrow::Status::Invalid("column '", table.schema->stored_schema()->field(column)->name(),
                                "' of table '", table.info.name, "' is utf8, and the ",
                                column == 0 ? "key" : "value", " given is not valid UTF-8");
}

arrow::Status CheckKeyValueTable(const TableState& table) {
  if (table.schema->is_key_value()) [[likely]] {
    return arrow::Status::OK();
  }
  return arrow::Status::Invalid("table '", table.info.name,
                                "' is no key-value table: point operations need one that was "
                                "created with one binary-like key column and one binary-like "
                                "value column");
}

arrow::Status CheckKey(const TableState& table, std::string_view key) {
  if (key.size() > static_cast<size_t>(kKeyBytesMax)) [[unlikely]] {
    return arrow::Status::Invalid("a key of ", key.size(), " bytes is too long for table '",
                                  table.info.name, "': at most ", kKeyBytesMax);
  }
  if (IsUtf8(*table.schema, 0) && !IsValidUtf8(key)) [[unlikely]] {
    return Utf8Error(table, 0);
  }
  return arrow::Status::OK();
}

arrow::Status CheckValue(const TableState& table, std::string_view value) {
  if (value.size() > static_cast<size_t>(kValueBytesMax)) [[unlikely]] {
    return arrow::Status::Invalid("a value of ", value.size(), " bytes is too long for table '",
                                  table.info.name, "': at most ", kValueBytesMax);
  }
  if (IsUtf8(*table.schema, 1) && !IsValidUtf8(value)) [[unlikely]] {
    return Utf8Error(table, 1);
  }
  return arrow::Status::OK();
}

// The bounds of a range are bytes, not rows: they need not be UTF-8, and the successor of the
// longest key (itself and a zero byte) is one.
arrow::Status CheckBound(const TableState& table, std::string_view bound) {
  if (bound.size() <= static_cast<size_t>(kKeyBytesMax) + 1) return arrow::Status::OK();
  return arrow::Status::Invalid("a bound of ", bound.size(), " bytes is too long for table '",
                                table.info.name, "': at most ", kKeyBytesMax + 1);
}

arrow::Status CheckKeyed(const TableState& table, const char* what) {
  if (!table.schema->is_append()) return arrow::Status::OK();
  return arrow::Status::Invalid(what, " needs a table with a primary key, and table '",
                                table.info.name, "' has none");
}

}  // namespace

uint64_t Operation::row_count() const {
  if (rows != nullptr) return static_cast<uint64_t>(rows->columns->num_rows());
  uint64_t count = 0;
  for (const FileMeta& file : files) count += file.rows;
  return count;
}

arrow::Status PreparePut(TableState* table, uint64_t hash_seed, std::string_view key,
                         std::string_view value, Operation* op) {
  ARROW_RETURN_NOT_OK(CheckKeyValueTable(*table));
  ARROW_RETURN_NOT_OK(CheckKey(*table, key));
  ARROW_RETURN_NOT_OK(CheckValue(*table, value));
  op->kind = OperationKind::kPut;
  op->table = table;
  op->key = key;
  op->value = value;
  op->hash = HashKey(key, hash_seed);
  return arrow::Status::OK();
}

arrow::Status PreparePair(const TableState& table, uint64_t hash_seed, std::string_view key,
                          std::string_view value, PutPair* pair) {
  ARROW_RETURN_NOT_OK(CheckKey(table, key));
  ARROW_RETURN_NOT_OK(CheckValue(table, value));
  *pair = {key, value, HashKey(key, hash_seed)};
  return arrow::Status::OK();
}

arrow::Status PrepareDelete(TableState* table, uint64_t hash_seed, std::string_view key,
                            Operation* op) {
  ARROW_RETURN_NOT_OK(CheckKeyValueTable(*table));
  ARROW_RETURN_NOT_OK(CheckKey(*table, key));
  op->kind = OperationKind::kDelete;
  op->table = table;
  op->key = key;
  op->value = {};
  op->hash = HashKey(key, hash_seed);
  return arrow::Status::OK();
}

arrow::Status PreparePointDeleteRange(TableState* table, std::string_view begin,
                                      std::string_view end, bool end_unbounded, Operation* op) {
  ARROW_RETURN_NOT_OK(CheckKeyValueTable(*table));
  ARROW_RETURN_NOT_OK(CheckBound(*table, begin));
  if (!end_unbounded) ARROW_RETURN_NOT_OK(CheckBound(*table, end));
  op->kind = OperationKind::kDeleteRange;
  op->table = table;
  op->key = begin;
  op->value = end_unbounded ? std::string_view() : end;
  op->end_unbounded = end_unbounded;
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> CheckedRows(
    const TableState& table, const std::shared_ptr<arrow::RecordBatch>& batch) {
  const std::string& name = table.info.name;
  ARROW_ASSIGN_OR_RAISE(auto stored, InTable(name, table.schema->ToStored(batch)));
  const int64_t rows = stored->num_rows();
  // Not by BatchBytes, which counts elements of lists that take no memory.
  if (rows > kMemtableRowsMax && rows / 8 > arrow::util::TotalBufferSize(*stored)) {
    return arrow::Status::Invalid("a batch of ", rows, " rows that hold nothing for table '", name,
                                  "': at most ", kMemtableRowsMax);
  }
  return stored;
}

arrow::Result<Operation> PrepareInsert(TableState* table,
                                       const std::shared_ptr<arrow::RecordBatch>& batch,
                                       arrow::MemoryPool* pool, Helpers* helpers) {
  ARROW_ASSIGN_OR_RAISE(auto stored, CheckedRows(*table, batch));
  return PrepareStored(table, std::move(stored), pool, helpers);
}

arrow::Result<Operation> PrepareStored(TableState* table,
                                       std::shared_ptr<arrow::RecordBatch> stored,
                                       arrow::MemoryPool* pool, Helpers* helpers) {
  const StoredSchema& schema = *table->schema;
  Operation op;
  op.kind = OperationKind::kInsertRows;
  op.table = table;
  op.rows = std::make_shared<SortedRows>();
  if (schema.is_append()) {
    ARROW_ASSIGN_OR_RAISE(op.rows->columns, CopyBatch(stored, pool));
    return op;
  }
  ARROW_ASSIGN_OR_RAISE(auto keys, InTable(table->info.name, schema.codec()->Encode(*stored)));
  ARROW_ASSIGN_OR_RAISE(*op.rows, SortByKey(stored, keys, *schema.codec(), pool, helpers));
  return op;
}

arrow::Result<Operation> PrepareDeleteKeys(TableState* table,
                                           const std::shared_ptr<arrow::RecordBatch>& keys,
                                           arrow::MemoryPool* pool) {
  ARROW_RETURN_NOT_OK(CheckKeyed(*table, "deleting rows by key"));
  const StoredSchema& schema = *table->schema;
  ARROW_ASSIGN_OR_RAISE(auto key_columns, InTable(table->info.name, schema.KeysToStored(keys)));
  ARROW_ASSIGN_OR_RAISE(
      auto encoded,
      InTable(table->info.name, schema.codec()->EncodeArrays(key_columns->columns())));
  ARROW_ASSIGN_OR_RAISE(auto rows, schema.TombstoneRows(key_columns));
  Operation op;
  op.kind = OperationKind::kDeleteRows;
  op.table = table;
  op.rows = std::make_shared<SortedRows>();
  ARROW_ASSIGN_OR_RAISE(*op.rows, SortByKey(rows, encoded, *schema.codec(), pool));
  return op;
}

arrow::Result<Operation> PrepareDeleteRange(TableState* table, const KeyRange& range) {
  ARROW_RETURN_NOT_OK(CheckKeyed(*table, "deleting a range of keys"));
  const KeyCodec& codec = *table->schema->codec();
  ARROW_ASSIGN_OR_RAISE(std::string begin,
                        InTable(table->info.name, codec.EncodeBound(range.lower)));
  ARROW_ASSIGN_OR_RAISE(std::string end, InTable(table->info.name, codec.EncodeBound(range.upper)));
  ARROW_RETURN_NOT_OK(CheckBound(*table, begin));
  ARROW_RETURN_NOT_OK(CheckBound(*table, end));
  Operation op;
  op.kind = OperationKind::kDeleteRange;
  op.table = table;
  op.end_unbounded = range.upper.empty();
  op.range_bytes = std::make_shared<const std::string>(begin + end);
  op.key = std::string_view(*op.range_bytes).substr(0, begin.size());
  op.value = std::string_view(*op.range_bytes).substr(begin.size());
  return op;
}

}  // namespace marble

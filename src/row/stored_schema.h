// How a table's columns are stored: the user's schema, the physical types in files, and the key.
//
// Some types are stored as another one and given back as they were (a file's schema shows the
// stored type, the manifest keeps the user's): views as large_utf8 / large_binary, list_view as
// large_list, dictionary<K, V> as V, run_end_encoded<R, V> as V, extension types as their storage;
// inside lists, structs and maps alike. Keys may be of such types; they order as what they are
// stored as. Unions, dictionaries of nested values and unknown types are refused by column name.
// Metadata of fields stays in the user schema: it may name extension types, which readers of the
// files would give back instead of the stored ones.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>

#include <marble/options.h>

#include "row/key_encoding.h"

namespace marble {

/// Metadata of a user's schema: the key columns, comma-separated.
inline constexpr char kPrimaryKeyMetadata[] = "marble.primary_key";

/// Without it, where what it says may be wrong: of a part of the columns, of another key. nullptr
/// is fine.
std::shared_ptr<const arrow::KeyValueMetadata> MetadataWithoutKey(
    const std::shared_ptr<const arrow::KeyValueMetadata>& metadata);

/// Metadata of a stored schema's fields: the column's id, decimal.
inline constexpr char kColumnIdMetadata[] = "marble.column_id";

/// Which of a table's schemas one is, and what links its columns to those of the others.
struct SchemaIdentity {
  /// Counts the changes of the table's schema: 0 as it was created.
  uint32_t version = 0;
  /// One a column; a column keeps its id whatever it is called and wherever it stands, and no
  /// later one gets it. Empty: 0, 1, 2, ...
  std::vector<uint32_t> column_ids;
  /// By column id: the value, one of the stored type, of rows that are older than the column. They
  /// are null where there is none.
  std::map<uint32_t, std::shared_ptr<arrow::Array>> defaults;
};

/// Immutable, thread-safe.
class StoredSchema {
 public:
  /// Checks names (reserved `_sequence`, `_kind`; duplicates; empty), count, types and the primary
  /// key. `options.primary_key` empty and no metadata key `marble.primary_key` makes an append
  /// table. Key columns become non-nullable in both schemas.
  static arrow::Result<std::shared_ptr<const StoredSchema>> Make(
      const std::shared_ptr<arrow::Schema>& user_schema, TableOptions options,
      SchemaIdentity identity = {});

  /// As the user gave it, with key fields that are not nullable, and without metadata that name
  /// another key.
  const std::shared_ptr<arrow::Schema>& user_schema() const { return user_schema_; }
  /// Same fields with stored types; each field's metadata has `marble.column_id`. No hidden
  /// columns.
  const std::shared_ptr<arrow::Schema>& stored_schema() const { return stored_schema_; }
  const TableOptions& options() const { return options_; }
  uint32_t version() const { return identity_.version; }
  uint32_t column_id(int column) const { return identity_.column_ids[static_cast<size_t>(column)]; }
  /// -1 if there is none.
  int FindColumnId(uint32_t id) const;
  /// What rows older than the column have in it, as one value of the stored type; null for null.
  std::shared_ptr<arrow::Array> DefaultOf(int column) const;

  bool is_append() const { return codec_ == nullptr; }
  /// nullptr for append tables.
  const KeyCodec* codec() const { return codec_.get(); }
  /// Exactly two columns: binary-like key (column 0) and binary-like value (column 1), and created
  /// so: its memtables, files and lookups are of a kind that other tables do not change into.
  bool is_key_value() const { return is_key_value_; }
  /// Bytes of a block to aim at (options.block_bytes or the default for the shape and the codec).
  int64_t block_bytes(Compression compression) const;

  /// Has a batch from outside the table's columns? Errors name the first differing field.
  arrow::Status CheckFields(const arrow::Schema& given) const;
  /// Checks a batch from outside and turns it into the stored types (zero-copy where the types
  /// agree). Errors name the first differing field, or the column and what is wrong (ValidateFull,
  /// UTF-8, nulls in a non-nullable column, null key). -0.0 and NaN in float keys are made
  /// canonical.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> ToStored(
      const std::shared_ptr<arrow::RecordBatch>& batch) const;
  /// The key columns (by name) of `keys`, checked as above, as a batch of the stored key columns in
  /// key order (for deletes and lookups).
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> KeysToStored(
      const std::shared_ptr<arrow::RecordBatch>& keys) const;
  /// A stored-schema batch that has the key columns of `keys` (as KeysToStored gives them) and
  /// defaults (zero, empty) or nulls in the other columns: the rows of a delete.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> TombstoneRows(
      const std::shared_ptr<arrow::RecordBatch>& keys) const;

  /// The user's types again. `batch` holds the stored columns `columns` (indices into the schema),
  /// in that order; `schema` is Project(columns), of which making one costs as much as a small
  /// batch. Zero-copy where types agree.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> ToUser(
      const arrow::RecordBatch& batch, const std::vector<int>& columns,
      const std::shared_ptr<arrow::Schema>& schema) const;
  /// User schema of a projection; names the key only if all its columns are there.
  std::shared_ptr<arrow::Schema> Project(const std::vector<int>& columns) const;

 private:
  StoredSchema() = default;
  std::shared_ptr<arrow::Schema> user_schema_;
  std::shared_ptr<arrow::Schema> stored_schema_;
  std::shared_ptr<arrow::Schema> key_schema_;  // of the stored key columns, in key order
  TableOptions options_;
  std::shared_ptr<const KeyCodec> codec_;
  SchemaIdentity identity_;
  bool is_key_value_ = false;
};

/// Bytes of a schema for log and manifest (Arrow IPC schema message) and back. Hostile bytes give a
/// Status.
arrow::Result<std::string> SerializeSchema(const arrow::Schema& schema);
arrow::Result<std::shared_ptr<arrow::Schema>> DeserializeSchema(std::string_view bytes);

}  // namespace marble

// What a table's schema may be, and batches across the border between the user and the engine.
#include "row/stored_schema.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_set>

#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/key_value_metadata.h>
#include <arrow/util/utf8.h>

#include "base/warn.h"
#include "row/batch_checks.h"
#include "row/compute.h"
#include "row/row_kind.h"
#include "row/type_conversion.h"

namespace marble {

namespace {

using arrow::Result;
using arrow::Status;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

constexpr int64_t kKeyValueBlockBytes = 32 * 1024;
// A get has to decompress all of a block. With what is added for alignment it stays below 16 KiB:
// memory allocators round up from there to 20.
constexpr int64_t kCompressedKeyValueBlockBytes = 15 * 1024 + 512;
constexpr int64_t kTableBlockBytes = 4 * 1024 * 1024;
// A lookup has to decompress all of a block as well.
constexpr int64_t kCompressedTableBlockBytes = 1024 * 1024;
constexpr int64_t kBlockBytesMax = int64_t{1} << 30;
// A block may become twice as large and a row larger, and 32-bit offsets have to reach its end.
constexpr int64_t kBlockBytesAimedAt = int64_t{1} << 29;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// The comma-separated names in the schema's metadata; empty if there are none.
std::vector<std::string> PrimaryKeyOfMetadata(const arrow::Schema& schema) {
  std::vector<std::string> names;
  if (schema.metadata() == nullptr) return names;
  const Result<std::string> value = schema.metadata()->Get(kPrimaryKeyMetadata);
  if (!value.ok() || Trim(*value).empty()) return names;
  std::string_view rest = *value;
  while (true) {
    const size_t comma = rest.find(',');
    names.emplace_back(Trim(rest.substr(0, comma)));
    if (comma == std::string_view::npos) return names;
    rest.remove_prefix(comma + 1);
  }
}

Status CheckOptions(const TableOptions& options) {
  if (options.block_bytes < 0 || options.block_bytes > kBlockBytesMax) {
    return Status::Invalid("block_bytes must be from 0 to ", kBlockBytesMax, ", not ",
                           options.block_bytes);
  }
  if (options.block_rows_max < 0) {
    return Status::Invalid("block_rows_max must not be negative, but is ", options.block_rows_max);
  }
  if (std::max(options.compression, options.bottom_compression.value_or(Compression::kNone)) >
      Compression::kZstd) {
    return Status::Invalid("compression must be one of the enumeration's");
  }
  if (options.point_lookup > PointLookup::kPointIndex) {
    return Status::Invalid("point_lookup must be one of the enumeration's");
  }
  return Status::OK();
}

Status CheckNames(const arrow::Schema& schema) {
  if (schema.num_fields() == 0) return Status::Invalid("a table needs at least one column");
  if (schema.num_fields() > kColumnsMax) {
    return Status::Invalid("a table of ", schema.num_fields(), " columns; the limit is ",
                           kColumnsMax);
  }
  arrow::util::InitializeUTF8();
  std::unordered_set<std::string_view> seen;
  for (int i = 0; i < schema.num_fields(); ++i) {
    const std::string& name = schema.field(i)->name();
    if (name.empty()) return Status::Invalid("column ", i, " has no name");
    if (!arrow::util::ValidateUTF8(name)) {
      return Status::Invalid("the name of column ", i, " is not UTF-8");
    }
    if (name == kSequenceColumn || name == kKindColumn) {
      return Status::Invalid("the column name '", name, "' is reserved");
    }
    if (!seen.insert(name).second) {
      return Status::Invalid("there are two columns named '", name, "'");
    }
  }
  return Status::OK();
}

Result<std::vector<int>> FindKeyColumns(const arrow::Schema& schema,
                                        const std::vector<std::string>& names) {
  std::vector<int> columns;
  for (const std::string& name : names) {
    const int column = schema.GetFieldIndex(name);
    if (column < 0) return Status::Invalid("the key column '", name, "' is not in the schema");
    if (std::find(columns.begin(), columns.end(), column) != columns.end()) {
      return Status::Invalid("the key column '", name, "' is named twice");
    }
    columns.push_back(column);
  }
  return columns;
}

Result<std::shared_ptr<arrow::Schema>> MakeStoredSchema(const arrow::Schema& user_schema,
                                                        const std::vector<uint32_t>& column_ids) {
  arrow::FieldVector fields;
  for (int i = 0; i < user_schema.num_fields(); ++i) {
    const std::shared_ptr<arrow::Field>& field = user_schema.field(i);
    const Result<std::shared_ptr<arrow::DataType>> type = StoredType(field->type());
    if (!type.ok()) {
      return type.status().WithMessage("column '", field->name(), "': ", type.status().message());
    }
    // The user's field metadata stays in the user schema only: it may name extension types, which
    // readers of the stored files would then give back instead of the stored types.
    fields.push_back(arrow::field(
        field->name(), *type, field->nullable(),
        arrow::key_value_metadata({kColumnIdMetadata},
                                  {std::to_string(column_ids[static_cast<size_t>(i)])})));
  }
  return arrow::schema(std::move(fields));
}

Status CompleteColumnIds(int columns, SchemaIdentity* identity) {
  std::vector<uint32_t>& ids = identity->column_ids;
  if (ids.empty()) {
    ids.resize(static_cast<size_t>(columns));
    std::iota(ids.begin(), ids.end(), 0);
  }
  const std::unordered_set<uint32_t> distinct(ids.begin(), ids.end());
  if (ids.size() == static_cast<size_t>(columns) && distinct.size() == ids.size()) {
    return Status::OK();
  }
  return Status::Invalid("a schema of ", columns, " columns with ", distinct.size(), " column ids");
}

bool IsBinaryLike(const arrow::DataType& type) { return arrow::is_base_binary_like(type.id()); }

/// "'b' int32 not null"
std::string Describe(const arrow::Field& field) {
  return "'" + field.name() + "' " + field.type()->ToString();
}

/// Names, types and order; nullability is a matter of the values, checked later.
Status CheckSameFields(const arrow::Schema& expected, const arrow::Schema& given) {
  const int common = std::min(expected.num_fields(), given.num_fields());
  for (int i = 0; i < common; ++i) {
    const arrow::Field& wanted = *expected.field(i);
    const arrow::Field& found = *given.field(i);
    if (wanted.name() != found.name() || !wanted.type()->Equals(*found.type())) {
      return Status::Invalid("the schema differs at column ", i, ": the table has ",
                             Describe(wanted), ", the batch has ", Describe(found));
    }
  }
  if (expected.num_fields() > common) {
    return Status::Invalid("the schema differs at column ", common, ": the table has ",
                           Describe(*expected.field(common)), ", the batch has no such column");
  }
  if (given.num_fields() > common) {
    return Status::Invalid("the schema differs at column ", common, ": the batch has ",
                           Describe(*given.field(common)), ", the table has no such column");
  }
  return Status::OK();
}

/// One column from outside, checked, in stored form.
Result<ArrayPtr> ImportColumn(const ArrayPtr& array, const arrow::Field& stored_field,
                              bool is_key) {
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  const Status valid = array->ValidateFull();
  if (!valid.ok()) {
    return Status::Invalid("column '", stored_field.name(), "' is not valid: ", valid.message());
  }
  Result<ArrayPtr> stored = ToStoredArray(array, stored_field.type(), pool);
  if (!stored.ok()) {
    return stored.status().WithMessage("column '", stored_field.name(),
                                       "': ", stored.status().message());
  }
  ARROW_RETURN_NOT_OK(
      CheckNoForbiddenNulls(*stored, stored_field, is_key ? "key column" : "column"));
  return is_key ? CanonicalKeyColumn(*stored, pool) : stored;
}

}  // namespace

std::shared_ptr<const arrow::KeyValueMetadata> MetadataWithoutKey(
    const std::shared_ptr<const arrow::KeyValueMetadata>& metadata) {
  if (metadata == nullptr || !metadata->Contains(kPrimaryKeyMetadata)) return metadata;
  auto without = metadata->Copy();
  while (without->Contains(kPrimaryKeyMetadata)) {
    WarnIfError(without->Delete(kPrimaryKeyMetadata));
  }
  return without;
}

Result<std::shared_ptr<const StoredSchema>> StoredSchema::Make(
    const std::shared_ptr<arrow::Schema>& user_schema, TableOptions options,
    SchemaIdentity identity) {
  if (user_schema == nullptr) return Status::Invalid("a table needs a schema");
  ARROW_RETURN_NOT_OK(InitializeCompute());
  ARROW_RETURN_NOT_OK(CheckOptions(options));
  ARROW_RETURN_NOT_OK(CheckNames(*user_schema));
  if (options.primary_key.empty()) options.primary_key = PrimaryKeyOfMetadata(*user_schema);
  ARROW_ASSIGN_OR_RAISE(const std::vector<int> key_columns,
                        FindKeyColumns(*user_schema, options.primary_key));
  ARROW_RETURN_NOT_OK(CompleteColumnIds(user_schema->num_fields(), &identity));

  std::shared_ptr<StoredSchema> schema(new StoredSchema());
  arrow::FieldVector fields = user_schema->fields();
  for (const int column : key_columns) {
    std::shared_ptr<arrow::Field>& field = fields[static_cast<size_t>(column)];
    field = field->WithNullable(false);
  }
  const bool names_the_key = PrimaryKeyOfMetadata(*user_schema) == options.primary_key;
  schema->user_schema_ = arrow::schema(
      std::move(fields), user_schema->endianness(),
      names_the_key ? user_schema->metadata() : MetadataWithoutKey(user_schema->metadata()));
  ARROW_ASSIGN_OR_RAISE(schema->stored_schema_,
                        MakeStoredSchema(*schema->user_schema_, identity.column_ids));
  if (!key_columns.empty()) {
    ARROW_ASSIGN_OR_RAISE(schema->codec_, KeyCodec::Make(schema->stored_schema_, key_columns));
    arrow::FieldVector keys;
    for (const int column : key_columns) keys.push_back(schema->stored_schema_->field(column));
    schema->key_schema_ = arrow::schema(std::move(keys));
  }
  schema->is_key_value_ = identity.version == 0 && schema->stored_schema_->num_fields() == 2 &&
                          key_columns == std::vector<int>{0} &&
                          IsBinaryLike(*schema->stored_schema_->field(0)->type()) &&
                          IsBinaryLike(*schema->stored_schema_->field(1)->type());
  schema->options_ = std::move(options);
  schema->identity_ = std::move(identity);
  return schema;
}

int StoredSchema::FindColumnId(uint32_t id) const {
  const std::vector<uint32_t>& ids = identity_.column_ids;
  const auto found = std::find(ids.begin(), ids.end(), id);
  return found == ids.end() ? -1 : static_cast<int>(found - ids.begin());
}

ArrayPtr StoredSchema::DefaultOf(int column) const {
  const auto found = identity_.defaults.find(column_id(column));
  return found == identity_.defaults.end() ? nullptr : found->second;
}

int64_t StoredSchema::block_bytes(Compression compression) const {
  if (options_.block_bytes > 0) return std::min(options_.block_bytes, kBlockBytesAimedAt);
  const bool compressed = compression != Compression::kNone;
  if (!is_key_value_) return compressed ? kCompressedTableBlockBytes : kTableBlockBytes;
  return compressed ? kCompressedKeyValueBlockBytes : kKeyValueBlockBytes;
}

Status StoredSchema::CheckFields(const arrow::Schema& given) const {
  return CheckSameFields(*user_schema_, given);
}

Result<BatchPtr> StoredSchema::ToStored(const BatchPtr& batch) const {
  if (batch == nullptr) return Status::Invalid("there is no batch");
  ARROW_RETURN_NOT_OK(CheckFields(*batch->schema()));
  arrow::ArrayVector columns;
  columns.reserve(static_cast<size_t>(batch->num_columns()));
  for (int i = 0; i < batch->num_columns(); ++i) {
    // What RecordBatch::Validate checks beyond its columns, with the column named.
    const arrow::Field& field = *batch->schema()->field(i);
    const arrow::ArrayData& data = *batch->column_data(i);
    if (data.length != batch->num_rows() || !data.type->Equals(*field.type())) {
      return Status::Invalid("column '", field.name(), "' is ", data.type->ToString(), " of ",
                             data.length, " rows in a batch of ", batch->num_rows(), " rows of ",
                             field.type()->ToString());
    }
    bool is_key = false;
    if (codec_ != nullptr) {
      const std::vector<int>& keys = codec_->columns();
      is_key = std::find(keys.begin(), keys.end(), i) != keys.end();
    }
    ARROW_ASSIGN_OR_RAISE(columns.emplace_back(),
                          ImportColumn(batch->column(i), *stored_schema_->field(i), is_key));
  }
  BatchPtr stored = arrow::RecordBatch::Make(stored_schema_, batch->num_rows(), std::move(columns));
  ARROW_RETURN_NOT_OK(CheckRowBytes(stored, kValueBytesMax));
  return stored;
}

Result<BatchPtr> StoredSchema::KeysToStored(const BatchPtr& keys) const {
  if (keys == nullptr) return Status::Invalid("there are no keys");
  if (codec_ == nullptr) return Status::Invalid("a table without a primary key has no keys");
  arrow::ArrayVector arrays;
  arrays.reserve(codec_->columns().size());
  for (const int column : codec_->columns()) {
    const arrow::Field& wanted = *user_schema_->field(column);
    const int found = keys->schema()->GetFieldIndex(wanted.name());
    if (found < 0) {
      return Status::Invalid("the batch of keys has ",
                             keys->schema()->GetAllFieldIndices(wanted.name()).size(),
                             " columns named '", wanted.name(), "'");
    }
    const ArrayPtr array = keys->column(found);
    if (!array->type()->Equals(*wanted.type())) {
      return Status::Invalid("the key column '", wanted.name(), "' is of type ",
                             wanted.type()->ToString(), ", the batch of keys has ",
                             array->type()->ToString());
    }
    if (array->length() != keys->num_rows()) {
      return Status::Invalid("the key column '", wanted.name(), "' has ", array->length(),
                             " rows, the batch of keys ", keys->num_rows());
    }
    ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(),
                          ImportColumn(array, *stored_schema_->field(column), true));
  }
  return arrow::RecordBatch::Make(key_schema_, keys->num_rows(), std::move(arrays));
}

Result<BatchPtr> StoredSchema::TombstoneRows(const BatchPtr& keys) const {
  arrow::ArrayVector columns(static_cast<size_t>(stored_schema_->num_fields()));
  for (size_t i = 0; i < codec_->columns().size(); ++i) {
    columns[static_cast<size_t>(codec_->columns()[i])] = keys->column(static_cast<int>(i));
  }
  for (int i = 0; i < stored_schema_->num_fields(); ++i) {
    ArrayPtr& column = columns[static_cast<size_t>(i)];
    if (column != nullptr) continue;
    ARROW_ASSIGN_OR_RAISE(column, MakeDefaults(*stored_schema_->field(i), keys->num_rows(),
                                               arrow::default_memory_pool()));
  }
  return arrow::RecordBatch::Make(stored_schema_, keys->num_rows(), std::move(columns));
}

Result<BatchPtr> StoredSchema::ToUser(const arrow::RecordBatch& batch,
                                      const std::vector<int>& columns,
                                      const std::shared_ptr<arrow::Schema>& schema) const {
  if (static_cast<size_t>(batch.num_columns()) != columns.size()) {
    return Status::Invalid("a batch of ", batch.num_columns(), " columns for a projection of ",
                           columns.size());
  }
  std::vector<std::shared_ptr<arrow::ArrayData>> converted;
  converted.reserve(columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    const arrow::Field& field = *user_schema_->field(columns[i]);
    const int position = static_cast<int>(i);
    if (field.type() == stored_schema_->field(columns[i])->type()) {
      converted.push_back(batch.column_data(position));
      continue;
    }
    const Result<ArrayPtr> array =
        ToUserArray(batch.column(position), field.type(), arrow::default_memory_pool());
    if (!array.ok()) {
      return array.status().WithMessage("column '", field.name(), "': ", array.status().message());
    }
    converted.push_back((*array)->data());
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(converted));
}

std::shared_ptr<arrow::Schema> StoredSchema::Project(const std::vector<int>& columns) const {
  arrow::FieldVector fields;
  fields.reserve(columns.size());
  for (const int column : columns) fields.push_back(user_schema_->field(column));
  const auto is_there = [&](int column) {
    return std::ranges::find(columns, column) != columns.end();
  };
  const bool has_key = codec_ != nullptr && std::ranges::all_of(codec_->columns(), is_there);
  return arrow::schema(std::move(fields), has_key ? user_schema_->metadata()
                                                  : MetadataWithoutKey(user_schema_->metadata()));
}

Result<std::string> SerializeSchema(const arrow::Schema& schema) {
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Buffer> bytes,
                        arrow::ipc::SerializeSchema(schema));
  return bytes->ToString();
}

Result<std::shared_ptr<arrow::Schema>> DeserializeSchema(std::string_view bytes) {
  arrow::io::BufferReader reader(arrow::Buffer::FromString(std::string(bytes)));
  arrow::ipc::DictionaryMemo dictionaries;
  return arrow::ipc::ReadSchema(&reader, &dictionaries);
}

}  // namespace marble

#include "tree/table_schemas.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>

#include "sst/evolved_reader.h"

namespace marble {
namespace {

using SchemaPtr = std::shared_ptr<const StoredSchema>;

/// A schema of the past has the same key columns, perhaps by other names.
arrow::Result<SchemaPtr> MakeOlder(const SchemaRecord& record, const StoredSchema& current) {
  ARROW_ASSIGN_OR_RAISE(auto user_schema, DeserializeSchema(record.schema));
  ARROW_ASSIGN_OR_RAISE(auto ids, ColumnIdsOf(record));
  TableOptions options = current.options();
  options.primary_key.clear();
  if (!current.is_append()) {
    for (const int column : current.codec()->columns()) {
      const auto found = std::find(ids.begin(), ids.end(), current.column_id(column));
      const auto at = static_cast<int>(found - ids.begin());
      if (found == ids.end() || at >= user_schema->num_fields()) {
        return arrow::Status::Invalid("schema ", record.version, " lacks a key column");
      }
      options.primary_key.push_back(user_schema->field(at)->name());
    }
  }
  return StoredSchema::Make(
      user_schema, std::move(options),
      {.version = record.version, .column_ids = std::move(ids), .defaults = {}});
}

}  // namespace

arrow::Result<TableRecord> DefaultTableRecord() {
  TableRecord record;
  record.id = kDefaultTable;
  record.name = "default";
  record.options.primary_key = {"key"};
  const arrow::Schema schema(
      {arrow::field("key", arrow::utf8(), false), arrow::field("value", arrow::binary())});
  ARROW_ASSIGN_OR_RAISE(record.schema.schema, SerializeSchema(schema));
  return record;
}

arrow::Result<std::vector<uint32_t>> ColumnIdsOf(const SchemaRecord& record) {
  if (!record.column_ids.empty()) return record.column_ids;
  ARROW_ASSIGN_OR_RAISE(const auto schema, DeserializeSchema(record.schema));
  std::vector<uint32_t> ids(static_cast<size_t>(schema->num_fields()));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

arrow::Result<TableSchemas> TableSchemas::Make(const TableRecord& record) {
  ARROW_ASSIGN_OR_RAISE(auto user_schema, DeserializeSchema(record.schema.schema));
  SchemaIdentity identity;
  identity.version = record.schema.version;
  identity.column_ids = record.schema.column_ids;
  for (const auto& [id, bytes] : record.defaults) {
    ARROW_ASSIGN_OR_RAISE(identity.defaults[id], DecodeDefault(bytes));
  }
  TableSchemas schemas;
  ARROW_ASSIGN_OR_RAISE(schemas.current_,
                        StoredSchema::Make(user_schema, record.options, identity));
  for (const auto& [id, value] : identity.defaults) {
    const int column = schemas.current_->FindColumnId(id);
    if (column < 0 ||
        !schemas.current_->stored_schema()->field(column)->type()->Equals(*value->type())) {
      return arrow::Status::Invalid("a default of type ", value->type()->ToString(),
                                    " for the column with id ", id);
    }
  }
  for (const SchemaRecord& older : record.older_schemas) {
    ARROW_ASSIGN_OR_RAISE(SchemaPtr schema, MakeOlder(older, *schemas.current_));
    ARROW_RETURN_NOT_OK(CheckEvolution(*schema, *schemas.current_));
    schemas.older_[older.version] = std::move(schema);
  }
  return schemas;
}

SchemaPtr TableSchemas::Find(uint32_t version) const {
  if (version == current_->version()) return current_;
  const auto found = older_.find(version);
  return found == older_.end() ? nullptr : found->second;
}

arrow::Result<std::string> EncodeDefault(const std::shared_ptr<arrow::Array>& one_value) {
  const auto schema = arrow::schema({arrow::field("default", one_value->type())});
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(sink, schema));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*arrow::RecordBatch::Make(schema, 1, {one_value})));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(const auto bytes, sink->Finish());
  return bytes->ToString();
}

arrow::Result<std::shared_ptr<arrow::Array>> DecodeDefault(std::string_view bytes) {
  // The array refers to the bytes.
  auto source =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::string(bytes)));
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::ipc::RecordBatchStreamReader::Open(source));
  std::shared_ptr<arrow::RecordBatch> batch;
  ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
  if (batch == nullptr || batch->num_columns() != 1 || batch->num_rows() != 1) {
    return arrow::Status::Invalid("a default is not one value");
  }
  ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batch->column(0);
}

}  // namespace marble

#include "db/altered_record.h"

#include <algorithm>
#include <utility>

#include <arrow/array/util.h>
#include <arrow/util/key_value_metadata.h>

#include "row/batch_checks.h"
#include "row/batch_ops.h"
#include "row/type_conversion.h"
#include "row/widening.h"
#include "tree/table_schemas.h"

namespace marble {
namespace {

using arrow::Result;
using arrow::Status;

/// Rows that are older than a column have its default in memory, each of them, while they are read.
constexpr int64_t kDefaultBytesMax = 256;

/// A schema under change.
struct Draft {
  arrow::FieldVector fields;
  std::vector<uint32_t> ids;  // one a field
  std::vector<std::string> primary_key;
  std::map<uint32_t, std::string> defaults;
  uint32_t next_id = 0;

  Result<size_t> Find(const std::string& column) const {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i]->name() == column) return i;
    }
    return Status::Invalid("no column '", column, "'");
  }
  Status CheckFree(const std::string& name) const {
    if (!Find(name).ok()) return Status::OK();
    return Status::Invalid("there are two columns named '", name, "'");
  }
  bool IsKey(const std::string& column) const {
    return std::ranges::find(primary_key, column) != primary_key.end();
  }
  /// The place of a column that is none of the key.
  Result<size_t> FindValue(const std::string& column, const char* what) const {
    ARROW_ASSIGN_OR_RAISE(const size_t place, Find(column));
    if (!IsKey(column)) return place;
    return Status::Invalid("the key column '", column, "' cannot be ", what);
  }
};

Status InColumn(const std::string& column, const Status& status) {
  return status.WithMessage("column '", column, "': ", status.message());
}

Result<std::shared_ptr<arrow::Array>> StoredDefault(const arrow::Field& field,
                                                    const arrow::Scalar& value) {
  if (!value.type->Equals(*field.type())) {
    return Status::Invalid("the default is of type ", value.type->ToString(), ", the column of ",
                           field.type()->ToString());
  }
  ARROW_RETURN_NOT_OK(value.ValidateFull());
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  ARROW_ASSIGN_OR_RAISE(const auto array, arrow::MakeArrayFromScalar(value, 1, pool));
  ARROW_ASSIGN_OR_RAISE(const auto type, StoredType(field.type()));
  ARROW_ASSIGN_OR_RAISE(auto stored, ToStoredArray(array, type, pool));
  ARROW_RETURN_NOT_OK(CheckNoForbiddenNulls(stored, field, "the default of column"));
  const auto one = arrow::RecordBatch::Make(arrow::schema({field.WithType(type)}), 1, {stored});
  if (BatchBytes(*one) > kDefaultBytesMax) {
    return Status::Invalid("a default of ", BatchBytes(*one), " bytes; the limit is ",
                           kDefaultBytesMax);
  }
  return stored;
}

Status Add(const SchemaChange::Step& step, Draft* draft) {
  if (step.field == nullptr) return Status::Invalid("a column to add needs a field, not null");
  const arrow::Field& field = *step.field;
  ARROW_RETURN_NOT_OK(CheckNewColumn(field));
  const bool has_value = step.default_value != nullptr && step.default_value->is_valid;
  if (!field.nullable() && !has_value) {
    return Status::Invalid("the new column '", field.name(),
                           "' must not be null and has no default for the rows that are there");
  }
  ARROW_RETURN_NOT_OK(draft->CheckFree(field.name()));
  const uint32_t id = draft->next_id++;
  if (has_value) {
    auto value = StoredDefault(field, *step.default_value);
    if (!value.ok()) return InColumn(field.name(), value.status());
    ARROW_ASSIGN_OR_RAISE(draft->defaults[id], EncodeDefault(*value));
  }
  draft->fields.push_back(step.field);
  draft->ids.push_back(id);
  return Status::OK();
}

Status Drop(const SchemaChange::Step& step, Draft* draft) {
  ARROW_ASSIGN_OR_RAISE(const size_t place, draft->FindValue(step.column, "dropped"));
  draft->defaults.erase(draft->ids[place]);
  draft->fields.erase(draft->fields.begin() + static_cast<std::ptrdiff_t>(place));
  draft->ids.erase(draft->ids.begin() + static_cast<std::ptrdiff_t>(place));
  return Status::OK();
}

Status Rename(const SchemaChange::Step& step, Draft* draft) {
  ARROW_ASSIGN_OR_RAISE(const size_t place, draft->Find(step.column));
  if (step.name == step.column) return Status::OK();
  // Names must be unique at each step, or the next one could mean another column.
  ARROW_RETURN_NOT_OK(draft->CheckFree(step.name));
  draft->fields[place] = draft->fields[place]->WithName(step.name);
  std::ranges::replace(draft->primary_key, step.column, step.name);
  return Status::OK();
}

Status Widen(const SchemaChange::Step& step, Draft* draft) {
  ARROW_ASSIGN_OR_RAISE(const size_t place, draft->FindValue(step.column, "widened"));
  if (step.type == nullptr) return Status::Invalid("widening needs a type, not null");
  const auto from = StoredType(draft->fields[place]->type());
  const auto to = StoredType(step.type);
  if (!from.ok()) return InColumn(step.column, from.status());
  if (!to.ok()) return InColumn(step.column, to.status());
  ARROW_RETURN_NOT_OK(CheckNewColumn(*draft->fields[place]->WithType(step.type)));
  if (!(*from)->Equals(**to) && !IsWidening(**from, **to)) {
    return Status::Invalid("column '", step.column, "' is ",
                           draft->fields[place]->type()->ToString(), ": ", step.type->ToString(),
                           " does not hold all of its values in order");
  }
  draft->fields[place] = draft->fields[place]->WithType(step.type);
  return Status::OK();
}

Status AllowNulls(const SchemaChange::Step& step, Draft* draft) {
  ARROW_ASSIGN_OR_RAISE(const size_t place, draft->FindValue(step.column, "nullable"));
  draft->fields[place] = draft->fields[place]->WithNullable(true);
  return Status::OK();
}

Status Reorder(const SchemaChange::Step& step, Draft* draft) {
  Draft ordered;
  std::vector<bool> placed(draft->fields.size());
  const auto place = [&](size_t i) {
    placed[i] = true;
    ordered.fields.push_back(draft->fields[i]);
    ordered.ids.push_back(draft->ids[i]);
  };
  for (const std::string& column : step.columns) {
    ARROW_ASSIGN_OR_RAISE(const size_t i, draft->Find(column));
    if (placed[i]) return Status::Invalid("the column '", column, "' is named twice");
    place(i);
  }
  for (size_t i = 0; i < placed.size(); ++i) {
    if (!placed[i]) place(i);
  }
  draft->fields = std::move(ordered.fields);
  draft->ids = std::move(ordered.ids);
  return Status::OK();
}

Status Carry(const SchemaChange::Step& step, Draft* draft) {
  switch (step.kind) {
    case SchemaChange::Kind::kAdd:
      return Add(step, draft);
    case SchemaChange::Kind::kDrop:
      return Drop(step, draft);
    case SchemaChange::Kind::kRename:
      return Rename(step, draft);
    case SchemaChange::Kind::kWiden:
      return Widen(step, draft);
    case SchemaChange::Kind::kAllowNulls:
      return AllowNulls(step, draft);
    case SchemaChange::Kind::kReorder:
      return Reorder(step, draft);
  }
  return Status::Invalid("unknown step of a schema change");
}

/// Defaults follow the types of their columns.
Status WidenDefaults(Draft* draft) {
  for (size_t i = 0; i < draft->ids.size(); ++i) {
    const auto found = draft->defaults.find(draft->ids[i]);
    if (found == draft->defaults.end()) continue;
    ARROW_ASSIGN_OR_RAISE(const auto type, StoredType(draft->fields[i]->type()));
    ARROW_ASSIGN_OR_RAISE(auto value, DecodeDefault(found->second));
    if (value->type()->Equals(*type)) continue;
    ARROW_ASSIGN_OR_RAISE(value, Widened(value, type, arrow::default_memory_pool()));
    ARROW_ASSIGN_OR_RAISE(found->second, EncodeDefault(value));
  }
  return Status::OK();
}

}  // namespace

Result<TableRecord> AlteredRecord(const TableRecord& record, const SchemaChange& change,
                                  const std::set<uint32_t>& versions_in_use) {
  ARROW_ASSIGN_OR_RAISE(const auto schema, DeserializeSchema(record.schema.schema));
  Draft draft;
  draft.fields = schema->fields();
  ARROW_ASSIGN_OR_RAISE(draft.ids, ColumnIdsOf(record.schema));
  draft.primary_key = record.options.primary_key;
  draft.defaults = record.defaults;
  draft.next_id = std::max(record.next_column_id, static_cast<uint32_t>(draft.ids.size()));
  for (const SchemaChange::Step& step : change.steps()) ARROW_RETURN_NOT_OK(Carry(step, &draft));

  TableRecord altered = record;
  // The options name the key; what the metadata says of it may be out of date now.
  const arrow::Schema changed(draft.fields, MetadataWithoutKey(schema->metadata()));
  ARROW_ASSIGN_OR_RAISE(const std::vector<uint32_t> ids, ColumnIdsOf(record.schema));
  if (draft.ids == ids && changed.Equals(*schema, /*check_metadata=*/false)) return record;
  ARROW_ASSIGN_OR_RAISE(altered.schema.schema, SerializeSchema(changed));
  altered.schema.column_ids = draft.ids;
  ++altered.schema.version;
  altered.options.primary_key = draft.primary_key;
  altered.next_column_id = draft.next_id;
  std::erase_if(altered.older_schemas, [&](const SchemaRecord& older) {
    return !versions_in_use.contains(older.version);
  });
  altered.older_schemas.push_back(record.schema);
  ARROW_RETURN_NOT_OK(WidenDefaults(&draft));
  altered.defaults = std::move(draft.defaults);
  // Names and number of the columns are checked here.
  ARROW_RETURN_NOT_OK(TableSchemas::Make(altered).status());
  return altered;
}

}  // namespace marble

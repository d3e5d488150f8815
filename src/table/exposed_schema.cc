#include "table/exposed_schema.h"

#include <algorithm>
#include <utility>

#include <arrow/extension_type.h>
#include <arrow/util/checked_cast.h>

namespace marble {
namespace {

using arrow::internal::checked_cast;

bool IsShown(const arrow::DataType& type, bool is_nested) {
  switch (type.id()) {
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::LIST_VIEW:
    case arrow::Type::LARGE_LIST_VIEW:
    case arrow::Type::RUN_END_ENCODED:
      return false;
    case arrow::Type::DICTIONARY:
      return !is_nested &&
             IsShown(*checked_cast<const arrow::DictionaryType&>(type).value_type(), true);
    case arrow::Type::EXTENSION:
      return IsShown(*checked_cast<const arrow::ExtensionType&>(type).storage_type(), is_nested);
    default:
      return std::ranges::all_of(type.fields(),
                                 [](const auto& field) { return IsShown(*field->type(), true); });
  }
}

}  // namespace

arrow::Result<std::shared_ptr<const StoredSchema>> ExposedSchema(
    const StoredSchema& schema, const std::vector<int>& dictionary_columns) {
  const arrow::Schema& user = *schema.user_schema();
  arrow::FieldVector fields;
  for (int i = 0; i < user.num_fields(); ++i) {
    const auto& field = user.field(i);
    const bool is_shown = IsShown(*field->type(), /*is_nested=*/false);
    fields.push_back(is_shown ? field : field->WithType(schema.stored_schema()->field(i)->type()));
  }
  for (const int column : dictionary_columns) {
    const auto& type = schema.stored_schema()->field(column)->type();
    if (!arrow::is_base_binary_like(type->id())) {
      const arrow::Field& given = *user.field(column);
      return arrow::Status::Invalid("column '", given.name(), "' is ", given.type()->ToString(),
                                    ": columns of text or bytes come as dictionaries");
    }
    auto& field = fields[static_cast<size_t>(column)];
    field = field->WithType(arrow::dictionary(arrow::int32(), type));
  }
  return StoredSchema::Make(arrow::schema(std::move(fields), user.metadata()), schema.options());
}

}  // namespace marble

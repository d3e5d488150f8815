#include "row/type_children.h"

#include <arrow/util/checked_cast.h>

namespace marble {

arrow::Result<std::shared_ptr<arrow::DataType>> TypeWithChildren(const arrow::DataType& type,
                                                                 const arrow::FieldVector& fields) {
  using arrow::Type;
  using arrow::internal::checked_cast;
  switch (type.id()) {
    case Type::LIST:
      return arrow::list(fields[0]);
    case Type::LARGE_LIST:
    case Type::LIST_VIEW:
    case Type::LARGE_LIST_VIEW:
      return arrow::large_list(fields[0]);
    case Type::FIXED_SIZE_LIST:
      return arrow::fixed_size_list(
          fields[0], checked_cast<const arrow::FixedSizeListType&>(type).list_size());
    case Type::STRUCT:
      return arrow::struct_(fields);
    case Type::MAP:
      return arrow::MapType::Make(fields[0],
                                  checked_cast<const arrow::MapType&>(type).keys_sorted());
    default:
      return arrow::Status::TypeError("type ", type.ToString(), " has no children");
  }
}

arrow::Result<std::shared_ptr<arrow::Array>> WithConvertedChildren(
    const arrow::Array& array, const std::shared_ptr<arrow::DataType>& type,
    const ChildConversion& convert) {
  const std::shared_ptr<arrow::ArrayData> data = array.data()->Copy();
  data->type = type;
  for (size_t i = 0; i < data->child_data.size(); ++i) {
    // The whole child, not only the rows in use: offsets into it stay as they are.
    const std::shared_ptr<arrow::Array> child = arrow::MakeArray(data->child_data[i]);
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Array> converted,
                          convert(child, type->field(static_cast<int>(i))->type()));
    data->child_data[i] = converted->data();
  }
  return arrow::MakeArray(data);
}

}  // namespace marble

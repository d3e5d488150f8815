#include "row/type_children.h"

#include <arrow/util/bitmap_ops.h>
#include <arrow/util/checked_cast.h>

namespace marble {
namespace {

/// Cuts a list's child to the elements of its rows, and counts the offsets from there.
template <typename Offset>
arrow::Status CutElements(arrow::ArrayData* list, arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(
      std::shared_ptr<arrow::Buffer> buffer,
      arrow::AllocateBuffer((list->length + 1) * static_cast<int64_t>(sizeof(Offset)), pool));
  auto* cut = reinterpret_cast<Offset*>(buffer->mutable_data());
  cut[0] = 0;
  Offset begin = 0;
  if (list->length > 0) {  // a list without rows may lack its offsets
    const Offset* offsets = list->GetValues<Offset>(1);
    begin = offsets[0];
    for (int64_t i = 1; i <= list->length; ++i) cut[i] = static_cast<Offset>(offsets[i] - begin);
  }
  list->child_data[0] = list->child_data[0]->Slice(begin, cut[list->length]);
  list->buffers[1] = std::move(buffer);
  return arrow::Status::OK();
}

/// Cuts the children to what the rows in use have; the offset becomes 0.
arrow::Status CutToRows(arrow::ArrayData* data, arrow::MemoryPool* pool) {
  switch (data->type->id()) {
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      ARROW_RETURN_NOT_OK(CutElements<int32_t>(data, pool));
      break;
    case arrow::Type::LARGE_LIST:
      ARROW_RETURN_NOT_OK(CutElements<int64_t>(data, pool));
      break;
    case arrow::Type::FIXED_SIZE_LIST: {
      const int64_t size =
          arrow::internal::checked_cast<const arrow::FixedSizeListType&>(*data->type).list_size();
      auto& child = data->child_data[0];
      child = child->Slice(data->offset * size, data->length * size);
      break;
    }
    default:
      for (auto& child : data->child_data) child = child->Slice(data->offset, data->length);
  }
  if (data->offset > 0 && data->buffers[0] != nullptr) {
    ARROW_ASSIGN_OR_RAISE(
        data->buffers[0],
        arrow::internal::CopyBitmap(pool, data->buffers[0]->data(), data->offset, data->length));
  }
  data->offset = 0;
  return arrow::Status::OK();
}

}  // namespace

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
    const ChildConversion& convert, arrow::MemoryPool* pool) {
  const std::shared_ptr<arrow::ArrayData> data = array.data()->Copy();
  if (!data->child_data.empty()) ARROW_RETURN_NOT_OK(CutToRows(data.get(), pool));
  data->type = type;
  for (size_t i = 0; i < data->child_data.size(); ++i) {
    const std::shared_ptr<arrow::Array> child = arrow::MakeArray(data->child_data[i]);
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Array> converted,
                          convert(child, type->field(static_cast<int>(i))->type()));
    data->child_data[i] = converted->data();
  }
  return arrow::MakeArray(data);
}

}  // namespace marble

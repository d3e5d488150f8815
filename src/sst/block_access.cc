#include "sst/block_access.h"

#include <arrow/array/array_binary.h>
#include <arrow/type_traits.h>

namespace marble {

arrow::Status DecodedBlockAccess::KeyAt(int64_t row, std::string_view* key) {
  if (rows_->keys.size() > 0) {
    *key = rows_->keys[row];
    return arrow::Status::OK();
  }
  // Encoding one row's key costs less than encoding, or keeping, those of the whole block.
  arrow::ArrayVector arrays;
  for (const int column : file_->schema().codec()->columns()) {
    arrays.push_back(rows_->columns->column(column)->Slice(row, 1));
  }
  auto keys = file_->schema().codec()->EncodeArrays(arrays, file_->options().pool);
  if (!keys.ok()) return file_->Damage(keys.status(), -1);
  one_key_ = keys.MoveValueUnsafe();
  *key = one_key_[0];
  return arrow::Status::OK();
}

arrow::Status DecodedBlockAccess::ValueAt(int64_t row, std::string_view* value) const {
  const arrow::Array& values = *rows_->columns->column(1);
  if (values.IsNull(row)) {
    *value = {};
    return arrow::Status::OK();
  }
  *value = arrow::is_large_binary_like(values.type_id())
               ? static_cast<const arrow::LargeBinaryArray&>(values).GetView(row)
               : static_cast<const arrow::BinaryArray&>(values).GetView(row);
  // A null pointer means a null value.
  if (value->data() == nullptr) *value = "";
  return arrow::Status::OK();
}

}  // namespace marble

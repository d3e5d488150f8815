#include "sst/block_access.h"

namespace marble {

arrow::Status DecodedBlockAccess::KeyAt(int64_t row, std::string_view* key) {
  if (rows_->keys.size() > 0) {
    *key = rows_->keys[row];
    return arrow::Status::OK();
  }
  // Encoding one row's key costs less than encoding, or keeping, those of the whole block.
  const KeyCodec& codec = *file_->schema().codec();
  if (codec.fixed_width() > 0) {
    for (const int column : codec.columns()) {
      const arrow::ArrayData& data = *rows_->columns->column_data(column);
      if (data.MayHaveNulls() && data.IsNull(row)) {
        return file_->Damage("a key is null");
      }
    }
    codec.EncodeFixedRow(*rows_->columns, row, &fixed_key_);
    *key = fixed_key_;
    return arrow::Status::OK();
  }
  arrow::ArrayVector arrays;
  for (const int column : codec.columns()) {
    arrays.push_back(rows_->columns->column(column)->Slice(row, 1));
  }
  auto keys = codec.EncodeArrays(arrays, file_->options().pool);
  if (!keys.ok()) return file_->Damage(keys.status(), -1);
  one_key_ = keys.MoveValueUnsafe();
  *key = one_key_[0];
  return arrow::Status::OK();
}

}  // namespace marble

#include "sst/block_access.h"

#include <arrow/array/array_binary.h>
#include <arrow/type_traits.h>

namespace marble {

namespace {

KvStrings StringsOf(const arrow::Array& array) {
  const arrow::ArrayData& data = *array.data();
  KvStrings out;
  out.large = arrow::is_large_binary_like(array.type_id());
  out.offsets = data.buffers[1]->data() + data.offset * (out.large ? 8 : 4);
  if (data.buffers[2] != nullptr) {
    out.data = reinterpret_cast<const char*>(data.buffers[2]->data());
    out.bytes = static_cast<uint64_t>(data.buffers[2]->size());
  }
  // A null pointer means a null value.
  if (out.data == nullptr) out.data = "";
  return out;
}

}  // namespace

KvColumns KvColumnsOf(const RowBatch& rows) {
  const arrow::Array& values = *rows.columns->column(1);
  KvColumns out;
  out.keys = StringsOf(*rows.columns->column(0));
  out.values = StringsOf(values);
  // Decoded blocks are whole messages: their bitmaps begin at bit 0.
  if (values.null_count() > 0) out.value_validity = values.null_bitmap_data();
  out.sequences = reinterpret_cast<const uint8_t*>(rows.sequences);
  out.kinds = rows.kinds;
  out.sequence = rows.sequence;
  out.sequence_max = rows.sequence_max;
  out.rows = rows.num_rows();
  out.unique_keys = rows.unique_keys;
  return out;
}

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

// Stored arrays back to the user's types. See type_conversion.h.
#include <limits>

#include <arrow/array/builder_binary.h>
#include <arrow/extension_type.h>
#include <arrow/util/checked_cast.h>

#include "row/compute.h"
#include "row/string_dictionary.h"
#include "row/type_children.h"
#include "row/type_conversion.h"

namespace marble {

namespace {

using arrow::Array;
using arrow::ArrayData;
using arrow::Result;
using arrow::Status;
using arrow::Type;
using arrow::internal::checked_cast;
using ArrayPtr = std::shared_ptr<Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

/// Largest value of an integer type.
uint64_t MaximumOf(const arrow::DataType& type) {
  const int bits = type.byte_width() * 8;
  const bool is_signed = arrow::is_signed_integer(type.id());
  return std::numeric_limits<uint64_t>::max() >> (64 - bits + (is_signed ? 1 : 0));
}

/// A copy of integers as another integer type; the caller knows that they fit.
template <typename From, typename To>
void CopyIntegers(const ArrayData& data, uint8_t* out) {
  const From* values = data.GetValues<From>(1);
  for (int64_t i = 0; i < data.length; ++i) {
    reinterpret_cast<To*>(out)[i] = static_cast<To>(values[i]);
  }
}

/// int32 values as integers of `type`'s width; signedness does not matter to values that fit.
Result<std::shared_ptr<arrow::Buffer>> ResizeIndices(const ArrayData& data,
                                                     const arrow::DataType& type,
                                                     arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(data.length * type.byte_width(), pool));
  uint8_t* out = buffer->mutable_data();
  switch (type.byte_width()) {
    case 1:
      CopyIntegers<int32_t, int8_t>(data, out);
      break;
    case 2:
      CopyIntegers<int32_t, int16_t>(data, out);
      break;
    case 4:
      CopyIntegers<int32_t, int32_t>(data, out);
      break;
    default:
      CopyIntegers<int32_t, int64_t>(data, out);
  }
  return buffer;
}

/// Types that dictionary_encode does not know, as one that it does with the same bytes.
TypePtr EncodableType(const TypePtr& type) {
  if (type->id() == Type::DECIMAL32) return arrow::int32();
  if (type->id() == Type::DECIMAL64) return arrow::int64();
  return type;
}

ArrayPtr WithType(const Array& array, const TypePtr& type) {
  const std::shared_ptr<ArrayData> data = array.data()->Copy();
  data->type = type;
  return arrow::MakeArray(data);
}

Result<ArrayPtr> ToDictionary(const ArrayPtr& array, const TypePtr& user_type,
                              arrow::MemoryPool* pool) {
  const auto& type = checked_cast<const arrow::DictionaryType&>(*user_type);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::DictionaryArray> parts,
                        EncodeShortStrings(*array, pool));
  if (parts == nullptr) {
    ARROW_ASSIGN_OR_RAISE(parts,
                          EncodeDictionary(WithType(*array, EncodableType(array->type())), pool));
  }
  const int64_t distinct = parts->dictionary()->length();
  if (distinct > 0 && static_cast<uint64_t>(distinct - 1) > MaximumOf(*type.index_type())) {
    return Status::CapacityError("a batch has ", distinct, " distinct values, more than ",
                                 type.index_type()->ToString(),
                                 " indices can number; read smaller batches");
  }
  const ArrayPtr stored_values = WithType(*parts->dictionary(), array->type());
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr values, ToUserArray(stored_values, type.value_type(), pool));
  const ArrayData& indices = *parts->indices()->data();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> resized,
                        ResizeIndices(indices, *type.index_type(), pool));
  std::shared_ptr<arrow::Buffer> validity;
  if (indices.GetNullCount() > 0) {
    ARROW_ASSIGN_OR_RAISE(validity, arrow::internal::CopyBitmap(pool, indices.buffers[0]->data(),
                                                                indices.offset, indices.length));
  }
  std::shared_ptr<ArrayData> data = ArrayData::Make(
      user_type, indices.length, {validity, std::move(resized)}, indices.GetNullCount());
  data->dictionary = values->data();
  return arrow::MakeArray(data);
}

/// True where row i differs from row i - 1. Compares through Arrow, for any type.
bool StartsRun(const Array& array, int64_t row) {
  const arrow::EqualOptions options =
      arrow::EqualOptions::Defaults().nans_equal(true).signed_zeros_equal(false);
  return row == 0 || !array.RangeEquals(array, row - 1, row, row, options);
}

template <typename RunEnd>
Result<ArrayPtr> ToRuns(const ArrayPtr& array, const TypePtr& user_type, arrow::MemoryPool* pool) {
  const auto& type = checked_cast<const arrow::RunEndEncodedType&>(*user_type);
  if (array->length() > std::numeric_limits<RunEnd>::max()) {
    return Status::CapacityError("a batch has ", array->length(), " rows, more than run ends of ",
                                 type.run_end_type()->ToString(),
                                 " can number; read smaller batches");
  }
  std::vector<RunEnd> ends;
  arrow::TypedBufferBuilder<int64_t> starts(pool);
  for (int64_t row = 0; row < array->length(); ++row) {
    if (!StartsRun(*array, row)) continue;
    if (row > 0) ends.push_back(static_cast<RunEnd>(row));
    ARROW_RETURN_NOT_OK(starts.Append(row));
  }
  if (array->length() > 0) ends.push_back(static_cast<RunEnd>(array->length()));
  const int64_t runs = starts.length();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> starts_buffer, starts.Finish());
  ARROW_ASSIGN_OR_RAISE(
      const ArrayPtr first_of_runs,
      TakeRows(array, std::make_shared<arrow::Int64Array>(runs, std::move(starts_buffer)), pool));
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr values, ToUserArray(first_of_runs, type.value_type(), pool));
  const int64_t bytes = runs * static_cast<int64_t>(sizeof(RunEnd));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> ends_buffer,
                        arrow::AllocateBuffer(bytes, pool));
  if (bytes > 0) std::memcpy(ends_buffer->mutable_data(), ends.data(), static_cast<size_t>(bytes));
  const ArrayPtr run_ends = arrow::MakeArray(
      ArrayData::Make(type.run_end_type(), runs, {nullptr, std::move(ends_buffer)}, 0));
  return arrow::RunEndEncodedArray::Make(user_type, array->length(), run_ends, values);
}

Result<ArrayPtr> ToViews(const Array& array, const TypePtr& user_type, arrow::MemoryPool* pool) {
  const auto& binary = checked_cast<const arrow::LargeBinaryArray&>(array);
  const bool is_string = user_type->id() == Type::STRING_VIEW;
  std::unique_ptr<arrow::BinaryViewBuilder> builder =
      is_string ? std::make_unique<arrow::StringViewBuilder>(pool)
                : std::make_unique<arrow::BinaryViewBuilder>(pool);
  ARROW_RETURN_NOT_OK(builder->Reserve(binary.length()));
  for (int64_t i = 0; i < binary.length(); ++i) {
    if (binary.IsNull(i)) {
      builder->UnsafeAppendNull();
    } else {
      ARROW_RETURN_NOT_OK(builder->Append(binary.GetView(i)));
    }
  }
  return builder->Finish();
}

template <typename Offset>
Result<ArrayPtr> ToListView(const Array& array, const TypePtr& user_type, arrow::MemoryPool* pool) {
  const auto& list = checked_cast<const arrow::LargeListArray&>(array);
  const int64_t length = list.length();
  // Only the elements in use, so that 32-bit offsets reach as far as they can.
  const int64_t begin = length == 0 ? 0 : list.value_offset(0);
  const int64_t count = length == 0 ? 0 : list.value_offset(length) - begin;
  if (count > std::numeric_limits<Offset>::max()) {
    return Status::CapacityError("a batch has ", count,
                                 " list elements, more than list_view can number; read smaller "
                                 "batches");
  }
  const int64_t bytes = length * static_cast<int64_t>(sizeof(Offset));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> offsets, arrow::AllocateBuffer(bytes, pool));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> sizes, arrow::AllocateBuffer(bytes, pool));
  for (int64_t i = 0; i < length; ++i) {
    const int64_t offset = list.value_offset(i) - begin;
    reinterpret_cast<Offset*>(offsets->mutable_data())[i] = static_cast<Offset>(offset);
    reinterpret_cast<Offset*>(sizes->mutable_data())[i] = static_cast<Offset>(list.value_length(i));
  }
  std::shared_ptr<arrow::Buffer> validity;
  if (list.null_count() > 0) {
    ARROW_ASSIGN_OR_RAISE(validity, arrow::internal::CopyBitmap(pool, list.null_bitmap_data(),
                                                                list.offset(), length));
  }
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr values, ToUserArray(list.values()->Slice(begin, count),
                                                           user_type->field(0)->type(), pool));
  return arrow::MakeArray(ArrayData::Make(user_type, length,
                                          {validity, std::move(offsets), std::move(sizes)},
                                          {values->data()}, list.null_count()));
}

Result<ArrayPtr> ToExtension(const ArrayPtr& array, const TypePtr& user_type,
                             arrow::MemoryPool* pool) {
  const auto& type = checked_cast<const arrow::ExtensionType&>(*user_type);
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr storage, ToUserArray(array, type.storage_type(), pool));
  const std::shared_ptr<ArrayData> data = storage->data()->Copy();
  data->type = user_type;
  return type.MakeArray(data);
}

}  // namespace

Result<ArrayPtr> ToUserArray(const ArrayPtr& array, const TypePtr& user_type,
                             arrow::MemoryPool* pool) {
  if (array->type() == user_type) return array;
  switch (user_type->id()) {
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
      return ToViews(*array, user_type, pool);
    case Type::DICTIONARY:
      return ToDictionary(array, user_type, pool);
    case Type::RUN_END_ENCODED: {
      const auto& type = checked_cast<const arrow::RunEndEncodedType&>(*user_type);
      if (type.run_end_type()->id() == Type::INT16) return ToRuns<int16_t>(array, user_type, pool);
      if (type.run_end_type()->id() == Type::INT32) return ToRuns<int32_t>(array, user_type, pool);
      return ToRuns<int64_t>(array, user_type, pool);
    }
    case Type::EXTENSION:
      return ToExtension(array, user_type, pool);
    case Type::LIST_VIEW:
      return ToListView<int32_t>(*array, user_type, pool);
    case Type::LARGE_LIST_VIEW:
      return ToListView<int64_t>(*array, user_type, pool);
    default:
      return WithConvertedChildren(
          *array, user_type,
          [pool](const ArrayPtr& child, const TypePtr& type) {
            return ToUserArray(child, type, pool);
          },
          pool);
  }
}

}  // namespace marble

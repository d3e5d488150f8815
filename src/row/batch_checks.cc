#include "row/batch_checks.h"

#include <cstring>

#include <arrow/array/util.h>
#include <arrow/util/checked_cast.h>

#include "row/batch_ops.h"
#include "row/key_column_codec.h"

namespace marble {

namespace {

using arrow::Array;
using arrow::Result;
using arrow::Status;
using arrow::Type;
using arrow::internal::checked_cast;
using ArrayPtr = std::shared_ptr<Array>;

/// True if a field somewhere inside the type may not be null.
bool HasRequiredField(const arrow::DataType& type) {
  for (const std::shared_ptr<arrow::Field>& field : type.fields()) {
    if (!field->nullable() || HasRequiredField(*field->type())) return true;
  }
  return false;
}

int64_t FirstNull(const Array& array) {
  for (int64_t row = 0; row < array.length(); ++row) {
    if (array.IsNull(row)) return row;
  }
  return -1;
}

/// The elements of the lists that are not null.
Result<ArrayPtr> ElementsOf(const Array& array) {
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  switch (array.type_id()) {
    case Type::LARGE_LIST:
      return checked_cast<const arrow::LargeListArray&>(array).Flatten(pool);
    case Type::FIXED_SIZE_LIST:
      return checked_cast<const arrow::FixedSizeListArray&>(array).Flatten(pool);
    default:
      return checked_cast<const arrow::ListArray&>(array).Flatten(pool);  // and map
  }
}

/// Fields inside `array`. Children under a null parent do not count.
Status CheckChildren(const Array& array, const std::string& path, const std::string& what) {
  // A list without rows may lack its offsets, which Flatten reads all the same.
  if (array.length() == 0 || !HasRequiredField(*array.type())) return Status::OK();
  if (array.type_id() == Type::STRUCT) {
    const auto& parent = checked_cast<const arrow::StructArray&>(array);
    for (int i = 0; i < parent.num_fields(); ++i) {
      const arrow::Field& field = *array.type()->field(i);
      const std::string child_path = path + "." + field.name();
      ARROW_ASSIGN_OR_RAISE(const ArrayPtr child, parent.GetFlattenedField(i));
      if (!field.nullable() && child->null_count() > parent.null_count()) {
        return Status::Invalid("null in ", what, " '", child_path, "', which is not nullable");
      }
      ARROW_RETURN_NOT_OK(CheckChildren(*child, child_path, what));
    }
    return Status::OK();
  }
  const arrow::Field& field = *array.type()->field(0);
  const std::string child_path = path + "." + field.name();
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr elements, ElementsOf(array));
  if (!field.nullable() && elements->null_count() > 0) {
    return Status::Invalid("null in ", what, " '", child_path, "', which is not nullable");
  }
  return CheckChildren(*elements, child_path, what);
}

template <typename U>
Result<ArrayPtr> CanonicalFloats(const ArrayPtr& array, arrow::MemoryPool* pool) {
  const U* values = array->data()->GetValues<U>(1);
  const int64_t length = array->length();
  bool changed = false;
  for (int64_t i = 0; i < length; ++i) {
    changed |= key_internal::CanonicalFloat(values[i]) != values[i];
  }
  if (!changed) return array;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(length * static_cast<int64_t>(sizeof(U)), pool));
  auto* out = reinterpret_cast<U*>(buffer->mutable_data());
  for (int64_t i = 0; i < length; ++i) out[i] = key_internal::CanonicalFloat(values[i]);
  return arrow::MakeArray(
      arrow::ArrayData::Make(array->type(), length, {nullptr, std::move(buffer)}, 0));
}

Result<std::shared_ptr<arrow::Buffer>> Zeros(int64_t bytes, arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(bytes, pool));
  if (bytes > 0) std::memset(buffer->mutable_data(), 0, static_cast<size_t>(bytes));
  return buffer;
}

/// Empty values of a type with offsets of `width` bytes.
Result<ArrayPtr> MakeEmptyValues(const std::shared_ptr<arrow::DataType>& type, int64_t width,
                                 int64_t length, arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> offsets, Zeros((length + 1) * width, pool));
  if (type->num_fields() == 0) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bytes, arrow::AllocateBuffer(0, pool));
    return arrow::MakeArray(
        arrow::ArrayData::Make(type, length, {nullptr, std::move(offsets), std::move(bytes)}, 0));
  }
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr child, arrow::MakeEmptyArray(type->field(0)->type(), pool));
  return arrow::MakeArray(
      arrow::ArrayData::Make(type, length, {nullptr, std::move(offsets)}, {child->data()}, 0));
}

Result<ArrayPtr> MakeZeroValues(const std::shared_ptr<arrow::DataType>& type, int64_t length,
                                arrow::MemoryPool* pool) {
  switch (type->id()) {
    case Type::NA:
      return std::make_shared<arrow::NullArray>(length);
    case Type::STRING:
    case Type::BINARY:
    case Type::LIST:
    case Type::MAP:
      return MakeEmptyValues(type, 4, length, pool);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
    case Type::LARGE_LIST:
      return MakeEmptyValues(type, 8, length, pool);
    case Type::FIXED_SIZE_LIST: {
      const int64_t size = checked_cast<const arrow::FixedSizeListType&>(*type).list_size();
      ARROW_ASSIGN_OR_RAISE(const ArrayPtr child,
                            MakeDefaults(*type->field(0), length * size, pool));
      return arrow::MakeArray(arrow::ArrayData::Make(type, length, {nullptr}, {child->data()}, 0));
    }
    case Type::STRUCT: {
      std::vector<std::shared_ptr<arrow::ArrayData>> children;
      for (const std::shared_ptr<arrow::Field>& field : type->fields()) {
        ARROW_ASSIGN_OR_RAISE(const ArrayPtr child, MakeDefaults(*field, length, pool));
        children.push_back(child->data());
      }
      return arrow::MakeArray(
          arrow::ArrayData::Make(type, length, {nullptr}, std::move(children), 0));
    }
    default: {
      const int64_t bytes = type->id() == Type::BOOL ? arrow::bit_util::BytesForBits(length)
                                                     : length * type->byte_width();
      ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values, Zeros(bytes, pool));
      return arrow::MakeArray(
          arrow::ArrayData::Make(type, length, {nullptr, std::move(values)}, 0));
    }
  }
}

}  // namespace

Status CheckNoForbiddenNulls(const ArrayPtr& array, const arrow::Field& field,
                             const std::string& what) {
  if (!field.nullable() && array->null_count() > 0) {
    return Status::Invalid("null in ", what, " '", field.name(),
                           "', which is not nullable, at row ", FirstNull(*array));
  }
  return CheckChildren(*array, field.name(), what);
}

Status CheckRowBytes(const std::shared_ptr<arrow::RecordBatch>& batch, int64_t limit) {
  // Halves that are small enough as a whole hold no row that is too large.
  struct Range {
    int64_t begin;
    int64_t length;
  };
  std::vector<Range> ranges = {{0, batch->num_rows()}};
  while (!ranges.empty()) {
    const Range range = ranges.back();
    ranges.pop_back();
    const int64_t bytes = BatchBytes(*batch->Slice(range.begin, range.length));
    if (bytes <= limit) continue;
    if (range.length <= 1) {
      return Status::Invalid("row ", range.begin, " has ", bytes, " bytes, more than the limit of ",
                             limit);
    }
    const int64_t half = range.length / 2;
    ranges.push_back({range.begin + half, range.length - half});
    ranges.push_back({range.begin, half});
  }
  return Status::OK();
}

Result<ArrayPtr> CanonicalKeyColumn(const ArrayPtr& array, arrow::MemoryPool* pool) {
  switch (array->type_id()) {
    case Type::HALF_FLOAT:
      return CanonicalFloats<uint16_t>(array, pool);
    case Type::FLOAT:
      return CanonicalFloats<uint32_t>(array, pool);
    case Type::DOUBLE:
      return CanonicalFloats<uint64_t>(array, pool);
    default:
      return array;
  }
}

Result<ArrayPtr> MakeDefaults(const arrow::Field& field, int64_t length, arrow::MemoryPool* pool) {
  if (field.nullable()) return arrow::MakeArrayOfNull(field.type(), length, pool);
  return MakeZeroValues(field.type(), length, pool);
}

}  // namespace marble

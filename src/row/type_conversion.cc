// The mapping of types and the conversion to stored arrays; the way back is in to_user_array.cc.
#include "row/type_conversion.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <arrow/array/builder_binary.h>
#include <arrow/array/concatenate.h>
#include <arrow/extension_type.h>
#include <arrow/ipc/options.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/key_value_metadata.h>

#include "row/batch_ops.h"
#include "row/compute.h"
#include "row/row_kind.h"
#include "row/type_children.h"

namespace marble {

namespace {

using arrow::Array;
using arrow::Result;
using arrow::Status;
using arrow::Type;
using arrow::internal::checked_cast;
using ArrayPtr = std::shared_ptr<Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

/// IPC nests types up to kMaxNestingDepth; some levels are left for its own framing.
constexpr int kNestingMax = arrow::ipc::kMaxNestingDepth - 4;

Result<TypePtr> StoredTypeAt(const TypePtr& type, int depth);

Result<TypePtr> StoredParent(const TypePtr& type, int depth) {
  arrow::FieldVector fields;
  bool changed = type->id() == Type::LIST_VIEW || type->id() == Type::LARGE_LIST_VIEW;
  for (const std::shared_ptr<arrow::Field>& field : type->fields()) {
    ARROW_ASSIGN_OR_RAISE(TypePtr stored, StoredTypeAt(field->type(), depth + 1));
    // A field of an extension type that is unknown here names the extension in its metadata; in a
    // file, readers that do know it would give it back as that type.
    const bool has_metadata = field->HasMetadata();
    changed = changed || has_metadata || stored != field->type();
    fields.push_back(has_metadata ? field->RemoveMetadata()->WithType(stored)
                                  : field->WithType(stored));
  }
  return changed ? TypeWithChildren(*type, fields) : Result<TypePtr>(type);
}

Result<TypePtr> StoredDictionary(const arrow::DictionaryType& type, int depth) {
  ARROW_ASSIGN_OR_RAISE(TypePtr stored, StoredTypeAt(type.value_type(), depth + 1));
  if (arrow::is_nested(stored->id())) {  // a struct may have no fields
    return Status::TypeError("dictionaries of nested values (", type.ToString(),
                             ") cannot be stored");
  }
  return stored;
}

Result<TypePtr> StoredTypeAt(const TypePtr& type, int depth) {
  if (depth > kNestingMax) {
    return Status::TypeError("types nested deeper than ", kNestingMax, " levels cannot be stored");
  }
  switch (type->id()) {
    case Type::STRING_VIEW:
      return arrow::large_utf8();
    case Type::BINARY_VIEW:
      return arrow::large_binary();
    case Type::DICTIONARY:
      return StoredDictionary(checked_cast<const arrow::DictionaryType&>(*type), depth);
    case Type::RUN_END_ENCODED:
      return StoredTypeAt(checked_cast<const arrow::RunEndEncodedType&>(*type).value_type(),
                          depth + 1);
    case Type::EXTENSION:
      return StoredTypeAt(checked_cast<const arrow::ExtensionType&>(*type).storage_type(),
                          depth + 1);
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::LIST_VIEW:
    case Type::LARGE_LIST_VIEW:
    case Type::FIXED_SIZE_LIST:
    case Type::STRUCT:
    case Type::MAP:
      return StoredParent(type, depth);
    case Type::NA:
    case Type::BOOL:
    case Type::STRING:
    case Type::BINARY:
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
    case Type::FIXED_SIZE_BINARY:
      return type;
    default:
      break;
  }
  if (arrow::is_primitive(type->id()) || arrow::is_decimal(type->id()) ||
      arrow::is_interval(type->id())) {
    return type;
  }
  return Status::TypeError("type ", type->ToString(), " cannot be stored");
}

/// Bits of one value of a stored type, without what its offsets point to. Elements without bits
/// count as a byte. Larger numbers are told as kBytesMax.
int64_t BitsOfValue(const arrow::DataType& type) {
  if (type.id() == Type::FIXED_SIZE_LIST) {
    const auto& list = checked_cast<const arrow::FixedSizeListType&>(type);
    const int64_t bits = BitsOfValue(*list.value_type());
    const int64_t element = bits == 0 ? 8 : bits;
    return list.list_size() > kBytesMax / element ? kBytesMax : list.list_size() * element;
  }
  if (type.id() == Type::STRUCT) {
    int64_t bits = 0;
    for (const auto& field : type.fields()) bits = SumOfBytes(bits, BitsOfValue(*field->type()));
    return bits;
  }
  if (type.id() == Type::FIXED_SIZE_BINARY) return int64_t{8} * type.byte_width();
  return arrow::is_fixed_width(type.id()) ? type.bit_width() : 0;
}

/// `type` or a part of it; nullptr if there is none.
const arrow::DataType* OrderedDictionaryIn(const arrow::DataType& type) {
  switch (type.id()) {
    case Type::DICTIONARY: {
      const auto& dictionary = checked_cast<const arrow::DictionaryType&>(type);
      return dictionary.ordered() ? &type : OrderedDictionaryIn(*dictionary.value_type());
    }
    case Type::RUN_END_ENCODED:
      return OrderedDictionaryIn(*checked_cast<const arrow::RunEndEncodedType&>(type).value_type());
    case Type::EXTENSION:
      return OrderedDictionaryIn(*checked_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      break;
  }
  for (const auto& field : type.fields()) {
    if (const auto* found = OrderedDictionaryIn(*field->type())) return found;
  }
  return nullptr;
}

Result<ArrayPtr> DecodeDictionary(const Array& array, const TypePtr& stored_type,
                                  arrow::MemoryPool* pool) {
  const auto& dictionary = checked_cast<const arrow::DictionaryArray&>(array);
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr values,
                        ToStoredArray(dictionary.dictionary(), stored_type, pool));
  return TakeRows(values, dictionary.indices(), pool);
}

template <typename RunEnd>
std::vector<int64_t> Widened(const Array& ends) {
  const RunEnd* values = ends.data()->GetValues<RunEnd>(1);
  return {values, values + ends.length()};
}

std::vector<int64_t> EndsOf(const Array& run_ends) {
  if (run_ends.type_id() == Type::INT16) return Widened<int16_t>(run_ends);
  if (run_ends.type_id() == Type::INT32) return Widened<int32_t>(run_ends);
  return Widened<int64_t>(run_ends);
}

/// Rows made of runs, in parts of some MiB. A run of any length takes no memory, but its rows do:
/// CapacityError if they are too many.
class RunExpansion {
 public:
  RunExpansion(ArrayPtr values, std::vector<int64_t> ends, arrow::MemoryPool* pool)
      : values_(std::move(values)), ends_(std::move(ends)), pool_(pool) {}

  Result<ArrayPtr> Run() {
    ARROW_RETURN_NOT_OK(CheckSize());
    int64_t row = 0;
    for (size_t run = 0; run < ends_.size(); ++run) {
      while (row < ends_[run]) {
        const int64_t room = 1 + (kPartBytes - part_bytes_) / std::max<int64_t>(bytes_[run], 1);
        const int64_t rows = std::min({ends_[run] - row, room, kPartRows - PartRows()});
        places_.insert(places_.end(), static_cast<size_t>(rows), static_cast<int64_t>(run));
        part_bytes_ += rows * bytes_[run];
        row += rows;
        if (part_bytes_ >= kPartBytes || PartRows() == kPartRows) ARROW_RETURN_NOT_OK(EndPart());
      }
    }
    if (!places_.empty() || parts_.empty()) ARROW_RETURN_NOT_OK(EndPart());
    return parts_.size() == 1 ? parts_[0] : arrow::Concatenate(parts_, pool_);
  }

 private:
  static constexpr int64_t kPartRows = int64_t{1} << 20;
  static constexpr int64_t kPartBytes = int64_t{64} << 20;
  static constexpr int64_t kRowsMax = int64_t{1} << 32;
  static constexpr int64_t kRunsBytesMax = int64_t{4} << 30;

  int64_t PartRows() const { return static_cast<int64_t>(places_.size()); }

  Status CheckSize() {
    bytes_.reserve(ends_.size());
    int64_t total = 0;
    int64_t row = 0;
    bool fits = ends_.empty() || ends_.back() <= kRowsMax;
    for (size_t run = 0; run < ends_.size() && fits; ++run) {
      const int64_t rows = ends_[run] - std::exchange(row, ends_[run]);
      const int64_t bytes =
          ColumnBytes(*values_->data(), values_->offset() + static_cast<int64_t>(run), 1);
      if (bytes > kValueBytesMax) {
        return Status::CapacityError("a value of ", bytes, " bytes, more than ", kValueBytesMax);
      }
      bytes_.push_back(bytes);
      fits = bytes <= kRunsBytesMax / rows;
      if (fits) total += rows * bytes;
      fits = fits && total <= kRunsBytesMax;
    }
    if (fits) return Status::OK();
    return Status::CapacityError("run-end encoded values of ", ends_.back(),
                                 " rows are too many at once; give them in smaller batches");
  }

  Status EndPart() {
    const auto places =
        std::make_shared<arrow::Int64Array>(PartRows(), arrow::Buffer::Wrap(places_));
    ARROW_ASSIGN_OR_RAISE(parts_.emplace_back(), TakeRows(values_, places, pool_));
    places_.clear();
    part_bytes_ = 0;
    return Status::OK();
  }

  const ArrayPtr values_;
  const std::vector<int64_t> ends_;  // of the runs of values_, in rows
  arrow::MemoryPool* const pool_;
  std::vector<int64_t> bytes_;   // of each value
  std::vector<int64_t> places_;  // of the part: which value each row has
  int64_t part_bytes_ = 0;
  arrow::ArrayVector parts_;
};

Result<ArrayPtr> DecodeRuns(const Array& array, const TypePtr& stored_type,
                            arrow::MemoryPool* pool) {
  const auto& runs = checked_cast<const arrow::RunEndEncodedArray&>(array);
  if (stored_type->id() == Type::NA) return std::make_shared<arrow::NullArray>(array.length());
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr ends, runs.LogicalRunEnds(pool));
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr values,
                        ToStoredArray(runs.LogicalValues(), stored_type, pool));
  return RunExpansion(values, EndsOf(*ends), pool).Run();
}

Result<ArrayPtr> FromViews(const Array& array, const TypePtr& stored_type,
                           arrow::MemoryPool* pool) {
  const auto& views = checked_cast<const arrow::BinaryViewArray&>(array);
  arrow::LargeBinaryBuilder builder(pool);
  ARROW_RETURN_NOT_OK(builder.Reserve(views.length()));
  int64_t bytes = 0;
  for (int64_t i = 0; i < views.length(); ++i) {
    if (views.IsValid(i)) bytes += static_cast<int64_t>(views.GetView(i).size());
  }
  ARROW_RETURN_NOT_OK(builder.ReserveData(bytes));
  for (int64_t i = 0; i < views.length(); ++i) {
    if (views.IsNull(i)) {
      builder.UnsafeAppendNull();
    } else {
      builder.UnsafeAppend(views.GetView(i));
    }
  }
  std::shared_ptr<arrow::ArrayData> data;
  ARROW_RETURN_NOT_OK(builder.FinishInternal(&data));
  data->type = stored_type;  // builders of bytes know no text
  return arrow::MakeArray(data);
}

/// A list_view as the large_list of the same elements, their type not yet changed. Arrow's
/// FromListView is given 64-bit views without an offset: views may share elements, whose copies
/// 32-bit offsets need not reach, and of a sliced array it (26.0) reads the wrong validity.
template <typename Views>
Result<ArrayPtr> FromListView(const Array& array, arrow::MemoryPool* pool) {
  const auto& views = checked_cast<const Views&>(array);
  const int64_t length = array.length();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> offsets,
                        arrow::AllocateBuffer(length * 8, pool));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> sizes,
                        arrow::AllocateBuffer(length * 8, pool));
  for (int64_t i = 0; i < length; ++i) {
    reinterpret_cast<int64_t*>(offsets->mutable_data())[i] = views.value_offset(i);
    reinterpret_cast<int64_t*>(sizes->mutable_data())[i] = views.value_length(i);
  }
  std::shared_ptr<arrow::Buffer> validity;
  if (array.null_count() > 0) {
    ARROW_ASSIGN_OR_RAISE(validity, arrow::internal::CopyBitmap(pool, array.null_bitmap_data(),
                                                                array.offset(), length));
  }
  const arrow::LargeListViewArray wide(arrow::large_list_view(array.type()->field(0)), length,
                                       offsets, sizes, views.values(), validity,
                                       array.null_count());
  return arrow::LargeListArray::FromListView(wide, pool);
}

Result<ArrayPtr> ConvertChildren(const Array& array, const TypePtr& stored_type,
                                 arrow::MemoryPool* pool) {
  return WithConvertedChildren(
      array, stored_type,
      [pool](const ArrayPtr& child, const TypePtr& type) {
        return ToStoredArray(child, type, pool);
      },
      pool);
}

}  // namespace

Result<TypePtr> StoredType(const TypePtr& type) { return StoredTypeAt(type, 0); }

Status CheckNewColumn(const arrow::Field& field) {
  if (const arrow::DataType* type = OrderedDictionaryIn(*field.type())) {
    return Status::TypeError("column '", field.name(), "': ordered dictionaries (",
                             type->ToString(),
                             ") cannot be stored, as the order of their values would be lost");
  }
  const Result<TypePtr> stored = StoredType(field.type());
  if (!stored.ok() || BitsOfValue(**stored) / 8 <= kValueBytesMax) return Status::OK();
  return Status::TypeError("column '", field.name(), "': each value of ", field.type()->ToString(),
                           " takes more than ", kValueBytesMax, " bytes");
}

Result<ArrayPtr> ToStoredArray(const ArrayPtr& array, const TypePtr& stored_type,
                               arrow::MemoryPool* pool) {
  if (array->type() == stored_type) return array;
  switch (array->type_id()) {
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
      return FromViews(*array, stored_type, pool);
    case Type::DICTIONARY:
      return DecodeDictionary(*array, stored_type, pool);
    case Type::RUN_END_ENCODED:
      return DecodeRuns(*array, stored_type, pool);
    case Type::EXTENSION:
      return ToStoredArray(checked_cast<const arrow::ExtensionArray&>(*array).storage(),
                           stored_type, pool);
    case Type::LIST_VIEW: {
      ARROW_ASSIGN_OR_RAISE(const ArrayPtr list, FromListView<arrow::ListViewArray>(*array, pool));
      return ConvertChildren(*list, stored_type, pool);
    }
    case Type::LARGE_LIST_VIEW: {
      ARROW_ASSIGN_OR_RAISE(const ArrayPtr list,
                            FromListView<arrow::LargeListViewArray>(*array, pool));
      return ConvertChildren(*list, stored_type, pool);
    }
    default:
      return ConvertChildren(*array, stored_type, pool);
  }
}

}  // namespace marble

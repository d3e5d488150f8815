#include "table/lossless_cast.h"

#include <utility>

#include <arrow/array/array_dict.h>
#include <arrow/array/array_run_end.h>
#include <arrow/array/util.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>
#include <arrow/util/checked_cast.h>

#include "row/widening.h"

namespace marble {
namespace {

using arrow::DataType;
using arrow::Type;
using arrow::internal::checked_cast;

bool IsText(Type::type id) {
  return id == Type::STRING || id == Type::LARGE_STRING || id == Type::STRING_VIEW;
}
bool IsBytes(Type::type id) {
  return id == Type::BINARY || id == Type::LARGE_BINARY || id == Type::BINARY_VIEW;
}

/// Units do not matter: a value that the coarser one cannot keep is refused when it is cast.
/// (Parquet gives seconds back as milliseconds.)
bool IsTimeLossless(const DataType& from, const DataType& to) {
  if (from.id() == Type::DATE32 && to.id() == Type::DATE64) return true;
  if (arrow::is_time(from.id()) && arrow::is_time(to.id())) return true;
  if (from.id() != to.id()) return false;
  if (from.id() == Type::TIMESTAMP) {
    const auto& a = checked_cast<const arrow::TimestampType&>(from);
    const auto& b = checked_cast<const arrow::TimestampType&>(to);
    // Zones say how a moment is shown; a time without one is no moment.
    return a.timezone().empty() == b.timezone().empty();
  }
  return from.id() == Type::DURATION;
}

/// Not views of lists: what Arrow casts from them is not valid.
bool IsList(Type::type id) { return id == Type::LIST || id == Type::LARGE_LIST; }

bool IsFieldLossless(const arrow::Field& from, const arrow::Field& to) {
  return (to.nullable() || !from.nullable()) && IsLossless(*from.type(), *to.type());
}

bool IsNestedLossless(const DataType& from, const DataType& to) {
  if (IsList(from.id()) && IsList(to.id())) return IsFieldLossless(*from.field(0), *to.field(0));
  if (from.id() == Type::FIXED_SIZE_LIST && (to.id() == from.id() || IsList(to.id()))) {
    if (to.id() == from.id() && checked_cast<const arrow::FixedSizeListType&>(from).list_size() !=
                                    checked_cast<const arrow::FixedSizeListType&>(to).list_size()) {
      return false;
    }
    return IsFieldLossless(*from.field(0), *to.field(0));
  }
  if (from.id() == Type::MAP && to.id() == Type::MAP) {
    const auto& a = checked_cast<const arrow::MapType&>(from);
    const auto& b = checked_cast<const arrow::MapType&>(to);
    return IsFieldLossless(*a.key_field(), *b.key_field()) &&
           IsFieldLossless(*a.item_field(), *b.item_field());
  }
  if (from.id() != Type::STRUCT || to.id() != Type::STRUCT) return false;
  if (from.num_fields() != to.num_fields()) return false;
  for (int i = 0; i < from.num_fields(); ++i) {
    if (from.field(i)->name() != to.field(i)->name()) return false;
    if (!IsFieldLossless(*from.field(i), *to.field(i))) return false;
  }
  return true;
}

/// The type whose values a column of `type` has, if it only stores them in another way.
const std::shared_ptr<DataType>* ValueTypeOf(const DataType& type) {
  switch (type.id()) {
    case Type::DICTIONARY:
      return &checked_cast<const arrow::DictionaryType&>(type).value_type();
    case Type::RUN_END_ENCODED:
      return &checked_cast<const arrow::RunEndEncodedType&>(type).value_type();
    case Type::EXTENSION:
      return &checked_cast<const arrow::ExtensionType&>(type).storage_type();
    default:
      return nullptr;
  }
}

arrow::Result<std::shared_ptr<arrow::Array>> ValuesOf(const std::shared_ptr<arrow::Array>& array) {
  switch (array->type_id()) {
    case Type::DICTIONARY: {
      const auto& dictionary = checked_cast<const arrow::DictionaryArray&>(*array);
      ARROW_ASSIGN_OR_RAISE(auto taken,
                            arrow::compute::Take(dictionary.dictionary(), dictionary.indices(),
                                                 arrow::compute::TakeOptions()));
      return taken.make_array();
    }
    case Type::RUN_END_ENCODED: {
      ARROW_ASSIGN_OR_RAISE(auto decoded, arrow::compute::RunEndDecode(array));
      return decoded.make_array();
    }
    default:
      return checked_cast<const arrow::ExtensionArray&>(*array).storage();
  }
}

/// Values of `to`'s value type as an array of `to`.
arrow::Result<std::shared_ptr<arrow::Array>> Wrap(const std::shared_ptr<arrow::Array>& values,
                                                  const std::shared_ptr<DataType>& to) {
  if (to->id() == Type::EXTENSION) return arrow::ExtensionType::WrapArray(to, values);
  if (to->id() == Type::RUN_END_ENCODED) {
    const auto& type = checked_cast<const arrow::RunEndEncodedType&>(*to);
    ARROW_ASSIGN_OR_RAISE(auto encoded,
                          arrow::compute::RunEndEncode(
                              values, arrow::compute::RunEndEncodeOptions(type.run_end_type())));
    return encoded.make_array();
  }
  const auto& type = checked_cast<const arrow::DictionaryType&>(*to);
  ARROW_ASSIGN_OR_RAISE(arrow::Datum datum, arrow::compute::DictionaryEncode(values));
  const auto encoded = datum.array_as<arrow::DictionaryArray>();
  ARROW_ASSIGN_OR_RAISE(auto indices, arrow::compute::Cast(*encoded->indices(), type.index_type()));
  return arrow::DictionaryArray::FromArrays(to, std::move(indices), encoded->dictionary());
}

}  // namespace

bool IsLossless(const DataType& from, const DataType& to) {
  if (from.Equals(to) || from.id() == Type::NA) return true;
  if (const auto* values = ValueTypeOf(from)) return IsLossless(**values, to);
  if (const auto* values = ValueTypeOf(to)) return IsLossless(from, **values);
  const bool from_chars = IsText(from.id()) || IsBytes(from.id());
  if (IsText(to.id()) || IsBytes(to.id())) {
    return from_chars || (from.id() == Type::FIXED_SIZE_BINARY && IsBytes(to.id()));
  }
  return IsWidening(from, to) || HoldsDecimals(from, to) || IsTimeLossless(from, to) ||
         IsNestedLossless(from, to);
}

arrow::Result<std::shared_ptr<arrow::Array>> CastLossless(
    const std::shared_ptr<arrow::Array>& array, const std::shared_ptr<DataType>& to) {
  if (array->type()->Equals(*to)) return array;
  if (array->type_id() == Type::NA) return arrow::MakeArrayOfNull(to, array->length());
  if (ValueTypeOf(*array->type()) != nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto values, ValuesOf(array));
    return CastLossless(values, to);
  }
  if (const auto* value_type = ValueTypeOf(*to)) {
    ARROW_ASSIGN_OR_RAISE(auto values, CastLossless(array, *value_type));
    return Wrap(values, to);
  }
  return arrow::compute::Cast(*array, to, arrow::compute::CastOptions::Safe());
}

}  // namespace marble

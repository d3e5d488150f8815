#include "table/decoded_size.h"

#include <algorithm>
#include <memory>

#include <arrow/array.h>
#include <arrow/extension_type.h>
#include <arrow/util/checked_cast.h>

namespace marble {
namespace {

using arrow::Array;
using arrow::Type;
using arrow::internal::checked_cast;

/// Larger than any row may be: sums and products stop here.
constexpr int64_t kBytesMax = int64_t{1} << 40;

/// Of one value of an array.
struct Bound {
  int64_t bytes = 0;
  bool shared = false;  // values among rows
};

int64_t Times(int64_t count, int64_t bytes) {
  return bytes > 0 && count > kBytesMax / bytes ? kBytesMax : count * bytes;
}

template <typename Lists>
int64_t LongestList(const Array& array) {
  const auto& lists = checked_cast<const Lists&>(array);
  int64_t longest = 0;
  for (int64_t i = 0; i < lists.length(); ++i) {
    if (lists.IsValid(i)) longest = std::max<int64_t>(longest, lists.value_length(i));
  }
  return longest;
}

template <typename Strings>
int64_t LongestString(const Array& array) {
  const auto& strings = checked_cast<const Strings&>(array);
  int64_t longest = 0;
  for (int64_t i = 0; i < strings.length(); ++i) {
    if (strings.IsValid(i)) {
      longest = std::max(longest, static_cast<int64_t>(strings.GetView(i).size()));
    }
  }
  return longest;
}

Bound BoundOf(const Array& array);

template <typename Lists>
Bound BoundOfLists(const Array& array) {
  const Bound element = BoundOf(*checked_cast<const Lists&>(array).values());
  return {Times(LongestList<Lists>(array), std::max<int64_t>(element.bytes, 1)), element.shared};
}

Bound BoundOfStruct(const arrow::StructArray& array) {
  Bound bound;
  for (int i = 0; i < array.num_fields(); ++i) {
    const Bound field = BoundOf(*array.field(i));
    bound.bytes = std::min(kBytesMax, bound.bytes + field.bytes);
    bound.shared |= field.shared;
  }
  return bound;
}

Bound BoundOf(const Array& array) {
  switch (array.type_id()) {
    case Type::DICTIONARY:
      return {BoundOf(*checked_cast<const arrow::DictionaryArray&>(array).dictionary()).bytes,
              true};
    case Type::RUN_END_ENCODED:
      return {BoundOf(*checked_cast<const arrow::RunEndEncodedArray&>(array).values()).bytes, true};
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
      return {LongestString<arrow::BinaryViewArray>(array), true};
    case Type::EXTENSION:
      return BoundOf(*checked_cast<const arrow::ExtensionArray&>(array).storage());
    case Type::STRUCT:
      return BoundOfStruct(checked_cast<const arrow::StructArray&>(array));
    case Type::LIST_VIEW:
      return {BoundOfLists<arrow::ListViewArray>(array).bytes, true};
    case Type::LARGE_LIST_VIEW:
      return {BoundOfLists<arrow::LargeListViewArray>(array).bytes, true};
    case Type::LIST:
    case Type::MAP:
      return BoundOfLists<arrow::ListArray>(array);
    case Type::LARGE_LIST:
      return BoundOfLists<arrow::LargeListArray>(array);
    case Type::FIXED_SIZE_LIST:
      return BoundOfLists<arrow::FixedSizeListArray>(array);
    case Type::STRING:
    case Type::BINARY:
      return {LongestString<arrow::BinaryArray>(array), false};
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return {LongestString<arrow::LargeBinaryArray>(array), false};
    default:
      return {(std::max(array.type()->bit_width(), 0) + 7) / 8, false};
  }
}

/// Does the type share values anywhere? Asked first: bounds look at every value.
bool MayShare(const arrow::DataType& type) {
  switch (type.id()) {
    case Type::DICTIONARY:
    case Type::RUN_END_ENCODED:
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
    case Type::LIST_VIEW:
    case Type::LARGE_LIST_VIEW:
      return true;
    case Type::EXTENSION:
      return MayShare(*checked_cast<const arrow::ExtensionType&>(type).storage_type());
    default:
      return std::ranges::any_of(type.fields(),
                                 [](const auto& field) { return MayShare(*field->type()); });
  }
}

}  // namespace

int64_t StoredRowBytesMax(const arrow::RecordBatch& batch) {
  Bound row;
  for (const auto& column : batch.columns()) {
    if (!MayShare(*column->type())) continue;
    const Bound bound = BoundOf(*column);
    row.bytes = std::min(kBytesMax, row.bytes + bound.bytes);
    row.shared |= bound.shared;
  }
  return row.shared ? std::max<int64_t>(row.bytes, 1) : 0;
}

}  // namespace marble

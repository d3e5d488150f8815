#include "sst/row_sizer.h"

#include <algorithm>

#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include "row/batch_ops.h"

namespace marble {

namespace {

// As ColumnBytes (row/batch_ops.h) counts, but so that the bytes of two ranges add up to those of
// both together.
int64_t BytesOf(const arrow::ArrayData& data, int64_t begin, int64_t end);

template <typename Offset>
int64_t BinaryBytes(const arrow::ArrayData& data, int64_t begin, int64_t end) {
  const auto* offsets = data.GetValues<Offset>(1);
  if (begin == end || offsets == nullptr) return 0;  // no rows, no offsets
  return (end - begin) * static_cast<int64_t>(sizeof(Offset)) + offsets[end] - offsets[begin];
}

template <typename Offset>
int64_t ListBytes(const arrow::ArrayData& data, int64_t begin, int64_t end) {
  const auto* offsets = data.GetValues<Offset>(1);
  if (begin == end || offsets == nullptr) return 0;
  // An element without bytes counts as one: blocks end before their elements are too many.
  return SumOfBytes((end - begin) * static_cast<int64_t>(sizeof(Offset)),
                    std::max<int64_t>(BytesOf(*data.child_data[0], offsets[begin], offsets[end]),
                                      offsets[end] - offsets[begin]));
}

// Bits a row of a type without offsets, 0 for others.
int64_t FixedBits(const arrow::DataType& type) {
  return arrow::is_fixed_width(type) ? type.bit_width() : 0;
}

int64_t BytesOf(const arrow::ArrayData& data, int64_t begin, int64_t end) {
  const int64_t validity =
      data.buffers.empty() || data.buffers[0] == nullptr ? 0 : (end - begin) / 8;
  switch (data.type->id()) {
    case arrow::Type::BINARY:
    case arrow::Type::STRING:
      return validity + BinaryBytes<int32_t>(data, begin, end);
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::LARGE_STRING:
      return validity + BinaryBytes<int64_t>(data, begin, end);
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      return validity + ListBytes<int32_t>(data, begin, end);
    case arrow::Type::LARGE_LIST:
      return validity + ListBytes<int64_t>(data, begin, end);
    case arrow::Type::FIXED_SIZE_LIST: {
      const int64_t width = static_cast<const arrow::FixedSizeListType&>(*data.type).list_size();
      const int64_t bytes =
          BytesOf(*data.child_data[0], (data.offset + begin) * width, (data.offset + end) * width);
      return validity + (bytes == 0 ? (end - begin) * width : bytes);
    }
    case arrow::Type::STRUCT: {
      int64_t bytes = validity;
      for (const auto& child : data.child_data) {
        bytes = SumOfBytes(bytes, BytesOf(*child, data.offset + begin, data.offset + end));
      }
      return bytes;
    }
    default:
      return validity + (FixedBits(*data.type) * (end - begin) + 7) / 8;
  }
}

}  // namespace

RowSizer::RowSizer(const arrow::RecordBatch& batch, int64_t extra_bytes)
    : fixed_bits_(extra_bytes * 8) {
  for (int i = 0; i < batch.num_columns(); ++i) {
    const auto& data = batch.column_data(i);
    const int64_t bits = FixedBits(*data->type);
    if (bits > 0 && data->child_data.empty()) {
      fixed_bits_ += bits + (data->buffers[0] == nullptr ? 0 : 1);
    } else {
      variable_.push_back(data.get());
    }
  }
}

int64_t RowSizer::Bytes(int64_t begin, int64_t end) const {
  int64_t bytes = fixed_bits_ * (end - begin) / 8;
  for (const arrow::ArrayData* data : variable_) {
    bytes = SumOfBytes(bytes, BytesOf(*data, begin, end));
  }
  return bytes;
}

int64_t RowSizer::FindEnd(int64_t begin, int64_t limit, int64_t bytes) const {
  int64_t low = begin + 1;
  int64_t high = limit + 1;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (Bytes(begin, middle) >= bytes) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

}  // namespace marble

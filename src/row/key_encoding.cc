// Encoding of key columns and search in encoded keys. See key_encoding.h for the format; decoding
// and bounds are in key_decoding.cc.
#include "row/key_encoding.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <arrow/array.h>
#include <arrow/buffer.h>

#include "base/coding.h"
#include "row/key_column_codec.h"
#include "row/row_kind.h"

namespace marble {

namespace {

using arrow::Status;
using arrow::Type;

/// First index in [begin, end) for which `before` is false; `before` is true on a prefix.
template <typename Before>
int64_t Partition(int64_t begin, int64_t end, Before before) {
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (before(middle)) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

/// The first 8 bytes as a number that orders like them; shorter keys are filled with zeros.
uint64_t Prefix64(std::string_view key) {
  if (key.size() >= 8) return LoadBig64(key.data());
  uint64_t word = 0;
  std::memcpy(&word, key.data(), key.size());
  return __builtin_bswap64(word);
}

/// A value view of a binary-like array, offsets already applied.
template <typename Offset>
struct BinaryValues {
  explicit BinaryValues(const arrow::ArrayData& data)
      : offsets(data.GetValues<Offset>(1)),
        bytes(data.buffers[2] == nullptr ? nullptr : data.buffers[2]->data()) {}
  std::string_view operator[](int64_t i) const {
    return {reinterpret_cast<const char*>(bytes) + offsets[i],
            static_cast<size_t>(offsets[i + 1] - offsets[i])};
  }
  const Offset* offsets;
  const uint8_t* bytes;
};

/// Bytes of `value` in front of another column: every zero is doubled, two bytes end it.
int64_t EscapedSize(std::string_view value) {
  return static_cast<int64_t>(value.size()) + std::count(value.begin(), value.end(), '\0') + 2;
}

uint8_t* WriteEscaped(std::string_view value, uint8_t* out) {
  while (true) {
    const size_t zero = value.empty() ? std::string_view::npos : value.find('\0');
    const size_t plain = zero == std::string_view::npos ? value.size() : zero;
    if (plain > 0) std::memcpy(out, value.data(), plain);
    out += plain;
    *out++ = 0;
    if (zero == std::string_view::npos) {
      *out++ = static_cast<uint8_t>(kTerminator);
      return out;
    }
    *out++ = static_cast<uint8_t>(kEscapedZero);
    value.remove_prefix(zero + 1);
  }
}

template <typename Offset>
void AddBinarySizes(const arrow::ArrayData& data, bool last, int64_t* sizes) {
  const BinaryValues<Offset> values(data);
  for (int64_t i = 0; i < data.length; ++i) {
    sizes[i] += last ? static_cast<int64_t>(values[i].size()) : EscapedSize(values[i]);
  }
}

/// Writes each value at bytes + cursors[i] and moves the cursor behind it.
template <typename Offset>
void WriteBinaryColumn(const arrow::ArrayData& data, bool last, uint8_t* bytes, int64_t* cursors) {
  const BinaryValues<Offset> values(data);
  for (int64_t i = 0; i < data.length; ++i) {
    uint8_t* out = bytes + cursors[i];
    const std::string_view value = values[i];
    if (!last) {
      cursors[i] = WriteEscaped(value, out) - bytes;
    } else if (!value.empty()) {
      std::memcpy(out, value.data(), value.size());
    }
  }
}

template <typename Offset>
int64_t FindLongerThan(const Offset* offsets, int64_t size, int64_t limit) {
  // Two passes: the common case is one vectorised maximum, the row is only looked for on an error.
  Offset longest = 0;
  for (int64_t i = 0; i < size; ++i) {
    longest = std::max<Offset>(longest, offsets[i + 1] - offsets[i]);
  }
  if (static_cast<int64_t>(longest) <= limit) return -1;
  for (int64_t i = 0; i < size; ++i) {
    if (static_cast<int64_t>(offsets[i + 1] - offsets[i]) > limit) return i;
  }
  return -1;
}

}  // namespace

arrow::Result<KeyColumn> DescribeKeyColumn(const arrow::DataType& type) {
  switch (type.id()) {
    case Type::BOOL:
      return KeyColumn{KeyRule::kBool, 1};
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
      return KeyColumn{KeyRule::kUnsigned, type.byte_width()};
    case Type::INT8:
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIME32:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::DURATION:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
      return KeyColumn{KeyRule::kSigned, type.byte_width()};
    case Type::HALF_FLOAT:
    case Type::FLOAT:
    case Type::DOUBLE:
      return KeyColumn{KeyRule::kFloat, type.byte_width()};
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return KeyColumn{KeyRule::kWide, type.byte_width()};
    case Type::FIXED_SIZE_BINARY:
      if (type.byte_width() > 0) return KeyColumn{KeyRule::kFixed, type.byte_width()};
      break;
    case Type::STRING:
    case Type::BINARY:
      return KeyColumn{KeyRule::kBinary32, 0};
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return KeyColumn{KeyRule::kBinary64, 0};
    default:
      break;
  }
  return Status::TypeError("values of type ", type.ToString(), " cannot be keys");
}

EncodedKeys EncodedKeys::Fixed(const uint8_t* data, int32_t width, int64_t size,
                               std::shared_ptr<const void> owner) {
  EncodedKeys keys;
  keys.data_ = data;
  keys.width_ = width;
  keys.size_ = size;
  keys.owner_ = std::move(owner);
  return keys;
}

EncodedKeys EncodedKeys::Offsets32(const uint8_t* data, const int32_t* offsets, int64_t size,
                                   std::shared_ptr<const void> owner) {
  EncodedKeys keys = Fixed(data, 0, size, std::move(owner));
  keys.offsets32_ = offsets;
  return keys;
}

EncodedKeys EncodedKeys::Offsets64(const uint8_t* data, const int64_t* offsets, int64_t size,
                                   std::shared_ptr<const void> owner) {
  EncodedKeys keys = Fixed(data, 0, size, std::move(owner));
  keys.offsets64_ = offsets;
  return keys;
}

EncodedKeys EncodedKeys::Slice(int64_t offset, int64_t length) const {
  EncodedKeys keys = *this;
  keys.size_ = length;
  if (offsets32_ != nullptr) {
    keys.offsets32_ += offset;
  } else if (offsets64_ != nullptr) {
    keys.offsets64_ += offset;
  } else if (data_ != nullptr) {
    keys.data_ += offset * width_;
  }
  return keys;
}

template <bool kInclusive, typename Visit>
int64_t EncodedKeys::WithPredicate(std::string_view bound, Visit visit) const {
  const uint64_t prefix = Prefix64(bound);
  if (width_ == 8 && fixed_width() == 8) {
    // Keys of 8 bytes compare as numbers. A longer bound stands behind all keys equal to its first
    // 8 bytes; a shorter one, filled with zeros, before them.
    const uint8_t* data = data_;
    if (bound.size() > 8 || (kInclusive && bound.size() == 8)) {
      return visit([=](int64_t i) { return LoadBig64(data + i * 8) <= prefix; });
    }
    return visit([=](int64_t i) { return LoadBig64(data + i * 8) < prefix; });
  }
  return visit([this, bound, prefix](int64_t i) {
    const std::string_view key = (*this)[i];
    if (key.size() >= 8 && bound.size() >= 8) {
      const uint64_t key_prefix = LoadBig64(key.data());
      if (key_prefix != prefix) return key_prefix < prefix;
    }
    return kInclusive ? key <= bound : key < bound;
  });
}

int64_t EncodedKeys::LowerBound(std::string_view key, int64_t begin, int64_t end) const {
  return WithPredicate<false>(key, [=](auto before) { return Partition(begin, end, before); });
}

int64_t EncodedKeys::UpperBound(std::string_view key, int64_t begin, int64_t end) const {
  return WithPredicate<true>(key, [=](auto before) { return Partition(begin, end, before); });
}

int64_t EncodedKeys::GallopLowerBound(std::string_view key, int64_t begin, int64_t end) const {
  return WithPredicate<false>(key, [=](auto before) {
    if (begin >= end || !before(begin)) return begin;
    int64_t known = begin;  // stands before the bound
    int64_t step = 1;
    while (step < end - known && before(known + step)) {
      known += step;
      step *= 2;
    }
    return Partition(known + 1, std::min(known + step, end), before);
  });
}

int64_t EncodedKeys::GallopUpperBoundReverse(std::string_view key, int64_t begin,
                                             int64_t end) const {
  return WithPredicate<true>(key, [=](auto before) {
    int64_t behind = end;  // first index known not to be <= key
    int64_t step = 1;
    while (behind - step >= begin && !before(behind - step)) {
      behind -= step;
      step *= 2;
    }
    return Partition(std::max(behind - step, begin), behind, before) - 1;
  });
}

arrow::Result<EncodedKeys> EncodeRowIds(uint64_t first_id, int64_t size, arrow::MemoryPool* pool) {
  // Rows of nulls alone take no memory: there may be more of them than of their ids.
  if (size > std::numeric_limits<int64_t>::max() / 8) {
    return Status::OutOfMemory("the ids of ", size, " rows are more than memory can hold");
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(size * 8, pool));
  uint8_t* out = buffer->mutable_data();
  for (int64_t i = 0; i < size; ++i) StoreBig64(out + i * 8, first_id + static_cast<uint64_t>(i));
  return EncodedKeys::Fixed(out, 8, size, std::move(buffer));
}

std::string EncodeRowId(uint64_t id) {
  std::string key(8, '\0');
  StoreBig64(key.data(), id);
  return key;
}

uint64_t DecodeRowId(std::string_view key) { return Prefix64(key); }

arrow::Result<std::shared_ptr<const KeyCodec>> KeyCodec::Make(std::shared_ptr<arrow::Schema> schema,
                                                              std::vector<int> columns) {
  if (columns.empty()) return Status::Invalid("a key needs at least one column");
  std::shared_ptr<KeyCodec> codec(new KeyCodec());
  bool fixed = true;
  int64_t width = 0;
  for (const int column : columns) {
    if (column < 0 || column >= schema->num_fields()) {
      return Status::Invalid("there is no column ", column, " for the key");
    }
    const arrow::Field& field = *schema->field(column);
    arrow::Result<KeyColumn> rule = DescribeKeyColumn(*field.type());
    if (!rule.ok()) {
      return Status::TypeError("key column '", field.name(), "': ", rule.status().message());
    }
    fixed = fixed && rule->width > 0;
    width += rule->width;
    codec->rules_.push_back(*rule);
  }
  if (width > kKeyBytesMax) {
    return Status::Invalid("a key of ", width, " bytes is longer than the limit of ", kKeyBytesMax);
  }
  codec->schema_ = std::move(schema);
  codec->columns_ = std::move(columns);
  codec->is_single_binary_ = codec->rules_.size() == 1 && codec->rules_[0].is_binary();
  codec->fixed_width_ = fixed ? static_cast<int>(width) : 0;
  return codec;
}

arrow::Result<EncodedKeys> KeyCodec::Encode(const arrow::RecordBatch& batch,
                                            arrow::MemoryPool* pool) const {
  arrow::ArrayVector arrays;
  arrays.reserve(columns_.size());
  for (const int column : columns_) {
    if (column >= batch.num_columns()) {
      return Status::Invalid("the batch has no column ", column, " for the key");
    }
    arrays.push_back(batch.column(column));
  }
  return EncodeArrays(arrays, pool);
}

arrow::Result<EncodedKeys> KeyCodec::EncodeArrays(const arrow::ArrayVector& arrays,
                                                  arrow::MemoryPool* pool) const {
  if (arrays.size() != columns_.size()) {
    return Status::Invalid("the key has ", columns_.size(), " columns, not ", arrays.size());
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (!arrays[i]->type()->Equals(*field(i).type()) ||
        arrays[i]->length() != arrays[0]->length()) {
      return Status::TypeError("key column '", field(i).name(), "' is of type ",
                               field(i).type()->ToString(), ", the array of type ",
                               arrays[i]->type()->ToString(), " and ", arrays[i]->length(),
                               " rows");
    }
  }
  ARROW_RETURN_NOT_OK(CheckNoNulls(arrays));
  if (is_single_binary_) return ViewSingleBinary(*arrays[0]);
  return fixed_width_ > 0 ? EncodeFixed(arrays, pool) : EncodeVariable(arrays, pool);
}

arrow::Status KeyCodec::CheckNoNulls(const arrow::ArrayVector& arrays) const {
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i]->null_count() == 0) continue;
    for (int64_t row = 0; row < arrays[i]->length(); ++row) {
      if (arrays[i]->IsNull(row)) {
        return Status::Invalid("null in key column '", field(i).name(), "' at row ", row);
      }
    }
  }
  return Status::OK();
}

arrow::Status KeyCodec::TooLong(int64_t bytes, int64_t row) const {
  std::string names;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) names += ", ";
    names += field(i).name();
  }
  return Status::Invalid("the key (", names, ") at row ", row, " has ", bytes,
                         " bytes, more than the limit of ", kKeyBytesMax);
}

arrow::Result<EncodedKeys> KeyCodec::ViewSingleBinary(const arrow::Array& array) const {
  const std::shared_ptr<arrow::ArrayData>& data = array.data();
  if (data->length == 0) return EncodedKeys::Fixed(nullptr, 0, 0, data);
  const uint8_t* bytes = data->buffers[2] == nullptr ? nullptr : data->buffers[2]->data();
  int64_t too_long = -1;
  EncodedKeys keys;
  if (rules_[0].rule == KeyRule::kBinary32) {
    const int32_t* offsets = data->GetValues<int32_t>(1);
    too_long = FindLongerThan(offsets, data->length, kKeyBytesMax);
    keys = EncodedKeys::Offsets32(bytes, offsets, data->length, data);
  } else {
    const int64_t* offsets = data->GetValues<int64_t>(1);
    too_long = FindLongerThan(offsets, data->length, kKeyBytesMax);
    keys = EncodedKeys::Offsets64(bytes, offsets, data->length, data);
  }
  if (too_long < 0) return keys;
  return TooLong(static_cast<int64_t>(keys[too_long].size()), too_long);
}

arrow::Result<EncodedKeys> KeyCodec::EncodeFixed(const arrow::ArrayVector& arrays,
                                                 arrow::MemoryPool* pool) const {
  const int64_t rows = arrays[0]->length();
  const int64_t stride = fixed_width_;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(rows * stride, pool));
  uint8_t* out = buffer->mutable_data();
  for (size_t i = 0; i < arrays.size(); ++i) {
    const key_internal::FixedValues data(*arrays[i]->data());
    if (stride == 8 && rules_[i].width == 8) {
      // A constant stride lets the compiler unroll the commonest case.
      key_internal::EncodeFixedColumn(data, rules_[i],
                                      [out](int64_t row) { return out + row * 8; });
    } else {
      key_internal::EncodeFixedColumn(data, rules_[i],
                                      [out, stride](int64_t row) { return out + row * stride; });
    }
    out += rules_[i].width;
  }
  return EncodedKeys::Fixed(buffer->data(), fixed_width_, rows, buffer);
}

void KeyCodec::EncodeFixedRow(const arrow::RecordBatch& batch, int64_t row,
                              std::string* key) const {
  key->resize(static_cast<size_t>(fixed_width_));
  auto* out = reinterpret_cast<uint8_t*>(key->data());
  for (size_t i = 0; i < columns_.size(); ++i) {
    const key_internal::FixedValues value(*batch.column_data(columns_[i]), row, 1);
    key_internal::EncodeFixedColumn(value, rules_[i], [out](int64_t) { return out; });
    out += rules_[i].width;
  }
}

arrow::Result<EncodedKeys> KeyCodec::EncodeVariable(const arrow::ArrayVector& arrays,
                                                    arrow::MemoryPool* pool) const {
  const int64_t rows = arrays[0]->length();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> offsets_buffer,
                        arrow::AllocateBuffer((rows + 1) * sizeof(int64_t), pool));
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::Buffer> cursors_buffer,
                        arrow::AllocateBuffer(rows * sizeof(int64_t), pool));
  auto* offsets = reinterpret_cast<int64_t*>(offsets_buffer->mutable_data());
  auto* cursors = reinterpret_cast<int64_t*>(cursors_buffer->mutable_data());
  std::fill(cursors, cursors + rows, 0);
  for (size_t i = 0; i < arrays.size(); ++i) {
    const bool last = i + 1 == arrays.size();
    const arrow::ArrayData& data = *arrays[i]->data();
    if (rows == 0) break;
    if (rules_[i].rule == KeyRule::kBinary32) {
      AddBinarySizes<int32_t>(data, last, cursors);
    } else if (rules_[i].rule == KeyRule::kBinary64) {
      AddBinarySizes<int64_t>(data, last, cursors);
    } else {
      for (int64_t row = 0; row < rows; ++row) cursors[row] += rules_[i].width;
    }
  }
  offsets[0] = 0;
  for (int64_t row = 0; row < rows; ++row) {
    if (cursors[row] > kKeyBytesMax) return TooLong(cursors[row], row);
    offsets[row + 1] = offsets[row] + cursors[row];
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bytes,
                        arrow::AllocateBuffer(offsets[rows], pool));
  uint8_t* out = bytes->mutable_data();
  std::copy(offsets, offsets + rows, cursors);
  for (size_t i = 0; i < arrays.size() && rows > 0; ++i) {
    const bool last = i + 1 == arrays.size();
    const arrow::ArrayData& data = *arrays[i]->data();
    if (rules_[i].rule == KeyRule::kBinary32) {
      WriteBinaryColumn<int32_t>(data, last, out, cursors);
    } else if (rules_[i].rule == KeyRule::kBinary64) {
      WriteBinaryColumn<int64_t>(data, last, out, cursors);
    } else {
      key_internal::EncodeFixedColumn(key_internal::FixedValues(data), rules_[i],
                                      [&, width = rules_[i].width](int64_t row) {
                                        uint8_t* place = out + cursors[row];
                                        cursors[row] += width;
                                        return place;
                                      });
    }
  }
  using Owners = std::pair<std::shared_ptr<arrow::Buffer>, std::shared_ptr<arrow::Buffer>>;
  return EncodedKeys::Offsets64(out, offsets, rows,
                                std::make_shared<Owners>(offsets_buffer, bytes));
}

}  // namespace marble

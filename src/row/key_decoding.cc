// The way back from encoded keys to values, and the encoding of bounds from scalars. See
// key_encoding.h.
#include <cstring>

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/extension_type.h>
#include <arrow/scalar.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/utf8.h>

#include "row/compute.h"
#include "row/key_column_codec.h"
#include "row/key_encoding.h"
#include "row/row_kind.h"

namespace marble {

namespace {

using arrow::Status;
using arrow::Type;
using arrow::internal::checked_cast;

/// What is left of each key while its columns are taken off one by one.
using Rests = std::vector<std::string_view>;

arrow::Status Undecodable(const arrow::Field& field) {
  return Status::Invalid("an encoded key is cut or damaged at column '", field.name(), "'");
}

void DecodeOne(KeyColumn column, const char* from, uint8_t* to) {
  const auto decode = [&]<KeyRule kRule>() {
    if constexpr (kRule != KeyRule::kFloat) {
      if (column.width == 1) return key_internal::DecodeWord<kRule, uint8_t>(from, to);
    }
    if (column.width == 2) return key_internal::DecodeWord<kRule, uint16_t>(from, to);
    if (column.width == 4) return key_internal::DecodeWord<kRule, uint32_t>(from, to);
    return key_internal::DecodeWord<kRule, uint64_t>(from, to);
  };
  switch (column.rule) {
    case KeyRule::kUnsigned:
      return decode.operator()<KeyRule::kUnsigned>();
    case KeyRule::kSigned:
      return decode.operator()<KeyRule::kSigned>();
    case KeyRule::kFloat:
      return decode.operator()<KeyRule::kFloat>();
    case KeyRule::kWide:
      return key_internal::DecodeWide(reinterpret_cast<const uint8_t*>(from), to, column.width);
    default:
      std::memcpy(to, from, static_cast<size_t>(column.width));
  }
}

arrow::Result<std::shared_ptr<arrow::Array>> DecodeFixed(const arrow::Field& field,
                                                         KeyColumn column, Rests* rests) {
  const int64_t rows = static_cast<int64_t>(rests->size());
  const bool is_bool = column.rule == KeyRule::kBool;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> values,
                        is_bool ? arrow::AllocateEmptyBitmap(rows)
                                : arrow::Result<std::shared_ptr<arrow::Buffer>>(
                                      arrow::AllocateBuffer(rows * column.width)));
  uint8_t* out = values->mutable_data();
  for (int64_t row = 0; row < rows; ++row) {
    std::string_view& rest = (*rests)[static_cast<size_t>(row)];
    if (rest.size() < static_cast<size_t>(column.width)) return Undecodable(field);
    if (is_bool) {
      if (static_cast<uint8_t>(rest[0]) > 1) return Undecodable(field);
      arrow::bit_util::SetBitTo(out, row, rest[0] != 0);
    } else {
      DecodeOne(column, rest.data(), out + row * column.width);
    }
    rest.remove_prefix(static_cast<size_t>(column.width));
  }
  return arrow::MakeArray(arrow::ArrayData::Make(field.type(), rows, {nullptr, values}, 0));
}

/// Takes an escaped value off `rest`.
bool Unescape(std::string_view* rest, std::string* value) {
  value->clear();
  while (true) {
    const size_t zero = rest->find('\0');
    if (zero == std::string_view::npos || zero + 1 == rest->size()) return false;
    value->append(rest->substr(0, zero));
    const char mark = (*rest)[zero + 1];
    rest->remove_prefix(zero + 2);
    if (mark == kTerminator) return true;
    if (mark != kEscapedZero) return false;
    value->push_back('\0');
  }
}

template <typename Builder>
arrow::Result<std::shared_ptr<arrow::Array>> DecodeBinary(const arrow::Field& field, bool last,
                                                          Rests* rests) {
  Builder builder;
  std::string value;
  for (std::string_view& rest : *rests) {
    if (last) {
      ARROW_RETURN_NOT_OK(builder.Append(rest));
      rest = {};
      continue;
    }
    if (!Unescape(&rest, &value)) return Undecodable(field);
    ARROW_RETURN_NOT_OK(builder.Append(value));
  }
  std::shared_ptr<arrow::ArrayData> data;
  ARROW_RETURN_NOT_OK(builder.FinishInternal(&data));
  data->type = field.type();  // builders of bytes know no text
  return arrow::MakeArray(data);
}

arrow::Result<std::shared_ptr<arrow::Array>> DecodeColumn(const arrow::Field& field,
                                                          KeyColumn column, bool last,
                                                          Rests* rests) {
  if (column.rule == KeyRule::kBinary32) {
    return DecodeBinary<arrow::BinaryBuilder>(field, last, rests);
  }
  if (column.rule == KeyRule::kBinary64) {
    return DecodeBinary<arrow::LargeBinaryBuilder>(field, last, rests);
  }
  return DecodeFixed(field, column, rests);
}

/// Scalars convert within a family only: a number never becomes a time, a text never a number.
enum class Family { kNumber, kBool, kBytes, kDate, kTimeOfDay, kDuration, kOther };

Family FamilyOf(Type::type id) {
  switch (id) {
    case Type::BOOL:
      return Family::kBool;
    case Type::STRING:
    case Type::BINARY:
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
    case Type::FIXED_SIZE_BINARY:
      return Family::kBytes;
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIMESTAMP:
      return Family::kDate;
    case Type::TIME32:
    case Type::TIME64:
      return Family::kTimeOfDay;
    case Type::DURATION:
      return Family::kDuration;
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return Family::kNumber;
    default:
      return arrow::is_integer(id) || arrow::is_floating(id) ? Family::kNumber : Family::kOther;
  }
}

/// The plain value inside dictionary, run-end-encoded and extension scalars.
arrow::Result<std::shared_ptr<arrow::Scalar>> Unwrap(std::shared_ptr<arrow::Scalar> scalar) {
  while (scalar->is_valid) {
    if (scalar->type->id() == Type::DICTIONARY) {
      ARROW_ASSIGN_OR_RAISE(
          scalar, checked_cast<const arrow::DictionaryScalar&>(*scalar).GetEncodedValue());
    } else if (scalar->type->id() == Type::RUN_END_ENCODED) {
      scalar = checked_cast<const arrow::RunEndEncodedScalar&>(*scalar).value;
    } else if (scalar->type->id() == Type::EXTENSION) {
      scalar = checked_cast<const arrow::ExtensionScalar&>(*scalar).value;
    } else {
      break;
    }
  }
  return scalar;
}

bool HasZone(const arrow::DataType& type) {
  return type.id() == Type::TIMESTAMP &&
         !checked_cast<const arrow::TimestampType&>(type).timezone().empty();
}

/// Bytes need no cast kernels, only the checks that the column would make.
arrow::Result<std::shared_ptr<arrow::Scalar>> ConvertBytes(
    const arrow::Scalar& scalar, const std::shared_ptr<arrow::DataType>& type) {
  const auto& bytes = checked_cast<const arrow::BaseBinaryScalar&>(scalar);
  if (type->id() == Type::FIXED_SIZE_BINARY && bytes.value->size() != type->byte_width()) {
    return Status::Invalid(bytes.value->size(), " bytes for ", type->ToString());
  }
  if (arrow::is_string(type->id())) {
    arrow::util::InitializeUTF8();
    if (!arrow::util::ValidateUTF8(bytes.value->data(), bytes.value->size())) {
      return Status::Invalid("the bytes are not UTF-8");
    }
  }
  return arrow::MakeScalar(type, bytes.value);
}

/// Arrow's cast from an integer to a decimal asks for room for every integer of the type; from a
/// decimal it looks at the value.
arrow::Result<arrow::Datum> CastValue(arrow::Datum from,
                                      const std::shared_ptr<arrow::DataType>& type) {
  if (arrow::is_integer(from.type()->id()) && arrow::is_decimal(type->id())) {
    constexpr int kIntegerDigitsMax = 20;
    ARROW_ASSIGN_OR_RAISE(from,
                          arrow::compute::Cast(from, arrow::decimal128(kIntegerDigitsMax, 0)));
  }
  return arrow::compute::Cast(from, type);
}

arrow::Result<std::shared_ptr<arrow::Scalar>> ConvertExactly(
    std::shared_ptr<arrow::Scalar> scalar, const std::shared_ptr<arrow::DataType>& type) {
  ARROW_ASSIGN_OR_RAISE(scalar, Unwrap(std::move(scalar)));
  if (!scalar->is_valid) return Status::Invalid("a bound cannot be null");
  if (scalar->type->Equals(*type)) return scalar;
  const Family family = FamilyOf(type->id());
  if (family != FamilyOf(scalar->type->id()) || HasZone(*type) != HasZone(*scalar->type)) {
    return Status::Invalid("a bound of type ", scalar->type->ToString(),
                           " does not fit a column of type ", type->ToString());
  }
  if (family == Family::kBytes) return ConvertBytes(*scalar, type);
  ARROW_RETURN_NOT_OK(InitializeCompute());
  const arrow::Result<arrow::Datum> there = CastValue(scalar, type);
  if (there.ok()) {
    // Some casts round without an error (double to float): exact is what comes back the same.
    const arrow::Result<arrow::Datum> back = CastValue(*there, scalar->type);
    const arrow::EqualOptions options = arrow::EqualOptions::Defaults().nans_equal(true);
    if (back.ok() && back->scalar()->Equals(*scalar, options)) return there->scalar();
  }
  return Status::Invalid("the bound ", scalar->ToString(), " of type ", scalar->type->ToString(),
                         " is not a value of type ", type->ToString());
}

}  // namespace

arrow::Result<std::string> KeyCodec::EncodeBound(const KeyBound& bound) const {
  if (bound.size() > columns_.size()) {
    return Status::Invalid("a bound of ", bound.size(), " values for a key of ", columns_.size(),
                           " columns");
  }
  std::string key;
  for (size_t i = 0; i < bound.size(); ++i) {
    if (bound[i] == nullptr) {
      return Status::Invalid("key column '", field(i).name(), "': the bound has no value");
    }
    const arrow::Result<std::shared_ptr<arrow::Scalar>> scalar =
        ConvertExactly(bound[i], field(i).type());
    if (!scalar.ok()) {
      return Status::Invalid("key column '", field(i).name(), "': ", scalar.status().message());
    }
    if (rules_[i].is_binary()) {
      const auto& bytes = checked_cast<const arrow::BaseBinaryScalar&>(**scalar);
      const std::string_view value(*bytes.value);
      const bool last = i + 1 == columns_.size();
      for (const char byte : value) {
        key.push_back(byte);
        if (byte == '\0' && !last) key.push_back(kEscapedZero);
      }
      if (!last) key.append({'\0', kTerminator});
    } else {
      ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Array> array,
                            arrow::MakeArrayFromScalar(**scalar, 1));
      const size_t end = key.size();
      key.resize(end + static_cast<size_t>(rules_[i].width));
      auto* out = reinterpret_cast<uint8_t*>(key.data()) + end;
      key_internal::EncodeFixedColumn(key_internal::FixedValues(*array->data()), rules_[i],
                                      [out](int64_t) { return out; });
    }
  }
  if (key.size() > static_cast<size_t>(kKeyBytesMax)) {
    return Status::Invalid("a bound of ", key.size(), " bytes is longer than a key can be (",
                           kKeyBytesMax, ")");
  }
  return key;
}

arrow::Result<arrow::ArrayVector> KeyCodec::Decode(
    const std::vector<std::string_view>& keys) const {
  Rests rests = keys;
  arrow::ArrayVector arrays;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const bool last = i + 1 == columns_.size();
    ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), DecodeColumn(field(i), rules_[i], last, &rests));
  }
  for (const std::string_view rest : rests) {
    if (!rest.empty()) return Undecodable(field(columns_.size() - 1));
  }
  return arrays;
}

std::string KeyCodec::ToString(std::string_view key) const {
  std::string text = "(";
  const arrow::Result<arrow::ArrayVector> arrays = Decode({key});
  if (!arrays.ok()) return std::to_string(key.size()) + " bytes that are no key";
  for (size_t i = 0; i < columns_.size(); ++i) {
    const arrow::Result<std::shared_ptr<arrow::Scalar>> value = (*arrays)[i]->GetScalar(0);
    // A message wants to show which key, not 64 KiB of it.
    constexpr size_t kShown = 64;
    std::string shown = value.ok() ? (*value)->ToString() : "?";
    if (shown.size() > kShown) {
      shown.resize(kShown);
      shown += "...";
    }
    if (i > 0) text += ", ";
    text += field(i).name();
    text += "=";
    text += shown;
  }
  return text + ")";
}

}  // namespace marble

// The generator of random arrays, and a test that what it makes is valid.
#include "unit/row/row_arrays.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include <arrow/extension/json.h>
#include <arrow/extension/uuid.h>
#include <arrow/json/from_string.h>
#include <arrow/util/checked_cast.h>

#include "row/batch_ops.h"

namespace marble::testing {

namespace {

using arrow::ArrayData;
using arrow::Type;
using arrow::internal::checked_cast;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

void Check(const arrow::Status& status) {
  if (!status.ok()) status.Abort();
}

std::shared_ptr<arrow::Buffer> Bytes(int64_t size) {
  std::shared_ptr<arrow::Buffer> buffer = arrow::AllocateBuffer(size).ValueOrDie();
  if (size > 0) std::memset(buffer->mutable_data(), 0, static_cast<size_t>(size));
  return buffer;
}

std::shared_ptr<arrow::Buffer> RandomBits(int64_t length, Random* random, int zero_every) {
  std::shared_ptr<arrow::Buffer> buffer = Bytes((length + 7) / 8);
  for (int64_t i = 0; i < length; ++i) {
    const bool zero = (*random)() % static_cast<uint64_t>(zero_every) == 0;
    arrow::bit_util::SetBitTo(buffer->mutable_data(), i, !zero);
  }
  return buffer;
}

/// A value of the type's width that is in range.
int64_t RandomInteger(const arrow::DataType& type, Random* random) {
  const int64_t any = static_cast<int64_t>((*random)());
  const int64_t positive = any & 0x7FFFFFFFFFFFFFFF;
  switch (type.id()) {
    case Type::DATE64:
      return (any % 100000) * 86400000;
    case Type::TIME32:
      return positive %
             (checked_cast<const arrow::TimeType&>(type).unit() == arrow::TimeUnit::SECOND
                  ? 86400
                  : 86400000);
    case Type::TIME64:
      return positive % 86400000000;
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
      return any % 1000;
    default:
      return (*random)() % 4 == 0 ? any % 3 : any;
  }
}

std::shared_ptr<arrow::Buffer> RandomValues(const arrow::DataType& type, int64_t length,
                                            Random* random) {
  const int64_t width = type.byte_width();
  std::shared_ptr<arrow::Buffer> buffer = Bytes(length * width);
  for (int64_t i = 0; i < length; ++i) {
    uint8_t* out = buffer->mutable_data() + i * width;
    const int64_t value = RandomInteger(type, random);
    // Sign-extended, so that wide decimals stay in their precision.
    std::memset(out, value < 0 ? 0xFF : 0, static_cast<size_t>(width));
    std::memcpy(out, &value, static_cast<size_t>(std::min<int64_t>(width, 8)));
  }
  return buffer;
}

std::shared_ptr<arrow::Buffer> RandomOffsets(int64_t length, bool large, int longest,
                                             Random* random, int64_t* total) {
  const int64_t width = large ? 8 : 4;
  std::shared_ptr<arrow::Buffer> buffer = Bytes((length + 1) * width);
  *total = 0;
  for (int64_t i = 0; i < length; ++i) {
    *total += static_cast<int64_t>((*random)() % static_cast<uint64_t>(longest + 1));
    std::memcpy(buffer->mutable_data() + (i + 1) * width, total, static_cast<size_t>(width));
  }
  return buffer;
}

std::shared_ptr<ArrayData> RandomList(const TypePtr& type, int64_t length, Random* random,
                                      int null_every,
                                      const std::shared_ptr<arrow::Buffer>& validity) {
  const bool large = type->id() == Type::LARGE_LIST;
  int64_t total = 0;
  std::shared_ptr<arrow::Buffer> offsets = RandomOffsets(length, large, 4, random, &total);
  const bool nullable = type->field(0)->nullable();
  const ArrayPtr child =
      RandomArray(type->field(0)->type(), total, random, nullable ? null_every : 0);
  return ArrayData::Make(type, length, {validity, offsets}, {child->data()});
}

template <typename Offset>
std::shared_ptr<ArrayData> RandomListView(const TypePtr& type, int64_t length, Random* random,
                                          int null_every,
                                          const std::shared_ptr<arrow::Buffer>& validity) {
  const ArrayPtr child = RandomArray(type->field(0)->type(), 20, random, null_every);
  std::shared_ptr<arrow::Buffer> offsets = Bytes(length * sizeof(Offset));
  std::shared_ptr<arrow::Buffer> sizes = Bytes(length * sizeof(Offset));
  for (int64_t i = 0; i < length; ++i) {
    const auto offset = static_cast<Offset>((*random)() % 15);
    reinterpret_cast<Offset*>(offsets->mutable_data())[i] = offset;
    reinterpret_cast<Offset*>(sizes->mutable_data())[i] = static_cast<Offset>((*random)() % 5);
  }
  return ArrayData::Make(type, length, {validity, offsets, sizes}, {child->data()});
}

template <typename Builder>
ArrayPtr RandomBinary(const TypePtr& type, int64_t length, Random* random, int null_every) {
  Builder builder;
  for (int64_t i = 0; i < length; ++i) {
    const bool null = null_every > 0 && (*random)() % static_cast<uint64_t>(null_every) == 0;
    Check(null ? builder.AppendNull() : builder.Append(RandomText(random)));
  }
  const std::shared_ptr<ArrayData> data = builder.Finish().ValueOrDie()->data()->Copy();
  data->type = type;
  return arrow::MakeArray(data);
}

ArrayPtr RandomViews(const TypePtr& type, int64_t length, Random* random, int null_every) {
  const ArrayPtr values =
      RandomBinary<arrow::LargeBinaryBuilder>(arrow::large_binary(), length, random, null_every);
  arrow::StringViewBuilder strings;
  arrow::BinaryViewBuilder binaries;
  const bool is_string = type->id() == Type::STRING_VIEW;
  arrow::BinaryViewBuilder& builder = is_string ? strings : binaries;
  for (int64_t i = 0; i < length; ++i) {
    const auto& binary = checked_cast<const arrow::LargeBinaryArray&>(*values);
    Check(binary.IsNull(i) ? builder.AppendNull() : builder.Append(binary.GetView(i)));
  }
  return builder.Finish().ValueOrDie();
}

ArrayPtr RandomDictionary(const TypePtr& type, int64_t length, Random* random, int null_every) {
  const auto& dictionary_type = checked_cast<const arrow::DictionaryType&>(*type);
  const ArrayPtr dictionary = RandomArray(dictionary_type.value_type(), 7, random, 0);
  const TypePtr index_type = dictionary_type.index_type();
  std::shared_ptr<arrow::Buffer> indices = Bytes(length * index_type->byte_width());
  for (int64_t i = 0; i < length; ++i) {
    indices->mutable_data()[i * index_type->byte_width()] = (*random)() % 7;
  }
  std::shared_ptr<arrow::Buffer> validity;
  if (null_every > 0) validity = RandomBits(length, random, null_every);
  std::shared_ptr<ArrayData> data = ArrayData::Make(type, length, {validity, indices});
  data->dictionary = dictionary->data();
  return arrow::MakeArray(data);
}

ArrayPtr RandomRuns(const TypePtr& type, int64_t length, Random* random, int null_every) {
  const auto& run_type = checked_cast<const arrow::RunEndEncodedType&>(*type);
  std::string ends = "[";
  int64_t runs = 0;
  for (int64_t end = 0; end < length; ++runs) {
    end = std::min<int64_t>(length, end + 1 + static_cast<int64_t>((*random)() % 6));
    if (runs > 0) ends += ",";
    ends += std::to_string(end);
  }
  return arrow::RunEndEncodedArray::Make(
             type, length, FromJson(run_type.run_end_type(), ends + "]"),
             RandomArray(run_type.value_type(), runs, random, null_every))
      .ValueOrDie();
}

ArrayPtr MakeRandom(const TypePtr& type, int64_t length, Random* random, int null_every) {
  std::shared_ptr<arrow::Buffer> validity;
  if (null_every > 0) validity = RandomBits(length, random, null_every);
  switch (type->id()) {
    case Type::NA:
      return std::make_shared<arrow::NullArray>(length);
    case Type::BOOL:
      return arrow::MakeArray(
          ArrayData::Make(type, length, {validity, RandomBits(length, random, 2)}));
    case Type::STRING:
    case Type::BINARY:
      return RandomBinary<arrow::BinaryBuilder>(type, length, random, null_every);
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return RandomBinary<arrow::LargeBinaryBuilder>(type, length, random, null_every);
    case Type::STRING_VIEW:
    case Type::BINARY_VIEW:
      return RandomViews(type, length, random, null_every);
    case Type::LIST:
    case Type::LARGE_LIST:
    case Type::MAP:
      return arrow::MakeArray(RandomList(type, length, random, null_every, validity));
    case Type::LIST_VIEW:
      return arrow::MakeArray(RandomListView<int32_t>(type, length, random, null_every, validity));
    case Type::LARGE_LIST_VIEW:
      return arrow::MakeArray(RandomListView<int64_t>(type, length, random, null_every, validity));
    case Type::FIXED_SIZE_LIST: {
      const int64_t size = checked_cast<const arrow::FixedSizeListType&>(*type).list_size();
      const ArrayPtr child = RandomArray(type->field(0)->type(), length * size, random, null_every);
      return arrow::MakeArray(ArrayData::Make(type, length, {validity}, {child->data()}));
    }
    case Type::STRUCT: {
      std::vector<std::shared_ptr<ArrayData>> children;
      for (const auto& field : type->fields()) {
        const int nulls = field->nullable() ? null_every : 0;
        children.push_back(RandomArray(field->type(), length, random, nulls)->data());
      }
      return arrow::MakeArray(ArrayData::Make(type, length, {validity}, children));
    }
    case Type::DICTIONARY:
      return RandomDictionary(type, length, random, null_every);
    case Type::RUN_END_ENCODED:
      return RandomRuns(type, length, random, null_every);
    case Type::EXTENSION: {
      const auto& extension = checked_cast<const arrow::ExtensionType&>(*type);
      return arrow::ExtensionType::WrapArray(
          type, MakeRandom(extension.storage_type(), length, random, null_every));
    }
    default:
      return arrow::MakeArray(
          ArrayData::Make(type, length, {validity, RandomValues(*type, length, random)}));
  }
}

}  // namespace

ArrayPtr RandomArray(const TypePtr& type, int64_t length, Random* random, int null_every) {
  constexpr int64_t kOffset = 3;
  const ArrayPtr array = MakeRandom(type, length + kOffset + 2, random, null_every);
  return array->Slice(kOffset, length);
}

std::string RandomText(Random* random, int length_max) {
  static const std::string kPieces[] = {"a",    "b",      "zz",         std::string(1, '\0'),
                                        "\x01", "\u00e4", "\U0001F600", "\xEF\xBF\xBF"};
  std::string text;
  const size_t length = (*random)() % static_cast<uint64_t>(length_max + 1);
  // Short texts over a small alphabet are often equal, or prefixes of each other.
  while (text.size() < length) text += kPieces[(*random)() % std::size(kPieces)];
  return text;
}

std::string Numbered(const char* prefix, int64_t number) {
  std::string text(prefix);
  text += std::to_string(number);
  return text;
}

std::shared_ptr<arrow::Buffer> Serialized(const arrow::RecordBatch& batch) {
  const auto pieces = SerializeBatch(batch, arrow::default_memory_pool()).ValueOrDie();
  return arrow::ConcatenateBuffers(pieces).ValueOrDie();
}

ArrayPtr FromJson(const TypePtr& type, const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> MakeBatch(const arrow::FieldVector& fields,
                                              const arrow::ArrayVector& columns) {
  return arrow::RecordBatch::Make(arrow::schema(fields), columns.empty() ? 0 : columns[0]->length(),
                                  columns);
}

std::vector<TypePtr> KeyTypes() {
  using namespace arrow;  // NOLINT: twenty type factories
  return {boolean(),
          int8(),
          int16(),
          int32(),
          int64(),
          uint8(),
          uint16(),
          uint32(),
          uint64(),
          float16(),
          float32(),
          float64(),
          date32(),
          date64(),
          time32(TimeUnit::SECOND),
          time64(TimeUnit::NANO),
          timestamp(TimeUnit::MICRO),
          timestamp(TimeUnit::NANO, "UTC"),
          duration(TimeUnit::MILLI),
          smallest_decimal(5, 2),
          decimal64(15, 2),
          decimal128(30, 3),
          decimal256(60, 3),
          fixed_size_binary(5),
          utf8(),
          binary(),
          large_utf8(),
          large_binary()};
}

std::vector<TypePtr> PayloadTypes() {
  using namespace arrow;  // NOLINT: fifty type factories
  std::vector<TypePtr> types = KeyTypes();
  const std::vector<TypePtr> flat = {null(),
                                     month_interval(),
                                     day_time_interval(),
                                     month_day_nano_interval(),
                                     time32(TimeUnit::MILLI),
                                     time64(TimeUnit::MICRO),
                                     timestamp(TimeUnit::SECOND, "Europe/Berlin"),
                                     fixed_size_binary(3),
                                     fixed_size_binary(0),
                                     utf8_view(),
                                     binary_view(),
                                     dictionary(int8(), utf8()),
                                     dictionary(int32(), utf8()),
                                     dictionary(uint16(), utf8_view()),
                                     dictionary(int64(), float64()),
                                     dictionary(int8(), boolean()),
                                     dictionary(int16(), smallest_decimal(5, 2)),
                                     dictionary(int16(), decimal64(12, 2)),
                                     dictionary(int16(), decimal128(20, 2)),
                                     dictionary(int32(), fixed_size_binary(4)),
                                     run_end_encoded(int16(), int64()),
                                     run_end_encoded(int32(), utf8()),
                                     run_end_encoded(int64(), boolean()),
                                     run_end_encoded(int32(), utf8_view()),
                                     extension::uuid(),
                                     extension::json(),
                                     extension::json(utf8_view())};
  types.insert(types.end(), flat.begin(), flat.end());
  const std::vector<TypePtr> nested = {
      list(int32()),
      large_list(utf8()),
      list(utf8_view()),
      list_view(int64()),
      large_list_view(utf8()),
      list_view(dictionary(int8(), utf8())),
      fixed_size_list(int16(), 3),
      fixed_size_list(boolean(), 2),
      fixed_size_list(utf8(), 0),
      list(list(utf8())),
      fixed_size_list(list(int8()), 2),
      list(fixed_size_list(float64(), 2)),
      list(null()),
      struct_({field("a", int32()), field("b", utf8())}),
      struct_({field("a", utf8_view()), field("b", dictionary(int8(), utf8())),
               field("c", list(boolean()), false)}),
      struct_({}),
      map(utf8(), int32()),
      map(int64(), struct_({field("x", binary_view())})),
      list(struct_({field("x", map(utf8(), list(int8()))), field("y", boolean())})),
      list(extension::uuid()),
      struct_({field("r", run_end_encoded(int32(), int64()))}),
      run_end_encoded(int32(), list(utf8()))};
  types.insert(types.end(), nested.begin(), nested.end());
  return types;
}

bool RowsEqual(const arrow::Array& a, int64_t i, const arrow::Array& b, int64_t j) {
  const arrow::EqualOptions options =
      arrow::EqualOptions::Defaults().nans_equal(true).signed_zeros_equal(false);
  return a.RangeEquals(b, i, i + 1, j, options);
}

TEST(RandomArrays, OfAllTypesAreValidAndHaveAnOffset) {
  Random random(1);
  for (const TypePtr& type : PayloadTypes()) {
    const ArrayPtr array = RandomArray(type, 30, &random);
    EXPECT_TRUE(array->ValidateFull().ok()) << type->ToString() << array->ValidateFull().ToString();
    EXPECT_EQ(array->length(), 30);
    EXPECT_EQ(array->offset(), 3) << type->ToString();
  }
}

}  // namespace marble::testing

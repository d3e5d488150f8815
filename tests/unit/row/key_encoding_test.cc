// Encoded keys order as their values do, and come back as they were.
#include "row/key_encoding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <arrow/extension/json.h>
#include <arrow/util/float16.h>

#include "row/batch_checks.h"
#include "row/key_column.h"
#include "row/row_kind.h"
#include "unit/row/row_arrays.h"

namespace marble {
namespace {

using testing::FromJson;
using testing::MakeBatch;
using testing::RandomArray;

std::shared_ptr<const KeyCodec> MakeCodec(
    const std::vector<std::shared_ptr<arrow::DataType>>& types) {
  arrow::FieldVector fields;
  std::vector<int> columns;
  for (size_t i = 0; i < types.size(); ++i) {
    fields.push_back(arrow::field(testing::Numbered("k", static_cast<int64_t>(i)), types[i]));
    columns.push_back(static_cast<int>(i));
  }
  return KeyCodec::Make(arrow::schema(fields), columns).ValueOrDie();
}

/// -1, 0 or 1 as the values order, found without the encoding.
int CompareValues(const arrow::Array& array, int64_t i, int64_t j) {
  using arrow::Type;
  const auto sign = [](auto a, auto b) { return a < b ? -1 : (b < a ? 1 : 0); };
  const auto compare_as = [&]<typename ArrayType>(const ArrayType& typed) {
    return sign(typed.GetView(i), typed.GetView(j));
  };
  const auto compare_floats = [&](double a, double b) {
    if (std::isnan(a) || std::isnan(b)) return sign(std::isnan(a), std::isnan(b));
    return sign(a, b);
  };
  const std::shared_ptr<arrow::ArrayData>& data = array.data();
  switch (array.type_id()) {
    case Type::HALF_FLOAT: {
      const auto* bits = data->GetValues<uint16_t>(1);
      return compare_floats(arrow::util::Float16::FromBits(bits[i]).ToDouble(),
                            arrow::util::Float16::FromBits(bits[j]).ToDouble());
    }
    case Type::FLOAT:
      return compare_floats(data->GetValues<float>(1)[i], data->GetValues<float>(1)[j]);
    case Type::DOUBLE:
      return compare_floats(data->GetValues<double>(1)[i], data->GetValues<double>(1)[j]);
    case Type::BOOL:
      return compare_as(static_cast<const arrow::BooleanArray&>(array));  // NOLINT
    case Type::DECIMAL256: {
      const auto& typed = static_cast<const arrow::Decimal256Array&>(array);  // NOLINT
      return sign(arrow::Decimal256(typed.GetValue(i)), arrow::Decimal256(typed.GetValue(j)));
    }
    case Type::DECIMAL128: {
      const auto& typed = static_cast<const arrow::Decimal128Array&>(array);  // NOLINT
      return sign(arrow::Decimal128(typed.GetValue(i)), arrow::Decimal128(typed.GetValue(j)));
    }
    case Type::STRING:
    case Type::BINARY:
      return compare_as(static_cast<const arrow::BinaryArray&>(array));  // NOLINT
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return compare_as(static_cast<const arrow::LargeBinaryArray&>(array));  // NOLINT
    case Type::FIXED_SIZE_BINARY:
      return compare_as(static_cast<const arrow::FixedSizeBinaryArray&>(array));  // NOLINT
    case Type::UINT8:
      return sign(data->GetValues<uint8_t>(1)[i], data->GetValues<uint8_t>(1)[j]);
    case Type::UINT16:
      return sign(data->GetValues<uint16_t>(1)[i], data->GetValues<uint16_t>(1)[j]);
    case Type::UINT32:
      return sign(data->GetValues<uint32_t>(1)[i], data->GetValues<uint32_t>(1)[j]);
    case Type::UINT64:
      return sign(data->GetValues<uint64_t>(1)[i], data->GetValues<uint64_t>(1)[j]);
    default:
      break;
  }
  switch (array.type()->byte_width()) {
    case 1:
      return sign(data->GetValues<int8_t>(1)[i], data->GetValues<int8_t>(1)[j]);
    case 2:
      return sign(data->GetValues<int16_t>(1)[i], data->GetValues<int16_t>(1)[j]);
    case 4:
      return sign(data->GetValues<int32_t>(1)[i], data->GetValues<int32_t>(1)[j]);
    default:
      return sign(data->GetValues<int64_t>(1)[i], data->GetValues<int64_t>(1)[j]);
  }
}

/// Random values with the type's edges in front.
std::shared_ptr<arrow::Array> KeyValues(const std::shared_ptr<arrow::DataType>& type,
                                        testing::Random* random) {
  const std::shared_ptr<arrow::Array> values = RandomArray(type, 120, random, 0);
  std::string edges;
  if (type->id() == arrow::Type::DOUBLE || type->id() == arrow::Type::FLOAT ||
      type->id() == arrow::Type::HALF_FLOAT) {
    edges = "[0, -0.0, 1, -1, 1e-5, -1e-5, 60000, -60000, Inf, -Inf, NaN]";
  } else if (type->id() == arrow::Type::INT64 || type->id() == arrow::Type::TIMESTAMP) {
    edges = "[-9223372036854775808, 9223372036854775807, -1, 0, 1]";
  } else if (type->id() == arrow::Type::INT8) {
    edges = "[-128, 127, -1, 0, 1]";
  } else if (type->id() == arrow::Type::UINT64) {
    edges = "[0, 18446744073709551615]";
  } else if (arrow::is_decimal(type->id())) {
    edges = R"(["0.00", "-0.01", "999.99", "-999.99"])";
    if (type->id() == arrow::Type::DECIMAL256) edges = R"(["0.000", "-0.001", "1.000"])";
    if (type->id() == arrow::Type::DECIMAL128) edges = R"(["0.000", "-0.001", "1.000"])";
  }
  if (edges.empty()) return values;
  return arrow::Concatenate({FromJson(type, edges), values}).ValueOrDie();
}

class KeyType : public ::testing::TestWithParam<std::shared_ptr<arrow::DataType>> {};

TEST_P(KeyType, EncodedKeysOrderAsTheValues) {
  testing::Random random(7);
  const auto values = KeyValues(GetParam(), &random)->Slice(1);
  const EncodedKeys keys = MakeCodec({GetParam()})->EncodeArrays({values}).ValueOrDie();
  ASSERT_EQ(keys.size(), values->length());
  for (int64_t i = 0; i < keys.size(); ++i) {
    for (int64_t j = 0; j < keys.size(); ++j) {
      const int expected = CompareValues(*values, i, j);
      const int found = keys[i].compare(keys[j]);
      ASSERT_EQ(expected < 0, found < 0) << i << " " << j << values->ToString();
      ASSERT_EQ(expected == 0, found == 0) << i << " " << j << values->ToString();
    }
  }
}

TEST_P(KeyType, DecodingGivesTheValuesBack) {
  testing::Random random(8);
  const auto values = KeyValues(GetParam(), &random);
  // Decoded floats are canonical.
  const auto expected = CanonicalKeyColumn(values, arrow::default_memory_pool()).ValueOrDie();
  for (const bool last : {true, false}) {
    const auto number = RandomArray(arrow::int16(), values->length(), &random, 0);
    const auto codec =
        last ? MakeCodec({arrow::int16(), GetParam()}) : MakeCodec({GetParam(), arrow::int16()});
    const arrow::ArrayVector arrays =
        last ? arrow::ArrayVector{number, values} : arrow::ArrayVector{values, number};
    const EncodedKeys keys = codec->EncodeArrays(arrays).ValueOrDie();
    std::vector<std::string_view> views;
    for (int64_t i = 0; i < keys.size(); ++i) views.push_back(keys[i]);
    const arrow::ArrayVector decoded = codec->Decode(views).ValueOrDie();
    const arrow::Array& found = *decoded[last ? 1 : 0];
    ASSERT_TRUE(found.ValidateFull().ok());
    ASSERT_TRUE(found.type()->Equals(*GetParam()));
    for (int64_t i = 0; i < keys.size(); ++i) {
      ASSERT_TRUE(testing::RowsEqual(found, i, *expected, i)) << i << found.ToString();
    }
  }
}

TEST_P(KeyType, PairsOrderByTheFirstThenTheSecondColumn) {
  testing::Random random(9);
  for (const auto& second : {arrow::utf8(), arrow::int32(), arrow::boolean()}) {
    const auto first_values = KeyValues(GetParam(), &random);
    const auto second_values = RandomArray(second, first_values->length(), &random, 0);
    const EncodedKeys keys =
        MakeCodec({GetParam(), second})->EncodeArrays({first_values, second_values}).ValueOrDie();
    for (int64_t i = 0; i < keys.size(); ++i) {
      for (int64_t j = 0; j < keys.size(); ++j) {
        int expected = CompareValues(*first_values, i, j);
        if (expected == 0) expected = CompareValues(*second_values, i, j);
        const int found = keys[i].compare(keys[j]);
        ASSERT_EQ(expected < 0, found < 0) << i << " " << j;
        ASSERT_EQ(expected == 0, found == 0) << i << " " << j;
      }
    }
  }
}

TEST_P(KeyType, ABoundOnTheFirstColumnIsThePrefixOfItsKeysOnly) {
  testing::Random random(10);
  const auto values = KeyValues(GetParam(), &random);
  const auto second = RandomArray(arrow::utf8(), values->length(), &random, 0);
  const auto codec = MakeCodec({GetParam(), arrow::utf8()});
  const EncodedKeys keys = codec->EncodeArrays({values, second}).ValueOrDie();
  for (int64_t i = 0; i < keys.size(); ++i) {
    const std::string bound = codec->EncodeBound({values->GetScalar(i).ValueOrDie()}).ValueOrDie();
    for (int64_t j = 0; j < keys.size(); ++j) {
      const int expected = CompareValues(*values, j, i);
      ASSERT_EQ(expected == 0, keys[j].starts_with(bound));
      ASSERT_EQ(expected >= 0, keys[j] >= bound);
    }
  }
}

TEST_P(KeyType, ANullIsRefusedByColumnAndRow) {
  const auto values = arrow::MakeArrayOfNull(GetParam(), 3).ValueOrDie();
  const auto status = MakeCodec({GetParam()})->EncodeArrays({values}).status();
  EXPECT_TRUE(status.IsInvalid());
  EXPECT_EQ(status.message(), "null in key column 'k0' at row 0");
}

TEST_P(KeyType, AFullBoundIsTheEncodedKey) {
  testing::Random random(11);
  const auto values = KeyValues(GetParam(), &random);
  const auto codec = MakeCodec({GetParam()});
  const EncodedKeys keys = codec->EncodeArrays({values}).ValueOrDie();
  for (int64_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(codec->EncodeBound({values->GetScalar(i).ValueOrDie()}).ValueOrDie(), keys[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, KeyType, ::testing::ValuesIn(testing::KeyTypes()));

TEST(KeyCodec, ASingleBinaryColumnIsViewedAndNotCopied) {
  for (const auto& type : {arrow::utf8(), arrow::large_binary()}) {
    const auto values = FromJson(type, R"(["", "a", "bcd", "e"])")->Slice(1, 3);
    const auto codec = MakeCodec({type});
    EXPECT_TRUE(codec->is_single_binary());
    const EncodedKeys keys = codec->EncodeArrays({values}).ValueOrDie();
    ASSERT_EQ(keys.size(), 3);
    EXPECT_EQ(keys[1], "bcd");
    EXPECT_EQ(static_cast<const void*>(keys[0].data()), values->data()->buffers[2]->data());
  }
}

TEST(KeyCodec, KeysAreKeptAliveByTheirOwner) {
  const auto codec = MakeCodec({arrow::utf8()});
  EncodedKeys keys = codec->EncodeArrays({FromJson(arrow::utf8(), R"(["x", "y"])")}).ValueOrDie();
  const EncodedKeys slice = keys.Slice(1, 1);
  keys = EncodedKeys();
  EXPECT_EQ(slice[0], "y");
}

TEST(KeyCodec, AKeyOfMoreThan64KiBIsRefusedByColumnAndRow) {
  const std::string longest(kKeyBytesMax, 'x');
  for (const size_t extra : {size_t{0}, size_t{1}}) {
    arrow::StringBuilder builder;
    ASSERT_TRUE(builder.Append("a").ok());
    ASSERT_TRUE(builder.Append(longest + std::string(extra, 'x')).ok());
    const auto values = builder.Finish().ValueOrDie();
    const auto status = MakeCodec({arrow::utf8()})->EncodeArrays({values}).status();
    EXPECT_EQ(status.ok(), extra == 0);
    if (extra == 1) {
      EXPECT_NE(status.message().find("(k0) at row 1 has 65537"), std::string::npos);
    }
    const auto pairs = MakeCodec({arrow::int8(), arrow::utf8()})
                           ->EncodeArrays({FromJson(arrow::int8(), "[1, 2]"), values})
                           .status();
    EXPECT_TRUE(pairs.IsInvalid());
    EXPECT_NE(pairs.message().find("(k0, k1) at row 1"), std::string::npos) << pairs.ToString();
  }
}

TEST(KeyCodec, TypesThatCannotBeKeysAreRefusedByColumn) {
  for (const auto& type :
       {arrow::null(), arrow::list(arrow::int8()), arrow::struct_({}), arrow::utf8_view(),
        arrow::dictionary(arrow::int8(), arrow::utf8()), arrow::month_interval(),
        arrow::run_end_encoded(arrow::int32(), arrow::utf8()), arrow::fixed_size_binary(0)}) {
    const auto codec = KeyCodec::Make(arrow::schema({arrow::field("weird", type)}), {0});
    EXPECT_TRUE(codec.status().IsTypeError());
    EXPECT_NE(codec.status().message().find("'weird'"), std::string::npos);
  }
}

TEST(KeyCodec, ArraysOfAnotherTypeOrLengthAreRefused) {
  const auto codec = MakeCodec({arrow::fixed_size_binary(8), arrow::int8()});
  const auto narrow = arrow::MakeArrayOfNull(arrow::fixed_size_binary(4), 2).ValueOrDie();
  const auto right = arrow::MakeArrayOfNull(arrow::fixed_size_binary(8), 2).ValueOrDie();
  EXPECT_FALSE(codec->EncodeArrays({narrow, FromJson(arrow::int8(), "[1, 2]")}).ok());
  EXPECT_FALSE(codec->EncodeArrays({right, FromJson(arrow::int8(), "[1]")}).ok());
  EXPECT_FALSE(codec->EncodeArrays({right}).ok());
}

TEST(KeyCodec, CutKeysDoNotDecode) {
  testing::Random random(3);
  const auto codec = MakeCodec({arrow::utf8(), arrow::int32(), arrow::boolean()});
  const EncodedKeys keys = codec
                               ->EncodeArrays({RandomArray(arrow::utf8(), 50, &random, 0),
                                               RandomArray(arrow::int32(), 50, &random, 0),
                                               RandomArray(arrow::boolean(), 50, &random, 0)})
                               .ValueOrDie();
  for (int64_t i = 0; i < keys.size(); ++i) {
    ASSERT_TRUE(codec->Decode({keys[i]}).ok());
    for (size_t cut = 0; cut < keys[i].size(); ++cut) {
      EXPECT_FALSE(codec->Decode({keys[i].substr(0, cut)}).ok());
    }
    EXPECT_FALSE(codec->Decode({std::string(keys[i]) + "x"}).ok());
  }
}

TEST(KeyCodec, RandomBytesDecodeToAStatusOrValues) {
  testing::Random random(4);
  const auto codec = MakeCodec({arrow::binary(), arrow::float64(), arrow::decimal128(10, 2),
                                arrow::boolean(), arrow::large_utf8()});
  for (int i = 0; i < 20000; ++i) {
    std::string key;
    for (size_t length = random() % 60; key.size() < length;) {
      key.push_back(static_cast<char>(random() % 3 == 0 ? random() % 2 : random()));
    }
    const auto decoded = codec->Decode({key});
    if (decoded.ok()) {
      EXPECT_EQ((*decoded)[4]->length(), 1);
    }
    EXPECT_FALSE(codec->ToString(key).empty());
  }
}

TEST(KeyCodec, ToStringNamesColumnsAndValues) {
  const auto codec = MakeCodec({arrow::utf8(), arrow::int32()});
  const EncodedKeys keys =
      codec->EncodeArrays({FromJson(arrow::utf8(), R"(["ab"])"), FromJson(arrow::int32(), "[-5]")})
          .ValueOrDie();
  EXPECT_EQ(codec->ToString(keys[0]), "(k0=ab, k1=-5)");
  EXPECT_EQ(codec->ToString("zz"), "2 bytes that are no key");
}

/// The bound of one scalar on a column of `type`; "error" if refused.
std::string BoundOf(const std::shared_ptr<arrow::DataType>& type,
                    const std::shared_ptr<arrow::Scalar>& scalar) {
  const auto bound = MakeCodec({type})->EncodeBound({scalar});
  if (bound.ok()) return *bound;
  EXPECT_TRUE(bound.status().IsInvalid());
  EXPECT_NE(bound.status().message().find("'k0'"), std::string::npos);
  return "error";
}

std::string KeyOf(const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
  const auto codec = MakeCodec({type});
  return std::string(codec->EncodeArrays({FromJson(type, json)}).ValueOrDie()[0]);
}

TEST(KeyBounds, ScalarsOfOtherTypesAreCastWhereThatIsExact) {
  using arrow::MakeScalar;
  EXPECT_EQ(BoundOf(arrow::int64(), MakeScalar(int32_t{-7})), KeyOf(arrow::int64(), "[-7]"));
  EXPECT_EQ(BoundOf(arrow::int8(), MakeScalar(int64_t{-7})), KeyOf(arrow::int8(), "[-7]"));
  EXPECT_EQ(BoundOf(arrow::float64(), MakeScalar(int64_t{3})), KeyOf(arrow::float64(), "[3]"));
  EXPECT_EQ(BoundOf(arrow::int32(), MakeScalar(3.0)), KeyOf(arrow::int32(), "[3]"));
  EXPECT_EQ(BoundOf(arrow::decimal128(10, 2), MakeScalar(int32_t{5})),
            KeyOf(arrow::decimal128(10, 2), R"(["5.00"])"));
  EXPECT_EQ(BoundOf(arrow::large_utf8(), MakeScalar("abc")), "abc");
  EXPECT_EQ(BoundOf(arrow::binary(), MakeScalar("abc")), "abc");
  EXPECT_EQ(BoundOf(arrow::fixed_size_binary(3), MakeScalar("abc")), "abc");
  const auto date = MakeScalar(arrow::date32(), 2).ValueOrDie();
  EXPECT_EQ(BoundOf(arrow::timestamp(arrow::TimeUnit::SECOND), date),
            KeyOf(arrow::timestamp(arrow::TimeUnit::SECOND), "[172800]"));
  const auto seconds = MakeScalar(arrow::timestamp(arrow::TimeUnit::SECOND), 9).ValueOrDie();
  EXPECT_EQ(BoundOf(arrow::timestamp(arrow::TimeUnit::NANO), seconds),
            KeyOf(arrow::timestamp(arrow::TimeUnit::NANO), "[9000000000]"));
}

TEST(KeyBounds, ScalarsThatWouldChangeAreRefused) {
  using arrow::MakeScalar;
  EXPECT_EQ(BoundOf(arrow::int8(), MakeScalar(int32_t{300})), "error");
  EXPECT_EQ(BoundOf(arrow::uint32(), MakeScalar(int32_t{-1})), "error");
  EXPECT_EQ(BoundOf(arrow::int32(), MakeScalar(3.5)), "error");
  EXPECT_EQ(BoundOf(arrow::float32(), MakeScalar(0.1)), "error");
  EXPECT_EQ(BoundOf(arrow::float64(), MakeScalar((int64_t{1} << 53) + 1)), "error");
  EXPECT_EQ(BoundOf(arrow::decimal128(4, 2), MakeScalar(int32_t{100})), "error");
  EXPECT_EQ(BoundOf(arrow::int32(), MakeScalar("12")), "error");
  EXPECT_EQ(BoundOf(arrow::utf8(), MakeScalar(int32_t{12})), "error");
  EXPECT_EQ(BoundOf(arrow::boolean(), MakeScalar(int32_t{1})), "error");
  EXPECT_EQ(BoundOf(arrow::fixed_size_binary(3), MakeScalar("ab")), "error");
  EXPECT_EQ(BoundOf(arrow::utf8(), std::make_shared<arrow::BinaryScalar>("\xff")), "error");
  EXPECT_EQ(BoundOf(arrow::int64(), MakeScalar(arrow::date32(), 2).ValueOrDie()), "error");
  const auto nanos = MakeScalar(arrow::timestamp(arrow::TimeUnit::NANO), 9).ValueOrDie();
  EXPECT_EQ(BoundOf(arrow::timestamp(arrow::TimeUnit::SECOND), nanos), "error");
  EXPECT_EQ(BoundOf(arrow::timestamp(arrow::TimeUnit::NANO, "UTC"), nanos), "error");
}

TEST(KeyBounds, NullMissingAndSurplusValuesAreRefused) {
  EXPECT_EQ(BoundOf(arrow::int64(), arrow::MakeNullScalar(arrow::int64())), "error");
  EXPECT_EQ(BoundOf(arrow::int64(), arrow::MakeNullScalar(arrow::null())), "error");
  EXPECT_EQ(BoundOf(arrow::int64(), nullptr), "error");
  const auto codec = MakeCodec({arrow::int64()});
  const auto one = arrow::MakeScalar(int64_t{1});
  EXPECT_TRUE(codec->EncodeBound({one, one}).status().IsInvalid());
  EXPECT_EQ(codec->EncodeBound({}).ValueOrDie(), "");
}

TEST(KeyBounds, ScalarsOfDictionariesAndViewsCountAsTheirValues) {
  const auto dictionary =
      arrow::DictionaryArray::FromArrays(FromJson(arrow::int8(), "[1]"),
                                         FromJson(arrow::utf8(), R"(["x", "y"])"))
          .ValueOrDie();
  EXPECT_EQ(BoundOf(arrow::utf8(), dictionary->GetScalar(0).ValueOrDie()), "y");
  const auto view = FromJson(arrow::utf8_view(), R"(["longer than twelve bytes"])");
  EXPECT_EQ(BoundOf(arrow::large_utf8(), view->GetScalar(0).ValueOrDie()),
            "longer than twelve bytes");
}

TEST(KeyBounds, ScalarsOfExtensionsAndRunsCountAsTheirValues) {
  const auto text = FromJson(arrow::utf8(), R"(["x"])");
  const auto json = arrow::ExtensionType::WrapArray(arrow::extension::json(), text);
  EXPECT_EQ(BoundOf(arrow::utf8(), json->GetScalar(0).ValueOrDie()), "x");
  const auto runs =
      arrow::RunEndEncodedArray::Make(5, FromJson(arrow::int32(), "[5]"), json).ValueOrDie();
  EXPECT_EQ(BoundOf(arrow::utf8(), runs->GetScalar(3).ValueOrDie()), "x");
}

TEST(KeyBounds, ADictionaryScalarThatNamesNoValueIsRefused) {
  const auto scalar = arrow::DictionaryScalar::Make(arrow::MakeScalar(int8_t{9}),
                                                    FromJson(arrow::utf8(), R"(["x", "y"])"));
  EXPECT_EQ(BoundOf(arrow::utf8(), scalar), "error");
}

TEST(KeyBounds, ScalarsNeverLeaveTheirFamily) {
  using namespace arrow;  // NOLINT: twenty type factories
  using Types = std::vector<std::shared_ptr<DataType>>;
  const auto one_of = [](const std::shared_ptr<DataType>& type) {
    return testing::RandomArray(type, 1, std::make_unique<testing::Random>(1).get(), 0)
        ->GetScalar(0)
        .ValueOrDie();
  };
  const std::vector<Types> families = {
      {boolean()},
      {int8(), uint64(), float16(), float64(), smallest_decimal(5, 2), decimal64(15, 2),
       decimal128(30, 3), decimal256(60, 3)},
      {utf8(), binary(), large_utf8(), large_binary(), utf8_view(), binary_view(),
       fixed_size_binary(5)},
      {date32(), date64(), timestamp(TimeUnit::MICRO)},
      {timestamp(TimeUnit::NANO, "UTC")},
      {time32(TimeUnit::SECOND), time64(TimeUnit::NANO)},
      {duration(TimeUnit::MILLI)},
      {month_interval(), list(int8()), struct_({})}};
  for (const Types& columns : families) {
    for (const auto& column : columns) {
      if (!DescribeKeyColumn(*column).ok()) continue;
      for (const Types& scalars : families) {
        if (&scalars == &columns) continue;
        for (const auto& type : scalars) {
          EXPECT_EQ(BoundOf(column, one_of(type)), "error")
              << type->ToString() << " for " << column->ToString();
        }
      }
    }
  }
}

TEST(KeyBounds, ADecimalThatIsAnIntegerIsABoundOfIntegers) {
  const auto decimal = FromJson(arrow::decimal128(5, 2), R"(["5.00", "5.50", "-7.00"])");
  EXPECT_EQ(BoundOf(arrow::int64(), decimal->GetScalar(0).ValueOrDie()),
            KeyOf(arrow::int64(), "[5]"));
  EXPECT_EQ(BoundOf(arrow::int64(), decimal->GetScalar(1).ValueOrDie()), "error");
  EXPECT_EQ(BoundOf(arrow::int8(), decimal->GetScalar(2).ValueOrDie()),
            KeyOf(arrow::int8(), "[-7]"));
  EXPECT_EQ(BoundOf(arrow::uint8(), decimal->GetScalar(2).ValueOrDie()), "error");
}

TEST(KeyBounds, ABoundLongerThanAnyKeyIsRefused) {
  const auto codec = MakeCodec({arrow::int32(), arrow::binary()});
  const auto bound = [&](size_t bytes) {
    return codec->EncodeBound(
        {arrow::MakeScalar(int32_t{1}), arrow::MakeScalar(std::string(bytes, 'x'))});
  };
  EXPECT_TRUE(bound(static_cast<size_t>(kKeyBytesMax) - 4).ok());
  const arrow::Status status = bound(static_cast<size_t>(kKeyBytesMax) - 3).status();
  EXPECT_TRUE(status.IsInvalid());
  EXPECT_NE(status.message().find("longer than a key can be"), std::string::npos);
}

/// Bounds for searches in keys: every key, its neighbours, its prefixes and longer ones.
std::vector<std::string> SearchBounds(const EncodedKeys& keys) {
  std::vector<std::string> bounds = {"", std::string(20, '\xff')};
  for (int64_t i = 0; i < keys.size(); ++i) {
    const std::string key(keys[i]);
    bounds.push_back(key);
    bounds.push_back(key + '\0');
    bounds.push_back(key.substr(0, key.size() / 2));
    if (!key.empty()) {
      bounds.push_back(key);
      ++bounds.back().back();
    }
  }
  return bounds;
}

class KeySearch : public ::testing::TestWithParam<std::shared_ptr<arrow::DataType>> {};

TEST_P(KeySearch, BoundsAreWhereALinearSearchFindsThem) {
  testing::Random random(5);
  const auto values = RandomArray(GetParam(), 60, &random, 0);
  std::vector<std::string> sorted;
  const EncodedKeys unsorted = MakeCodec({GetParam()})->EncodeArrays({values}).ValueOrDie();
  for (int64_t i = 0; i < unsorted.size(); ++i) sorted.emplace_back(unsorted[i]);
  std::sort(sorted.begin(), sorted.end());
  std::string bytes;
  std::vector<int64_t> offsets = {0};
  for (const std::string& key : sorted) {
    bytes += key;
    offsets.push_back(static_cast<int64_t>(bytes.size()));
  }
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  const EncodedKeys keys =
      unsorted.fixed_width() > 0
          ? EncodedKeys::Fixed(data, unsorted.fixed_width(), unsorted.size(), nullptr)
          : EncodedKeys::Offsets64(data, offsets.data(), unsorted.size(), nullptr);
  for (const std::string& bound : SearchBounds(keys)) {
    for (const int64_t begin : {int64_t{0}, int64_t{7}, int64_t{30}}) {
      for (const int64_t end : {begin, int64_t{31}, keys.size()}) {
        int64_t lower = begin;
        while (lower < end && keys[lower] < bound) ++lower;
        int64_t upper = begin;
        while (upper < end && keys[upper] <= bound) ++upper;
        ASSERT_EQ(keys.LowerBound(bound, begin, end), lower);
        ASSERT_EQ(keys.UpperBound(bound, begin, end), upper);
        ASSERT_EQ(keys.GallopLowerBound(bound, begin, end), lower);
        ASSERT_EQ(keys.GallopUpperBoundReverse(bound, begin, end), upper - 1);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, KeySearch,
                         ::testing::Values(arrow::int64(), arrow::uint64(), arrow::int16(),
                                           arrow::decimal128(20, 1), arrow::binary(),
                                           arrow::fixed_size_binary(9)));

TEST(RowIds, AreBigEndianAndComeBack) {
  const EncodedKeys ids = *EncodeRowIds(254, 4);
  ASSERT_EQ(ids.size(), 4);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(ids[i], EncodeRowId(254 + static_cast<uint64_t>(i)));
    EXPECT_EQ(DecodeRowId(ids[i]), 254 + static_cast<uint64_t>(i));
  }
  EXPECT_LT(ids[1], ids[2]);  // 255 and 256
}

TEST(RowIds, OfMoreRowsThanMemoryCanHoldAreAnError) {
  // Such numbers come from forged files, and from batches of nulls, which take no memory.
  for (const int64_t rows : {int64_t{1} << 60, int64_t{1} << 61, INT64_MAX}) {
    EXPECT_TRUE(EncodeRowIds(0, rows).status().IsOutOfMemory()) << rows;
  }
}

TEST(SameKey, IsTrueOfEqualBytesOnly) {
  for (size_t size = 0; size < 40; ++size) {
    const std::string key(size, 'k');
    EXPECT_TRUE(IsSameKey(key, std::string(key))) << size;
    EXPECT_FALSE(IsSameKey(key, key + 'k')) << size;
    for (size_t at = 0; at < size; ++at) {
      std::string other = key;
      other[at] = 'l';
      EXPECT_FALSE(IsSameKey(key, other)) << size << " bytes, other at " << at;
    }
  }
}

}  // namespace
}  // namespace marble

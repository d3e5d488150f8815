// Tests of zone maps: what they say about blocks and files, and when they say nothing.
#include "sst/zone_map.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "sst/zone_bound.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using sst_test::FromJson;
using sst_test::Get;

/// Zone maps of one column, a block for each JSON array.
std::shared_ptr<arrow::RecordBatch> ZonesOf(const std::shared_ptr<arrow::DataType>& type,
                                            const std::vector<std::string>& blocks) {
  const auto schema = arrow::schema({arrow::field("c", type)});
  ZoneMapBuilder builder(schema);
  for (const std::string& json : blocks) {
    const auto array = FromJson(type, json);
    const auto batch = arrow::RecordBatch::Make(schema, array->length(), {array});
    EXPECT_TRUE(builder.AddBlock(*batch).ok());
  }
  return Get(ParseZoneMaps(Get(builder.Finish())));
}

/// Expects the columns min, max and nulls to hold these JSON values.
void ExpectZones(const std::shared_ptr<arrow::DataType>& type,
                 const std::vector<std::string>& blocks, const std::string& min,
                 const std::string& max, const std::string& nulls) {
  const auto zones = ZonesOf(type, blocks);
  ASSERT_EQ(zones->schema()->field_names(),
            (std::vector<std::string>{"0.min", "0.max", "0.nulls"}));
  EXPECT_TRUE(zones->column(0)->Equals(FromJson(type, min))) << zones->column(0)->ToString();
  EXPECT_TRUE(zones->column(1)->Equals(FromJson(type, max))) << zones->column(1)->ToString();
  EXPECT_TRUE(zones->column(2)->Equals(FromJson(arrow::int64(), nulls)))
      << zones->column(2)->ToString();
}

TEST(ZoneMap, IntegersHaveMinMaxAndNullsPerBlockAndForTheFile) {
  ExpectZones(arrow::int32(), {"[3, null, -7]", "[10, 10]", "[null]"}, "[-7, 10, null, -7]",
              "[3, 10, null, 10]", "[1, 0, 1, 2]");
}

TEST(ZoneMap, StringsOrderByBytes) {
  ExpectZones(arrow::utf8(), {R"(["b", "a", "ab"])", R"(["é", "z"])", R"([""])"},
              R"(["a", "z", "", ""])", R"(["b", "é", "", "é"])", "[0, 0, 0, 0]");
  ExpectZones(arrow::large_binary(), {R"(["abcdefghi", "abcdefgh", "abcdefghj"])"},
              R"(["abcdefgh", "abcdefgh"])", R"(["abcdefghj", "abcdefghj"])", "[0, 0]");
  ExpectZones(arrow::binary(), {R"(["b", "a\u0000", "a", "b\u0000", "b"])"}, R"(["a", "a"])",
              R"(["b\u0000", "b\u0000"])", "[0, 0]");
}

TEST(ZoneMap, ABlockWithNaNHasNoStatisticsAndNeitherHasTheFile) {
  const auto schema = arrow::schema({arrow::field("c", arrow::float64())});
  ZoneMapBuilder builder(schema);
  const double nan = std::nan("");
  for (const std::vector<double>& values : {std::vector<double>{1, 2}, {3, nan}}) {
    arrow::DoubleBuilder array;
    ASSERT_TRUE(array.AppendValues(values).ok());
    ASSERT_TRUE(builder.AddBlock(*arrow::RecordBatch::Make(schema, 2, {Get(array.Finish())})).ok());
  }
  const auto zones = Get(ParseZoneMaps(Get(builder.Finish())));
  EXPECT_TRUE(zones->column(0)->Equals(FromJson(arrow::float64(), "[1, null, null]")));
  EXPECT_TRUE(zones->column(1)->Equals(FromJson(arrow::float64(), "[2, null, null]")));
}

TEST(ZoneMap, NaNCountsInEveryWidthButNotBehindANull) {
  const uint8_t first_only = 1;
  const auto validity = std::make_shared<arrow::Buffer>(&first_only, 1);
  const auto expect = [&](const std::shared_ptr<arrow::DataType>& type, const auto& one_and_nan) {
    const auto schema = arrow::schema({arrow::field("c", type)});
    const auto values = arrow::Buffer::FromVector(one_and_nan);
    for (const bool null : {false, true}) {
      ZoneMapBuilder builder(schema);
      const auto array = arrow::ArrayData::Make(type, 2, {null ? validity : nullptr, values});
      ASSERT_TRUE(builder.AddBlock(*arrow::RecordBatch::Make(schema, 2, {array})).ok());
      const auto zones = Get(ParseZoneMaps(Get(builder.Finish())));
      // Of halves there is no kernel: they never have statistics.
      const bool known = null && type->id() != arrow::Type::HALF_FLOAT;
      for (const int column : {0, 1}) {
        EXPECT_EQ(zones->column(column)->null_count(), known ? 0 : 2) << type->ToString() << null;
      }
    }
  };
  expect(arrow::float16(), std::vector<uint16_t>{0x3C00, 0x7E00});
  expect(arrow::float32(), std::vector<float>{1, std::nanf("")});
  expect(arrow::float64(), std::vector<double>{1, std::nan("")});
}

TEST(ZoneMap, EmptyStringsNeedNoBytes) {
  for (const auto& type : {arrow::binary(), arrow::large_utf8()}) {
    const auto schema = arrow::schema({arrow::field("c", type)});
    ZoneMapBuilder builder(schema);
    const auto offsets = arrow::Buffer::FromVector(std::vector<int64_t>{0, 0, 0});
    const auto array = arrow::ArrayData::Make(type, 2, {nullptr, offsets, nullptr});
    ASSERT_TRUE(builder.AddBlock(*arrow::RecordBatch::Make(schema, 2, {array})).ok());
    const auto zones = Get(ParseZoneMaps(Get(builder.Finish())));
    EXPECT_TRUE(zones->column(0)->Equals(FromJson(type, R"(["", ""])")));
    EXPECT_TRUE(zones->column(1)->Equals(FromJson(type, R"(["", ""])")));
  }
}

TEST(ZoneMap, DatesTimestampsDecimalsAndBooleansHaveStatistics) {
  ExpectZones(arrow::date32(), {"[5, 2]"}, "[2, 2]", "[5, 5]", "[0, 0]");
  ExpectZones(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), {"[5, 2]"}, "[2, 2]", "[5, 5]",
              "[0, 0]");
  ExpectZones(arrow::decimal128(10, 2), {R"(["1.50", "-2.00"])"}, R"(["-2.00", "-2.00"])",
              R"(["1.50", "1.50"])", "[0, 0]");
  ExpectZones(arrow::boolean(), {"[true]", "[false, null]"}, "[true, false, false]",
              "[true, false, true]", "[0, 1, 1]");
  ExpectZones(arrow::fixed_size_binary(2), {R"(["zz", "ab"])"}, R"(["ab", "ab"])",
              R"(["zz", "zz"])", "[0, 0]");
}

TEST(ZoneMap, NestedColumnsHaveNullCountsOnly) {
  ExpectZones(arrow::list(arrow::int32()), {"[[1], null]"}, "[null, null]", "[null, null]",
              "[1, 1]");
  ExpectZones(arrow::struct_({arrow::field("a", arrow::int32())}), {R"([{"a": 1}])"},
              "[null, null]", "[null, null]", "[0, 0]");
}

TEST(ZoneMap, AFileWithoutBlocksHasOneRow) {
  ExpectZones(arrow::int64(), {}, "[null]", "[null]", "[0]");
}

TEST(ZoneMap, AMaximumThatCannotBeRoundedUpIsLeftOut) {
  for (const auto& type : {arrow::binary(), arrow::large_binary()}) {
    const auto schema = arrow::schema({arrow::field("c", type)});
    ZoneMapBuilder builder(schema);
    const auto array = Get(arrow::MakeArrayFromScalar(
        *Get(arrow::MakeScalar(type, arrow::Buffer::FromString(std::string(70, '\xff')))), 1));
    ASSERT_TRUE(builder.AddBlock(*arrow::RecordBatch::Make(schema, 1, {array})).ok());
    const auto zones = Get(ParseZoneMaps(Get(builder.Finish())));
    EXPECT_EQ(zones->column(0)->null_count(), 0);
    EXPECT_EQ(zones->column(1)->null_count(), 2);
  }
}

TEST(ZoneMap, DamagedBytesGiveAStatus) {
  const auto schema = arrow::schema({arrow::field("c", arrow::utf8())});
  ZoneMapBuilder builder(schema);
  const auto array = FromJson(arrow::utf8(), R"(["some", "strings"])");
  ASSERT_TRUE(builder.AddBlock(*arrow::RecordBatch::Make(schema, 2, {array})).ok());
  const std::string good = Get(builder.Finish());
  std::mt19937_64 random(1);
  for (size_t cut = 0; cut < good.size(); ++cut) {
    ParseZoneMaps(std::string_view(good).substr(0, cut)).status().ok();
    std::string bad = good;
    bad[cut] = static_cast<char>(random());
    const auto parsed = ParseZoneMaps(bad);
    EXPECT_TRUE(!parsed.ok() || (*parsed)->ValidateFull().ok());
  }
  EXPECT_FALSE(ParseZoneMaps("").ok());
  EXPECT_FALSE(ParseZoneMaps(std::string_view(good).substr(0, good.size() / 2)).ok());
}

TEST(ZoneBound, ShortStringsAreTheirOwnBounds) {
  const std::string text(64, 'x');
  EXPECT_EQ(ZoneLowerBound(text, true), text);
  EXPECT_EQ(ZoneUpperBound(text, true), text);
}

TEST(ZoneBound, LongBytesAreCutAndRoundedUp) {
  const std::string bytes = std::string(62, 'a') + "\xff\xff" + "tail";
  EXPECT_EQ(ZoneLowerBound(bytes, false), bytes.substr(0, 64));
  EXPECT_EQ(ZoneUpperBound(bytes, false), std::string(61, 'a') + "b");
  EXPECT_EQ(ZoneUpperBound(std::string(65, '\xff'), false), std::nullopt);
}

TEST(ZoneBound, BoundsOfTextAreTextAndBoundIt) {
  std::mt19937_64 random(2);
  const std::vector<std::string> letters = {"a",   "\x7f", "é", "߿",
                                            "퟿", "￿",  "𐀀", "\xf4\x8f\xbf\xbf"};
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    const uint64_t few = 1 + random() % letters.size();
    while (text.size() < 60 + random() % 20) text += letters[random() % few];
    if (random() % 4 == 0) text.clear();
    while (text.size() < 66 && random() % 50 != 0) text += letters.back();
    const std::string lower(ZoneLowerBound(text, true));
    EXPECT_LE(lower, text);
    EXPECT_LE(lower.size(), kZoneBoundBytes);
    arrow::StringBuilder builder;
    ASSERT_TRUE(builder.Append(lower).ok());
    const auto upper = ZoneUpperBound(text, true);
    if (upper.has_value()) {
      EXPECT_GE(*upper, text);
      EXPECT_LE(upper->size(), kZoneBoundBytes);
      ASSERT_TRUE(builder.Append(*upper).ok());
    }
    ASSERT_TRUE(Get(builder.Finish())->ValidateFull().ok());
  }
  std::string highest;
  while (highest.size() < 68) highest += letters.back();
  EXPECT_EQ(ZoneUpperBound(highest, true), std::nullopt);
}

}  // namespace
}  // namespace marble

// The bounds that a filter implies hold every key that it keeps, and for a comparison no other.
#include "table/key_bounds.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <arrow/array/array_primitive.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/compute/api.h>
#include <arrow/compute/expression.h>
#include <gtest/gtest.h>

#include "support/test_database.h"
#include "table/scan.h"

namespace marble::test {
namespace {

namespace cp = arrow::compute;

using ArrayPtr = std::shared_ptr<arrow::Array>;

/// A table keyed by "k" or by ("k", "n"), whose rows have each value of `keys` with two of "n".
struct Keys {
  std::shared_ptr<const StoredSchema> schema;
  std::shared_ptr<arrow::RecordBatch> rows;  // in the user's types
  EncodedKeys encoded;
};

arrow::Result<Keys> MakeKeys(const ArrayPtr& values, bool composite) {
  Keys keys;
  auto schema =
      arrow::schema({arrow::field("n", arrow::int32()), arrow::field("k", values->type())});
  const std::vector<std::string> names =
      composite ? std::vector<std::string>{"k", "n"} : std::vector<std::string>{"k"};
  ARROW_ASSIGN_OR_RAISE(keys.schema, StoredSchema::Make(schema, {.primary_key = names}));
  ARROW_ASSIGN_OR_RAISE(auto twice, arrow::Concatenate({values, values}));
  arrow::Int32Builder numbers;
  for (int64_t i = 0; i < twice->length(); ++i) {
    const bool first = i < values->length();
    ARROW_RETURN_NOT_OK(numbers.Append(first ? std::numeric_limits<int32_t>::min()
                                             : std::numeric_limits<int32_t>::max()));
  }
  ARROW_ASSIGN_OR_RAISE(auto n, numbers.Finish());
  keys.rows = arrow::RecordBatch::Make(schema, twice->length(), {n, twice});
  ARROW_ASSIGN_OR_RAISE(auto stored, keys.schema->ToStored(keys.rows));
  ARROW_ASSIGN_OR_RAISE(keys.encoded, keys.schema->codec()->Encode(*stored));
  return keys;
}

arrow::Result<std::vector<bool>> Kept(const Keys& keys, const cp::Expression& bound) {
  ARROW_ASSIGN_OR_RAISE(auto datum, cp::ExecuteScalarExpression(bound, cp::ExecBatch(*keys.rows)));
  std::vector<bool> kept;
  for (int64_t i = 0; i < keys.rows->num_rows(); ++i) {
    std::shared_ptr<arrow::Scalar> scalar = datum.is_scalar() ? datum.scalar() : nullptr;
    if (scalar == nullptr) {
      ARROW_ASSIGN_OR_RAISE(scalar, datum.make_array()->GetScalar(i));
    }
    kept.push_back(scalar->is_valid && static_cast<const arrow::BooleanScalar&>(*scalar).value);
  }
  return kept;
}

enum class Tight { kYes, kNo };

void Check(const Keys& keys, const cp::Expression& filter, Tight tight) {
  ASSERT_OK_AND_ASSIGN(const auto bound, filter.Bind(*keys.schema->user_schema()));
  ASSERT_OK_AND_ASSIGN(const std::vector<bool> kept, Kept(keys, bound));
  const EncodedRange range = KeyBoundsOf(bound, *keys.schema);
  for (int64_t i = 0; i < keys.encoded.size(); ++i) {
    const bool contained = range.Contains(keys.encoded[i]);
    if (kept[i]) {
      EXPECT_TRUE(contained) << bound.ToString() << " loses " << i;
    } else if (tight == Tight::kYes) {
      EXPECT_FALSE(contained) << bound.ToString() << " need not have " << i;
    }
  }
}

const auto kComparisons = {"equal", "less", "less_equal", "greater", "greater_equal"};

/// Every comparison of the key with every scalar, and the mirrored one.
void CheckComparisons(const Keys& keys, const arrow::ScalarVector& scalars, Tight tight) {
  const auto key = cp::field_ref("k");
  for (const auto& scalar : scalars) {
    for (const char* function : kComparisons) {
      Check(keys, cp::call(function, {key, cp::literal(scalar)}), tight);
      Check(keys, cp::call(function, {cp::literal(scalar), key}), tight);
    }
  }
}

arrow::Result<arrow::ScalarVector> ScalarsOf(const ArrayPtr& array) {
  arrow::ScalarVector scalars;
  for (int64_t i = 0; i < array->length(); ++i) {
    ARROW_ASSIGN_OR_RAISE(scalars.emplace_back(), array->GetScalar(i));
  }
  return scalars;
}

struct TypeCase {
  std::string name;
  std::shared_ptr<arrow::DataType> type;
  std::string values;
};

class KeyBoundsOfType : public testing::TestWithParam<TypeCase> {};

INSTANTIATE_TEST_SUITE_P(
    Types, KeyBoundsOfType,
    testing::Values(
        TypeCase{"Int8", arrow::int8(), "[-128, -1, 0, 1, 126, 127]"},
        TypeCase{"UInt8", arrow::uint8(), "[0, 1, 127, 128, 254, 255]"},
        TypeCase{"Int32", arrow::int32(), "[-2147483648, -1, 0, 255, 256, 2147483647]"},
        TypeCase{"UInt64", arrow::uint64(), "[0, 1, 255, 9223372036854775807]"},
        TypeCase{"Int64", arrow::int64(),
                 "[-9223372036854775808, -256, -1, 0, 255, 9223372036854775807]"},
        TypeCase{"Utf8", arrow::utf8(),
                 R"(["", "\u0000", "a", "a\u0000", "a\u0000b", "ab", "b", "é"])"},
        TypeCase{"LargeUtf8", arrow::large_utf8(), R"(["", "a", "ab", "b"])"},
        TypeCase{"Binary", arrow::binary(), R"(["", "\u0000", "a", "a\u0001", "ab"])"},
        TypeCase{"FixedSizeBinary", arrow::fixed_size_binary(2),
                 R"(["\u0000\u0000", "aa", "a\u007f", "zz"])"},
        TypeCase{"Date32", arrow::date32(), "[-1, 0, 1, 20000]"},
        TypeCase{"Seconds", arrow::timestamp(arrow::TimeUnit::SECOND), "[-1, 0, 1, 1700000000]"},
        TypeCase{"Nanoseconds", arrow::timestamp(arrow::TimeUnit::NANO, "UTC"), "[-1, 0, 1, 17]"},
        TypeCase{"Duration", arrow::duration(arrow::TimeUnit::MILLI), "[-1, 0, 1, 17]"},
        TypeCase{"Decimal", arrow::decimal128(7, 2), R"(["-1.00", "0.00", "0.01", "12345.67"])"},
        TypeCase{"Boolean", arrow::boolean(), "[false, true]"}),
    [](const auto& info) { return info.param.name; });

TEST_P(KeyBoundsOfType, OfAComparisonAreExact) {
  ASSERT_OK_AND_ASSIGN(auto values,
                       arrow::json::ArrayFromJSONString(GetParam().type, GetParam().values));
  ASSERT_OK_AND_ASSIGN(auto scalars, ScalarsOf(values));
  for (const bool composite : {false, true}) {
    ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(values, composite));
    CheckComparisons(keys, scalars, Tight::kYes);
    // A literal of null keeps nothing.
    CheckComparisons(keys, {arrow::MakeNullScalar(GetParam().type)}, Tight::kYes);
  }
}

TEST_P(KeyBoundsOfType, OfASetReachFromItsSmallestToItsLargestValue) {
  ASSERT_OK_AND_ASSIGN(auto values,
                       arrow::json::ArrayFromJSONString(GetParam().type, GetParam().values));
  for (const bool composite : {false, true}) {
    ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(values, composite));
    for (int64_t begin = 0; begin < values->length(); ++begin) {
      for (int64_t length = 0; length <= values->length() - begin; ++length) {
        const auto set = values->Slice(begin, length);
        Check(keys, cp::call("is_in", {cp::field_ref("k")}, cp::SetLookupOptions(set)),
              // Arrow has no min_max of durations.
              GetParam().type->id() == arrow::Type::DURATION ? Tight::kNo : Tight::kYes);
      }
    }
  }
}

TEST(KeyBounds, OfDoublesKeepNanAndZeros) {
  arrow::DoubleBuilder builder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  ASSERT_OK(builder.AppendValues({-inf, -1.5, -0.0, 1e-300, 1.5, inf, nan}));
  ASSERT_OK_AND_ASSIGN(auto values, builder.Finish());
  ASSERT_OK_AND_ASSIGN(auto scalars, ScalarsOf(values));
  scalars.push_back(arrow::MakeScalar(0.0));
  for (const bool composite : {false, true}) {
    ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(values, composite));
    CheckComparisons(keys, scalars, Tight::kNo);
    Check(keys, cp::call("is_in", {cp::field_ref("k")}, cp::SetLookupOptions(values->Slice(4))),
          Tight::kNo);
    Check(keys, cp::less(cp::field_ref("k"), cp::literal(0.0)), Tight::kYes);
  }
  ASSERT_OK_AND_ASSIGN(auto floats, cp::Cast(*values, arrow::float32(), cp::CastOptions::Unsafe()));
  ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(floats, false));
  scalars.push_back(arrow::MakeScalar(0.1));
  CheckComparisons(keys, scalars, Tight::kNo);
}

TEST(KeyBounds, OfLiteralsOfAnotherTypeLoseNothing) {
  ASSERT_OK_AND_ASSIGN(auto ints, arrow::json::ArrayFromJSONString(
                                      arrow::int32(), "[-2147483648, -1, 0, 5, 2147483647]"));
  ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(ints, false));
  const auto max = std::numeric_limits<int64_t>::max();
  CheckComparisons(keys,
                   {arrow::MakeScalar(int64_t{5}), arrow::MakeScalar(max),
                    arrow::MakeScalar(int64_t{-3'000'000'000}), arrow::MakeScalar(uint64_t{5}),
                    arrow::MakeScalar(int8_t{5})},
                   Tight::kNo);
  CheckComparisons(keys, {arrow::MakeScalar(int64_t{5}), arrow::MakeScalar(int64_t{-1})},
                   Tight::kYes);
  // Compared as floats.
  ASSERT_OK_AND_ASSIGN(auto small, arrow::json::ArrayFromJSONString(arrow::int32(), "[-1, 5, 6]"));
  ASSERT_OK_AND_ASSIGN(auto small_keys, MakeKeys(small, false));
  CheckComparisons(small_keys, {arrow::MakeScalar(5.0), arrow::MakeScalar(5.5)}, Tight::kNo);
  ASSERT_OK_AND_ASSIGN(
      auto seconds,
      arrow::json::ArrayFromJSONString(arrow::timestamp(arrow::TimeUnit::SECOND), "[-1, 0, 1, 2]"));
  ASSERT_OK_AND_ASSIGN(auto times, MakeKeys(seconds, false));
  const auto milli = arrow::timestamp(arrow::TimeUnit::MILLI);
  CheckComparisons(
      times,
      {arrow::MakeScalar(milli, 1000).ValueOrDie(), arrow::MakeScalar(milli, -1000).ValueOrDie()},
      Tight::kYes);
  CheckComparisons(times, {arrow::MakeScalar(milli, 1500).ValueOrDie()}, Tight::kNo);
  // A cast that may wrap around.
  ASSERT_OK_AND_ASSIGN(auto large,
                       arrow::json::ArrayFromJSONString(arrow::timestamp(arrow::TimeUnit::SECOND),
                                                        "[0, 9223372036854775807]"));
  ASSERT_OK_AND_ASSIGN(auto large_times, MakeKeys(large, false));
  Check(large_times,
        cp::less(cp::call("cast", {cp::field_ref("k")}, cp::CastOptions::Unsafe(milli)),
                 cp::literal(arrow::MakeScalar(milli, 0).ValueOrDie())),
        Tight::kNo);
}

TEST(KeyBounds, OfADictionaryAreThoseOfItsValues) {
  ASSERT_OK_AND_ASSIGN(auto text,
                       arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["a", "ab", "b", "c"])"));
  ASSERT_OK_AND_ASSIGN(auto scalars, ScalarsOf(text));
  ASSERT_OK_AND_ASSIGN(auto encoded, cp::DictionaryEncode(text));
  ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(encoded.make_array(), false));
  CheckComparisons(keys, scalars, Tight::kYes);
}

TEST(KeyBounds, OfCastsThatChangeTheOrderAreNone) {
  ASSERT_OK_AND_ASSIGN(auto ints,
                       arrow::json::ArrayFromJSONString(arrow::int32(), "[-1, 5, 10, 256, 261]"));
  ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(ints, false));
  auto cast = [](const std::shared_ptr<arrow::DataType>& type) {
    auto options = cp::CastOptions::Safe(type);
    options.allow_int_overflow = options.allow_float_truncate = true;
    return cp::call("cast", {cp::field_ref("k")}, options);
  };
  Check(keys, cp::less(cast(arrow::utf8()), cp::literal("5")), Tight::kNo);
  Check(keys, cp::equal(cast(arrow::int8()), cp::literal(int8_t{5})), Tight::kNo);
  Check(keys, cp::greater(cast(arrow::uint32()), cp::literal(uint32_t{5})), Tight::kNo);
  Check(keys, cp::equal(cast(arrow::boolean()), cp::literal(true)), Tight::kNo);
  Check(keys, cp::less(cast(arrow::int64()), cp::literal(int64_t{10})), Tight::kYes);
  ASSERT_OK_AND_ASSIGN(ints, arrow::json::ArrayFromJSONString(
                                 arrow::int64(), "[9007199254740992, 9007199254740993]"));
  ASSERT_OK_AND_ASSIGN(keys, MakeKeys(ints, false));
  Check(keys, cp::equal(cast(arrow::float64()), cp::literal(9007199254740992.0)), Tight::kNo);
}

TEST(KeyBounds, OfTermsAreJoined) {
  ASSERT_OK_AND_ASSIGN(auto ints,
                       arrow::json::ArrayFromJSONString(arrow::int64(), "[0, 1, 2, 3, 4, 5, 6]"));
  ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(ints, true));
  const auto k = cp::field_ref("k");
  const auto n = cp::field_ref("n");
  auto number = [](int64_t value) { return cp::literal(value); };
  const auto two_to_four = cp::and_(cp::greater_equal(k, number(2)), cp::less(k, number(5)));
  const auto null = cp::literal(arrow::MakeNullScalar(arrow::boolean()));
  Check(keys, two_to_four, Tight::kYes);
  Check(keys, cp::and_(two_to_four, cp::less(n, cp::literal(0))), Tight::kNo);
  Check(keys, cp::or_(cp::equal(k, number(1)), cp::equal(k, number(2))), Tight::kYes);
  Check(keys, cp::or_(cp::equal(k, number(1)), cp::less(n, cp::literal(0))), Tight::kNo);
  Check(keys, cp::or_(cp::equal(k, number(1)), null), Tight::kYes);
  Check(keys, cp::or_(cp::literal(false), cp::equal(k, number(1))), Tight::kYes);
  Check(keys, cp::and_(cp::equal(k, number(1)), cp::equal(k, number(2))), Tight::kYes);
  Check(keys, cp::not_(two_to_four), Tight::kNo);
  Check(keys, cp::not_equal(k, number(3)), Tight::kNo);
  Check(keys, cp::is_null(cp::less(k, number(3))), Tight::kNo);
  Check(keys, cp::call("xor", {two_to_four, cp::equal(k, number(6))}), Tight::kNo);
  Check(keys, cp::equal(k, k), Tight::kNo);
  Check(keys, cp::literal(true), Tight::kYes);
  Check(keys, null, Tight::kYes);
}

TEST(KeyBounds, RestrictAPlanBesideItsOwnRange) {
  ASSERT_OK_AND_ASSIGN(auto ints, arrow::json::ArrayFromJSONString(arrow::int64(), "[0]"));
  ASSERT_OK_AND_ASSIGN(auto keys, MakeKeys(ints, false));
  TableInfo info;
  info.name = "t";
  const TableState table(info, keys.schema);
  auto encode = [&](int64_t value) {
    return keys.schema->codec()->EncodeBound({arrow::MakeScalar(value)}).ValueOrDie();
  };
  ScanOptions options;
  options.filter = cp::and_(cp::greater_equal(cp::field_ref("k"), cp::literal(10)),
                            cp::less(cp::field_ref("k"), cp::literal(20)));
  for (const bool reverse : {false, true}) {
    options.reverse = reverse;
    options.range = {};
    ASSERT_OK_AND_ASSIGN(auto plan, PlanScan(table, options));
    EXPECT_EQ(plan.range.lower, encode(10));
    EXPECT_EQ(plan.range.upper, encode(20));
    options.range = {.lower = {arrow::MakeScalar(int64_t{15})}, .upper = {}};
    ASSERT_OK_AND_ASSIGN(plan, PlanScan(table, options));
    EXPECT_EQ(plan.range.lower, encode(15));
    EXPECT_EQ(plan.range.upper, encode(20));
    options.range = {.lower = {arrow::MakeScalar(int64_t{25})}, .upper = {}};
    ASSERT_OK_AND_ASSIGN(plan, PlanScan(table, options));
    EXPECT_TRUE(plan.range.IsEmpty());
  }
}

TEST(KeyBounds, OfAppendTablesAreNone) {
  auto schema = arrow::schema({arrow::field("k", arrow::int64())});
  ASSERT_OK_AND_ASSIGN(auto stored, StoredSchema::Make(schema, {}));
  ASSERT_OK_AND_ASSIGN(auto bound,
                       cp::equal(cp::field_ref("k"), cp::literal(int64_t{1})).Bind(*schema));
  EXPECT_TRUE(KeyBoundsOf(bound, *stored).IsAll());
}

}  // namespace
}  // namespace marble::test

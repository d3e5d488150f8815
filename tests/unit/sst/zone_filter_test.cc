// Which blocks a filter leaves out by their zone maps: never one with a row that it keeps.
#include "sst/zone_filter.h"

#include <cmath>
#include <random>

#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <gtest/gtest.h>

#include "row/compute.h"
#include "sst/zone_map.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

namespace cp = arrow::compute;
using sst_test::FromJson;
using sst_test::Get;

cp::Expression C() { return cp::field_ref("c"); }

/// Blocks of a table with the one column c.
struct Blocks {
  std::shared_ptr<arrow::DataType> type;
  std::vector<std::shared_ptr<arrow::Array>> arrays;

  std::shared_ptr<const StoredSchema> schema() const {
    return Get(StoredSchema::Make(arrow::schema({arrow::field("c", type)}), {}));
  }
  std::shared_ptr<arrow::RecordBatch> Zones() const {
    ZoneMapBuilder builder(schema()->stored_schema());
    for (const auto& array : arrays) {
      const auto batch =
          arrow::RecordBatch::Make(schema()->stored_schema(), array->length(), {array});
      EXPECT_TRUE(builder.AddBlock(*batch).ok());
    }
    return Get(ParseZoneMaps(Get(builder.Finish())));
  }
  /// Nothing if zone maps cannot tell anything about the filter.
  std::vector<bool> MayKeep(const cp::Expression& filter) const {
    EXPECT_TRUE(InitializeCompute().ok());
    const auto bound = Get(filter.Bind(*schema()->user_schema()));
    const auto zone_filter = ZoneFilter::Make(*schema(), bound);
    if (zone_filter == nullptr) return {};
    return zone_filter->MayKeep(Zones());
  }
};

Blocks OfJson(const std::shared_ptr<arrow::DataType>& type, const std::vector<std::string>& json) {
  Blocks blocks{type, {}};
  for (const std::string& block : json) blocks.arrays.push_back(FromJson(type, block));
  return blocks;
}

using Kept = std::vector<bool>;  // the blocks, then the file

TEST(ZoneFilter, LeavesOutBlocksThatAComparisonRulesOut) {
  const Blocks blocks = OfJson(arrow::int64(), {"[1, 5]", "[10, 20]", "[30, 30]"});
  EXPECT_EQ(blocks.MayKeep(cp::less(C(), cp::literal(10))), (Kept{true, false, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::less_equal(C(), cp::literal(10))), (Kept{true, true, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::greater(C(), cp::literal(20))), (Kept{false, false, true, true}));
  EXPECT_EQ(blocks.MayKeep(cp::equal(C(), cp::literal(7))), (Kept{false, false, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::equal(cp::literal(15), C())), (Kept{false, true, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::not_equal(C(), cp::literal(30))), (Kept{true, true, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::not_(cp::less(C(), cp::literal(10)))),
            (Kept{false, true, true, true}));
  EXPECT_EQ(blocks.MayKeep(cp::greater(C(), cp::literal(31))), (Kept{false, false, false, false}));
}

TEST(ZoneFilter, UnderstandsAndOrSetsNullsAndWiderValues) {
  const Blocks blocks = OfJson(arrow::int32(), {"[1, 5]", "[10, null]", "[30, 40]"});
  const auto above = cp::greater(C(), cp::literal(4));
  const auto below = cp::less(C(), cp::literal(11));
  EXPECT_EQ(blocks.MayKeep(cp::and_(above, below)), (Kept{true, true, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::or_(cp::less(C(), cp::literal(3)), cp::equal(C(), cp::literal(35)))),
            (Kept{true, false, true, true}));
  // A term that nothing is known of decides nothing in an "and", and everything in an "or".
  const auto unknown = cp::equal(cp::call("negate", {C()}), cp::literal(1));
  EXPECT_EQ(blocks.MayKeep(cp::and_(unknown, below)), (Kept{true, true, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::or_(unknown, below)), Kept{});
  EXPECT_EQ(blocks.MayKeep(unknown), Kept{});
  EXPECT_EQ(blocks.MayKeep(cp::is_null(C())), (Kept{false, true, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::call("is_in", {C()},
                                    cp::SetLookupOptions(FromJson(arrow::int32(), "[2, 33]")))),
            (Kept{true, false, true, true}));
  EXPECT_EQ(blocks.MayKeep(cp::less(C(), cp::literal(int64_t{1} << 40))),
            (Kept{true, true, true, true}));
  EXPECT_EQ(blocks.MayKeep(cp::equal(C(), cp::literal(arrow::MakeNullScalar(arrow::int32())))),
            (Kept{false, false, false, false}));
}

TEST(ZoneFilter, ASetIsOneOfTheColumnsType) {
  const auto in = [](const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
    return cp::call("is_in", {C()}, cp::SetLookupOptions(FromJson(type, json)));
  };
  // 0.1 as a float is not 0.1, but a set of floats has the same one.
  const Blocks floats = OfJson(arrow::float32(), {"[0.1]", "[0.2]"});
  EXPECT_EQ(floats.MayKeep(in(arrow::float64(), "[0.1]")), (Kept{true, false, true}));
  const Blocks large = OfJson(arrow::uint64(), {"[18446744073709551615]", "[1]"});
  EXPECT_EQ(large.MayKeep(in(arrow::int64(), "[1, 2]")), (Kept{false, true, true}));
  EXPECT_EQ(large.MayKeep(in(arrow::int64(), "[-1]")), Kept{});
}

TEST(ZoneFilter, KeepsBlocksWithoutStatistics) {
  Blocks blocks{arrow::float64(), {}};
  for (const double value : {1.0, std::nan("")}) {
    arrow::DoubleBuilder builder;
    ASSERT_TRUE(builder.Append(value).ok());
    blocks.arrays.push_back(Get(builder.Finish()));
  }
  EXPECT_EQ(blocks.MayKeep(cp::greater(C(), cp::literal(2.0))), (Kept{false, true, true}));
  EXPECT_EQ(blocks.MayKeep(cp::not_equal(C(), cp::literal(1.0))), (Kept{false, true, true}));
  // Whatever is not smaller than NaN need not be greater or equal.
  EXPECT_EQ(blocks.MayKeep(cp::not_(cp::less(C(), cp::literal(std::nan(""))))), Kept{});
  EXPECT_EQ(blocks.MayKeep(cp::less(C(), cp::literal(std::nan("")))), (Kept{false, true, true}));
}

TEST(ZoneFilter, StringsAreCutButNotLost) {
  const std::string longer(100, 'b');
  const Blocks blocks =
      OfJson(arrow::utf8(), {R"(["a", "b"])", "[\"" + longer + "\"]", R"(["c", "d"])"});
  EXPECT_EQ(blocks.MayKeep(cp::equal(C(), cp::literal(longer))), (Kept{false, true, false, true}));
  EXPECT_EQ(blocks.MayKeep(cp::not_equal(C(), cp::literal(longer))),
            (Kept{true, true, true, true}));
  EXPECT_EQ(blocks.MayKeep(cp::greater_equal(C(), cp::literal("c"))),
            (Kept{false, false, true, true}));
}

TEST(ZoneFilter, ADictionaryColumnHasTheZonesOfItsValues) {
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  const auto schema = Get(StoredSchema::Make(arrow::schema({arrow::field("c", type)}), {}));
  ZoneMapBuilder builder(schema->stored_schema());
  for (const char* json : {R"(["a"])", R"(["x"])"}) {
    const auto batch =
        arrow::RecordBatch::Make(schema->stored_schema(), 1, {FromJson(arrow::utf8(), json)});
    ASSERT_TRUE(builder.AddBlock(*batch).ok());
  }
  ASSERT_TRUE(InitializeCompute().ok());
  const auto filter = cp::equal(C(), cp::literal("a"));
  const auto zone_filter = ZoneFilter::Make(*schema, Get(filter.Bind(*schema->user_schema())));
  ASSERT_NE(zone_filter, nullptr);
  EXPECT_EQ(zone_filter->MayKeep(Get(ParseZoneMaps(Get(builder.Finish())))),
            (Kept{true, false, true}));
}

TEST(ZoneFilter, NeverLeavesOutABlockWithARowThatIsKept) {
  std::mt19937_64 random(11);
  const auto number = [&] { return static_cast<int>(random() % 40); };
  const auto term = [&]() -> cp::Expression {
    const auto value = cp::literal(number());
    switch (random() % 9) {
      case 0:
        return cp::equal(C(), value);
      case 1:
        return cp::not_equal(C(), value);
      case 2:
        return cp::less(C(), value);
      case 3:
        return cp::less_equal(value, C());
      case 4:
        return cp::greater(C(), value);
      case 5:
        return cp::is_null(C());
      case 6:
        return cp::is_valid(C());
      case 7:
        return cp::not_(cp::greater(C(), value));
      default:
        return cp::call("is_in", {C()}, cp::SetLookupOptions(FromJson(arrow::int32(), "[3, 17]")));
    }
  };
  int left_out = 0;
  for (int round = 0; round < 300; ++round) {
    Blocks blocks{arrow::int32(), {}};
    for (int block = 0; block < 8; ++block) {
      arrow::Int32Builder builder;
      const int base = number();
      for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE((random() % 6 == 0 ? builder.AppendNull()
                                       : builder.Append(base + static_cast<int>(random() % 4)))
                        .ok());
      }
      blocks.arrays.push_back(Get(builder.Finish()));
    }
    const auto a = term();
    const auto b = term();
    const auto filter = round % 3 == 0 ? a : round % 3 == 1 ? cp::and_(a, b) : cp::or_(a, b);
    const Kept kept = blocks.MayKeep(filter);
    if (kept.empty()) continue;
    const auto bound = Get(filter.Bind(*blocks.schema()->user_schema()));
    for (size_t block = 0; block < blocks.arrays.size(); ++block) {
      left_out += kept[block] ? 0 : 1;
      const auto datum =
          Get(cp::ExecuteScalarExpression(bound, cp::ExecBatch({blocks.arrays[block]}, 3)));
      if (datum.is_scalar()) continue;
      const bool any = datum.array_as<arrow::BooleanArray>()->true_count() > 0;
      EXPECT_TRUE(kept[block] || !any) << filter.ToString() << blocks.arrays[block]->ToString();
      EXPECT_TRUE(kept.back() || !any) << filter.ToString();
    }
  }
  EXPECT_GT(left_out, 300);
}

}  // namespace
}  // namespace marble

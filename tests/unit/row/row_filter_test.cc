// Filters evaluated on batches, against what Arrow's kernels say of the same rows.
#include "row/row_filter.h"

#include <cmath>
#include <limits>

#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <gtest/gtest.h>

#include "base/checksum_avx2.h"
#include "row/compute.h"
#include "unit/row/row_arrays.h"

namespace marble {
namespace {

namespace cp = arrow::compute;
using testing::FromJson;
using testing::MakeBatch;
using testing::RandomArray;

std::vector<std::shared_ptr<arrow::DataType>> NumberTypes() {
  return {arrow::int8(),
          arrow::int16(),
          arrow::int32(),
          arrow::int64(),
          arrow::uint8(),
          arrow::uint16(),
          arrow::uint32(),
          arrow::uint64(),
          arrow::float32(),
          arrow::float64(),
          arrow::date32(),
          arrow::date64(),
          arrow::time32(arrow::TimeUnit::SECOND),
          arrow::time64(arrow::TimeUnit::NANO),
          arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"),
          arrow::duration(arrow::TimeUnit::MILLI)};
}

using Compare = cp::Expression (*)(cp::Expression, cp::Expression);
const Compare kComparisons[] = {cp::equal,      cp::not_equal, cp::less,
                                cp::less_equal, cp::greater,   cp::greater_equal};

/// The rows for which Arrow gives true.
std::vector<bool> ByArrow(const cp::Expression& bound, const arrow::RecordBatch& batch) {
  std::vector<bool> kept(static_cast<size_t>(batch.num_rows()), false);
  const auto datum = cp::ExecuteScalarExpression(bound, cp::ExecBatch(batch)).ValueOrDie();
  const auto answer =
      datum.is_array() ? datum.make_array()
                       : arrow::MakeArrayFromScalar(*datum.scalar(), batch.num_rows()).ValueOrDie();
  const auto& mask = static_cast<const arrow::BooleanArray&>(*answer);
  for (int64_t i = 0; i < mask.length(); ++i) {
    kept[static_cast<size_t>(i)] = mask.IsValid(i) && mask.Value(i);
  }
  return kept;
}

std::vector<bool> ByFilter(const RowFilter& filter, const arrow::RecordBatch& batch) {
  const auto selection = filter.Select(batch);
  EXPECT_TRUE(selection.ok()) << selection.status().ToString();
  std::vector<bool> kept(static_cast<size_t>(batch.num_rows()), false);
  int64_t count = 0;
  for (const RowSlice& slice : selection->Slices(selection->count)) {
    for (int64_t i = slice.start; i < slice.start + slice.length; ++i) {
      kept[static_cast<size_t>(i)] = true;
      ++count;
    }
  }
  EXPECT_EQ(count, selection->count);
  EXPECT_EQ(selection->all(), count == batch.num_rows());
  return kept;
}

/// Checks `filter` over a batch with the columns a and b, both of which it names.
void ExpectLikeArrow(const cp::Expression& filter, const arrow::RecordBatch& batch) {
  ASSERT_TRUE(InitializeCompute().ok());
  const auto schema = StoredSchema::Make(batch.schema(), {}).ValueOrDie();
  const auto bound = filter.Bind(*schema->user_schema());
  ASSERT_TRUE(bound.ok()) << bound.status().ToString();
  const auto made = RowFilter::Make(schema, *bound, {0, 1});
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  EXPECT_EQ(ByFilter(**made, batch), ByArrow(*bound, batch)) << filter.ToString();
}

cp::Expression A() { return cp::field_ref("a"); }
cp::Expression B() { return cp::field_ref("b"); }

TEST(RowFilter, KeepsOfEveryNumberTypeTheRowsThatArrowKeeps) {
  testing::Random random(7);
  for (const auto& type : NumberTypes()) {
    SCOPED_TRACE(type->ToString());
    for (const int64_t length : {0, 1, 63, 64, 65, 1000}) {
      const auto a = RandomArray(type, length, &random);
      const auto b = RandomArray(type, length, &random, /*null_every=*/0);
      const auto batch = MakeBatch({arrow::field("a", type), arrow::field("b", type)}, {a, b});
      const auto values = RandomArray(type, 4, &random, /*null_every=*/0);
      for (const Compare compare : kComparisons) {
        const auto value = cp::literal(values->GetScalar(0).ValueOrDie());
        const auto other = cp::literal(values->GetScalar(1).ValueOrDie());
        ExpectLikeArrow(compare(A(), value), *batch);
        ExpectLikeArrow(compare(value, B()), *batch);
        ExpectLikeArrow(cp::and_(compare(A(), value), cp::less_equal(B(), other)), *batch);
      }
      ExpectLikeArrow(cp::less(A(), cp::literal(arrow::MakeNullScalar(type))), *batch);
    }
  }
}

TEST(RowFilter, KnowsTheEndsOfEachType) {
  const auto check = [](const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
    const auto values = FromJson(type, json);
    const auto batch =
        MakeBatch({arrow::field("a", type), arrow::field("b", type)}, {values, values});
    for (int64_t i = 0; i < values->length(); ++i) {
      const auto value = cp::literal(values->GetScalar(i).ValueOrDie());
      for (const Compare compare : kComparisons) ExpectLikeArrow(compare(A(), value), *batch);
    }
  };
  check(arrow::int8(), "[-128, -127, -1, 0, 1, 126, 127]");
  check(arrow::uint8(), "[0, 1, 127, 128, 254, 255]");
  check(arrow::int64(), "[-9223372036854775808, -1, 0, 1, 9223372036854775807]");
  check(arrow::uint64(), "[0, 1, 9223372036854775808, 18446744073709551615]");
}

TEST(RowFilter, NaNIsInNoRangeAndZeroHasNoSign) {
  const double inf = std::numeric_limits<double>::infinity();
  arrow::DoubleBuilder builder;
  for (const double value : {-inf, -1.0, -0.0, 0.0, 5e-324, 1.0, inf, std::nan("")}) {
    ASSERT_TRUE(builder.Append(value).ok());
  }
  const auto values = builder.Finish().ValueOrDie();
  const auto type = arrow::float64();
  const auto batch =
      MakeBatch({arrow::field("a", type), arrow::field("b", type)}, {values, values});
  for (int64_t i = 0; i < values->length(); ++i) {
    const auto value = cp::literal(values->GetScalar(i).ValueOrDie());
    for (const Compare compare : kComparisons) ExpectLikeArrow(compare(A(), value), *batch);
  }
}

TEST(RowFilter, EvaluatesWhatIsNoRangeOnTopOfWhatIs) {
  testing::Random random(8);
  const auto a = RandomArray(arrow::int32(), 500, &random);
  const auto b = RandomArray(arrow::utf8(), 500, &random);
  const auto batch =
      MakeBatch({arrow::field("a", arrow::int32()), arrow::field("b", arrow::utf8())}, {a, b});
  const auto positive = cp::greater(A(), cp::literal(0));
  const auto text = cp::greater(B(), cp::literal("g"));
  ExpectLikeArrow(cp::and_(positive, text), *batch);
  ExpectLikeArrow(cp::and_(text, cp::and_(positive, cp::is_null(B()))), *batch);
  ExpectLikeArrow(cp::or_(positive, text), *batch);
  ExpectLikeArrow(cp::not_(cp::and_(positive, text)), *batch);
  ExpectLikeArrow(cp::and_(cp::less(A(), cp::literal(std::numeric_limits<int32_t>::min())), text),
                  *batch);
  // Beyond what the column's type can hold.
  ExpectLikeArrow(cp::and_(cp::less(A(), cp::literal(int64_t{1} << 40)), text), *batch);
  ExpectLikeArrow(cp::and_(text, cp::literal(true)), *batch);
  ExpectLikeArrow(cp::and_(positive, cp::literal(false)), *batch);
}

TEST(RangeKernel, GivesTheSameBitsWithAndWithoutWideRegisters) {
  if (!HasAvx2()) return;
  testing::Random random(9);
  std::vector<int64_t> values(1000);
  for (int64_t& value : values) value = static_cast<int64_t>(random() % 100);
  for (const int64_t rows : {0, 1, 64, 100, 1000}) {
    NumberRange range{NumberType::kInt64, 20, 70};
    std::vector<uint64_t> bits(16, ~uint64_t{0});
    std::vector<uint64_t> wide = bits;
    KeepInRange(range, values.data(), rows, bits.data());
    KeepInRangeAvx2(range, values.data(), rows, wide.data());
    for (int64_t i = 0; i < 1024; ++i) {
      const bool expected = i >= rows || (values[static_cast<size_t>(i)] >= 20 &&
                                          values[static_cast<size_t>(i)] <= 70);
      EXPECT_EQ(bits[static_cast<size_t>(i / 64)] >> i % 64 & 1, expected ? 1u : 0u) << i;
    }
    EXPECT_EQ(bits, wide);
  }
}

}  // namespace
}  // namespace marble

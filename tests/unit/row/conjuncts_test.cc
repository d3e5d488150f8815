// Filters taken apart keep what they say.
#include "row/conjuncts.h"

#include <arrow/compute/api_scalar.h>
#include <arrow/compute/exec.h>
#include <gtest/gtest.h>

#include "row/compute.h"
#include "unit/row/row_arrays.h"

namespace marble {
namespace {

namespace cp = arrow::compute;
using testing::FromJson;

cp::Expression Choice(cp::Expression condition, cp::Expression then, cp::Expression other) {
  return cp::call("if_else", {std::move(condition), std::move(then), std::move(other)});
}

/// The rows for which Arrow gives true.
std::vector<int64_t> RowsKept(const cp::Expression& filter, const arrow::RecordBatch& batch) {
  const cp::Expression bound = filter.Bind(*batch.schema()).ValueOrDie();
  const auto answer =
      cp::ExecuteScalarExpression(bound, cp::ExecBatch(batch)).ValueOrDie().make_array();
  const auto& mask = static_cast<const arrow::BooleanArray&>(*answer);
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < mask.length(); ++i) {
    if (mask.IsValid(i) && mask.Value(i)) kept.push_back(i);
  }
  return kept;
}

TEST(AsConjunctionTest, IsTrueOfTheSameRows) {
  ASSERT_TRUE(InitializeCompute().ok());
  const auto schema =
      arrow::schema({arrow::field("a", arrow::boolean()), arrow::field("b", arrow::boolean()),
                     arrow::field("c", arrow::boolean())});
  // All that three columns of true, false and null can be.
  std::vector<std::string> columns(3, "[");
  for (int i = 0; i < 27; ++i) {
    const char* values[] = {"true", "false", "null"};
    const int digits[] = {i % 3, i / 3 % 3, i / 9};
    for (int j = 0; j < 3; ++j) columns[j] += std::string(i == 0 ? "" : ",") + values[digits[j]];
  }
  arrow::ArrayVector arrays;
  for (std::string& column : columns) arrays.push_back(FromJson(arrow::boolean(), column + "]"));
  const auto batch = arrow::RecordBatch::Make(schema, 27, arrays);

  const auto a = cp::field_ref("a");
  const auto b = cp::field_ref("b");
  const auto c = cp::field_ref("c");
  const auto null = cp::literal(arrow::MakeNullScalar(arrow::boolean()));
  const std::vector<cp::Expression> filters = {
      a,
      Choice(a, b, null),
      Choice(a, b, cp::literal(false)),
      Choice(a, b, cp::literal(true)),
      Choice(a, b, c),
      cp::not_(Choice(a, b, null)),
      cp::and_(Choice(a, b, null), c),
      cp::or_(Choice(a, b, null), c),
      cp::call("or", {Choice(a, b, null), c}),
      cp::call("and", {Choice(a, b, null), c}),
      Choice(Choice(a, b, null), Choice(b, c, null), null),
      cp::or_(cp::and_(c, Choice(a, b, null)), cp::not_(Choice(b, c, null))),
  };
  for (const cp::Expression& filter : filters) {
    SCOPED_TRACE(filter.ToString());
    EXPECT_EQ(RowsKept(AsConjunction(filter), *batch), RowsKept(filter, *batch));
  }
}

TEST(AsConjunctionTest, ShowsTheSetThatDuckDbHides) {
  const auto id = cp::field_ref("id");
  const auto values = FromJson(arrow::int64(), "[3, 5]");
  const auto is_in = cp::call("is_in", {id}, cp::SetLookupOptions(values));
  const auto null = cp::literal(arrow::MakeNullScalar(arrow::boolean()));
  const auto terms = Conjuncts(AsConjunction(Choice(cp::is_valid(id), is_in, null)));
  ASSERT_EQ(terms.size(), 2u);
  EXPECT_EQ(terms[1].ToString(), is_in.ToString());
}

}  // namespace
}  // namespace marble

// What can be read off a filter without evaluating it: the terms that all must be true, and of each
// whether it compares a column with a value. Pure functions of bound expressions.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <arrow/compute/expression.h>
#include <arrow/scalar.h>

namespace marble {

enum class Comparison { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

/// `column` comparison `value`. The value may be null: then it is true of no row.
struct ColumnComparison {
  Comparison comparison = Comparison::kEqual;
  int column = 0;  // top-level, of the schema that the expression is bound to
  /// The type that the column is cast to before; nullptr if it is not.
  const arrow::DataType* cast_to = nullptr;
  std::shared_ptr<arrow::Scalar> value;
};

/// A filter that is true of the same rows, in which if_else(c, x, null) is "c and x": DuckDB writes
/// IN that way, and what can be read off an "and" is hidden in it. `filter` need not be bound; the
/// result is not.
arrow::compute::Expression AsConjunction(const arrow::compute::Expression& filter);

/// The terms of `filter` that all must be true: itself, unless it is an "and".
std::vector<arrow::compute::Expression> Conjuncts(const arrow::compute::Expression& filter);

/// The top-level column that `expression` is, perhaps under a cast (`cast_to` receives its type,
/// else nullptr); nullopt if it is anything else.
std::optional<int> ColumnOf(const arrow::compute::Expression& expression,
                            const arrow::DataType** cast_to);

/// nullopt if `term` is anything else.
std::optional<ColumnComparison> AsComparison(const arrow::compute::Expression& term);

/// Are both integers, or both floats, and does a cast keep every value apart and in order?
bool IsWideningOfNumbers(const arrow::DataType& from, const arrow::DataType& to);

/// Does it give the same each time it is evaluated? ("random" does not.) `expression` is bound.
bool IsPure(const arrow::compute::Expression& expression);

/// The comparison that is true where this one is false (and nothing is null or NaN).
Comparison Negated(Comparison comparison);

}  // namespace marble

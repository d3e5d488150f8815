#include "row/conjuncts.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <arrow/compute/function.h>
#include <arrow/datum.h>
#include <arrow/type_traits.h>

namespace marble {

namespace {

using arrow::compute::Expression;

std::optional<Comparison> ComparisonNamed(std::string_view function) {
  if (function == "equal") return Comparison::kEqual;
  if (function == "not_equal") return Comparison::kNotEqual;
  if (function == "less") return Comparison::kLess;
  if (function == "less_equal") return Comparison::kLessEqual;
  if (function == "greater") return Comparison::kGreater;
  if (function == "greater_equal") return Comparison::kGreaterEqual;
  return std::nullopt;
}

/// value < column is column > value.
Comparison Mirrored(Comparison comparison) {
  switch (comparison) {
    case Comparison::kLess:
      return Comparison::kGreater;
    case Comparison::kLessEqual:
      return Comparison::kGreaterEqual;
    case Comparison::kGreater:
      return Comparison::kLess;
    case Comparison::kGreaterEqual:
      return Comparison::kLessEqual;
    default:
      return comparison;
  }
}

void CollectConjuncts(const Expression& filter, std::vector<Expression>* terms) {
  const Expression::Call* call = filter.call();
  // A row passes where the whole is true; there both kinds of "and" agree.
  if (call != nullptr && (call->function_name == "and_kleene" || call->function_name == "and")) {
    for (const Expression& argument : call->arguments) CollectConjuncts(argument, terms);
    return;
  }
  terms->push_back(filter);
}

/// null or false: as a filter, neither is ever true.
bool IsNeverTrue(const Expression& expression) {
  const arrow::Datum* literal = expression.literal();
  if (literal == nullptr || !literal->is_scalar()) return false;
  const arrow::Scalar& scalar = *literal->scalar();
  if (scalar.type->id() != arrow::Type::BOOL) return false;
  return !scalar.is_valid || !static_cast<const arrow::BooleanScalar&>(scalar).value;
}

}  // namespace

Expression AsConjunction(const Expression& filter) {
  const Expression::Call* call = filter.call();
  if (call == nullptr) return filter;
  const std::string& name = call->function_name;
  const std::vector<Expression>& arguments = call->arguments;
  if (name == "if_else" && arguments.size() == 3 && IsNeverTrue(arguments[2])) {
    return arrow::compute::and_(AsConjunction(arguments[0]), AsConjunction(arguments[1]));
  }
  // A row passes where the whole is true, so null and false may be exchanged in both.
  const bool is_and = name == "and_kleene" || name == "and";
  if (!is_and && name != "or_kleene") return filter;
  std::vector<Expression> terms;
  for (const Expression& argument : arguments) terms.push_back(AsConjunction(argument));
  return is_and ? arrow::compute::and_(std::move(terms)) : arrow::compute::or_(std::move(terms));
}

std::vector<Expression> Conjuncts(const Expression& filter) {
  std::vector<Expression> terms;
  CollectConjuncts(filter, &terms);
  return terms;
}

std::optional<int> ColumnOf(const Expression& expression, const arrow::DataType** cast_to) {
  *cast_to = nullptr;
  const Expression* inner = &expression;
  const Expression::Call* call = expression.call();
  if (call != nullptr && call->function_name == "cast" && call->arguments.size() == 1) {
    *cast_to = expression.type();
    inner = &call->arguments[0];
  }
  const Expression::Parameter* parameter = inner->parameter();
  if (parameter == nullptr || parameter->indices.size() != 1) return std::nullopt;
  return parameter->indices[0];
}

std::optional<ColumnComparison> AsComparison(const Expression& term) {
  const Expression::Call* call = term.call();
  if (call == nullptr || call->arguments.size() != 2) return std::nullopt;
  const auto comparison = ComparisonNamed(call->function_name);
  if (!comparison.has_value()) return std::nullopt;
  for (const bool mirrored : {false, true}) {
    ColumnComparison found;
    const auto column = ColumnOf(call->arguments[mirrored ? 1 : 0], &found.cast_to);
    const arrow::Datum* value = call->arguments[mirrored ? 0 : 1].literal();
    if (!column.has_value() || value == nullptr || !value->is_scalar()) continue;
    found.comparison = mirrored ? Mirrored(*comparison) : *comparison;
    found.column = *column;
    found.value = value->scalar();
    return found;
  }
  return std::nullopt;
}

bool IsWideningOfNumbers(const arrow::DataType& from, const arrow::DataType& to) {
  if (arrow::is_floating(from.id()) && arrow::is_floating(to.id())) {
    return to.bit_width() >= from.bit_width();
  }
  if (!arrow::is_integer(from.id()) || !arrow::is_integer(to.id())) return false;
  if (arrow::is_signed_integer(from.id()) == arrow::is_signed_integer(to.id())) {
    return to.bit_width() >= from.bit_width();
  }
  return arrow::is_signed_integer(to.id()) && to.bit_width() > from.bit_width();
}

bool IsPure(const Expression& expression) {
  const Expression::Call* call = expression.call();
  if (call == nullptr) return true;
  return call->function->is_pure() && std::ranges::all_of(call->arguments, IsPure);
}

Comparison Negated(Comparison comparison) {
  switch (comparison) {
    case Comparison::kEqual:
      return Comparison::kNotEqual;
    case Comparison::kNotEqual:
      return Comparison::kEqual;
    case Comparison::kLess:
      return Comparison::kGreaterEqual;
    case Comparison::kLessEqual:
      return Comparison::kGreater;
    case Comparison::kGreater:
      return Comparison::kLessEqual;
    case Comparison::kGreaterEqual:
      return Comparison::kLess;
  }
  return comparison;
}

}  // namespace marble

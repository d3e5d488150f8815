// The filter is rewritten into one over the zone maps, which is true or null for a block that may
// hold rows for which the filter is true: "a < 5" becomes "a.min < 5". Then Arrow evaluates it for
// all blocks at once.
#include "sst/zone_filter.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <arrow/array.h>
#include <arrow/compute/api_scalar.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/exec.h>
#include <arrow/datum.h>
#include <arrow/scalar.h>

#include "row/conjuncts.h"
#include "sst/zone_map.h"

namespace marble {

namespace {

namespace compute = arrow::compute;
using compute::Expression;

/// Values of a set that are compared one by one.
constexpr int64_t kSetValuesMax = 64;

/// Does the cast keep the order, and give the same value to no two that a comparison tells apart?
bool IsWidening(const arrow::DataType& from, const arrow::DataType& to) {
  if (IsWideningOfNumbers(from, to)) return true;
  return arrow::is_integer(from.id()) && to.id() == arrow::Type::DOUBLE && from.bit_width() <= 32;
}

bool IsNaN(const arrow::Scalar& value) {
  if (!value.is_valid) return false;
  switch (value.type->id()) {
    case arrow::Type::FLOAT:
      return std::isnan(static_cast<const arrow::FloatScalar&>(value).value);
    case arrow::Type::DOUBLE:
      return std::isnan(static_cast<const arrow::DoubleScalar&>(value).value);
    // Arrow 26 compares no half floats.
    default:
      return false;
  }
}

class Rewriter {
 public:
  Rewriter(const StoredSchema& schema, std::shared_ptr<arrow::Schema> zones)
      : schema_(schema), zones_(std::move(zones)) {}

  /// nullopt: it may be true of any block.
  std::optional<Expression> Rewrite(const Expression& term) const {
    const Expression::Call* call = term.call();
    if (call == nullptr) return std::nullopt;
    const std::string& name = call->function_name;
    if (name == "and_kleene" || name == "and") return RewriteAnd(*call);
    if (name == "or_kleene" || name == "or") return RewriteOr(*call);
    if (name == "invert") return RewriteNot(call->arguments[0]);
    if (name == "is_null") return Checked(RewriteIsNull(*call));
    if (name == "is_in") return Checked(RewriteIsIn(*call));
    if (const auto comparison = AsComparison(term)) return Checked(RewriteComparison(*comparison));
    return std::nullopt;
  }

 private:
  std::optional<Expression> RewriteAnd(const Expression::Call& call) const {
    std::optional<Expression> all;
    for (const Expression& argument : call.arguments) {
      auto one = Rewrite(argument);
      if (!one.has_value()) continue;
      all = all.has_value() ? compute::and_(*std::move(all), *std::move(one)) : *std::move(one);
    }
    return all;
  }

  std::optional<Expression> RewriteOr(const Expression::Call& call) const {
    std::optional<Expression> any;
    for (const Expression& argument : call.arguments) {
      auto one = Rewrite(argument);
      if (!one.has_value()) return std::nullopt;
      any = any.has_value() ? compute::or_(*std::move(any), *std::move(one)) : *std::move(one);
    }
    return any;
  }

  std::optional<Expression> RewriteNot(const Expression& argument) const {
    auto comparison = AsComparison(argument);
    if (!comparison.has_value() || IsNaN(*comparison->value)) return std::nullopt;
    // Of nulls neither is true, and blocks with NaN have no minimum.
    comparison->comparison = Negated(comparison->comparison);
    return Checked(RewriteComparison(*comparison));
  }

  std::optional<Expression> RewriteIsNull(const Expression::Call& call) const {
    const arrow::DataType* cast_to = nullptr;
    const auto column = ColumnOf(call.arguments[0], &cast_to);
    const auto* options = static_cast<const compute::NullOptions*>(call.options.get());
    if (!column.has_value() || cast_to != nullptr) return std::nullopt;
    if (options != nullptr && options->nan_is_null) return std::nullopt;
    // What is stored as something else may have nulls inside its values as well.
    if (!StoredType(*column)->Equals(*UserType(*column))) return std::nullopt;
    return compute::greater(Bound(*column, 2), compute::literal(int64_t{0}));
  }

  std::optional<Expression> RewriteIsIn(const Expression::Call& call) const {
    const auto* options = static_cast<const compute::SetLookupOptions*>(call.options.get());
    if (options == nullptr || !options->value_set.is_array()) return std::nullopt;
    ColumnComparison equal;
    const auto column = ColumnOf(call.arguments[0], &equal.cast_to);
    if (!column.has_value() || options->value_set.length() > kSetValuesMax) return std::nullopt;
    equal.column = *column;
    // Rows are looked up in the set as a set of their own type.
    const auto cast = compute::Cast(*options->value_set.make_array(),
                                    arrow::TypeHolder(call.arguments[0].type()));
    if (!cast.ok() || (*cast)->null_count() > 0) return std::nullopt;
    const auto& values = *cast;
    std::optional<Expression> any = compute::literal(false);
    for (int64_t i = 0; i < values->length(); ++i) {
      auto value = values->GetScalar(i);
      if (!value.ok()) return std::nullopt;
      equal.value = *std::move(value);
      auto one = RewriteComparison(equal);
      if (!one.has_value()) return std::nullopt;
      any = compute::or_(*std::move(any), *std::move(one));
    }
    return any;
  }

  std::optional<Expression> RewriteComparison(const ColumnComparison& comparison) const {
    const arrow::DataType& stored = *StoredType(comparison.column);
    const arrow::DataType& compared =
        comparison.cast_to != nullptr ? *comparison.cast_to : *UserType(comparison.column);
    if (!comparison.value->is_valid) return compute::literal(false);
    if (!compared.Equals(stored) && !IsWidening(stored, compared)) return std::nullopt;
    const Expression value = compute::literal(comparison.value);
    const Expression min = Bound(comparison.column, 0);
    const Expression max = Bound(comparison.column, 1);
    switch (comparison.comparison) {
      case Comparison::kLess:
        return compute::less(min, value);
      case Comparison::kLessEqual:
        return compute::less_equal(min, value);
      case Comparison::kGreater:
        return compute::greater(max, value);
      case Comparison::kGreaterEqual:
        return compute::greater_equal(max, value);
      case Comparison::kEqual:
        return compute::and_(compute::less_equal(min, value), compute::greater_equal(max, value));
      case Comparison::kNotEqual:
        // A bound that was cut is not the value: minima get shorter, maxima greater.
        return compute::or_(compute::not_equal(min, value), compute::not_equal(max, value));
    }
    return std::nullopt;
  }

  /// Types that Arrow does not compare tell nothing.
  std::optional<Expression> Checked(std::optional<Expression> term) const {
    if (term.has_value() && !term->Bind(*zones_).ok()) return std::nullopt;
    return term;
  }

  const std::shared_ptr<arrow::DataType>& StoredType(int column) const {
    return schema_.stored_schema()->field(column)->type();
  }
  const std::shared_ptr<arrow::DataType>& UserType(int column) const {
    return schema_.user_schema()->field(column)->type();
  }
  /// 0 the minimum, 1 the maximum, 2 the number of nulls.
  static Expression Bound(int column, int which) {
    return compute::field_ref(arrow::FieldRef(3 * column + which));
  }

  const StoredSchema& schema_;
  const std::shared_ptr<arrow::Schema> zones_;
};

}  // namespace

std::shared_ptr<const ZoneFilter> ZoneFilter::Make(const StoredSchema& schema,
                                                   const Expression& filter) {
  auto made = std::make_shared<ZoneFilter>();
  made->schema_ = ZoneMapSchema(*schema.stored_schema());
  const auto rewritten = Rewriter(schema, made->schema_).Rewrite(filter);
  if (!rewritten.has_value()) return nullptr;
  auto bound = rewritten->Bind(*made->schema_);
  if (!bound.ok()) return nullptr;
  made->may_keep_ = *std::move(bound);
  return made;
}

std::vector<bool> ZoneFilter::MayKeep(const std::shared_ptr<arrow::RecordBatch>& zones) const {
  std::vector<bool> keep(static_cast<size_t>(zones->num_rows()), true);
  if (!zones->schema()->Equals(*schema_, /*check_metadata=*/false)) return keep;
  const auto evaluated = compute::ExecuteScalarExpression(may_keep_, compute::ExecBatch(*zones));
  // Bounds that cannot be compared tell nothing; whether the rows can is for the filter to say.
  if (!evaluated.ok()) return keep;
  const arrow::Datum& answer = *evaluated;
  if (answer.is_scalar()) {
    const auto& all = answer.scalar_as<arrow::BooleanScalar>();
    keep.assign(keep.size(), !all.is_valid || all.value);
    return keep;
  }
  const auto mask = answer.array_as<arrow::BooleanArray>();
  for (int64_t i = 0; i < mask->length(); ++i) {
    keep[static_cast<size_t>(i)] = mask->IsNull(i) || mask->Value(i);
  }
  return keep;
}

}  // namespace marble

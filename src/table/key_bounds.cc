#include "table/key_bounds.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <arrow/compute/api_aggregate.h>
#include <arrow/compute/api_scalar.h>
#include <arrow/compute/cast.h>
#include <arrow/scalar.h>
#include <arrow/util/checked_cast.h>

#include "row/conjuncts.h"
#include "row/key_encoding.h"

namespace marble {
namespace {

namespace compute = arrow::compute;
using arrow::internal::checked_cast;
using compute::Expression;

EncodedRange Nothing() { return {.lower = "", .upper = ""}; }

/// The smallest range around both.
EncodedRange Hull(EncodedRange a, EncodedRange b) {
  if (a.IsEmpty()) return b;
  if (b.IsEmpty()) return a;
  a.lower = std::min(a.lower, b.lower);
  a.upper = a.upper.has_value() && b.upper.has_value() ? std::max(a.upper, b.upper) : std::nullopt;
  return a;
}

bool IsTimestamp(const arrow::DataType& type) { return type.id() == arrow::Type::TIMESTAMP; }

bool IsBytes(const arrow::DataType& type) {
  return arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id());
}

/// Does a cast give each value of `from` another value of `to`, in the same order?
bool CastKeepsOrder(const arrow::DataType& from, const arrow::DataType& to) {
  if (IsWideningOfNumbers(from, to)) return true;
  if (IsBytes(from) && IsBytes(to)) return true;
  if (IsTimestamp(from) && IsTimestamp(to)) {
    const auto& fine = checked_cast<const arrow::TimestampType&>(to);
    const auto& coarse = checked_cast<const arrow::TimestampType&>(from);
    return fine.unit() >= coarse.unit() && fine.timezone() == coarse.timezone();
  }
  if (arrow::is_decimal(from.id()) && arrow::is_decimal(to.id())) {
    const auto& narrow = checked_cast<const arrow::DecimalType&>(from);
    const auto& wide = checked_cast<const arrow::DecimalType&>(to);
    return wide.scale() >= narrow.scale() &&
           wide.precision() - wide.scale() >= narrow.precision() - narrow.scale();
  }
  if (from.id() == arrow::Type::DICTIONARY) {
    const auto& values = checked_cast<const arrow::DictionaryType&>(from).value_type();
    return values->Equals(to) || (IsBytes(*values) && IsBytes(to));
  }
  return false;
}

class BoundsFinder {
 public:
  explicit BoundsFinder(const StoredSchema& schema)
      : schema_(*schema.user_schema()), codec_(*schema.codec()) {}

  EncodedRange Of(const Expression& filter) const {
    if (const arrow::Datum* literal = filter.literal()) return OfLiteral(*literal);
    const Expression::Call* call = filter.call();
    if (call == nullptr) return {};
    const std::string& name = call->function_name;
    if (name == "is_in") return OfSet(*call);
    if (call->arguments.size() != 2) return {};
    const Expression& left = call->arguments[0];
    const Expression& right = call->arguments[1];
    if (name == "and_kleene" || name == "and") return Intersection(Of(left), Of(right));
    if (name == "or_kleene" || name == "or") return Hull(Of(left), Of(right));
    const auto term = AsComparison(filter);
    if (!term.has_value() || !IsKey(term->column, term->cast_to)) return {};
    if (MayWrap(left) || MayWrap(right)) return {};
    return Compared(term->comparison, term->value);
  }

 private:
  static EncodedRange OfLiteral(const arrow::Datum& literal) {
    if (!literal.is_scalar()) return {};
    const arrow::Scalar& scalar = *literal.scalar();
    if (!scalar.is_valid) return Nothing();
    if (scalar.type->id() != arrow::Type::BOOL) return {};
    return checked_cast<const arrow::BooleanScalar&>(scalar).value ? EncodedRange{} : Nothing();
  }

  /// Is it the first key column, or a cast of it that compares like it?
  bool IsKey(int column, const arrow::DataType* cast_to) const {
    return column == codec_.columns()[0] &&
           (cast_to == nullptr || CastKeepsOrder(*schema_.field(column)->type(), *cast_to));
  }

  /// A cast of times that do not fit may give any.
  static bool MayWrap(const Expression& expression) {
    const Expression::Call* call = expression.call();
    if (call == nullptr) return false;
    const auto* options = dynamic_cast<const compute::CastOptions*>(call->options.get());
    return options != nullptr && options->allow_time_overflow;
  }

  /// The bytes before all keys whose first column is `value` and behind those with a smaller one;
  /// nullopt if the column has no such value.
  std::optional<std::string> Encode(const std::shared_ptr<arrow::Scalar>& value) const {
    auto encoded = codec_.EncodeBound({value});
    if (!encoded.ok()) return std::nullopt;
    return *std::move(encoded);
  }

  /// The bytes behind all keys whose first column is encoded as `key` and before those with a
  /// larger one; nullopt if there are none.
  std::optional<std::string> Behind(std::string key) const {
    if (codec_.is_single_binary()) return Successor(key);
    while (!key.empty() && key.back() == '\xFF') key.pop_back();
    if (key.empty()) return std::nullopt;
    ++key.back();
    return key;
  }

  EncodedRange From(std::optional<std::string> lower) const {
    return lower.has_value() ? EncodedRange{.lower = *std::move(lower), .upper = std::nullopt}
                             : Nothing();
  }

  EncodedRange Compared(Comparison comparison, const std::shared_ptr<arrow::Scalar>& value) const {
    if (!value->is_valid) return Nothing();
    const std::optional<std::string> key = Encode(value);
    if (!key.has_value()) return {};
    switch (comparison) {
      case Comparison::kEqual:
        return {.lower = *key, .upper = Behind(*key)};
      case Comparison::kLess:
        return {.lower = "", .upper = *key};
      case Comparison::kLessEqual:
        return {.lower = "", .upper = Behind(*key)};
      case Comparison::kGreater:
        return From(Behind(*key));
      case Comparison::kGreaterEqual:
        return From(*key);
      case Comparison::kNotEqual:
        return {};
    }
    return {};
  }

  EncodedRange OfSet(const Expression::Call& call) const {
    const auto* options = dynamic_cast<const compute::SetLookupOptions*>(call.options.get());
    if (options == nullptr || call.arguments.size() != 1 || MayWrap(call.arguments[0])) return {};
    const arrow::DataType* cast_to = nullptr;
    const auto column = ColumnOf(call.arguments[0], &cast_to);
    if (!column.has_value() || !IsKey(*column, cast_to)) return {};
    const arrow::Datum& values = options->value_set;
    // The smallest and the largest float leave out NaN, which may be in the set.
    if (!values.is_arraylike() || arrow::is_floating(values.type()->id())) return {};
    const auto ends = compute::MinMax(values);
    if (!ends.ok()) return {};
    const auto& scalars = checked_cast<const arrow::StructScalar&>(*ends->scalar()).value;
    if (!scalars[0]->is_valid) return Nothing();
    return Intersection(Compared(Comparison::kGreaterEqual, scalars[0]),
                        Compared(Comparison::kLessEqual, scalars[1]));
  }

  const arrow::Schema& schema_;
  const KeyCodec& codec_;
};

}  // namespace

EncodedRange KeyBoundsOf(const Expression& filter, const StoredSchema& schema) {
  if (schema.is_append()) return {};
  return BoundsFinder(schema).Of(filter);
}

}  // namespace marble

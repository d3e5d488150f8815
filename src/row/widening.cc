#include "row/widening.h"

#include <arrow/compute/cast.h>

#include "row/conjuncts.h"

namespace marble {
namespace {

bool IsFloatForIntegers(const arrow::DataType& from, const arrow::DataType& to) {
  if (!arrow::is_integer(from.id())) return false;
  if (to.id() == arrow::Type::DOUBLE) return from.byte_width() <= 4;
  return to.id() == arrow::Type::FLOAT && from.byte_width() <= 2;
}

}  // namespace

bool IsWidening(const arrow::DataType& from, const arrow::DataType& to) {
  if (from.id() == arrow::Type::STRING) return to.id() == arrow::Type::LARGE_STRING;
  if (from.id() == arrow::Type::BINARY) return to.id() == arrow::Type::LARGE_BINARY;
  return (from.id() != to.id() && IsWideningOfNumbers(from, to)) || IsFloatForIntegers(from, to) ||
         (from.id() == to.id() && !from.Equals(to) && HoldsDecimals(from, to));
}

bool HoldsDecimals(const arrow::DataType& from, const arrow::DataType& to) {
  if (!arrow::is_decimal(from.id()) || !arrow::is_decimal(to.id())) return false;
  const auto& narrow = static_cast<const arrow::DecimalType&>(from);
  const auto& wide = static_cast<const arrow::DecimalType&>(to);
  return wide.scale() >= narrow.scale() &&
         wide.precision() - wide.scale() >= narrow.precision() - narrow.scale();
}

arrow::Result<std::shared_ptr<arrow::Array>> Widened(const std::shared_ptr<arrow::Array>& array,
                                                     const std::shared_ptr<arrow::DataType>& type,
                                                     arrow::MemoryPool* pool) {
  arrow::compute::ExecContext context(pool, /*executor=*/nullptr);
  return arrow::compute::Cast(*array, type, arrow::compute::CastOptions::Safe(), &context);
}

}  // namespace marble

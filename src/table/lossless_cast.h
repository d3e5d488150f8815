// Which columns of a file can become columns of a table without losing anything, and how. Pure
// functions.
#pragma once

#include <memory>

#include <arrow/array.h>
#include <arrow/result.h>
#include <arrow/type.h>

namespace marble {

/// Can every value of `from` be kept in `to`, or is it clear for each value whether it can? (UTF-8
/// in binary columns and times of a finer unit are of the latter kind: CastLossless refuses values
/// that cannot.)
bool IsLossless(const arrow::DataType& from, const arrow::DataType& to);

/// `array`, valid, as an array of type `to`, for types with IsLossless. As it is if the types are
/// equal.
arrow::Result<std::shared_ptr<arrow::Array>> CastLossless(
    const std::shared_ptr<arrow::Array>& array, const std::shared_ptr<arrow::DataType>& to);

}  // namespace marble

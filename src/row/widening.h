// Which types a column may change into: those that hold every value it can have, in the same order;
// and the change. Pure.
#pragma once

#include <memory>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>
#include <arrow/type.h>

namespace marble {

/// Both are stored types that differ, and `to` holds all values of `from`: a wider integer or
/// float, a float that holds every integer of the type, a decimal with as many digits before and
/// behind the point or more, large_utf8 for utf8, large_binary for binary. Casting keeps order.
bool IsWidening(const arrow::DataType& from, const arrow::DataType& to);

/// Are both decimals, of whatever width, and has `to` as many digits on both sides of the point?
bool HoldsDecimals(const arrow::DataType& from, const arrow::DataType& to);

/// The same values in the wider type.
arrow::Result<std::shared_ptr<arrow::Array>> Widened(const std::shared_ptr<arrow::Array>& array,
                                                     const std::shared_ptr<arrow::DataType>& type,
                                                     arrow::MemoryPool* pool);

}  // namespace marble

// Rebuilding nested types and arrays with other children. Internal to the row layer; no state.
#pragma once

#include <functional>
#include <memory>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>
#include <arrow/type.h>

namespace marble {

/// `type` (list, list_view, fixed_size_list, struct or map) over other child fields; views become
/// the large_list of the same elements.
arrow::Result<std::shared_ptr<arrow::DataType>> TypeWithChildren(const arrow::DataType& type,
                                                                 const arrow::FieldVector& fields);

using ChildConversion = std::function<arrow::Result<std::shared_ptr<arrow::Array>>(
    const std::shared_ptr<arrow::Array>& child, const std::shared_ptr<arrow::DataType>& type)>;

/// `array` (of an equal type, or a list, fixed_size_list, struct or map) as `type`, which has the
/// same layout, with each child converted to the type of its field there. Of the children only what
/// the array's rows have is converted: of a slice no more than the slice.
arrow::Result<std::shared_ptr<arrow::Array>> WithConvertedChildren(
    const arrow::Array& array, const std::shared_ptr<arrow::DataType>& type,
    const ChildConversion& convert, arrow::MemoryPool* pool);

}  // namespace marble

// The few of Arrow's compute kernels that the engine calls itself. Arrow 26 keeps most kernels in a
// library of their own, which must be told to register them.
#pragma once

#include <memory>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>

namespace marble {

/// Registers Arrow's compute kernels. Thread-safe; the first call does the work.
arrow::Status InitializeCompute();

/// values[indices[i]] for each i, null where the index is null. Indices must be in bounds.
arrow::Result<std::shared_ptr<arrow::Array>> TakeRows(const std::shared_ptr<arrow::Array>& values,
                                                      const std::shared_ptr<arrow::Array>& indices,
                                                      arrow::MemoryPool* pool);

/// The distinct values of `values` and, per row, an int32 index into them.
arrow::Result<std::shared_ptr<arrow::DictionaryArray>> EncodeDictionary(
    const std::shared_ptr<arrow::Array>& values, arrow::MemoryPool* pool);

}  // namespace marble

// The user's types and the stored ones: which becomes which, and arrays both ways. See
// stored_schema.h for the list. Internal to the row layer; no state.
#pragma once

#include <memory>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>
#include <arrow/type.h>

namespace marble {

/// The type in which values of `type` are stored; `type` itself if nothing in it changes. TypeError
/// (without a column name) for unions and others that cannot be stored.
arrow::Result<std::shared_ptr<arrow::DataType>> StoredType(
    const std::shared_ptr<arrow::DataType>& type);

/// TypeError that names the column if it is, or holds, an ordered dictionary: the order of its
/// values would be lost; or if one value is larger by its type than a row may be. For columns that
/// are new; tables that have such ones go on as they were.
arrow::Status CheckNewColumn(const arrow::Field& field);

/// `array` as `stored_type`, which is StoredType of its type. The array itself if the types are
/// equal. The array must be valid (ValidateFull).
arrow::Result<std::shared_ptr<arrow::Array>> ToStoredArray(
    const std::shared_ptr<arrow::Array>& array, const std::shared_ptr<arrow::DataType>& stored_type,
    arrow::MemoryPool* pool);

/// The inverse. CapacityError if a batch has more distinct values than the dictionary's index type
/// can number, or more rows than its run ends can.
arrow::Result<std::shared_ptr<arrow::Array>> ToUserArray(
    const std::shared_ptr<arrow::Array>& array, const std::shared_ptr<arrow::DataType>& user_type,
    arrow::MemoryPool* pool);

}  // namespace marble

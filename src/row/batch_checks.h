// Checks of stored columns that Arrow's validation does not make, and the values of tombstone rows.
// Internal to the row layer; pure functions.
#pragma once

#include <memory>
#include <string>

#include <arrow/array.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/type.h>

namespace marble {

/// Refuses nulls where `field`, or a field inside its type, is not nullable. `what` begins the
/// message, e.g. "key column"; the path of the field follows.
arrow::Status CheckNoForbiddenNulls(const std::shared_ptr<arrow::Array>& array,
                                    const arrow::Field& field, const std::string& what);

/// Refuses a row of more than `limit` bytes, by number.
arrow::Status CheckRowBytes(const std::shared_ptr<arrow::RecordBatch>& batch, int64_t limit);

/// A float column with -0.0 as 0.0 and every NaN as one; other columns, and columns that need no
/// change, as they are.
arrow::Result<std::shared_ptr<arrow::Array>> CanonicalKeyColumn(
    const std::shared_ptr<arrow::Array>& array, arrow::MemoryPool* pool);

/// `length` nulls if the field is nullable, else zeros and empty values (nested: likewise by child
/// field).
arrow::Result<std::shared_ptr<arrow::Array>> MakeDefaults(const arrow::Field& field, int64_t length,
                                                          arrow::MemoryPool* pool);

}  // namespace marble

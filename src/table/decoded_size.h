// How large the rows of a batch from outside may become when their types are stored: a few bytes of
// a dictionary's index, of a view or of a long run may stand for any number of them.
#pragma once

#include <cstdint>

#include <arrow/record_batch.h>

namespace marble {

/// An upper bound of the bytes of one row, stored; 0 if no column has a type that shares values
/// among rows, so that the batch is as large as it looks. The batch must be valid.
int64_t StoredRowBytesMax(const arrow::RecordBatch& batch);

}  // namespace marble

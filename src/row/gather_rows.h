// Gathering whole row batches: what Gather (batch_ops.h) does for columns, for keys, sequences and
// kinds as well. Pure functions.
#pragma once

#include <cstdint>
#include <span>

#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include "row/gather.h"
#include "row/row_batch.h"

namespace marble {

/// Keys of the rows of a selection without descending slices; none if a source has none.
arrow::Result<EncodedKeys> GatherKeys(std::span<const RowBatch> sources,
                                      const RowSelection& selection, arrow::MemoryPool* pool);

/// Sets sequences, kinds and the owner of `out` to those of the rows of `selection`, which has no
/// descending slices.
arrow::Status GatherVersions(std::span<const RowBatch> sources, const RowSelection& selection,
                             arrow::MemoryPool* pool, RowBatch* out);

/// The rows of ascending slices of one batch (their source is 0).
arrow::Result<RowBatch> GatherOf(const RowBatch& batch, std::span<const RowSlice> slices,
                                 arrow::MemoryPool* pool);

}  // namespace marble

// Row movement: sorting, gathering, copying and serializing whole record batches of stored types
// (stored_schema.h), with kernels of our own for each physical layout (gather.h). Pure functions;
// no state.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include "base/helper_threads.h"
#include "row/key_encoding.h"
#include "row/row_batch.h"
#include "row/row_list.h"

namespace marble {

class RowSelection;

/// One batch of the rows of `selection`, in order. All sources have `schema`. A single ascending
/// slice is returned without a copy. Memory comes from `pool`. `helpers` gather some of the
/// columns, unless they are nullptr. TypeError for columns that are not of a stored type,
/// CapacityError where 32-bit offsets do not reach; both name the column.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> Gather(
    const std::shared_ptr<arrow::Schema>& schema,
    std::span<const std::shared_ptr<arrow::RecordBatch>> sources, const RowSelection& selection,
    arrow::MemoryPool* pool, Helpers* helpers = nullptr);
/// The same of the rows of `slices`.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> Gather(
    const std::shared_ptr<arrow::Schema>& schema,
    std::span<const std::shared_ptr<arrow::RecordBatch>> sources, std::span<const RowSlice> slices,
    arrow::MemoryPool* pool);

/// A batch that somebody else keeps: as a source of Gather it is not counted as used, which would
/// wait for it to come from memory.
inline std::shared_ptr<arrow::RecordBatch> Borrowed(
    const std::shared_ptr<arrow::RecordBatch>& batch) {
  return {std::shared_ptr<arrow::RecordBatch>(), batch.get()};
}
std::shared_ptr<arrow::RecordBatch> Borrowed(std::shared_ptr<arrow::RecordBatch>&&) = delete;

/// A batch sorted by key with one row per key.
struct SortedRows {
  std::shared_ptr<arrow::RecordBatch> columns;
  EncodedKeys keys;
};

/// Sorts `batch` by `keys` (row i has keys[i]); of equal keys the last row stays. Always a copy
/// into memory of `pool` (never a reference to the caller's buffers), even if already sorted. Of
/// many rows `helpers` gather some of the columns, unless they are nullptr.
arrow::Result<SortedRows> SortByKey(const std::shared_ptr<arrow::RecordBatch>& batch,
                                    const EncodedKeys& keys, const KeyCodec& codec,
                                    arrow::MemoryPool* pool, Helpers* helpers = nullptr);

/// A deep copy into `pool` with every buffer cut to the rows of the batch.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> CopyBatch(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool);

/// The columns `wanted` of a batch that holds the columns `held`, in the order of `wanted`. Zero
/// columns keep the row count.
std::shared_ptr<arrow::RecordBatch> SelectColumns(const arrow::RecordBatch& batch,
                                                  const std::vector<int>& held,
                                                  const std::vector<int>& wanted);

/// A sum of counts of bytes, kBytesMax if it is more. (Lists of elements without bytes, nulls or
/// structs without fields, can be of any length.)
inline constexpr int64_t kBytesMax = int64_t{1} << 48;
inline int64_t SumOfBytes(int64_t a, int64_t b) {
  return std::min(std::min(a, kBytesMax) + std::min(b, kBytesMax), kBytesMax);
}
/// Bytes that the physical rows [offset, offset + length) of `data` occupy. An element of a list
/// counts as one byte at least: what bounds bytes bounds elements, which offsets count.
int64_t ColumnBytes(const arrow::ArrayData& data, int64_t offset, int64_t length);
/// Bytes that the rows of `batch` occupy (slices count only their rows).
int64_t BatchBytes(const arrow::RecordBatch& batch);
/// What a batch of so many columns takes beside that, about: itself, its arrays and their buffers.
constexpr int64_t BatchOverhead(int64_t columns) { return 512 + 384 * columns; }

/// A record batch as one IPC message (metadata and body, no schema) for the log, in pieces that
/// follow each other; they share the batch's buffers. The body begins at a multiple of 64 bytes,
/// and so do the buffers in it.
arrow::Result<arrow::BufferVector> SerializeBatch(const arrow::RecordBatch& batch,
                                                  arrow::MemoryPool* pool);
/// Inverse, of the bytes in one piece; checks with ValidateFull. `bytes` must outlive the batch
/// (which refers to it).
arrow::Result<std::shared_ptr<arrow::RecordBatch>> DeserializeBatch(
    const std::shared_ptr<arrow::Buffer>& bytes, const std::shared_ptr<arrow::Schema>& schema);

}  // namespace marble

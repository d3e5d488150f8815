// Sorting keys: which rows, in which order. Internal to the row layer; no state.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <arrow/buffer.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include "row/key_encoding.h"

namespace marble {

/// Row indices in ascending key order; of rows with equal keys only the last.
struct SortedIndices {
  /// The rows are sorted and unique as they stand; then `indices` is empty.
  bool is_identity = false;
  std::span<const uint64_t> indices;
  std::shared_ptr<arrow::Buffer> owner;
};

arrow::Result<SortedIndices> SortKeys(const EncodedKeys& keys, arrow::MemoryPool* pool);

}  // namespace marble

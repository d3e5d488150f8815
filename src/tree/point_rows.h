// Records of a key-value memtable as the columns of its table.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>
#include <arrow/type.h>

#include "row/row_batch.h"
#include "row/stored_schema.h"
#include "tree/record_index.h"

namespace marble {

/// Copies records into batches of some columns of one table. Not thread-safe.
class PointRowBuilder {
 public:
  /// `columns` are indices into the stored schema, which is a key-value table's.
  PointRowBuilder(std::shared_ptr<const StoredSchema> schema, std::vector<int> columns,
                  bool want_keys, arrow::MemoryPool* pool);

  /// The records as rows, in order; they ascend by (key, sequence descending). CapacityError if
  /// they do not fit the offsets of the column type (2 GiB of values of a `binary` column).
  arrow::Result<RowBatch> Build(std::span<const Record* const> records, bool unique_keys) const;

 private:
  const std::shared_ptr<const StoredSchema> schema_;
  const std::vector<int> columns_;
  const bool want_keys_;
  arrow::MemoryPool* const pool_;
  std::shared_ptr<arrow::Schema> projected_;
};

}  // namespace marble

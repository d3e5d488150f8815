// Blocks of an SSTable as RowBatches: columns, keys and hidden columns put together. Functions of
// an open file; nothing is cached here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <arrow/result.h>

#include "row/row_batch.h"
#include "sst/sst_file.h"

namespace marble {

/// Decodes the stored columns `columns` of a block (in that order), the hidden ones and, if
/// `want_keys`, the key columns. `memory` receives the bytes that the result keeps allocated.
arrow::Result<RowBatch> DecodeRows(const SstFile& file, int64_t block,
                                   const std::vector<int>& columns, bool want_keys,
                                   int64_t* memory);

/// All stored columns of a zero-copy file's block as mere addresses: only the hidden columns have
/// been checked, and a key column whose bytes are the keys, which are set then. For CheckRows.
arrow::Result<RowBatch> MapRows(const SstFile& file, int64_t block);
/// Checks stored columns (ascending) of a block that MapRows gave.
arrow::Status CheckRows(const SstFile& file, int64_t block, const RowBatch& rows,
                        std::span<const int> columns);

/// The same from a block that was decoded with all stored columns.
arrow::Result<RowBatch> SelectRows(const SstFile& file, int64_t block, const RowBatch& all,
                                   const std::vector<int>& columns, bool want_keys);

/// The fields of some stored columns, in that order.
std::shared_ptr<arrow::Schema> StoredColumns(const SstFile& file, const std::vector<int>& columns);

/// Indices into the file's schema, ascending, of what DecodeRows decodes.
std::vector<int> FileColumns(const SstFile& file, int64_t block, const std::vector<int>& columns,
                             bool want_keys);

/// The key columns, in key order, of rows with all stored columns of a keyed table.
std::shared_ptr<arrow::RecordBatch> KeyColumns(const SstFile& file, const RowBatch& rows);

/// All stored columns: 0, 1, ...
std::vector<int> AllColumns(const SstFile& file);

/// Kinds of rows that this version does not know are no damage: a newer version wrote them.
arrow::Status CheckKinds(const SstFile& file, const uint8_t* kinds, int64_t rows);

}  // namespace marble

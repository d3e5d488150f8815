// Many rows at once: loads of any size in one commit.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/table.h>

namespace marble {

/// Writes all rows of `rows`, however many, in one commit: visible whole or not at all, also after
/// a crash. Returns how many rows were read. As with Insert the batches must have the table's
/// schema, the last row of a key wins, and `options` are those of the commit at the end.
///
/// Rows are collected up to an eighth of `Options::memory_budget` (1 GiB at most), sorted and
/// written as SSTables that nothing refers to; one log record attaches them at the end. Memory: the
/// collected batches, twice as much for sorting them, and one batch of the reader. Rows that come
/// in key order, and those of append tables, are written once; others once more for each time that
/// sixteen runs have to be merged. On disk up to twice the rows' size is used meanwhile.
///
/// A reader that fails, a row that is refused, a table dropped or a database closed meanwhile:
/// nothing is written, and the files are removed, at the latest by the next open.
arrow::Result<int64_t> BulkLoad(const std::shared_ptr<Table>& table, arrow::RecordBatchReader* rows,
                                const WriteOptions& options = {});

}  // namespace marble

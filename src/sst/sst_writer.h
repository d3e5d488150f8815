// Writes one SSTable: sorted rows in, one synced file out. Not thread-safe. Nothing refers to the
// file before Finish returned and the caller synced the directory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include <marble/file_system.h>

#include "base/uuid.h"
#include "row/row_batch.h"
#include "row/stored_schema.h"
#include "sst/file_meta.h"
#include "sst/range_tombstone.h"

namespace marble {

struct SstWriterOptions {
  std::shared_ptr<const StoredSchema> schema;
  std::string path;
  uint64_t number = 0;
  Uuid uuid{};
  uint64_t hash_seed = 0;  // of the database, for HashKey
  /// Codec of the blocks; nullopt: the table's `compression`.
  std::optional<Compression> compression;
  /// The table, as the footer names it.
  uint32_t table_id = 0;
  std::string table_name;
  /// Set: no `_sequence` column, this is the rows' sequence number.
  std::optional<uint64_t> constant_sequence;
  /// Where `constant_sequence` stands for sequences that differed: the highest of them. Without the
  /// manifest nothing else tells how far the file goes in its table's log.
  std::optional<uint64_t> newest_sequence;
  /// Write a `_kind` column. Without it a row that is no put is a programming error.
  bool with_kinds = false;
  /// Append tables: row id of the first row.
  uint64_t first_row_id = 0;
  arrow::MemoryPool* pool = nullptr;
};

class SstWriter {
 public:
  static arrow::Result<std::unique_ptr<SstWriter>> Create(FileSystem* fs, SstWriterOptions options);
  virtual ~SstWriter() = default;

  /// Rows that continue the order; `columns` must be all stored columns. Cut into blocks of about
  /// block_bytes (and block_rows_max, or kBlockRowsMax); all versions of a key go to one block
  /// (across Add calls too).
  virtual arrow::Status Add(const RowBatch& rows) = 0;
  /// Any order; kept in the file's range tombstone section and widening its bounds.
  virtual void AddRangeTombstone(const RangeTombstone& tombstone) = 0;
  /// File bytes so far, buffered rows included: for cutting output files.
  virtual int64_t estimated_bytes() const = 0;
  virtual int64_t rows() const = 0;
  /// Writes what is left, syncs and closes. The file is complete; the directory is not synced.
  virtual arrow::Result<FileMeta> Finish() = 0;
  /// Closes and removes the unfinished file; errors are returned but leave nothing to do.
  virtual arrow::Status Abandon() = 0;
};

}  // namespace marble

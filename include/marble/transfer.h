// Many rows at once: files into tables and tables into files, and loads of any size in one commit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/table.h>

namespace marble {

/// Writes all rows of `rows`, however many, in one commit: visible whole or not at all, also after
/// a crash. Returns how many rows were read. As with Insert the batches must have the table's
/// schema, the last row of a key wins, and `options` are those of the commit at the end.
///
/// Rows are collected up to an eighth of `Options::memory_budget` (1 GiB at most), sorted and
/// written as SSTables that nothing refers to; one log record attaches them at the end. Memory:
/// twice the collected batches, their keys and 40 bytes a row, a batch of the reader. Rows that
/// come in key order, and those of append tables, are written once; others once more for each time
/// that sixteen runs have to be merged. On disk up to twice the rows' size is used meanwhile.
///
/// A reader that fails, a row that is refused, a table dropped or altered (Conflict) or a database
/// closed meanwhile: nothing is written, and the files are removed, at the latest by the next open.
arrow::Result<int64_t> BulkLoad(const std::shared_ptr<Table>& table, arrow::RecordBatchReader* rows,
                                const WriteOptions& options = {});

enum class FileFormat : uint8_t {
  kGuess = 0,    // by the path's extension; an .arrow file that is a stream is found to be one
  kParquet,      // .parquet, .pq
  kArrowFile,    // .arrow, .feather, .ipc: the IPC file format
  kArrowStream,  // .arrows: the IPC stream format
  kCsv,          // .csv; .tsv has tabs between its values: UTF-8, with a line of column names
};

struct TransferProgress {
  int64_t rows = 0;         // committed or, of an atomic import, read; written to the file
  int64_t bytes = 0;        // of the file, read or written, about
  int64_t bytes_total = 0;  // size of the file to import; 0 in exports
};

/// Called every few mebibytes by the thread that called; false cancels.
using ProgressCallback = std::function<bool(const TransferProgress&)>;

struct ImportOptions {
  FileFormat format = FileFormat::kGuess;
  /// Leave out columns that the table does not have, instead of refusing the file.
  bool ignore_unknown_columns = false;
  /// All rows in one commit, by BulkLoad: if anything fails, or the callback cancels, nothing was
  /// written. Without it rows are committed about every 8 MiB, or a sixteenth of
  /// Options::memory_budget if that is less.
  bool atomic = false;
  /// Between the values of a CSV file; 0 means a comma, or a tab in files named .tsv.
  char csv_delimiter = 0;
  /// What stands for null in a CSV file, in columns of every type, unless it is quoted.
  std::vector<std::string> csv_nulls = {""};
  /// With `sync` the rows survive power loss on return: the log is synced once, at the end.
  WriteOptions write = {};
  ProgressCallback progress = nullptr;
};

struct ImportResult {
  /// Rows committed: the first ones of the file.
  int64_t rows = 0;
  /// The callback ended it.
  bool cancelled = false;
};

/// Inserts the rows of a file into `table`. Columns are matched by name, in any order. A column
/// that the table lacks is refused; one that the file lacks becomes null if it may be null. Types
/// may differ where every value, or the file's own, can be kept as it is (docs/transfer.md lists
/// which); else the file is refused before anything is written. CSV values are read as the table's
/// types. Errors name table, file and column.
///
/// `result` (may be nullptr) says after success, cancelling and failure alike how many rows were
/// committed: they stay. The message of a failure says it too. A commit that fails because the log
/// cannot be written is not counted, though it may be found after a reopen.
///
/// Memory: about 16 MiB of a Parquet row group (as encoded) and what Arrow needs to decode it, or
/// one batch of an IPC file, or some blocks of 4 MiB of CSV; beside it a commit of 8 MiB or
/// BulkLoad's share.
arrow::Status ImportFile(const std::shared_ptr<Table>& table, const std::string& path,
                         const ImportOptions& options = {}, ImportResult* result = nullptr);

/// The schema of a file, for a table to be made of it. Types of CSV columns are guessed from the
/// first 4 MiB; a column that is empty there is text, and so is one of type null of other formats.
arrow::Result<std::shared_ptr<arrow::Schema>> ReadFileSchema(
    const std::shared_ptr<Database>& database, const std::string& path,
    const ImportOptions& options = {});

struct ExportOptions {
  FileFormat format = FileFormat::kGuess;
  /// Replace a file of this name.
  bool overwrite = false;
  /// Which rows and columns, in which order, of which snapshot.
  ScanOptions scan = {};
  /// Of the values in the file; nullopt means zstd for Parquet, none for the others. CSV files are
  /// not compressed.
  std::optional<Compression> compression = std::nullopt;
  /// As in ImportOptions.
  char csv_delimiter = 0;
  ProgressCallback progress = nullptr;
};

struct ExportResult {
  int64_t rows = 0;
  int64_t bytes = 0;  // of the file
  /// The callback ended it: there is no file.
  bool cancelled = false;
};

/// Writes the rows of a scan to a file, which appears complete and synced, or not at all: it is
/// written under a temporary name beside `path` (removed if anything fails) and renamed. If only
/// the sync of the folder after that fails, so does the export, and the file is there. Conflict if
/// `path` exists, unless `overwrite`. The file can be read by its owner only.
///
/// Parquet and IPC files give back what was inserted, types included, wherever the format can hold
/// it (docs/transfer.md); CSV cannot hold nested values. Memory: a batch of the scan, and 64 MiB of
/// a Parquet row group; in the IPC file format also all distinct values of dictionary columns.
arrow::Result<ExportResult> ExportFile(const std::shared_ptr<Table>& table, const std::string& path,
                                       const ExportOptions& options = {});

}  // namespace marble

// Saving what is intact of a damaged database into a new one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/file_system.h>
#include <marble/verify.h>

namespace marble {

struct RepairedTable {
  std::string name;
  /// Rows in the new database.
  int64_t rows = 0;
  /// Files whose rows were read, wholly or in part, and those that gave nothing.
  int64_t files = 0;
  int64_t files_dropped = 0;
  /// Rows (versions, deletes included) in blocks and files that could not be read; those of files
  /// that do not even tell how many they have are not among them.
  int64_t rows_lost = 0;
};

struct RepairReport {
  /// What was damaged, and which keys that concerns.
  std::vector<Finding> findings;
  std::vector<RepairedTable> tables;  // by name
  /// What cannot be known of the result, in sentences.
  std::vector<std::string> notes;
  /// The manifest was whole: which files belong to the tables, and in which order they were
  /// written, is certain.
  bool manifest_was_whole = false;
  int64_t log_records = 0;  // that were replayed

  /// No damage was met and nothing is uncertain: the new database holds what the old one held.
  bool lossless() const;
  std::string ToText() const;
  std::string ToJson() const;
};

struct RepairProgress {
  std::string table;  // the one that is being saved, by its old name
  /// Rows (versions, deletes included) that were read or are lost, of all tables, and those that
  /// their files and the log have.
  int64_t rows_done = 0;
  int64_t rows = 0;
};

struct RepairOptions {
  /// nullptr means the operating system's.
  FileSystem* file_system = nullptr;
  /// Called before each table and about every 8 MiB, after manifest and log have been read; an
  /// error ends the repair with it.
  std::function<arrow::Status(const RepairProgress&)> progress;
};

/// Writes what can be proven intact of the database at `damaged`, which nobody may have open and
/// which is not changed, to a new database at `target`, where nothing may be yet. It has a new UUID
/// and holds the newest versions only; its tables have the schemas, keys and options of the old
/// ones as far as these are known.
///
/// With the manifest: all rows of blocks whose checksums are right, merged as reading would, and
/// the log; of a damaged log also the records behind the damage. Without it: all SSTables of the
/// database, as their footers describe them. Memory: that of the log's rows, and of a block of each
/// file of a table.
///
/// Errors: Locked; Invalid if there is no database, or something at `target`; IncompatibleFormat if
/// a newer version wrote it; Corruption if no table is known at all; I/O errors of the target,
/// which is then incomplete.
arrow::Result<RepairReport> RepairDatabase(const std::string& damaged, const std::string& target,
                                           const RepairOptions& options = {});

}  // namespace marble

// Checking a database that nobody has open: every byte of it, without changing one.
//
//   ARROW_ASSIGN_OR_RAISE(const auto report, marble::VerifyDatabase("/data/state"));
//   if (!report.ok()) puts(report.ToText().c_str());
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/file_system.h>

namespace marble {

enum class FindingKind : uint8_t {
  kMissing,       // a file that another one names is not there
  kWrongSize,     // it has another size than the manifest says
  kCorrupt,       // its bytes are not those that were written, or contradict each other
  kIncompatible,  // a newer version wrote it
  kUnreadable,    // the file system or the device refused to read it
  // What follows is no damage.
  kStray,    // no part of the database; the next open removes what has a name of ours
  kCutTail,  // records at the end of the log that were never synced: the next open drops them
};
/// "missing", "wrong size", ...
const char* NameOf(FindingKind kind);

/// One thing found, in words for people and in values for programs.
struct Finding {
  FindingKind kind = FindingKind::kCorrupt;
  std::string file;     // its path
  int64_t offset = -1;  // in the file; -1 if not known
  std::string what;
  /// The table concerned; empty if none or unknown.
  std::string table;
  /// The rows concerned lie between these keys, both included, as text; empty if none or unknown.
  std::string first_key;
  std::string last_key;
  /// Rows (versions, deletes included) that cannot be read because of it; -1 if not known.
  int64_t rows = -1;

  bool is_damage() const { return kind < FindingKind::kStray; }
};

struct VerifyReport {
  std::vector<Finding> findings;
  /// What was looked at: files, their bytes, and rows (versions) in SSTables.
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t rows = 0;
  int64_t tables = 0;
  int64_t log_records = 0;
  /// The database was closed properly.
  bool clean = false;

  /// No damage was found.
  bool ok() const;
  int64_t damages() const;
  std::string ToText() const;
  std::string ToJson() const;
};

struct VerifyProgress {
  std::string file;  // the one that comes next
  /// Calls before this one, and the bytes of their files.
  int64_t files_done = 0;
  int64_t bytes_done = 0;
  /// As in VerifyReport: with CURRENT, manifests, files beside them and SSTables that nothing
  /// names, for which there is no call; without missing SSTables, for which there is one.
  int64_t files = 0;
  int64_t bytes = 0;
};

struct VerifyOptions {
  /// nullptr means the operating system's.
  FileSystem* file_system = nullptr;
  /// Called for each log segment, before the log is read, and before each SSTable that manifest or
  /// log name, be it there or not; an error ends the verification with it.
  std::function<arrow::Status(const VerifyProgress&)> progress;
};

/// Checks CURRENT, the manifest to its last byte, every byte of every SSTable with blocks, order,
/// indexes, zone maps, counts and bounds, every log record and the names in the directory. All
/// damage is reported, the first of each file and, of SSTables, each stretch of keys that cannot be
/// read. Writes nothing, not even to the lock, which it holds meanwhile.
///
/// Errors: Locked if a process has the database open; Invalid if there is no database; I/O errors
/// of directories. Damage is not an error but in the report.
arrow::Result<VerifyReport> VerifyDatabase(const std::string& path,
                                           const VerifyOptions& options = {});

}  // namespace marble

// What a database directory holds, as far as it can be read: the common ground of verifying and
// repairing. Reads only; damage becomes findings, not errors. A value, used by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/file_system.h>
#include <marble/verify.h>

#include "log/log_reader.h"
#include "row/stored_schema.h"
#include "sst/block_cache.h"
#include "sst/sst_reader.h"
#include "tree/manifest.h"
#include "tree/table_schemas.h"

namespace marble {

struct Survey {
  FileSystem* fs = nullptr;
  std::string directory;
  std::unique_ptr<FileLock> lock;
  std::shared_ptr<BlockCache> cache;
  std::vector<DirectoryEntry> entries;  // of the directory itself
  std::map<uint64_t, int64_t> sst_sizes;
  std::map<uint64_t, int64_t> log_sizes;
  /// What CURRENT says; nullopt if it is missing or damaged.
  std::optional<CurrentContents> current;
  /// The manifest that CURRENT names, or else the newest that can be read.
  std::optional<ManifestContents> manifest;
  uint64_t manifest_number = 0;
  std::vector<Finding> findings;  // of CURRENT, manifest and names

  /// The database was closed properly, and needs nothing of the log: as CURRENT says, or without it
  /// the end of the newest manifest.
  bool clean() const;
  /// The manifest is whole: what it says can be relied upon.
  bool manifest_is_whole() const { return manifest.has_value() && manifest->status.ok(); }
  SstReaderOptions ReaderOptions(const std::shared_ptr<const StoredSchema>& schema,
                                 uint64_t number) const;
};

/// Locks the directory and reads CURRENT and manifest. Invalid if nothing there is a database's.
arrow::Result<Survey> SurveyDatabase(FileSystem* fs, const std::string& directory);

/// An error as a finding about `file`: damage, a newer version, a missing or an unreadable file.
Finding FindingOf(const arrow::Status& status, const std::string& file);

/// A table's present schema from its record.
arrow::Result<std::shared_ptr<const StoredSchema>> SchemaOf(const TableRecord& record);

/// A key as text, abbreviated; of an append table "row 17".
std::string KeyText(const StoredSchema& schema, std::string_view key);

/// The bounds of a whole file, as text, into `finding`.
void DescribeBounds(const StoredSchema& schema, const FileMeta& meta, Finding* finding);

/// Calls `visit` for each record from segment `first` (0: the oldest there is) on that verifies,
/// whatever lies between them, and `gap` for each place where records are damaged or missing: bytes
/// that verify follow bytes that do not, or sequence numbers do not follow each other, or less is
/// there than the manifest knows to be synced; and for segments that cannot be read or are missing.
/// In order of position.
arrow::Status WalkIntactLog(const Survey& survey, uint64_t first,
                            const std::function<arrow::Status(const LogRecord&)>& visit,
                            const std::function<void(Finding)>& gap);

}  // namespace marble

// The manifest: a log of version edits, and CURRENT, which names the manifest in use.
//
// CURRENT is one line: "MANIFEST-000007 <uuid> open 0 <checksum>" or "... clean <manifest bytes>
// <checksum>". It is replaced by write-temporary, fsync, rename, fsync(directory). "clean" says
// that the database was closed: then the manifest must be whole to its last byte. While "open", a
// bad record behind everything known to be durable is the torn end of an edit that was never
// acknowledged.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <arrow/result.h>

#include <marble/file_system.h>

#include "base/uuid.h"
#include "log/log_writer.h"
#include "tree/version_edit.h"

namespace marble {

struct ManifestTable {
  TableRecord record;
  std::map<uint64_t, AddedFile> files;  // by number
  uint64_t flushed_sequence = 0;
  uint64_t next_row_id = 0;
};

/// The sum of a manifest's edits.
struct ManifestState {
  Uuid uuid{};
  uint64_t hash_seed = 0;
  uint32_t next_table_id = 1;
  uint64_t next_file_number = 1;
  uint64_t last_sequence = 0;
  uint64_t log_start = 0;
  uint64_t log_first_sequence = 0;  // 0: not known, of older versions
  LogPosition durable_through;
  std::map<uint32_t, ManifestTable> tables;

  /// Invalid if the edit contradicts the state (removes an unknown file, adds one twice, ...).
  arrow::Status Apply(const VersionEdit& edit);
  /// One edit that makes this state from an empty one.
  VersionEdit AsEdit() const;
};

struct LoadedManifest {
  ManifestState state;
  uint64_t number = 0;
  bool clean = false;          // the database was closed properly
  bool may_only_read = false;  // a newer version asks this one not to write
};

/// What one manifest file holds, up to the first place that is damaged.
struct ManifestContents {
  LogFileHeader header;
  ManifestState state;
  uint64_t records = 0;
  uint64_t end = 0;          // behind the last good record
  bool ended_clean = false;  // the last good record is the mark of a clean close
  bool has_more = false;     // a valid record stands behind a damaged one
  /// OK if the records end where CURRENT, if it was given, says, or where nothing follows them.
  /// Else Corruption with the offset, or IncompatibleFormat.
  arrow::Status status;
};

/// Appends edits to one manifest file. Not thread-safe.
class Manifest {
 public:
  /// Reads CURRENT and the manifest it names. Corruption, IncompatibleFormat or I/O errors; changes
  /// nothing.
  static arrow::Result<LoadedManifest> Load(FileSystem* fs, const std::string& directory);
  /// Starts a new manifest that holds `state` and points CURRENT at it.
  static arrow::Result<std::unique_ptr<Manifest>> Create(FileSystem* fs,
                                                         const std::string& directory,
                                                         uint64_t number,
                                                         const ManifestState& state);

  /// Durable on return. After an error the manifest must not be used again.
  arrow::Status Append(const VersionEdit& edit);
  /// Writes the end mark and marks CURRENT clean.
  arrow::Status CloseClean();

  uint64_t number() const { return writer_->number(); }
  int64_t bytes() const { return writer_->bytes(); }
  /// Have so many edits come that one edit in their place is worth its writing? Not because of the
  /// state alone, which would be as long again.
  bool IsWorthRewriting() const;

 private:
  Manifest(FileSystem* fs, std::string directory, const Uuid& uuid,
           std::unique_ptr<ManifestWriter> writer)
      : fs_(fs), directory_(std::move(directory)), uuid_(uuid), writer_(std::move(writer)) {}

  FileSystem* fs_;
  std::string directory_;
  Uuid uuid_;
  std::unique_ptr<ManifestWriter> writer_;
  int64_t bytes_at_first_ = 0;  // with nothing but the state that it was created with
};

/// What CURRENT says; exposed for tests and tools.
struct CurrentContents {
  uint64_t manifest = 0;
  std::string uuid_hex;
  bool clean = false;
  uint64_t manifest_bytes = 0;  // if clean
};
std::string EncodeCurrent(const CurrentContents& contents);
arrow::Result<CurrentContents> ReadCurrent(FileSystem* fs, const std::string& directory);
/// Reads one manifest. `current` is what CURRENT says of it; nullptr if that is not known. Fails if
/// there is no file with a good header of this number, or it is not of the database that CURRENT
/// says; all else is in the contents' status.
arrow::Result<ManifestContents> ReadManifest(FileSystem* fs, const std::string& directory,
                                             uint64_t number, const CurrentContents* current);
arrow::Result<CurrentContents> DecodeCurrent(std::string_view text, const std::string& path);

}  // namespace marble

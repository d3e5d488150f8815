#include "db/leftovers.h"

#include <algorithm>
#include <set>

#include <marble/error.h>

#include "db/commit_record.h"
#include "db/folders.h"
#include "db/log_recovery.h"
#include "tree/file_names.h"
#include "tree/file_pin.h"

namespace marble {

namespace {

/// Adds the SSTables that the log attaches. Returns the last segment that the log needs.
arrow::Result<uint64_t> AddFilesOfLog(FileSystem* fs, const std::string& directory,
                                      const ManifestState& state, std::set<uint64_t>* named,
                                      LogRecoveryResult* log) {
  uint64_t last = std::max(state.log_start, state.durable_through.segment);
  const auto visit = [&](const LogRecord& record) {
    last = std::max(last, record.begin.segment);
    return ReadCommitRecord(record.payload, record.header.count, [&](const LoggedOperation& op) {
      for (const FileMeta& file : op.files) named->insert(file.number);
      return arrow::Status::OK();
    });
  };
  ARROW_ASSIGN_OR_RAISE(*log, RecoverLog(fs, directory, state, visit));
  return last;
}

/// Adds the SSTables that the manifest's records have added, those that were removed since
/// included.
arrow::Status AddFilesOfManifest(FileSystem* fs, const std::string& directory, uint64_t number,
                                 std::set<uint64_t>* named) {
  const std::string path = ManifestPath(directory, number);
  ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
  ARROW_ASSIGN_OR_RAISE(
      const auto reader,
      LogReader::Open(std::move(file), path, LogFileKind::kManifest, nullptr, number));
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto record, reader->Next());
    if (record == nullptr) return arrow::Status::OK();
    if (record->header.kind != LogRecordKind::kEdit) continue;
    ARROW_ASSIGN_OR_RAISE(const VersionEdit edit,
                          DecodeVersionEdit(std::string_view(*record->payload)));
    for (const TableEdit& table : edit.tables) {
      for (const AddedFile& added : table.added) named->insert(added.meta.number);
    }
  }
}

/// What was read of manifest and CURRENT is on the device, as far as syncing can tell.
arrow::Status SyncManifest(FileSystem* fs, const std::string& directory, uint64_t number) {
  ARROW_ASSIGN_OR_RAISE(auto manifest, fs->OpenAppend(ManifestPath(directory, number)));
  ARROW_RETURN_NOT_OK(manifest->Sync());
  ARROW_RETURN_NOT_OK(manifest->Close());
  return fs->SyncDirectory(directory);
}

arrow::Status RemoveUnnamedSstables(FileSystem* fs, const std::string& directory,
                                    const std::set<uint64_t>& named) {
  ARROW_ASSIGN_OR_RAISE(const auto files, ListFolder(fs, directory));
  for (const DirectoryEntry& entry : files) {
    const auto number = ParseSstName(entry.name);
    if (!number.has_value() || entry.is_directory || named.contains(*number)) continue;
    ARROW_RETURN_NOT_OK(RemoveWhenUnpinned(fs, directory + "/" + entry.name));
  }
  return arrow::Status::OK();
}

/// Removes the segments behind `last`, from the newest on, that are there without a record.
arrow::Status RemoveEmptySegments(FileSystem* fs, const std::string& directory,
                                  const ManifestState& state, const LogRecoveryResult& log,
                                  uint64_t last) {
  for (auto number = log.segments.rbegin(); number != log.segments.rend(); ++number) {
    if (*number <= last) break;
    const std::string path = LogSegmentPath(directory, *number);
    ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
    const auto reader =
        LogReader::Open(std::move(file), path, LogFileKind::kSegment, &state.uuid, *number);
    // Its header never reached the device: it stays until an open succeeds, as recovery judges it.
    if (IsCorruption(reader.status())) continue;
    ARROW_RETURN_NOT_OK(reader.status());
    ARROW_ASSIGN_OR_RAISE(const auto record, (*reader)->FindAfter(kLogHeaderBytes));
    if (record != nullptr || (*reader)->gave_up()) break;
    ARROW_RETURN_NOT_OK(fs->Remove(path));
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Status RemoveUnnamed(FileSystem* fs, const std::string& directory,
                            const ManifestState& state, uint64_t manifest) {
  std::set<uint64_t> named;
  for (const auto& [id, table] : state.tables) {
    for (const auto& [number, file] : table.files) named.insert(number);
  }
  ARROW_RETURN_NOT_OK(RemoveUnnamedSstables(fs, SstDirectory(directory), named));
  ARROW_ASSIGN_OR_RAISE(const auto segments, fs->List(LogDirectory(directory)));
  for (const DirectoryEntry& entry : segments) {
    const auto number = ParseLogSegmentName(entry.name);
    if (!number.has_value() || *number >= state.log_start) continue;
    ARROW_RETURN_NOT_OK(fs->Remove(LogDirectory(directory) + "/" + entry.name));
  }
  ARROW_ASSIGN_OR_RAISE(const auto entries, fs->List(directory));
  for (const DirectoryEntry& entry : entries) {
    const auto number = ParseManifestName(entry.name);
    const bool other = number.has_value() && *number != manifest;
    if (!other && entry.name != "CURRENT.tmp") continue;
    ARROW_RETURN_NOT_OK(fs->Remove(directory + "/" + entry.name));
  }
  return arrow::Status::OK();
}

arrow::Status RemoveSpareSegments(FileSystem* fs, const std::string& directory) {
  ARROW_ASSIGN_OR_RAISE(const auto entries, ListFolder(fs, LogDirectory(directory)));
  for (const DirectoryEntry& entry : entries) {
    if (!ParseSpareSegmentName(entry.name).has_value()) continue;
    ARROW_RETURN_NOT_OK(fs->Remove(LogDirectory(directory) + "/" + entry.name));
  }
  return arrow::Status::OK();
}

arrow::Status RemoveLeftovers(FileSystem* fs, const std::string& given) {
  ARROW_ASSIGN_OR_RAISE(const std::string directory, fs->Canonical(given));  // as pins name files
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<FileLock> lock, fs->Lock(LockPath(directory)));
  ARROW_ASSIGN_OR_RAISE(const LoadedManifest loaded, Manifest::Load(fs, directory));
  std::set<uint64_t> named;
  ARROW_RETURN_NOT_OK(AddFilesOfManifest(fs, directory, loaded.number, &named));
  LogRecoveryResult log;
  uint64_t last = loaded.state.log_start;
  if (!loaded.clean) {
    ARROW_ASSIGN_OR_RAISE(last, AddFilesOfLog(fs, directory, loaded.state, &named, &log));
  }
  if (loaded.may_only_read || log.may_only_read) {
    return arrow::Status::Invalid(directory, " may only be read by this version");
  }
  ARROW_RETURN_NOT_OK(SyncManifest(fs, directory, loaded.number));
  ARROW_RETURN_NOT_OK(RemoveUnnamedSstables(fs, SstDirectory(directory), named));
  ARROW_RETURN_NOT_OK(RemoveSpareSegments(fs, directory));
  return RemoveEmptySegments(fs, directory, loaded.state, log, last);
}

}  // namespace marble

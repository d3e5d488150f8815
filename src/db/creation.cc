#include "db/creation.h"

#include <marble/error.h>

#include "db/folders.h"
#include "io/parent_directory.h"
#include "log/log_reader.h"
#include "tree/file_names.h"
#include "tree/manifest.h"

namespace marble {

namespace {

constexpr uint64_t kFirstManifest = 1;

arrow::Status MissingCurrent(const std::string& directory, const std::string& beside) {
  return CorruptionError(CurrentPath(directory), -1, "CURRENT is missing beside " + beside);
}

/// A creation writes one edit; more come when the database is in use.
arrow::Status CheckFirstManifest(FileSystem* fs, const std::string& directory) {
  const auto contents = ReadManifest(fs, directory, kFirstManifest, nullptr);
  if (!contents.ok() && IsCorruption(contents.status())) return arrow::Status::OK();  // cut short
  ARROW_RETURN_NOT_OK(contents.status());
  if (contents->records > 1 || contents->has_more) {
    return MissingCurrent(directory, ManifestName(kFirstManifest) + ", which was used");
  }
  const bool may_be_cut_short = contents->status.ok() || IsCorruption(contents->status);
  return may_be_cut_short ? arrow::Status::OK() : contents->status;
}

/// Nothing is committed before CURRENT is there.
arrow::Status CheckLogIsEmpty(FileSystem* fs, const std::string& directory) {
  ARROW_ASSIGN_OR_RAISE(const auto entries, ListFolder(fs, LogDirectory(directory)));
  for (const DirectoryEntry& entry : entries) {
    const auto number = ParseLogSegmentName(entry.name);
    if (!number.has_value()) continue;
    const std::string path = LogSegmentPath(directory, *number);
    ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
    auto reader = LogReader::Open(std::move(file), path, LogFileKind::kSegment, nullptr, *number);
    if (!reader.ok() && IsCorruption(reader.status())) continue;
    ARROW_RETURN_NOT_OK(reader.status());
    // The first may be the damaged one.
    ARROW_ASSIGN_OR_RAISE(const auto record, (*reader)->FindAfter(kLogHeaderBytes));
    if (record != nullptr || (*reader)->gave_up()) {
      return MissingCurrent(directory, "a log with commits: " + path);
    }
  }
  return arrow::Status::OK();
}

arrow::Status CheckNoSstables(FileSystem* fs, const std::string& directory) {
  ARROW_ASSIGN_OR_RAISE(const auto files, ListFolder(fs, SstDirectory(directory)));
  return files.empty() ? arrow::Status::OK() : MissingCurrent(directory, "SSTables");
}

}  // namespace

arrow::Status CreateDatabaseDirectory(FileSystem* fs, const std::string& path) {
  ARROW_RETURN_NOT_OK(fs->CreateDirectory(path));
  return fs->SyncDirectory(ParentDirectory(path));
}

arrow::Status CheckDirectoryIsFree(FileSystem* fs, const std::string& directory) {
  ARROW_ASSIGN_OR_RAISE(const auto entries, fs->List(directory));
  for (const DirectoryEntry& entry : entries) {
    if (entry.name == "LOCK" || entry.name == "CURRENT.tmp" || entry.name == "wal" ||
        entry.name == "sst") {
      continue;  // left by a creation that was interrupted
    }
    if (IsVolumesOwn(entry)) continue;
    const auto manifest = ParseManifestName(entry.name);
    if (manifest == kFirstManifest) {
      ARROW_RETURN_NOT_OK(CheckFirstManifest(fs, directory));
      continue;
    }
    if (manifest.has_value()) return MissingCurrent(directory, entry.name);
    return arrow::Status::Invalid(directory, " is not a Marble database and not empty: it holds '",
                                  entry.name, "'");
  }
  ARROW_RETURN_NOT_OK(CheckNoSstables(fs, directory));
  return CheckLogIsEmpty(fs, directory);
}

arrow::Status RemoveInterruptedCreation(FileSystem* fs, const std::string& directory) {
  const std::string path = ManifestPath(directory, kFirstManifest);
  ARROW_ASSIGN_OR_RAISE(const bool exists, fs->Exists(path));
  return exists ? fs->Remove(path) : arrow::Status::OK();
}

}  // namespace marble

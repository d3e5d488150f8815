#include "db/folders.h"

#include "tree/file_names.h"

namespace marble {

arrow::Result<std::vector<DirectoryEntry>> ListFolder(FileSystem* fs, const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(const bool exists, fs->Exists(folder));
  if (!exists) return std::vector<DirectoryEntry>();
  return fs->List(folder);
}

arrow::Status MakeMissingFolders(FileSystem* fs, const std::string& directory) {
  bool any = false;
  for (const std::string& folder : {LogDirectory(directory), SstDirectory(directory)}) {
    ARROW_ASSIGN_OR_RAISE(const bool exists, fs->Exists(folder));
    if (exists) continue;
    ARROW_RETURN_NOT_OK(fs->CreateDirectory(folder));
    any = true;
  }
  return any ? fs->SyncDirectory(directory) : arrow::Status::OK();
}

bool IsVolumesOwn(const DirectoryEntry& entry) {
  return entry.is_directory && entry.name == "lost+found";  // of ext2 to ext4
}

arrow::Status CheckFolders(const std::string& directory, std::span<const DirectoryEntry> entries) {
  for (const DirectoryEntry& entry : entries) {
    const std::string path = directory + "/" + entry.name;
    if (path != LogDirectory(directory) && path != SstDirectory(directory)) continue;
    if (entry.is_directory) continue;
    return arrow::Status::IOError(path, ": not a folder, but a symbolic link or a file");
  }
  return arrow::Status::OK();
}

}  // namespace marble

#include "db/folders.h"

#include "tree/file_names.h"

namespace marble {

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

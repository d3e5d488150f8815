// The folders in a database's directory. They are its own: a link in the place of one would have
// files outside of the directory read, made and removed.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/file_system.h>

namespace marble {

/// The entries of `folder`; none if it is missing. (Copies made by tools that know only files lack
/// folders that were empty.)
arrow::Result<std::vector<DirectoryEntry>> ListFolder(FileSystem* fs, const std::string& folder);

/// Makes the folders of `directory` that are missing, durably.
arrow::Status MakeMissingFolders(FileSystem* fs, const std::string& directory);

/// Is it what a file system has in its root, and so in a database that is a volume's only content?
bool IsVolumesOwn(const DirectoryEntry& entry);

/// IOError that names the path if an entry of a folder's name is something else; folders that are
/// missing are OK. `entries` are those of `directory`.
arrow::Status CheckFolders(const std::string& directory, std::span<const DirectoryEntry> entries);

}  // namespace marble

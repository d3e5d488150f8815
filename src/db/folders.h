// The folders in a database's directory. They are its own: a link in the place of one would have
// files outside of the directory read, made and removed.
#pragma once

#include <span>
#include <string>

#include <arrow/status.h>

#include <marble/file_system.h>

namespace marble {

/// IOError that names the path if an entry of a folder's name is something else; folders that are
/// missing are OK. `entries` are those of `directory`.
arrow::Status CheckFolders(const std::string& directory, std::span<const DirectoryEntry> entries);

}  // namespace marble

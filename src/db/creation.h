// Directories without a CURRENT: new ones, and those in which the creation of a database was
// interrupted. What else lacks a CURRENT has lost it and must not be taken for empty.
#pragma once

#include <string>

#include <arrow/status.h>

#include <marble/file_system.h>

namespace marble {

/// Makes the directory of a database such that it survives power loss: its parent is synced.
arrow::Status CreateDatabaseDirectory(FileSystem* fs, const std::string& path);

/// Corruption if there was a database, Invalid if there is something else.
arrow::Status CheckDirectoryIsFree(FileSystem* fs, const std::string& directory);

/// Of a free directory: removes the manifest of an interrupted creation. The next attempt's has the
/// same number then, by which CheckDirectoryIsFree knows it, however often attempts are cut short.
arrow::Status RemoveInterruptedCreation(FileSystem* fs, const std::string& directory);

}  // namespace marble

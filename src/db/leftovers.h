// Files that nothing names in a database's directory: what work that was cut short has left.
#pragma once

#include <cstdint>
#include <string>

#include <arrow/status.h>

#include <marble/file_system.h>

#include "tree/manifest.h"

namespace marble {

/// Removes SSTables that the manifest numbered `manifest`, which says `state`, does not name, log
/// segments before those that it needs, other manifests, and CURRENT's temporary. SSTables that a
/// reader of this process still pins go with the last of these.
arrow::Status RemoveUnnamed(FileSystem* fs, const std::string& directory,
                            const ManifestState& state, uint64_t manifest);

/// Removes retired log segments that were kept for recycling.
arrow::Status RemoveSpareSegments(FileSystem* fs, const std::string& directory);

/// Makes room for the open of a database that found none: removes SSTables that no record of its
/// manifest or its log has ever named, spare segments, and segments behind the log's end that hold
/// no record (opens that failed leave them). What a record has named is left alone, whatever later
/// ones say: these may not be on the device. Holds the directory's lock meanwhile. Removes nothing
/// if manifest or log cannot be read or synced, or are a newer version's to write.
arrow::Status RemoveLeftovers(FileSystem* fs, const std::string& directory);

}  // namespace marble

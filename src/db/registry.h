// The databases that this process has open, by directory identity, so that opening one twice shares
// it.
#pragma once

#include <memory>
#include <string>

#include <arrow/result.h>

#include "db/open_database.h"

namespace marble {

/// The open database of `path` with one more handle counted, opened if need be. Thread-safe.
/// Read-only databases are not shared. Conflict if it is open with other options.
arrow::Result<std::shared_ptr<OpenDatabase>> AcquireDatabase(const std::string& path,
                                                             const Options& options);

/// Gives up one handle; the last one closes the database (and its status is returned).
arrow::Status ReleaseDatabase(const std::shared_ptr<OpenDatabase>& database);

}  // namespace marble

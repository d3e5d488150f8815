// The text in a LOCK file: "<pid> <host>". It is shown to people and decides nothing.
#pragma once

#include <string>
#include <string_view>

#include <arrow/status.h>

namespace marble {

/// Text of this process, ended by a newline.
std::string LockOwnerText();

/// The LockedError for `path` whose LOCK file holds `owner`; any bytes are fine.
arrow::Status LockedBy(const std::string& path, std::string_view owner);

}  // namespace marble

// Which format a file to import or export has. Pure functions.
#pragma once

#include <string>

#include <arrow/result.h>

#include <marble/transfer.h>

namespace marble {

/// `format`, or what the extension of `path` says.
arrow::Result<FileFormat> FormatOf(const std::string& path, FileFormat format);
/// `delimiter`, or what the extension of `path` says if it is 0.
arrow::Result<char> DelimiterOf(const std::string& path, char delimiter);

}  // namespace marble

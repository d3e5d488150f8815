// Where to cut a table so that its parts can be scanned side by side.
#pragma once

#include <string>
#include <vector>

#include <arrow/result.h>

#include "tree/table_view.h"

namespace marble {

/// Encoded keys (row ids of an append table), ascending, between which the files hold about
/// `rows_per_part` rows, or fewer if they are large. Taken from the bounds of files, and of blocks
/// where there are few files. None for a table that is small or in memory.
arrow::Result<std::vector<std::string>> SplitKeys(const TableView& view, int64_t rows_per_part);

}  // namespace marble

// A table's record after a change of its schema: a pure decision, on values.
#pragma once

#include <cstdint>
#include <set>

#include <arrow/result.h>

#include <marble/schema_change.h>

#include "tree/version_edit.h"

namespace marble {

/// What replaces `record`; `record` itself if nothing changes. Of its older schemas those are kept
/// whose versions are in `versions_in_use`, and so is its present one. Invalid, with the column
/// named, for what cannot be done.
arrow::Result<TableRecord> AlteredRecord(const TableRecord& record, const SchemaChange& change,
                                         const std::set<uint32_t>& versions_in_use);

}  // namespace marble

// The types in which a table's columns are shown to datasets.
#pragma once

#include <memory>
#include <vector>

#include <arrow/result.h>
#include <arrow/type.h>

#include "row/stored_schema.h"

namespace marble {

/// The table's schema with the stored types instead of those with which DuckDB hands down no
/// filter: views, list views, run-end-encoded columns and dictionaries inside other types. It
/// stores as the table does, so what is stored is read in these types without a conversion.
/// `dictionary_columns` (indices), of text or bytes, are shown as dictionaries of what they are
/// stored as. Invalid if one is of another type.
arrow::Result<std::shared_ptr<const StoredSchema>> ExposedSchema(
    const StoredSchema& schema, const std::vector<int>& dictionary_columns);

}  // namespace marble

// The types in which a table's columns are shown to datasets.
#pragma once

#include <memory>

#include <arrow/result.h>
#include <arrow/type.h>

#include "row/stored_schema.h"

namespace marble {

/// The table's schema with the stored types instead of those with which DuckDB hands down no
/// filter: views, list views, run-end-encoded columns and dictionaries inside other types. It
/// stores as the table does, so what is stored is read in these types without a conversion.
arrow::Result<std::shared_ptr<const StoredSchema>> ExposedSchema(const StoredSchema& schema);

}  // namespace marble

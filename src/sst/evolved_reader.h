// A file of one of a table's older schemas, shown as a file of its present one: columns are found
// by their ids, those that came later have their default, widened ones are cast. Nothing is
// written; the next compaction writes the rows in the new schema.
#pragma once

#include <memory>

#include <arrow/result.h>

#include "row/stored_schema.h"
#include "sst/sst_reader.h"

namespace marble {

/// Invalid if files of one schema of a table cannot be read as the other: a column that both have
/// would need a type that does not hold all values of the old one.
arrow::Status CheckEvolution(const StoredSchema& file_schema, const StoredSchema& table_schema);

/// `reader` reads the file in `file_schema`, the schema it was written with; the result reads it in
/// `table_schema`, with the same rows, blocks and keys. Invalid if a column of both has a type that
/// cannot become the other. Tables that change their schema are no key-value tables: FindValue and
/// ReadKvBlock are refused.
arrow::Result<std::shared_ptr<SstReader>> NewEvolvedReader(
    std::shared_ptr<SstReader> reader, const StoredSchema& file_schema,
    std::shared_ptr<const StoredSchema> table_schema, arrow::MemoryPool* pool);

}  // namespace marble

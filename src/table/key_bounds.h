// Which keys a filter leaves possible: "id >= 5 and name == 'x'" needs no row below id 5. Pure
// functions.
#pragma once

#include <arrow/compute/expression.h>

#include "row/stored_schema.h"

namespace marble {

/// A range that holds every key whose row `filter` may keep; it may hold others too. The filter is
/// bound to the schema's user schema. What is looked at: comparisons of the first key column with
/// literals and is_in, joined by and / or; all else is taken for true. Null is "no", as in a scan.
/// Everything for append tables.
EncodedRange KeyBoundsOf(const arrow::compute::Expression& filter, const StoredSchema& schema);

}  // namespace marble

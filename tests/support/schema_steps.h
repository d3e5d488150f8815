// A table whose life is a row of steps, each durable when it returns: it is created, its schema is
// changed, rows are written with sync, and it is dropped; then the same again. So the number of
// steps says what must be there.
#pragma once

#include <memory>

#include <marble/database.h>

namespace marble::test {

/// The last of them drops the table.
inline constexpr int kSchemaSteps = 7;

/// Carries out step `step`, counted from 0; all before it were taken.
arrow::Status TakeSchemaStep(const std::shared_ptr<Database>& database, int step);
/// Is the table as it should be after the first `steps` steps?
arrow::Result<bool> HoldsSchemaSteps(const std::shared_ptr<Database>& database, int steps);

}  // namespace marble::test

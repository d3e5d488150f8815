// Where the rows of a behaviour test lie when it looks at them. The same claims must hold for all.
#pragma once

#include <string>

#include "support/test_database.h"

namespace marble::test {

enum class Where { kMemory, kFlushed, kCompacted, kReopened };

inline std::string NameOf(const testing::TestParamInfo<Where>& info) {
  switch (info.param) {
    case Where::kMemory:
      return "InMemory";
    case Where::kFlushed:
      return "Flushed";
    case Where::kCompacted:
      return "Compacted";
    case Where::kReopened:
      return "Reopened";
  }
  return "";
}

/// Moves everything written so far to `where`; `kReopened` flushes, compacts and opens again, so
/// handles have to be made anew.
inline arrow::Status Settle(TestDatabase* database, Where where) {
  if (where == Where::kMemory) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK((*database)->Flush());
  if (where == Where::kFlushed) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK((*database)->Compact());
  if (where == Where::kCompacted) return arrow::Status::OK();
  return database->Reopen();
}

}  // namespace marble::test

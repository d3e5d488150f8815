// For errors that nobody is left to be told of, as in destructors: Arrow's logger gets them.
#pragma once

#include <arrow/status.h>

namespace marble {

inline void WarnIfError(const arrow::Status& status) {
  if (!status.ok()) status.Warn();
}

}  // namespace marble

// Parquet's library throws, and not every function of its Arrow half catches. Nothing is to come
// through to our callers.
#pragma once

#include <exception>
#include <utility>

#include <arrow/status.h>

namespace marble {

/// `call()`, which returns a Status; an exception becomes one too.
template <typename Call>
arrow::Status WithoutExceptions(Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (const std::bad_alloc&) {
    return arrow::Status::OutOfMemory("no memory for what the Parquet file says");
  } catch (const std::exception& error) {
    return arrow::Status::Invalid(error.what());
  }
}

}  // namespace marble

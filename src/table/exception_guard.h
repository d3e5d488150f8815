// Parquet's library throws, and not every function of its Arrow half catches; Arrow's writer of CSV
// throws where its pool has no memory. Nothing is to come through to our callers.
#pragma once

#include <exception>
#include <utility>

#include <arrow/status.h>
#include <parquet/exception.h>

namespace marble {

/// `call()`, which returns a Status; an exception becomes one too.
template <typename Call>
arrow::Status WithoutExceptions(Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (const std::bad_alloc& error) {
    return arrow::Status::OutOfMemory("no memory for the file's rows: ", error.what());
  } catch (const parquet::ParquetStatusException& error) {
    if (error.status().IsOutOfMemory()) return error.status();
    return arrow::Status::Invalid(error.what());
  } catch (const std::exception& error) {
    return arrow::Status::Invalid(error.what());
  }
}

}  // namespace marble

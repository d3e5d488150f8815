// From Arrow's statuses, and from exceptions, to sabot::storage::Status. Internal to the backends.
#pragma once

#include <exception>
#include <new>
#include <utility>

#include <arrow/result.h>
#include <arrow/status.h>

#include "sabot/storage/interface.h"

namespace sabot::storage {

/// Marble's error kinds first, then Arrow's codes. A taken name is Conflict (CreateTable says
/// AlreadyExists instead).
Status FromArrow(const arrow::Status& status);

/// Checks what every backend asks of a configuration, except for the path.
Status CheckConfig(const StorageConfig& config);

/// Runs one call of a backend; what is thrown inside (allocations, a callback of the caller)
/// becomes a Status.
template <typename Call>
Status Guarded(Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (const std::bad_alloc&) {
    return Status::InternalError("out of memory");
  } catch (const std::exception& error) {
    return Status::InternalError(error.what());
  } catch (...) {
    return Status::InternalError("an exception of unknown type was thrown");
  }
}

#define SABOT_RETURN_NOT_OK(expression)              \
  do {                                               \
    ::sabot::storage::Status status_ = (expression); \
    if (!status_.ok()) return status_;               \
  } while (false)

#define SABOT_CONCATENATE_(a, b) a##b
#define SABOT_CONCATENATE(a, b) SABOT_CONCATENATE_(a, b)
#define SABOT_ASSIGN_OR_RETURN_(result, declaration, expression)         \
  auto&& result = (expression);                                          \
  if (!result.ok()) return ::sabot::storage::FromArrow(result.status()); \
  declaration = std::move(result).ValueUnsafe();
/// Assigns the value of an arrow::Result, or returns its status converted.
#define SABOT_ASSIGN_OR_RETURN(declaration, expression) \
  SABOT_ASSIGN_OR_RETURN_(SABOT_CONCATENATE(result_, __LINE__), declaration, expression)

}  // namespace sabot::storage

#include "sabot/storage/arrow_status.h"

#include <marble/error.h>

namespace sabot::storage {
namespace {

StatusCode CodeOf(const arrow::Status& status) {
  switch (marble::KindOf(status)) {
    case marble::ErrorKind::kCorruption:
      return StatusCode::Corruption;
    case marble::ErrorKind::kConflict:
      return StatusCode::Conflict;
    case marble::ErrorKind::kLocked:
    case marble::ErrorKind::kBusy:
      return StatusCode::Busy;
    case marble::ErrorKind::kClosed:
      return StatusCode::Closed;
    case marble::ErrorKind::kReadOnly:
      return StatusCode::IOError;
    case marble::ErrorKind::kIncompatibleFormat:
      return StatusCode::NotSupported;
    case marble::ErrorKind::kNotFound:
      return StatusCode::NotFound;
    case marble::ErrorKind::kNone:
      break;
  }
  switch (status.code()) {
    case arrow::StatusCode::OK:
      return StatusCode::OK;
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::TypeError:
    case arrow::StatusCode::IndexError:
    case arrow::StatusCode::CapacityError:
      return StatusCode::InvalidArgument;
    case arrow::StatusCode::KeyError:
      return StatusCode::NotFound;
    case arrow::StatusCode::AlreadyExists:
      return StatusCode::AlreadyExists;
    case arrow::StatusCode::IOError:
      return StatusCode::IOError;
    case arrow::StatusCode::NotImplemented:
      return StatusCode::NotSupported;
    default:
      return StatusCode::InternalError;
  }
}

}  // namespace

Status FromArrow(const arrow::Status& status) {
  if (status.ok()) return Status::OK();
  return {CodeOf(status), status.message(), status.detail()};
}

Status CheckConfig(const StorageConfig& config) {
  // A pebibyte is beyond any machine and keeps the arithmetic in range.
  constexpr int64_t kMegabytesMax = int64_t{1} << 30;
  if (config.memtable_size_mb < 1 || config.memtable_size_mb > kMegabytesMax) {
    return Status::InvalidArgument("memtable_size_mb is " +
                                   std::to_string(config.memtable_size_mb) +
                                   ", and must be at least 1 and at most 2^30");
  }
  if (config.index_granularity < 1) {
    return Status::InvalidArgument("index_granularity is " +
                                   std::to_string(config.index_granularity) +
                                   ", and must be at least 1");
  }
  return Status::OK();
}

}  // namespace sabot::storage

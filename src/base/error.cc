#include <marble/error.h>

namespace marble {

namespace {

constexpr char kTypeId[] = "marble::ErrorDetail";

const char* NameOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kNone:
      return "none";
    case ErrorKind::kCorruption:
      return "corruption";
    case ErrorKind::kConflict:
      return "conflict";
    case ErrorKind::kLocked:
      return "locked";
    case ErrorKind::kClosed:
      return "closed";
    case ErrorKind::kReadOnly:
      return "read-only";
    case ErrorKind::kIncompatibleFormat:
      return "incompatible format";
    case ErrorKind::kNotFound:
      return "not found";
    case ErrorKind::kBusy:
      return "busy";
  }
  return "unknown";
}

arrow::Status Make(arrow::StatusCode code, ErrorKind kind, std::string message,
                   const std::string& file = "", int64_t offset = -1) {
  return arrow::Status(code, std::move(message), std::make_shared<ErrorDetail>(kind, file, offset));
}

}  // namespace

std::string ErrorDetail::ToString() const { return NameOf(kind_); }

const ErrorDetail* DetailOf(const arrow::Status& status) {
  const auto& detail = status.detail();
  if (detail == nullptr || std::string_view(detail->type_id()) != kTypeId) return nullptr;
  return static_cast<const ErrorDetail*>(detail.get());
}

ErrorKind KindOf(const arrow::Status& status) {
  const ErrorDetail* detail = DetailOf(status);
  return detail == nullptr ? ErrorKind::kNone : detail->kind();
}

arrow::Status CorruptionError(const std::string& file, int64_t offset, const std::string& what) {
  std::string message = "corruption in " + file;
  if (offset >= 0) message += " at offset " + std::to_string(offset);
  return Make(arrow::StatusCode::IOError, ErrorKind::kCorruption, message + ": " + what, file,
              offset);
}

arrow::Status ConflictError(const std::string& what) {
  return Make(arrow::StatusCode::AlreadyExists, ErrorKind::kConflict, what);
}

arrow::Status LockedError(const std::string& what) {
  return Make(arrow::StatusCode::IOError, ErrorKind::kLocked, what);
}

arrow::Status ClosedError(const std::string& what) {
  return Make(arrow::StatusCode::Invalid, ErrorKind::kClosed, what);
}

arrow::Status ReadOnlyError(const std::string& what) {
  return Make(arrow::StatusCode::IOError, ErrorKind::kReadOnly, what);
}

arrow::Status IncompatibleFormatError(const std::string& file, const std::string& what) {
  return Make(arrow::StatusCode::IOError, ErrorKind::kIncompatibleFormat, file + ": " + what, file);
}

arrow::Status NotFoundError(const std::string& what) {
  return Make(arrow::StatusCode::KeyError, ErrorKind::kNotFound, what);
}

arrow::Status BusyError(const std::string& what) {
  return Make(arrow::StatusCode::IOError, ErrorKind::kBusy, what);
}

}  // namespace marble

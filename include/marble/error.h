// Which kind of error an arrow::Status is. Marble returns arrow::Status and arrow::Result and
// throws nothing; a StatusDetail of this kind tells apart what arrow's own codes do not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/status.h>

namespace marble {

enum class ErrorKind : uint8_t {
  kNone,                // not a Marble error, or OK
  kCorruption,          // bytes on disk are not what was written; message has file and offset
  kConflict,            // a name is taken, or options of an open database disagree
  kLocked,              // another process has the database open; message has its pid and host
  kClosed,              // the handle was closed
  kReadOnly,            // opened read-only, or writes stopped after an I/O error
  kIncompatibleFormat,  // written by a newer or an unknown version
  kNotFound,            // no such table
  kBusy,                // a write waited for background work longer than its timeout
};

/// The detail carried by Marble's statuses: the kind, and file and offset where they are known.
class ErrorDetail : public arrow::StatusDetail {
 public:
  ErrorDetail(ErrorKind kind, std::string file = "", int64_t offset = -1)
      : kind_(kind), file_(std::move(file)), offset_(offset) {}

  const char* type_id() const override { return "marble::ErrorDetail"; }
  std::string ToString() const override;

  ErrorKind kind() const { return kind_; }
  /// Path of the file concerned; empty if none.
  const std::string& file() const { return file_; }
  /// Byte offset in the file; -1 if not known.
  int64_t offset() const { return offset_; }

 private:
  ErrorKind kind_;
  std::string file_;
  int64_t offset_;
};

/// The kind of `status`; kNone when it carries no Marble detail.
ErrorKind KindOf(const arrow::Status& status);

/// The detail of `status`, or nullptr.
const ErrorDetail* DetailOf(const arrow::Status& status);

inline bool IsCorruption(const arrow::Status& s) { return KindOf(s) == ErrorKind::kCorruption; }
inline bool IsConflict(const arrow::Status& s) { return KindOf(s) == ErrorKind::kConflict; }
inline bool IsLocked(const arrow::Status& s) { return KindOf(s) == ErrorKind::kLocked; }
inline bool IsClosed(const arrow::Status& s) { return KindOf(s) == ErrorKind::kClosed; }
inline bool IsReadOnly(const arrow::Status& s) { return KindOf(s) == ErrorKind::kReadOnly; }
inline bool IsIncompatibleFormat(const arrow::Status& s) {
  return KindOf(s) == ErrorKind::kIncompatibleFormat;
}
inline bool IsNotFound(const arrow::Status& s) { return KindOf(s) == ErrorKind::kNotFound; }
inline bool IsBusy(const arrow::Status& s) { return KindOf(s) == ErrorKind::kBusy; }

/// Makers, used throughout the engine. Corruption and IncompatibleFormat use IOError's code;
/// Conflict AlreadyExists; Locked, ReadOnly and Busy IOError; Closed Invalid; NotFound KeyError.
arrow::Status CorruptionError(const std::string& file, int64_t offset, const std::string& what);
arrow::Status ConflictError(const std::string& what);
arrow::Status LockedError(const std::string& what);
arrow::Status ClosedError(const std::string& what);
arrow::Status ReadOnlyError(const std::string& what);
arrow::Status IncompatibleFormatError(const std::string& file, const std::string& what);
arrow::Status NotFoundError(const std::string& what);
arrow::Status BusyError(const std::string& what);

}  // namespace marble

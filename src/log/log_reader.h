// Reads the records of one log file in order and says how it ended. Decides nothing about durability:
// recovery judges, from `durable_through` marks, whether a bad record is a cut tail or corruption.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/buffer.h>
#include <arrow/result.h>

#include <marble/file_system.h>

#include "log/log_format.h"

namespace marble {

struct LogRecord {
  LogRecordHeader header;
  LogPosition begin;                       // of the record
  LogPosition end;                         // behind it, padding included
  std::shared_ptr<arrow::Buffer> payload;  // 64-byte aligned slice of the file's bytes
};

/// Not thread-safe. Reads the file in large pieces through ReadableFile::Read; records larger than a piece
/// are fine. Memory: one piece plus the payloads that the caller holds.
class LogReader {
 public:
  /// Reads and checks the header. Corruption if it is bad (also: wrong kind, uuid or number).
  static arrow::Result<std::unique_ptr<LogReader>> Open(std::shared_ptr<ReadableFile> file,
                                                        std::string path, LogFileKind kind,
                                                        const Uuid* uuid, uint64_t number);
  const LogFileHeader& header() const { return header_; }

  /// The next record, or nullptr at the first place that holds no valid one. Errors are I/O errors.
  arrow::Result<std::unique_ptr<LogRecord>> Next();

  /// After Next returned nullptr: where it stopped, and whether everything from there to the end of the
  /// file is zero (an untouched tail) or not (a torn, stale or damaged record).
  LogPosition stopped_at() const;
  arrow::Result<bool> TailIsZero();

  /// Looks for any later record that verifies at a 64-byte boundary behind the stop, without trusting
  /// lengths in between; returns the first such, or nullptr. Used to find `durable_through` marks beyond
  /// damage.
  arrow::Result<std::unique_ptr<LogRecord>> FindAfter(uint64_t offset);

 private:
  LogReader() = default;
  std::shared_ptr<ReadableFile> file_;
  std::string path_;
  LogFileHeader header_;
  int64_t offset_ = 0;
  std::shared_ptr<arrow::Buffer> piece_;
  int64_t piece_offset_ = 0;
};

}  // namespace marble

// Reads the records of one log file in order and says how it ended. Decides nothing about
// durability: recovery judges, from `durable_through` marks, whether a bad record is a cut tail or
// corruption.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/buffer.h>
#include <arrow/result.h>

#include <marble/file_system.h>

#include "log/log_format.h"

namespace marble {

/// What is said of a file in which a search gave up.
inline constexpr char kSearchGaveUp[] =
    "what follows looks like more log records than there can be, so nobody knows what is lost";

struct LogRecord {
  LogRecordHeader header;
  LogPosition begin;                       // of the record
  LogPosition end;                         // behind it, padding included
  std::shared_ptr<arrow::Buffer> payload;  // 64-byte aligned slice of the file's bytes
};

/// Not thread-safe. Reads the file in large pieces through ReadableFile::Read; records larger than
/// a piece are fine. Memory: one piece plus the payloads that the caller holds.
class LogReader {
 public:
  /// Reads and checks the header. Corruption if it is bad (also: wrong kind, uuid or number).
  static arrow::Result<std::unique_ptr<LogReader>> Open(std::shared_ptr<ReadableFile> file,
                                                        const std::string& path, LogFileKind kind,
                                                        const Uuid* uuid, uint64_t number);
  const LogFileHeader& header() const { return header_; }

  /// The next record, or nullptr at the first place that holds no valid one. Errors are I/O errors.
  arrow::Result<std::unique_ptr<LogRecord>> Next();

  /// After Next returned nullptr: where it stopped.
  LogPosition stopped_at() const;
  /// Bytes of the record that was begun at `offset` and does not verify, by its header; 0 if there
  /// is none. Old records of a recycled file are told from it by their sequence, which is not above
  /// `last_sequence`.
  arrow::Result<int64_t> TornBytes(uint64_t offset, uint64_t last_sequence);

  /// Looks for any record that verifies at a 64-byte boundary at or behind `offset`, without
  /// trusting lengths in between, whose sequence is above `last_sequence`; returns the first such,
  /// or nullptr. Used to find `durable_through` marks beyond damage: go on with the `end` of what
  /// was found. Next goes on where it was. The old payloads of a recycled file are the user's: what
  /// in them looks like a record's header costs time, and where it would cost too much the search
  /// ends as if nothing followed.
  arrow::Result<std::unique_ptr<LogRecord>> FindAfter(uint64_t offset, uint64_t last_sequence = 0);
  /// Has a search ended for that? So nobody knows what followed.
  bool gave_up() const { return gave_up_; }

  /// What comes next is read anew: of a file that is being written, the bytes that were read before
  /// may be older than those behind them.
  void Refresh() { piece_ = nullptr; }

 private:
  LogReader() = default;
  /// Makes piece_ hold [offset, offset + length), which must lie in the file.
  arrow::Status Load(int64_t offset, int64_t length);
  const char* At(int64_t offset) const;
  /// Commits stand in segments, all else in manifests: what is left of one in the other, at its
  /// place and of the same number, verifies.
  bool IsOfThisKind(const LogRecordHeader& header) const;
  /// Whether an honest writer can have written this header there.
  bool IsPlausible(const LogRecordHeader& header, int64_t offset) const;
  /// The record at `offset`, or nullptr.
  arrow::Result<std::unique_ptr<LogRecord>> ReadAt(int64_t offset);
  arrow::Result<std::shared_ptr<arrow::Buffer>> Payload(int64_t offset, int64_t length) const;

  std::shared_ptr<ReadableFile> file_;
  LogFileHeader header_;
  int64_t offset_ = 0;
  std::shared_ptr<arrow::Buffer> piece_;
  int64_t piece_offset_ = 0;
  bool gave_up_ = false;
  int64_t hashed_ = 0;  // bytes so far, for records that verify and for false headers
};

}  // namespace marble

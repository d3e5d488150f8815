// Frames records and appends them to one file: a log segment (random writes into preallocated room)
// or a manifest (appends). Not thread-safe; Sync may run on another thread beside Append for
// segments.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <arrow/result.h>

#include <marble/file_system.h>

#include "log/log_format.h"

namespace marble {

/// A segment of the write-ahead log.
class SegmentWriter {
 public:
  /// Takes a new or recycled segment file and writes its header (a recycled segment's old records
  /// no longer verify, because their checksums are seeded with the old number).
  static arrow::Result<std::unique_ptr<SegmentWriter>> Start(std::unique_ptr<SegmentFile> file,
                                                             const LogFileHeader& header);

  /// Does a record of this payload fit the room that is left?
  bool Fits(uint64_t payload_bytes) const;
  /// Appends a record whose payload is the concatenation of `parts` (header.payload_bytes is taken
  /// from them). The caller checked Fits. On error nothing counts as appended, and the place is
  /// overwritten by the next append. Returns the position behind the record.
  arrow::Result<LogPosition> Append(const LogRecordHeader& header,
                                    std::span<const std::string_view> parts, WriteVia via);
  /// Appends through the mapping will follow, maybe of another thread: does now what they would
  /// have to wait for.
  void WillAppend() { file_->WillWrite(); }
  /// No Append follows; makes Sync cheaper. May run in another thread than Append did.
  void EndAppends() { file_->EndWrites(); }
  /// All appended records survive power loss on return. May run beside Append.
  arrow::Status Sync();
  arrow::Status Close();

  uint64_t number() const { return number_; }
  /// Behind the last record; where the next one goes.
  LogPosition position() const { return {number_, static_cast<uint64_t>(offset_)}; }
  /// Sequence number of the first record; 0 if there is none yet.
  uint64_t first_sequence() const { return first_sequence_; }
  int64_t capacity() const { return file_->capacity(); }

 private:
  SegmentWriter(std::unique_ptr<SegmentFile> file, const LogFileHeader& header)
      : file_(std::move(file)), number_(header.number), seed_(LogSeed(header)) {}
  arrow::Status AppendSmall(const LogRecordHeader& header, std::span<const std::string_view> parts,
                            WriteVia via);
  arrow::Status AppendLarge(const LogRecordHeader& header, std::span<const std::string_view> parts,
                            WriteVia via);

  std::unique_ptr<SegmentFile> file_;
  uint64_t number_;
  uint64_t seed_;  // LogSeed of its header
  uint64_t first_sequence_ = 0;
  int64_t offset_ = 0;
};

/// A manifest.
class ManifestWriter {
 public:
  static arrow::Result<std::unique_ptr<ManifestWriter>> Start(std::unique_ptr<WritableFile> file,
                                                              const LogFileHeader& header);
  /// Appends one record and syncs it. After an error the writer must not be used again.
  arrow::Status AppendAndSync(const LogRecordHeader& header, std::string_view payload);
  arrow::Status Close();
  int64_t bytes() const { return offset_; }
  uint64_t number() const { return number_; }

 private:
  ManifestWriter(std::unique_ptr<WritableFile> file, const LogFileHeader& header)
      : file_(std::move(file)), number_(header.number), seed_(LogSeed(header)) {}
  std::unique_ptr<WritableFile> file_;
  uint64_t number_;
  uint64_t seed_;  // LogSeed of its header
  int64_t offset_ = 0;
};

}  // namespace marble

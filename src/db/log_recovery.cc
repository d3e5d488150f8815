#include "db/log_recovery.h"

#include <algorithm>

#include <marble/error.h>

#include "tree/file_names.h"

namespace marble {

namespace {

/// One pass over the segments of a log.
class LogRecovery {
 public:
  LogRecovery(FileSystem* fs, const std::string& directory, const ManifestState& manifest,
              bool clean, const std::function<arrow::Status(const LogRecord&)>& visit)
      : fs_(fs), directory_(directory), manifest_(manifest), clean_(clean), visit_(visit) {}

  arrow::Result<LogRecoveryResult> Run() {
    ARROW_RETURN_NOT_OK(ListSegments());
    result_.last_sequence = manifest_.last_sequence;
    std::vector<uint64_t> needed;
    for (uint64_t number : result_.segments) {
      if (number >= manifest_.log_start) needed.push_back(number);
    }
    if (clean_ && needed.empty()) return result_;
    if (needed.empty() || needed.front() != manifest_.log_start) {
      return CorruptionError(LogSegmentPath(directory_, manifest_.log_start), -1,
                             "this log segment is needed for recovery, but it is missing");
    }
    for (size_t i = 0; i < needed.size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(bool ended, ReadSegment(needed, i));
      if (ended) break;
    }
    return result_;
  }

 private:
  arrow::Status ListSegments() {
    ARROW_ASSIGN_OR_RAISE(auto entries, fs_->List(LogDirectory(directory_)));
    for (const DirectoryEntry& entry : entries) {
      auto number = ParseLogSegmentName(entry.name);
      if (number.has_value()) result_.segments.push_back(*number);
    }
    std::sort(result_.segments.begin(), result_.segments.end());
    if (!result_.segments.empty()) result_.highest_segment = result_.segments.back();
    return arrow::Status::OK();
  }

  arrow::Result<std::unique_ptr<LogReader>> OpenSegment(uint64_t number) {
    const std::string path = LogSegmentPath(directory_, number);
    ARROW_ASSIGN_OR_RAISE(auto file, fs_->OpenReadable(path));
    auto opened =
        LogReader::Open(std::move(file), path, LogFileKind::kSegment, &manifest_.uuid, number);
    if (opened.ok() && (*opened)->header().may_only_read) result_.may_only_read = true;
    return opened;
  }

  /// Replays segment i of `needed`. True if the log ends in it.
  arrow::Result<bool> ReadSegment(const std::vector<uint64_t>& needed, size_t i) {
    auto opened = OpenSegment(needed[i]);
    if (!opened.ok()) {
      // A segment that was never synced may have lost its header: then it is the cut.
      if (i == 0 || !IsCorruption(opened.status())) return opened.status();
      ARROW_RETURN_NOT_OK(Judge({needed[i], 0}, nullptr, needed, i + 1));
      return true;
    }
    LogReader* reader = opened->get();
    while (true) {
      ARROW_ASSIGN_OR_RAISE(auto record, reader->Next());
      if (record == nullptr || !Continues(*record)) break;
      if (record->header.kind == LogRecordKind::kCommit) {
        ARROW_RETURN_NOT_OK(visit_(*record));
        result_.last_sequence = std::max(result_.last_sequence,
                                         record->header.first_sequence + record->header.count - 1);
        next_sequence_ = record->header.first_sequence + record->header.count;
        ++result_.records;
      }
      stop_ = record->end;
    }
    if (stop_.segment != needed[i]) stop_ = {needed[i], kLogHeaderBytes};
    ARROW_ASSIGN_OR_RAISE(bool follows, NextSegmentContinues(needed, i));
    if (follows) return false;
    ARROW_RETURN_NOT_OK(Judge(stop_, reader, needed, i + 1));
    return true;
  }

  /// The first record of the segment that the manifest names may be older than what is flushed;
  /// after it there must be no gap.
  bool Continues(const LogRecord& record) const {
    return record.header.kind != LogRecordKind::kCommit || next_sequence_ == 0 ||
           record.header.first_sequence == next_sequence_;
  }

  /// Does the log go on behind segment i without a gap? Segments without a record, whose first
  /// append failed and whose second was too long for them, may lie between. Where none was read so
  /// far the segment that the manifest names has either none, and the next record is the first
  /// after the manifest's last sequence, or it lost the records before that.
  arrow::Result<bool> NextSegmentContinues(const std::vector<uint64_t>& needed, size_t i) {
    for (; i + 1 < needed.size(); ++i) {
      auto opened = OpenSegment(needed[i + 1]);
      if (!opened.ok()) {
        if (IsCorruption(opened.status())) return false;
        return opened.status();
      }
      if ((*opened)->header().predecessor != needed[i]) return false;
      ARROW_ASSIGN_OR_RAISE(auto record, (*opened)->Next());
      if (record == nullptr) continue;
      if (next_sequence_ > 0) return Continues(*record);
      const bool none_was_synced = stop_ >= manifest_.durable_through;
      return none_was_synced && record->header.first_sequence == manifest_.last_sequence + 1;
    }
    return false;
  }

  /// The log has no valid continuation at `stop`: corruption, or the cut of an unsynced tail.
  arrow::Status Judge(const LogPosition& stop, LogReader* reader,
                      const std::vector<uint64_t>& needed, size_t next) {
    LogPosition durable = manifest_.durable_through;
    if (reader != nullptr) {
      ARROW_ASSIGN_OR_RAISE(int64_t torn, reader->TornBytes(stop.offset, result_.last_sequence));
      uint64_t end = stop.offset + static_cast<uint64_t>(torn);
      ARROW_RETURN_NOT_OK(RaiseDurable(reader, stop.offset, &durable, &end));
      result_.cut_bytes += static_cast<int64_t>(end - stop.offset);
    }
    for (size_t i = next; i < needed.size(); ++i) {
      auto later = OpenSegment(needed[i]);
      if (!later.ok() && !IsCorruption(later.status())) return later.status();
      if (!later.ok()) continue;
      uint64_t end = kLogHeaderBytes;
      ARROW_RETURN_NOT_OK(RaiseDurable(later->get(), kLogHeaderBytes, &durable, &end));
      result_.cut_bytes += static_cast<int64_t>(end) - kLogHeaderBytes;
    }
    if (stop < durable) {
      return CorruptionError(
          LogSegmentPath(directory_, stop.segment), static_cast<int64_t>(stop.offset),
          "a log record that was synced is damaged (synced up to segment " +
              std::to_string(durable.segment) + ", offset " + std::to_string(durable.offset) + ")");
    }
    return arrow::Status::OK();
  }

  /// Raises `durable` to the highest mark in the valid records behind `offset`, and `end` to where
  /// the last of them ends.
  static arrow::Status RaiseDurable(LogReader* reader, uint64_t offset, LogPosition* durable,
                                    uint64_t* end) {
    while (true) {
      ARROW_ASSIGN_OR_RAISE(auto record, reader->FindAfter(offset));
      if (record == nullptr) return arrow::Status::OK();
      *durable = std::max(*durable, record->header.durable_through);
      offset = record->end.offset;
      *end = std::max(*end, offset);
    }
  }

  FileSystem* fs_;
  const std::string& directory_;
  const ManifestState& manifest_;
  const bool clean_;
  const std::function<arrow::Status(const LogRecord&)>& visit_;
  LogRecoveryResult result_;
  uint64_t next_sequence_ = 0;
  LogPosition stop_;
};

}  // namespace

arrow::Result<LogRecoveryResult> RecoverLog(
    FileSystem* fs, const std::string& directory, const ManifestState& manifest, bool clean,
    const std::function<arrow::Status(const LogRecord&)>& visit) {
  return LogRecovery(fs, directory, manifest, clean, visit).Run();
}

}  // namespace marble

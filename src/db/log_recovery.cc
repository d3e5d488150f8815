#include "db/log_recovery.h"

#include <algorithm>

#include <marble/error.h>

#include "db/folders.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// One pass over the segments of a log.
class LogRecovery {
 public:
  LogRecovery(FileSystem* fs, const std::string& directory, const ManifestState& manifest,
              const std::function<arrow::Status(const LogRecord&)>& visit)
      : fs_(fs), directory_(directory), manifest_(manifest), visit_(visit) {}

  arrow::Result<LogRecoveryResult> Run() {
    ARROW_RETURN_NOT_OK(ListSegments());
    result_.last_sequence = manifest_.last_sequence;
    next_sequence_ = manifest_.log_first_sequence;
    std::vector<uint64_t> needed;
    for (uint64_t number : result_.segments) {
      if (number >= manifest_.log_start) needed.push_back(number);
    }
    if (needed.empty() || needed.front() != manifest_.log_start) {
      return CorruptionError(LogSegmentPath(directory_, manifest_.log_start), -1,
                             "this log segment is needed for recovery, but it is missing");
    }
    bool ended = false;
    for (size_t i = 0; !ended; ++i) {
      ARROW_ASSIGN_OR_RAISE(ended, ReadSegment(needed, i));
    }
    return result_;
  }

 private:
  arrow::Status ListSegments() {
    ARROW_ASSIGN_OR_RAISE(const auto entries, ListFolder(fs_, LogDirectory(directory_)));
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

  /// Replays segment i of `needed`. True if the log ends in it, as it does in the last.
  arrow::Result<bool> ReadSegment(const std::vector<uint64_t>& needed, size_t i) {
    ARROW_ASSIGN_OR_RAISE(const auto reader, OpenSegment(needed[i]));
    LogPosition stop{needed[i], kLogHeaderBytes};
    while (true) {
      ARROW_ASSIGN_OR_RAISE(auto record, reader->Next());
      if (record == nullptr || !Continues(*record)) break;
      ARROW_RETURN_NOT_OK(visit_(*record));
      next_sequence_ = record->header.first_sequence + record->header.count;
      result_.last_sequence = std::max(result_.last_sequence, next_sequence_ - 1);
      ++result_.records;
      stop = record->end;
    }
    result_.bytes += static_cast<int64_t>(stop.offset);
    ARROW_ASSIGN_OR_RAISE(bool follows, NextSegmentContinues(needed, i));
    if (follows) return false;
    ARROW_RETURN_NOT_OK(Judge(stop, reader.get(), needed, i + 1));
    return true;
  }

  /// There must be no gap. Where an older version's manifest does not say which record comes first,
  /// that one may have any number.
  bool Continues(const LogRecord& record) const {
    return record.header.kind == LogRecordKind::kCommit &&
           (next_sequence_ == 0 || record.header.first_sequence == next_sequence_);
  }

  /// Does the log go on behind segment i without a gap? Segments without a record, whose first
  /// append failed and whose second was too long for them, may lie between; that no record is
  /// missing there is known once there is a sequence to go on from.
  arrow::Result<bool> NextSegmentContinues(const std::vector<uint64_t>& needed, size_t i) {
    for (; i + 1 < needed.size(); ++i) {
      auto opened = OpenSegment(needed[i + 1]);
      if (!opened.ok()) {
        if (IsCorruption(opened.status())) return false;
        return opened.status();
      }
      if ((*opened)->header().predecessor != needed[i]) return false;
      ARROW_ASSIGN_OR_RAISE(auto record, (*opened)->Next());
      if (record != nullptr) return Continues(*record);
      if (next_sequence_ == 0) return false;
    }
    return false;
  }

  /// The log has no valid continuation at `stop`: corruption, or the cut of an unsynced tail.
  arrow::Status Judge(const LogPosition& stop, LogReader* reader,
                      const std::vector<uint64_t>& needed, size_t next) {
    LogPosition durable = manifest_.durable_through;
    ARROW_ASSIGN_OR_RAISE(int64_t torn, reader->TornBytes(stop.offset, result_.last_sequence));
    uint64_t end = stop.offset + static_cast<uint64_t>(torn);
    // Not result_.last_sequence: files may hold what comes later in the log.
    const uint64_t last = next_sequence_ == 0 ? 0 : next_sequence_ - 1;
    ARROW_RETURN_NOT_OK(RaiseDurable(reader, stop.offset, last, &durable, &end));
    result_.cut_bytes += static_cast<int64_t>(end - stop.offset);
    const bool nothing_behind = end == stop.offset;  // in the segment of `stop`
    for (size_t i = next; i < needed.size(); ++i) {
      auto later = OpenSegment(needed[i]);
      if (IsCorruption(later.status())) continue;
      ARROW_RETURN_NOT_OK(later.status());
      end = kLogHeaderBytes;
      ARROW_RETURN_NOT_OK(RaiseDurable(later->get(), end, last, &durable, &end));
      result_.cut_bytes += static_cast<int64_t>(end) - kLogHeaderBytes;
    }
    return stop < durable ? LostRecord(stop, durable, nothing_behind, needed) : arrow::Status::OK();
  }

  /// The error for a record at `stop` that was synced and is not there.
  arrow::Status LostRecord(const LogPosition& stop, const LogPosition& durable, bool nothing_behind,
                           const std::vector<uint64_t>& needed) {
    const auto text = [](const LogPosition& position) {
      return "segment " + std::to_string(position.segment) + ", offset " +
             std::to_string(position.offset);
    };
    const std::string synced = "synced (up to " + text(durable) + ")";
    // Where nothing stands behind `stop`, the next segment should go on; if it begins with a
    // record, something is missing here all the same.
    const uint64_t next = stop.segment + 1;
    if (nothing_behind && durable.segment > stop.segment && !BeginsWithRecord(next)) {
      const std::string path = LogSegmentPath(directory_, next);
      if (!std::ranges::binary_search(needed, next)) {
        return CorruptionError(path, -1, "this log segment was " + synced + ", but it is missing");
      }
      return CorruptionError(
          path, kLogHeaderBytes,
          "the log record behind " + text(stop) + " was " + synced + ", but it is damaged");
    }
    return CorruptionError(LogSegmentPath(directory_, stop.segment),
                           static_cast<int64_t>(stop.offset),
                           "a log record that was " + synced + " is damaged");
  }

  bool BeginsWithRecord(uint64_t segment) {
    auto opened = OpenSegment(segment);
    if (!opened.ok()) return false;
    const auto record = (*opened)->Next();
    return record.ok() && *record != nullptr;
  }

  /// Raises `durable` to the highest mark in the valid records behind `offset` and the sequence
  /// `last`, and `end` to where the last of them ends.
  static arrow::Status RaiseDurable(LogReader* reader, uint64_t offset, uint64_t last,
                                    LogPosition* durable, uint64_t* end) {
    while (true) {
      ARROW_ASSIGN_OR_RAISE(auto record, reader->FindAfter(offset, last));
      if (record == nullptr) return arrow::Status::OK();
      *durable = std::max(*durable, record->header.durable_through);
      offset = record->end.offset;
      *end = std::max(*end, offset);
    }
  }

  FileSystem* fs_;
  const std::string& directory_;
  const ManifestState& manifest_;
  const std::function<arrow::Status(const LogRecord&)>& visit_;
  LogRecoveryResult result_;
  uint64_t next_sequence_ = 0;  // of the record that must come next; 0: not known
};

}  // namespace

arrow::Result<LogRecoveryResult> RecoverLog(
    FileSystem* fs, const std::string& directory, const ManifestState& manifest,
    const std::function<arrow::Status(const LogRecord&)>& visit) {
  return LogRecovery(fs, directory, manifest, visit).Run();
}

}  // namespace marble

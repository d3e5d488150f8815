#include "db/write_ahead_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/warn.h"
#include "io/posix_util.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Payloads of this size go by pwrite: the copy costs more than the system call, and the mapping
/// need not be populated.
constexpr uint64_t kLargePayloadBytes = 64 * 1024;
/// Segments that are made beforehand once the log has shown that it goes on: what writers fill
/// while the file system is busy.
constexpr int kSegmentsAhead = 3;

}  // namespace

arrow::Result<std::unique_ptr<WriteAheadLog>> WriteAheadLog::Start(
    FileSystem* fs, std::string directory, const Uuid& uuid, int64_t segment_bytes,
    uint64_t first_number, uint64_t next_sequence) {
  std::unique_ptr<WriteAheadLog> log(
      new WriteAheadLog(fs, std::move(directory), uuid, segment_bytes));
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<SegmentWriter> first, log->maker_.First(first_number));
  log->segments_.push_back(std::move(first));
  log->directory_dirty_ = true;
  log->next_sequence_ = next_sequence;
  // Nothing was acknowledged yet: everything before the first record is durable.
  log->durable_through_ = log->position();
  return log;
}

arrow::Status WriteAheadLog::Roll(uint64_t payload_bytes) {
  const int64_t needed = kLogHeaderBytes + LogRecordBytes(payload_bytes);
  const int64_t capacity = std::max(maker_.segment_bytes(), needed);
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<SegmentWriter> next,
                        maker_.Next(current()->number(), capacity));
  MARBLE_CHECK(next->number() == current()->number() + 1);
  rolls_ = std::min(rolls_ + 1, kSegmentsAhead);
  recent_bytes_ /= 2;
  large_bytes_ /= 2;
  asked_ahead_ = false;
  directory_dirty_ = true;
  full_bytes_ += current()->capacity();
  segments_.push_back(std::move(next));
  return arrow::Status::OK();
}

arrow::Status WriteAheadLog::RollIfReady() {
  const bool in_use = static_cast<int64_t>(position().offset) >= current()->capacity() / 4;
  return in_use && maker_.IsReady() ? Roll(0) : arrow::Status::OK();
}

void WriteAheadLog::MakeAhead() {
  // Most logs of small databases end in the first half of their first segment.
  if (rolls_ == 0 && static_cast<int64_t>(position().offset) < current()->capacity() / 2) return;
  asked_ahead_ = true;
  // Large payloads need no pages made ready: that would take as long as writing them, and the first
  // sync of a segment would write all of it.
  maker_.MakeAhead(std::max(rolls_, 1), /*pages=*/2 * large_bytes_ <= recent_bytes_);
}

arrow::Result<LogPosition> WriteAheadLog::Append(LogRecordHeader header,
                                                 const std::vector<std::string_view>& parts,
                                                 uint64_t payload_bytes, WriteVia via) {
  if (!current()->Fits(payload_bytes)) ARROW_RETURN_NOT_OK(Roll(payload_bytes));
  header.payload_bytes = payload_bytes;
  header.durable_through = durable_through_;
  if (payload_bytes >= kLargePayloadBytes) via = WriteVia::kSystemCall;
  ARROW_ASSIGN_OR_RAISE(LogPosition end, current()->Append(header, parts, via));
  bytes_appended_ += LogRecordBytes(payload_bytes);
  recent_bytes_ += LogRecordBytes(payload_bytes);
  if (payload_bytes >= kLargePayloadBytes) large_bytes_ += LogRecordBytes(payload_bytes);
  next_sequence_ = header.first_sequence + header.count;
  if (!asked_ahead_) MakeAhead();
  return end;
}

WriteAheadLog::SyncTarget WriteAheadLog::PrepareSync(uint64_t last) const {
  SyncTarget target;
  target.written = current();
  target.directory = directory_dirty_;
  for (const auto& segment : segments_) {
    if (segment->number() > last) break;
    if (segment->number() >= durable_through_.segment) target.segments.push_back(segment);
    // A segment without a record yet (its first append failed) is no place that recovery could
    // confirm.
    const bool fresh = segment->position().offset == kLogHeaderBytes && target.position.segment > 0;
    if (!fresh) target.position = segment->position();
  }
  return target;
}

arrow::Status WriteAheadLog::Sync(const SyncTarget& target) const {
  if (target.directory) ARROW_RETURN_NOT_OK(fs_->SyncDirectory(LogDirectory(directory_)));
  for (const auto& segment : target.segments) {
    if (segment != target.written) segment->EndAppends();
    ARROW_RETURN_NOT_OK(segment->Sync());
  }
  return arrow::Status::OK();
}

void WriteAheadLog::MarkSynced(const SyncTarget& target) {
  if (target.position > durable_through_) durable_through_ = target.position;
  synced_segment_ = std::max(synced_segment_, target.segments.back()->number());
  // A segment started since then dirtied the directory again.
  if (target.directory && target.segments.back() == current()) directory_dirty_ = false;
}

uint64_t WriteAheadLog::FirstSequenceFrom(uint64_t segment) const {
  for (const auto& live : segments_) {
    if (live->number() >= segment && live->first_sequence() != 0) return live->first_sequence();
  }
  return next_sequence_;
}

std::vector<WriteAheadLog::Retired> WriteAheadLog::TakeRetired(uint64_t log_start) {
  std::vector<Retired> all = std::exchange(unremoved_, {});
  while (segments_.size() > 1 && segments_.front()->number() < log_start) {
    Retired retired;
    retired.segment = std::move(segments_.front());
    retired.path = LogSegmentPath(directory_, retired.segment->number());
    segments_.pop_front();
    full_bytes_ -= retired.segment->capacity();
    // A sync that is under way may still hold the segment; it closes when that lets go.
    if (retired.segment->capacity() == maker_.segment_bytes() && retired.segment.use_count() == 1) {
      retired.spare = maker_.SparePath(static_cast<int64_t>(all.size()));
    }
    all.push_back(std::move(retired));
  }
  return all;
}

arrow::Status WriteAheadLog::Recycle(std::vector<Retired>* retired) const {
  arrow::Status first;
  for (Retired& old : *retired) {
    const bool is_leftover = old.segment == nullptr;
    arrow::Status status;
    if (old.spare.empty()) {
      status = RemoveIfThere(fs_, old.path);
    } else {
      status = old.segment->Close();
      if (status.ok()) status = fs_->Rename(old.path, old.spare);
      // Whatever went wrong, it is removed later.
      if (!status.ok()) old.spare.clear();
    }
    if (status.ok()) old.path.clear();
    // Giving the memory of a removed file back takes milliseconds.
    old.segment.reset();
    if (is_leftover) {
      WarnIfError(status);  // nobody needs it, nor its room to go on
    } else if (first.ok()) {
      first = std::move(status);
    }
  }
  return first;
}

void WriteAheadLog::PutAway(std::vector<Retired> retired) {
  for (Retired& old : retired) {
    if (!old.spare.empty()) {
      maker_.AddSpare(std::move(old.spare));
    } else if (!old.path.empty()) {
      unremoved_.push_back(std::move(old));
    }
  }
}

arrow::Result<std::vector<WriteAheadLog::Retired>> WriteAheadLog::TakeSpares() {
  // As at the beginning: only a log that goes on gets segments beforehand.
  rolls_ = 0;
  asked_ahead_ = false;
  ARROW_ASSIGN_OR_RAISE(std::vector<std::string> paths, maker_.TakeSpares());
  std::vector<Retired> all = std::exchange(unremoved_, {});
  for (std::string& path : paths) all.push_back({std::move(path), {}, nullptr});
  return all;
}

arrow::Status WriteAheadLog::Close(bool remove) {
  ARROW_RETURN_NOT_OK(maker_.Close(remove));
  for (const auto& segment : segments_) ARROW_RETURN_NOT_OK(segment->Close());
  if (remove) {
    for (const auto& segment : segments_) {
      ARROW_RETURN_NOT_OK(fs_->Remove(LogSegmentPath(directory_, segment->number())));
    }
    for (const Retired& old : unremoved_) WarnIfError(fs_->Remove(old.path));
  }
  return arrow::Status::OK();
}

}  // namespace marble

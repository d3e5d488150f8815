#include "db/write_ahead_log.h"

#include <algorithm>

#include "tree/file_names.h"

namespace marble {

namespace {

/// Payloads of this size go by pwrite: the copy costs more than the system call, and the mapping
/// need not be populated.
constexpr uint64_t kLargePayloadBytes = 64 * 1024;
/// Bytes of segments kept for recycling: what flushing three memtables of the preset size, or a
/// larger one, sets free.
constexpr int64_t kSparesBytesMax = int64_t{192} << 20;

}  // namespace

arrow::Result<std::unique_ptr<WriteAheadLog>> WriteAheadLog::Start(FileSystem* fs,
                                                                   std::string directory,
                                                                   const Uuid& uuid,
                                                                   int64_t segment_bytes,
                                                                   uint64_t first_number) {
  std::unique_ptr<WriteAheadLog> log(
      new WriteAheadLog(fs, std::move(directory), uuid, segment_bytes));
  ARROW_RETURN_NOT_OK(log->StartSegment(first_number, 0, segment_bytes));
  // Nothing was acknowledged yet: everything before the first record is durable.
  log->durable_through_ = log->position();
  return log;
}

arrow::Status WriteAheadLog::StartSegment(uint64_t number, uint64_t predecessor, int64_t capacity) {
  const std::string path = LogSegmentPath(directory_, number);
  std::unique_ptr<SegmentFile> file;
  if (capacity == segment_bytes_ && !spares_.empty()) {
    ARROW_RETURN_NOT_OK(fs_->Rename(spares_.back(), path));
    spares_.pop_back();
    auto opened = fs_->OpenSegment(path);
    if (!opened.ok()) {
      ARROW_RETURN_NOT_OK(fs_->Remove(path));  // as below
      return opened.status();
    }
    file = *std::move(opened);
  } else {
    ARROW_ASSIGN_OR_RAISE(file, fs_->CreateSegment(path, capacity));
  }
  directory_dirty_ = true;
  LogFileHeader header;
  header.kind = LogFileKind::kSegment;
  header.uuid = uuid_;
  header.number = number;
  header.predecessor = predecessor;
  auto writer = SegmentWriter::Start(std::move(file), header);
  if (!writer.ok()) {
    // Leave no segment behind that the next attempt would stumble over.
    ARROW_RETURN_NOT_OK(fs_->Remove(path));
    return writer.status();
  }
  if (!segments_.empty()) full_bytes_ += current()->capacity();
  segments_.push_back(std::shared_ptr<SegmentWriter>(*std::move(writer)));
  return arrow::Status::OK();
}

arrow::Status WriteAheadLog::Roll(uint64_t payload_bytes) {
  const int64_t needed = kLogHeaderBytes + LogRecordBytes(payload_bytes);
  return StartSegment(current()->number() + 1, current()->number(),
                      std::max(segment_bytes_, needed));
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
  return end;
}

WriteAheadLog::SyncTarget WriteAheadLog::PrepareSync() const {
  SyncTarget target;
  for (const auto& segment : segments_) {
    if (segment->number() >= durable_through_.segment) target.segments.push_back(segment);
  }
  // A segment without a record yet (its first append failed) is no place that recovery could
  // confirm.
  const bool fresh = position().offset == kLogHeaderBytes && segments_.size() > 1;
  target.position = fresh ? segments_[segments_.size() - 2]->position() : position();
  target.directory = directory_dirty_;
  return target;
}

arrow::Status WriteAheadLog::Sync(const SyncTarget& target) const {
  if (target.directory) ARROW_RETURN_NOT_OK(fs_->SyncDirectory(LogDirectory(directory_)));
  for (const auto& segment : target.segments) {
    // The last one is being written; nothing follows in those before it.
    if (segment != target.segments.back()) segment->EndAppends();
    ARROW_RETURN_NOT_OK(segment->Sync());
  }
  return arrow::Status::OK();
}

void WriteAheadLog::MarkSynced(const SyncTarget& target) {
  if (target.position > durable_through_) durable_through_ = target.position;
  // A segment started since then dirtied the directory again.
  if (target.directory && target.segments.back() == current()) directory_dirty_ = false;
}

std::vector<WriteAheadLog::Retired> WriteAheadLog::TakeRetired(uint64_t log_start) {
  std::vector<Retired> all;
  while (segments_.size() > 1 && segments_.front()->number() < log_start) {
    Retired retired;
    retired.segment = std::move(segments_.front());
    segments_.pop_front();
    full_bytes_ -= retired.segment->capacity();
    // A sync that is under way may still hold the segment; it closes when that lets go.
    const auto spares = static_cast<int64_t>(spares_.size() + all.size());
    if (retired.segment->capacity() == segment_bytes_ &&
        (spares + 1) * segment_bytes_ <= std::max(kSparesBytesMax, segment_bytes_) &&
        retired.segment.use_count() == 1) {
      retired.spare = SpareSegmentPath(directory_, next_spare_++);
    }
    all.push_back(std::move(retired));
  }
  return all;
}

arrow::Status WriteAheadLog::Recycle(std::vector<Retired>* retired) const {
  for (Retired& old : *retired) {
    const std::string path = LogSegmentPath(directory_, old.segment->number());
    if (old.spare.empty()) {
      ARROW_RETURN_NOT_OK(fs_->Remove(path));
    } else {
      ARROW_RETURN_NOT_OK(old.segment->Close());
      ARROW_RETURN_NOT_OK(fs_->Rename(path, old.spare));
    }
    // Giving the memory of a removed file back takes milliseconds.
    old.segment.reset();
  }
  return arrow::Status::OK();
}

void WriteAheadLog::AddSpares(const std::vector<Retired>& retired) {
  for (const Retired& old : retired) {
    if (!old.spare.empty()) spares_.push_back(old.spare);
  }
}

arrow::Status WriteAheadLog::Close(bool remove) {
  for (const auto& segment : segments_) ARROW_RETURN_NOT_OK(segment->Close());
  if (remove) {
    for (const auto& segment : segments_) {
      ARROW_RETURN_NOT_OK(fs_->Remove(LogSegmentPath(directory_, segment->number())));
    }
    for (const std::string& spare : spares_) ARROW_RETURN_NOT_OK(fs_->Remove(spare));
    spares_.clear();
  }
  return arrow::Status::OK();
}

}  // namespace marble

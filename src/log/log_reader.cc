#include "log/log_reader.h"

#include <algorithm>
#include <utility>

#include <marble/error.h>

#include "base/checksum.h"
#include "base/coding.h"

namespace marble {

namespace {

constexpr int64_t kPieceBytes = 1 << 20;
/// FindAfter gives up when false headers have made the reader hash the file this many times over,
/// in all calls together. Records do not overlap in an honest file, so once would do, and stale
/// records beside live ones make it a little more.
constexpr int64_t kHashedTimes = 64;

bool IsAligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % kLogAlignment == 0;
}

}  // namespace

arrow::Result<std::unique_ptr<LogReader>> LogReader::Open(std::shared_ptr<ReadableFile> file,
                                                          const std::string& path, LogFileKind kind,
                                                          const Uuid* uuid, uint64_t number) {
  std::unique_ptr<LogReader> reader(new LogReader);
  reader->file_ = std::move(file);
  const int64_t available = std::min(reader->file_->size(), kLogHeaderBytes);
  ARROW_RETURN_NOT_OK(reader->Load(0, available));
  const std::string_view bytes(reader->At(0), static_cast<size_t>(available));
  ARROW_ASSIGN_OR_RAISE(reader->header_, DecodeLogFileHeader(bytes, path));
  const LogFileHeader& header = reader->header_;
  if (header.kind != kind) {
    return CorruptionError(path, 0, "a log file of another kind stands here");
  }
  if (uuid != nullptr && header.uuid != *uuid) {
    return CorruptionError(
        path, 0, "the file belongs to database " + ToHex(header.uuid) + ", not to " + ToHex(*uuid));
  }
  if (header.number != number) {
    return CorruptionError(path, 0,
                           "the file says it is number " + std::to_string(header.number) +
                               ", not " + std::to_string(number));
  }
  reader->offset_ = kLogHeaderBytes;
  return reader;
}

arrow::Status LogReader::Load(int64_t offset, int64_t length) {
  if (piece_ != nullptr && offset >= piece_offset_ &&
      offset + length <= piece_offset_ + piece_->size()) {
    return arrow::Status::OK();
  }
  const int64_t wanted = std::max(length, std::min(kPieceBytes, file_->size() - offset));
  ARROW_ASSIGN_OR_RAISE(piece_, file_->Read(offset, wanted));
  piece_offset_ = offset;
  return arrow::Status::OK();
}

const char* LogReader::At(int64_t offset) const {
  return reinterpret_cast<const char*>(piece_->data()) + (offset - piece_offset_);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> LogReader::Payload(int64_t offset,
                                                                 int64_t length) const {
  if (IsAligned(At(offset))) return arrow::SliceBuffer(piece_, offset - piece_offset_, length);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> copy, arrow::AllocateBuffer(length));
  std::copy_n(At(offset), length, reinterpret_cast<char*>(copy->mutable_data()));
  return copy;
}

arrow::Result<std::unique_ptr<LogRecord>> LogReader::ReadAt(int64_t offset) {
  if (file_->size() - offset < kLogRecordHeaderBytes) return nullptr;
  ARROW_RETURN_NOT_OK(Load(offset, kLogRecordHeaderBytes));
  LogRecordHeader header;
  uint64_t checksum;
  if (!DecodeLogRecordHeader(At(offset), &header, &checksum) || !IsOfThisKind(header)) {
    return nullptr;
  }
  // The length may be any number: compared before it is used.
  const int64_t room = file_->size() - offset - kLogRecordHeaderBytes;
  if (header.payload_bytes > static_cast<uint64_t>(room)) return nullptr;
  const int64_t bytes = LogRecordBytes(header.payload_bytes);
  if (bytes > file_->size() - offset) return nullptr;
  ARROW_RETURN_NOT_OK(Load(offset, bytes));
  hashed_ += bytes;
  const std::string_view payload(At(offset + kLogRecordHeaderBytes), header.payload_bytes);
  const std::string_view checked(At(offset), static_cast<size_t>(kLogRecordCheckedBytes));
  const uint64_t seed = RecordSeed(LogSeed(header_), static_cast<uint64_t>(offset));
  if (ChecksumOfParts(checked, {&payload, 1}, seed) != checksum) return nullptr;
  const int64_t padding = bytes - kLogRecordHeaderBytes - static_cast<int64_t>(payload.size());
  if (!IsZero({payload.data() + payload.size(), static_cast<size_t>(padding)})) return nullptr;
  auto record = std::make_unique<LogRecord>();
  record->header = header;
  record->begin = {header_.number, static_cast<uint64_t>(offset)};
  record->end = {header_.number, static_cast<uint64_t>(offset + bytes)};
  ARROW_ASSIGN_OR_RAISE(record->payload, Payload(offset + kLogRecordHeaderBytes,
                                                 static_cast<int64_t>(payload.size())));
  return record;
}

arrow::Result<std::unique_ptr<LogRecord>> LogReader::Next() {
  ARROW_ASSIGN_OR_RAISE(auto record, ReadAt(offset_));
  if (record != nullptr) offset_ = static_cast<int64_t>(record->end.offset);
  return record;
}

LogPosition LogReader::stopped_at() const {
  return {header_.number, static_cast<uint64_t>(offset_)};
}

arrow::Result<int64_t> LogReader::TornBytes(uint64_t offset, uint64_t last_sequence) {
  const auto at = static_cast<int64_t>(offset);
  if (file_->size() - at < kLogRecordHeaderBytes) return 0;
  ARROW_RETURN_NOT_OK(Load(at, kLogRecordHeaderBytes));
  LogRecordHeader header;
  uint64_t checksum;
  if (!DecodeLogRecordHeader(At(at), &header, &checksum)) return 0;
  const int64_t room = file_->size() - at - kLogRecordHeaderBytes;
  if (header.first_sequence <= last_sequence) return 0;
  if (header.payload_bytes > static_cast<uint64_t>(room)) return 0;
  return LogRecordBytes(header.payload_bytes);
}

bool LogReader::IsOfThisKind(const LogRecordHeader& header) const {
  return (header.kind == LogRecordKind::kCommit) == (header_.kind == LogFileKind::kSegment);
}

bool LogReader::IsPlausible(const LogRecordHeader& header, int64_t offset) const {
  if (!IsOfThisKind(header)) return false;
  const bool is_commit = header.kind == LogRecordKind::kCommit;
  const LogPosition here{header_.number, static_cast<uint64_t>(offset)};
  return !is_commit || (header.count > 0 && header.durable_through <= here &&
                        header.durable_through.offset % kLogAlignment == 0);
}

arrow::Result<std::unique_ptr<LogRecord>> LogReader::FindAfter(uint64_t offset,
                                                               uint64_t last_sequence) {
  if (offset >= static_cast<uint64_t>(file_->size())) return nullptr;
  const auto start = std::max(static_cast<int64_t>(offset), kLogHeaderBytes);
  for (int64_t at = (start + kLogAlignment - 1) / kLogAlignment * kLogAlignment;
       file_->size() - at >= kLogRecordHeaderBytes; at += kLogAlignment) {
    ARROW_RETURN_NOT_OK(Load(at, kLogRecordHeaderBytes));
    LogRecordHeader header;
    uint64_t checksum;
    if (!DecodeLogRecordHeader(At(at), &header, &checksum) || !IsPlausible(header, at)) continue;
    if (last_sequence > 0 && header.first_sequence <= last_sequence) continue;
    ARROW_ASSIGN_OR_RAISE(auto record, ReadAt(at));
    if (record != nullptr) return record;
    if (hashed_ / kHashedTimes > file_->size()) {
      gave_up_ = true;
      break;
    }
  }
  return nullptr;
}

}  // namespace marble

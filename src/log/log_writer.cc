#include "log/log_writer.h"

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/checksum.h"

namespace marble {

namespace {

/// Records up to this size are put together on the stack and written in one piece.
constexpr size_t kSmallRecordBytes = 4096;
constexpr char kZeros[kLogAlignment] = {};

uint64_t TotalBytes(std::span<const std::string_view> parts) {
  uint64_t total = 0;
  for (const std::string_view part : parts) total += part.size();
  return total;
}

std::string_view Padding(uint64_t payload_bytes) {
  const auto used = static_cast<uint64_t>(kLogRecordHeaderBytes) + payload_bytes;
  return {kZeros, static_cast<size_t>(LogRecordBytes(payload_bytes)) - used};
}

}  // namespace

arrow::Result<std::unique_ptr<SegmentWriter>> SegmentWriter::Start(
    std::unique_ptr<SegmentFile> file, const LogFileHeader& header) {
  if (file->capacity() < kLogHeaderBytes) {
    return arrow::Status::Invalid("a log segment of ", file->capacity(),
                                  " bytes has no room for its header");
  }
  std::unique_ptr<SegmentWriter> writer(new SegmentWriter(std::move(file), header));
  const std::string bytes = EncodeLogFileHeader(header);
  const std::string_view part = bytes;
  ARROW_RETURN_NOT_OK(writer->file_->Write(0, {&part, 1}, WriteVia::kSystemCall));
  writer->offset_ = kLogHeaderBytes;
  return writer;
}

bool SegmentWriter::Fits(uint64_t payload_bytes) const {
  const int64_t room = capacity() - offset_;
  // The first test keeps the second from overflowing.
  return payload_bytes <= static_cast<uint64_t>(capacity()) &&
         LogRecordBytes(payload_bytes) <= room;
}

arrow::Result<LogPosition> SegmentWriter::Append(const LogRecordHeader& header,
                                                 std::span<const std::string_view> parts,
                                                 WriteVia via) {
  LogRecordHeader full = header;
  full.payload_bytes = TotalBytes(parts);
  if (full.payload_bytes + kLogRecordHeaderBytes <= kSmallRecordBytes) {
    ARROW_RETURN_NOT_OK(AppendSmall(full, parts, via));
  } else {
    ARROW_RETURN_NOT_OK(AppendLarge(full, parts, via));
  }
  offset_ += LogRecordBytes(full.payload_bytes);
  if (first_sequence_ == 0) first_sequence_ = header.first_sequence;
  return position();
}

arrow::Status SegmentWriter::AppendSmall(const LogRecordHeader& header,
                                         std::span<const std::string_view> parts, WriteVia via) {
  alignas(kLogAlignment) char record[kSmallRecordBytes];
  char* const payload = record + kLogRecordHeaderBytes;
  // The checked part of the header stands just before the payload for a moment, so that one pass
  // over adjacent bytes gives the checksum. What of the header lies behind it gives way to the
  // payload.
  char* const checked = payload - kLogRecordCheckedBytes;
  EncodeLogRecordHeader(header, 0, checked);
  char* end = payload;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    std::memcpy(end, part.data(), part.size());
    end += part.size();
  }
  const uint64_t checksum = Checksum({checked, static_cast<size_t>(end - checked)},
                                     RecordSeed(seed_, static_cast<uint64_t>(offset_)));
  const std::string_view padding = Padding(header.payload_bytes);
  std::memcpy(end, padding.data(), padding.size());
  EncodeLogRecordHeader(header, checksum, record);
  const std::string_view whole(record, static_cast<size_t>(end - record) + padding.size());
  return file_->Write(offset_, {&whole, 1}, via);
}

arrow::Status SegmentWriter::AppendLarge(const LogRecordHeader& header,
                                         std::span<const std::string_view> parts, WriteVia via) {
  char bytes[kLogRecordHeaderBytes];
  EncodeLogRecordHeader(header, 0, bytes);
  const uint64_t checksum =
      ChecksumOfParts({bytes, static_cast<size_t>(kLogRecordCheckedBytes)}, parts,
                      RecordSeed(seed_, static_cast<uint64_t>(offset_)));
  EncodeLogRecordHeader(header, checksum, bytes);
  std::vector<std::string_view> all;
  all.reserve(parts.size() + 2);
  all.emplace_back(bytes, sizeof(bytes));
  all.insert(all.end(), parts.begin(), parts.end());
  all.push_back(Padding(header.payload_bytes));
  return file_->Write(offset_, all, via);
}

arrow::Status SegmentWriter::Sync() { return file_->Sync(); }

arrow::Status SegmentWriter::Close() { return file_->Close(); }

arrow::Result<std::unique_ptr<ManifestWriter>> ManifestWriter::Start(
    std::unique_ptr<WritableFile> file, const LogFileHeader& header) {
  std::unique_ptr<ManifestWriter> writer(new ManifestWriter(std::move(file), header));
  ARROW_RETURN_NOT_OK(writer->file_->Append(EncodeLogFileHeader(header)));
  writer->offset_ = kLogHeaderBytes;
  return writer;
}

arrow::Status ManifestWriter::AppendAndSync(const LogRecordHeader& header,
                                            std::string_view payload) {
  LogRecordHeader full = header;
  full.payload_bytes = payload.size();
  char bytes[kLogRecordHeaderBytes];
  EncodeLogRecordHeader(full, 0, bytes);
  const uint64_t checksum =
      ChecksumOfParts({bytes, static_cast<size_t>(kLogRecordCheckedBytes)}, {&payload, 1},
                      RecordSeed(seed_, static_cast<uint64_t>(offset_)));
  EncodeLogRecordHeader(full, checksum, bytes);
  ARROW_RETURN_NOT_OK(file_->Append({bytes, sizeof(bytes)}));
  ARROW_RETURN_NOT_OK(file_->Append(payload));
  ARROW_RETURN_NOT_OK(file_->Append(Padding(payload.size())));
  ARROW_RETURN_NOT_OK(file_->Sync());
  offset_ += LogRecordBytes(payload.size());
  return arrow::Status::OK();
}

arrow::Status ManifestWriter::Close() { return file_->Close(); }

}  // namespace marble

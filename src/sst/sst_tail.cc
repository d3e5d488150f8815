#include "sst/sst_tail.h"

#include <algorithm>
#include <cstring>

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/util/key_value_metadata.h>

#include <marble/error.h>

#include "base/checksum.h"
#include "base/coding.h"

namespace marble {

namespace {

constexpr int64_t kFirstRead = 64 * 1024;

// The bytes from the page checksum section to the end of the file, and where they start.
arrow::Result<std::shared_ptr<arrow::Buffer>> ReadTailBytes(ReadableFile* file,
                                                            const std::string& path,
                                                            int64_t* start) {
  const int64_t size = file->size();
  const int64_t first_read = std::min(size, kFirstRead);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> end,
                        file->Read(size - first_read, first_read));
  if (size < kIpcTrailerBytes ||
      std::memcmp(end->data() + first_read - kIpcMagicBytes, kIpcMagic, kIpcMagicBytes) != 0) {
    return CorruptionError(path, std::max<int64_t>(0, size - kIpcMagicBytes),
                           "the file does not end with Arrow's magic");
  }
  const auto footer_length = LoadLittle<int32_t>(end->data() + first_read - kIpcTrailerBytes);
  const std::optional<int64_t> tail_start = TailStart(size, footer_length);
  if (!tail_start.has_value()) {
    return CorruptionError(path, size - kIpcTrailerBytes,
                           "the length of the footer cannot be right");
  }
  *start = *tail_start;
  const int64_t tail_bytes = size - *start;
  if (tail_bytes <= first_read) return arrow::SliceBuffer(end, first_read - tail_bytes, tail_bytes);
  return file->Read(*start, tail_bytes);
}

// One entry of the footer's metadata; "" if it is not there, which no entry of ours is.
std::string Find(const arrow::KeyValueMetadata* metadata, const char* key) {
  const int at = metadata == nullptr ? -1 : metadata->FindKey(key);
  return at < 0 ? std::string() : metadata->value(at);
}

// "ignore,read,refuse": true if every flag that must be understood for reading is.
bool MayRead(const std::string& flags, bool* well_formed) {
  const size_t first = flags.find(',');
  const size_t second = first == std::string::npos ? first : flags.find(',', first + 1);
  if (second == std::string::npos) return *well_formed = false;
  const auto refuse = ParseDecimal(std::string_view(flags).substr(second + 1));
  *well_formed = refuse.has_value();
  return refuse == 0;
}

arrow::Status CheckVersion(const arrow::KeyValueMetadata* metadata, const std::string& path,
                           int64_t offset) {
  const auto version = ParseDecimal(Find(metadata, kMetadataVersion));
  if (!version.has_value() || *version == 0) {
    return CorruptionError(path, offset, "the footer has no format version");
  }
  if (*version > kSstVersion) {
    return IncompatibleFormatError(path, "format version " + std::to_string(*version) +
                                             " is newer than " + std::to_string(kSstVersion));
  }
  bool well_formed = false;
  const std::string flags = Find(metadata, kMetadataFlags);
  if (!MayRead(flags, &well_formed)) {
    if (!well_formed) return CorruptionError(path, offset, "the footer's flags are malformed");
    return IncompatibleFormatError(
        path, "it uses features unknown to this version (flags " + flags + ")");
  }
  return arrow::Status::OK();
}

std::optional<std::vector<int>> ParseKeyColumns(std::string_view text, int fields) {
  std::vector<int> columns;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const auto column = ParseDecimal(text.substr(0, comma));
    if (!column.has_value() || *column >= static_cast<uint64_t>(fields)) return std::nullopt;
    columns.push_back(static_cast<int>(*column));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return columns;
}

arrow::Result<SstIdentity> ReadIdentity(const arrow::KeyValueMetadata* metadata,
                                        const std::string& path, int64_t offset, int fields) {
  SstIdentity identity;
  identity.uuid = Find(metadata, kMetadataUuid);
  const auto unique_id = ParseDecimal(Find(metadata, kMetadataUniqueId));
  const auto schema_version = ParseDecimal(Find(metadata, kMetadataSchemaVersion));
  if (!unique_id.has_value() || !schema_version.has_value()) {
    return CorruptionError(path, offset, "the footer has no id or no schema version");
  }
  identity.unique_id = *unique_id;
  identity.schema_version = static_cast<uint32_t>(*schema_version);
  identity.newest_sequence = ParseDecimal(Find(metadata, kMetadataNewestSequence)).value_or(0);
  const auto table_id = ParseDecimal(Find(metadata, kMetadataTableId));
  if (!table_id.has_value()) return identity;
  identity.table_id = static_cast<uint32_t>(*table_id);
  identity.table_name = Find(metadata, kMetadataTableName);
  identity.key_columns = ParseKeyColumns(Find(metadata, kMetadataKeyColumns), fields);
  return identity;
}

arrow::Status CheckIdentity(const SstIdentity& identity, const std::string& path, int64_t offset,
                            const Uuid& uuid, const FileMeta& meta) {
  if (identity.uuid != ToHex(uuid)) {
    return CorruptionError(path, offset, "the file belongs to another database");
  }
  if (identity.unique_id != meta.unique_id) {
    return CorruptionError(path, offset, "this is not the file that the manifest names");
  }
  if (identity.schema_version != meta.schema_version) {
    return CorruptionError(path, offset, "the schema version is not the manifest's");
  }
  return arrow::Status::OK();
}

// Every section lies in front of the tail, except the page checksums, which begin it.
arrow::Status CheckSections(const SstTail& tail) {
  for (const auto& [name, location] : tail.sections) {
    const bool is_checksums = name == kSectionPageChecksums;
    const auto checksum_bytes = static_cast<int64_t>(tail.page_checksums.size() * sizeof(uint64_t));
    if (is_checksums && (location.offset != tail.start || location.length != checksum_bytes)) {
      return arrow::Status::Invalid("the page checksums are not where they must be");
    }
    if (!is_checksums && (location.offset % kSstSectionAlignment != 0 ||
                          location.offset > tail.start - location.length)) {
      return arrow::Status::Invalid("section '", name, "' is out of place");
    }
  }
  for (const char* name : {kSectionBlockIndex, kSectionZoneMaps, kSectionPageChecksums}) {
    if (!tail.sections.contains(name)) {
      return arrow::Status::Invalid("section '", name, "' is missing");
    }
  }
  return arrow::Status::OK();
}

// The tail from its bytes, which start at `start`.
arrow::Result<SstTail> ParseTail(const std::shared_ptr<arrow::Buffer>& bytes, int64_t start,
                                 const std::string& path) {
  SstTail tail;
  tail.start = start;
  tail.checksum = Checksum(std::string_view(*bytes));
  const int64_t pages = (tail.start + kSstPageBytes - 1) / kSstPageBytes;
  tail.page_checksums.resize(pages);
  std::memcpy(tail.page_checksums.data(), bytes->data(), pages * sizeof(uint64_t));

  // Arrow finds the footer from the end of what it is given, so the tail alone will do.
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  const auto reader = arrow::ipc::RecordBatchFileReader::Open(
      std::make_shared<arrow::io::BufferReader>(bytes), bytes->size(), options);
  if (!reader.ok()) return CorruptionError(path, tail.start, reader.status().message());
  const auto metadata = (*reader)->metadata();
  ARROW_RETURN_NOT_OK(CheckVersion(metadata.get(), path, tail.start));
  tail.schema = (*reader)->schema();
  tail.record_batches = (*reader)->num_record_batches();
  ARROW_ASSIGN_OR_RAISE(tail.identity,
                        ReadIdentity(metadata.get(), path, tail.start, tail.schema->num_fields()));
  auto sections = DecodeSectionDirectory(Find(metadata.get(), kMetadataSections));
  if (!sections.ok()) return CorruptionError(path, tail.start, sections.status().message());
  tail.sections = sections.MoveValueUnsafe();
  const arrow::Status layout = CheckSections(tail);
  if (!layout.ok()) return CorruptionError(path, tail.start, layout.message());
  return tail;
}

arrow::Result<SstTail> ReadTailOf(ReadableFile* file, const std::string& path, const Uuid& uuid,
                                  const FileMeta& meta, bool must_be_proven) {
  if (static_cast<uint64_t>(file->size()) != meta.size) {
    return CorruptionError(path, -1,
                           "the file has " + std::to_string(file->size()) + " bytes and not " +
                               std::to_string(meta.size));
  }
  int64_t start = 0;
  ARROW_ASSIGN_OR_RAISE(const auto bytes, ReadTailBytes(file, path, &start));
  if (must_be_proven && Checksum(std::string_view(*bytes)) != meta.tail_checksum) {
    return CorruptionError(path, start, "checksum mismatch in page checksums and footer");
  }
  ARROW_ASSIGN_OR_RAISE(SstTail tail, ParseTail(bytes, start, path));
  ARROW_RETURN_NOT_OK(CheckIdentity(tail.identity, path, start, uuid, meta));
  return tail;
}

}  // namespace

arrow::Result<SstTail> ReadSstTail(ReadableFile* file, const std::string& path, const Uuid& uuid,
                                   const FileMeta& meta) {
  return ReadTailOf(file, path, uuid, meta, /*must_be_proven=*/true);
}

arrow::Result<SstTail> ReadUnprovenSstTail(ReadableFile* file, const std::string& path,
                                           const Uuid& uuid, const FileMeta& meta) {
  return ReadTailOf(file, path, uuid, meta, /*must_be_proven=*/false);
}

arrow::Result<SstTail> ReadLoneSstTail(ReadableFile* file, const std::string& path) {
  int64_t start = 0;
  ARROW_ASSIGN_OR_RAISE(const auto bytes, ReadTailBytes(file, path, &start));
  return ParseTail(bytes, start, path);
}

}  // namespace marble

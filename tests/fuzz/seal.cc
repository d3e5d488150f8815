#include "fuzz/seal.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "base/checksum.h"
#include "base/coding.h"
#include "io/memory_file_system.h"
#include "log/log_format.h"
#include "sst/sst_format.h"
#include "sst/sst_tail.h"
#include "tree/version_edit.h"

namespace marble::fuzz {

namespace {

constexpr size_t kHeaderChecked = 56;
constexpr size_t kUuidAt = 16;
constexpr size_t kNumberAt = 32;
constexpr size_t kMustKnowAt = 52;
constexpr size_t kRecordChecksumAt = 48;
constexpr size_t kRecordZerosAt = 56;
constexpr size_t kSstTrailerBytes = 10;

/// Bytes of the record at `offset` with its padding; 0 if there is none that lies in the file.
size_t RecordBytes(const std::string& bytes, size_t offset) {
  if (bytes.size() < offset + kLogRecordHeaderBytes) return 0;
  const auto payload = LoadLittle<uint64_t>(bytes.data() + offset);
  const auto kind = LoadLittle<uint64_t>(bytes.data() + offset + 8);
  if (kind == 0 || payload > bytes.size()) return 0;
  const auto length = static_cast<size_t>(LogRecordBytes(payload));
  return length > bytes.size() - offset ? 0 : length;
}

/// Of any bytes: what a reader that takes the header would seed the records with.
uint64_t SeedOf(std::string_view file) {
  LogFileHeader header;
  std::copy_n(file.data() + kUuidAt, header.uuid.size(),
              reinterpret_cast<char*>(header.uuid.data()));
  header.number = LoadLittle<uint64_t>(file.data() + kNumberAt);
  header.seeded_with_uuid = (LoadLittle<uint16_t>(file.data() + kMustKnowAt) & 1) != 0;
  return LogSeed(header);
}

void SealRecord(uint64_t seed, size_t offset, std::string* bytes) {
  char* record = bytes->data() + offset;
  const auto payload = LoadLittle<uint64_t>(record);
  const size_t end = kLogRecordHeaderBytes + payload;
  std::fill(record + end, record + LogRecordBytes(payload), '\0');
  StoreLittle(record + kRecordZerosAt, uint64_t{0});
  const std::string_view part(record + kLogRecordHeaderBytes, payload);
  const std::string_view checked(record, kLogRecordCheckedBytes);
  StoreLittle(record + kRecordChecksumAt,
              ChecksumOfParts(checked, {&part, 1}, RecordSeed(seed, offset)));
}

void SealHeader(std::string* bytes) {
  StoreLittle(bytes->data() + kHeaderChecked,
              Checksum(std::string_view(*bytes).substr(0, kHeaderChecked)));
}

/// What a footer says of its file; nothing where there is none.
void DescribeFile(const std::string& bytes, FileMeta* meta) {
  MemoryFileSystem fs;
  auto file = fs.CreateWritable("/f");
  if (!file.ok() || !(*file)->Append(bytes).ok() || !(*file)->Close().ok()) return;
  auto readable = fs.OpenReadable("/f");
  if (!readable.ok()) return;
  const auto tail = ReadLoneSstTail(readable->get(), "/f");
  meta->size = bytes.size();
  if (!tail.ok()) return;
  meta->tail_checksum = tail->checksum;
  meta->unique_id = tail->identity.unique_id;
}

/// The payload of an edit with the files' sizes and checksums as they are.
std::string Retold(const std::map<uint64_t, std::string>& ssts, std::string_view payload) {
  auto edit = DecodeVersionEdit(payload);
  if (!edit.ok()) return std::string(payload);
  for (TableEdit& table : edit->tables) {
    for (AddedFile& added : table.added) {
      const auto found = ssts.find(added.meta.number);
      if (found != ssts.end()) DescribeFile(found->second, &added.meta);
    }
  }
  return EncodeVersionEdit(*edit);
}

}  // namespace

void SealLog(std::string* bytes) {
  if (bytes->size() < static_cast<size_t>(kLogHeaderBytes)) return;
  SealHeader(bytes);
  const uint64_t seed = SeedOf(*bytes);
  size_t offset = kLogHeaderBytes;
  while (const size_t length = RecordBytes(*bytes, offset)) {
    SealRecord(seed, offset, bytes);
    offset += length;
  }
}

void SealSst(std::string* bytes) {
  const auto size = static_cast<int64_t>(bytes->size());
  if (bytes->size() < kSstTrailerBytes) return;
  const auto footer = LoadLittle<int32_t>(bytes->data() + size - kSstTrailerBytes);
  const auto start = TailStart(size, footer);
  if (!start.has_value()) return;
  for (int64_t page = 0; page * kSstPageBytes < *start; ++page) {
    const int64_t at = page * kSstPageBytes;
    const std::string_view covered(bytes->data() + at,
                                   static_cast<size_t>(std::min(kSstPageBytes, *start - at)));
    StoreLittle(bytes->data() + *start + 8 * page, Checksum(covered, PageSeed(page)));
  }
}

void SealCurrent(size_t manifest_bytes, std::string* text) {
  const size_t clean = text->find(" clean ");
  if (clean != std::string::npos) {
    text->resize(clean + 7);
    *text += std::to_string(manifest_bytes) + " ";
  } else {
    text->resize(text->rfind(' ') == std::string::npos ? 0 : text->rfind(' ') + 1);
  }
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof(digits), Checksum(*text), 16);
  text->append(digits, end.ptr).append("\n");
}

void SealManifest(const std::map<uint64_t, std::string>& ssts, std::string* bytes) {
  if (bytes->size() < static_cast<size_t>(kLogHeaderBytes)) return;
  std::string out = bytes->substr(0, kLogHeaderBytes);
  SealHeader(&out);
  const uint64_t seed = SeedOf(out);
  size_t offset = kLogHeaderBytes;
  while (const size_t length = RecordBytes(*bytes, offset)) {
    const auto payload_bytes = LoadLittle<uint64_t>(bytes->data() + offset);
    std::string record = bytes->substr(offset, kLogRecordHeaderBytes);
    const std::string payload = Retold(
        ssts, std::string_view(*bytes).substr(offset + kLogRecordHeaderBytes, payload_bytes));
    StoreLittle(record.data(), static_cast<uint64_t>(payload.size()));
    record += payload;
    record.resize(static_cast<size_t>(LogRecordBytes(payload.size())));
    const size_t at = out.size();
    out += record;
    SealRecord(seed, at, &out);
    offset += length;
  }
  out.append(*bytes, offset, std::string::npos);
  *bytes = std::move(out);
}

}  // namespace marble::fuzz

#include "log/log_format.h"

#include <algorithm>
#include <cstring>

#include <marble/error.h>

#include "base/checksum.h"
#include "base/coding.h"

namespace marble {

namespace {

constexpr size_t kHeaderBytes = kLogHeaderBytes;
constexpr size_t kHeaderChecked = 56;
constexpr size_t kVersionAt = 8;
constexpr size_t kKindAt = 12;
constexpr size_t kUuidAt = 16;
constexpr size_t kNumberAt = 32;
constexpr size_t kPredecessorAt = 40;
constexpr size_t kMayOnlyReadAt = 50;  // the second of three flag words; the first may be ignored
constexpr size_t kMustRefuseAt = 52;
constexpr uint16_t kSeededWithUuid = 1;  // in the word of what must be known

constexpr size_t kRecordKindAt = 8;
constexpr size_t kRecordSequenceAt = 16;
constexpr size_t kRecordCountAt = 24;
constexpr size_t kRecordDurableAt = 32;
constexpr size_t kRecordChecksumAt = 48;
constexpr size_t kRecordZerosAt = 56;

/// The finalizer of splitmix64: every input bit reaches every output bit.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t LogSeed(const LogFileHeader& header) {
  const uint64_t seed = Mix(header.number);
  if (!header.seeded_with_uuid) return seed;
  const uint8_t* const uuid = header.uuid.data();
  return Mix(Mix(seed ^ LoadLittle<uint64_t>(uuid)) ^ LoadLittle<uint64_t>(uuid + 8));
}

uint64_t RecordSeed(uint64_t log_seed, uint64_t offset) { return Mix(log_seed ^ offset); }

std::string EncodeLogFileHeader(const LogFileHeader& header) {
  std::string bytes(kHeaderBytes, '\0');
  char* out = bytes.data();
  std::memcpy(out, kLogMagic, sizeof(kLogMagic));
  StoreLittle(out + kVersionAt, kFormatVersion);
  StoreLittle(out + kKindAt, static_cast<uint32_t>(header.kind));
  std::memcpy(out + kUuidAt, header.uuid.data(), header.uuid.size());
  StoreLittle(out + kNumberAt, header.number);
  StoreLittle(out + kPredecessorAt, header.predecessor);
  StoreLittle(out + kMayOnlyReadAt, static_cast<uint16_t>(header.may_only_read ? 1 : 0));
  const uint16_t needed = header.seeded_with_uuid ? kSeededWithUuid : 0;
  StoreLittle(out + kMustRefuseAt, needed);
  StoreLittle(out + kHeaderChecked, Checksum(std::string_view(bytes).substr(0, kHeaderChecked)));
  return bytes;
}

arrow::Result<LogFileHeader> DecodeLogFileHeader(std::string_view bytes, const std::string& path) {
  if (bytes.size() < kHeaderBytes) {
    return CorruptionError(path, 0, "the file is shorter than its header");
  }
  bytes = bytes.substr(0, kHeaderBytes);
  if (IsZero(bytes)) return CorruptionError(path, 0, "the file header was never written");
  const char* in = bytes.data();
  if (std::memcmp(in, kLogMagic, sizeof(kLogMagic)) != 0) {
    return CorruptionError(path, 0, "this is not the header of a Marble log file");
  }
  // Before the version, so that damage to the version is not taken for a newer one.
  if (LoadLittle<uint64_t>(in + kHeaderChecked) != Checksum(bytes.substr(0, kHeaderChecked))) {
    return CorruptionError(path, 0, "the file header does not match its checksum");
  }
  const auto version = LoadLittle<uint32_t>(in + kVersionAt);
  if (version != kFormatVersion) {
    return IncompatibleFormatError(path, "format version " + std::to_string(version) +
                                             "; this program knows version " +
                                             std::to_string(kFormatVersion));
  }
  const auto flags = LoadLittle<uint16_t>(in + kMustRefuseAt);
  if (const int unknown = flags & ~kSeededWithUuid; unknown != 0) {
    return IncompatibleFormatError(path,
                                   "the file needs features that this program does not know"
                                   " (flags " +
                                       std::to_string(unknown) + ")");
  }
  LogFileHeader header;
  const auto kind = LoadLittle<uint32_t>(in + kKindAt);
  if (kind != static_cast<uint32_t>(LogFileKind::kSegment) &&
      kind != static_cast<uint32_t>(LogFileKind::kManifest)) {
    return CorruptionError(path, kKindAt, "unknown file kind " + std::to_string(kind));
  }
  header.kind = static_cast<LogFileKind>(kind);
  std::memcpy(header.uuid.data(), in + kUuidAt, header.uuid.size());
  header.number = LoadLittle<uint64_t>(in + kNumberAt);
  header.predecessor = LoadLittle<uint64_t>(in + kPredecessorAt);
  header.seeded_with_uuid = (flags & kSeededWithUuid) != 0;
  header.may_only_read = LoadLittle<uint16_t>(in + kMayOnlyReadAt) != 0;
  return header;
}

void EncodeLogRecordHeader(const LogRecordHeader& header, uint64_t checksum, char* out) {
  StoreLittle(out, header.payload_bytes);
  StoreLittle(out + kRecordKindAt, static_cast<uint64_t>(header.kind));
  StoreLittle(out + kRecordSequenceAt, header.first_sequence);
  StoreLittle(out + kRecordCountAt, header.count);
  StoreLittle(out + kRecordDurableAt, header.durable_through.segment);
  StoreLittle(out + kRecordDurableAt + sizeof(uint64_t), header.durable_through.offset);
  StoreLittle(out + kRecordChecksumAt, checksum);
  StoreLittle(out + kRecordZerosAt, uint64_t{0});
}

bool DecodeLogRecordHeader(const char* bytes, LogRecordHeader* header, uint64_t* checksum) {
  // The kind with the zeros behind it; and the zeros that no checksum covers.
  const auto kind = LoadLittle<uint64_t>(bytes + kRecordKindAt);
  if (kind < static_cast<uint64_t>(LogRecordKind::kCommit) ||
      kind > static_cast<uint64_t>(LogRecordKind::kCleanEnd)) {
    return false;
  }
  if (LoadLittle<uint64_t>(bytes + kRecordZerosAt) != 0) return false;
  header->kind = static_cast<LogRecordKind>(kind);
  header->payload_bytes = LoadLittle<uint64_t>(bytes);
  header->first_sequence = LoadLittle<uint64_t>(bytes + kRecordSequenceAt);
  header->count = LoadLittle<uint64_t>(bytes + kRecordCountAt);
  header->durable_through.segment = LoadLittle<uint64_t>(bytes + kRecordDurableAt);
  header->durable_through.offset =
      LoadLittle<uint64_t>(bytes + kRecordDurableAt + sizeof(uint64_t));
  *checksum = LoadLittle<uint64_t>(bytes + kRecordChecksumAt);
  return true;
}

}  // namespace marble

// The one record format, used by the write-ahead log (mapped segments) and the manifest
// (docs/formats.md).
// clang-format off
//
//   file header, 64 bytes:
//     0  magic "MRBLLOG1"    8  format version u32   12 file kind u32 (1 log segment, 2 manifest)
//     16 database UUID       32 segment number u64   40 predecessor u64 (0: none)
//     48 flags u16 x 3 (may ignore, may only read, must refuse), 2 zero bytes; bit 0 of the third:
//        records are seeded with the UUID as well
//     56 XXH3-64 of bytes 0..55 (in every version, so that damage is not taken for a newer one)
//   record, 64-byte aligned, the first at 64:
//     0  payload length u64  8  kind u8, 7 zero bytes
//     16 first sequence u64  24 operation count u64
//     32 durable_through: segment u64, offset u64 - the log position known to be synced when it
//        was written
//     48 XXH3-64 of bytes 0..47 and the payload, seeded with RecordSeed(LogSeed(header), offset)
//     56 8 zero bytes (payload is 64-byte aligned when the record is)
//     64 payload, zero-padded to the record alignment
//   Records are 64-byte aligned, so IPC bodies inside keep their alignment. A record whose zero
//   bytes or padding are not zero is not valid, so that every byte of it is checked.
//
// clang-format on
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include <arrow/result.h>

#include "base/uuid.h"

namespace marble {

inline constexpr char kLogMagic[8] = {'M', 'R', 'B', 'L', 'L', 'O', 'G', '1'};
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr int64_t kLogHeaderBytes = 64;
inline constexpr int64_t kLogRecordHeaderBytes = 64;
inline constexpr int64_t kLogAlignment = 64;

enum class LogFileKind : uint32_t { kSegment = 1, kManifest = 2 };

enum class LogRecordKind : uint8_t {
  kCommit = 1,    // write-ahead log: operations
  kEdit = 2,      // manifest: a version edit
  kCleanEnd = 3,  // written by a clean close; nothing follows
};

/// A byte position in the log: segments are ordered by number.
struct LogPosition {
  uint64_t segment = 0;
  uint64_t offset = 0;
  auto operator<=>(const LogPosition&) const = default;
};

struct LogFileHeader {
  LogFileKind kind = LogFileKind::kSegment;
  Uuid uuid{};
  uint64_t number = 0;
  uint64_t predecessor = 0;
  // Records are seeded with the UUID: whoever can store values, but not read the database's files,
  // cannot make a value that passes for a record. Files of older builds are not.
  bool seeded_with_uuid = true;
  // Set by decoding: a newer version asks older ones not to write to this file's database.
  bool may_only_read = false;
};

struct LogRecordHeader {
  LogRecordKind kind = LogRecordKind::kCommit;
  uint64_t payload_bytes = 0;
  uint64_t first_sequence = 0;
  uint64_t count = 0;
  LogPosition durable_through;
};

/// What a file adds to the seeds of its records: of its number and, if its header says so, the
/// UUID.
uint64_t LogSeed(const LogFileHeader& header);
/// Seed of the checksum of the record at `offset`: a record that was copied to another place or
/// file does not verify.
uint64_t RecordSeed(uint64_t log_seed, uint64_t offset);

std::string EncodeLogFileHeader(const LogFileHeader& header);
/// Errors: Corruption, IncompatibleFormat (newer version or a must-refuse flag). `path` is for
/// messages.
arrow::Result<LogFileHeader> DecodeLogFileHeader(std::string_view bytes, const std::string& path);

inline constexpr int64_t kLogRecordCheckedBytes = 48;  // the part of a record header that is hashed

/// Writes the 64 bytes of a record header with this checksum.
void EncodeLogRecordHeader(const LogRecordHeader& header, uint64_t checksum, char* out);
/// Reads the 64 bytes of a record header. False if they are none; whether the record verifies is
/// another question. Any bytes are fine.
bool DecodeLogRecordHeader(const char* bytes, LogRecordHeader* header, uint64_t* checksum);

inline bool IsZero(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) { return c == 0; });
}

/// Bytes a record takes in the file, header and padding included.
inline int64_t LogRecordBytes(uint64_t payload_bytes) {
  return static_cast<int64_t>((kLogRecordHeaderBytes + payload_bytes + kLogAlignment - 1) /
                              kLogAlignment * kLogAlignment);
}

}  // namespace marble

// What the tests of the log share: a path, a number, and headers made from small numbers.
#pragma once

#include "log/log_format.h"

namespace marble {

inline constexpr char kPath[] = "/log";
inline constexpr uint64_t kNumber = 31;

inline Uuid TestUuid() {
  Uuid uuid;
  for (size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<uint8_t>(i + 1);
  return uuid;
}

inline LogFileHeader HeaderOf(LogFileKind kind, uint64_t number) {
  LogFileHeader header;
  header.kind = kind;
  header.uuid = TestUuid();
  header.number = number;
  header.predecessor = number - 1;
  return header;
}

inline LogRecordHeader RecordHeader(uint64_t i) {
  LogRecordHeader header;
  header.first_sequence = 1000 + i;
  header.count = i + 1;
  header.durable_through = {kNumber - 1, 64 * i};
  return header;
}

}  // namespace marble

// What a stored row means. The numbers are on disk in the `_kind` column and never change.
#pragma once

#include <cstdint>

namespace marble {

enum class RowKind : uint8_t {
  kPut = 0,
  kDelete = 1,
  // Reserved, refused when read: 2 merge, 3 value reference, 4 put with expiry, 5 range delete.
};

/// Highest sequence number; a read at it sees everything.
inline constexpr uint64_t kSequenceMax = (uint64_t{1} << 56) - 1;

inline constexpr int64_t kKeyBytesMax = 64 * 1024;
inline constexpr int64_t kValueBytesMax = int64_t{1} << 30;
inline constexpr int kColumnsMax = 4096;

inline constexpr char kSequenceColumn[] = "_sequence";
inline constexpr char kKindColumn[] = "_kind";

}  // namespace marble

// How one key column is encoded: shared by the encoder (key_encoding.cc) and the decoder
// (key_decoding.cc). Internal to the row layer; pure functions, no state.
#pragma once

#include <cstdint>

#include <arrow/result.h>
#include <arrow/type.h>

namespace marble {

/// The rule by which values become bytes (key_encoding.h lists them).
enum class KeyRule : uint8_t {
  kUnsigned,  // also bool, after widening to one byte
  kSigned,    // integers, dates, times, timestamps, durations, decimals of 4 and 8 bytes
  kFloat,     // IEEE bits
  kBool,      // a bitmap in memory, one byte in the key
  kWide,      // decimals of 16 and 32 bytes
  kFixed,     // fixed_size_binary
  kBinary32,  // utf8, binary
  kBinary64,  // large_utf8, large_binary
};

struct KeyColumn {
  KeyRule rule = KeyRule::kUnsigned;
  /// Bytes in the key; 0 if variable.
  int32_t width = 0;

  bool is_binary() const { return rule == KeyRule::kBinary32 || rule == KeyRule::kBinary64; }
};

/// TypeError without a column name if values of `type` cannot be keys.
arrow::Result<KeyColumn> DescribeKeyColumn(const arrow::DataType& type);

/// The byte that follows 0x00 in a key: of the value itself, or the end of the column.
inline constexpr char kEscapedZero = '\xFF';
inline constexpr char kTerminator = '\x01';

}  // namespace marble

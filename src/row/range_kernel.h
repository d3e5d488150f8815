// Which of a column's numbers lie between two others, as a bitmap: what most filters of scans come
// down to. One pass over the values, at the speed of reading them.
#pragma once

#include <cstdint>
#include <cstring>

namespace marble {

enum class NumberType : uint8_t {
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat,
  kDouble,
};

/// [low, high] as two numbers of the column's type, in their first bytes. Empty if low > high.
struct NumberRange {
  NumberType type = NumberType::kInt64;
  uint64_t low = 0;
  uint64_t high = 0;
};

/// Clears bit i of `bits` unless values[i] is in `range` (NaN is in none). Bits from `rows` on stay
/// as they are.
void KeepInRange(const NumberRange& range, const void* values, int64_t rows, uint64_t* bits);

/// The same with 256-bit registers; only where HasAvx2() (base/checksum_avx2.h).
void KeepInRangeAvx2(const NumberRange& range, const void* values, int64_t rows, uint64_t* bits);

}  // namespace marble

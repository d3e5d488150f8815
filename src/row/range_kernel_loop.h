// The loop of range_kernel.h, compiled twice: for every x86-64, and with -mavx2. It uses nothing
// that another file might share with it, because the linker keeps one copy of what is shared. The
// names are of the file that includes it.
#pragma once

#include "row/range_kernel.h"

namespace marble {
namespace {

template <typename T>
struct RangeLoop {
  /// Bit i: values[i] is in [low, high], for i < count <= 64. Flags of a byte each are what
  /// compilers make vectors of; a multiplication gathers eight of them.
  static uint64_t Word(const T* values, int count, T low, T high) {
    uint8_t flags[64] = {};
    if (count == 64) {
      for (int i = 0; i < 64; ++i) flags[i] = (values[i] >= low) & (values[i] <= high);
    } else {
      for (int i = 0; i < count; ++i) flags[i] = (values[i] >= low) & (values[i] <= high);
    }
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) {
      uint64_t eight;
      __builtin_memcpy(&eight, flags + 8 * i, 8);
      word |= (eight * 0x0102040810204080u >> 56) << (8 * i);
    }
    return word;
  }

  static void Keep(const NumberRange& range, const void* from, int64_t rows, uint64_t* bits) {
    const T* values = static_cast<const T*>(from);
    T low;
    T high;
    __builtin_memcpy(&low, &range.low, sizeof(T));
    __builtin_memcpy(&high, &range.high, sizeof(T));
    int64_t row = 0;
    for (; row + 64 <= rows; row += 64) *bits++ &= Word(values + row, 64, low, high);
    const int rest = static_cast<int>(rows - row);
    if (rest > 0) *bits &= Word(values + row, rest, low, high) | ~uint64_t{0} << rest;
  }
};

inline void KeepByType(const NumberRange& range, const void* values, int64_t rows, uint64_t* bits) {
  switch (range.type) {
    case NumberType::kInt8:
      return RangeLoop<int8_t>::Keep(range, values, rows, bits);
    case NumberType::kInt16:
      return RangeLoop<int16_t>::Keep(range, values, rows, bits);
    case NumberType::kInt32:
      return RangeLoop<int32_t>::Keep(range, values, rows, bits);
    case NumberType::kInt64:
      return RangeLoop<int64_t>::Keep(range, values, rows, bits);
    case NumberType::kUInt8:
      return RangeLoop<uint8_t>::Keep(range, values, rows, bits);
    case NumberType::kUInt16:
      return RangeLoop<uint16_t>::Keep(range, values, rows, bits);
    case NumberType::kUInt32:
      return RangeLoop<uint32_t>::Keep(range, values, rows, bits);
    case NumberType::kUInt64:
      return RangeLoop<uint64_t>::Keep(range, values, rows, bits);
    case NumberType::kFloat:
      return RangeLoop<float>::Keep(range, values, rows, bits);
    case NumberType::kDouble:
      return RangeLoop<double>::Keep(range, values, rows, bits);
  }
}

}  // namespace
}  // namespace marble

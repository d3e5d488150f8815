// The inner loops of key encoding: values of one column to bytes and back. Internal to the row
// layer.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <arrow/array/data.h>
#include <arrow/util/bit_util.h>

#include "row/key_column.h"

namespace marble::key_internal {

template <typename U>
inline U SwapBytes(U value) {
  if constexpr (sizeof(U) == 1) return value;
  if constexpr (sizeof(U) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(U) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(U) == 8) return __builtin_bswap64(value);
}

template <typename U>
inline constexpr U kSignBit = static_cast<U>(U{1} << (sizeof(U) * 8 - 1));

/// Exponent bits of the IEEE format as wide as U (the bits of infinity).
template <typename U>
inline constexpr U kInfinityBits = sizeof(U) == 2   ? static_cast<U>(0x7C00)
                                   : sizeof(U) == 4 ? static_cast<U>(0x7F800000)
                                                    : static_cast<U>(0x7FF0000000000000);
/// The one NaN: quiet, positive, no payload.
template <typename U>
inline constexpr U kNanBits = sizeof(U) == 2   ? static_cast<U>(0x7E00)
                              : sizeof(U) == 4 ? static_cast<U>(0x7FC00000)
                                               : static_cast<U>(0x7FF8000000000000);

/// The bits stored for a float key: no -0.0, one NaN.
template <typename U>
inline U CanonicalFloat(U bits) {
  const U magnitude = static_cast<U>(bits & ~kSignBit<U>);
  if (magnitude > kInfinityBits<U>) return kNanBits<U>;
  return magnitude == 0 ? U{0} : bits;
}

template <KeyRule kRule, typename U>
inline U ToOrdered(U bits) {
  if constexpr (kRule == KeyRule::kSigned) return static_cast<U>(bits ^ kSignBit<U>);
  if constexpr (kRule == KeyRule::kFloat) {
    bits = CanonicalFloat(bits);
    return static_cast<U>((bits & kSignBit<U>) != 0 ? ~bits : bits ^ kSignBit<U>);
  }
  return bits;
}

template <KeyRule kRule, typename U>
inline U FromOrdered(U bits) {
  if constexpr (kRule == KeyRule::kSigned) return static_cast<U>(bits ^ kSignBit<U>);
  if constexpr (kRule == KeyRule::kFloat) {
    return static_cast<U>((bits & kSignBit<U>) != 0 ? bits ^ kSignBit<U> : ~bits);
  }
  return bits;
}

/// 16 or 32 little-endian bytes, two's complement, to ordered bytes or back (the flip of the sign
/// bit is its own inverse, but it sits in the other end).
inline void SwapWide(const uint8_t* from, uint8_t* to, int32_t width) {
  for (int32_t i = 0; i < width; ++i) to[i] = from[width - 1 - i];
}
inline void EncodeWide(const uint8_t* from, uint8_t* to, int32_t width) {
  SwapWide(from, to, width);
  to[0] ^= 0x80;
}
inline void DecodeWide(const uint8_t* from, uint8_t* to, int32_t width) {
  SwapWide(from, to, width);
  to[width - 1] ^= 0x80;
}

/// Consecutive values of fixed width.
struct FixedValues {
  /// All of an array.
  explicit FixedValues(const arrow::ArrayData& array) : FixedValues(array, 0, array.length) {}
  FixedValues(const arrow::ArrayData& array, int64_t first, int64_t count)
      : data(count > 0 ? array.buffers[1]->data() : nullptr),
        offset(array.offset + first),
        length(count) {}

  const uint8_t* data;
  int64_t offset;  // of the first, in values
  int64_t length;
};

/// Writes the values with `put(i)` giving the place of row i's bytes.
template <KeyRule kRule, typename U, typename Put>
inline void EncodeWords(const FixedValues& data, Put put) {
  const U* values = reinterpret_cast<const U*>(data.data) + data.offset;
  for (int64_t i = 0; i < data.length; ++i) {
    const U word = SwapBytes(ToOrdered<kRule>(values[i]));
    std::memcpy(put(i), &word, sizeof(U));
  }
}

template <KeyRule kRule, typename Put>
inline void EncodeWordsOfWidth(const FixedValues& data, int32_t width, Put put) {
  switch (width) {
    case 1:
      return EncodeWords<kRule, uint8_t>(data, put);
    case 2:
      return EncodeWords<kRule, uint16_t>(data, put);
    case 4:
      return EncodeWords<kRule, uint32_t>(data, put);
    default:
      return EncodeWords<kRule, uint64_t>(data, put);
  }
}

/// All rules of fixed width. Validity is not looked at: the caller has refused nulls.
template <typename Put>
inline void EncodeFixedColumn(const FixedValues& data, KeyColumn column, Put put) {
  if (data.length == 0) return;
  switch (column.rule) {
    case KeyRule::kUnsigned:
      return EncodeWordsOfWidth<KeyRule::kUnsigned>(data, column.width, put);
    case KeyRule::kSigned:
      return EncodeWordsOfWidth<KeyRule::kSigned>(data, column.width, put);
    case KeyRule::kFloat:
      return EncodeWordsOfWidth<KeyRule::kFloat>(data, column.width, put);
    case KeyRule::kBool: {
      for (int64_t i = 0; i < data.length; ++i) {
        *put(i) = arrow::bit_util::GetBit(data.data, data.offset + i) ? 1 : 0;
      }
      return;
    }
    case KeyRule::kWide: {
      const uint8_t* values = data.data + data.offset * column.width;
      for (int64_t i = 0; i < data.length; ++i) {
        EncodeWide(values + i * column.width, put(i), column.width);
      }
      return;
    }
    default: {
      const uint8_t* values = data.data + data.offset * column.width;
      for (int64_t i = 0; i < data.length; ++i) {
        std::memcpy(put(i), values + i * column.width, static_cast<size_t>(column.width));
      }
      return;
    }
  }
}

/// One value of a fixed-width rule (not kBool) from its key bytes.
template <KeyRule kRule, typename U>
inline void DecodeWord(const char* from, uint8_t* to) {
  U word;
  std::memcpy(&word, from, sizeof(U));
  word = FromOrdered<kRule>(SwapBytes(word));
  std::memcpy(to, &word, sizeof(U));
}

}  // namespace marble::key_internal

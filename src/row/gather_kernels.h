// Inner loops of gather.cc: one output column from many source columns, for each physical layout.
// Internal to the row layer. Each kernel has the two forms of RowSelection.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_ops.h>

#include "base/prefetch.h"
#include "row/gather.h"

namespace marble::gather_internal {

/// Splits a packed word.
inline size_t SourceOf(uint64_t packed) {
  return static_cast<size_t>(packed >> RowSelection::kRowBits);
}
inline int64_t RowOf(uint64_t packed) {
  return static_cast<int64_t>(packed & RowSelection::kRowMask);
}

/// Copies rows of `kWidth` bytes. bases[s] is the address of row 0 of source s.
template <size_t kWidth>
void GatherFixed(const RowSelection& selection, const std::vector<const uint8_t*>& bases,
                 uint8_t* out) {
  if (selection.is_packed()) {
    const uint64_t* packed = selection.packed();
    const uint8_t* const* base = bases.data();
    for (int64_t i = 0; i < selection.num_rows(); ++i) {
      std::memcpy(out + i * kWidth, base[SourceOf(packed[i])] + RowOf(packed[i]) * kWidth, kWidth);
    }
    return;
  }
  selection.ForEachSlice([&](const RowSlice& slice) {
    const uint8_t* from = bases[static_cast<size_t>(slice.source)] + slice.start * kWidth;
    if (slice.length == 0) return;
    if (!slice.descending) {
      std::memcpy(out, from, static_cast<size_t>(slice.length) * kWidth);
    } else {
      for (int64_t i = 0; i < slice.length; ++i) {
        std::memcpy(out + i * kWidth, from + (slice.length - 1 - i) * kWidth, kWidth);
      }
    }
    out += slice.length * kWidth;
  });
}

/// Same for widths known only at run time. A width of 0 moves nothing.
inline void GatherFixedAnyWidth(const RowSelection& selection,
                                const std::vector<const uint8_t*>& bases, int64_t width,
                                uint8_t* out) {
  const size_t bytes = static_cast<size_t>(width);
  if (width == 0) return;
  if (selection.is_packed()) {
    const uint64_t* packed = selection.packed();
    for (int64_t i = 0; i < selection.num_rows(); ++i) {
      std::memcpy(out + i * width, bases[SourceOf(packed[i])] + RowOf(packed[i]) * width, bytes);
    }
    return;
  }
  selection.ForEachSlice([&](const RowSlice& slice) {
    const uint8_t* from = bases[static_cast<size_t>(slice.source)] + slice.start * width;
    if (slice.length == 0) return;
    if (!slice.descending) {
      std::memcpy(out, from, static_cast<size_t>(slice.length) * bytes);
    } else {
      for (int64_t i = 0; i < slice.length; ++i) {
        std::memcpy(out + i * width, from + (slice.length - 1 - i) * width, bytes);
      }
    }
    out += slice.length * width;
  });
}

/// Bits of a source: row r is bit offset + r. A source whose bits are all ones has no bitmap.
struct BitSource {
  const uint8_t* bits = nullptr;
  int64_t offset = 0;
};

inline void GatherBitsPacked(const RowSelection& selection, const std::vector<BitSource>& sources,
                             uint8_t* out) {
  // A missing bitmap is one byte of ones and a mask that leads every row to it: no branch in the
  // loop.
  static constexpr uint8_t kOnes = 0xFF;
  struct Masked {
    const uint8_t* bits;
    uint64_t offset;
    uint64_t mask;
  };
  std::vector<Masked> masked;
  masked.reserve(sources.size());
  for (const BitSource& source : sources) {
    if (source.bits == nullptr) {
      masked.push_back({&kOnes, 0, 0});
    } else {
      masked.push_back({source.bits, static_cast<uint64_t>(source.offset), ~uint64_t{0}});
    }
  }
  const uint64_t* packed = selection.packed();
  const auto bit = [&](int64_t i) -> uint32_t {
    const Masked& source = masked[SourceOf(packed[i])];
    const uint64_t at = (static_cast<uint64_t>(RowOf(packed[i])) + source.offset) & source.mask;
    return (source.bits[at >> 3] >> (at & 7)) & 1;
  };
  const int64_t rows = selection.num_rows();
  int64_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    uint32_t byte = 0;
    for (int64_t k = 0; k < 8; ++k) byte |= bit(i + k) << k;
    out[i >> 3] = static_cast<uint8_t>(byte);
  }
  if (i == rows) return;
  uint32_t byte = 0;
  for (int64_t k = 0; i + k < rows; ++k) byte |= bit(i + k) << k;
  out[i >> 3] = static_cast<uint8_t>(byte);
}

/// `out` holds zeros up to the end of its last byte.
inline void GatherBits(const RowSelection& selection, const std::vector<BitSource>& sources,
                       uint8_t* out) {
  if (selection.is_packed()) return GatherBitsPacked(selection, sources, out);
  int64_t at = 0;
  selection.ForEachSlice([&](const RowSlice& slice) {
    const BitSource& source = sources[static_cast<size_t>(slice.source)];
    const int64_t first = source.offset + slice.start;
    if (source.bits == nullptr) {
      arrow::bit_util::SetBitsTo(out, at, slice.length, true);
    } else if (!slice.descending) {
      if (slice.length > 0) {
        arrow::internal::CopyBitmap(source.bits, first, slice.length, out, at);
      }
    } else {
      for (int64_t i = 0; i < slice.length; ++i) {
        const bool value = arrow::bit_util::GetBit(source.bits, first + slice.length - 1 - i);
        arrow::bit_util::SetBitTo(out, at + i, value);
      }
    }
    at += slice.length;
  });
}

/// Adds up lengths, each within int64. A sum that once went beyond stays beyond, however often it
/// overflows.
class LengthSum {
 public:
  uint64_t Add(int64_t length) {
    sum_ += static_cast<uint64_t>(length);
    seen_ |= sum_;
    return sum_;
  }
  uint64_t sum() const { return sum_; }
  uint64_t checked() const { return sum_ | (seen_ & (uint64_t{1} << 63)); }

 private:
  uint64_t sum_ = 0;
  uint64_t seen_ = 0;
};

/// Writes rows + 1 offsets and returns their last, which may not fit the type (the caller must
/// check before it uses them). bases[s] is the address of the offset of row 0 of source s.
template <typename Offset>
uint64_t GatherOffsets(const RowSelection& selection, const std::vector<const Offset*>& bases,
                       Offset* out) {
  LengthSum total;
  *out++ = 0;
  if (selection.is_packed()) {
    const uint64_t* packed = selection.packed();
    for (int64_t i = 0; i < selection.num_rows(); ++i) {
      const Offset* at = bases[SourceOf(packed[i])] + RowOf(packed[i]);
      out[i] = static_cast<Offset>(total.Add(at[1] - at[0]));
    }
    return total.checked();
  }
  selection.ForEachSlice([&](const RowSlice& slice) {
    if (slice.length == 0) return;
    const Offset* from = bases[static_cast<size_t>(slice.source)] + slice.start;
    if (!slice.descending) {
      const uint64_t shift = total.sum() - static_cast<uint64_t>(from[0]);
      for (int64_t i = 0; i < slice.length; ++i) {
        out[i] = static_cast<Offset>(static_cast<uint64_t>(from[i + 1]) + shift);
      }
      total.Add(from[slice.length] - from[0]);
    } else {
      for (int64_t i = 0; i < slice.length; ++i) {
        const int64_t row = slice.length - 1 - i;
        out[i] = static_cast<Offset>(total.Add(from[row + 1] - from[row]));
      }
    }
    out += slice.length;
  });
  return total.checked();
}

/// The bytes of one source of a binary-like column.
template <typename Offset>
struct BinarySource {
  const Offset* offsets = nullptr;  // of row 0
  const uint8_t* bytes = nullptr;
  const uint8_t* bytes_end = nullptr;
};

/// Short values are copied as 32 bytes where both ends have the room: no call, no branch on the
/// length.
inline void CopyValue(const uint8_t* from, const uint8_t* from_end, int64_t length, uint8_t* to,
                      const uint8_t* to_end) {
  if (length <= 32 && from_end - from >= 32 && to_end - to >= 32) {
    std::memcpy(to, from, 32);
  } else if (length > 0) {
    std::memcpy(to, from, static_cast<size_t>(length));
  }
}

/// Copies the values whose output offsets GatherOffsets has written.
template <typename Offset>
void GatherBytes(const RowSelection& selection, const std::vector<BinarySource<Offset>>& sources,
                 const Offset* out_offsets, uint8_t* out, int64_t out_size) {
  const uint8_t* const out_end = out + out_size;
  if (selection.is_packed()) {
    // Scattered values miss the cache: ask for a group of them before copying the first.
    constexpr int64_t kGroup = 32;
    const uint8_t* from[kGroup];
    const uint64_t* packed = selection.packed();
    for (int64_t begin = 0; begin < selection.num_rows(); begin += kGroup) {
      const int64_t count = std::min(kGroup, selection.num_rows() - begin);
      for (int64_t i = 0; i < count; ++i) {
        const BinarySource<Offset>& source = sources[SourceOf(packed[begin + i])];
        from[i] = source.bytes + source.offsets[RowOf(packed[begin + i])];
        PrefetchLine(from[i]);
      }
      for (int64_t i = 0; i < count; ++i) {
        const Offset* at = out_offsets + begin + i;
        CopyValue(from[i], sources[SourceOf(packed[begin + i])].bytes_end, at[1] - at[0],
                  out + at[0], out_end);
      }
    }
    return;
  }
  int64_t row = 0;
  selection.ForEachSlice([&](const RowSlice& slice) {
    const BinarySource<Offset>& source = sources[static_cast<size_t>(slice.source)];
    const int64_t end = slice.start + slice.length;
    if (slice.length == 0) return;
    if (!slice.descending) {
      const Offset first = source.offsets[slice.start];
      const auto bytes = static_cast<size_t>(source.offsets[end] - first);
      if (bytes > 0) std::memcpy(out + out_offsets[row], source.bytes + first, bytes);
    } else {
      for (int64_t i = 0; i < slice.length; ++i) {
        const Offset* at = out_offsets + row + i;
        CopyValue(source.bytes + source.offsets[end - 1 - i], source.bytes_end, at[1] - at[0],
                  out + at[0], out_end);
      }
    }
    row += slice.length;
  });
}

/// Calls visit(source, start, length, descending) for each stretch of rows in order.
template <typename Visit>
void ForEachStretch(const RowSelection& selection, Visit visit) {
  if (selection.is_packed()) {
    const uint64_t* packed = selection.packed();
    for (int64_t i = 0; i < selection.num_rows(); ++i) {
      visit(static_cast<int32_t>(SourceOf(packed[i])), RowOf(packed[i]), int64_t{1}, false);
    }
    return;
  }
  selection.ForEachSlice([&](const RowSlice& slice) {
    visit(slice.source, slice.start, slice.length, slice.descending);
  });
}

}  // namespace marble::gather_internal

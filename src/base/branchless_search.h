// Binary search without branches, which would be guessed wrong every other time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace marble {

/// The first of the `size` elements from `begin` on for which `is_before(element)` is false; it is
/// true for those in front of it and for no other.
template <typename T, typename IsBefore>
const T* BranchlessPartitionPoint(const T* begin, size_t size, const IsBefore& is_before) {
  const T* at = begin;
  for (size_t left = size; left > 0;) {
    const size_t half = (left + 1) / 2;
    // All bits set, or none: compilers make branches of `?:`.
    const size_t mask = ~size_t{is_before(at[half - 1])} + 1;
    at += half & mask;
    left -= half;
  }
  return at;
}

}  // namespace marble

// The check that keeps a forged file from leading out of its memory: with the last offset within a
// column's data, ascending offsets all are.
#pragma once

#include <cstdint>

namespace marble {

/// Are the `rows` + 1 offsets not negative and none lower than the one before? Without rows there
/// may be no offset at all.
template <typename Offset>
bool OffsetsAscend(const Offset* offsets, int64_t rows) {
  bool descends = rows > 0 && offsets[0] < 0;  // not left early, so that the loop is vectorised
  for (int64_t i = 0; i < rows; ++i) descends |= offsets[i + 1] < offsets[i];
  return !descends;
}

}  // namespace marble

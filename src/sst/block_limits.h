// Where the blocks of a file end: at about as many bytes as are aimed at, and with as many rows as
// the block before had if that comes near it, because the rows of equal blocks are found without a
// table (row_locator.h). A value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace marble {

class BlockLimits {
 public:
  /// Aims at `bytes` a block, with at most `rows_max` rows.
  BlockLimits(int64_t bytes, int64_t rows_max) : aim_(bytes), rows_max_(rows_max) {}

  /// The block being collected is full as soon as it has so many rows or so many bytes.
  int64_t rows() const { return equal_rows_ > 0 ? equal_rows_ : rows_max_; }
  int64_t bytes() const { return equal_rows_ > 0 ? BytesMax() : aim_; }
  bool IsFull(int64_t rows_now, int64_t bytes_now) const {
    return rows_now >= rows() || bytes_now >= bytes();
  }

  /// A block has ended with so many rows and bytes.
  void Next(int64_t rows_now, int64_t bytes_now) {
    if (bytes_now < aim_ / 2 || bytes_now >= BytesMax()) {
      equal_rows_ = 0;
    } else if (equal_rows_ == 0) {
      equal_rows_ = std::min(rows_now, rows_max_);
    }
  }

 private:
  int64_t BytesMax() const {
    return aim_ + std::min(aim_, std::numeric_limits<int64_t>::max() - aim_);
  }

  int64_t aim_;
  int64_t rows_max_;
  int64_t equal_rows_ = 0;  // of the blocks; 0: there is no such number yet
};

}  // namespace marble

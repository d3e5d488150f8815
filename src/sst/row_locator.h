// From a row of a file to the block that holds it. Blocks of equally many rows, as the writer cuts
// them where it can, need no memory for that: a division tells. Others have a small table with one
// entry for every 2^k rows, so that a lookup is one load and a step or two. Immutable, thread-safe.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "sst/block_index.h"

namespace marble {

class RowLocator {
 public:
  RowLocator() = default;
  /// For files of fewer than 2^32 rows.
  explicit RowLocator(const BlockIndex& index) {
    const int64_t blocks = index.num_blocks();
    if (blocks == 0) return;
    const int64_t rows = index.FirstRow(blocks);
    if (HasEqualBlocks(index)) {
      equal_rows_ = static_cast<uint32_t>(index.FirstRow(1));
      return;
    }
    shift_ = std::bit_width(static_cast<uint64_t>(rows / blocks)) - 1;
    first_rows_.reserve(blocks + 1);
    for (int64_t i = 0; i <= blocks; ++i) {
      first_rows_.push_back(static_cast<uint32_t>(index.FirstRow(i)));
    }
    strides_.reserve((rows >> shift_) + 2);
    uint32_t block = 0;
    for (int64_t row = 0; row < rows; row += int64_t{1} << shift_) {
      while (first_rows_[block + 1] <= row) ++block;
      strides_.push_back(block);
    }
    strides_.push_back(static_cast<uint32_t>(blocks - 1));
  }

  uint32_t FirstRow(uint32_t block) const {
    return equal_rows_ != 0 ? block * equal_rows_ : first_rows_[block];
  }

  /// The block of a row of the file.
  uint32_t Find(uint32_t row) const {
    if (equal_rows_ != 0) return row / equal_rows_;
    uint32_t block = strides_[row >> shift_];
    const uint32_t last = strides_[(row >> shift_) + 1];
    // Blocks of very unequal rows may crowd one stride.
    if (last - block > 8) {
      const auto begin = first_rows_.begin() + block;
      const auto end = first_rows_.begin() + last + 1;
      return block + static_cast<uint32_t>(std::upper_bound(begin, end, row) - begin) - 1;
    }
    while (first_rows_[block + 1] <= row) ++block;
    return block;
  }

  int64_t bytes() const {
    return static_cast<int64_t>((first_rows_.capacity() + strides_.capacity()) * sizeof(uint32_t));
  }

 private:
  /// All blocks have the same number of rows, the last one that or fewer.
  static bool HasEqualBlocks(const BlockIndex& index) {
    const int64_t last = index.num_blocks() - 1;
    const int64_t rows = index.FirstRow(1);
    for (int64_t i = 1; i <= last; ++i) {
      if (index.FirstRow(i) != i * rows) return false;
    }
    return index.FirstRow(last + 1) <= (last + 1) * rows;
  }

  uint32_t equal_rows_ = 0;  // of every block but the last; 0 if the tables are needed
  int shift_ = 0;
  std::vector<uint32_t> first_rows_;  // of each block, and the row count
  std::vector<uint32_t> strides_;     // block of row i << shift_, and the last block
};

}  // namespace marble

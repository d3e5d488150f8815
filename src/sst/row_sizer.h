// How many bytes a range of rows of a record batch occupies, in time that does not depend on the
// number of rows: from types and offsets. Used to cut blocks. A view of the batch, which must
// outlive it.
#pragma once

#include <cstdint>
#include <vector>

#include <arrow/record_batch.h>

namespace marble {

class RowSizer {
 public:
  /// `extra_bytes` a row are added (hidden columns).
  RowSizer(const arrow::RecordBatch& batch, int64_t extra_bytes);

  int64_t Bytes(int64_t begin, int64_t end) const;
  /// Smallest end in (begin, limit] with Bytes(begin, end) >= `bytes`; limit + 1 if there is none.
  int64_t FindEnd(int64_t begin, int64_t limit, int64_t bytes) const;

 private:
  int64_t fixed_bits_ = 0;  // a row, of all columns of fixed width
  std::vector<const arrow::ArrayData*> variable_;
};

}  // namespace marble

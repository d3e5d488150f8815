#include "row/row_batch.h"

namespace marble {

RowBatch RowBatch::Slice(int64_t offset, int64_t length) const {
  RowBatch slice = *this;
  slice.columns = columns->Slice(offset, length);
  // Append tables have no keys unless row ids were asked for.
  if (keys.size() > 0) slice.keys = keys.Slice(offset, length);
  if (sequences != nullptr) slice.sequences = sequences + offset;
  if (kinds != nullptr) slice.kinds = kinds + offset;
  return slice;
}

}  // namespace marble

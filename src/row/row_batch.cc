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

arrow::Result<bool> CheckRowOrder(const RowBatch& rows, std::optional<std::string_view> last_key) {
  bool unique = true;
  for (int64_t i = 0; i < rows.num_rows(); ++i) {
    if (i == 0 && !last_key.has_value()) continue;
    const int order = rows.keys[i].compare(i == 0 ? *last_key : rows.keys[i - 1]);
    // All versions of a key stand in one batch.
    if (order < 0 || (order == 0 && i == 0)) {
      return arrow::Status::Invalid("keys are out of order");
    }
    if (order > 0) continue;
    unique = false;
    if (rows.SequenceAt(i) >= rows.SequenceAt(i - 1)) {
      return arrow::Status::Invalid("versions of a key are out of order");
    }
  }
  return unique;
}

}  // namespace marble

// Moving rows of columns by a selection: the kernels behind Gather, SortByKey and CopyBatch. Knows
// every stored type (stored_schema.h) and no other. No state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <arrow/buffer.h>
#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include "base/helper_threads.h"
#include "row/row_list.h"

namespace marble {

/// Which rows to take, in which order. Two forms: slices (given as such, or as the words of a
/// list), which move long stretches with memcpy, and one packed (source, row) word per row, which
/// moves scattered rows without a branch per row.
class RowSelection {
 public:
  RowSelection(RowSelection&&) = default;
  RowSelection& operator=(RowSelection&&) = default;

  /// Takes the packed form when the slices are short. `slices` must outlive the selection if it
  /// does not.
  static arrow::Result<RowSelection> FromSlices(std::span<const RowSlice> slices,
                                                size_t num_sources, arrow::MemoryPool* pool);
  /// The same of a list, which it keeps.
  static arrow::Result<RowSelection> FromList(RowList list, arrow::MemoryPool* pool);
  /// Rows of source 0. `indices` must outlive the selection.
  static RowSelection FromIndices(std::span<const uint64_t> indices);

  static constexpr int kRowBits = RowList::kRowBits;
  static constexpr uint64_t kRowMask = (uint64_t{1} << kRowBits) - 1;

  int64_t num_rows() const { return num_rows_; }
  bool is_packed() const { return packed_ != nullptr; }
  const uint64_t* packed() const { return packed_; }
  /// Calls visit(slice) for each slice, unless the selection is packed.
  template <typename Visit>
  void ForEachSlice(Visit visit) const {
    for (const RowSlice& slice : slices_) visit(slice);
    RowList::ForEach(list_words_, visit);
  }
  /// Is it one slice, which ascends? Then it is that one.
  std::optional<RowSlice> lone_slice() const { return lone_slice_; }

 private:
  RowSelection() = default;
  arrow::Result<uint64_t*> MakePacked(arrow::MemoryPool* pool);

  int64_t num_rows_ = 0;
  const uint64_t* packed_ = nullptr;
  std::optional<RowSlice> lone_slice_;
  std::span<const RowSlice> slices_;
  std::span<const uint64_t> list_words_;
  std::shared_ptr<arrow::Buffer> words_;  // of the packed form or the list
};

/// The selected rows of `sources` (all of `schema`), copied into memory of `pool`, some columns by
/// `helpers` unless they are nullptr. TypeError for a type that is not a stored one; CapacityError
/// if 32-bit offsets do not reach.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> GatherRows(
    const std::shared_ptr<arrow::Schema>& schema,
    std::span<const std::shared_ptr<arrow::RecordBatch>> sources, const RowSelection& selection,
    arrow::MemoryPool* pool, Helpers* helpers = nullptr);

}  // namespace marble

#include "tree/batch_rows.h"

#include <algorithm>
#include <utility>

#include <arrow/record_batch.h>

#include "row/gather_rows.h"

namespace marble {

void BatchStore::Collect(Position* position, int64_t size, KeyEntry* entries) const {
  const KeyEntry* const end = entries + size;
  while (entries != end) {
    const int64_t rows = runs_[*position].num_rows();
    for (int64_t row = 0; row < rows; ++row) {
      (entries++)->handle = HandleOf(*position, row);
    }
    ++*position;
  }
}

BatchRowBuilder::BatchRowBuilder(std::shared_ptr<const BatchStore> store,
                                 std::shared_ptr<const StoredSchema> schema,
                                 std::vector<int> columns, bool want_keys, arrow::MemoryPool* pool)
    : store_(std::move(store)),
      schema_(std::move(schema)),
      columns_(std::move(columns)),
      want_keys_(want_keys),
      pool_(pool) {
  arrow::FieldVector fields;
  for (int column : columns_) fields.push_back(schema_->stored_schema()->field(column));
  projected_schema_ = arrow::schema(std::move(fields), schema_->stored_schema()->metadata());
}

const std::shared_ptr<arrow::RecordBatch>& BatchRowBuilder::Projected(int64_t run) {
  if (static_cast<int64_t>(projected_.size()) <= run) {
    projected_.resize(static_cast<size_t>(store_->size()));
  }
  auto& projected = projected_[static_cast<size_t>(run)];
  if (projected == nullptr) {
    const arrow::RecordBatch& whole = *(*store_)[run].rows().columns;
    std::vector<std::shared_ptr<arrow::ArrayData>> columns;
    for (int column : columns_) columns.push_back(whole.column_data(column));
    projected = arrow::RecordBatch::Make(projected_schema_, whole.num_rows(), std::move(columns));
  }
  return projected;
}

arrow::Result<RowBatch> BatchRowBuilder::Build(std::span<const RunSlice> slices) {
  const RunSlice& first = slices.front();
  const BatchRun& run = (*store_)[first.run];
  RowBatch rows;
  if (slices.size() == 1) {
    rows = run.rows();
    rows.columns = Projected(first.run)->Slice(first.begin, first.end - first.begin);
    rows.keys = want_keys_ && !schema_->is_append()
                    ? rows.keys.Slice(first.begin, first.end - first.begin)
                    : EncodedKeys();
    if (rows.kinds != nullptr) rows.kinds += first.begin;
  } else {
    ARROW_ASSIGN_OR_RAISE(rows, Copy(slices));
  }
  if (want_keys_ && schema_->is_append()) {
    ARROW_ASSIGN_OR_RAISE(rows.keys,
                          EncodeRowIds(run.first_row_id + static_cast<uint64_t>(first.begin),
                                       rows.num_rows(), pool_));
  }
  return rows;
}

int32_t BatchRowBuilder::SourceOf(int64_t run, std::vector<RowBatch>* sources) {
  if (static_cast<int64_t>(source_of_run_.size()) <= run) {
    source_of_run_.resize(static_cast<size_t>(store_->size()), -1);
  }
  int32_t& source = source_of_run_[static_cast<size_t>(run)];
  if (source < 0) {
    source = static_cast<int32_t>(sources->size());
    sources->push_back((*store_)[run].rows());
    sources->back().columns = Projected(run);
  }
  return source;
}

arrow::Result<RowBatch> BatchRowBuilder::Copy(std::span<const RunSlice> slices) {
  std::vector<RowBatch> sources;
  std::vector<RowSlice> row_slices;
  row_slices.reserve(slices.size());
  for (const RunSlice& slice : slices) {
    row_slices.push_back(
        {SourceOf(slice.run, &sources), false, slice.begin, slice.end - slice.begin});
  }
  for (const RunSlice& slice : slices) source_of_run_[static_cast<size_t>(slice.run)] = -1;

  RowBatch rows;
  bool any_kinds = false;
  std::vector<std::shared_ptr<arrow::RecordBatch>> columns;
  for (const RowBatch& source : sources) {
    columns.push_back(source.columns);
    any_kinds = any_kinds || source.kinds != nullptr;
    rows.sequence_max = std::max(rows.sequence_max, source.sequence_max);
  }
  ARROW_ASSIGN_OR_RAISE(const RowSelection selection,
                        RowSelection::FromSlices(row_slices, sources.size(), pool_));
  ARROW_ASSIGN_OR_RAISE(rows.columns, Gather(projected_schema_, columns, selection, pool_));

  ARROW_RETURN_NOT_OK(GatherVersions(sources, selection, pool_, &rows));
  if (!any_kinds) rows.kinds = nullptr;
  if (schema_->is_append()) return rows;

  // Within a run keys are unique; versions of a key meet where slices do.
  for (size_t i = 1; i < row_slices.size() && rows.unique_keys; ++i) {
    const RowSlice& last = row_slices[i - 1];
    const RowSlice& next = row_slices[i];
    rows.unique_keys =
        sources[static_cast<size_t>(last.source)].keys[last.start + last.length - 1] !=
        sources[static_cast<size_t>(next.source)].keys[next.start];
  }
  if (want_keys_) {
    ARROW_ASSIGN_OR_RAISE(rows.keys, GatherKeys(sources, selection, pool_));
  }
  return rows;
}

}  // namespace marble

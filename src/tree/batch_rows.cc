#include "tree/batch_rows.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include <arrow/buffer.h>
#include <arrow/record_batch.h>

namespace marble {

namespace {

/// What keeps the parts of a copied RowBatch alive that are not in its columns.
struct Owned {
  std::shared_ptr<arrow::Buffer> sequences;
  std::shared_ptr<arrow::Buffer> kinds;
};

struct OwnedKeys {
  std::shared_ptr<arrow::Buffer> data;
  std::shared_ptr<arrow::Buffer> offsets;
};

}  // namespace

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
    rows.keys =
        EncodeRowIds(run.first_row_id + static_cast<uint64_t>(first.begin), rows.num_rows());
  }
  return rows;
}

arrow::Result<RowBatch> BatchRowBuilder::Copy(std::span<const RunSlice> slices) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
  std::vector<RowSlice> row_slices;
  std::unordered_map<int64_t, int32_t> source_of_run;
  int64_t size = 0;
  bool any_kinds = false;
  RowBatch rows;
  for (const RunSlice& slice : slices) {
    const RowBatch& from = (*store_)[slice.run].rows();
    const auto [place, is_new] =
        source_of_run.try_emplace(slice.run, static_cast<int32_t>(sources.size()));
    if (is_new) sources.push_back(Projected(slice.run));
    const int64_t length = slice.end - slice.begin;
    row_slices.push_back({place->second, false, slice.begin, length});
    size += length;
    any_kinds = any_kinds || from.kinds != nullptr;
    rows.sequence_max = std::max(rows.sequence_max, from.sequence_max);
  }
  ARROW_ASSIGN_OR_RAISE(rows.columns, Gather(projected_schema_, sources, row_slices, pool_));

  auto owned = std::make_shared<Owned>();
  ARROW_ASSIGN_OR_RAISE(
      owned->sequences,
      arrow::AllocateBuffer(size * static_cast<int64_t>(sizeof(uint64_t)), pool_));
  auto* sequences = reinterpret_cast<uint64_t*>(owned->sequences->mutable_data());
  rows.sequences = sequences;
  uint8_t* kinds = nullptr;
  if (any_kinds) {
    ARROW_ASSIGN_OR_RAISE(owned->kinds, arrow::AllocateBuffer(size, pool_));
    kinds = owned->kinds->mutable_data();
    rows.kinds = kinds;
  }
  for (const RunSlice& slice : slices) {
    const RowBatch& from = (*store_)[slice.run].rows();
    const int64_t length = slice.end - slice.begin;
    sequences = std::fill_n(sequences, length, from.sequence);
    // A run has one kind.
    if (any_kinds) kinds = std::fill_n(kinds, length, static_cast<uint8_t>(from.KindAt(0)));
  }
  rows.owner = std::move(owned);
  if (schema_->is_append()) return rows;

  // Within a run keys are unique; versions of a key meet where slices do.
  for (size_t i = 1; i < slices.size() && rows.unique_keys; ++i) {
    const EncodedKeys& last = (*store_)[slices[i - 1].run].rows().keys;
    const EncodedKeys& next = (*store_)[slices[i].run].rows().keys;
    rows.unique_keys = last[slices[i - 1].end - 1] != next[slices[i].begin];
  }
  if (want_keys_) {
    ARROW_ASSIGN_OR_RAISE(rows.keys, CopyKeys(slices, size));
  }
  return rows;
}

arrow::Result<EncodedKeys> BatchRowBuilder::CopyKeys(std::span<const RunSlice> slices,
                                                     int64_t rows) const {
  const auto width = (*store_)[slices.front().run].rows().keys[slices.front().begin].size();
  int64_t total = 0;
  bool fixed = true;
  for (const RunSlice& slice : slices) {
    const EncodedKeys& keys = (*store_)[slice.run].rows().keys;
    for (int64_t row = slice.begin; row < slice.end; ++row) {
      const size_t bytes = keys[row].size();
      total += static_cast<int64_t>(bytes);
      fixed = fixed && bytes == width;
    }
  }
  auto owned = std::make_shared<OwnedKeys>();
  ARROW_ASSIGN_OR_RAISE(owned->data, arrow::AllocateBuffer(total, pool_));
  int64_t* offsets = nullptr;
  if (!fixed) {
    ARROW_ASSIGN_OR_RAISE(
        owned->offsets,
        arrow::AllocateBuffer((rows + 1) * static_cast<int64_t>(sizeof(int64_t)), pool_));
    offsets = reinterpret_cast<int64_t*>(owned->offsets->mutable_data());
    *offsets++ = 0;
  }
  uint8_t* const begin = owned->data->mutable_data();
  uint8_t* out = begin;
  for (const RunSlice& slice : slices) {
    const EncodedKeys& keys = (*store_)[slice.run].rows().keys;
    for (int64_t row = slice.begin; row < slice.end; ++row) {
      const std::string_view key = keys[row];
      if (!key.empty()) std::memcpy(out, key.data(), key.size());
      out += key.size();
      if (!fixed) *offsets++ = out - begin;
    }
  }
  const auto* data = owned->data->data();
  if (fixed) return EncodedKeys::Fixed(data, static_cast<int32_t>(width), rows, std::move(owned));
  const auto* first = reinterpret_cast<const int64_t*>(owned->offsets->data());
  return EncodedKeys::Offsets64(data, first, rows, std::move(owned));
}

}  // namespace marble

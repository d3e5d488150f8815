#include "table/found_rows.h"

#include <span>
#include <utility>

namespace marble {

namespace {

/// Adds a row, to the last slice if it goes on there.
void AddRow(int32_t source, int64_t row, std::vector<RowSlice>* slices) {
  if (!slices->empty()) {
    RowSlice& last = slices->back();
    if (last.source == source && last.start + last.length == row) {
      ++last.length;
      return;
    }
  }
  slices->push_back({.source = source, .descending = false, .start = row, .length = 1});
}

}  // namespace

FoundRows::FoundRows(const StoredSchema* schema, std::vector<int> columns, arrow::MemoryPool* pool)
    : schema_(schema), columns_(std::move(columns)), pool_(pool) {
  const arrow::Schema& stored = *schema_->stored_schema();
  is_whole_ = static_cast<int>(columns_.size()) == stored.num_fields();
  for (size_t i = 0; i < columns_.size(); ++i) {
    is_whole_ = is_whole_ && columns_[i] == static_cast<int>(i);
  }
  if (is_whole_) {
    stored_ = schema_->stored_schema();
    return;
  }
  arrow::FieldVector fields;
  for (const int column : columns_) fields.push_back(stored.field(column));
  stored_ = arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::RecordBatch> FoundRows::Projected(const FoundRow& row) const {
  const std::shared_ptr<arrow::RecordBatch>& all = row.block->rows.columns;
  // A block that belongs to nobody is there as long as what is looked into.
  if (is_whole_) return row.block.use_count() == 0 ? Borrowed(all) : all;
  arrow::ArrayVector arrays;
  for (const int column : columns_) arrays.push_back(all->column(column));
  return arrow::RecordBatch::Make(stored_, all->num_rows(), std::move(arrays));
}

arrow::Status FoundRows::Take(int64_t key, const FoundRow& row) {
  const Block* block = row.block.get();
  if (block != last_block_) {
    if (decoded_bytes_ > kDecodedBytesMax) ARROW_RETURN_NOT_OK(CopyDecoded());
    const auto [entry, is_new] = source_of_block_.try_emplace(block, 0);
    if (is_new) {
      arrow::RecordBatchVector& sources = block->memory > 0 ? decoded_ : sources_;
      entry->second = static_cast<int32_t>(sources.size()) + (block->memory > 0 ? kDecoded : 0);
      sources.push_back(Projected(row));
      blocks_.push_back(row.block);
      decoded_bytes_ += block->memory;
    }
    last_block_ = block;
    last_source_ = entry->second;
  }
  found_.push_back({.key = key, .row = row.row, .source = last_source_});
  return arrow::Status::OK();
}

arrow::Status FoundRows::CopyDecoded() {
  std::vector<RowSlice> slices;
  const auto copy = static_cast<int32_t>(sources_.size());
  int64_t copied = 0;
  for (Found& found : std::span(found_).subspan(first_decoded_)) {
    if (found.source < kDecoded) continue;
    AddRow(found.source - kDecoded, found.row, &slices);
    found.source = copy;
    found.row = copied++;
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, Gather(stored_, decoded_, slices, pool_));
  // A single slice was not copied, and would keep its block.
  if (slices.size() == 1) {
    ARROW_ASSIGN_OR_RAISE(rows, CopyBatch(rows, pool_));
  }
  sources_.push_back(std::move(rows));
  decoded_.clear();
  decoded_bytes_ = 0;
  first_decoded_ = found_.size();
  source_of_block_.clear();
  blocks_.clear();
  last_block_ = nullptr;
  return arrow::Status::OK();
}

void FoundRows::SortByKey(int64_t keys) {
  std::vector<int64_t> places(static_cast<size_t>(keys), -1);
  for (size_t i = 0; i < found_.size(); ++i) {
    places[static_cast<size_t>(found_[i].key)] = static_cast<int64_t>(i);
  }
  std::vector<Found> sorted;
  sorted.reserve(found_.size());
  for (const int64_t place : places) {
    if (place >= 0) sorted.push_back(found_[static_cast<size_t>(place)]);
  }
  found_ = std::move(sorted);
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> FoundRows::Finish(
    RowOrder order, int64_t keys, std::vector<int64_t>* indices) {
  const auto decoded = static_cast<int32_t>(sources_.size());
  sources_.insert(sources_.end(), decoded_.begin(), decoded_.end());
  if (order == RowOrder::kOfKeys && found_.size() > 1) SortByKey(keys);
  std::vector<RowSlice> slices;
  slices.reserve(found_.size());
  if (indices != nullptr) indices->reserve(found_.size());
  for (const Found& found : found_) {
    const bool is_decoded = found.source >= kDecoded;
    AddRow(is_decoded ? found.source - kDecoded + decoded : found.source, found.row, &slices);
    if (indices != nullptr) indices->push_back(found.key);
  }
  const auto rows = static_cast<int64_t>(found_.size());
  const auto user = is_whole_ ? schema_->user_schema() : schema_->Project(columns_);
  std::shared_ptr<arrow::RecordBatch> found;
  if (columns_.empty()) {
    found = arrow::RecordBatch::Make(stored_, rows, arrow::ArrayVector{});
  } else if (rows == 0) {
    ARROW_ASSIGN_OR_RAISE(found, arrow::RecordBatch::MakeEmpty(stored_));
  } else {
    ARROW_ASSIGN_OR_RAISE(found, Gather(stored_, sources_, slices, pool_));
  }
  return schema_->ToUser(*found, columns_, user);
}

}  // namespace marble

#include "tree/batch_memtable.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/record_batch.h>

#include "tree/batch_readers.h"

namespace marble {

namespace {

/// So many of the newest runs are searched one by one; when there are more they are put into the
/// index.
constexpr int64_t kSearchedRunsMax = 8;
/// So many runs are looked at for whether they overlap, for each reader.
constexpr int64_t kComparedRunsMax = 64;

/// Memory of one batch beside its rows: Arrow's objects and the padding of buffers.
int64_t OverheadBytes(const arrow::RecordBatch& batch) { return 256 + 384 * batch.num_columns(); }

/// Keys that are not simply the bytes of the key column.
int64_t KeyBytes(const EncodedKeys& keys, const KeyCodec& codec) {
  if (codec.is_single_binary()) return 0;
  const std::string_view last = keys[keys.size() - 1];
  return last.data() + last.size() - keys[0].data();
}

/// First row id whose encoding is >= `bound`; nullopt if all ids are below it.
std::optional<uint64_t> FirstRowId(std::string_view bound) {
  uint64_t id = 0;
  for (size_t i = 0; i < 8; ++i) {
    id = id << 8 | (i < bound.size() ? static_cast<uint8_t>(bound[i]) : 0);
  }
  if (bound.size() <= 8) return id;
  if (id == std::numeric_limits<uint64_t>::max()) return std::nullopt;
  return id + 1;
}

}  // namespace

BatchMemtable::BatchMemtable(std::shared_ptr<const StoredSchema> schema, arrow::MemoryPool* pool)
    : schema_(std::move(schema)),
      pool_(pool),
      store_(std::make_shared<BatchStore>()),
      runs_(pool) {}

arrow::Status BatchMemtable::Put(uint64_t, std::string_view, uint64_t, std::string_view) {
  return arrow::Status::Invalid("not a key-value table");
}

arrow::Status BatchMemtable::PutMany(uint64_t, std::span<const PutPair>) {
  return arrow::Status::Invalid("not a key-value table");
}

arrow::Status BatchMemtable::Delete(uint64_t, std::string_view, uint64_t) {
  return arrow::Status::Invalid("not a key-value table");
}

arrow::Status BatchMemtable::FindValue(std::string_view, uint64_t, uint64_t, FoundValue*) const {
  return arrow::Status::Invalid("not a key-value table");
}

arrow::Status BatchMemtable::InsertRows(uint64_t sequence, const SortedRows& rows, RowKind kind,
                                        uint64_t first_row_id) {
  const int64_t size = rows.columns->num_rows();
  if (size == 0) return arrow::Status::OK();
  if (size > std::numeric_limits<int32_t>::max()) {
    return arrow::Status::CapacityError("a batch of ", size, " rows is too long for a memtable");
  }
  Block block;
  block.rows.columns = rows.columns;
  block.rows.keys = rows.keys;
  block.rows.sequence = sequence;
  block.rows.sequence_max = sequence;
  if (kind != RowKind::kPut) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> kinds, arrow::AllocateBuffer(size, pool_));
    std::memset(kinds->mutable_data(), static_cast<int>(kind), static_cast<size_t>(size));
    block.rows.kinds = kinds->data();
    block.rows.owner = std::move(kinds);
    has_deletes_.store(true, std::memory_order_release);
  }
  int64_t bytes = BatchBytes(*rows.columns);
  if (!schema_->is_append()) bytes += KeyBytes(rows.keys, *schema_->codec());
  BatchRun run;
  run.block = std::make_shared<const Block>(std::move(block));
  run.first_row_id = first_row_id;
  run.row_bytes = bytes / size;
  store_->Append(std::move(run));
  bytes += OverheadBytes(*rows.columns);
  batch_bytes_.store(batch_bytes_.load(std::memory_order_relaxed) + bytes,
                     std::memory_order_relaxed);
  NoteSequence(sequence);
  return arrow::Status::OK();
}

arrow::Status BatchMemtable::DeleteRange(RangeTombstone tombstone) {
  const uint64_t sequence = tombstone.sequence;
  range_tombstones_.Append(std::move(tombstone));
  NoteSequence(sequence);
  return arrow::Status::OK();
}

FoundRow BatchMemtable::Found(int64_t run, int64_t row) const {
  FoundRow found;
  found.block = (*store_)[run].block;
  found.row = row;
  found.sequence = found.block->rows.sequence;
  found.kind = found.block->rows.KindAt(row);
  return found;
}

std::optional<int64_t> BatchMemtable::FindInRun(int64_t run, std::string_view key,
                                                uint64_t snapshot) const {
  const RowBatch& rows = (*store_)[run].rows();
  const int64_t size = rows.num_rows();
  if (rows.sequence > snapshot || key > rows.keys[size - 1]) return std::nullopt;
  const int64_t row = rows.keys.LowerBound(key, 0, size);
  if (rows.keys[row] != key) return std::nullopt;
  return row;
}

arrow::Result<std::optional<FoundRow>> BatchMemtable::GetRow(std::string_view key,
                                                             uint64_t /*hash*/,
                                                             uint64_t snapshot) const {
  if (schema_->is_append()) return arrow::Status::Invalid("an append table has no keys");
  // What is published up to here is all that the snapshot can see.
  const int64_t size = store_->size();
  std::shared_ptr<const RunList> list;  // of few runs none, so that their readers share nothing
  if (size > kSearchedRunsMax) {
    list = runs_.Current();
    if (store_->RowsBefore(size - kSearchedRunsMax) > list->rows) {
      ARROW_ASSIGN_OR_RAISE(list, runs_.Refresh(*store_));
    }
  }
  const int64_t sorted_rows = list == nullptr ? 0 : list->rows;
  for (int64_t run = size - 1; run >= 0 && store_->RowsBefore(run) >= sorted_rows; --run) {
    if (const auto row = FindInRun(run, key, snapshot)) return Found(run, *row);
  }
  if (list == nullptr) return std::nullopt;
  for (auto run = list->runs.rbegin(); run != list->runs.rend(); ++run) {
    const KeyEntry* entry = LowerBound(*store_, **run, key);
    for (; entry != (*run)->end() && store_->key(entry->handle) == key; ++entry) {
      if (store_->sequence(entry->handle) > snapshot) continue;
      return Found(BatchStore::RunOf(entry->handle), BatchStore::RowOf(entry->handle));
    }
  }
  return std::nullopt;
}

std::optional<std::vector<RunSlice>> BatchMemtable::DisjointSlices(
    const ReadRequest& request) const {
  const int64_t size = store_->size();
  if (size > kComparedRunsMax) return std::nullopt;
  std::vector<RunSlice> slices;
  for (int64_t run = 0; run < size; ++run) {
    const RowBatch& rows = (*store_)[run].rows();
    if (rows.sequence > request.snapshot) continue;
    const int64_t begin = rows.keys.LowerBound(request.range.lower, 0, rows.num_rows());
    int64_t end = rows.num_rows();
    if (request.range.upper.has_value()) {
      end = rows.keys.LowerBound(*request.range.upper, begin, end);
    }
    if (begin < end) slices.push_back({run, begin, end});
  }
  const auto key = [&](int64_t run, int64_t row) { return (*store_)[run].rows().keys[row]; };
  std::ranges::sort(slices, [&](const RunSlice& a, const RunSlice& b) {
    return key(a.run, a.begin) < key(b.run, b.begin);
  });
  for (size_t i = 1; i < slices.size(); ++i) {
    if (key(slices[i - 1].run, slices[i - 1].end - 1) >= key(slices[i].run, slices[i].begin)) {
      return std::nullopt;
    }
  }
  return slices;
}

std::vector<RunSlice> BatchMemtable::AppendSlices(const ReadRequest& request) const {
  std::vector<RunSlice> slices;
  const std::optional<uint64_t> lower = FirstRowId(request.range.lower);
  std::optional<uint64_t> upper;
  if (request.range.upper.has_value()) upper = FirstRowId(*request.range.upper);
  if (!lower.has_value()) return slices;
  const int64_t size = store_->size();
  for (int64_t run = 0; run < size; ++run) {
    const BatchRun& batch = (*store_)[run];
    if (batch.rows().sequence > request.snapshot) break;
    const auto rows = static_cast<uint64_t>(batch.num_rows());
    const auto place = [&](uint64_t id) {
      return static_cast<int64_t>(
          id <= batch.first_row_id ? 0 : std::min(id - batch.first_row_id, rows));
    };
    const int64_t begin = place(*lower);
    const int64_t end = upper.has_value() ? place(*upper) : batch.num_rows();
    if (begin < end) slices.push_back({run, begin, end});
  }
  return slices;
}

arrow::Result<std::unique_ptr<SortedReader>> BatchMemtable::NewReader(
    const ReadRequest& request) const {
  BatchRowBuilder builder(store_, schema_, request.columns, request.want_keys, pool_);
  if (schema_->is_append()) {
    return NewSliceReader(store_, AppendSlices(request), request, std::move(builder));
  }
  if (auto slices = DisjointSlices(request)) {
    return NewSliceReader(store_, std::move(*slices), request, std::move(builder));
  }
  ARROW_ASSIGN_OR_RAISE(auto runs, runs_.Refresh(*store_));
  return NewIndexReader(store_, std::move(runs), request, std::move(builder));
}

}  // namespace marble

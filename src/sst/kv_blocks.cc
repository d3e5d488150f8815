#include "sst/kv_blocks.h"

#include <algorithm>
#include <limits>

#include <arrow/type_traits.h>

#include "base/prefetch.h"
#include "sst/block_rows.h"

namespace marble {

namespace {

bool HasLargeOffsets(const SstFile& file, int column) {
  return arrow::is_large_binary_like(file.schema().stored_schema()->field(column)->type()->id());
}

/// The width of all strings of a column if they have the same, else (or if that is 0 or too much)
/// 0.
template <typename Offset>
uint64_t CommonWidth(const arrow::ArrayData& column) {
  const auto* offsets = column.GetValues<Offset>(1);
  if (offsets == nullptr || column.length == 0) return 0;
  const Offset width = offsets[1];
  bool common = offsets[0] == 0 && width <= std::numeric_limits<uint32_t>::max();
  for (int64_t i = 0; common && i < column.length; ++i) {
    common = offsets[i + 1] - offsets[i] == width;
  }
  return common ? width : 0;
}

}  // namespace

KvBlocks::KvBlocks(const SstFile* file)
    : file_(file),
      base_(file->mapping()->data()),
      large_keys_(HasLargeOffsets(*file, 0)),
      large_values_(HasLargeOffsets(*file, 1)),
      constant_sequence_(file->meta().constant_sequence.value_or(0)),
      slots_(std::make_unique<Slot[]>(file->blocks().num_blocks())) {}

bool KvBlocks::PlaceOf(const arrow::Buffer* buffer, Place* place) const {
  if (buffer == nullptr || buffer->size() == 0) {
    place->store(0, std::memory_order_relaxed);
    return true;
  }
  const auto offset = buffer->data() - base_;
  if (offset <= 0 || offset >= file_->mapping()->size() || offset % kUnit != 0) return false;
  if (offset / kUnit > std::numeric_limits<uint32_t>::max()) return false;
  place->store(static_cast<uint32_t>(offset / kUnit), std::memory_order_relaxed);
  return true;
}

bool KvBlocks::FillStrings(const arrow::ArrayData& column, bool large, Strings* strings) const {
  if (column.offset != 0 || !PlaceOf(column.buffers[1].get(), &strings->offsets) ||
      !PlaceOf(column.buffers[2].get(), &strings->data)) {
    return false;
  }
  const uint64_t bytes =
      column.buffers[2] == nullptr ? 0 : static_cast<uint64_t>(column.buffers[2]->size());
  const uint64_t width = large ? CommonWidth<uint64_t>(column) : CommonWidth<uint32_t>(column);
  strings->bytes.store(bytes, std::memory_order_relaxed);
  strings->width.store(static_cast<uint32_t>(width), std::memory_order_relaxed);
  return true;
}

arrow::Result<bool> KvBlocks::Fill(int64_t block) {
  int64_t memory = 0;
  ARROW_ASSIGN_OR_RAISE(const RowBatch rows,
                        DecodeRows(*file_, block, {0, 1}, /*want_keys=*/false, &memory));
  Slot& slot = slots_[block];
  const arrow::ArrayData& keys = *rows.columns->column_data(0);
  const arrow::ArrayData& values = *rows.columns->column_data(1);
  const int64_t n = rows.num_rows();
  const arrow::Buffer sequences(reinterpret_cast<const uint8_t*>(rows.sequences),
                                rows.sequences == nullptr ? 0 : n * 8);
  const arrow::Buffer kinds(rows.kinds, rows.kinds == nullptr ? 0 : n);
  const bool fits = keys.GetNullCount() == 0 && FillStrings(keys, large_keys_, &slot.keys) &&
                    FillStrings(values, large_values_, &slot.values) &&
                    PlaceOf(values.GetNullCount() == 0 ? nullptr : values.buffers[0].get(),
                            &slot.value_validity) &&
                    PlaceOf(&sequences, &slot.sequences) && PlaceOf(&kinds, &slot.kinds);
  slot.state.store(fits ? State::kReady : State::kGeneral, std::memory_order_release);
  return fits;
}

KvColumns KvBlocks::Columns(int64_t block) const {
  const Slot& slot = slots_[block];
  const auto place = [this](const Place& at) {
    return at.load(std::memory_order_relaxed) == 0 ? nullptr : At(at);
  };
  const BlockEntry entry = file_->blocks().Entry(block);
  KvColumns out;
  out.keys = StringsOf(slot.keys, large_keys_);
  out.values = StringsOf(slot.values, large_values_);
  out.value_validity = place(slot.value_validity);
  out.sequences = place(slot.sequences);
  out.kinds = place(slot.kinds);
  out.sequence = constant_sequence_;
  out.sequence_max = entry.sequence_max;
  out.rows = entry.rows;
  out.unique_keys = entry.unique_keys;
  return out;
}

std::shared_ptr<arrow::ArrayData> KvBlocks::ArrayOf(const KvColumns& rows, int column) const {
  const KvStrings& strings = column == 0 ? rows.keys : rows.values;
  const uint8_t* validity = column == 0 ? nullptr : rows.value_validity;
  const auto slice = [this](const void* begin, int64_t bytes) {
    const auto offset = static_cast<const uint8_t*>(begin) - base_;
    return arrow::SliceBuffer(file_->mapping(), offset, bytes);
  };
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(3);
  if (validity != nullptr) buffers[0] = slice(validity, (rows.rows + 7) / 8);
  buffers[1] = slice(strings.offsets, (rows.rows + 1) * (strings.large ? 8 : 4));
  buffers[2] = slice(strings.data, static_cast<int64_t>(strings.bytes));
  return arrow::ArrayData::Make(file_->schema().stored_schema()->field(column)->type(), rows.rows,
                                std::move(buffers),
                                validity == nullptr ? 0 : arrow::kUnknownNullCount);
}

RowBatch KvBlocks::Rows(int64_t block, const std::vector<int>& columns, bool want_keys) const {
  const KvColumns rows = Columns(block);
  RowBatch out;
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  arrays.reserve(columns.size());
  for (const int column : columns) arrays.push_back(ArrayOf(rows, column));
  out.columns =
      arrow::RecordBatch::Make(StoredColumns(*file_, columns), rows.rows, std::move(arrays));
  out.owner = file_->mapping();
  if (want_keys) {
    const auto* data = reinterpret_cast<const uint8_t*>(rows.keys.data);
    out.keys =
        large_keys_
            ? EncodedKeys::Offsets64(data, reinterpret_cast<const int64_t*>(rows.keys.offsets),
                                     rows.rows, out.owner)
            : EncodedKeys::Offsets32(data, reinterpret_cast<const int32_t*>(rows.keys.offsets),
                                     rows.rows, out.owner);
  }
  out.sequences = reinterpret_cast<const uint64_t*>(rows.sequences);
  out.sequence = rows.sequence;
  out.kinds = rows.kinds;
  out.unique_keys = rows.unique_keys;
  out.sequence_max = rows.sequence_max;
  return out;
}

void KvBlocks::PrefetchStrings(const Strings& strings, bool large, int64_t row) const {
  const uint32_t width = strings.width.load(std::memory_order_relaxed);
  if (width == 0) {
    PrefetchLine(At(strings.offsets) + row * (large ? 8 : 4));
    return;
  }
  const uint8_t* bytes = At(strings.data) + row * width;
  // The first two lines and what they lean into; then the processor's own prefetching takes over.
  PrefetchLine(bytes);
  PrefetchLine(bytes + std::min<uint32_t>(width - 1, 64));
  PrefetchLine(bytes + std::min<uint32_t>(width - 1, 127));
}

void KvBlocks::PrefetchRow(int64_t block, int64_t row) const {
  const Slot& slot = slots_[block];
  PrefetchStrings(slot.keys, large_keys_, row);
  PrefetchStrings(slot.values, large_values_, row);
  const uint32_t sequences = slot.sequences.load(std::memory_order_relaxed);
  if (sequences != 0) PrefetchLine(base_ + int64_t{sequences} * kUnit + row * 8);
  const uint32_t kinds = slot.kinds.load(std::memory_order_relaxed);
  if (kinds != 0) PrefetchLine(base_ + int64_t{kinds} * kUnit + row);
}

void KvBlocks::PrefetchValue(int64_t block, int64_t row) const {
  const Slot& slot = slots_[block];
  std::string_view bytes;
  if (slot.keys.width.load(std::memory_order_relaxed) == 0 && Key(block, row, &bytes)) {
    PrefetchLine(bytes.data());
  }
  if (slot.values.width.load(std::memory_order_relaxed) == 0 && Value(block, row, &bytes) &&
      !bytes.empty()) {
    PrefetchLine(bytes.data());
    PrefetchLine(bytes.data() + std::min<size_t>(bytes.size() - 1, 64));
  }
}

bool KvBlocks::Value(int64_t block, int64_t row, std::string_view* value) const {
  const Slot& slot = slots_[block];
  const uint32_t validity = slot.value_validity.load(std::memory_order_relaxed);
  if (validity != 0) {
    const uint8_t* bits = base_ + int64_t{validity} * kUnit;
    if (((bits[row >> 3] >> (row & 7)) & 1) == 0) {
      *value = {};
      return true;
    }
  }
  return StringsOf(slot.values, large_values_).At(row, value);
}

}  // namespace marble

#include "sst/kv_blocks.h"

#include <algorithm>
#include <limits>

#include "base/prefetch.h"
#include "sst/kv_decoder.h"

namespace marble {

namespace {

/// The width of all strings of a column if they have the same, else (or if that is 0 or too much)
/// 0.
template <typename Offset>
uint32_t CommonWidth(const Offset* offsets, int64_t rows) {
  const Offset width = offsets[1];
  bool common = offsets[0] == 0 && width <= std::numeric_limits<uint32_t>::max();
  for (int64_t i = 0; common && i < rows; ++i) common = offsets[i + 1] - offsets[i] == width;
  return common ? static_cast<uint32_t>(width) : 0;
}

}  // namespace

KvBlocks::KvBlocks(const SstFile* file)
    : file_(file),
      base_(file->mapping()->data()),
      large_keys_(HasLargeOffsets(*file, 0)),
      large_values_(HasLargeOffsets(*file, 1)),
      constant_sequence_(file->meta().constant_sequence.value_or(0)),
      states_(std::make_unique<std::atomic<State>[]>(file->blocks().num_blocks())),
      slots_(std::make_unique_for_overwrite<Slot[]>(file->blocks().num_blocks())) {
  FindAlike();
}

void KvBlocks::FindAlike() {
  const BlockIndex& index = file_->blocks();
  if (index.num_blocks() < 2) return;
  const BlockEntry first = index.Entry(0);
  const int64_t distance = index.Entry(1).message_offset - first.message_offset;
  if (distance % kUnit != 0) return;
  int64_t blocks = 1;
  for (; blocks < index.num_blocks(); ++blocks) {
    const BlockEntry entry = index.Entry(blocks);
    if (entry.message_offset != first.message_offset + blocks * distance) break;
    if (entry.rows != first.rows || entry.message_length() != first.message_length()) break;
  }
  alike_.blocks = blocks;
  alike_.distance = distance;
}

bool KvBlocks::PlaceOf(const void* buffer, uint32_t* place) const {
  *place = 0;
  if (buffer == nullptr) return true;
  const auto offset = static_cast<const uint8_t*>(buffer) - base_;
  if (offset <= 0 || offset >= file_->mapping()->size() || offset % kUnit != 0) return false;
  if (offset / kUnit > std::numeric_limits<uint32_t>::max()) return false;
  *place = static_cast<uint32_t>(offset / kUnit);
  return true;
}

bool KvBlocks::FillStrings(const KvStrings& column, int64_t rows, Strings* strings) const {
  strings->bytes = column.bytes;
  if (!PlaceOf(column.offsets, &strings->offsets) ||
      !PlaceOf(column.bytes == 0 ? nullptr : column.data, &strings->data)) {
    return false;
  }
  strings->width = column.large
                       ? CommonWidth(reinterpret_cast<const uint64_t*>(column.offsets), rows)
                       : CommonWidth(reinterpret_cast<const uint32_t*>(column.offsets), rows);
  return true;
}

arrow::Result<bool> KvBlocks::Fill(int64_t block) {
  ARROW_ASSIGN_OR_RAISE(const KvBlock decoded, DecodeKvBlock(*file_, block));
  const KvColumns& rows = decoded.rows;
  Slot slot;
  const bool fits = FillStrings(rows.keys, rows.rows, &slot.keys) &&
                    FillStrings(rows.values, rows.rows, &slot.values) &&
                    PlaceOf(rows.value_validity, &slot.value_validity) &&
                    PlaceOf(rows.sequences, &slot.sequences) && PlaceOf(rows.kinds, &slot.kinds);
  const std::lock_guard lock(fill_);
  if (StateOf(block) == State::kUnknown) {
    states_[block].store(fits ? Keep(block, slot) : State::kGeneral, std::memory_order_release);
  }
  return fits;
}

KvBlocks::Slot KvBlocks::AsFirst(const Slot& slot, int64_t block) const {
  // The places are within the block's message, which lies that far behind the first one.
  const auto units = static_cast<uint32_t>(block * alike_.distance / kUnit);
  Slot out = slot;
  for (uint32_t* place : {&out.keys.offsets, &out.keys.data, &out.values.offsets, &out.values.data,
                          &out.value_validity, &out.sequences, &out.kinds}) {
    if (*place != 0) *place -= units;
  }
  return out;
}

KvBlocks::State KvBlocks::Keep(int64_t block, const Slot& slot) {
  if (block < alike_.blocks) {
    const Slot as_first = AsFirst(slot, block);
    if (!alike_.known) {
      alike_.slot = as_first;
      alike_.known = true;
    }
    if (alike_.slot == as_first) return State::kAlike;
  }
  slots_[block] = slot;
  return State::kReady;
}

KvColumns KvBlocks::Columns(int64_t block) const {
  const Layout at = LayoutOf(block);
  const auto find = [&at](uint32_t place) { return place == 0 ? nullptr : at.Find(place); };
  const BlockEntry entry = file_->blocks().Entry(block);
  KvColumns out;
  out.keys = KeysOf(at);
  out.values = ValuesOf(at);
  out.value_validity = find(at.slot->value_validity);
  out.sequences = find(at.slot->sequences);
  out.kinds = find(at.slot->kinds);
  out.sequence = constant_sequence_;
  out.sequence_max = entry.sequence_max;
  out.rows = entry.rows;
  out.unique_keys = entry.unique_keys;
  return out;
}

void KvBlocks::PrefetchValue(const Layout& at, int64_t row) const {
  std::string_view bytes;
  if (at.slot->keys.width == 0 && Key(at, row, &bytes)) PrefetchLine(bytes.data());
  if (at.slot->values.width == 0 && Value(at, row, &bytes) && !bytes.empty()) {
    PrefetchLine(bytes.data());
    PrefetchLine(bytes.data() + std::min<size_t>(bytes.size() - 1, 64));
  }
}

}  // namespace marble

#include "row/gather_rows.h"

#include <cstring>
#include <string_view>
#include <utility>

#include <arrow/buffer.h>

namespace marble {
namespace {

/// What a gathered batch's hidden columns live in.
struct VersionBuffers {
  std::shared_ptr<arrow::Buffer> sequences;
  std::shared_ptr<arrow::Buffer> kinds;
};

/// Bytes of the keys of a slice: in memory they follow each other.
std::string_view KeyBytes(const EncodedKeys& keys, int64_t start, int64_t length) {
  const std::string_view first = keys[start];
  const std::string_view last = keys[start + length - 1];
  return {first.data(), static_cast<size_t>(last.data() + last.size() - first.data())};
}

}  // namespace

arrow::Result<EncodedKeys> GatherKeys(std::span<const RowBatch> sources,
                                      std::span<const RowSlice> slices, int64_t rows,
                                      arrow::MemoryPool* pool) {
  const int32_t width = sources[0].keys.fixed_width();
  bool fixed = width > 0;
  for (const RowBatch& source : sources) {
    // A lone source may have been asked for no keys.
    if (source.keys.size() != source.num_rows()) return EncodedKeys();
    fixed = fixed && source.keys.fixed_width() == width;
  }
  int64_t total = 0;
  for (const RowSlice& slice : slices) {
    const EncodedKeys& keys = sources[slice.source].keys;
    total += static_cast<int64_t>(KeyBytes(keys, slice.start, slice.length).size());
  }
  // One allocation: offsets, unless all keys have one width, then the bytes.
  const int64_t offset_bytes = fixed ? 0 : (rows + 1) * static_cast<int64_t>(sizeof(int64_t));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(offset_bytes + total, pool));
  auto* offsets = reinterpret_cast<int64_t*>(buffer->mutable_data());
  uint8_t* const data = buffer->mutable_data() + offset_bytes;
  uint8_t* to = data;
  for (const RowSlice& slice : slices) {
    const EncodedKeys& keys = sources[slice.source].keys;
    const std::string_view bytes = KeyBytes(keys, slice.start, slice.length);
    if (!fixed) {
      for (int64_t i = slice.start; i < slice.start + slice.length; ++i) {
        *offsets++ = (to - data) + (keys[i].data() - bytes.data());
      }
    }
    if (fixed && width == 8 && slice.length == 1) {
      std::memcpy(to, bytes.data(), 8);
    } else {
      std::memcpy(to, bytes.data(), bytes.size());
    }
    to += bytes.size();
  }
  if (fixed) return EncodedKeys::Fixed(data, width, rows, std::move(buffer));
  *offsets = total;
  const auto* begin = reinterpret_cast<const int64_t*>(buffer->data());
  return EncodedKeys::Offsets64(data, begin, rows, std::move(buffer));
}

arrow::Status GatherVersions(std::span<const RowBatch> sources, std::span<const RowSlice> slices,
                             int64_t rows, arrow::MemoryPool* pool, RowBatch* out) {
  auto owner = std::make_shared<VersionBuffers>();
  ARROW_ASSIGN_OR_RAISE(owner->sequences,
                        arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(uint64_t)), pool));
  ARROW_ASSIGN_OR_RAISE(owner->kinds, arrow::AllocateBuffer(rows, pool));
  auto* sequences = reinterpret_cast<uint64_t*>(owner->sequences->mutable_data());
  uint8_t* kinds = owner->kinds->mutable_data();
  out->sequences = sequences;
  out->kinds = kinds;
  for (const RowSlice& slice : slices) {
    const RowBatch& source = sources[slice.source];
    for (int64_t i = slice.start; i < slice.start + slice.length; ++i) {
      *sequences++ = source.SequenceAt(i);
      *kinds++ = static_cast<uint8_t>(source.KindAt(i));
    }
  }
  out->owner = std::move(owner);
  return arrow::Status::OK();
}

arrow::Result<RowBatch> GatherOf(const RowBatch& batch, std::span<const RowSlice> slices,
                                 arrow::MemoryPool* pool) {
  int64_t rows = 0;
  for (const RowSlice& slice : slices) rows += slice.length;
  const std::span<const RowBatch> sources(&batch, 1);
  RowBatch out = batch;
  out.owner = nullptr;
  if (batch.columns->num_columns() == 0) {
    out.columns = batch.columns->Slice(0, rows);
  } else {
    ARROW_ASSIGN_OR_RAISE(out.columns,
                          Gather(batch.columns->schema(), {&batch.columns, 1}, slices, pool));
  }
  ARROW_ASSIGN_OR_RAISE(out.keys, GatherKeys(sources, slices, rows, pool));
  if (batch.sequences != nullptr || batch.kinds != nullptr) {
    ARROW_RETURN_NOT_OK(GatherVersions(sources, slices, rows, pool, &out));
  }
  return out;
}

}  // namespace marble

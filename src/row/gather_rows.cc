#include "row/gather_rows.h"

#include <cstring>
#include <string_view>
#include <utility>

#include <arrow/buffer.h>

#include "row/batch_ops.h"
#include "row/gather_kernels.h"

namespace marble {
namespace {

using gather_internal::ForEachStretch;

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
                                      const RowSelection& selection, arrow::MemoryPool* pool) {
  const int64_t rows = selection.num_rows();
  const int32_t width = sources[0].keys.fixed_width();
  bool fixed = width > 0;
  for (const RowBatch& source : sources) {
    // A lone source may have been asked for no keys.
    if (source.keys.size() != source.num_rows()) return EncodedKeys();
    fixed = fixed && source.keys.fixed_width() == width;
  }
  int64_t total = fixed ? rows * width : 0;
  if (!fixed) {
    ForEachStretch(selection, [&](int32_t source, int64_t start, int64_t length, bool) {
      total += static_cast<int64_t>(KeyBytes(sources[source].keys, start, length).size());
    });
  }
  // One allocation: offsets, unless all keys have one width, then the bytes.
  const int64_t offset_bytes = fixed ? 0 : (rows + 1) * static_cast<int64_t>(sizeof(int64_t));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(offset_bytes + total, pool));
  auto* offsets = reinterpret_cast<int64_t*>(buffer->mutable_data());
  uint8_t* const data = buffer->mutable_data() + offset_bytes;
  uint8_t* to = data;
  ForEachStretch(selection, [&](int32_t source, int64_t start, int64_t length, bool) {
    const EncodedKeys& keys = sources[source].keys;
    const std::string_view bytes = KeyBytes(keys, start, length);
    if (!fixed) {
      for (int64_t i = start; i < start + length; ++i) {
        *offsets++ = (to - data) + (keys[i].data() - bytes.data());
      }
    }
    if (fixed && width == 8 && length == 1) {
      std::memcpy(to, bytes.data(), 8);
    } else {
      std::memcpy(to, bytes.data(), bytes.size());
    }
    to += bytes.size();
  });
  if (fixed) return EncodedKeys::Fixed(data, width, rows, std::move(buffer));
  *offsets = total;
  const auto* begin = reinterpret_cast<const int64_t*>(buffer->data());
  return EncodedKeys::Offsets64(data, begin, rows, std::move(buffer));
}

arrow::Status GatherVersions(std::span<const RowBatch> sources, const RowSelection& selection,
                             arrow::MemoryPool* pool, RowBatch* out) {
  const int64_t rows = selection.num_rows();
  auto owner = std::make_shared<VersionBuffers>();
  ARROW_ASSIGN_OR_RAISE(owner->sequences,
                        arrow::AllocateBuffer(rows * static_cast<int64_t>(sizeof(uint64_t)), pool));
  ARROW_ASSIGN_OR_RAISE(owner->kinds, arrow::AllocateBuffer(rows, pool));
  auto* sequences = reinterpret_cast<uint64_t*>(owner->sequences->mutable_data());
  uint8_t* kinds = owner->kinds->mutable_data();
  out->sequences = sequences;
  out->kinds = kinds;
  ForEachStretch(selection, [&](int32_t from, int64_t start, int64_t length, bool) {
    const RowBatch& source = sources[from];
    for (int64_t i = start; i < start + length; ++i) {
      *sequences++ = source.SequenceAt(i);
      *kinds++ = static_cast<uint8_t>(source.KindAt(i));
    }
  });
  out->owner = std::move(owner);
  return arrow::Status::OK();
}

arrow::Result<RowBatch> GatherOf(const RowBatch& batch, std::span<const RowSlice> slices,
                                 arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(const RowSelection selection, RowSelection::FromSlices(slices, 1, pool));
  const std::span<const RowBatch> sources(&batch, 1);
  RowBatch out = batch;
  out.owner = nullptr;
  if (batch.columns->num_columns() == 0) {
    out.columns = batch.columns->Slice(0, selection.num_rows());
  } else {
    ARROW_ASSIGN_OR_RAISE(out.columns,
                          Gather(batch.columns->schema(), {&batch.columns, 1}, selection, pool));
  }
  ARROW_ASSIGN_OR_RAISE(out.keys, GatherKeys(sources, selection, pool));
  if (batch.sequences != nullptr || batch.kinds != nullptr) {
    ARROW_RETURN_NOT_OK(GatherVersions(sources, selection, pool, &out));
  }
  return out;
}

}  // namespace marble

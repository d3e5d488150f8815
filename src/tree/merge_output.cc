#include "tree/merge_output.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/type_traits.h>

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

/// The key column that was just gathered, as keys.
EncodedKeys KeysOf(const std::shared_ptr<arrow::ArrayData>& column) {
  const uint8_t* data = column->buffers[2]->data();
  const bool large = arrow::is_large_binary_like(column->type->id());
  return large
             ? EncodedKeys::Offsets64(data, column->GetValues<int64_t>(1), column->length, column)
             : EncodedKeys::Offsets32(data, column->GetValues<int32_t>(1), column->length, column);
}

bool AnyKeyTwice(const EncodedKeys& keys) {
  for (int64_t i = 1; i < keys.size(); ++i) {
    if (keys[i] == keys[i - 1]) return true;
  }
  return false;
}

}  // namespace

void MergeOutput::Adopt(MergeInput* input) {
  if (input->output_round == round_) return;
  input->output_round = round_;
  input->output_source = static_cast<int32_t>(sources_.size());
  sources_.push_back(input->batch);
  source_columns_.push_back(input->batch.columns);
}

void MergeOutput::Clear() {
  sources_.clear();
  source_columns_.clear();
  slices_.clear();
  rows_ = 0;
  bytes_ = 0;
  superseded_bytes_ = 0;
  ++round_;
}

arrow::Result<RowBatch> MergeOutput::Finish() {
  RowBatch out;
  if (slices_.size() == 1 && !slices_[0].descending) {
    out = PassThrough(sources_[slices_[0].source], slices_[0].start, slices_[0].length);
    Clear();
    return out;
  }
  ARROW_ASSIGN_OR_RAISE(out.columns,
                        Gather(options_.schema, source_columns_, slices_, options_.pool));
  if (options_.with_keys && options_.key_column >= 0) {
    out.keys = KeysOf(out.columns->column_data(options_.key_column));
  } else if (options_.with_keys) {
    ARROW_RETURN_NOT_OK(GatherKeys(&out));
  }
  if (options_.with_versions) {
    ARROW_RETURN_NOT_OK(GatherVersions(&out));
    Simplify(&out);
  }
  Clear();
  return out;
}

RowBatch MergeOutput::PassThrough(const RowBatch& batch, int64_t start, int64_t length) const {
  RowBatch out = start == 0 && length == batch.num_rows() ? batch : batch.Slice(start, length);
  if (!options_.with_keys) out.keys = EncodedKeys();
  if (options_.with_versions) {
    Simplify(&out);
    return out;
  }
  out.sequences = nullptr;
  out.sequence = 0;
  out.sequence_max = 0;
  out.kinds = nullptr;
  out.unique_keys = true;  // a read delivers one version of a key
  return out;
}

/// Drops hidden columns that say nothing and finds out whether keys are unique.
void MergeOutput::Simplify(RowBatch* out) const {
  const int64_t rows = out->num_rows();
  if (out->sequences != nullptr) {
    const auto [low, high] = std::minmax_element(out->sequences, out->sequences + rows);
    out->sequence_max = *high;
    if (*low == *high) {
      out->sequence = *low;
      out->sequences = nullptr;
    }
  } else {
    out->sequence_max = out->sequence;
  }
  const auto is_put = [](uint8_t kind) { return kind == static_cast<uint8_t>(RowKind::kPut); };
  if (out->kinds != nullptr && std::all_of(out->kinds, out->kinds + rows, is_put)) {
    out->kinds = nullptr;
  }
  out->unique_keys = out->unique_keys || options_.single_version || !AnyKeyTwice(out->keys);
}

arrow::Status MergeOutput::GatherKeys(RowBatch* out) const {
  const int32_t width = sources_[0].keys.fixed_width();
  bool fixed = width > 0;
  for (const RowBatch& source : sources_) {
    // A lone source may have been asked for no keys.
    if (source.keys.size() != source.num_rows()) return arrow::Status::OK();
    fixed = fixed && source.keys.fixed_width() == width;
  }
  int64_t total = 0;
  for (const RowSlice& slice : slices_) {
    const EncodedKeys& keys = sources_[slice.source].keys;
    total += static_cast<int64_t>(KeyBytes(keys, slice.start, slice.length).size());
  }
  // One allocation: offsets, unless all keys have one width, then the bytes.
  const int64_t offset_bytes = fixed ? 0 : (rows_ + 1) * static_cast<int64_t>(sizeof(int64_t));
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(offset_bytes + total, options_.pool));
  auto* offsets = reinterpret_cast<int64_t*>(buffer->mutable_data());
  uint8_t* const data = buffer->mutable_data() + offset_bytes;
  uint8_t* to = data;
  for (const RowSlice& slice : slices_) {
    const EncodedKeys& keys = sources_[slice.source].keys;
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
  if (fixed) {
    out->keys = EncodedKeys::Fixed(data, width, rows_, std::move(buffer));
  } else {
    *offsets = total;
    const auto* begin = reinterpret_cast<const int64_t*>(buffer->data());
    out->keys = EncodedKeys::Offsets64(data, begin, rows_, std::move(buffer));
  }
  return arrow::Status::OK();
}

arrow::Status MergeOutput::GatherVersions(RowBatch* out) const {
  auto owner = std::make_shared<VersionBuffers>();
  ARROW_ASSIGN_OR_RAISE(
      owner->sequences,
      arrow::AllocateBuffer(rows_ * static_cast<int64_t>(sizeof(uint64_t)), options_.pool));
  ARROW_ASSIGN_OR_RAISE(owner->kinds, arrow::AllocateBuffer(rows_, options_.pool));
  auto* sequences = reinterpret_cast<uint64_t*>(owner->sequences->mutable_data());
  uint8_t* kinds = owner->kinds->mutable_data();
  out->sequences = sequences;
  out->kinds = kinds;
  for (const RowSlice& slice : slices_) {
    const RowBatch& source = sources_[slice.source];
    for (int64_t i = slice.start; i < slice.start + slice.length; ++i) {
      *sequences++ = source.SequenceAt(i);
      *kinds++ = static_cast<uint8_t>(source.KindAt(i));
    }
  }
  out->unique_keys = false;  // not known: Simplify looks
  out->owner = std::move(owner);
  return arrow::Status::OK();
}

}  // namespace marble

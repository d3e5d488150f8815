#include "tree/merge_output.h"

#include <algorithm>
#include <utility>

#include <arrow/array/data.h>
#include <arrow/type_traits.h>

#include "row/batch_ops.h"
#include "row/gather_rows.h"

namespace marble {
namespace {

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

/// Drops hidden columns that say nothing and finds out whether keys are unique.
void Simplify(const MergeOutputOptions& options, RowBatch* out) {
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
  out->unique_keys = out->unique_keys || options.single_version || !AnyKeyTwice(out->keys);
}

}  // namespace

arrow::Result<RowBatch> ChosenRows::Gather() && {
  if (batch_.has_value()) return *std::move(batch_);
  RowBatch out;
  std::vector<std::shared_ptr<arrow::RecordBatch>> columns;
  columns.reserve(sources_.size());
  for (const RowBatch& source : sources_) columns.push_back(source.columns);
  Helpers* const helpers = is_large() ? options_->helpers : nullptr;
  ARROW_ASSIGN_OR_RAISE(const RowSelection chosen,
                        RowSelection::FromList(*std::move(rows_), options_->pool));
  ARROW_ASSIGN_OR_RAISE(out.columns,
                        marble::Gather(options_->schema, columns, chosen, options_->pool, helpers));
  out.filtered = std::ranges::all_of(sources_, [](const RowBatch& rows) { return rows.filtered; });
  if (options_->with_keys && options_->key_column >= 0) {
    out.keys = KeysOf(out.columns->column_data(options_->key_column));
  } else if (options_->with_keys) {
    ARROW_ASSIGN_OR_RAISE(out.keys, GatherKeys(sources_, chosen, options_->pool));
  }
  if (options_->with_versions) {
    ARROW_RETURN_NOT_OK(GatherVersions(sources_, chosen, options_->pool, &out));
    out.unique_keys = false;  // not known: Simplify looks
    Simplify(*options_, &out);
  }
  return out;
}

void MergeOutput::Adopt(MergeInput* input) {
  if (input->output_round == round_) return;
  input->output_round = round_;
  input->output_source = static_cast<int32_t>(sources_.size());
  sources_.push_back(input->batch);
  has_many_sources_ = sources_.size() >= static_cast<size_t>(RowList::kSourcesMax / 2);
}

void MergeOutput::Clear() {
  sources_.clear();
  rows_ = RowList(options_.pool);
  bytes_ = 0;
  superseded_bytes_ = 0;
  has_many_sources_ = false;
  ++round_;
}

ChosenRows MergeOutput::Take() {
  const RowSlice& last = rows_.last();
  if (rows_.stretches() == 1 && !last.descending) {
    ChosenRows chosen = PassThrough(sources_[last.source], last.start, last.length);
    Clear();
    return chosen;
  }
  const int64_t words = rows_.words();
  ChosenRows chosen(&options_, std::move(sources_), std::move(rows_), bytes_);
  Clear();
  rows_ = RowList(options_.pool, words);  // the next batch will be much like this one
  return chosen;
}

ChosenRows MergeOutput::PassThrough(const RowBatch& batch, int64_t start, int64_t length) const {
  RowBatch out = start == 0 && length == batch.num_rows() ? batch : batch.Slice(start, length);
  if (!options_.with_keys) out.keys = EncodedKeys();
  if (options_.with_versions) {
    Simplify(options_, &out);
    return ChosenRows(std::move(out));
  }
  out.sequences = nullptr;
  out.sequence = 0;
  out.sequence_max = 0;
  out.kinds = nullptr;
  out.unique_keys = true;  // a read delivers one version of a key
  return ChosenRows(std::move(out));
}

}  // namespace marble

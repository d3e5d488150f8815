#include "sst/hidden_columns.h"

#include <algorithm>

#include <arrow/buffer.h>
#include <arrow/type.h>

namespace marble {

void HiddenStatistics::Merge(const HiddenStatistics& other) {
  sequence_min = std::min(sequence_min, other.sequence_min);
  sequence_max = std::max(sequence_max, other.sequence_max);
  deletes += other.deletes;
  non_puts += other.non_puts;
}

HiddenColumns::HiddenColumns(std::span<const RowBatch> slices, int64_t rows,
                             std::optional<uint64_t> constant_sequence, bool with_kinds)
    : rows_(rows) {
  if (constant_sequence.has_value()) {
    statistics_.sequence_min = *constant_sequence;
    statistics_.sequence_max = *constant_sequence;
  } else {
    MakeSequences(slices);
  }
  MakeKinds(slices, with_kinds);
}

void HiddenColumns::MakeSequences(std::span<const RowBatch> slices) {
  if (slices.size() == 1 && slices[0].sequences != nullptr) {
    sequences_ = slices[0].sequences;
  } else {
    own_sequences_.reserve(rows_);
    for (const RowBatch& slice : slices) {
      if (slice.sequences == nullptr) {
        own_sequences_.insert(own_sequences_.end(), slice.num_rows(), slice.sequence);
      } else {
        own_sequences_.insert(own_sequences_.end(), slice.sequences,
                              slice.sequences + slice.num_rows());
      }
    }
    sequences_ = own_sequences_.data();
  }
  for (int64_t i = 0; i < rows_; ++i) {
    statistics_.sequence_min = std::min(statistics_.sequence_min, sequences_[i]);
    statistics_.sequence_max = std::max(statistics_.sequence_max, sequences_[i]);
  }
}

void HiddenColumns::MakeKinds(std::span<const RowBatch> slices, bool with_kinds) {
  for (const RowBatch& slice : slices) {
    if (slice.kinds == nullptr) continue;
    for (int64_t i = 0; i < slice.num_rows(); ++i) {
      statistics_.deletes += slice.kinds[i] == static_cast<uint8_t>(RowKind::kDelete);
      statistics_.non_puts += slice.kinds[i] != static_cast<uint8_t>(RowKind::kPut);
    }
  }
  if (!with_kinds) {
    if (statistics_.non_puts > 0) {
      status_ = arrow::Status::Invalid("deleted rows for an SSTable of puts only");
    }
    return;
  }
  if (slices.size() == 1 && slices[0].kinds != nullptr) {
    kinds_ = slices[0].kinds;
    return;
  }
  own_kinds_.reserve(rows_);
  for (const RowBatch& slice : slices) {
    if (slice.kinds == nullptr) {
      own_kinds_.insert(own_kinds_.end(), slice.num_rows(), static_cast<uint8_t>(RowKind::kPut));
    } else {
      own_kinds_.insert(own_kinds_.end(), slice.kinds, slice.kinds + slice.num_rows());
    }
  }
  kinds_ = own_kinds_.data();
}

void HiddenColumns::AppendTo(std::vector<std::shared_ptr<arrow::ArrayData>>* columns) const {
  const auto append = [&](std::shared_ptr<arrow::DataType> type, const void* values,
                          int64_t width) {
    auto buffer =
        std::make_shared<arrow::Buffer>(static_cast<const uint8_t*>(values), rows_ * width);
    columns->push_back(
        arrow::ArrayData::Make(std::move(type), rows_, {nullptr, std::move(buffer)}, 0));
  };
  if (sequences_ != nullptr) append(arrow::uint64(), sequences_, sizeof(uint64_t));
  if (kinds_ != nullptr) append(arrow::uint8(), kinds_, sizeof(uint8_t));
}

}  // namespace marble

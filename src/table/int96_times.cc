#include "table/int96_times.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include <arrow/array/data.h>

namespace marble {

void Int96Times::See(const arrow::RecordBatch& nanos, const arrow::RecordBatch& micros) {
  for (int i = 0; i < std::min(nanos.num_columns(), micros.num_columns()); ++i) {
    See(*nanos.column_data(i), *micros.column_data(i));
  }
}

arrow::Result<arrow::TimeUnit::type> Int96Times::Unit() const {
  if (!any_far_) return arrow::TimeUnit::NANO;
  if (!any_fine_) return arrow::TimeUnit::MICRO;
  return arrow::Status::Invalid(
      "times of INT96 columns are too far away for nanoseconds, and others too fine for"
      " microseconds");
}

void Int96Times::See(const arrow::ArrayData& nanos, const arrow::ArrayData& micros) {
  if (nanos.type->id() == arrow::Type::TIMESTAMP && micros.type->id() == arrow::Type::TIMESTAMP) {
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 1000;
    const auto* const fine = nanos.GetValues<uint64_t>(1);
    const auto* const coarse = micros.GetValues<int64_t>(1);
    for (int64_t i = 0; i < std::min(nanos.length, micros.length); ++i) {
      if (!micros.IsValid(i)) continue;
      any_far_ |= coarse[i] > kMax || coarse[i] < -kMax;
      // Modulo 2^64, as the nanoseconds are.
      any_fine_ |= fine[i] != static_cast<uint64_t>(coarse[i]) * 1000;
    }
  }
  for (size_t i = 0; i < std::min(nanos.child_data.size(), micros.child_data.size()); ++i) {
    See(*nanos.child_data[i], *micros.child_data[i]);
  }
}

}  // namespace marble

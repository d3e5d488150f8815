#include "row/row_filter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <arrow/array.h>
#include <arrow/compute/exec.h>
#include <arrow/datum.h>
#include <arrow/scalar.h>
#include <arrow/util/bit_run_reader.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/bitmap_ops.h>

#include "row/conjuncts.h"

namespace marble {

namespace {

namespace compute = arrow::compute;

/// The number that values of a type are stored as; nullopt if they are no numbers.
std::optional<NumberType> NumberTypeOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::INT8:
      return NumberType::kInt8;
    case arrow::Type::INT16:
      return NumberType::kInt16;
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
      return NumberType::kInt32;
    case arrow::Type::INT64:
    case arrow::Type::DATE64:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
      return NumberType::kInt64;
    case arrow::Type::UINT8:
      return NumberType::kUInt8;
    case arrow::Type::UINT16:
      return NumberType::kUInt16;
    case arrow::Type::UINT32:
      return NumberType::kUInt32;
    case arrow::Type::UINT64:
      return NumberType::kUInt64;
    case arrow::Type::FLOAT:
      return NumberType::kFloat;
    case arrow::Type::DOUBLE:
      return NumberType::kDouble;
    default:
      return std::nullopt;
  }
}

template <typename T>
struct Interval {
  T low;
  T high;
};

/// What compares with `value` so; nullopt if that is no interval.
template <typename T>
std::optional<Interval<T>> IntervalOf(Comparison comparison, T value) {
  using Limits = std::numeric_limits<T>;
  constexpr bool is_float = std::is_floating_point_v<T>;
  // NaN is not equal to anything: comparing so with it is true, and to be in no range is not.
  if (comparison == Comparison::kNotEqual) return std::nullopt;
  const T lowest = is_float ? -Limits::infinity() : Limits::lowest();
  const T highest = is_float ? Limits::infinity() : Limits::max();
  const Interval<T> none{T{1}, T{0}};
  const bool strict = comparison == Comparison::kLess || comparison == Comparison::kGreater;
  const T end = comparison == Comparison::kLess ? lowest : highest;
  if constexpr (is_float) {
    if (std::isnan(value)) return none;
  }
  if (strict && value == end) return none;
  if (strict) {
    if constexpr (is_float) {
      value = std::nextafter(value, end);
    } else {
      value =
          comparison == Comparison::kLess ? static_cast<T>(value - 1) : static_cast<T>(value + 1);
    }
  }
  switch (comparison) {
    case Comparison::kEqual:
      return Interval<T>{value, value};
    case Comparison::kLess:
    case Comparison::kLessEqual:
      return Interval<T>{lowest, value};
    case Comparison::kGreater:
    case Comparison::kGreaterEqual:
      return Interval<T>{value, highest};
    case Comparison::kNotEqual:
      break;
  }
  return std::nullopt;
}

template <typename T>
std::optional<NumberRange> RangeOf(NumberType type, const ColumnComparison& comparison) {
  NumberRange range;
  range.type = type;
  Interval<T> interval{T{1}, T{0}};
  if (comparison.value->is_valid) {
    T value;
    const auto& scalar =
        static_cast<const arrow::internal::PrimitiveScalarBase&>(*comparison.value);
    std::memcpy(&value, scalar.data(), sizeof(T));
    const auto found = IntervalOf<T>(comparison.comparison, value);
    if (!found.has_value()) return std::nullopt;
    interval = *found;
  }
  std::memcpy(&range.low, &interval.low, sizeof(T));
  std::memcpy(&range.high, &interval.high, sizeof(T));
  return range;
}

/// Not in threads that treat denormal numbers as zero, as libraries of linear algebra may ask for.
bool DenormalsCount() {
  const volatile double smallest = std::numeric_limits<double>::denorm_min();
  return smallest > 0;
}

/// Is an end of the range zero, or a number that may count as zero?
template <typename T>
bool HasTinyEnd(const NumberRange& range) {
  const auto is_tiny = [](const uint64_t& bytes) {
    T end;
    std::memcpy(&end, &bytes, sizeof(T));
    return std::abs(end) < std::numeric_limits<T>::min();
  };
  return is_tiny(range.low) || is_tiny(range.high);
}

std::optional<NumberRange> AsRange(NumberType type, const ColumnComparison& comparison) {
  switch (type) {
    case NumberType::kInt8:
      return RangeOf<int8_t>(type, comparison);
    case NumberType::kInt16:
      return RangeOf<int16_t>(type, comparison);
    case NumberType::kInt32:
      return RangeOf<int32_t>(type, comparison);
    case NumberType::kInt64:
      return RangeOf<int64_t>(type, comparison);
    case NumberType::kUInt8:
      return RangeOf<uint8_t>(type, comparison);
    case NumberType::kUInt16:
      return RangeOf<uint16_t>(type, comparison);
    case NumberType::kUInt32:
      return RangeOf<uint32_t>(type, comparison);
    case NumberType::kUInt64:
      return RangeOf<uint64_t>(type, comparison);
    case NumberType::kFloat:
      return RangeOf<float>(type, comparison);
    case NumberType::kDouble:
      return RangeOf<double>(type, comparison);
  }
  return std::nullopt;
}

/// Rows whose bits are a word.
constexpr int64_t kWordRows = 64;

/// Clears the bits, from bit `first` on, of rows where `column` is null.
void KeepValid(const arrow::ArrayData& column, int64_t first, uint8_t* bits) {
  if (!column.MayHaveNulls() || column.buffers[0] == nullptr) return;
  arrow::internal::BitmapAnd(bits, first, column.buffers[0]->data(), column.offset, column.length,
                             first, bits);
}

}  // namespace

std::vector<RowSlice> Selection::Slices(int64_t rows_max) const {
  std::vector<RowSlice> slices;
  const auto add = [&](int64_t start, int64_t length) {
    length = std::min(length, rows_max);
    rows_max -= length;
    if (length > 0) slices.push_back({0, false, start, length});
  };
  if (bits == nullptr) {
    add(0, count);
    return slices;
  }
  arrow::internal::SetBitRunReader runs(bits->data(), 0, rows);
  for (auto run = runs.NextRun(); run.length != 0 && rows_max > 0; run = runs.NextRun()) {
    add(run.position, run.length);
  }
  return slices;
}

arrow::Result<std::shared_ptr<const RowFilter>> RowFilter::Make(
    std::shared_ptr<const StoredSchema> schema, compute::Expression filter,
    std::vector<int> columns) {
  std::shared_ptr<RowFilter> made(new RowFilter());  // raw new because: private constructor
  made->schema_ = std::move(schema);
  made->filter_ = std::move(filter);
  made->columns_ = std::move(columns);
  made->user_columns_ = made->schema_->Project(made->columns_);
  std::vector<compute::Expression> rest;
  for (compute::Expression& term : Conjuncts(made->filter_)) {
    if (auto range = made->AsRangeTerm(term)) {
      made->has_tiny_ends_ =
          made->has_tiny_ends_ ||
          (range->range.type == NumberType::kFloat && HasTinyEnd<float>(range->range)) ||
          (range->range.type == NumberType::kDouble && HasTinyEnd<double>(range->range));
      made->ranges_.push_back(*range);
    } else {
      rest.push_back(std::move(term));
    }
  }
  if (made->ranges_.empty()) {
    made->rest_ = made->filter_;
  } else if (!rest.empty()) {
    ARROW_ASSIGN_OR_RAISE(made->rest_,
                          compute::and_(std::move(rest)).Bind(*made->schema_->user_schema()));
  }
  return made;
}

int RowFilter::PositionOf(int column) const {
  return static_cast<int>(std::find(columns_.begin(), columns_.end(), column) - columns_.begin());
}

std::optional<RowFilter::RangeTerm> RowFilter::AsRangeTerm(const compute::Expression& term) const {
  const auto comparison = AsComparison(term);
  if (!comparison.has_value() || comparison->cast_to != nullptr) return std::nullopt;
  const arrow::DataType& stored = *schema_->stored_schema()->field(comparison->column)->type();
  const arrow::DataType& user = *schema_->user_schema()->field(comparison->column)->type();
  if (!stored.Equals(user) || !stored.Equals(*comparison->value->type)) return std::nullopt;
  const auto type = NumberTypeOf(stored);
  if (!type.has_value()) return std::nullopt;
  const auto range = AsRange(*type, *comparison);
  if (!range.has_value()) return std::nullopt;
  return RangeTerm{PositionOf(comparison->column), *range};
}

arrow::Result<Selection> RowFilter::Select(const arrow::RecordBatch& batch) const {
  Selection selection;
  selection.rows = batch.num_rows();
  const int64_t words = (selection.rows + 63) / 64;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(words * 8, arrow::default_memory_pool()));
  auto* bits = buffer->mutable_data();
  std::memset(bits, 0xFF, static_cast<size_t>(words) * 8);
  // "Above zero" is "from the smallest number on" here, which zero would be as well where that
  // counts as zero.
  const bool by_arrow = has_tiny_ends_ && !DenormalsCount();
  if (by_arrow) ARROW_RETURN_NOT_OK(KeepByArrow(filter_, batch, 0, bits));
  for (const RangeTerm& term : ranges_) {
    if (by_arrow) break;
    const arrow::ArrayData& column = *batch.column_data(term.position);
    const int width = column.type->byte_width();
    if (selection.rows == 0) break;
    KeepInRange(term.range, column.buffers[1]->data() + column.offset * width, selection.rows,
                reinterpret_cast<uint64_t*>(bits));
    KeepValid(column, 0, bits);
  }
  if (rest_.has_value() && !by_arrow) {
    const bool any = ranges_.empty() || arrow::internal::CountSetBits(bits, 0, selection.rows) > 0;
    if (any) ARROW_RETURN_NOT_OK(KeepByArrow(*rest_, batch, 0, bits));
    if (!any) return selection;
  }
  selection.count = arrow::internal::CountSetBits(bits, 0, selection.rows);
  if (selection.count > 0 && !selection.all()) selection.bits = std::move(buffer);
  return selection;
}

arrow::Status RowFilter::KeepPart(const compute::Expression& terms, const arrow::RecordBatch& part,
                                  int64_t first, uint8_t* bits) const {
  if (part.num_rows() > kWordRows) return KeepByArrow(terms, part, first, bits);
  uint8_t kept[kWordRows / 8];
  std::memset(kept, 0xFF, sizeof(kept));
  ARROW_RETURN_NOT_OK(KeepByArrow(terms, part, 0, kept));
  for (int64_t i = 0; i < part.num_rows(); ++i) {
    if (!arrow::bit_util::GetBit(kept, i)) arrow::bit_util::ClearBit(bits, first + i);
  }
  return arrow::Status::OK();
}

arrow::Status RowFilter::KeepByArrow(const compute::Expression& terms,
                                     const arrow::RecordBatch& batch, int64_t first,
                                     uint8_t* bits) const {
  const int64_t rows = batch.num_rows();
  if (rows == 0) return arrow::Status::OK();
  const auto input = schema_->ToUser(batch, columns_, user_columns_);
  if (input.status().IsCapacityError() && rows > 1) {
    // More words than a dictionary's indices can number, or more rows than run ends can. Cut where
    // a word of bits begins as long as there are several: BitmapAnd changes whole bytes.
    const int64_t words = rows / 2 / kWordRows;
    const int64_t half = rows <= kWordRows ? rows / 2 : std::max(words, int64_t{1}) * kWordRows;
    ARROW_RETURN_NOT_OK(KeepPart(terms, *batch.Slice(0, half), first, bits));
    return KeepPart(terms, *batch.Slice(half), first + half, bits);
  }
  ARROW_RETURN_NOT_OK(input.status());
  // The columns that the filter does not name are not read; something has to stand in their places.
  std::vector<arrow::Datum> values(schema_->user_schema()->num_fields(),
                                   arrow::Datum(std::make_shared<arrow::NullScalar>()));
  for (size_t i = 0; i < columns_.size(); ++i) {
    values[columns_[i]] = (*input)->column(static_cast<int>(i));
  }
  ARROW_ASSIGN_OR_RAISE(
      const arrow::Datum datum,
      compute::ExecuteScalarExpression(terms, compute::ExecBatch(std::move(values), rows)));
  if (datum.is_scalar()) {
    const auto& answer = datum.scalar_as<arrow::BooleanScalar>();
    const bool keep = answer.is_valid && answer.value;
    if (!keep) arrow::bit_util::SetBitsTo(bits, first, rows, false);
    return arrow::Status::OK();
  }
  const arrow::ArrayData& mask = *datum.array();
  arrow::internal::BitmapAnd(bits, first, mask.buffers[1]->data(), mask.offset, rows, first, bits);
  KeepValid(mask, first, bits);
  return arrow::Status::OK();
}

}  // namespace marble

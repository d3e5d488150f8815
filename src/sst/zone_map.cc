#include "sst/zone_map.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/api_aggregate.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/message.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/scalar.h>
#include <arrow/util/float16.h>

#include "base/coding.h"
#include "row/compute.h"
#include "sst/body_compression.h"
#include "sst/zone_bound.h"

namespace marble {

namespace {

enum class Rule { kNone, kBinary32, kBinary64, kKernel };

Rule RuleOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return Rule::kBinary32;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return Rule::kBinary64;
    case arrow::Type::NA:
      return Rule::kNone;
    default:
      return arrow::is_primitive(type.id()) || arrow::is_decimal(type.id()) ||
                     type.id() == arrow::Type::FIXED_SIZE_BINARY
                 ? Rule::kKernel
                 : Rule::kNone;
  }
}

template <typename Array>
bool AnyNaN(const arrow::Array& array) {
  const auto& values = static_cast<const Array&>(array);
  for (int64_t i = 0; i < values.length(); ++i) {
    if (std::isnan(values.Value(i)) && values.IsValid(i)) return true;
  }
  return false;
}

bool HasNaN(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::FLOAT:
      return AnyNaN<arrow::FloatArray>(array);
    case arrow::Type::DOUBLE:
      return AnyNaN<arrow::DoubleArray>(array);
    case arrow::Type::HALF_FLOAT: {
      const auto& values = static_cast<const arrow::HalfFloatArray&>(array);
      for (int64_t i = 0; i < values.length(); ++i) {
        if (arrow::util::Float16::FromBits(values.Value(i)).is_nan()) return true;
      }
      return false;
    }
    default:
      return false;
  }
}

// Eight bytes from `at` on as a number that orders as memcmp does; shorter strings order by the
// zeros behind them.
uint64_t WordAt(std::string_view value, size_t at) {
  if (value.size() >= at + 8) return LoadBig64(value.data() + at);
  uint64_t word = 0;
  if (value.size() > at) std::memcpy(&word, value.data() + at, value.size() - at);
  return __builtin_bswap64(word);
}

// Whether a < b, where their first eight bytes are equal. Word by word: values of a column often
// begin alike, and a call of memcmp for each costs more than what it compares.
bool LessBehindPrefix(std::string_view a, std::string_view b) {
  const size_t end = std::min(a.size(), b.size());
  for (size_t at = 8; at < end; at += 8) {
    const uint64_t x = WordAt(a, at);
    const uint64_t y = WordAt(b, at);
    if (x != y) return x < y;
  }
  return a < b;
}

// First words of an array's values. Where eight bytes are there to be read, the ones behind a
// shorter value are masked out: columns of short strings are common.
template <typename Array>
class FirstWords {
 public:
  explicit FirstWords(const Array& values)
      : values_(values), bytes_(values.value_data() == nullptr ? 0 : values.value_data()->size()) {}

  uint64_t operator[](int64_t row) const {
    const int64_t begin = values_.value_offset(row);
    const int64_t size = values_.value_offset(row + 1) - begin;
    if (begin + 8 > bytes_) return WordAt(values_.GetView(row), 0);
    const uint64_t word = LoadBig64(values_.raw_data() + begin);
    if (size >= 8) return word;
    return size == 0 ? 0 : word & (~uint64_t{0} << (64 - 8 * size));
  }

 private:
  const Array& values_;
  const int64_t bytes_;
};

// Of an array that is not nothing but nulls. `sorted`: a column of keys, which has no nulls:
// neither a writer nor a verification takes rows whose keys have some.
template <typename Array>
std::pair<std::string_view, std::string_view> BinaryMinMax(const Array& values, bool sorted) {
  if (sorted) return {values.GetView(0), values.GetView(values.length() - 1)};
  const bool any_null = values.null_count() > 0;
  const FirstWords<Array> words(values);
  std::string_view min;
  std::string_view max;
  uint64_t min_word = ~uint64_t{0};
  uint64_t max_word = 0;
  bool any = false;
  for (int64_t i = 0; i < values.length(); ++i) {
    if (any_null && values.IsNull(i)) continue;
    const uint64_t word = words[i];
    if (word > min_word && word < max_word) continue;
    const std::string_view value = values.GetView(i);
    // Columns of a few short values meet their bounds again and again.
    if (any && value.size() <= 8 &&
        ((word == min_word && value.size() == min.size()) ||
         (word == max_word && value.size() == max.size()))) {
      continue;
    }
    if (!any || word < min_word || (word == min_word && LessBehindPrefix(value, min))) {
      min = value;
      min_word = word;
    }
    if (!any || word > max_word || (word == max_word && LessBehindPrefix(max, value))) {
      max = value;
      max_word = word;
    }
    any = true;
  }
  return {min, max};
}

// Minimum and maximum of one column, a row per block.
class ColumnZones {
 public:
  arrow::Status Init(const std::shared_ptr<arrow::DataType>& type, bool sorted) {
    type_ = type;
    sorted_ = sorted;
    rule_ = RuleOf(*type);
    ARROW_RETURN_NOT_OK(arrow::MakeBuilder(arrow::default_memory_pool(), type, &min_));
    return arrow::MakeBuilder(arrow::default_memory_pool(), type, &max_);
  }

  arrow::Status Add(const std::shared_ptr<arrow::Array>& array) {
    const int64_t nulls = type_->id() == arrow::Type::NA ? array->length() : array->null_count();
    ARROW_RETURN_NOT_OK(nulls_.Append(nulls));
    total_nulls_ += nulls;
    // A block of nulls says nothing about values, and takes nothing away from the file's bounds.
    if (nulls == array->length()) return AppendNone();
    switch (rule_) {
      case Rule::kNone:
        return Unknown();
      case Rule::kBinary32:
        return AddBinary<arrow::BinaryArray, arrow::BinaryBuilder>(*array);
      case Rule::kBinary64:
        return AddBinary<arrow::LargeBinaryArray, arrow::LargeBinaryBuilder>(*array);
      case Rule::kKernel:
        break;
    }
    return AddByKernel(array);
  }

  // Adds the file's row and gives min, max and nulls.
  arrow::Status Finish(arrow::ArrayVector* out) {
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Array> min, FinishBound(min_.get(), true));
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Array> max, FinishBound(max_.get(), false));
    ARROW_RETURN_NOT_OK(nulls_.Append(total_nulls_));
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Array> nulls, nulls_.Finish());
    out->insert(out->end(), {min, max, nulls});
    return arrow::Status::OK();
  }

 private:
  arrow::Status AppendNone() {
    ARROW_RETURN_NOT_OK(min_->AppendNull());
    return max_->AppendNull();
  }

  arrow::Status Unknown() {
    file_has_min_ = false;
    file_has_max_ = false;
    return AppendNone();
  }

  template <typename Array, typename Builder>
  arrow::Status AddBinary(const arrow::Array& array) {
    const auto [min, max] = BinaryMinMax(static_cast<const Array&>(array), sorted_);
    const bool is_text = arrow::is_string(type_->id());
    ARROW_RETURN_NOT_OK(static_cast<Builder*>(min_.get())->Append(ZoneLowerBound(min, is_text)));
    const std::optional<std::string> bound = ZoneUpperBound(max, is_text);
    if (bound.has_value()) return static_cast<Builder*>(max_.get())->Append(*bound);
    file_has_max_ = false;
    return max_->AppendNull();
  }

  arrow::Status AddByKernel(const std::shared_ptr<arrow::Array>& array) {
    if (HasNaN(*array)) return Unknown();
    const arrow::Result<arrow::Datum> result = arrow::compute::MinMax(array);
    if (result.status().IsNotImplemented()) {
      rule_ = Rule::kNone;
      return Unknown();
    }
    ARROW_RETURN_NOT_OK(result.status());
    const auto& both = result->scalar_as<arrow::StructScalar>();
    ARROW_RETURN_NOT_OK(min_->AppendScalar(*both.value[0]));
    return max_->AppendScalar(*both.value[1]);
  }

  arrow::Result<std::shared_ptr<arrow::Array>> FinishBound(arrow::ArrayBuilder* builder,
                                                           bool is_min) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> blocks, builder->Finish());
    std::shared_ptr<arrow::Scalar> file;  // null: there is none
    const bool known = is_min ? file_has_min_ : file_has_max_;
    if (known && blocks->null_count() < blocks->length()) {
      ARROW_ASSIGN_OR_RAISE(file, BoundOf(blocks, is_min));
    }
    ARROW_RETURN_NOT_OK(builder->AppendArraySlice(*blocks->data(), 0, blocks->length()));
    // Not every builder takes a null as a scalar (that of the null type does not).
    ARROW_RETURN_NOT_OK(file != nullptr ? builder->AppendScalar(*file) : builder->AppendNull());
    return builder->Finish();
  }

  arrow::Result<std::shared_ptr<arrow::Scalar>> BoundOf(const std::shared_ptr<arrow::Array>& blocks,
                                                        bool is_min) const {
    const auto of = [&](const auto& values) {
      // Blocks ascend as well, but their bounds may have been cut.
      const auto [min, max] = BinaryMinMax(values, /*sorted=*/false);
      return arrow::MakeScalar(type_, arrow::Buffer::FromString(std::string(is_min ? min : max)));
    };
    if (rule_ == Rule::kBinary32) return of(static_cast<const arrow::BinaryArray&>(*blocks));
    if (rule_ == Rule::kBinary64) return of(static_cast<const arrow::LargeBinaryArray&>(*blocks));
    ARROW_ASSIGN_OR_RAISE(const arrow::Datum both, arrow::compute::MinMax(blocks));
    return both.scalar_as<arrow::StructScalar>().value[is_min ? 0 : 1];
  }

  std::shared_ptr<arrow::DataType> type_;
  Rule rule_ = Rule::kNone;
  bool sorted_ = false;  // the values of a block ascend
  std::unique_ptr<arrow::ArrayBuilder> min_;
  std::unique_ptr<arrow::ArrayBuilder> max_;
  arrow::Int64Builder nulls_;
  int64_t total_nulls_ = 0;
  // False once some block has values and no statistics.
  bool file_has_min_ = true;
  bool file_has_max_ = true;
};

/// The messages of a stream, each checked before Arrow's reader decodes it.
class CheckedMessages : public arrow::ipc::MessageReader {
 public:
  explicit CheckedMessages(std::unique_ptr<arrow::ipc::MessageReader> messages)
      : messages_(std::move(messages)) {}

  arrow::Result<std::unique_ptr<arrow::ipc::Message>> ReadNextMessage() override {
    ARROW_ASSIGN_OR_RAISE(auto message, messages_->ReadNextMessage());
    if (message == nullptr || message->type() == arrow::ipc::MessageType::SCHEMA) return message;
    const std::string_view metadata(*message->metadata());
    const std::string_view body(*message->body());
    ARROW_RETURN_NOT_OK(
        CheckBodyClaims(metadata, {reinterpret_cast<const uint8_t*>(body.data()), body.size()})
            .status());
    return message;
  }

 private:
  std::unique_ptr<arrow::ipc::MessageReader> messages_;
};

}  // namespace

struct ZoneMapBuilder::Impl {
  std::shared_ptr<arrow::Schema> schema;
  int sorted_column = -1;
  std::vector<ColumnZones> columns;
  int64_t blocks = 0;

  // The first call makes the builders, so that the constructor cannot fail.
  arrow::Status Prepare() {
    if (static_cast<int>(columns.size()) == schema->num_fields()) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(InitializeCompute());
    columns.clear();
    columns.resize(schema->num_fields());
    for (int i = 0; i < schema->num_fields(); ++i) {
      ARROW_RETURN_NOT_OK(columns[i].Init(schema->field(i)->type(), i == sorted_column));
    }
    return arrow::Status::OK();
  }
};

ZoneMapBuilder::ZoneMapBuilder(std::shared_ptr<arrow::Schema> stored_schema, int sorted_column)
    : impl_(std::make_unique<Impl>()) {
  impl_->schema = std::move(stored_schema);
  impl_->sorted_column = sorted_column;
}

ZoneMapBuilder::~ZoneMapBuilder() = default;

arrow::Status ZoneMapBuilder::AddBlock(const arrow::RecordBatch& block) {
  ARROW_RETURN_NOT_OK(impl_->Prepare());
  for (int i = 0; i < block.num_columns(); ++i) {
    ARROW_RETURN_NOT_OK(impl_->columns[i].Add(block.column(i)));
  }
  ++impl_->blocks;
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> ZoneMapBuilder::FinishBatch() {
  ARROW_RETURN_NOT_OK(impl_->Prepare());
  arrow::ArrayVector arrays;
  for (ColumnZones& column : impl_->columns) ARROW_RETURN_NOT_OK(column.Finish(&arrays));
  return arrow::RecordBatch::Make(ZoneMapSchema(*impl_->schema), impl_->blocks + 1, arrays);
}

arrow::Result<std::string> ZoneMapBuilder::Finish(std::shared_ptr<arrow::util::Codec> codec) {
  ARROW_ASSIGN_OR_RAISE(const auto batch, FinishBatch());
  ARROW_ASSIGN_OR_RAISE(const auto sink, arrow::io::BufferOutputStream::Create());
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.use_threads = false;
  options.allow_64bit = true;
  options.codec = std::move(codec);
  ARROW_ASSIGN_OR_RAISE(const auto writer,
                        arrow::ipc::MakeStreamWriter(sink, batch->schema(), options));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Buffer> bytes, sink->Finish());
  return bytes->ToString();
}

std::shared_ptr<arrow::Schema> ZoneMapSchema(const arrow::Schema& stored_schema) {
  arrow::FieldVector fields;
  for (int i = 0; i < stored_schema.num_fields(); ++i) {
    const std::shared_ptr<arrow::DataType>& type = stored_schema.field(i)->type();
    const std::string name = std::to_string(i);
    fields.push_back(arrow::field(name + ".min", type));
    fields.push_back(arrow::field(name + ".max", type));
    fields.push_back(arrow::field(name + ".nulls", arrow::int64()));
  }
  return arrow::schema(std::move(fields));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> ParseZoneMaps(std::string_view section) {
  // Copied, so that the batch owns its memory and the section need not stay.
  auto input =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::string(section)));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  ARROW_ASSIGN_OR_RAISE(
      const auto reader,
      arrow::ipc::RecordBatchStreamReader::Open(
          std::make_unique<CheckedMessages>(arrow::ipc::MessageReader::Open(input)), options));
  std::shared_ptr<arrow::RecordBatch> batch;
  ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
  if (batch == nullptr) return arrow::Status::Invalid("zone maps without a record batch");
  ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batch;
}

}  // namespace marble

#include <charconv>
#include <utility>

#include <arrow/csv/api.h>
#include <arrow/extension_type.h>
#include <arrow/io/concurrency.h>
#include <arrow/util/checked_cast.h>

#include "table/import_source.h"

namespace marble {
namespace {

using arrow::Type;
using arrow::internal::checked_cast;

constexpr int32_t kBlockBytes = 4 << 20;

/// The type to read a column of the table as: its own, or one that it can be made of where Arrow's
/// CSV reader has none. nullptr for values that CSV cannot hold.
std::shared_ptr<arrow::DataType> CsvType(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case Type::DICTIONARY:
      return CsvType(checked_cast<const arrow::DictionaryType&>(*type).value_type());
    case Type::RUN_END_ENCODED:
      return CsvType(checked_cast<const arrow::RunEndEncodedType&>(*type).value_type());
    case Type::EXTENSION:
      return CsvType(checked_cast<const arrow::ExtensionType&>(*type).storage_type());
    case Type::STRING_VIEW:
      return arrow::utf8();
    case Type::BINARY_VIEW:
      return arrow::binary();
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL256: {
      const auto& decimal = checked_cast<const arrow::DecimalType&>(*type);
      if (decimal.precision() > arrow::Decimal128Type::kMaxPrecision) return nullptr;
      return arrow::decimal128(decimal.precision(), decimal.scale());
    }
    case Type::HALF_FLOAT:
      return nullptr;
    default:
      if (arrow::is_nested(type->id()) || arrow::is_interval(type->id())) return nullptr;
      return type;
  }
}

class CsvSource final : public ImportSource {
 public:
  CsvSource(std::shared_ptr<FileInput> input, CsvReadOptions options)
      : input_(std::move(input)), options_(std::move(options)) {}

  arrow::Status Open() {
    ARROW_ASSIGN_OR_RAISE(const int64_t size, input_->GetSize());
    if (size == 0) return arrow::Status::Invalid("the file is empty: there is no line of names");
    ARROW_RETURN_NOT_OK(OpenReader({}));
    schema_ = reader_->schema();
    return schema_->num_fields() == 1 ? OpenReader({}) : arrow::Status::OK();
  }

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  arrow::Status Select(const std::vector<int>& wanted) override {
    if (static_cast<int>(wanted.size()) == schema_->num_fields()) return arrow::Status::OK();
    std::vector<std::string> names;
    for (int column : wanted) names.push_back(schema_->field(column)->name());
    // No names would mean all of them: rows that have nothing wanted are read whole.
    if (names.empty()) return arrow::Status::OK();
    return OpenReader(std::move(names));
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    const arrow::Status status = reader_->ReadNext(&batch);
    if (!status.ok()) return Named(status);
    return batch;
  }

  int64_t bytes_done() const override { return reader_->bytes_read(); }

 private:
  using Reader = std::shared_ptr<arrow::csv::StreamingReader>;

  arrow::csv::ParseOptions Parsing() const {
    auto parse = arrow::csv::ParseOptions::Defaults();
    parse.delimiter = options_.delimiter;
    parse.newlines_in_values = true;
    // In a file of one column a line without a character is a row of one empty value.
    parse.ignore_empty_lines = schema_ == nullptr || schema_->num_fields() > 1;
    return parse;
  }

  /// Reads and converts the first block.
  arrow::Result<Reader> MakeReader(const arrow::csv::ConvertOptions& convert) const {
    auto read = arrow::csv::ReadOptions::Defaults();
    read.block_size = kBlockBytes;
    // A stream of its own: of a reader that is given up Arrow's threads may still read.
    return arrow::csv::StreamingReader::Make(arrow::io::default_io_context(), input_->Again(), read,
                                             Parsing(), convert);
  }

  arrow::Status OpenReader(std::vector<std::string> names) {
    auto convert = arrow::csv::ConvertOptions::Defaults();
    for (const auto& field : options_.table->fields()) {
      if (auto type = CsvType(field->type())) convert.column_types[field->name()] = type;
    }
    convert.null_values = options_.nulls;
    convert.strings_can_be_null = true;
    convert.quoted_strings_can_be_null = false;
    convert.include_columns = std::move(names);
    auto opened = MakeReader(convert);
    if (!opened.ok()) return Named(opened.status());
    reader_ = *std::move(opened);
    return arrow::Status::OK();
  }

  /// Arrow gives the number of the column only.
  arrow::Status Named(const arrow::Status& status) const {
    static constexpr std::string_view kColumn = "CSV column #";
    const std::string& message = status.message();
    const size_t at = message.find(kColumn);
    if (at == std::string::npos) return status;
    int column = -1;
    const char* const digits = message.data() + at + kColumn.size();
    std::from_chars(digits, message.data() + message.size(), column);
    std::shared_ptr<arrow::Schema> columns = schema_;
    if (columns == nullptr) {
      // The first block was refused, before the names were known. Types of its values are guessed.
      auto guessed = MakeReader(arrow::csv::ConvertOptions::Defaults());
      if (!guessed.ok()) return status;
      columns = (*guessed)->schema();
    }
    if (column < 0 || column >= columns->num_fields()) return status;
    return status.WithMessage("column '", columns->field(column)->name(), "': ", message);
  }

  const std::shared_ptr<FileInput> input_;
  const CsvReadOptions options_;
  Reader reader_;
  std::shared_ptr<arrow::Schema> schema_;
};

}  // namespace

arrow::Result<std::unique_ptr<ImportSource>> OpenCsvSource(std::shared_ptr<FileInput> input,
                                                           CsvReadOptions options) {
  auto source = std::make_unique<CsvSource>(std::move(input), std::move(options));
  ARROW_RETURN_NOT_OK(source->Open());
  return source;
}

}  // namespace marble

#include "table/export_sink.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <arrow/array/array_dict.h>
#include <arrow/compute/api.h>
#include <arrow/csv/writer.h>
#include <arrow/extension_type.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/checked_cast.h>
#include <arrow/util/compression.h>

#include "table/exception_guard.h"
#include "table/lossless_cast.h"

namespace marble {
namespace {

using arrow::Type;
using arrow::internal::checked_cast;

/// Dictionaries that only grow, one for each column: the IPC file format has one dictionary for all
/// batches of a column, to which later batches can add.
class GrowingDictionaries {
 public:
  explicit GrowingDictionaries(std::shared_ptr<arrow::Schema> schema)
      : schema_(std::move(schema)) {}

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Apply(const arrow::RecordBatch& batch) {
    arrow::ArrayVector columns = batch.columns();
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i]->type_id() != Type::DICTIONARY) continue;
      ARROW_ASSIGN_OR_RAISE(columns[i], Grown(static_cast<int>(i), *columns[i]));
    }
    return arrow::RecordBatch::Make(schema_, batch.num_rows(), std::move(columns));
  }

 private:
  arrow::Result<std::shared_ptr<arrow::Array>> Grown(int column, const arrow::Array& array) {
    const auto& encoded = checked_cast<const arrow::DictionaryArray&>(array);
    const auto& type = checked_cast<const arrow::DictionaryType&>(*array.type());
    auto& [unifier, dictionary] = columns_[column];
    if (unifier == nullptr) {
      ARROW_ASSIGN_OR_RAISE(unifier, arrow::DictionaryUnifier::Make(type.value_type()));
    }
    std::shared_ptr<arrow::Buffer> transposed;
    ARROW_RETURN_NOT_OK(unifier->Unify(*encoded.dictionary(), &transposed));
    const auto places = transposed->span_as<int32_t>();
    const bool is_known = dictionary != nullptr && std::ranges::all_of(places, [&](int32_t place) {
                            return place < dictionary->length();
                          });
    // A dictionary that did not grow stays the same object, which the writer does not compare.
    const arrow::Status fits =
        is_known ? arrow::Status::OK()
                 : unifier->GetResultWithIndexType(type.index_type(), &dictionary);
    if (!fits.ok()) {
      return fits.WithMessage("column '", schema_->field(column)->name(),
                              "' has more distinct values than its dictionary's ",
                              type.index_type()->ToString(),
                              " can number; the IPC stream format holds them: ", fits.message());
    }
    return encoded.Transpose(array.type(), dictionary, places.data());
  }

  struct Column {
    std::unique_ptr<arrow::DictionaryUnifier> unifier;
    std::shared_ptr<arrow::Array> dictionary;  // all values of the batches up to now
  };

  const std::shared_ptr<arrow::Schema> schema_;
  std::map<int, Column> columns_;
};

bool HoldsDictionary(const arrow::DataType& type) {
  if (type.id() == Type::DICTIONARY) return true;
  if (type.id() == Type::EXTENSION) {
    return HoldsDictionary(*checked_cast<const arrow::ExtensionType&>(type).storage_type());
  }
  return std::ranges::any_of(type.fields(),
                             [](const auto& field) { return HoldsDictionary(*field->type()); });
}

class IpcSink final : public ExportSink {
 public:
  arrow::Status Open(std::shared_ptr<arrow::io::OutputStream> stream,
                     std::shared_ptr<arrow::Schema> schema, const SinkOptions& options) {
    auto write = arrow::ipc::IpcWriteOptions::Defaults();
    write.emit_dictionary_deltas = true;
    if (options.compression != Compression::kNone) {
      const auto codec = options.compression == Compression::kZstd ? arrow::Compression::ZSTD
                                                                   : arrow::Compression::LZ4_FRAME;
      ARROW_ASSIGN_OR_RAISE(write.codec, arrow::util::Codec::Create(codec));
    }
    if (options.format == FileFormat::kArrowStream) {
      return arrow::ipc::MakeStreamWriter(std::move(stream), schema, write).Value(&writer_);
    }
    for (const auto& field : schema->fields()) {
      if (field->type()->id() == Type::DICTIONARY || !HoldsDictionary(*field->type())) continue;
      return arrow::Status::TypeError(
          "column '", field->name(), "' is ", field->type()->ToString(),
          ": an Arrow IPC file cannot hold dictionaries inside of other "
          "types that grow; an IPC stream can");
    }
    dictionaries_ = std::make_unique<GrowingDictionaries>(schema);
    return arrow::ipc::MakeFileWriter(std::move(stream), schema, write).Value(&writer_);
  }
  arrow::Status Write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    if (dictionaries_ == nullptr) return writer_->WriteRecordBatch(*batch);
    ARROW_ASSIGN_OR_RAISE(auto grown, dictionaries_->Apply(*batch));
    return writer_->WriteRecordBatch(*grown);
  }
  arrow::Status Finish() override { return writer_->Close(); }

 private:
  std::unique_ptr<GrowingDictionaries> dictionaries_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

/// The plain type of a column's values, which CSV shows.
std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type) {
  switch (type->id()) {
    case Type::DICTIONARY:
      return PlainType(checked_cast<const arrow::DictionaryType&>(*type).value_type());
    case Type::RUN_END_ENCODED:
      return PlainType(checked_cast<const arrow::RunEndEncodedType&>(*type).value_type());
    case Type::EXTENSION:
      return PlainType(checked_cast<const arrow::ExtensionType&>(*type).storage_type());
    case Type::STRING_VIEW:
      return arrow::large_utf8();
    case Type::BINARY_VIEW:
      return arrow::large_binary();
    default:
      return type;
  }
}

/// Of a time that it cannot print Arrow writes a remark in place of the value.
arrow::Status CheckPrintable(const arrow::Field& field,
                             const std::shared_ptr<arrow::Array>& column) {
  if (!arrow::is_temporal(field.type()->id())) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto text, arrow::compute::Cast(*column, arrow::utf8()));
  const auto& values = checked_cast<const arrow::StringArray&>(*text);
  for (int64_t i = 0; i < values.length(); ++i) {
    if (values.IsNull(i) || !values.GetView(i).starts_with("<value out of range")) continue;
    return arrow::Status::Invalid("column '", field.name(), "' has the time ", values.GetView(i),
                                  ", which CSV cannot hold");
  }
  return arrow::Status::OK();
}

class CsvSink final : public ExportSink {
 public:
  arrow::Status Open(std::shared_ptr<arrow::io::OutputStream> stream, const arrow::Schema& schema,
                     char delimiter) {
    arrow::FieldVector fields;
    for (const auto& field : schema.fields()) {
      auto type = PlainType(field->type());
      if (arrow::is_nested(type->id()) || arrow::is_interval(type->id())) {
        return arrow::Status::TypeError("column '", field->name(), "' is ", type->ToString(),
                                        ", which CSV cannot hold");
      }
      fields.push_back(arrow::field(field->name(), std::move(type)));
    }
    schema_ = arrow::schema(std::move(fields));
    auto write = arrow::csv::WriteOptions::Defaults();
    write.delimiter = delimiter;
    return arrow::csv::MakeCSVWriter(std::move(stream), schema_, write).Value(&writer_);
  }
  arrow::Status Write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    arrow::ArrayVector columns;
    for (int i = 0; i < batch->num_columns(); ++i) {
      ARROW_ASSIGN_OR_RAISE(auto column, CastLossless(batch->column(i), schema_->field(i)->type()));
      ARROW_RETURN_NOT_OK(CheckPrintable(*schema_->field(i), column));
      columns.push_back(std::move(column));
    }
    const auto rows = arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(columns));
    return WithoutExceptions([&] { return writer_->WriteRecordBatch(*rows); });
  }
  arrow::Status Finish() override { return writer_->Close(); }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> writer_;
};

}  // namespace

arrow::Result<std::unique_ptr<ExportSink>> OpenExportSink(
    std::shared_ptr<arrow::io::OutputStream> stream, const std::shared_ptr<arrow::Schema>& schema,
    const SinkOptions& options) {
  if (options.format == FileFormat::kParquet) {
    return OpenParquetSink(std::move(stream), schema, options.compression);
  }
  if (options.format == FileFormat::kCsv) {
    auto sink = std::make_unique<CsvSink>();
    ARROW_RETURN_NOT_OK(sink->Open(std::move(stream), *schema, options.csv_delimiter));
    return sink;
  }
  auto sink = std::make_unique<IpcSink>();
  ARROW_RETURN_NOT_OK(sink->Open(std::move(stream), schema, options));
  return sink;
}

}  // namespace marble

#include <algorithm>
#include <string>
#include <utility>

#include <arrow/util/byte_size.h>
#include <arrow/util/checked_cast.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include "table/exception_guard.h"
#include "table/export_sink.h"
#include "table/lossless_cast.h"

namespace marble {
namespace {

/// Bytes of a row group, which is in memory until it is complete, and rows of one at most.
constexpr int64_t kGroupBytes = int64_t{64} << 20;
constexpr int64_t kGroupRows = int64_t{1} << 20;

parquet::Compression::type CodecOf(Compression compression) {
  switch (compression) {
    case Compression::kLz4:
      return parquet::Compression::LZ4;
    case Compression::kZstd:
      return parquet::Compression::ZSTD;
    default:
      return parquet::Compression::UNCOMPRESSED;
  }
}

/// The type to write a column as: run-end-encoded columns, which Parquet's writer does not take,
/// become their values.
std::shared_ptr<arrow::DataType> ParquetType(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() != arrow::Type::RUN_END_ENCODED) return type;
  return arrow::internal::checked_cast<const arrow::RunEndEncodedType&>(*type).value_type();
}

/// Parquet's dates have 32 bits, into which Arrow's writer cuts those that have more.
bool FitParquet(const arrow::ArrayData& data) {
  if (data.type->id() == arrow::Type::DATE64) {
    constexpr int64_t kDay = 86'400'000;
    const auto* const values = data.GetValues<int64_t>(1);
    for (int64_t i = 0; i < data.length; ++i) {
      const int64_t day = values[i] / kDay;
      if (day != static_cast<int32_t>(day) && data.IsValid(i)) return false;
    }
  }
  if (data.dictionary != nullptr && !FitParquet(*data.dictionary)) return false;
  return std::ranges::all_of(data.child_data, [](const auto& child) { return FitParquet(*child); });
}

class ParquetSink final : public ExportSink {
 public:
  arrow::Status Open(std::shared_ptr<arrow::io::OutputStream> stream, const arrow::Schema& schema,
                     Compression compression) {
    arrow::FieldVector fields;
    for (const auto& field : schema.fields()) {
      fields.push_back(field->WithType(ParquetType(field->type())));
    }
    schema_ = arrow::schema(std::move(fields), schema.metadata());
    parquet::WriterProperties::Builder properties;
    properties.compression(CodecOf(compression));
    properties.max_row_group_length(kGroupRows);
    parquet::ArrowWriterProperties::Builder arrow_properties;
    // So that a reader gets back dictionaries, extension types and time zones.
    arrow_properties.store_schema();
    return WithoutExceptions([&] {
      return parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(),
                                              std::move(stream), properties.build(),
                                              arrow_properties.build())
          .Value(&writer_);
    });
  }

  arrow::Status Write(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    arrow::ArrayVector columns;
    for (int i = 0; i < batch->num_columns(); ++i) {
      ARROW_ASSIGN_OR_RAISE(auto column, CastLossless(batch->column(i), schema_->field(i)->type()));
      if (!FitParquet(*column->data())) {
        return arrow::Status::Invalid("column '", batch->column_name(i),
                                      "': Parquet has no date that is so far away");
      }
      columns.push_back(std::move(column));
    }
    const auto rows = arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(columns));
    return WithoutExceptions([&] {
      if (!group_open_) ARROW_RETURN_NOT_OK(writer_->NewBufferedRowGroup());
      group_open_ = true;
      ARROW_RETURN_NOT_OK(writer_->WriteRecordBatch(*rows));
      ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*rows));
      group_bytes_ += bytes;
      if (group_bytes_ < kGroupBytes) return arrow::Status::OK();
      group_open_ = false;
      group_bytes_ = 0;
      return arrow::Status::OK();
    });
  }

  arrow::Status Finish() override {
    return WithoutExceptions([&] { return writer_->Close(); });
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  bool group_open_ = false;
  int64_t group_bytes_ = 0;
};

}  // namespace

arrow::Result<std::unique_ptr<ExportSink>> OpenParquetSink(
    std::shared_ptr<arrow::io::OutputStream> stream, const std::shared_ptr<arrow::Schema>& schema,
    Compression compression) {
  auto sink = std::make_unique<ParquetSink>();
  ARROW_RETURN_NOT_OK(sink->Open(std::move(stream), *schema, compression));
  return sink;
}

}  // namespace marble

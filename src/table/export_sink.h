// Where an export's rows go: a file of one of the formats, through Arrow's writers. For one thread.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/transfer.h>

namespace marble {

struct SinkOptions {
  FileFormat format = FileFormat::kParquet;
  Compression compression = Compression::kNone;
  char csv_delimiter = ',';
};

class ExportSink {
 public:
  virtual ~ExportSink() = default;
  virtual arrow::Status Write(const std::shared_ptr<arrow::RecordBatch>& batch) = 0;
  /// Writes what belongs at the end. The stream stays open.
  virtual arrow::Status Finish() = 0;
};

/// TypeError that names the column if the format cannot hold its type.
arrow::Result<std::unique_ptr<ExportSink>> OpenExportSink(
    std::shared_ptr<arrow::io::OutputStream> stream, const std::shared_ptr<arrow::Schema>& schema,
    const SinkOptions& options);

/// As above, for Parquet.
arrow::Result<std::unique_ptr<ExportSink>> OpenParquetSink(
    std::shared_ptr<arrow::io::OutputStream> stream, const std::shared_ptr<arrow::Schema>& schema,
    Compression compression);

}  // namespace marble

// A scan into a file that appears complete or not at all. Commit point: the rename of a synced
// file. Runs in the caller's thread.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>

#include <marble/error.h>
#include <marble/transfer.h>

#include "base/uuid.h"
#include "base/warn.h"
#include "io/parent_directory.h"
#include "table/export_sink.h"
#include "table/file_format.h"
#include "table/file_streams.h"

namespace marble {
namespace {

arrow::Status CheckIsFree(FileSystem* fs, const std::string& path, bool overwrite) {
  if (overwrite) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const bool exists, fs->Exists(path));
  if (!exists) return arrow::Status::OK();
  return ConflictError("the file '" + path + "' exists, and was not to be overwritten");
}

/// A file under a temporary name, removed unless it is published.
class TemporaryFile {
 public:
  // Its name is not made of the file's, which may be as long as names can be.
  TemporaryFile(FileSystem* fs, const std::string& path)
      : fs_(fs),
        path_(path),
        temporary_(ParentDirectory(path) + "/marble-" + ToHex(RandomUuid()).substr(0, 16) +
                   ".tmp") {}
  ~TemporaryFile() {
    if (output_ == nullptr) return;
    output_.reset();  // closes it silently: what it holds is of no use
    WarnIfError(fs_->Remove(temporary_));
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  arrow::Status Create() {
    ARROW_ASSIGN_OR_RAISE(auto file, fs_->CreateWritable(temporary_));
    output_ = std::make_shared<FileOutput>(std::move(file));
    return arrow::Status::OK();
  }
  const std::shared_ptr<FileOutput>& output() const { return output_; }

  arrow::Status Publish(bool overwrite) {
    ARROW_RETURN_NOT_OK(output_->Sync());
    ARROW_RETURN_NOT_OK(output_->Close());
    ARROW_RETURN_NOT_OK(CheckIsFree(fs_, path_, overwrite));
    ARROW_RETURN_NOT_OK(fs_->Rename(temporary_, path_));
    output_.reset();
    return fs_->SyncDirectory(ParentDirectory(path_));
  }

 private:
  FileSystem* const fs_;
  const std::string path_;
  const std::string temporary_;
  std::shared_ptr<FileOutput> output_;
};

arrow::Result<SinkOptions> SinkOptionsOf(const std::string& path, const ExportOptions& options) {
  SinkOptions sink;
  ARROW_ASSIGN_OR_RAISE(sink.format, FormatOf(path, options.format));
  ARROW_ASSIGN_OR_RAISE(sink.csv_delimiter, DelimiterOf(path, options.csv_delimiter));
  const auto delimiter = static_cast<unsigned char>(sink.csv_delimiter);
  if (std::isalnum(delimiter) != 0 ||
      std::string_view("+-.: ").find(sink.csv_delimiter) != std::string_view::npos) {
    return arrow::Status::Invalid("'", std::string(1, sink.csv_delimiter),
                                  "' cannot delimit values of CSV: numbers and times hold it");
  }
  const bool parquet = sink.format == FileFormat::kParquet;
  sink.compression = options.compression.value_or(parquet ? Compression::kZstd  //
                                                          : Compression::kNone);
  if (sink.format == FileFormat::kCsv && sink.compression != Compression::kNone) {
    return arrow::Status::Invalid("CSV files are not compressed");
  }
  return sink;
}

/// Run ends of 16 bits number no more rows, and dictionaries with short indices few words.
constexpr int64_t kExportBatchRows = 32'767;

/// False if the callback cancels.
arrow::Result<bool> WriteRows(arrow::RecordBatchReader* rows, ExportSink* sink,
                              const FileOutput& output, const ProgressCallback& progress,
                              ExportResult* result) {
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(rows->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(sink->Write(batch));
    result->rows += batch->num_rows();
    if (!progress) continue;
    ARROW_ASSIGN_OR_RAISE(const int64_t bytes, output.Tell());
    if (!progress({result->rows, bytes, 0})) return false;
  }
  ARROW_RETURN_NOT_OK(sink->Finish());
  return true;
}

arrow::Result<ExportResult> Export(const Table& table, const std::string& path,
                                   const ExportOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const SinkOptions sink_options, SinkOptionsOf(path, options));
  FileSystem* fs = table.database()->options().file_system;
  if (fs == nullptr) fs = DefaultFileSystem();
  ARROW_RETURN_NOT_OK(CheckIsFree(fs, path, options.overwrite));
  ScanOptions scan = options.scan;
  scan.batch_rows_max = std::min(scan.batch_rows_max, kExportBatchRows);
  ARROW_ASSIGN_OR_RAISE(auto rows, table.Scan(scan));
  TemporaryFile file(fs, path);
  ARROW_RETURN_NOT_OK(file.Create());
  ARROW_ASSIGN_OR_RAISE(auto sink, OpenExportSink(file.output(), rows->schema(), sink_options));
  ExportResult result;
  ARROW_ASSIGN_OR_RAISE(const bool complete, WriteRows(rows.get(), sink.get(), *file.output(),
                                                       options.progress, &result));
  if (!complete) return ExportResult{0, 0, true};
  ARROW_ASSIGN_OR_RAISE(result.bytes, file.output()->Tell());
  ARROW_RETURN_NOT_OK(file.Publish(options.overwrite));
  return result;
}

}  // namespace

arrow::Result<ExportResult> ExportFile(const std::shared_ptr<Table>& table, const std::string& path,
                                       const ExportOptions& options) {
  if (table == nullptr) return arrow::Status::Invalid("ExportFile needs a table, not null");
  auto result = Export(*table, path, options);
  if (result.ok()) return result;
  return result.status().WithMessage("table '", table->info().name, "', file '", path,
                                     "': ", result.status().message());
}

}  // namespace marble

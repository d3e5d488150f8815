// A file's rows into a table: source -> columns matched -> commits of a few MiB, or one bulk load.
// Commit point of a piece: its log record. Runs in the caller's thread.
#include <algorithm>
#include <cstring>
#include <utility>

#include <marble/transfer.h>

#include "db/core.h"
#include "row/batch_ops.h"
#include "sst/sst_format.h"
#include "table/decoded_size.h"
#include "table/file_format.h"
#include "table/import_source.h"
#include "table/match_columns.h"
#include "table/row_loader.h"

namespace marble {
namespace {

/// Bytes of a commit, about.
constexpr int64_t kCommitBytes = int64_t{8} << 20;

/// Is the file in the IPC file format, not a stream? The formats share the extension .arrow.
arrow::Result<bool> HasIpcFileMagic(FileInput* input) {
  char bytes[kIpcMagicBytes];
  ARROW_ASSIGN_OR_RAISE(const int64_t read, input->ReadAt(0, sizeof bytes, bytes));
  return read == sizeof bytes && std::memcmp(bytes, kIpcMagic, sizeof bytes) == 0;
}

/// `table`: the schema whose types values of CSV are read as. `memory`: what may be allocated for
/// what the file claims to hold.
arrow::Result<std::unique_ptr<ImportSource>> OpenSource(const std::string& path,
                                                        std::shared_ptr<arrow::Schema> table,
                                                        const ImportOptions& options,
                                                        int64_t memory,
                                                        std::shared_ptr<FileInput> input) {
  ARROW_ASSIGN_OR_RAISE(const FileFormat format, FormatOf(path, options.format));
  switch (format) {
    case FileFormat::kParquet:
      return OpenParquetSource(std::move(input), memory);
    case FileFormat::kCsv: {
      CsvReadOptions csv;
      ARROW_ASSIGN_OR_RAISE(csv.delimiter, DelimiterOf(path, options.csv_delimiter));
      csv.nulls = options.csv_nulls;
      csv.table = std::move(table);
      return OpenCsvSource(std::move(input), std::move(csv));
    }
    case FileFormat::kArrowStream:
      return OpenIpcSource(std::move(input), /*stream=*/true, memory);
    default:
      break;
  }
  bool is_file = true;
  if (options.format == FileFormat::kGuess) {
    ARROW_ASSIGN_OR_RAISE(is_file, HasIpcFileMagic(input.get()));
  }
  return OpenIpcSource(std::move(input), /*stream=*/!is_file, memory);
}

arrow::Result<std::shared_ptr<FileInput>> OpenInput(const Database& database,
                                                    const std::string& path) {
  FileSystem* fs = database.options().file_system;
  return FileInput::Open(fs != nullptr ? fs : DefaultFileSystem(), path);
}

/// Rows that are cast at a time: a few bytes of a file may stand for long values or many, and run
/// ends of 16 bits number no more rows.
constexpr int64_t kCastRows = 32'767;
/// And bytes, if each of these rows were as long as the longest value that rows share.
constexpr int64_t kCastBytes = int64_t{32} << 20;

/// The rows of a file as batches of the table's schema, in pieces of a commit's size at most.
class FileRows final : public arrow::RecordBatchReader {
 public:
  FileRows(std::unique_ptr<ImportSource> source, ColumnMatch match,
           std::shared_ptr<arrow::Schema> schema, std::string names, int64_t commit_bytes)
      : source_(std::move(source)),
        match_(std::move(match)),
        schema_(std::move(schema)),
        names_(std::move(names)),
        commit_bytes_(commit_bytes) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  int64_t bytes_done() const { return source_->bytes_done(); }
  int64_t rows_read() const { return rows_read_; }
  /// Of the last piece, about.
  int64_t row_bytes() const { return row_bytes_; }
  int64_t commit_bytes() const { return commit_bytes_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    while (batch_ == nullptr || at_ >= batch_->num_rows()) {
      batch_.reset();  // not two at a time
      if (from_ == nullptr || from_at_ >= from_->num_rows()) {
        from_.reset();
        auto next = source_->Next();
        if (!next.ok()) return InFile(next.status());
        if (*next == nullptr) {
          out->reset();
          return arrow::Status::OK();
        }
        from_ = *std::move(next);
        from_at_ = 0;
        stored_row_bytes_ = StoredRowBytesMax(*from_);
      }
      const int64_t room =
          std::max<int64_t>(kCastBytes / std::max<int64_t>(stored_row_bytes_, 1), 1);
      const auto some = from_->Slice(from_at_, std::min(kCastRows, room));
      from_at_ += some->num_rows();
      ARROW_ASSIGN_OR_RAISE(batch_, match_.Apply(*some));
      at_ = 0;
      const int64_t rows = std::max<int64_t>(batch_->num_rows(), 1);
      row_bytes_ = std::max<int64_t>(BatchBytes(*batch_) / rows, 1);
      row_bytes_ = std::max(row_bytes_, stored_row_bytes_);
    }
    *out = batch_->Slice(at_, std::max<int64_t>(commit_bytes_ / row_bytes_, 1));
    at_ += (*out)->num_rows();
    rows_read_ += (*out)->num_rows();
    return arrow::Status::OK();
  }

 private:
  arrow::Status InFile(const arrow::Status& status) const {
    return status.WithMessage(names_, ": ", status.message());
  }

  const std::unique_ptr<ImportSource> source_;
  const ColumnMatch match_;
  const std::shared_ptr<arrow::Schema> schema_;
  const std::string names_;
  const int64_t commit_bytes_;
  std::shared_ptr<arrow::RecordBatch> from_;  // of the file
  int64_t from_at_ = 0;
  int64_t stored_row_bytes_ = 0;               // of from_, at most; 0: as it looks
  std::shared_ptr<arrow::RecordBatch> batch_;  // a part of it in the table's types
  int64_t at_ = 0;
  int64_t row_bytes_ = 1;
  int64_t rows_read_ = 0;
};

/// Tells the callback of an atomic import, and ends the stream with an error when it cancels.
class ReportedRows final : public arrow::RecordBatchReader {
 public:
  ReportedRows(FileRows* rows, const ProgressCallback& progress, int64_t bytes_total,
               bool* cancelled)
      : rows_(rows), progress_(progress), bytes_total_(bytes_total), cancelled_(cancelled) {}

  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    ARROW_RETURN_NOT_OK(rows_->ReadNext(out));
    if (*out == nullptr || !progress_) return arrow::Status::OK();
    if (progress_({rows_->rows_read(), rows_->bytes_done(), bytes_total_})) {
      return arrow::Status::OK();
    }
    *cancelled_ = true;
    return arrow::Status::Cancelled("the import was cancelled");
  }

 private:
  FileRows* const rows_;
  const ProgressCallback& progress_;
  const int64_t bytes_total_;
  bool* const cancelled_;
};

arrow::Status ImportAtOnce(const std::shared_ptr<Table>& table, FileRows* rows, int64_t bytes_total,
                           const ImportOptions& options, ImportResult* result) {
  ReportedRows reported(rows, options.progress, bytes_total, &result->cancelled);
  auto loaded = BulkLoad(table, &reported, options.write);
  if (result->cancelled) return arrow::Status::OK();
  return std::move(loaded).Value(&result->rows);
}

arrow::Status ImportInPieces(const std::shared_ptr<Table>& table, FileRows* rows,
                             int64_t bytes_total, const ImportOptions& options,
                             ImportResult* result) {
  WriteOptions unsynced = options.write;
  unsynced.sync = false;
  std::vector<std::shared_ptr<arrow::RecordBatch>> pieces;
  int64_t bytes = 0;
  const auto commit = [&] {
    int64_t count = 0;
    for (const auto& piece : pieces) count += piece->num_rows();
    ARROW_RETURN_NOT_OK(table->Insert(pieces, unsynced));
    result->rows += count;
    pieces.clear();
    bytes = 0;
    return arrow::Status::OK();
  };
  while (true) {
    std::shared_ptr<arrow::RecordBatch> piece;
    const arrow::Status read = rows->ReadNext(&piece);
    // What was read before the error is committed: so many rows are good.
    if (!read.ok() || piece == nullptr) {
      if (!pieces.empty()) ARROW_RETURN_NOT_OK(commit());
      return read;
    }
    bytes += piece->num_rows() * rows->row_bytes() + BatchOverhead(piece->num_columns());
    pieces.push_back(std::move(piece));
    if (bytes < rows->commit_bytes()) continue;
    ARROW_RETURN_NOT_OK(commit());
    if (!options.progress) continue;
    if (!options.progress({result->rows, rows->bytes_done(), bytes_total})) {
      result->cancelled = true;
      return arrow::Status::OK();
    }
  }
}

arrow::Status Import(const std::shared_ptr<Table>& table, const std::string& path,
                     const ImportOptions& options, ImportResult* result) {
  // Also a closed database: before the file is looked at.
  ARROW_RETURN_NOT_OK(table->database()->core().status());
  const std::string names = "table '" + table->info().name + "', file '" + path + "'";
  ARROW_ASSIGN_OR_RAISE(auto input, OpenInput(*table->database(), path));
  ARROW_ASSIGN_OR_RAISE(const int64_t bytes_total, input->GetSize());
  // A change of the schema meanwhile makes the next commit fail.
  const std::shared_ptr<arrow::Schema> schema = table->info().schema;
  auto opened = OpenSource(path, schema, options, table->database()->options().memory_budget,
                           std::move(input));
  if (!opened.ok()) {
    return opened.status().WithMessage(names, ": ", opened.status().message());
  }
  std::unique_ptr<ImportSource> source = *std::move(opened);
  ARROW_ASSIGN_OR_RAISE(ColumnMatch match, ColumnMatch::Make(*source->schema(), schema, names,
                                                             options.ignore_unknown_columns));
  const arrow::Status selected = source->Select(match.wanted());
  if (!selected.ok()) return selected.WithMessage(names, ": ", selected.message());
  // Less than two of them are inserted at once: so they go through the log, mostly.
  const int64_t share = RowLoader::ShareOf(table->database()->options().memory_budget);
  FileRows rows(std::move(source), std::move(match), schema, names,
                std::min(kCommitBytes, share / 2));
  if (options.atomic) return ImportAtOnce(table, &rows, bytes_total, options, result);
  arrow::Status status = ImportInPieces(table, &rows, bytes_total, options, result);
  if (options.write.sync) {
    const arrow::Status synced = table->database()->SyncLog();
    if (status.ok()) status = synced;
  }
  if (status.ok()) return status;
  return status.WithMessage(status.message(), " (", result->rows,
                            " rows of the file were committed before)");
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::Schema>> ReadFileSchema(
    const std::shared_ptr<Database>& database, const std::string& path,
    const ImportOptions& options) {
  if (database == nullptr) return arrow::Status::Invalid("ReadFileSchema needs a database");
  ARROW_ASSIGN_OR_RAISE(auto input, OpenInput(*database, path));
  auto source = OpenSource(path, arrow::schema({}), options, database->options().memory_budget,
                           std::move(input));
  if (!source.ok()) {
    return source.status().WithMessage("file '", path, "': ", source.status().message());
  }
  arrow::FieldVector fields = (*source)->schema()->fields();
  for (auto& field : fields) {
    if (field->type()->id() == arrow::Type::NA) field = field->WithType(arrow::utf8());
  }
  return arrow::schema(std::move(fields), (*source)->schema()->metadata());
}

arrow::Status ImportFile(const std::shared_ptr<Table>& table, const std::string& path,
                         const ImportOptions& options, ImportResult* result) {
  if (table == nullptr) return arrow::Status::Invalid("ImportFile needs a table, not null");
  ImportResult own;
  ImportResult* const out = result != nullptr ? result : &own;
  *out = ImportResult();
  return Import(table, path, options, out);
}

}  // namespace marble

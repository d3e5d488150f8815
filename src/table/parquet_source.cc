#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>

#include "table/exception_guard.h"
#include "table/import_source.h"
#include "table/int96_times.h"
#include "table/limited_pool.h"

namespace marble {
namespace {

class ParquetSource final : public ImportSource {
 public:
  ParquetSource(std::shared_ptr<FileInput> input, int64_t memory)
      : pool_(AcquireLimitedPool(memory, input->GetSize().ValueOr(0))), input_(std::move(input)) {}

  arrow::Status Open() {
    return TooLarge(WithoutExceptions([&] {
      ARROW_ASSIGN_OR_RAISE(reader_, OpenReader(arrow::TimeUnit::NANO));
      const auto metadata = reader_->parquet_reader()->metadata();
      rows_total_ = metadata->num_rows();
      std::vector<int> int96;
      for (int i = 0; i < metadata->num_columns(); ++i) {
        const bool is_such = metadata->schema()->Column(i)->physical_type() == parquet::Type::INT96;
        if (is_such) int96.push_back(i);
      }
      if (!int96.empty()) ARROW_RETURN_NOT_OK(ChooseUnit(int96));
      return reader_->GetSchema(&schema_);
    }));
  }

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  arrow::Status Select(const std::vector<int>& wanted) override {
    return WithoutExceptions([&] {
      std::vector<int> leaves;
      const std::function<void(const parquet::arrow::SchemaField&)> add =
          [&](const parquet::arrow::SchemaField& field) {
            if (field.is_leaf()) leaves.push_back(field.column_index);
            for (const auto& child : field.children) add(child);
          };
      for (int column : wanted) {
        add(reader_->manifest().schema_fields.at(static_cast<size_t>(column)));
      }
      // Of no columns there would be as many rows as the footer claims.
      if (leaves.empty()) ARROW_RETURN_NOT_OK(AddSmallestLeaf(&leaves));
      return AllRows(reader_.get(), leaves).Value(&batches_);
    });
  }

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(TooLarge(WithoutExceptions([&] { return batches_->ReadNext(&batch); })));
    if (batch == nullptr) return batch;
    rows_done_ += batch->num_rows();
    // Of texts the reader checks nothing, and a cast of them relies on it.
    ARROW_RETURN_NOT_OK(batch->Validate());
    return batch;
  }

  int64_t bytes_done() const override {
    if (rows_total_ <= 0) return input_->GetSize().ValueOr(0);
    const double part = static_cast<double>(rows_done_) / static_cast<double>(rows_total_);
    return static_cast<int64_t>(part * static_cast<double>(input_->GetSize().ValueOr(0)));
  }

 private:
  /// Reads INT96 columns in `unit`.
  arrow::Result<std::unique_ptr<parquet::arrow::FileReader>> OpenReader(
      arrow::TimeUnit::type unit) const {
    parquet::ReaderProperties properties(pool_.get());
    // Pages are read as they are needed: a row group's columns would be read whole otherwise.
    properties.enable_buffered_stream();
    properties.set_buffer_size(int64_t{1} << 20);
    parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/true);
    // What it reads ahead it keeps to the end.
    arrow_properties.set_pre_buffer(false);
    arrow_properties.set_coerce_int96_timestamp_unit(unit);
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(input_->Again(), properties));
    builder.properties(arrow_properties)->memory_pool(pool_.get());
    ARROW_ASSIGN_OR_RAISE(auto reader, builder.Build());
    reader->set_batch_size(BatchRows(*reader->parquet_reader()->metadata()));
    return reader;
  }

  static arrow::Result<std::unique_ptr<arrow::RecordBatchReader>> AllRows(
      parquet::arrow::FileReader* reader, const std::vector<int>& leaves) {
    std::vector<int> groups(static_cast<size_t>(reader->num_row_groups()));
    std::iota(groups.begin(), groups.end(), 0);
    return reader->GetRecordBatchReader(groups, leaves);
  }

  /// Reads the times of these leaves, all of them, to find the unit in which they lose nothing.
  arrow::Status ChooseUnit(const std::vector<int>& leaves) {
    ARROW_ASSIGN_OR_RAISE(auto coarse, OpenReader(arrow::TimeUnit::MICRO));
    ARROW_ASSIGN_OR_RAISE(const auto nanos, AllRows(reader_.get(), leaves));
    ARROW_ASSIGN_OR_RAISE(const auto micros, AllRows(coarse.get(), leaves));
    Int96Times times;
    while (true) {
      ARROW_ASSIGN_OR_RAISE(const auto some, nanos->Next());
      ARROW_ASSIGN_OR_RAISE(const auto same, micros->Next());
      if (some == nullptr || same == nullptr) break;
      ARROW_RETURN_NOT_OK(some->Validate());
      ARROW_RETURN_NOT_OK(same->Validate());
      times.See(*some, *same);
    }
    ARROW_ASSIGN_OR_RAISE(const auto unit, times.Unit());
    if (unit == arrow::TimeUnit::MICRO) reader_ = std::move(coarse);
    return arrow::Status::OK();
  }

  arrow::Status AddSmallestLeaf(std::vector<int>* leaves) const {
    const auto metadata = reader_->parquet_reader()->metadata();
    std::vector<int64_t> sizes(static_cast<size_t>(metadata->num_columns()));
    for (int group = 0; group < metadata->num_row_groups(); ++group) {
      for (size_t i = 0; i < sizes.size(); ++i) {
        const auto chunk = metadata->RowGroup(group)->ColumnChunk(static_cast<int>(i));
        // The file alone vouches for it.
        sizes[i] += std::clamp<int64_t>(chunk->total_compressed_size(), 0, kImportBatchBytes);
      }
    }
    if (sizes.empty()) return arrow::Status::Invalid("the file has no columns");
    leaves->push_back(static_cast<int>(std::ranges::min_element(sizes) - sizes.begin()));
    return arrow::Status::OK();
  }

  /// Rows of about kImportBatchBytes, by the row group that has the longest.
  static int64_t BatchRows(const parquet::FileMetaData& metadata) {
    int64_t row_bytes = 1;
    for (int i = 0; i < metadata.num_row_groups(); ++i) {
      const auto group = metadata.RowGroup(i);
      if (group->num_rows() <= 0) continue;
      row_bytes = std::max(row_bytes, group->total_byte_size() / group->num_rows());
    }
    return std::clamp<int64_t>(kImportBatchBytes / row_bytes, 1, kImportBatchRows);
  }

  // What the file makes Arrow allocate ends somewhere. In front of what has memory of it.
  const LimitedPoolHandle pool_;
  const std::shared_ptr<FileInput> input_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;  // before reader_ goes
  int64_t rows_total_ = 0;
  int64_t rows_done_ = 0;
};

}  // namespace

arrow::Result<std::unique_ptr<ImportSource>> OpenParquetSource(std::shared_ptr<FileInput> input,
                                                               int64_t memory) {
  auto source = std::make_unique<ParquetSource>(std::move(input), memory);
  ARROW_RETURN_NOT_OK(source->Open());
  return source;
}

}  // namespace marble

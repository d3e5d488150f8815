#include <utility>

#include <arrow/ipc/reader.h>

#include "table/import_source.h"

namespace marble {
namespace {

arrow::ipc::IpcReadOptions ReadOptions(const std::vector<int>& columns) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.included_fields = columns;
  // A file from elsewhere may place buffers anywhere.
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  return options;
}

/// Nothing may look at a batch of a file before it was validated, dictionaries' indices included.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> Validated(
    std::shared_ptr<arrow::RecordBatch> batch) {
  if (batch != nullptr) ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batch;
}

/// What files and streams have in common; `Reader` is Arrow's of either.
template <typename Reader>
class IpcSource : public ImportSource {
 public:
  explicit IpcSource(std::shared_ptr<FileInput> input) : input_(std::move(input)) {}

  arrow::Status Open() {
    ARROW_RETURN_NOT_OK(OpenReader({}));
    schema_ = reader_->schema();
    return arrow::Status::OK();
  }
  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  arrow::Status Select(const std::vector<int>& wanted) override {
    // No columns would mean all of them.
    if (wanted.empty() || static_cast<int>(wanted.size()) == schema_->num_fields()) {
      return arrow::Status::OK();
    }
    return OpenReader(wanted);
  }

 protected:
  /// From the start of the file, with these columns; all if none are named.
  virtual arrow::Status OpenReader(const std::vector<int>& columns) = 0;

  const std::shared_ptr<FileInput> input_;
  std::shared_ptr<Reader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
};

class IpcFileSource final : public IpcSource<arrow::ipc::RecordBatchFileReader> {
 public:
  using IpcSource::IpcSource;

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (next_ >= reader_->num_record_batches()) return nullptr;
    ARROW_ASSIGN_OR_RAISE(auto batch, reader_->ReadRecordBatch(next_++));
    return Validated(std::move(batch));
  }
  int64_t bytes_done() const override {
    const int64_t size = input_->GetSize().ValueOr(0);
    if (next_ >= reader_->num_record_batches()) return size;
    return size / reader_->num_record_batches() * next_;
  }

 private:
  arrow::Status OpenReader(const std::vector<int>& columns) override {
    return arrow::ipc::RecordBatchFileReader::Open(input_, ReadOptions(columns)).Value(&reader_);
  }

  int next_ = 0;
};

class IpcStreamSource final : public IpcSource<arrow::RecordBatchReader> {
 public:
  using IpcSource::IpcSource;

  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader_->ReadNext(&batch));
    return Validated(std::move(batch));
  }
  int64_t bytes_done() const override { return input_->Tell().ValueOr(0); }

 private:
  arrow::Status OpenReader(const std::vector<int>& columns) override {
    ARROW_RETURN_NOT_OK(input_->Seek(0));
    auto opened = arrow::ipc::RecordBatchStreamReader::Open(input_.get(), ReadOptions(columns));
    return std::move(opened).Value(&reader_);
  }
};

template <typename Source>
arrow::Result<std::unique_ptr<ImportSource>> Opened(std::shared_ptr<FileInput> input) {
  auto source = std::make_unique<Source>(std::move(input));
  ARROW_RETURN_NOT_OK(source->Open());
  return source;
}

}  // namespace

arrow::Result<std::unique_ptr<ImportSource>> OpenIpcSource(std::shared_ptr<FileInput> input,
                                                           bool stream) {
  if (stream) return Opened<IpcStreamSource>(std::move(input));
  return Opened<IpcFileSource>(std::move(input));
}

}  // namespace marble

#include <algorithm>
#include <utility>

#include <arrow/ipc/reader.h>
#include <arrow/util/byte_size.h>

#include "table/import_source.h"
#include "table/limited_pool.h"

namespace marble {
namespace {

/// Rows that need no bytes: of nulls, of long runs. Where there are more of them than that, eight
/// take a byte, as in a bitmap.
constexpr int64_t kFreeRowsMax = int64_t{1} << 20;
constexpr int64_t kRowsPerByte = 8;

arrow::ipc::IpcReadOptions ReadOptions(const std::vector<int>& columns, arrow::MemoryPool* pool) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = pool;
  options.included_fields = columns;
  // A file from elsewhere may place buffers anywhere.
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  return options;
}

/// What files and streams have in common; `Reader` is Arrow's of either.
template <typename Reader>
class IpcSource : public ImportSource {
 public:
  IpcSource(std::shared_ptr<FileInput> input, int64_t memory)
      : pool_(AcquireLimitedPool(memory, input->GetSize().ValueOr(0))), input_(std::move(input)) {}

  arrow::Status Open() {
    ARROW_RETURN_NOT_OK(TooLarge(OpenReader({})));
    schema_ = reader_->schema();
    return arrow::Status::OK();
  }
  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }
  arrow::Status Select(const std::vector<int>& wanted) override {
    // No columns would mean all of them.
    if (wanted.empty() || static_cast<int>(wanted.size()) == schema_->num_fields()) {
      return arrow::Status::OK();
    }
    return TooLarge(OpenReader(wanted));
  }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    auto batch = ReadBatch();
    if (!batch.ok()) return TooLarge(batch.status());
    if (*batch == nullptr) return batch;
    // Nothing may look at a batch of a file before it was validated, dictionaries' indices
    // included.
    ARROW_RETURN_NOT_OK((*batch)->ValidateFull());
    rows_ += (*batch)->num_rows();
    bytes_ += arrow::util::TotalBufferSize(**batch);
    if (rows_ - kFreeRowsMax > bytes_ * kRowsPerByte) {
      return arrow::Status::Invalid("the file claims to hold ", rows_, " rows in ", bytes_,
                                    " bytes");
    }
    return batch;
  }

 protected:
  /// From the start of the file, with these columns; all if none are named.
  virtual arrow::Status OpenReader(const std::vector<int>& columns) = 0;
  /// The next one as Arrow reads it; nullptr at the end.
  virtual arrow::Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch() = 0;

  // What the file makes Arrow allocate, decompressed bytes above all, ends somewhere. In front of
  // what has memory of it.
  const LimitedPoolHandle pool_;
  const std::shared_ptr<FileInput> input_;
  std::shared_ptr<Reader> reader_;
  std::shared_ptr<arrow::Schema> schema_;

 private:
  int64_t rows_ = 0;
  int64_t bytes_ = 0;
};

class IpcFileSource final : public IpcSource<arrow::ipc::RecordBatchFileReader> {
 public:
  using IpcSource::IpcSource;

  int64_t bytes_done() const override {
    const int64_t size = input_->GetSize().ValueOr(0);
    if (next_ >= reader_->num_record_batches()) return size;
    return size / reader_->num_record_batches() * next_;
  }

 private:
  arrow::Status OpenReader(const std::vector<int>& columns) override {
    return arrow::ipc::RecordBatchFileReader::Open(input_, ReadOptions(columns, pool_.get()))
        .Value(&reader_);
  }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch() override {
    if (next_ >= reader_->num_record_batches()) return nullptr;
    return reader_->ReadRecordBatch(next_++);
  }

  int next_ = 0;
};

class IpcStreamSource final : public IpcSource<arrow::RecordBatchReader> {
 public:
  using IpcSource::IpcSource;

  int64_t bytes_done() const override { return input_->Tell().ValueOr(0); }

 private:
  arrow::Status OpenReader(const std::vector<int>& columns) override {
    ARROW_RETURN_NOT_OK(input_->Seek(0));
    auto opened =
        arrow::ipc::RecordBatchStreamReader::Open(input_.get(), ReadOptions(columns, pool_.get()));
    return std::move(opened).Value(&reader_);
  }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> ReadBatch() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader_->ReadNext(&batch));
    return batch;
  }
};

template <typename Source>
arrow::Result<std::unique_ptr<ImportSource>> Opened(std::shared_ptr<FileInput> input,
                                                    int64_t memory) {
  auto source = std::make_unique<Source>(std::move(input), memory);
  ARROW_RETURN_NOT_OK(source->Open());
  return source;
}

}  // namespace

arrow::Result<std::unique_ptr<ImportSource>> OpenIpcSource(std::shared_ptr<FileInput> input,
                                                           bool stream, int64_t memory) {
  if (stream) return Opened<IpcStreamSource>(std::move(input), memory);
  return Opened<IpcFileSource>(std::move(input), memory);
}

}  // namespace marble

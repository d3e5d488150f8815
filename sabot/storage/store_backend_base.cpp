#include "sabot/storage/store_backend_base.h"

#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/c/bridge.h>

#include "sabot/storage/arrow_status.h"

namespace sabot::storage {
namespace {

class ReaderIterator final : public BatchIterator {
 public:
  explicit ReaderIterator(std::shared_ptr<arrow::RecordBatchReader> reader)
      : reader_(std::move(reader)) {
    Next();
  }
  bool Valid() const override { return batch_ != nullptr; }
  void Next() override {
    batch_.reset();
    if (reader_ == nullptr) return;
    status_ = Guarded([&] { return FromArrow(reader_->ReadNext(&batch_)); });
    if (!status_.ok()) batch_.reset();
    if (batch_ == nullptr) reader_.reset();
  }
  std::shared_ptr<arrow::RecordBatch> GetBatch() const override { return batch_; }
  Status status() const override { return status_; }

 private:
  std::shared_ptr<arrow::RecordBatchReader> reader_;  // nullptr at the end
  std::shared_ptr<arrow::RecordBatch> batch_;
  Status status_;
};

std::shared_ptr<arrow::Scalar> StringScalar(const std::shared_ptr<arrow::DataType>& type,
                                            const std::string& text) {
  auto bytes = arrow::Buffer::FromString(text);
  switch (type->id()) {
    case arrow::Type::STRING:
      return std::make_shared<arrow::StringScalar>(std::move(bytes));
    case arrow::Type::LARGE_STRING:
      return std::make_shared<arrow::LargeStringScalar>(std::move(bytes));
    case arrow::Type::BINARY:
      return std::make_shared<arrow::BinaryScalar>(std::move(bytes));
    case arrow::Type::LARGE_BINARY:
      return std::make_shared<arrow::LargeBinaryScalar>(std::move(bytes));
    case arrow::Type::STRING_VIEW:
      return std::make_shared<arrow::StringViewScalar>(std::move(bytes));
    case arrow::Type::BINARY_VIEW:
      return std::make_shared<arrow::BinaryViewScalar>(std::move(bytes));
    default:
      return nullptr;
  }
}

}  // namespace

Status StoreBackendBase::InsertBatch(const std::string& name,
                                     const std::shared_ptr<arrow::RecordBatch>& batch) {
  return Guarded([&] { return InsertBatches(name, {batch}); });
}

Status StoreBackendBase::ScanTable(const std::string& name, std::shared_ptr<arrow::Table>* table) {
  return Guarded([&]() -> Status {
    std::shared_ptr<arrow::RecordBatchReader> reader;
    SABOT_RETURN_NOT_OK(OpenReader(name, {}, &reader));
    SABOT_ASSIGN_OR_RETURN(*table, reader->ToTable());
    return Status::OK();
  });
}

Status StoreBackendBase::ScanTableBatches(
    const std::string& name, std::vector<std::shared_ptr<arrow::RecordBatch>>* batches) {
  return Guarded([&]() -> Status {
    std::shared_ptr<arrow::RecordBatchReader> reader;
    SABOT_RETURN_NOT_OK(OpenReader(name, {}, &reader));
    SABOT_ASSIGN_OR_RETURN(*batches, reader->ToRecordBatches());
    return Status::OK();
  });
}

Status StoreBackendBase::CachedBatches(const std::string& name,
                                       std::shared_ptr<const BatchVector>* batches) {
  // Also with a cached snapshot, a table that is gone, or a closed backend, is told.
  arrow::DataTypeVector types;
  SABOT_RETURN_NOT_OK(KeyTypes(name, &types));
  std::lock_guard lock(cache_mutex_);
  std::shared_ptr<const BatchVector>& cached = cache_[name];
  if (cached == nullptr) {
    auto read = std::make_shared<BatchVector>();
    SABOT_RETURN_NOT_OK(ScanTableBatches(name, read.get()));
    cached = std::move(read);
  }
  *batches = cached;
  return Status::OK();
}

Status StoreBackendBase::GetBatchCount(const std::string& name, int64_t* count) {
  return Guarded([&]() -> Status {
    std::shared_ptr<const BatchVector> batches;
    SABOT_RETURN_NOT_OK(CachedBatches(name, &batches));
    *count = static_cast<int64_t>(batches->size());
    return Status::OK();
  });
}

Status StoreBackendBase::GetBatchAt(const std::string& name, int64_t index,
                                    std::shared_ptr<arrow::RecordBatch>* batch) {
  return Guarded([&]() -> Status {
    std::shared_ptr<const BatchVector> batches;
    SABOT_RETURN_NOT_OK(CachedBatches(name, &batches));
    if (index < 0 || index >= static_cast<int64_t>(batches->size())) {
      return Status::InvalidArgument("batch " + std::to_string(index) + " of table '" + name +
                                     "' was asked for, and it has " +
                                     std::to_string(batches->size()));
    }
    *batch = (*batches)[index];
    return Status::OK();
  });
}

Status StoreBackendBase::ClearBatchCache(const std::string& name) {
  return Guarded([&]() -> Status {
    arrow::DataTypeVector types;
    SABOT_RETURN_NOT_OK(KeyTypes(name, &types));
    ForgetBatches(name);
    return Status::OK();
  });
}

void StoreBackendBase::ForgetBatches(const std::string& name) {
  std::lock_guard lock(cache_mutex_);
  cache_.erase(name);
}

void StoreBackendBase::ForgetAllBatches() {
  std::lock_guard lock(cache_mutex_);
  cache_.clear();
}

Status StoreBackendBase::KeyedTypes(const std::string& name, arrow::DataTypeVector* types) {
  SABOT_RETURN_NOT_OK(KeyTypes(name, types));
  if (!types->empty()) return Status::OK();
  return Status::InvalidArgument("a range of keys needs a table with a primary key, and table '" +
                                 name + "' has none");
}

Status StoreBackendBase::StringRange(const std::string& name, const std::string& start,
                                     const std::string& end, KeyRange* range) {
  arrow::DataTypeVector types;
  SABOT_RETURN_NOT_OK(KeyedTypes(name, &types));
  std::shared_ptr<arrow::Scalar> lower;
  if (types.size() == 1) lower = StringScalar(types[0], start);
  if (lower == nullptr) {
    return Status::InvalidArgument(
        "bounds given as strings need a table keyed by one string or "
        "binary column, and table '" +
        name + "' is not");
  }
  range->start = {std::move(lower)};
  if (!end.empty()) range->end = {StringScalar(types[0], end)};
  return Status::OK();
}

Status StoreBackendBase::ScanRange(const std::string& name, const KeyBound& start,
                                   const KeyBound& end, std::shared_ptr<arrow::Table>* table) {
  return Guarded([&]() -> Status {
    arrow::DataTypeVector types;
    SABOT_RETURN_NOT_OK(KeyedTypes(name, &types));
    std::shared_ptr<arrow::RecordBatchReader> reader;
    SABOT_RETURN_NOT_OK(OpenReader(name, {start, end}, &reader));
    SABOT_ASSIGN_OR_RETURN(*table, reader->ToTable());
    return Status::OK();
  });
}

Status StoreBackendBase::ScanRange(const std::string& name, const std::string& start,
                                   const std::string& end, std::shared_ptr<arrow::Table>* table) {
  return Guarded([&]() -> Status {
    KeyRange range;
    SABOT_RETURN_NOT_OK(StringRange(name, start, end, &range));
    return ScanRange(name, range.start, range.end, table);
  });
}

Status StoreBackendBase::DeleteRange(const std::string& name, const std::string& start,
                                     const std::string& end) {
  return Guarded([&]() -> Status {
    KeyRange range;
    SABOT_RETURN_NOT_OK(StringRange(name, start, end, &range));
    return DeleteRange(name, range.start, range.end);
  });
}

Status StoreBackendBase::NewIterator(const std::string& name, const KeyRange& range,
                                     std::unique_ptr<BatchIterator>* iterator) {
  return Guarded([&]() -> Status {
    std::shared_ptr<arrow::RecordBatchReader> reader;
    SABOT_RETURN_NOT_OK(OpenReader(name, range, &reader));
    *iterator = std::make_unique<ReaderIterator>(std::move(reader));
    return Status::OK();
  });
}

Status StoreBackendBase::ExportTableToC(const std::string& name, ArrowArrayStream* stream) {
  return Guarded([&]() -> Status {
    std::shared_ptr<arrow::RecordBatchReader> reader;
    SABOT_RETURN_NOT_OK(OpenReader(name, {}, &reader));
    return FromArrow(arrow::ExportRecordBatchReader(std::move(reader), stream));
  });
}

Status StoreBackendBase::ExportTableToC(const std::string& name, ArrowSchema* schema,
                                        ArrowArray* array) {
  return Guarded([&]() -> Status {
    std::shared_ptr<arrow::Table> table;
    SABOT_RETURN_NOT_OK(ScanTable(name, &table));
    SABOT_ASSIGN_OR_RETURN(auto batch, table->CombineChunksToBatch());
    return FromArrow(arrow::ExportRecordBatch(*batch, array, schema));
  });
}

}  // namespace sabot::storage

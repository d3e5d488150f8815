// Between sabot::storage and Cython: statuses as arrow's, a reader over a batch iterator, pairs in
// chunks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/record_batch.h>

#include <marble/error.h>
#include <marble/table.h>

#include "fork_guard.h"
#include "guarded_reader.h"
#include "sabot/storage/interface.h"
#include "sabot/storage/marbledb_backend.h"

namespace sabot_python {

using sabot::storage::Status;
using sabot::storage::StatusCode;

/// The same failure as an arrow::Status, with Marble's detail, or its kind where there is one.
inline arrow::Status ToArrow(const Status& status) {
  if (status.detail() != nullptr) {
    arrow::Status detailed(arrow::StatusCode::IOError, status.message(), status.detail());
    if (marble::DetailOf(detailed) != nullptr) return detailed;
  }
  switch (status.code()) {
    case StatusCode::OK:
      return arrow::Status::OK();
    case StatusCode::NotFound:
      return marble::NotFoundError(status.message());
    case StatusCode::InvalidArgument:
      return arrow::Status::Invalid(status.message());
    case StatusCode::IOError:
      return arrow::Status::IOError(status.message());
    case StatusCode::NotSupported:
      return arrow::Status::NotImplemented(status.message());
    case StatusCode::Corruption:
      return arrow::Status(arrow::StatusCode::IOError, status.message(),
                           std::make_shared<marble::ErrorDetail>(marble::ErrorKind::kCorruption));
    case StatusCode::Conflict:
    case StatusCode::AlreadyExists:
      return marble::ConflictError(status.message());
    case StatusCode::Busy:
      return marble::BusyError(status.message());
    case StatusCode::Closed:
      return marble::ClosedError(status.message());
    case StatusCode::InternalError:
      break;
  }
  return arrow::Status::UnknownError(status.message());
}

/// A backend iterator as the reader that every Arrow library takes.
class IteratorReader : public arrow::RecordBatchReader {
 public:
  IteratorReader(std::shared_ptr<arrow::Schema> schema,
                 std::unique_ptr<sabot::storage::BatchIterator> iterator)
      : schema_(std::move(schema)), iterator_(std::move(iterator)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  arrow::Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    batch->reset();
    if (iterator_ == nullptr) return arrow::Status::OK();
    if (!iterator_->Valid()) return ToArrow(iterator_->status());
    *batch = iterator_->GetBatch();
    iterator_->Next();
    return arrow::Status::OK();
  }

  arrow::Status Close() override {
    iterator_.reset();
    return arrow::Status::OK();
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<sabot::storage::BatchIterator> iterator_;
};

/// All rows of [start, end) of a table, lazily, over one snapshot.
inline Status ReaderOf(sabot::storage::StoreBackend& backend, const std::string& name,
                       const sabot::storage::KeyRange& range,
                       std::shared_ptr<arrow::RecordBatchReader>* reader) {
  std::shared_ptr<arrow::Schema> schema;
  Status status = backend.GetSchema(name, &schema);
  if (!status.ok()) return status;
  std::unique_ptr<sabot::storage::BatchIterator> iterator;
  status = backend.NewIterator(name, range, &iterator);
  if (!status.ok()) return status;
  *reader = marble_python::Guard(
      std::make_shared<IteratorReader>(std::move(schema), std::move(iterator)));
  return Status::OK();
}

/// True for a backend over Marble, whose engine selects columns and rows itself.
inline bool HasEngine(const sabot::storage::StoreBackend& backend) {
  return dynamic_cast<const sabot::storage::MarbleDbStoreBackend*>(&backend) != nullptr;
}

/// The rows that `options` ask for, of a backend that HasEngine.
inline arrow::Status EngineReader(const sabot::storage::StoreBackend& backend,
                                  const std::string& name, const marble::ScanOptions& options,
                                  std::shared_ptr<arrow::RecordBatchReader>* reader) {
  const auto& engine = dynamic_cast<const sabot::storage::MarbleDbStoreBackend&>(backend);
  ARROW_ASSIGN_OR_RAISE(auto table, marble::Table::Open(engine.database(), name));
  ARROW_ASSIGN_OR_RAISE(auto rows, table->Scan(options));
  *reader = marble_python::Guard(std::move(rows));
  return arrow::Status::OK();
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Moves pairs out of an iterator, so that the GIL is released once for all of them: up to `count`,
/// or until they are as many bytes as nobody minds to have twice.
inline Status TakePairs(sabot::storage::StateIterator& iterator, size_t count, Pairs* pairs) {
  constexpr size_t kBytesMax = 128 * 1024;
  pairs->clear();
  for (size_t bytes = 0; pairs->size() < count && bytes < kBytesMax && iterator.Valid();) {
    bytes += iterator.key().size() + iterator.value().size();
    pairs->emplace_back(iterator.key(), iterator.value());
    iterator.Next();
  }
  return pairs->empty() ? iterator.status() : Status::OK();
}

using OptionalValues = std::vector<std::optional<std::string>>;

inline Status MultiGet(sabot::storage::StateBackend& backend, const std::vector<std::string>& keys,
                       OptionalValues* values) {
  return backend.MultiGet(keys, values);
}

}  // namespace sabot_python

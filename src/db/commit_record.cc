#include "db/commit_record.h"

#include "base/coding.h"
#include "log/log_format.h"

namespace marble {

namespace {

/// Bytes up to this length are copied into one buffer rather than written as parts of their own.
constexpr size_t kCopyBytesMax = 4096;
/// A buffer that has grown beyond this is given back.
constexpr size_t kKeptBytesMax = size_t{4} << 20;

uint64_t PaddingAt(uint64_t offset) {
  return (kLogAlignment - offset % kLogAlignment) % kLogAlignment;
}

}  // namespace

void CommitRecordBuilder::Clear() {
  copied_.clear();
  if (copied_.capacity() > kKeptBytesMax) copied_.shrink_to_fit();
  externals_.clear();
  external_bytes_ = 0;
  count_ = 0;
}

void CommitRecordBuilder::Begin(OperationKind kind, uint32_t table) {
  ++count_;
  copied_.push_back(static_cast<char>(kind));
  PutVarint(&copied_, table);
}

void CommitRecordBuilder::AppendBytes(std::string_view bytes) {
  if (bytes.size() <= kCopyBytesMax) {
    copied_.append(bytes);
    return;
  }
  externals_.push_back({copied_.size(), bytes});
  external_bytes_ += bytes.size();
}

void CommitRecordBuilder::AddPut(uint32_t table, std::string_view key, std::string_view value) {
  if (key.size() + value.size() > kCopyBytesMax) [[unlikely]] {
    Begin(OperationKind::kPut, table);
    PutVarint(&copied_, key.size());
    PutVarint(&copied_, value.size());
    AppendBytes(key);
    AppendBytes(value);
    return;
  }
  // The same in one go.
  ++count_;
  char head[1 + 3 * kVarintBytesMax];
  char* end = head;
  *end++ = static_cast<char>(OperationKind::kPut);
  end = EncodeVarint(end, table);
  end = EncodeVarint(end, key.size());
  end = EncodeVarint(end, value.size());
  copied_.append(head, static_cast<size_t>(end - head));
  copied_.append(key);
  copied_.append(value);
}

void CommitRecordBuilder::AddDelete(uint32_t table, std::string_view key) {
  Begin(OperationKind::kDelete, table);
  PutVarint(&copied_, key.size());
  AppendBytes(key);
}

void CommitRecordBuilder::AddDeleteRange(uint32_t table, std::string_view begin,
                                         std::string_view end, bool unbounded) {
  Begin(OperationKind::kDeleteRange, table);
  PutBytes(&copied_, begin);
  copied_.push_back(unbounded ? 1 : 0);
  PutBytes(&copied_, end);
}

void CommitRecordBuilder::AddRows(OperationKind kind, uint32_t table, uint64_t first_row_id,
                                  const arrow::BufferVector& message) {
  Begin(kind, table);
  PutFixed<uint64_t>(&copied_, first_row_id);
  uint64_t bytes = 0;
  for (const auto& piece : message) bytes += static_cast<uint64_t>(piece->size());
  PutVarint(&copied_, bytes);
  copied_.append(PaddingAt(payload_bytes()), '\0');
  for (const auto& piece : message) AppendBytes(std::string_view(*piece));
}

void CommitRecordBuilder::AddAttach(uint32_t table, uint64_t first_row_id,
                                    const std::vector<FileMeta>& files) {
  Begin(OperationKind::kAttach, table);
  PutFixed<uint64_t>(&copied_, first_row_id);
  PutVarint(&copied_, files.size());
  for (const FileMeta& file : files) PutBytes(&copied_, EncodeFileMeta(file));
}

void CommitRecordBuilder::AddCreate(const TableRecord& record) {
  Begin(OperationKind::kCreateTable, record.id);
  PutBytes(&copied_, EncodeTableRecord(record));
}

void CommitRecordBuilder::AddDrop(uint32_t table) { Begin(OperationKind::kDropTable, table); }

const std::vector<std::string_view>& CommitRecordBuilder::Parts() {
  parts_.clear();
  const std::string_view copied = copied_;
  size_t done = 0;
  for (const External& external : externals_) {
    if (external.offset > done) parts_.push_back(copied.substr(done, external.offset - done));
    parts_.push_back(external.bytes);
    done = external.offset;
  }
  if (done < copied.size()) parts_.push_back(copied.substr(done));
  return parts_;
}

namespace {

/// Cuts operations off the front of a payload.
class CommitReader {
 public:
  explicit CommitReader(const std::shared_ptr<arrow::Buffer>& payload)
      : payload_(payload), decoder_(std::string_view(*payload)) {}

  arrow::Status Next(LoggedOperation* op) {
    uint8_t kind = 0;
    uint64_t table = 0;
    decoder_.Fixed(&kind);
    decoder_.Varint(&table);
    op->kind = static_cast<OperationKind>(kind);
    op->table = static_cast<uint32_t>(table);
    arrow::Status status = Body(op);
    if (!status.ok()) return status;
    return decoder_.ok() ? arrow::Status::OK() : arrow::Status::Invalid("operation cut short");
  }
  bool AtEnd() const { return decoder_.AtEnd(); }

 private:
  arrow::Status Body(LoggedOperation* op) {
    switch (op->kind) {
      case OperationKind::kPut:
        return Put(op);
      case OperationKind::kDelete:
        decoder_.Bytes(&op->key);
        return arrow::Status::OK();
      case OperationKind::kDeleteRange:
        return DeleteRange(op);
      case OperationKind::kInsertRows:
      case OperationKind::kDeleteRows:
        return Rows(op);
      case OperationKind::kAttach:
        return Attach(op);
      case OperationKind::kCreateTable:
        return Create(op);
      case OperationKind::kDropTable:
        return arrow::Status::OK();
    }
    return arrow::Status::NotImplemented("unknown operation kind ", static_cast<int>(op->kind));
  }

  arrow::Status Put(LoggedOperation* op) {
    uint64_t key = 0;
    uint64_t value = 0;
    if (!decoder_.Varint(&key) || !decoder_.Varint(&value)) return arrow::Status::OK();
    const std::string_view rest = decoder_.rest();
    if (key > rest.size() || value > rest.size() - key) {
      return arrow::Status::Invalid("put reaches beyond the record");
    }
    op->key = rest.substr(0, key);
    op->value = rest.substr(key, value);
    decoder_.Skip(key + value);
    return arrow::Status::OK();
  }

  arrow::Status DeleteRange(LoggedOperation* op) {
    uint8_t unbounded = 0;
    decoder_.Bytes(&op->key);
    decoder_.Fixed(&unbounded);
    decoder_.Bytes(&op->value);
    op->end_unbounded = unbounded != 0;
    return arrow::Status::OK();
  }

  arrow::Status Rows(LoggedOperation* op) {
    uint64_t length = 0;
    decoder_.Fixed(&op->first_row_id);
    if (!decoder_.Varint(&length)) return arrow::Status::OK();
    const uint64_t offset = static_cast<uint64_t>(payload_->size()) - decoder_.rest().size();
    const uint64_t padding = PaddingAt(offset);
    if (!decoder_.Skip(padding)) return arrow::Status::OK();
    if (length > decoder_.rest().size())
      return arrow::Status::Invalid("rows reach beyond the record");
    op->message = arrow::SliceBuffer(payload_, static_cast<int64_t>(offset + padding),
                                     static_cast<int64_t>(length));
    decoder_.Skip(length);
    return arrow::Status::OK();
  }

  arrow::Status Attach(LoggedOperation* op) {
    uint64_t count = 0;
    decoder_.Fixed(&op->first_row_id);
    decoder_.Varint(&count);
    for (uint64_t i = 0; decoder_.ok() && i < count; ++i) {
      std::string_view bytes;
      if (!decoder_.Bytes(&bytes)) break;
      ARROW_ASSIGN_OR_RAISE(FileMeta meta, DecodeFileMeta(bytes));
      op->files.push_back(std::move(meta));
    }
    return arrow::Status::OK();
  }

  arrow::Status Create(LoggedOperation* op) {
    std::string_view bytes;
    if (!decoder_.Bytes(&bytes)) return arrow::Status::OK();
    ARROW_ASSIGN_OR_RAISE(op->record, DecodeTableRecord(bytes));
    return arrow::Status::OK();
  }

  const std::shared_ptr<arrow::Buffer>& payload_;
  Decoder decoder_;
};

}  // namespace

arrow::Status ReadCommitRecord(const std::shared_ptr<arrow::Buffer>& payload, uint64_t count,
                               const std::function<arrow::Status(const LoggedOperation&)>& visit) {
  CommitReader reader(payload);
  for (uint64_t i = 0; i < count; ++i) {
    LoggedOperation op;
    ARROW_RETURN_NOT_OK(reader.Next(&op));
    ARROW_RETURN_NOT_OK(visit(op));
  }
  return reader.AtEnd() ? arrow::Status::OK()
                        : arrow::Status::Invalid("bytes behind the last operation");
}

}  // namespace marble

// Whole-batch operations on top of the gather kernels (gather.cc) and the key sort (key_sort.cc).
#include "row/batch_ops.h"

#include <algorithm>
#include <string>
#include <utility>

#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/bit_util.h>
#include <arrow/util/byte_size.h>
#include <arrow/util/checked_cast.h>

#include "base/check.h"
#include "row/gather.h"
#include "row/key_sort.h"

namespace marble {

namespace {

using arrow::ArrayData;
using arrow::Status;
using arrow::Type;

/// Rows from which a sort asks for help: waking a thread takes as long as gathering some hundred.
constexpr int64_t kHelpedRowsMin = 16'384;

/// Keeps what is written: buffers as they are, the bytes between them copied together.
class PieceStream final : public arrow::io::OutputStream {
 public:
  ~PieceStream() override = default;
  Status Write(const void* data, int64_t bytes) override {
    between_.append(static_cast<const char*>(data), static_cast<size_t>(bytes));
    position_ += bytes;
    return Status::OK();
  }
  Status Write(const std::shared_ptr<arrow::Buffer>& data) override {
    EndBetween();
    pieces_.push_back(data);
    position_ += data->size();
    return Status::OK();
  }
  arrow::Result<int64_t> Tell() const override { return position_; }
  Status Close() override { return Status::OK(); }
  bool closed() const override { return false; }

  arrow::BufferVector Take() {
    EndBetween();
    return std::move(pieces_);
  }

 private:
  void EndBetween() {
    if (between_.empty()) return;
    pieces_.push_back(arrow::Buffer::FromString(std::exchange(between_, std::string())));
  }

  arrow::BufferVector pieces_;
  std::string between_;
  int64_t position_ = 0;
};

/// Bytes of the offsets of `length` rows and of what they point to in `data` from row `offset` on;
/// begin and end of the latter in elements.
template <typename Offset>
int64_t OffsetBytes(const ArrayData& data, int64_t offset, int64_t length, int64_t* begin,
                    int64_t* end) {
  *begin = *end = 0;
  if (length == 0 || data.buffers[1] == nullptr) return 0;
  const auto* offsets = reinterpret_cast<const Offset*>(data.buffers[1]->data()) + offset;
  *begin = offsets[0];
  *end = offsets[length];
  return (length + 1) * static_cast<int64_t>(sizeof(Offset));
}

template <typename Offset>
int64_t VariableBytes(const ArrayData& data, int64_t offset, int64_t length) {
  int64_t begin = 0;
  int64_t end = 0;
  const int64_t bytes = OffsetBytes<Offset>(data, offset, length, &begin, &end);
  if (data.child_data.empty()) return bytes + end - begin;
  const ArrayData& child = *data.child_data[0];
  return SumOfBytes(bytes,
                    std::max(ColumnBytes(child, child.offset + begin, end - begin), end - begin));
}

}  // namespace

int64_t ColumnBytes(const ArrayData& data, int64_t offset, int64_t length) {
  const arrow::DataType& type = *data.type;
  const bool has_bitmap = !data.buffers.empty() && data.buffers[0] != nullptr;
  const int64_t validity = has_bitmap ? arrow::bit_util::BytesForBits(length) : 0;
  switch (type.id()) {
    case Type::NA:
      return 0;
    case Type::BOOL:
      return validity + arrow::bit_util::BytesForBits(length);
    case Type::STRING:
    case Type::BINARY:
    case Type::LIST:
    case Type::MAP:
      return SumOfBytes(validity, VariableBytes<int32_t>(data, offset, length));
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
    case Type::LARGE_LIST:
      return SumOfBytes(validity, VariableBytes<int64_t>(data, offset, length));
    case Type::FIXED_SIZE_LIST: {
      const int64_t size =
          arrow::internal::checked_cast<const arrow::FixedSizeListType&>(type).list_size();
      const ArrayData& child = *data.child_data[0];
      const int64_t bytes = ColumnBytes(child, child.offset + offset * size, length * size);
      return SumOfBytes(validity, bytes == 0 ? length * size : bytes);
    }
    case Type::STRUCT: {
      int64_t bytes = validity;
      for (const std::shared_ptr<ArrayData>& child : data.child_data) {
        bytes = SumOfBytes(bytes, ColumnBytes(*child, child->offset + offset, length));
      }
      return bytes;
    }
    default:
      break;
  }
  if (arrow::is_fixed_width(type.id()) && type.id() != Type::DICTIONARY) {
    return validity + length * type.byte_width();
  }
  // The user's own types (views, dictionaries ...), before they are turned into stored ones.
  const std::shared_ptr<ArrayData> slice = data.Slice(offset - data.offset, length);
  return arrow::util::ReferencedBufferSize(*slice).ValueOr(arrow::util::TotalBufferSize(*slice));
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> Gather(
    const std::shared_ptr<arrow::Schema>& schema,
    std::span<const std::shared_ptr<arrow::RecordBatch>> sources, const RowSelection& selection,
    arrow::MemoryPool* pool, Helpers* helpers) {
  if (const std::optional<RowSlice> lone = selection.lone_slice()) {
    const RowSlice& slice = *lone;
    const arrow::RecordBatch& source = *sources[static_cast<size_t>(slice.source)];
    std::vector<std::shared_ptr<ArrayData>> columns;
    columns.reserve(static_cast<size_t>(source.num_columns()));
    const bool is_whole = slice.start == 0 && slice.length == source.num_rows();
    for (int i = 0; i < source.num_columns(); ++i) {
      const std::shared_ptr<ArrayData>& data = source.column_data(i);
      columns.push_back(is_whole ? data : data->Slice(slice.start, slice.length));
    }
    return arrow::RecordBatch::Make(schema, slice.length, std::move(columns));
  }
  return GatherRows(schema, sources, selection, pool, helpers);
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> Gather(
    const std::shared_ptr<arrow::Schema>& schema,
    std::span<const std::shared_ptr<arrow::RecordBatch>> sources, std::span<const RowSlice> slices,
    arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(const RowSelection selection,
                        RowSelection::FromSlices(slices, sources.size(), pool));
  return Gather(schema, sources, selection, pool);
}

arrow::Result<SortedRows> SortByKey(const std::shared_ptr<arrow::RecordBatch>& batch,
                                    const EncodedKeys& keys, const KeyCodec& codec,
                                    arrow::MemoryPool* pool, Helpers* helpers) {
  if (keys.size() < kHelpedRowsMin) helpers = nullptr;
  SortedRows rows;
  ARROW_ASSIGN_OR_RAISE(const SortedIndices sorted, SortKeys(keys, pool));
  if (sorted.is_identity) {
    ARROW_ASSIGN_OR_RAISE(rows.columns, CopyBatch(batch, pool));
  } else {
    ARROW_ASSIGN_OR_RAISE(rows.columns,
                          GatherRows(batch->schema(), {&batch, 1},
                                     RowSelection::FromIndices(sorted.indices), pool, helpers));
  }
  // Encoding the sorted columns is cheaper than gathering keys of any width, and for a single
  // binary column it gives views of the copy.
  ARROW_ASSIGN_OR_RAISE(rows.keys, codec.Encode(*rows.columns, pool));
  return rows;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> CopyBatch(
    const std::shared_ptr<arrow::RecordBatch>& batch, arrow::MemoryPool* pool) {
  const RowSlice all{0, false, 0, batch->num_rows()};
  ARROW_ASSIGN_OR_RAISE(const RowSelection selection, RowSelection::FromSlices({&all, 1}, 1, pool));
  return GatherRows(batch->schema(), {&batch, 1}, selection, pool);
}

std::shared_ptr<arrow::RecordBatch> SelectColumns(const arrow::RecordBatch& batch,
                                                  const std::vector<int>& held,
                                                  const std::vector<int>& wanted) {
  arrow::FieldVector fields;
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (const int column : wanted) {
    const auto found = std::find(held.begin(), held.end(), column);
    MARBLE_CHECK(found != held.end());
    const auto position = static_cast<int>(found - held.begin());
    fields.push_back(batch.schema()->field(position));
    columns.push_back(batch.column_data(position));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.num_rows(),
                                  std::move(columns));
}

int64_t BatchBytes(const arrow::RecordBatch& batch) {
  int64_t bytes = 0;
  for (int i = 0; i < batch.num_columns(); ++i) {
    const ArrayData& data = *batch.column_data(i);
    bytes = SumOfBytes(bytes, ColumnBytes(data, data.offset, data.length));
  }
  return bytes;
}

arrow::Result<arrow::BufferVector> SerializeBatch(const arrow::RecordBatch& batch,
                                                  arrow::MemoryPool* pool) {
  arrow::ipc::IpcWriteOptions options = arrow::ipc::IpcWriteOptions::Defaults();
  options.memory_pool = pool;
  options.alignment = 64;
  options.use_threads = false;
  options.allow_64bit = true;
  arrow::ipc::IpcPayload payload;
  ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(batch, options, &payload));
  PieceStream pieces;
  int32_t metadata_length = 0;
  ARROW_RETURN_NOT_OK(arrow::ipc::WriteIpcPayload(payload, options, &pieces, &metadata_length));
  return pieces.Take();
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> DeserializeBatch(
    const std::shared_ptr<arrow::Buffer>& bytes, const std::shared_ptr<arrow::Schema>& schema) {
  arrow::ipc::IpcReadOptions options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  // Misaligned buffers would be undefined behaviour in typed access; such (damaged or foreign)
  // input is copied.
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  const arrow::ipc::DictionaryMemo no_dictionaries;
  arrow::io::BufferReader reader(bytes);
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::RecordBatch> batch,
                        arrow::ipc::ReadRecordBatch(schema, &no_dictionaries, options, &reader));
  for (int i = 0; i < schema->num_fields(); ++i) {
    if (!batch->column_data(i)->type->Equals(*schema->field(i)->type())) {
      return Status::Invalid("column '", schema->field(i)->name(), "' of a serialized batch is ",
                             batch->column_data(i)->type->ToString(), " instead of ",
                             schema->field(i)->type()->ToString());
    }
  }
  ARROW_RETURN_NOT_OK(batch->ValidateFull());
  return batch;
}

}  // namespace marble

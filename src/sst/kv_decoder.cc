#include "sst/kv_decoder.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>

#include "sst/block_rows.h"
#include "sst/body_compression.h"
#include "sst/flat_message.h"
#include "sst/lz4_frame.h"
#include "sst/offsets.h"
#include "sst/sst_format.h"

namespace marble {

namespace {

using arrow::Result;
using arrow::Status;

// The buffers of a message, in order: each of the two strings has validity, offsets and data, each
// hidden column validity and data.
enum Buffer : size_t {
  kKeyOffsets = 1,
  kKeyData = 2,
  kValueValidity = 3,
  kValueOffsets = 4,
  kValueData = 5,
  kHidden = 6,
};
constexpr size_t kKvBuffersMax = 10;
constexpr size_t kKvColumnsMax = 4;

using Bytes = std::span<const uint8_t>;

/// The part of a message that describes its body.
struct Layout {
  BodyCompression compression = BodyCompression::kNone;
  int64_t rows = 0;
  int64_t value_nulls = 0;
  std::array<Bytes, kKvBuffersMax> buffers;  // as stored
};

Status Misshapen() { return Status::Invalid("the message is no record batch of this table"); }

Result<Layout> ParseLayout(std::string_view metadata, Bytes body, size_t columns) {
  const FlatMessage message(metadata);
  const size_t root = message.Root();
  const auto type = message.Value<uint8_t>(message.Field(root, kMessageHeaderType), 0);
  const size_t header = message.Child(message.Field(root, kMessageHeader));
  const size_t count = 2 + 2 * columns;
  const size_t nodes =
      message.Pairs(message.Child(message.Field(header, kRecordBatchNodes)), columns);
  const size_t buffers =
      message.Pairs(message.Child(message.Field(header, kRecordBatchBuffers)), count);
  if (type != kHeaderTypeRecordBatch || nodes == 0 || buffers == 0) return Misshapen();
  Layout out;
  out.rows = message.Value<int64_t>(message.Field(header, kRecordBatchLength), 0);
  for (size_t i = 0; i < columns; ++i) {
    const size_t node = nodes + i * kFlatPairBytes;
    const auto nulls = message.Load<int64_t>(node + 8);
    if (message.Load<int64_t>(node) != out.rows || (nulls != 0 && i != 1)) return Misshapen();
    if (i == 1) out.value_nulls = nulls;
  }
  for (size_t i = 0; i < count; ++i) {
    ARROW_ASSIGN_OR_RAISE(out.buffers[i],
                          StoredBuffer(message, buffers + i * kFlatPairBytes, body));
    if ((out.buffers[i].data() - body.data()) % 8 != 0) return Misshapen();
  }
  ARROW_ASSIGN_OR_RAISE(out.compression, BodyCompressionOf(message, header));
  return out;
}

/// Decompresses a body's buffers into one piece of memory.
class Decompression {
 public:
  explicit Decompression(Layout* layout) : layout_(layout) {}

  /// Afterwards the layout's buffers are the content, in the memory returned.
  Result<std::shared_ptr<arrow::Buffer>> Run(arrow::MemoryPool* pool) {
    int64_t total = 0;
    for (size_t i = 0; i < kKvBuffersMax; ++i) {
      ARROW_ASSIGN_OR_RAISE(lengths_[i], ContentLength(layout_->compression, layout_->buffers[i]));
      if (lengths_[i] > kBytesMax - total) return Status::OutOfMemory("a block of so many bytes");
      total += arrow::bit_util::RoundUpToMultipleOf64(lengths_[i]);
    }
    ARROW_ASSIGN_OR_RAISE(std::unique_ptr<arrow::Buffer> memory,
                          arrow::AllocateBuffer(total, kSstSectionAlignment, pool));
    uint8_t* at = memory->mutable_data();
    for (size_t i = 0; i < kKvBuffersMax; ++i) {
      const std::span<uint8_t> out(at, static_cast<size_t>(lengths_[i]));
      if (!out.empty()) ARROW_RETURN_NOT_OK(Fill(layout_->buffers[i], out));
      layout_->buffers[i] = out;
      at += arrow::bit_util::RoundUpToMultipleOf64(lengths_[i]);
    }
    return std::shared_ptr<arrow::Buffer>(std::move(memory));
  }

 private:
  static constexpr int64_t kBytesMax = int64_t{1} << 40;

  Status Fill(Bytes stored, std::span<uint8_t> out) const {
    const Bytes content = stored.subspan(kContentLengthBytes);
    if (LoadLittle<int64_t>(stored.data()) == -1) {
      std::ranges::copy(content, out.begin());
      return Status::OK();
    }
    return layout_->compression == BodyCompression::kLz4Frame
               ? DecompressLz4Frame(content, out)
               : DecompressExactly(arrow::Compression::ZSTD, content, out);
  }

  Layout* const layout_;
  std::array<int64_t, kKvBuffersMax> lengths_;
};

template <typename Offset>
Status CheckStrings(Bytes offsets, Bytes data, int64_t rows, KvStrings* out) {
  if (static_cast<int64_t>(offsets.size() / sizeof(Offset)) <= rows) return Misshapen();
  const auto* values = reinterpret_cast<const Offset*>(offsets.data());
  if (!OffsetsAscend(values, rows)) return Status::Invalid("offsets of a column descend");
  // Of the data what the offsets reach: Arrow may have written more.
  out->bytes = static_cast<uint64_t>(values[rows]);
  if (out->bytes > data.size()) return Status::Invalid("offsets of a column leave its data");
  out->offsets = offsets.data();
  out->data = reinterpret_cast<const char*>(data.data());
  return Status::OK();
}

Status FillStrings(Bytes offsets, Bytes data, int64_t rows, bool large, KvStrings* out) {
  out->large = large;
  return large ? CheckStrings<int64_t>(offsets, data, rows, out)
               : CheckStrings<int32_t>(offsets, data, rows, out);
}

bool Holds(Bytes buffer, int64_t values, int64_t width) {
  return static_cast<int64_t>(buffer.size()) / width >= values;
}

/// The columns of a layout whose buffers are not compressed (any more).
Result<KvColumns> ColumnsOf(const SstFile& file, const BlockEntry& entry, const Layout& layout) {
  KvColumns out;
  out.rows = entry.rows;
  out.sequence = file.meta().constant_sequence.value_or(0);
  out.sequence_max = entry.sequence_max;
  out.unique_keys = entry.unique_keys;
  const auto& buffers = layout.buffers;
  ARROW_RETURN_NOT_OK(FillStrings(buffers[kKeyOffsets], buffers[kKeyData], out.rows,
                                  HasLargeOffsets(file, 0), &out.keys));
  ARROW_RETURN_NOT_OK(FillStrings(buffers[kValueOffsets], buffers[kValueData], out.rows,
                                  HasLargeOffsets(file, 1), &out.values));
  if (layout.value_nulls != 0) {
    if (!Holds(buffers[kValueValidity], (out.rows + 7) / 8, 1)) return Misshapen();
    out.value_validity = buffers[kValueValidity].data();
  }
  size_t data = kHidden + 1;  // of the next hidden column
  if (file.sequence_column() >= 0) {
    if (!Holds(buffers[data], out.rows, sizeof(uint64_t))) return Misshapen();
    out.sequences = buffers[data].data();
    data += 2;
  }
  if (file.kind_column() >= 0 && entry.has_kinds) {
    if (!Holds(buffers[data], out.rows, 1)) return Misshapen();
    out.kinds = buffers[data].data();
    ARROW_RETURN_NOT_OK(CheckKinds(file, out.kinds, out.rows));
  }
  return out;
}

std::shared_ptr<arrow::ArrayData> ArrayOf(const SstFile& file, const KvBlock& block, int column) {
  const KvColumns& rows = block.rows;
  const KvStrings& strings = column == 0 ? rows.keys : rows.values;
  const uint8_t* validity = column == 0 ? nullptr : rows.value_validity;
  const auto slice = [&block](const void* begin, int64_t length) {
    const auto offset = static_cast<const uint8_t*>(begin) - block.bytes->data();
    return arrow::SliceBuffer(block.bytes, offset, length);
  };
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(3);
  if (validity != nullptr) buffers[0] = slice(validity, (rows.rows + 7) / 8);
  buffers[1] = slice(strings.offsets, (rows.rows + 1) * (strings.large ? 8 : 4));
  buffers[2] = slice(strings.data, static_cast<int64_t>(strings.bytes));
  return arrow::ArrayData::Make(file.schema().stored_schema()->field(column)->type(), rows.rows,
                                std::move(buffers),
                                validity == nullptr ? 0 : arrow::kUnknownNullCount);
}

}  // namespace

bool HasLargeOffsets(const SstFile& file, int column) {
  return arrow::is_large_binary_like(file.schema().stored_schema()->field(column)->type()->id());
}

Result<KvBlock> DecodeKvBlock(const SstFile& file, int64_t block) {
  const BlockEntry entry = file.blocks().Entry(block);
  const auto fail = [&](const Status& status) { return file.Damage(status, entry.message_offset); };
  ARROW_ASSIGN_OR_RAISE(const SstFile::BlockMessage message, file.ReadMessage(block));
  const auto columns = static_cast<size_t>(file.file_schema()->num_fields());
  if (columns > kKvColumnsMax) return fail(Misshapen());
  const Bytes body(message.bytes->data() + entry.metadata_length,
                   static_cast<size_t>(entry.body_length));
  Result<Layout> layout = ParseLayout(message.metadata, body, columns);
  if (!layout.ok()) return fail(layout.status());
  if (layout->rows != entry.rows) {
    return file.Damage("the block has another number of rows than the block index says",
                       entry.message_offset);
  }
  ARROW_RETURN_NOT_OK(file.CheckCompression(layout->compression, entry.message_offset));
  if (file.zero_copy()) {
    for (const Bytes& buffer : layout->buffers) ARROW_RETURN_NOT_OK(file.CheckMapped(buffer));
  }
  KvBlock out;
  out.bytes = file.zero_copy() ? file.mapping() : message.bytes;
  if (layout->compression != BodyCompression::kNone) {
    auto memory = Decompression(&*layout).Run(file.options().pool);
    if (!memory.ok()) return fail(memory.status());
    out.bytes = *std::move(memory);
  }
  Result<KvColumns> rows = ColumnsOf(file, entry, *layout);
  if (!rows.ok()) return fail(rows.status());
  out.rows = *rows;
  return out;
}

RowBatch KvRows(const SstFile& file, const KvBlock& block, const std::vector<int>& columns,
                bool want_keys) {
  const KvColumns& rows = block.rows;
  RowBatch out;
  std::vector<std::shared_ptr<arrow::ArrayData>> arrays;
  arrays.reserve(columns.size());
  for (const int column : columns) arrays.push_back(ArrayOf(file, block, column));
  out.columns =
      arrow::RecordBatch::Make(StoredColumns(file, columns), rows.rows, std::move(arrays));
  out.owner = block.bytes;
  if (want_keys) {
    const auto* data = reinterpret_cast<const uint8_t*>(rows.keys.data);
    const uint8_t* offsets = rows.keys.offsets;
    out.keys = rows.keys.large
                   ? EncodedKeys::Offsets64(data, reinterpret_cast<const int64_t*>(offsets),
                                            rows.rows, block.bytes)
                   : EncodedKeys::Offsets32(data, reinterpret_cast<const int32_t*>(offsets),
                                            rows.rows, block.bytes);
  }
  out.sequences = reinterpret_cast<const uint64_t*>(rows.sequences);
  out.sequence = rows.sequence;
  out.kinds = rows.kinds;
  out.unique_keys = rows.unique_keys;
  out.sequence_max = rows.sequence_max;
  return out;
}

}  // namespace marble

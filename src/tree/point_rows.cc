#include "tree/point_rows.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/util/bit_util.h>

namespace marble {

namespace {

using Records = std::span<const Record* const>;

/// What keeps the parts of a RowBatch alive that are not in its columns.
struct Owned {
  std::shared_ptr<arrow::Buffer> key_offsets;
  std::shared_ptr<arrow::Buffer> key_data;
  std::shared_ptr<arrow::Buffer> sequences;
  std::shared_ptr<arrow::Buffer> kinds;
};

bool HasLargeOffsets(const arrow::DataType& type) {
  return type.id() == arrow::Type::LARGE_BINARY || type.id() == arrow::Type::LARGE_STRING;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> NewBuffer(int64_t bytes, arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateBuffer(bytes, pool));
  return std::shared_ptr<arrow::Buffer>(std::move(buffer));
}

/// Offsets and bytes of one column; `bytes_of(record)` is the string_view to copy.
template <typename Offset, typename BytesOf>
arrow::Result<std::shared_ptr<arrow::ArrayData>> BuildBinary(
    const std::shared_ptr<arrow::DataType>& type, Records records, const BytesOf& bytes_of,
    arrow::MemoryPool* pool) {
  const auto rows = static_cast<int64_t>(records.size());
  int64_t total = 0;
  for (const Record* record : records) total += static_cast<int64_t>(bytes_of(*record).size());
  if (total > std::numeric_limits<Offset>::max()) {
    return arrow::Status::CapacityError(total, " bytes do not fit the offsets of one ",
                                        type->ToString(), " array");
  }
  ARROW_ASSIGN_OR_RAISE(auto offsets,
                        NewBuffer((rows + 1) * static_cast<int64_t>(sizeof(Offset)), pool));
  ARROW_ASSIGN_OR_RAISE(auto data, NewBuffer(total, pool));
  auto* offset = reinterpret_cast<Offset*>(offsets->mutable_data());
  uint8_t* const begin = data->mutable_data();
  uint8_t* out = begin;
  *offset++ = 0;
  for (const Record* record : records) {
    const std::string_view bytes = bytes_of(*record);
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
    out += bytes.size();
    *offset++ = static_cast<Offset>(out - begin);
  }
  return arrow::ArrayData::Make(type, rows, {nullptr, std::move(offsets), std::move(data)}, 0);
}

template <typename BytesOf>
arrow::Result<std::shared_ptr<arrow::ArrayData>> BuildColumn(
    const std::shared_ptr<arrow::DataType>& type, Records records, const BytesOf& bytes_of,
    arrow::MemoryPool* pool) {
  if (HasLargeOffsets(*type)) return BuildBinary<int64_t>(type, records, bytes_of, pool);
  return BuildBinary<int32_t>(type, records, bytes_of, pool);
}

arrow::Status SetValidity(Records records, arrow::ArrayData* values, arrow::MemoryPool* pool) {
  const int64_t nulls = std::count_if(records.begin(), records.end(),
                                      [](const Record* r) { return r->value_is_null(); });
  if (nulls == 0) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(auto bitmap,
                        NewBuffer(arrow::bit_util::BytesForBits(values->length), pool));
  std::memset(bitmap->mutable_data(), 0, static_cast<size_t>(bitmap->size()));
  for (size_t i = 0; i < records.size(); ++i) {
    if (!records[i]->value_is_null()) {
      arrow::bit_util::SetBit(bitmap->mutable_data(), static_cast<int64_t>(i));
    }
  }
  values->buffers[0] = std::move(bitmap);
  values->null_count = nulls;
  return arrow::Status::OK();
}

/// Sequences, kinds and the highest sequence.
arrow::Status SetHidden(Records records, Owned* owned, RowBatch* rows, arrow::MemoryPool* pool) {
  const auto size = static_cast<int64_t>(records.size());
  ARROW_ASSIGN_OR_RAISE(owned->sequences,
                        NewBuffer(size * static_cast<int64_t>(sizeof(uint64_t)), pool));
  auto* sequences = reinterpret_cast<uint64_t*>(owned->sequences->mutable_data());
  bool all_puts = true;
  for (const Record* record : records) {
    *sequences++ = record->sequence();
    rows->sequence_max = std::max(rows->sequence_max, record->sequence());
    all_puts = all_puts && record->kind() == RowKind::kPut;
  }
  rows->sequences = reinterpret_cast<const uint64_t*>(owned->sequences->data());
  if (all_puts) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(owned->kinds, NewBuffer(size, pool));
  uint8_t* kinds = owned->kinds->mutable_data();
  for (const Record* record : records) *kinds++ = static_cast<uint8_t>(record->kind());
  rows->kinds = owned->kinds->data();
  return arrow::Status::OK();
}

}  // namespace

PointRowBuilder::PointRowBuilder(std::shared_ptr<const StoredSchema> schema,
                                 std::vector<int> columns, bool want_keys, arrow::MemoryPool* pool)
    : schema_(std::move(schema)), columns_(std::move(columns)), want_keys_(want_keys), pool_(pool) {
  arrow::FieldVector fields;
  for (int column : columns_) fields.push_back(schema_->stored_schema()->field(column));
  projected_ = arrow::schema(std::move(fields), schema_->stored_schema()->metadata());
}

arrow::Result<RowBatch> PointRowBuilder::Build(Records records, bool unique_keys) const {
  const auto size = static_cast<int64_t>(records.size());
  const auto& key_type = schema_->stored_schema()->field(0)->type();
  const auto& value_type = schema_->stored_schema()->field(1)->type();
  auto owned = std::make_shared<Owned>();
  RowBatch rows;
  rows.unique_keys = unique_keys;

  std::shared_ptr<arrow::ArrayData> keys;
  if (want_keys_ || std::ranges::find(columns_, 0) != columns_.end()) {
    const auto key_of = [](const Record& record) { return record.key(); };
    ARROW_ASSIGN_OR_RAISE(keys, BuildColumn(key_type, records, key_of, pool_));
    owned->key_offsets = keys->buffers[1];
    owned->key_data = keys->buffers[2];
  }
  std::shared_ptr<arrow::ArrayData> values;
  if (std::ranges::find(columns_, 1) != columns_.end()) {
    const auto value_of = [](const Record& record) { return record.value(); };
    ARROW_ASSIGN_OR_RAISE(values, BuildColumn(value_type, records, value_of, pool_));
    ARROW_RETURN_NOT_OK(SetValidity(records, values.get(), pool_));
  }
  ARROW_RETURN_NOT_OK(SetHidden(records, owned.get(), &rows, pool_));

  if (want_keys_) {
    const uint8_t* data = owned->key_data->data();
    const uint8_t* offsets = owned->key_offsets->data();
    rows.keys =
        HasLargeOffsets(*key_type)
            ? EncodedKeys::Offsets64(data, reinterpret_cast<const int64_t*>(offsets), size, owned)
            : EncodedKeys::Offsets32(data, reinterpret_cast<const int32_t*>(offsets), size, owned);
  }
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  for (int column : columns_) columns.push_back(column == 0 ? keys : values);
  rows.columns = arrow::RecordBatch::Make(projected_, size, std::move(columns));
  rows.owner = std::move(owned);
  return rows;
}

}  // namespace marble

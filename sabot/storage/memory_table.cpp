#include "sabot/storage/memory_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include <arrow/device.h>
#include <arrow/scalar.h>
#include <arrow/util/float16.h>
#include <arrow/util/key_value_metadata.h>

#include "sabot/storage/arrow_status.h"

namespace sabot::storage {
namespace {

constexpr char kPrimaryKeyMetadata[] = "marble.primary_key";

// Integers that order as the doubles do, with 0.0 equal to -0.0 and every NaN last.
int64_t OrderedBits(double value) {
  if (value != value) return std::numeric_limits<int64_t>::max();
  const auto bits = std::bit_cast<int64_t>(value == 0 ? 0.0 : value);
  return bits >= 0 ? bits : bits ^ std::numeric_limits<int64_t>::max();
}

// Bytes of a little-endian two's complement number, as 32 bytes whose memcmp order is its order.
std::string OrderedBytes(const uint8_t* little, size_t size) {
  constexpr size_t kWidth = 32;
  const bool negative = (little[size - 1] & 0x80) != 0;
  std::string bytes(kWidth, negative ? '\xFF' : '\0');
  for (size_t i = 0; i < size; ++i) bytes[kWidth - 1 - i] = static_cast<char>(little[i]);
  bytes[0] = static_cast<char>(bytes[0] ^ 0x80);
  return bytes;
}

// The number behind a scalar of a fixed-width type.
template <typename T>
T Number(const arrow::Scalar& scalar) {
  T number;
  const auto& primitive = static_cast<const arrow::internal::PrimitiveScalarBase&>(scalar);
  std::memcpy(&number, primitive.data(), sizeof(T));
  return number;
}

template <typename DecimalScalar>
std::string DecimalBytes(const arrow::Scalar& scalar) {
  const auto little = static_cast<const DecimalScalar&>(scalar).value.ToBytes();
  return OrderedBytes(little.data(), little.size());
}

std::vector<std::string> KeyNames(const arrow::Schema& schema, const TableOptions& options) {
  if (!options.primary_key.empty() || schema.metadata() == nullptr) return options.primary_key;
  const auto value = schema.metadata()->Get(kPrimaryKeyMetadata);
  std::vector<std::string> names;
  if (!value.ok() || value->empty()) return names;
  std::string_view rest = *value;
  while (true) {
    const size_t comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    name.remove_suffix(name.size() - (name.find_last_not_of(' ') + 1));
    names.emplace_back(name);
    if (comma == std::string_view::npos) return names;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace

Status MemoryTable::Make(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                         const TableOptions& options, MemoryTable* table) {
  arrow::FieldVector fields = schema->fields();
  if (fields.empty()) return Status::InvalidArgument("table '" + name + "' has no columns");
  for (size_t i = 0; i < fields.size(); ++i) {
    if (schema->GetAllFieldIndices(fields[i]->name()).size() > 1) {
      return Status::InvalidArgument("column '" + fields[i]->name() + "' stands twice in table '" +
                                     name + "'");
    }
    if (arrow::is_union(fields[i]->type()->id())) {
      return Status::NotSupported("column '" + fields[i]->name() + "' of table '" + name +
                                  "' is a union, which cannot be stored");
    }
  }
  for (const std::string& key : KeyNames(*schema, options)) {
    const int index = schema->GetFieldIndex(key);
    if (index < 0) {
      return Status::InvalidArgument("key column '" + key + "' is no column of table '" + name +
                                     "'");
    }
    KeyPart part;
    if (!PartOf(*arrow::MakeNullScalar(fields[index]->type()), &part)) {
      return Status::InvalidArgument("column '" + key + "' of table '" + name +
                                     "' cannot be a key: " + fields[index]->type()->ToString());
    }
    fields[index] = fields[index]->WithNullable(false);
    table->key_columns_.push_back(index);
  }
  table->name_ = name;
  table->schema_ = arrow::schema(std::move(fields), schema->metadata());
  return Status::OK();
}

bool MemoryTable::Equals(const MemoryTable& other) const {
  return key_columns_ == other.key_columns_ && schema_->Equals(*other.schema_);
}

arrow::DataTypeVector MemoryTable::KeyTypes() const {
  arrow::DataTypeVector types;
  for (int column : key_columns_) types.push_back(schema_->field(column)->type());
  return types;
}

std::vector<std::string> MemoryTable::PrimaryKey() const {
  std::vector<std::string> names;
  for (int column : key_columns_) names.push_back(schema_->field(column)->name());
  return names;
}

bool MemoryTable::PartOf(const arrow::Scalar& scalar, KeyPart* part) {
  switch (scalar.type->id()) {
    case arrow::Type::BOOL:
    case arrow::Type::UINT8:
      *part = uint64_t{Number<uint8_t>(scalar)};
      return true;
    case arrow::Type::UINT16:
      *part = uint64_t{Number<uint16_t>(scalar)};
      return true;
    case arrow::Type::UINT32:
      *part = uint64_t{Number<uint32_t>(scalar)};
      return true;
    case arrow::Type::UINT64:
      *part = Number<uint64_t>(scalar);
      return true;
    case arrow::Type::INT8:
      *part = int64_t{Number<int8_t>(scalar)};
      return true;
    case arrow::Type::INT16:
      *part = int64_t{Number<int16_t>(scalar)};
      return true;
    case arrow::Type::INT32:
    case arrow::Type::DATE32:
    case arrow::Type::TIME32:
      *part = int64_t{Number<int32_t>(scalar)};
      return true;
    case arrow::Type::INT64:
    case arrow::Type::DATE64:
    case arrow::Type::TIME64:
    case arrow::Type::TIMESTAMP:
    case arrow::Type::DURATION:
      *part = Number<int64_t>(scalar);
      return true;
    case arrow::Type::HALF_FLOAT:
      *part = OrderedBits(arrow::util::Float16::FromBits(Number<uint16_t>(scalar)).ToDouble());
      return true;
    case arrow::Type::FLOAT:
      *part = OrderedBits(Number<float>(scalar));
      return true;
    case arrow::Type::DOUBLE:
      *part = OrderedBits(Number<double>(scalar));
      return true;
    case arrow::Type::DECIMAL32:
      *part = DecimalBytes<arrow::Decimal32Scalar>(scalar);
      return true;
    case arrow::Type::DECIMAL64:
      *part = DecimalBytes<arrow::Decimal64Scalar>(scalar);
      return true;
    case arrow::Type::DECIMAL128:
      *part = DecimalBytes<arrow::Decimal128Scalar>(scalar);
      return true;
    case arrow::Type::DECIMAL256:
      *part = DecimalBytes<arrow::Decimal256Scalar>(scalar);
      return true;
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
    case arrow::Type::FIXED_SIZE_BINARY: {
      // A null, of which only the type is asked, has no buffer.
      const auto& bytes = static_cast<const arrow::BaseBinaryScalar&>(scalar).value;
      *part = bytes == nullptr ? std::string() : bytes->ToString();
      return true;
    }
    default:
      return false;
  }
}

Status MemoryTable::CheckBatch(const arrow::RecordBatch& batch) const {
  const auto refuse = [&](const std::string& column, const std::string& what) {
    return Status::InvalidArgument("table '" + name_ + "': column '" + column + "' " + what);
  };
  for (int i = 0; i < schema_->num_fields(); ++i) {
    const arrow::Field& expected = *schema_->field(i);
    if (i >= batch.num_columns()) return refuse(expected.name(), "is missing");
    const arrow::Field& given = *batch.schema()->field(i);
    if (given.name() != expected.name()) {
      return refuse(expected.name(), "is expected where '" + given.name() + "' was given");
    }
    if (!given.type()->Equals(*expected.type())) {
      return refuse(expected.name(), "is " + expected.type()->ToString() + ", and " +
                                         given.type()->ToString() + " was given");
    }
    const bool is_key =
        std::find(key_columns_.begin(), key_columns_.end(), i) != key_columns_.end();
    if (!expected.nullable() && batch.column(i)->null_count() > 0) {
      return refuse(expected.name(), is_key ? "is a key and holds a null" : "holds a null");
    }
  }
  if (batch.num_columns() > schema_->num_fields()) {
    return refuse(batch.schema()->field(schema_->num_fields())->name(), "is not in the table");
  }
  return FromArrow(batch.ValidateFull());
}

Status MemoryTable::KeysOf(const arrow::RecordBatch& batch, std::vector<Key>* keys) const {
  keys->assign(batch.num_rows(), Key(key_columns_.size()));
  for (size_t k = 0; k < key_columns_.size(); ++k) {
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      SABOT_ASSIGN_OR_RETURN(auto scalar, batch.column(key_columns_[k])->GetScalar(row));
      PartOf(*scalar, &(*keys)[row][k]);
    }
  }
  return Status::OK();
}

Status MemoryTable::Insert(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  for (const auto& batch : batches) {
    if (batch == nullptr) {
      return Status::InvalidArgument("table '" + name_ + "': the batch to insert is null");
    }
    SABOT_RETURN_NOT_OK(CheckBatch(*batch));
  }
  for (const auto& batch : batches) SABOT_RETURN_NOT_OK(InsertChecked(*batch));
  return Status::OK();
}

Status MemoryTable::InsertChecked(const arrow::RecordBatch& batch) {
  // The caller may reuse the memory behind its arrays.
  SABOT_ASSIGN_OR_RETURN(auto copy, batch.CopyTo(arrow::default_cpu_memory_manager()));
  copy = arrow::RecordBatch::Make(schema_, copy->num_rows(), copy->columns());
  if (key_columns_.empty()) {
    if (copy->num_rows() > 0) appended_.push_back(std::move(copy));
    return Status::OK();
  }
  std::vector<Key> keys;
  SABOT_RETURN_NOT_OK(KeysOf(*copy, &keys));
  for (int64_t row = 0; row < copy->num_rows(); ++row) {
    rows_.insert_or_assign(std::move(keys[row]), Row{copy, row});
  }
  return Status::OK();
}

Status MemoryTable::BoundOf(const KeyBound& bound, Key* key) const {
  if (bound.size() > key_columns_.size()) {
    return Status::InvalidArgument("table '" + name_ + "': a bound has " +
                                   std::to_string(bound.size()) + " values, and the key " +
                                   std::to_string(key_columns_.size()) + " columns");
  }
  for (size_t k = 0; k < bound.size(); ++k) {
    const arrow::Field& field = *schema_->field(key_columns_[k]);
    if (bound[k] == nullptr || !bound[k]->is_valid) {
      return Status::InvalidArgument("table '" + name_ + "': the bound of key column '" +
                                     field.name() + "' is null");
    }
    auto value = bound[k]->CastTo(field.type());
    if (!value.ok()) {
      return Status::InvalidArgument("table '" + name_ + "': the bound of key column '" +
                                     field.name() + "': " + value.status().message());
    }
    key->emplace_back();
    PartOf(**value, &key->back());
  }
  return Status::OK();
}

Status MemoryTable::EncodeRange(const KeyRange& range, Key* start, Key* end) const {
  if (key_columns_.empty()) {
    return Status::InvalidArgument("a range of keys needs a table with a primary key, and table '" +
                                   name_ + "' has none");
  }
  SABOT_RETURN_NOT_OK(BoundOf(range.start, start));
  return BoundOf(range.end, end);
}

Status MemoryTable::DeleteRange(const KeyRange& range) {
  Key start;
  Key end;
  SABOT_RETURN_NOT_OK(EncodeRange(range, &start, &end));
  if (!end.empty() && end <= start) return Status::OK();
  rows_.erase(rows_.lower_bound(start), end.empty() ? rows_.end() : rows_.lower_bound(end));
  return Status::OK();
}

Status MemoryTable::Read(const KeyRange& range,
                         std::shared_ptr<arrow::RecordBatchReader>* reader) const {
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  if (key_columns_.empty() && range.start.empty() && range.end.empty()) {
    batches = appended_;
  } else {
    Key start;
    Key end;
    SABOT_RETURN_NOT_OK(EncodeRange(range, &start, &end));
    std::vector<std::shared_ptr<arrow::RecordBatch>> rows;
    if (end.empty() || start < end) {
      const auto stop = end.empty() ? rows_.end() : rows_.lower_bound(end);
      for (auto row = rows_.lower_bound(start); row != stop; ++row) {
        rows.push_back(row->second.batch->Slice(row->second.index, 1));
      }
    }
    if (!rows.empty()) {
      SABOT_ASSIGN_OR_RETURN(auto batch, arrow::ConcatenateRecordBatches(rows));
      batches.push_back(std::move(batch));
    }
  }
  SABOT_ASSIGN_OR_RETURN(*reader, arrow::RecordBatchReader::Make(std::move(batches), schema_));
  return Status::OK();
}

}  // namespace sabot::storage

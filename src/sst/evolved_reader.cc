#include "sst/evolved_reader.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <arrow/array/util.h>
#include <arrow/scalar.h>

#include "row/batch_ops.h"
#include "row/widening.h"
#include "sst/zone_map.h"

namespace marble {
namespace {

using arrow::Result;
using arrow::Status;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

/// Minimum, maximum and number of nulls.
constexpr int kZoneColumns = 3;

/// What a row takes as a block of its own, about.
constexpr int64_t kRowBlockBytes = 1024;

/// Where a column of the table comes from.
struct ColumnOrigin {
  /// Of the file; -1 if it has no such column.
  int column = -1;
  /// The file has it in another type.
  bool cast = false;
};

class EvolvedReader final : public SstReader {
 public:
  EvolvedReader(std::shared_ptr<SstReader> reader, std::shared_ptr<const StoredSchema> schema,
                std::vector<ColumnOrigin> origins, arrow::MemoryPool* pool)
      : reader_(std::move(reader)),
        schema_(std::move(schema)),
        origins_(std::move(origins)),
        pool_(pool) {}

  const FileMeta& meta() const override { return reader_->meta(); }
  int64_t num_blocks() const override { return reader_->num_blocks(); }
  int64_t BlockFirstRow(int64_t block) const override { return reader_->BlockFirstRow(block); }
  Result<std::string_view> BlockFirstKey(int64_t block) const override {
    return reader_->BlockFirstKey(block);
  }
  Result<std::string_view> BlockLastKey(int64_t block) const override {
    return reader_->BlockLastKey(block);
  }
  Result<int64_t> FindBlock(std::string_view key) const override { return reader_->FindBlock(key); }
  bool HasOnePutAKey() const override { return reader_->HasOnePutAKey(); }

  Result<RowBatch> ReadBlock(int64_t block, const std::vector<int>& columns,
                             bool want_keys) override {
    ARROW_ASSIGN_OR_RAISE(RowBatch rows,
                          reader_->ReadBlock(block, FileColumns(columns), want_keys));
    ARROW_ASSIGN_OR_RAISE(rows.columns, Evolve(*rows.columns, columns));
    return rows;
  }
  bool IsReady(int64_t block, const std::vector<int>& columns, bool want_keys) const override {
    const auto is_cast = [this](int column) { return Origin(column).cast; };
    return std::none_of(columns.begin(), columns.end(), is_cast) &&
           reader_->IsReady(block, FileColumns(columns), want_keys);
  }
  void ReadAhead(int64_t block, BlockWalk* walk) override { reader_->ReadAhead(block, walk); }
  ScarceMemory* memory() override { return reader_->memory(); }
  void WillRead(std::string_view mapped) override { reader_->WillRead(mapped); }
  void Prefetch(uint64_t hash) override { reader_->Prefetch(hash); }

  Status FindValue(const PointQuery&, FoundValue*) override { return NoKeyValueTable(); }
  Result<std::optional<FoundRow>> GetRow(std::string_view key, uint64_t hash,
                                         uint64_t snapshot) override;
  Status ReadKvBlock(int64_t, KvColumns*, std::shared_ptr<const void>*) override {
    return NoKeyValueTable();
  }
  void PrefetchKvBlock(int64_t) const override {}
  Status DamagedBlock(int64_t block, const Status& status) const override {
    return reader_->DamagedBlock(block, status);
  }

  const RangeTombstoneSet& range_tombstones() const override { return reader_->range_tombstones(); }
  Result<BatchPtr> ReadZoneMaps() override;
  Status Verify() override { return reader_->Verify(); }

 private:
  static Status NoKeyValueTable() {
    return Status::Invalid("a file of an older schema is of no key-value table");
  }
  const ColumnOrigin& Origin(int column) const { return origins_[static_cast<size_t>(column)]; }
  /// Those of the file that are needed for `columns`, in their order.
  std::vector<int> FileColumns(const std::vector<int>& columns) const {
    std::vector<int> found;
    for (const int column : columns) {
      if (Origin(column).column >= 0) found.push_back(Origin(column).column);
    }
    return found;
  }
  /// `batch` has FileColumns(columns).
  Result<BatchPtr> Evolve(const arrow::RecordBatch& batch, const std::vector<int>& columns) const;
  Result<ArrayPtr> DefaultColumn(int column, int64_t length) const;
  std::vector<int> AllColumns() const;

  const std::shared_ptr<SstReader> reader_;
  const std::shared_ptr<const StoredSchema> schema_;
  const std::vector<ColumnOrigin> origins_;  // by column of the table
  arrow::MemoryPool* const pool_;
};

std::vector<int> EvolvedReader::AllColumns() const {
  std::vector<int> columns(origins_.size());
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<int>(i);
  return columns;
}

Result<ArrayPtr> EvolvedReader::DefaultColumn(int column, int64_t length) const {
  const auto& field = schema_->stored_schema()->field(column);
  const arrow::DataType& type = *field->type();
  const ArrayPtr one_value = schema_->DefaultOf(column);
  if (one_value == nullptr) return arrow::MakeArrayOfNull(field->type(), length, pool_);
  // Arrow does not look at the offsets of what it fills.
  if (!arrow::is_fixed_width(type) && !arrow::is_large_binary_like(type.id())) {
    const auto one = arrow::RecordBatch::Make(arrow::schema({field}), 1, {one_value});
    const int64_t bytes = BatchBytes(*one);
    if (bytes > std::numeric_limits<int32_t>::max() / std::max<int64_t>(length, 1)) {
      return Status::CapacityError("column '", field->name(), "': ", length,
                                   " rows of a block would have ", bytes,
                                   " bytes each by default, more than 2 GiB: widen it to a large_ "
                                   "type");
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto value, one_value->GetScalar(0));
  return arrow::MakeArrayFromScalar(*value, length, pool_);
}

Result<BatchPtr> EvolvedReader::Evolve(const arrow::RecordBatch& batch,
                                       const std::vector<int>& columns) const {
  arrow::ArrayVector arrays;
  arrow::FieldVector fields;
  arrays.reserve(columns.size());
  fields.reserve(columns.size());
  int next = 0;  // column of the batch
  for (const int column : columns) {
    const std::shared_ptr<arrow::Field>& field =
        fields.emplace_back(schema_->stored_schema()->field(column));
    const ColumnOrigin& origin = Origin(column);
    if (origin.column < 0) {
      ARROW_ASSIGN_OR_RAISE(arrays.emplace_back(), DefaultColumn(column, batch.num_rows()));
      continue;
    }
    ArrayPtr array = batch.column(next++);
    if (origin.cast) {
      ARROW_ASSIGN_OR_RAISE(array, Widened(array, field->type(), pool_));
    }
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(
      arrow::schema(std::move(fields), schema_->stored_schema()->metadata()), batch.num_rows(),
      std::move(arrays));
}

Result<std::optional<FoundRow>> EvolvedReader::GetRow(std::string_view key, uint64_t hash,
                                                      uint64_t snapshot) {
  ARROW_ASSIGN_OR_RAISE(std::optional<FoundRow> found, reader_->GetRow(key, hash, snapshot));
  if (!found.has_value()) return found;
  // Of the row alone: a block may have many thousands.
  auto block = std::make_shared<Block>();
  block->rows = found->block->rows.Slice(found->row, 1);
  // Columns that are not cast keep the whole block.
  block->memory = found->block->memory + kRowBlockBytes;
  const std::vector<int> columns = AllColumns();
  const auto row = block->rows.columns->SelectColumns(FileColumns(columns));
  ARROW_RETURN_NOT_OK(row.status());
  ARROW_ASSIGN_OR_RAISE(block->rows.columns, Evolve(**row, columns));
  found->block = std::move(block);
  found->row = 0;
  return found;
}

Result<BatchPtr> EvolvedReader::ReadZoneMaps() {
  ARROW_ASSIGN_OR_RAISE(const BatchPtr zones, reader_->ReadZoneMaps());
  const auto wanted = ZoneMapSchema(*schema_->stored_schema());
  arrow::ArrayVector arrays;
  for (int i = 0; i < wanted->num_fields(); ++i) {
    const int column = i / kZoneColumns;
    const ColumnOrigin& origin = Origin(column);
    const std::shared_ptr<arrow::DataType>& type = wanted->field(i)->type();
    ArrayPtr array;
    const int of_file = kZoneColumns * origin.column + i % kZoneColumns;
    if (origin.column >= 0 && of_file < zones->num_columns()) {
      array = zones->column(of_file);
      // Widening keeps the order. What has no bounds, or is bounded by another type, tells nothing.
      if (origin.cast && IsWidening(*array->type(), *type)) {
        ARROW_ASSIGN_OR_RAISE(array, Widened(array, type, pool_));
      }
    }
    if (array == nullptr || !array->type()->Equals(*type)) {
      ARROW_ASSIGN_OR_RAISE(array, arrow::MakeArrayOfNull(type, zones->num_rows(), pool_));
    }
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(wanted, zones->num_rows(), std::move(arrays));
}

}  // namespace

Status CheckEvolution(const StoredSchema& file_schema, const StoredSchema& table_schema) {
  for (int column = 0; column < table_schema.stored_schema()->num_fields(); ++column) {
    const int of_file = file_schema.FindColumnId(table_schema.column_id(column));
    if (of_file < 0) continue;
    const arrow::Field& field = *table_schema.stored_schema()->field(column);
    const arrow::Field& older = *file_schema.stored_schema()->field(of_file);
    if (older.type()->Equals(*field.type()) || IsWidening(*older.type(), *field.type())) continue;
    return Status::Invalid("column '", field.name(), "' was ", older.type()->ToString(),
                           " and cannot become ", field.type()->ToString());
  }
  return Status::OK();
}

Result<std::shared_ptr<SstReader>> NewEvolvedReader(
    std::shared_ptr<SstReader> reader, const StoredSchema& file_schema,
    std::shared_ptr<const StoredSchema> table_schema, arrow::MemoryPool* pool) {
  ARROW_RETURN_NOT_OK(CheckEvolution(file_schema, *table_schema));
  std::vector<ColumnOrigin> origins(
      static_cast<size_t>(table_schema->stored_schema()->num_fields()));
  for (size_t i = 0; i < origins.size(); ++i) {
    const int column = static_cast<int>(i);
    const int of_file = file_schema.FindColumnId(table_schema->column_id(column));
    if (of_file < 0) continue;
    const arrow::Field& field = *table_schema->stored_schema()->field(column);
    const arrow::Field& older = *file_schema.stored_schema()->field(of_file);
    origins[i] = {of_file, !older.type()->Equals(*field.type())};
  }
  return std::make_shared<EvolvedReader>(std::move(reader), std::move(table_schema),
                                         std::move(origins), pool);
}

}  // namespace marble

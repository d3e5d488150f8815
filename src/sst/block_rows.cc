#include "sst/block_rows.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <arrow/array/array_primitive.h>

#include <marble/error.h>

namespace marble {

namespace {

using arrow::Result;
using arrow::Status;

// Keys of a block whose key arrays are given (in key order), or its row ids.
Result<EncodedKeys> KeysOf(const SstFile& file, int64_t block, int64_t rows,
                           const arrow::ArrayVector& key_arrays) {
  if (file.schema().is_append()) {
    const auto before = static_cast<uint64_t>(file.blocks().FirstRow(block));
    return EncodeRowIds(file.meta().first_row_id + before, rows, file.options().pool);
  }
  Result<EncodedKeys> keys = file.schema().codec()->EncodeArrays(key_arrays, file.options().pool);
  if (!keys.ok()) return file.Damage(keys.status(), file.blocks().Entry(block).message_offset);
  return keys;
}

// The array of a column of the file in a batch that holds the columns `held`, which ascend.
std::shared_ptr<arrow::Array> ColumnOf(const arrow::RecordBatch& batch,
                                       const std::vector<int>& held, int column) {
  const auto at = std::lower_bound(held.begin(), held.end(), column);
  return batch.column(static_cast<int>(at - held.begin()));
}

// A decoded block's rows with the stored columns `columns` and what the hidden ones say; `decoded`
// holds the file's columns `held`, and may be null if there are none.
Result<RowBatch> RowsOf(const SstFile& file, int64_t block, const std::vector<int>& columns,
                        const std::vector<int>& held,
                        const std::shared_ptr<arrow::RecordBatch>& decoded) {
  const BlockEntry entry = file.blocks().Entry(block);
  RowBatch rows;
  arrow::ArrayVector arrays;
  arrays.reserve(columns.size());
  for (const int i : columns) arrays.push_back(ColumnOf(*decoded, held, i));
  rows.columns =
      arrow::RecordBatch::Make(StoredColumns(file, columns), entry.rows, std::move(arrays));
  if (file.sequence_column() >= 0) {
    const auto sequences = ColumnOf(*decoded, held, file.sequence_column());
    rows.sequences = static_cast<const arrow::UInt64Array&>(*sequences).raw_values();
  } else {
    rows.sequence = *file.meta().constant_sequence;
  }
  if (file.kind_column() >= 0 && entry.has_kinds) {
    const auto kinds = ColumnOf(*decoded, held, file.kind_column());
    rows.kinds = static_cast<const arrow::UInt8Array&>(*kinds).raw_values();
    ARROW_RETURN_NOT_OK(CheckKinds(file, rows.kinds, entry.rows));
  }
  rows.unique_keys = entry.unique_keys;
  rows.sequence_max = rows.sequences == nullptr ? rows.sequence : entry.sequence_max;
  rows.owner = decoded;
  return rows;
}

}  // namespace

std::shared_ptr<arrow::Schema> StoredColumns(const SstFile& file, const std::vector<int>& columns) {
  const auto& stored = file.schema().stored_schema();
  arrow::FieldVector fields;
  fields.reserve(columns.size());
  bool is_whole = static_cast<int>(columns.size()) == stored->num_fields();
  for (size_t i = 0; i < columns.size(); ++i) {
    is_whole = is_whole && columns[i] == static_cast<int>(i);
    fields.push_back(stored->field(columns[i]));
  }
  return is_whole ? stored : arrow::schema(std::move(fields));
}

std::vector<int> FileColumns(const SstFile& file, int64_t block, const std::vector<int>& columns,
                             bool want_keys) {
  std::vector<int> all = columns;
  if (want_keys && !file.schema().is_append()) {
    const std::vector<int>& keys = file.schema().codec()->columns();
    all.insert(all.end(), keys.begin(), keys.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (file.sequence_column() >= 0) all.push_back(file.sequence_column());
  if (file.kind_column() >= 0 && file.blocks().Entry(block).has_kinds)
    all.push_back(file.kind_column());
  return all;
}

std::shared_ptr<arrow::RecordBatch> KeyColumns(const SstFile& file, const RowBatch& rows) {
  const std::vector<int>& columns = file.schema().codec()->columns();
  arrow::ArrayVector arrays;
  for (const int column : columns) arrays.push_back(rows.columns->column(column));
  return arrow::RecordBatch::Make(StoredColumns(file, columns), rows.num_rows(), std::move(arrays));
}

std::vector<int> AllColumns(const SstFile& file) {
  std::vector<int> columns(file.schema().stored_schema()->num_fields());
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

Status CheckKinds(const SstFile& file, const uint8_t* kinds, int64_t rows) {
  uint8_t highest = 0;
  for (int64_t i = 0; i < rows; ++i) highest = std::max(highest, kinds[i]);
  if (highest <= static_cast<uint8_t>(RowKind::kDelete)) return Status::OK();
  return IncompatibleFormatError(file.path(), "it has rows of kind " + std::to_string(highest) +
                                                  ", which this version does not know");
}

Result<RowBatch> DecodeRows(const SstFile& file, int64_t block, const std::vector<int>& columns,
                            bool want_keys, int64_t* memory) {
  const std::vector<int> file_columns = FileColumns(file, block, columns, want_keys);
  *memory = 0;
  std::shared_ptr<arrow::RecordBatch> decoded;
  if (!file_columns.empty()) {
    ARROW_ASSIGN_OR_RAISE(decoded, file.DecodeBlock(block, file_columns, memory));
    if (file.zero_copy()) {
      ARROW_RETURN_NOT_OK(file.CheckColumns(block, file_columns, decoded->columns()));
    }
  }
  ARROW_ASSIGN_OR_RAISE(RowBatch rows, RowsOf(file, block, columns, file_columns, decoded));
  if (!want_keys) return rows;
  arrow::ArrayVector key_arrays;
  if (!file.schema().is_append()) {
    for (const int i : file.schema().codec()->columns()) {
      key_arrays.push_back(ColumnOf(*decoded, file_columns, i));
    }
  }
  ARROW_ASSIGN_OR_RAISE(rows.keys, KeysOf(file, block, rows.num_rows(), key_arrays));
  return rows;
}

Result<RowBatch> MapRows(const SstFile& file, int64_t block) {
  const std::vector<int> columns = AllColumns(file);
  const std::vector<int> file_columns = FileColumns(file, block, columns, /*want_keys=*/false);
  int64_t memory = 0;
  ARROW_ASSIGN_OR_RAISE(const auto decoded, file.DecodeBlock(block, file_columns, &memory));
  const std::span<const std::shared_ptr<arrow::Array>> arrays = decoded->columns();
  ARROW_RETURN_NOT_OK(file.CheckColumns(block, std::span(file_columns).subspan(columns.size()),
                                        arrays.subspan(columns.size())));
  ARROW_ASSIGN_OR_RAISE(RowBatch rows, RowsOf(file, block, columns, file_columns, decoded));
  const KeyCodec* codec = file.schema().codec();
  if (codec != nullptr && codec->is_single_binary()) {
    ARROW_RETURN_NOT_OK(CheckRows(file, block, rows, codec->columns()));
    ARROW_ASSIGN_OR_RAISE(
        rows.keys, KeysOf(file, block, rows.num_rows(), {decoded->column(codec->columns()[0])}));
  }
  return rows;
}

Status CheckRows(const SstFile& file, int64_t block, const RowBatch& rows,
                 std::span<const int> columns) {
  if (file.IsChecked(block, columns)) return Status::OK();
  arrow::ArrayVector arrays;
  for (const int column : columns) arrays.push_back(rows.columns->column(column));
  return file.CheckColumns(block, columns, arrays);
}

Result<RowBatch> SelectRows(const SstFile& file, int64_t block, const RowBatch& all,
                            const std::vector<int>& columns, bool want_keys) {
  RowBatch rows = all;
  arrow::ArrayVector arrays;
  arrays.reserve(columns.size());
  for (const int i : columns) arrays.push_back(all.columns->column(i));
  rows.columns =
      arrow::RecordBatch::Make(StoredColumns(file, columns), all.num_rows(), std::move(arrays));
  if (want_keys && rows.keys.size() == 0) {
    arrow::ArrayVector key_arrays;
    if (!file.schema().is_append()) {
      for (const int i : file.schema().codec()->columns()) {
        key_arrays.push_back(all.columns->column(i));
      }
    }
    ARROW_ASSIGN_OR_RAISE(rows.keys, KeysOf(file, block, rows.num_rows(), key_arrays));
  }
  return rows;
}

}  // namespace marble

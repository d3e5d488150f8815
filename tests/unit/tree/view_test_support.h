// Views of real memtables and real files under construction, for tests of what reads them.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "io/memory_file_system.h"
#include "sst/sst_writer.h"
#include "tree/table_view.h"
#include "unit/tree/merge_test_support.h"

namespace marble::view_test {

using merge_test::NaiveRead;
using merge_test::Row;
using Tombstones = std::vector<RangeTombstone>;

inline constexpr uint64_t kSeed = 99;

template <typename T>
T Get(arrow::Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().ToString();
    std::abort();
  }
  return result.MoveValueUnsafe();
}

inline void Ok(const arrow::Status& status) { ASSERT_TRUE(status.ok()) << status.ToString(); }

enum class Shape { kKeyValue, kTable, kAppend };

/// A view under construction; sources are added oldest first. Rows' keys are encoded keys; row
/// values are kept as text in key-value tables and as integers in others.
class TestView {
 public:
  explicit TestView(Shape shape, int64_t block_rows_max = 7, bool use_mappings = true)
      : shape_(shape), use_mappings_(use_mappings) {
    TableOptions options;
    options.block_rows_max = block_rows_max;
    if (shape != Shape::kAppend) options.primary_key = {"key"};
    const auto key_type = shape == Shape::kKeyValue ? arrow::binary() : arrow::int64();
    const auto value_type = shape == Shape::kKeyValue ? arrow::binary() : arrow::int64();
    schema = Get(StoredSchema::Make(arrow::schema({arrow::field("key", key_type, false),
                                                   arrow::field("value", value_type, false)}),
                                    options));
    view_->schema = schema;
    view_->hash_seed = kSeed;
    view_->pool = arrow::default_memory_pool();
    Ok(fs_->CreateDirectory("/sst"));
  }

  /// The encoded key of number `n`.
  std::string Key(int64_t n) const {
    if (shape_ == Shape::kKeyValue) {
      const std::string digits = std::to_string(n);
      return "key" + std::string(6 - digits.size(), '0') + digits;
    }
    if (shape_ == Shape::kAppend) return EncodeRowId(static_cast<uint64_t>(n));
    arrow::Int64Builder builder;
    EXPECT_TRUE(builder.Append(n).ok());
    return std::string(Get(schema->codec()->EncodeArrays({Get(builder.Finish())}))[0]);
  }

  std::shared_ptr<arrow::RecordBatch> Columns(const std::vector<Row>& rows) const {
    arrow::BinaryBuilder bytes;
    arrow::BinaryBuilder texts;
    arrow::Int64Builder numbers;
    arrow::Int64Builder values;
    for (const Row& row : rows) {
      EXPECT_TRUE(bytes.Append(row.key).ok());
      EXPECT_TRUE(texts.Append(std::to_string(row.value)).ok());
      const uint64_t id = DecodeRowId(row.key.size() == 8 ? row.key : std::string(8, '\0'));
      const bool is_signed = shape_ == Shape::kTable;
      EXPECT_TRUE(numbers.Append(static_cast<int64_t>(is_signed ? id ^ (1ull << 63) : id)).ok());
      EXPECT_TRUE(values.Append(row.value).ok());
    }
    arrow::ArrayVector columns;
    if (shape_ == Shape::kKeyValue) {
      columns = {Get(bytes.Finish()), Get(texts.Finish())};
    } else {
      columns = {Get(numbers.Finish()), Get(values.Finish())};
    }
    return arrow::RecordBatch::Make(schema->stored_schema(), static_cast<int64_t>(rows.size()),
                                    columns);
  }

  /// `rows` in the order of their sequences. Each is an insert of its own.
  std::shared_ptr<Memtable> AddMemtable(const std::vector<Row>& rows,
                                        const Tombstones& tombstones) {
    auto memtable = Memtable::Make(schema, kSeed, arrow::default_memory_pool());
    std::multimap<uint64_t, std::function<arrow::Status()>> writes;
    for (const Row& row : rows) {
      writes.emplace(row.sequence, [this, &row, memtable] { return Write(memtable.get(), row); });
    }
    for (const RangeTombstone& t : tombstones) {
      writes.emplace(t.sequence, [&t, memtable] { return memtable->DeleteRange(t); });
    }
    for (const auto& [sequence, write] : writes) Ok(write());
    view_->sources.insert(view_->sources.begin(), Source{memtable, nullptr});
    return memtable;
  }

  /// A run of files that begin at the keys `cuts` (ascending, the first file before them).
  std::shared_ptr<const Run> AddRun(std::vector<Row> rows, const Tombstones& tombstones,
                                    std::vector<std::string> cuts = {}) {
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
      return a.key != b.key ? a.key < b.key : a.sequence > b.sequence;
    });
    const RangeTombstoneSet set(tombstones);
    std::vector<std::shared_ptr<const TableFile>> files;
    std::string lower;
    for (size_t f = 0; f <= cuts.size(); ++f) {
      EncodedRange range{lower, std::nullopt};
      if (f < cuts.size()) range.upper = lower = cuts[f];
      std::vector<Row> part;
      std::copy_if(rows.begin(), rows.end(), std::back_inserter(part),
                   [&](const Row& row) { return range.Contains(row.key); });
      const Tombstones clipped = set.Clip(range.lower, range.upper);
      if (!part.empty() || !clipped.empty()) files.push_back(WriteFile(part, clipped));
    }
    const auto run = std::make_shared<const Run>(std::move(files));
    view_->sources.insert(view_->sources.begin(), Source{nullptr, run});
    return run;
  }

  std::shared_ptr<const TableView> view() const { return view_; }

  int64_t ValueOf(const arrow::Array& values, int64_t row) const {
    if (shape_ != Shape::kKeyValue) return static_cast<const arrow::Int64Array&>(values).Value(row);
    return std::stoll(std::string(static_cast<const arrow::BinaryArray&>(values).GetView(row)));
  }

  /// Values of all rows of a range read.
  std::vector<int64_t> Read(const ReadRequest& request, int64_t rows_max = 1000,
                            int64_t rows_first = 0) const {
    auto reader = Get(ReadRange(view_, request, rows_max, rows_first));
    std::vector<int64_t> values;
    while (auto batch = Get(reader->Next())) {
      EXPECT_LE(batch->num_rows(), rows_max);
      EXPECT_TRUE(batch->columns->ValidateFull().ok());
      const auto& column = *batch->columns->GetColumnByName("value");
      for (int64_t i = 0; i < batch->num_rows(); ++i) values.push_back(ValueOf(column, i));
    }
    return values;
  }

  std::shared_ptr<MemoryFileSystem> fs() const { return fs_; }
  std::shared_ptr<const StoredSchema> schema;

 private:
  arrow::Status Write(Memtable* memtable, const Row& row) const {
    const uint64_t hash = HashKey(row.key, kSeed);
    if (shape_ == Shape::kKeyValue) {
      return row.is_delete ? memtable->Delete(row.sequence, row.key, hash)
                           : memtable->Put(row.sequence, row.key, hash, std::to_string(row.value));
    }
    SortedRows sorted;
    sorted.columns = Columns({row});
    uint64_t row_id = 0;
    if (shape_ == Shape::kAppend) {
      row_id = DecodeRowId(row.key);
    } else {
      ARROW_ASSIGN_OR_RAISE(sorted.keys, schema->codec()->Encode(*sorted.columns));
    }
    return memtable->InsertRows(row.sequence, sorted,
                                row.is_delete ? RowKind::kDelete : RowKind::kPut, row_id);
  }

  std::shared_ptr<const TableFile> WriteFile(const std::vector<Row>& rows,
                                             const Tombstones& tombstones) {
    const uint64_t number = ++files_;
    SstWriterOptions options;
    options.schema = schema;
    options.path = "/sst/" + std::to_string(number);
    options.number = number;
    options.hash_seed = kSeed;
    options.with_kinds =
        std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.is_delete; });
    if (shape_ == Shape::kAppend) options.first_row_id = DecodeRowId(rows[0].key);
    auto writer = Get(SstWriter::Create(fs_.get(), options));
    if (!rows.empty()) {
      RowBatch batch = merge_test::MakeBatch(rows);
      batch.columns = Columns(rows);
      if (shape_ == Shape::kAppend) batch.keys = EncodedKeys();
      Ok(writer->Add(batch));
    }
    for (const RangeTombstone& t : tombstones) writer->AddRangeTombstone(t);
    SstReaderOptions read;
    read.fs = fs_.get();
    read.path = options.path;
    read.hash_seed = kSeed;
    read.schema = schema;
    read.cache = cache_;
    read.use_mappings = use_mappings_;
    read.pool = arrow::default_memory_pool();
    return std::make_shared<const TableFile>(Get(writer->Finish()), read);
  }

  const Shape shape_;
  const bool use_mappings_;
  const std::shared_ptr<MemoryFileSystem> fs_ = std::make_shared<MemoryFileSystem>();
  const std::shared_ptr<BlockCache> cache_ = std::make_shared<BlockCache>(64 << 20);
  const std::shared_ptr<TableView> view_ = std::make_shared<TableView>();
  uint64_t files_ = 0;
};

inline constexpr int64_t kKeys = 60;

/// A view of random sources, and all that was written to it.
struct RandomView {
  TestView table;
  std::vector<Row> rows;
  Tombstones tombstones;
  uint64_t sequence = 0;

  RandomView(Shape shape, std::mt19937* random)
      : table(shape, 1 + static_cast<int64_t>((*random)() % 20), (*random)() % 2 == 0) {
    const auto pick = [&](uint64_t n) { return (*random)() % n; };
    const auto key = [&] { return table.Key(static_cast<int64_t>(pick(kKeys))); };
    const size_t sources = 1 + pick(6);
    const bool with_tombstones = pick(2) == 0;
    const bool with_deletes = pick(3) != 0;
    for (size_t s = 0; s < sources; ++s) {
      std::vector<Row> part;
      Tombstones deleted;
      for (size_t n = 1 + pick(80); n > 0; --n) {
        ++sequence;
        if (with_tombstones && pick(15) == 0) {
          RangeTombstone t{key(), std::nullopt, sequence};
          if (pick(6) != 0) t.end = key();
          deleted.push_back(std::move(t));
        } else {
          part.push_back(
              {key(), sequence, with_deletes && pick(5) == 0, static_cast<int64_t>(sequence)});
        }
      }
      rows.insert(rows.end(), part.begin(), part.end());
      tombstones.insert(tombstones.end(), deleted.begin(), deleted.end());
      if (pick(2) == 0) {
        table.AddMemtable(part, deleted);
        continue;
      }
      std::vector<std::string> cuts;
      for (size_t n = pick(4); n > 0; --n) cuts.push_back(key());
      std::sort(cuts.begin(), cuts.end());
      cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
      table.AddRun(part, deleted, cuts);
    }
  }

  std::optional<Row> Expected(const std::string& key, uint64_t snapshot) const {
    for (const Row& row : NaiveRead(rows, tombstones, snapshot)) {
      if (row.key == key) return row;
    }
    return std::nullopt;
  }
};

}  // namespace marble::view_test

// Lookups and range reads over views of real memtables and real files, against a naive model; and
// what may not be copied, opened or forgotten.
#include "tree/table_view.h"

#include <algorithm>
#include <functional>
#include <map>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "io/memory_file_system.h"
#include "sst/sst_writer.h"
#include "unit/tree/merge_test_support.h"

namespace marble {
namespace {

using merge_test::NaiveRead;
using merge_test::Row;
using Tombstones = std::vector<RangeTombstone>;

constexpr uint64_t kSeed = 99;

template <typename T>
T Get(arrow::Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().ToString();
    std::abort();
  }
  return result.MoveValueUnsafe();
}

void Ok(const arrow::Status& status) { ASSERT_TRUE(status.ok()) << status.ToString(); }

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
    auto run = std::make_shared<Run>();
    std::string lower;
    for (size_t f = 0; f <= cuts.size(); ++f) {
      EncodedRange range{lower, std::nullopt};
      if (f < cuts.size()) range.upper = lower = cuts[f];
      std::vector<Row> part;
      std::copy_if(rows.begin(), rows.end(), std::back_inserter(part),
                   [&](const Row& row) { return range.Contains(row.key); });
      const Tombstones clipped = set.Clip(range.lower, range.upper);
      if (!part.empty() || !clipped.empty()) run->files.push_back(WriteFile(part, clipped));
    }
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

ReadRequest Request() {
  ReadRequest request;
  request.columns = {0, 1};
  return request;
}

std::vector<int64_t> ValuesIn(const std::vector<Row>& rows, const ReadRequest& request) {
  std::vector<int64_t> values;
  for (const Row& row : rows) {
    if (request.range.Contains(row.key)) values.push_back(row.value);
  }
  if (request.direction == Direction::kReverse) std::reverse(values.begin(), values.end());
  return values;
}

constexpr int64_t kKeys = 60;

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

/// FindValue with its answer as a value.
arrow::Result<std::optional<FoundValue>> Find(const TableView& view, const std::string& key,
                                              const ValueLookupOptions& options) {
  FoundValue found;
  ARROW_RETURN_NOT_OK(FindValue(view, key, options, &found));
  return found.found ? std::optional<FoundValue>(std::move(found)) : std::nullopt;
}

TEST(FindValue, AgreesWithTheModelAtEverySnapshotAloneAndTogether) {
  std::mt19937 random(21);
  for (int round = 0; round < 100; ++round) {
    const RandomView data(Shape::kKeyValue, &random);
    const TableView& view = *data.table.view();
    for (int s = 0; s < 4; ++s) {
      const uint64_t snapshot = s == 0 ? kSequenceMax : random() % (data.sequence + 1);
      std::vector<std::string> keys;
      for (int64_t n = 0; n < 3 * kKeys; ++n) keys.push_back(data.table.Key(n));
      std::vector<FoundValue> together(keys.size());
      const std::vector<std::string_view> views(keys.begin(), keys.end());
      Ok(FindValues(view, views, snapshot, together));
      const auto newest = NaiveRead(data.rows, data.tombstones, snapshot);
      for (size_t i = 0; i < keys.size(); ++i) {
        const auto row = std::find_if(newest.begin(), newest.end(),
                                      [&](const Row& r) { return r.key == keys[i]; });
        const auto found = Get(Find(view, keys[i], {.snapshot = snapshot, .pin = i % 2 == 0}));
        ASSERT_EQ(found.has_value(), row != newest.end()) << keys[i] << " at " << snapshot;
        ASSERT_EQ(together[i].found, row != newest.end());
        if (!found.has_value()) continue;
        ASSERT_EQ(found->value, std::to_string(row->value));
        ASSERT_EQ(found->sequence, row->sequence);
        ASSERT_EQ(together[i].value, std::to_string(row->value));
        if (i % 2 == 0) ASSERT_NE(found->owner, nullptr);
      }
    }
  }
}

TEST(FindRow, AgreesWithTheModelAtEverySnapshot) {
  std::mt19937 random(22);
  for (int round = 0; round < 100; ++round) {
    const RandomView data(round % 2 == 0 ? Shape::kTable : Shape::kKeyValue, &random);
    for (int s = 0; s < 4; ++s) {
      const uint64_t snapshot = s == 0 ? kSequenceMax : random() % (data.sequence + 1);
      for (int64_t n = 0; n < kKeys; ++n) {
        const std::string key = data.table.Key(n);
        const std::optional<Row> expected = data.Expected(key, snapshot);
        const auto found = Get(FindRow(*data.table.view(), key, snapshot));
        ASSERT_EQ(found.has_value(), expected.has_value()) << n << " at " << snapshot;
        if (!found.has_value()) continue;
        const auto& values = *found->block->rows.columns->GetColumnByName("value");
        ASSERT_EQ(data.table.ValueOf(values, found->row), expected->value);
        ASSERT_EQ(found->sequence, expected->sequence);
      }
    }
  }
}

TEST(ReadRange, AgreesWithTheModelInRangesSnapshotsAndDirections) {
  std::mt19937 random(23);
  for (int round = 0; round < 300; ++round) {
    const RandomView data(round % 2 == 0 ? Shape::kTable : Shape::kKeyValue, &random);
    for (int s = 0; s < 8; ++s) {
      ReadRequest request = Request();
      if (random() % 2 == 0) request.columns = {1};
      request.want_keys = random() % 2 == 0;
      request.snapshot = s == 0 ? kSequenceMax : random() % (data.sequence + 1);
      request.direction = random() % 2 == 0 ? Direction::kForward : Direction::kReverse;
      request.batch_rows = 1 + static_cast<int64_t>(random() % 20);
      if (random() % 2 == 0) request.range.lower = data.table.Key(random() % kKeys);
      if (random() % 2 == 0) request.range.upper = data.table.Key(random() % kKeys);
      const auto expected =
          ValuesIn(NaiveRead(data.rows, data.tombstones, request.snapshot), request);
      const int64_t rows_max = 1 + static_cast<int64_t>(random() % 50);
      ASSERT_EQ(data.table.Read(request, rows_max, random() % 3), expected) << "round " << round;
    }
  }
}

TEST(ReadRange, AppendTablesComeInTheOrderOfInsertion) {
  std::mt19937 random(24);
  for (int round = 0; round < 100; ++round) {
    TestView table(Shape::kAppend, 1 + static_cast<int64_t>(random() % 20));
    std::vector<Row> rows;
    uint64_t id = 0;
    uint64_t sequence = 0;
    for (size_t s = 1 + random() % 4; s > 0; --s) {
      std::vector<Row> part;
      for (size_t n = 1 + random() % 60; n > 0; --n) {
        part.push_back({EncodeRowId(id), ++sequence, false, static_cast<int64_t>(id)});
        ++id;
      }
      rows.insert(rows.end(), part.begin(), part.end());
      if (random() % 2 == 0) {
        table.AddMemtable(part, {});
      } else {
        table.AddRun(part, {}, {part[part.size() / 2].key});
      }
    }
    for (int s = 0; s < 6; ++s) {
      ReadRequest request = Request();
      request.want_keys = random() % 2 == 0;
      request.snapshot = s == 0 ? kSequenceMax : random() % (sequence + 1);
      request.direction = random() % 2 == 0 ? Direction::kForward : Direction::kReverse;
      if (random() % 2 == 0) request.range.lower = EncodeRowId(random() % (id + 1));
      if (random() % 2 == 0) request.range.upper = EncodeRowId(random() % (id + 1));
      ASSERT_EQ(table.Read(request, 1 + random() % 50),
                ValuesIn(NaiveRead(rows, {}, request.snapshot), request));
    }
  }
}

/// Puts of the keys [begin, end), each one's value its number.
std::vector<Row> Puts(const TestView& table, int64_t begin, int64_t end, uint64_t sequence) {
  std::vector<Row> rows;
  for (int64_t n = begin; n < end; ++n) rows.push_back({table.Key(n), sequence, false, n});
  return rows;
}

TEST(ReadRange, ALoneRunPassesThroughFromTheMappingToTheReader) {
  TestView table(Shape::kTable, 1000);
  const auto run = table.AddRun(Puts(table, 0, 5000, 3), {}, {table.Key(2500)});
  ReadRequest request = Request();
  request.want_keys = false;
  request.range = {table.Key(100), table.Key(4900)};
  auto reader = Get(ReadRange(table.view(), request, 128 * 1024, 0));
  int64_t row = 100;
  while (auto batch = Get(reader->Next())) {
    const TableFile& file = *run->files[row < 2500 ? 0 : 1];
    const int64_t in_file = row < 2500 ? row : row - 2500;
    const auto block = Get(Get(file.reader())->ReadBlock(in_file / 1000, {0, 1}, false));
    EXPECT_EQ(static_cast<const arrow::Int64Array&>(*batch->columns->column(1)).raw_values(),
              static_cast<const arrow::Int64Array&>(*block.columns->column(1)).raw_values() +
                  in_file % 1000);
    row += batch->num_rows();
  }
  EXPECT_EQ(row, 4900);
}

TEST(ReadRange, FilesUnderATombstoneAreNotOpened) {
  TestView table(Shape::kTable);
  const auto run = table.AddRun(Puts(table, 0, 200, 3), {}, {table.Key(50), table.Key(100)});
  table.AddMemtable({}, {{table.Key(50), table.Key(100), 7}});
  Ok(table.fs()->Remove(run->files[1]->path()));
  ReadRequest request = Request();
  EXPECT_EQ(table.Read(request).size(), 150u);
  request.snapshot = 6;  // does not see the tombstone, so it needs the file
  auto reader = Get(ReadRange(table.view(), request, 1000, 0));
  arrow::Status status;
  while (status.ok()) {
    const auto batch = reader->Next();
    status = batch.status();
    ASSERT_TRUE(!batch.ok() || batch->has_value());
  }
  EXPECT_TRUE(status.IsIOError()) << status;
}

TEST(ReadRange, TheReaderKeepsItsViewAndItsBatchesOutliveBoth) {
  std::optional<RowBatch> batch;
  std::shared_ptr<MemoryFileSystem> fs;  // outlives every database on it
  {
    auto table = std::make_unique<TestView>(Shape::kTable, 1000);
    table->AddRun(Puts(*table, 0, 500, 3), {});
    table->AddMemtable(Puts(*table, 400, 600, 5), {});
    auto reader = Get(ReadRange(table->view(), Request(), 128 * 1024, 0));
    fs = table->fs();
    table.reset();
    batch = Get(reader->Next());
  }
  ASSERT_EQ(batch->num_rows(), 600);
  EXPECT_EQ(static_cast<const arrow::Int64Array&>(*batch->columns->column(1)).Value(599), 599);
}

TEST(FindValue, WithMemoryOnlyAFileThatWouldBeAskedCancels) {
  TestView table(Shape::kKeyValue);
  table.AddRun(Puts(table, 10, 20, 3), {});
  table.AddMemtable({{table.Key(12), 5, false, 120}, {table.Key(13), 6, true, 0}}, {});
  const TableView& view = *table.view();
  const auto find = [&](int64_t n, uint64_t snapshot) {
    return Find(view, table.Key(n), {.snapshot = snapshot, .memory_only = true});
  };
  EXPECT_EQ(Get(find(12, kSequenceMax))->value, "120");
  EXPECT_FALSE(Get(find(13, kSequenceMax)).has_value());
  EXPECT_FALSE(Get(find(9, kSequenceMax)).has_value()) << "outside of the file's bounds";
  EXPECT_TRUE(find(14, kSequenceMax).status().IsCancelled());
  EXPECT_TRUE(find(12, 4).status().IsCancelled());
  EXPECT_FALSE(Get(find(14, 2)).has_value()) << "the file is newer than the snapshot";
}

TEST(FindValue, APinnedValueOutlivesTheView) {
  for (const bool use_mappings : {true, false}) {
    std::optional<FoundValue> of_file;
    std::optional<FoundValue> of_memtable;
    {
      TestView table(Shape::kKeyValue, 7, use_mappings);
      table.AddRun(Puts(table, 10, 20, 3), {});
      table.AddMemtable({{table.Key(12), 5, false, 120}}, {});
      of_file = Get(Find(*table.view(), table.Key(15), {.pin = true}));
      of_memtable = Get(Find(*table.view(), table.Key(12), {.pin = true}));
    }
    EXPECT_EQ(of_file->value, "15");
    EXPECT_EQ(of_memtable->value, "120");
  }
}

TEST(FindValue, AHitNeverOpensAnOlderFileThatIsDamaged) {
  TestView table(Shape::kKeyValue);
  const auto old = table.AddRun(Puts(table, 0, 20, 3), {});
  table.AddRun(Puts(table, 0, 10, 4), {});
  Ok(table.fs()->Remove(old->files[0]->path()));
  EXPECT_EQ(Get(Find(*table.view(), table.Key(5), {}))->value, "5");
  EXPECT_TRUE(Find(*table.view(), table.Key(15), {}).status().IsIOError());
}

}  // namespace
}  // namespace marble

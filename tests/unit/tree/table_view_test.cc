// Lookups and range reads over views of real memtables and real files, against a naive model; and
// what may not be copied, opened or forgotten.
#include "tree/table_view.h"

#include <algorithm>

#include "sst/row_lookup.h"
#include "unit/tree/view_test_support.h"

namespace marble {
namespace {

using merge_test::NaiveRead;
using merge_test::Row;
using view_test::Get;
using view_test::kKeys;
using view_test::Ok;
using view_test::RandomView;
using view_test::Shape;
using view_test::TestView;
using view_test::Tombstones;

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

/// What a lookup of many rows gave, by key.
class Rows final : public RowSink {
 public:
  arrow::Status Take(int64_t key, const FoundRow& row) override {
    EXPECT_TRUE(found.emplace(key, row).second) << "key " << key << " was found twice";
    return arrow::Status::OK();
  }
  std::map<int64_t, FoundRow> found;
};

TEST(FindRows, AgreesWithTheModelForManyKeysAtEverySnapshot) {
  std::mt19937 random(25);
  for (int round = 0; round < 200; ++round) {
    const RandomView data(round % 2 == 0 ? Shape::kTable : Shape::kKeyValue, &random);
    for (int s = 0; s < 4; ++s) {
      const uint64_t snapshot = s == 0 ? kSequenceMax : random() % (data.sequence + 1);
      // Absent keys are among them, and keys that stand several times.
      std::vector<std::string> keys;
      for (size_t n = 1 + random() % (4 * kKeys); n > 0; --n) {
        keys.push_back(data.table.Key(static_cast<int64_t>(random() % (2 * kKeys))));
      }
      std::string bytes;
      std::vector<int32_t> offsets = {0};
      for (const std::string& key : keys) {
        bytes += key;
        offsets.push_back(static_cast<int32_t>(bytes.size()));
      }
      const auto encoded =
          EncodedKeys::Offsets32(reinterpret_cast<const uint8_t*>(bytes.data()), offsets.data(),
                                 static_cast<int64_t>(keys.size()), nullptr);
      Rows rows;
      const std::vector<int> columns = {0, 1};
      Ok(FindRows(*data.table.view(), encoded, snapshot, columns, &rows));
      for (size_t i = 0; i < keys.size(); ++i) {
        const std::optional<Row> expected = data.Expected(keys[i], snapshot);
        const auto found = rows.found.find(static_cast<int64_t>(i));
        ASSERT_EQ(found != rows.found.end(), expected.has_value()) << i << " at " << snapshot;
        if (!expected.has_value()) continue;
        const auto& values = *found->second.block->rows.columns->GetColumnByName("value");
        ASSERT_EQ(data.table.ValueOf(values, found->second.row), expected->value);
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

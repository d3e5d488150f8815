// What is counted by metadata, and what is left to be read, over views of real memtables and files.
#include "tree/row_count.h"

#include <random>
#include <string>
#include <vector>

#include "unit/tree/view_test_support.h"

namespace marble {
namespace {

using merge_test::NaiveRead;
using merge_test::Row;
using view_test::Get;
using view_test::kKeys;
using view_test::RandomView;
using view_test::Shape;
using view_test::TestView;

RowCount CountOf(const TestView& table, const EncodedRange& range = {},
                 uint64_t snapshot = kSequenceMax) {
  return Get(CountFromMetadata(*table.view(), range, snapshot));
}

/// One row of each key, with sequences from `sequence` on.
std::vector<Row> RowsOf(const TestView& table, int64_t begin, int64_t end, uint64_t sequence) {
  std::vector<Row> rows;
  for (int64_t n = begin; n < end; ++n) rows.push_back({table.Key(n), sequence++, false, n});
  return rows;
}

/// Rows in the parts that were left to be read.
int64_t RowsUnread(const TestView& table, const RowCount& count, uint64_t snapshot) {
  int64_t rows = 0;
  for (const EncodedRange& unread : count.unread) {
    ReadRequest request;
    request.columns = {1};
    request.range = unread;
    request.snapshot = snapshot;
    request.want_keys = false;
    rows += static_cast<int64_t>(table.Read(request).size());
  }
  return rows;
}

/// Sources of a few neighbouring keys each, so that some overlap and others do not; and all that
/// was written to them.
struct SparseView {
  TestView table;
  std::vector<Row> rows;
  view_test::Tombstones tombstones;
  uint64_t sequence = 0;

  SparseView(Shape shape, std::mt19937* random)
      : table(shape, 1 + static_cast<int64_t>((*random)() % 8), (*random)() % 2 == 0) {
    const auto pick = [&](int64_t n) { return static_cast<int64_t>((*random)() % n); };
    for (int64_t sources = 1 + pick(6); sources > 0; --sources) {
      const int64_t first = pick(kKeys);
      const int64_t keys = 1 + pick(20);
      const bool with_versions = pick(4) == 0;
      std::vector<Row> part;
      view_test::Tombstones deleted;
      for (int64_t i = 0; i < keys; ++i) {
        const std::string key = table.Key(first + (with_versions ? pick(keys) : i));
        ++sequence;
        part.push_back({key, sequence, pick(60) == 0, static_cast<int64_t>(sequence)});
      }
      if (pick(8) == 0) {
        deleted.push_back({table.Key(first), table.Key(first + pick(keys) + 1), ++sequence});
      }
      rows.insert(rows.end(), part.begin(), part.end());
      tombstones.insert(tombstones.end(), deleted.begin(), deleted.end());
      if (pick(4) == 0) {
        table.AddMemtable(part, deleted);
      } else {
        table.AddRun(part, deleted, {table.Key(first + keys / 2)});
      }
    }
  }
};

/// Compares ranges and snapshots of `data` with the model; returns what was counted.
template <typename View>
int64_t CompareCounts(const View& data, std::mt19937* random) {
  int64_t counted = 0;
  for (int s = 0; s < 6; ++s) {
    const uint64_t snapshot = s < 3 ? kSequenceMax : (*random)() % (data.sequence + 1);
    EncodedRange range;
    if (s % 3 > 0) range.lower = data.table.Key(static_cast<int64_t>((*random)() % kKeys));
    if (s % 3 > 1) range.upper = data.table.Key(static_cast<int64_t>((*random)() % kKeys));
    const RowCount count = CountOf(data.table, range, snapshot);
    for (size_t i = 0; i < count.unread.size(); ++i) {
      EXPECT_FALSE(count.unread[i].IsEmpty());
      EXPECT_GE(count.unread[i].lower, i == 0 ? range.lower : *count.unread[i - 1].upper);
    }
    int64_t expected = 0;
    for (const Row& row : NaiveRead(data.rows, data.tombstones, snapshot)) {
      if (range.Contains(row.key)) ++expected;
    }
    EXPECT_EQ(count.rows + RowsUnread(data.table, count, snapshot), expected) << snapshot;
    counted += count.rows;
  }
  return counted;
}

TEST(CountFromMetadata, AgreesWithTheModelInEveryRangeAtEverySnapshot) {
  std::mt19937 random(31);
  int64_t counted = 0;
  for (int round = 0; round < 200 && !::testing::Test::HasFailure(); ++round) {
    const Shape shape = round % 2 == 0 ? Shape::kTable : Shape::kKeyValue;
    CompareCounts(RandomView(shape, &random), &random);
    counted += CompareCounts(SparseView(shape, &random), &random);
  }
  EXPECT_GT(counted, 1000);
}

TEST(CountFromMetadata, LeavesOnlyWhatANewerRunOverlaps) {
  TestView table(Shape::kTable);
  table.AddRun(RowsOf(table, 0, 300, 1), {}, {table.Key(100), table.Key(200)});
  table.AddRun(RowsOf(table, 120, 130, 400), {});
  const RowCount count = CountOf(table);
  EXPECT_EQ(count.rows, 200);
  ASSERT_EQ(count.unread.size(), 1);
  EXPECT_EQ(count.unread[0].lower, table.Key(100));
  EXPECT_GT(*count.unread[0].upper, table.Key(199));
  EXPECT_LE(*count.unread[0].upper, table.Key(200));
}

TEST(CountFromMetadata, LeavesOfAMemtableWithRisingKeysNothingButItself) {
  TestView table(Shape::kKeyValue);
  table.AddRun(RowsOf(table, 0, 300, 1), {}, {table.Key(100)});
  table.AddMemtable(RowsOf(table, 300, 310, 400), {});
  const RowCount count = CountOf(table);
  EXPECT_EQ(count.rows, 300);
  ASSERT_EQ(count.unread.size(), 1);
  EXPECT_EQ(count.unread[0].lower, table.Key(300));
  EXPECT_EQ(RowsUnread(table, count, kSequenceMax), 10);
}

TEST(CountFromMetadata, LeavesOfAFileOnlyBlocksThatTheRangeCuts) {
  for (const Shape shape : {Shape::kTable, Shape::kAppend}) {
    TestView table(shape, /*block_rows_max=*/10);
    table.AddRun(RowsOf(table, 0, 100, 1), {});
    const auto counted = [&table](int64_t lower, int64_t upper, size_t unread) {
      const EncodedRange range{table.Key(lower), table.Key(upper)};
      const RowCount count = CountOf(table, range);
      EXPECT_EQ(count.unread.size(), unread);
      EXPECT_EQ(count.rows + RowsUnread(table, count, kSequenceMax), upper - lower);
      return count.rows;
    };
    EXPECT_EQ(counted(20, 70, 0), 50);
    EXPECT_EQ(counted(21, 70, 1), 40);
    EXPECT_EQ(counted(20, 69, 1), 40);
    EXPECT_EQ(counted(21, 69, 2), 30);
    EXPECT_EQ(counted(21, 39, 1), 0) << "nothing is counted between the two";
    EXPECT_EQ(counted(22, 28, 1), 0);
    EXPECT_EQ(counted(95, 100, 1), 0);
  }
}

TEST(CountFromMetadata, LeavesWhatIsInAMemtableWithinTheRange) {
  TestView table(Shape::kTable, /*block_rows_max=*/10);
  table.AddRun(RowsOf(table, 0, 100, 1), {}, {table.Key(50)});
  std::vector<Row> newer = RowsOf(table, 5, 6, 200);
  newer.push_back({table.Key(95), 201, false, 0});
  table.AddMemtable(newer, {});
  EXPECT_EQ(CountOf(table).rows, 0);
  EXPECT_EQ(CountOf(table, {table.Key(10), table.Key(90)}).rows, 80);
}

TEST(CountFromMetadata, LeavesWhatAMemtableDeletes) {
  TestView table(Shape::kTable);
  table.AddRun(RowsOf(table, 0, 100, 1), {}, {table.Key(50)});
  table.AddMemtable({}, {{table.Key(10), table.Key(20), 200}});
  const RowCount count = CountOf(table);
  EXPECT_EQ(count.rows, 50);
  EXPECT_EQ(RowsUnread(table, count, kSequenceMax), 40);
}

TEST(CountFromMetadata, CountsTheFilesOfAnAppendTable) {
  TestView table(Shape::kAppend);
  table.AddRun(RowsOf(table, 0, 50, 1), {});
  table.AddRun(RowsOf(table, 50, 80, 60), {});
  table.AddMemtable(RowsOf(table, 80, 90, 100), {});
  const RowCount count = CountOf(table);
  EXPECT_EQ(count.rows, 80);
  EXPECT_EQ(RowsUnread(table, count, kSequenceMax), 10);
}

TEST(CountFromMetadata, CountsNoFileWithDeletesVersionsOrNewerRows) {
  const auto counted = [](std::vector<Row> (*make)(const TestView&), uint64_t snapshot) {
    TestView table(Shape::kTable);
    table.AddRun(make(table), {});
    return CountOf(table, {}, snapshot).rows;
  };
  const auto plain = [](const TestView& t) { return RowsOf(t, 0, 3, 1); };
  const auto with_delete = [](const TestView& t) {
    std::vector<Row> rows = RowsOf(t, 0, 3, 1);
    rows[1].is_delete = true;
    return rows;
  };
  const auto with_version = [](const TestView& t) {
    std::vector<Row> rows = RowsOf(t, 0, 3, 1);
    rows.push_back({t.Key(1), 4, false, 4});
    return rows;
  };
  EXPECT_EQ(counted(plain, kSequenceMax), 3);
  EXPECT_EQ(counted(plain, 3), 3);
  EXPECT_EQ(counted(plain, 2), 0);
  EXPECT_EQ(counted(with_delete, kSequenceMax), 0);
  EXPECT_EQ(counted(with_version, kSequenceMax), 0);
}

}  // namespace
}  // namespace marble

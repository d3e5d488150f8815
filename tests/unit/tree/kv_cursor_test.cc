// The cursor over key-value tables, against a naive model of random views.
#include "tree/kv_cursor.h"

#include <algorithm>

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

using Rows = std::vector<std::pair<std::string, std::string>>;

Rows Walk(KvCursor* cursor, const EncodedRange& range, Direction direction, size_t window_rows) {
  Rows rows;
  Ok(cursor->Start(range, direction));
  while (true) {
    const auto window = Get(cursor->Next(window_rows));
    if (window.empty()) return rows;
    EXPECT_LE(window.size(), window_rows);
    for (const KvRow& row : window) rows.emplace_back(row.first, row.second);
  }
}

Rows Expected(const std::vector<Row>& newest, const EncodedRange& range, Direction direction) {
  Rows rows;
  for (const Row& row : newest) {
    if (range.Contains(row.key)) rows.emplace_back(row.key, std::to_string(row.value));
  }
  if (direction == Direction::kReverse) std::reverse(rows.begin(), rows.end());
  return rows;
}

TEST(KvCursor, WalksWhatTheModelHoldsInAnyRangeDirectionAndSnapshot) {
  std::mt19937 random(31);
  for (int round = 0; round < 300; ++round) {
    const RandomView data(Shape::kKeyValue, &random);
    for (int s = 0; s < 3; ++s) {
      const uint64_t snapshot = s == 0 ? kSequenceMax : random() % (data.sequence + 1);
      const auto newest = NaiveRead(data.rows, data.tombstones, snapshot);
      const auto cursor = Get(KvCursor::Open(data.table.view(), snapshot, {}));
      for (int r = 0; r < 6; ++r) {
        EncodedRange range;
        if (r > 1) range.lower = data.table.Key(static_cast<int64_t>(random() % kKeys));
        if (r % 2 == 1) range.upper = data.table.Key(static_cast<int64_t>(random() % kKeys));
        const size_t window_rows = 1 + random() % 20;
        for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
          ASSERT_EQ(Walk(cursor.get(), range, direction, window_rows),
                    Expected(newest, range, direction))
              << "round " << round << " snapshot " << snapshot << " range " << r << " reverse "
              << (direction == Direction::kReverse);
        }
      }
    }
  }
}

std::vector<Row> Puts(const TestView& table, int64_t from, int64_t to, uint64_t sequence) {
  std::vector<Row> rows;
  for (int64_t n = from; n < to; ++n) rows.push_back({table.Key(n), sequence, false, n});
  return rows;
}

TEST(KvCursor, PassesOverADeletedRangeWithoutReadingItsBlocks) {
  // Damage in the deleted part is not met.
  TestView table(Shape::kKeyValue, /*block_rows_max=*/7, /*use_mappings=*/false);
  const auto run = table.AddRun(Puts(table, 0, 300, 3), {}, {table.Key(100), table.Key(200)});
  table.AddMemtable({}, {{table.Key(50), table.Key(250), 9}});
  Ok(table.fs()->Remove(run->files[1]->path()));
  const auto cursor = Get(KvCursor::Open(table.view(), kSequenceMax, {}));
  for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
    EXPECT_EQ(Walk(cursor.get(), {}, direction, 16).size(), 100u);
  }
}

TEST(KvCursor, ShowsRowsNewerThanADeletedRangeInWhateverFileOfTheRun) {
  // The range begins in a file of older rows and goes on over one of newer rows.
  for (const bool bounded : {true, false}) {
    TestView table(Shape::kKeyValue, /*block_rows_max=*/7);
    std::vector<Row> rows = Puts(table, 0, 100, 3);
    for (const Row& row : Puts(table, 100, 200, 12)) rows.push_back(row);
    for (const Row& row : Puts(table, 200, 300, 3)) rows.push_back(row);
    table.AddRun(rows, {}, {table.Key(100), table.Key(200)});
    std::optional<std::string> end;
    if (bounded) end = table.Key(250);
    table.AddMemtable({}, {{table.Key(50), end, 9}});
    const auto cursor = Get(KvCursor::Open(table.view(), kSequenceMax, {}));
    for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
      EXPECT_EQ(Walk(cursor.get(), {}, direction, 16).size(), bounded ? 200u : 150u);
    }
  }
}

TEST(KvCursor, ReportsAFileThatIsGone) {
  TestView table(Shape::kKeyValue);
  const auto run = table.AddRun(Puts(table, 0, 30, 3), {});
  Ok(table.fs()->Remove(run->files[0]->path()));
  const auto cursor = Get(KvCursor::Open(table.view(), kSequenceMax, {}));
  EXPECT_TRUE(cursor->Start({}, Direction::kForward).IsIOError());
}

}  // namespace
}  // namespace marble

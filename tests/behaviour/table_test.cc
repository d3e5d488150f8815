// What the table face promises about rows and keys, with the rows in memory, in files, merged and
// after a reopen. Scans have their own file.
#include <marble/table.h>

#include <set>
#include <string>
#include <vector>

#include "support/settled.h"

namespace marble::test {
namespace {

std::shared_ptr<arrow::Schema> UserSchema() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8()),
                        arrow::field("score", arrow::float64())});
}

std::shared_ptr<arrow::Scalar> Text(const std::string& text) { return arrow::MakeScalar(text); }
std::shared_ptr<arrow::Scalar> Number(int64_t number) { return arrow::MakeScalar(number); }

class TableTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    ASSERT_OK(database_->CreateTable("users", UserSchema(), {.primary_key = {"id"}}));
    ASSERT_OK(database_->CreateTable("events", UserSchema()));
    ASSERT_OK(OpenTables());
  }
  arrow::Status OpenTables() {
    ARROW_RETURN_NOT_OK(Table::Open(database_.get(), "users").Value(&users_));
    return Table::Open(database_.get(), "events").Value(&events_);
  }
  arrow::Status MoveRows() {
    users_.reset();
    events_.reset();
    ARROW_RETURN_NOT_OK(Settle(&database_, GetParam()));
    return OpenTables();
  }
  arrow::Status MoveRowsOnly() {
    return Settle(&database_, GetParam() == Where::kReopened ? Where::kCompacted : GetParam());
  }
  static std::shared_ptr<arrow::RecordBatch> Rows(const std::string& ids, const std::string& names,
                                                  const std::string& scores) {
    auto batch = BatchFromJson(UserSchema(), {ids, names, scores});
    EXPECT_TRUE(batch.ok()) << batch.status().ToString();
    return batch.ValueOr(nullptr);
  }
  static std::shared_ptr<arrow::RecordBatch> Ids(const std::string& ids) {
    auto schema = arrow::schema({arrow::field("id", arrow::int64())});
    return BatchFromJson(schema, {ids}).ValueOr(nullptr);
  }
  static testing::AssertionResult Holds(const Table& table,
                                        const std::shared_ptr<arrow::RecordBatch>& expected,
                                        std::shared_ptr<const Snapshot> snapshot = nullptr) {
    ScanOptions options;
    options.snapshot = std::move(snapshot);
    auto rows = ScanAll(table, options);
    if (!rows.ok()) return testing::AssertionFailure() << rows.status().ToString();
    return SameRows(expected, *rows);
  }

  TestDatabase database_;
  std::shared_ptr<Table> users_;
  std::shared_ptr<Table> events_;
};

INSTANTIATE_TEST_SUITE_P(Rows, TableTest,
                         testing::Values(Where::kMemory, Where::kFlushed, Where::kCompacted,
                                         Where::kReopened),
                         NameOf);

TEST_P(TableTest, RowsComeBackInKeyOrder) {
  ASSERT_OK(users_->Insert(Rows("[3, -1, 2]", R"(["c", null, ""])", "[3.5, null, -0.0]")));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[-1, 2, 3]", R"([null, "", "c"])", "[null, -0.0, 3.5]")));
}

TEST_P(TableTest, InsertIsAnUpsertOfWholeRows) {
  ASSERT_OK(users_->Insert(Rows("[1, 2]", R"(["a", "b"])", "[1, 2]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK(users_->Insert(Rows("[2, 3]", R"([null, "c"])", "[20, 30]")));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[1, 2, 3]", R"(["a", null, "c"])", "[1, 20, 30]")));
}

TEST_P(TableTest, OfEqualKeysInABatchTheLastRowWins) {
  ASSERT_OK(users_->Insert(Rows("[1, 2, 1, 1]", R"(["a", "b", "c", "d"])", "[1, 2, 3, 4]")));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[1, 2]", R"(["d", "b"])", "[4, 2]")));
}

TEST_P(TableTest, OfEqualKeysInBatchesOfOneInsertTheLastBatchWins) {
  ASSERT_OK(users_->Insert({Rows("[1, 2]", R"(["a", "b"])", "[1, 2]"),
                            Rows("[2, 3]", R"(["B", "C"])", "[20, 30]"), Rows("[]", "[]", "[]")}));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[1, 2, 3]", R"(["a", "B", "C"])", "[1, 20, 30]")));
}

TEST_P(TableTest, AnAppendTableKeepsAllRowsInOrderOfInsertion) {
  ASSERT_OK(events_->Insert(Rows("[5, 5]", R"(["x", "y"])", "[1, 1]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK(events_->Insert({Rows("[4]", R"(["z"])", "[0]"), Rows("[5]", R"(["x"])", "[1]")}));
  ASSERT_OK(MoveRows());
  ASSERT_OK(events_->Insert(Rows("[1]", R"(["last"])", "[9]")));
  EXPECT_TRUE(Holds(*events_,
                    Rows("[5, 5, 4, 5, 1]", R"(["x", "y", "z", "x", "last"])", "[1, 1, 0, 1, 9]")));
}

TEST_P(TableTest, DeleteTakesRowsByKeyAndIgnoresOtherColumns) {
  ASSERT_OK(users_->Insert(Rows("[1, 2, 3]", R"(["a", "b", "c"])", "[1, 2, 3]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK(users_->Delete(Rows("[3, 9, 1]", R"(["other", null, "a"])", "[0, 0, 0]")));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[2]", R"(["b"])", "[2]")));
}

TEST_P(TableTest, ARowInsertedAfterItsDeleteIsSeen) {
  ASSERT_OK(users_->Insert(Rows("[1, 2]", R"(["a", "b"])", "[1, 2]")));
  ASSERT_OK(users_->Delete(Ids("[1, 2]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK(users_->Insert(Rows("[2]", R"(["again"])", "[3]")));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[2]", R"(["again"])", "[3]")));
}

TEST_P(TableTest, DeleteRangeTakesTheLowerAndLeavesTheUpperBound) {
  ASSERT_OK(users_->Insert(Rows("[-2, -1, 0, 1]", R"(["a", "b", "c", "d"])", "[1, 2, 3, 4]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK(users_->DeleteRange({.lower = {Number(-1)}, .upper = {Number(1)}}));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[-2, 1]", R"(["a", "d"])", "[1, 4]")));
}

TEST_P(TableTest, ARowInsertedInsideADeletedRangeIsSeen) {
  ASSERT_OK(users_->Insert(Rows("[1, 2, 3]", R"(["a", "b", "c"])", "[1, 2, 3]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK(users_->DeleteRange({}));
  ASSERT_OK(users_->Insert(Rows("[2]", R"(["new"])", "[20]")));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[2]", R"(["new"])", "[20]")));
}

TEST_P(TableTest, ARangeThatEndsBeforeItBeginsDeletesNothing) {
  ASSERT_OK(users_->Insert(Rows("[1, 2]", R"(["a", "b"])", "[1, 2]")));
  ASSERT_OK(users_->DeleteRange({.lower = {Number(2)}, .upper = {Number(1)}}));
  ASSERT_OK(users_->DeleteRange({.lower = {Number(1)}, .upper = {Number(1)}}));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds(*users_, Rows("[1, 2]", R"(["a", "b"])", "[1, 2]")));
}

TEST_P(TableTest, RangesThatAreDeletedAgainAndAgainCostNoMoreThanThemselves) {
  // "All that is older", 6,000 times: the first keys are covered by all of them.
  constexpr int64_t kDeletes = 6000;
  ASSERT_OK(users_->Insert(Rows("[1, 3000, 6000]", R"(["a", "b", "c"])", "[1, 2, 3]")));
  ASSERT_OK(database_->Flush());
  std::shared_ptr<const Snapshot> middle;
  for (int64_t end = 1; end <= kDeletes; ++end) {
    ASSERT_OK(users_->DeleteRange({.lower = {}, .upper = {Number(end)}}));
    if (end == 2000) {
      ASSERT_OK_AND_ASSIGN(middle, database_->GetSnapshot());
    }
  }
  ASSERT_OK(MoveRowsOnly());
  EXPECT_TRUE(Holds(*users_, Rows("[6000]", R"(["c"])", "[3]")));
  EXPECT_TRUE(Holds(*users_, Rows("[3000, 6000]", R"(["b", "c"])", "[2, 3]"), middle));
  ASSERT_OK_AND_ASSIGN(const Stats stats, database_->GetStats());
  EXPECT_LT(stats.file_bytes, 1 << 20);
}

TEST_P(TableTest, ASnapshotReadsTheSameRowsForEver) {
  const auto old_rows = Rows("[1, 2]", R"(["a", "b"])", "[1, 2]");
  ASSERT_OK(users_->Insert(old_rows));
  ASSERT_OK(MoveRowsOnly());
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(users_->Insert(Rows("[1]", R"(["changed"])", "[0]")));
  ASSERT_OK(users_->DeleteRange({.lower = {Number(2)}, .upper = {}}));
  ASSERT_OK(MoveRowsOnly());
  EXPECT_TRUE(Holds(*users_, old_rows, snapshot));
  EXPECT_TRUE(Holds(*users_, Rows("[1]", R"(["changed"])", "[0]")));
}

TEST_P(TableTest, GetAnswersInTheOrderOfTheKeys) {
  ASSERT_OK(users_->Insert(Rows("[1, 2, 3, 4]", R"(["a", "b", "c", "d"])", "[1, 2, 3, 4]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK(users_->Delete(Ids("[3]")));
  std::vector<int64_t> indices;
  ASSERT_OK_AND_ASSIGN(auto found, users_->Get(Ids("[4, 9, 1, 3, 4, 2]"), std::nullopt, &indices));
  EXPECT_TRUE(SameRows(Rows("[4, 1, 4, 2]", R"(["d", "a", "d", "b"])", "[4, 1, 4, 2]"), found));
  EXPECT_EQ(indices, (std::vector<int64_t>{0, 2, 4, 5}));
}

TEST_P(TableTest, GetGivesTheColumnsAskedFor) {
  ASSERT_OK(users_->Insert(Rows("[1, 2]", R"(["a", "b"])", "[1, 2]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(auto two,
                       users_->Get(Ids("[2, 1]"), std::vector<std::string>{"score", "id"}));
  auto schema =
      arrow::schema({arrow::field("score", arrow::float64()), arrow::field("id", arrow::int64())});
  ASSERT_OK_AND_ASSIGN(auto expected, BatchFromJson(schema, {"[2, 1]", "[2, 1]"}));
  EXPECT_TRUE(SameRows(expected, two));
  ASSERT_OK_AND_ASSIGN(auto none, users_->Get(Ids("[2, 1, 7]"), std::vector<std::string>{}));
  EXPECT_EQ(none->num_rows(), 2);
  EXPECT_EQ(none->num_columns(), 0);
}

TEST_P(TableTest, GetOfAbsentKeysGivesAnEmptyBatchOfTheSchema) {
  ASSERT_OK(users_->Insert(Rows("[1]", R"(["a"])", "[1]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(auto found, users_->Get(Ids("[2, 3]")));
  EXPECT_EQ(found->num_rows(), 0);
  EXPECT_EQ(found->schema()->field_names(), UserSchema()->field_names());
}

TEST_P(TableTest, GetInAnyOrderTellsWhichKeyEachRowIsOf) {
  ASSERT_OK(users_->Insert(Rows("[1, 2, 3]", R"(["a", "b", "c"])", "[1, 2, 3]")));
  ASSERT_OK(MoveRows());
  const auto keys = Ids("[3, 9, 1]");
  std::vector<int64_t> indices;
  ASSERT_OK_AND_ASSIGN(const auto rows,
                       users_->Get(keys, std::nullopt, &indices, nullptr, RowOrder::kAny));
  ASSERT_EQ(rows->num_rows(), 2);
  ASSERT_EQ(indices.size(), 2);
  EXPECT_EQ(std::set<int64_t>(indices.begin(), indices.end()), (std::set<int64_t>{0, 2}));
  for (int64_t i = 0; i < 2; ++i) {
    const auto id = rows->column(0)->GetScalar(i).ValueOrDie();
    EXPECT_TRUE(id->Equals(*keys->column(0)->GetScalar(indices[i]).ValueOrDie()));
  }
}

TEST_P(TableTest, ContainsTellsForEachKeyWhetherItsRowIsThere) {
  ASSERT_OK(users_->Insert(Rows("[1, 2, 3, 4]", R"(["a", "b", "c", "d"])", "[1, 2, 3, 4]")));
  ASSERT_OK(users_->Delete(Ids("[2]")));
  ASSERT_OK(users_->DeleteRange({{Number(4)}, {}}));
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(const auto found, users_->Contains(Ids("[4, 1, 7, 2, 3, 1]")));
  EXPECT_EQ(found->null_count(), 0);
  const std::vector<bool> expected = {false, true, false, false, true, true};
  ASSERT_EQ(found->length(), 6);
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(found->Value(i), expected[i]) << i;
}

TEST_P(TableTest, ContainsReadsItsSnapshot) {
  ASSERT_OK(users_->Insert(Rows("[1, 2]", R"(["a", "b"])", "[1, 2]")));
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(users_->Delete(Ids("[1]")));
  ASSERT_OK(users_->Insert(Rows("[3]", R"(["c"])", "[3]")));
  ASSERT_OK(MoveRowsOnly());
  ASSERT_OK_AND_ASSIGN(const auto found, users_->Contains(Ids("[1, 2, 3]"), snapshot));
  EXPECT_EQ(found->true_count(), 2);
  EXPECT_FALSE(found->Value(2));
}

TEST_P(TableTest, ContainsNeedsAKey) {
  EXPECT_TRUE(events_->Contains(Ids("[1]")).status().IsInvalid());
}

TEST_P(TableTest, GetReadsItsSnapshot) {
  ASSERT_OK(users_->Insert(Rows("[1]", R"(["old"])", "[1]")));
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(users_->Insert(Rows("[1]", R"(["new"])", "[1]")));
  ASSERT_OK(MoveRowsOnly());
  ASSERT_OK_AND_ASSIGN(auto then, users_->Get(Ids("[1]"), std::nullopt, nullptr, snapshot));
  EXPECT_TRUE(SameRows(Rows("[1]", R"(["old"])", "[1]"), then));
}

TEST_P(TableTest, CompositeKeysOrderByTheirColumnsAndTakePrefixBounds) {
  auto schema =
      arrow::schema({arrow::field("at", arrow::timestamp(arrow::TimeUnit::SECOND)),
                     arrow::field("value", arrow::int32()), arrow::field("city", arrow::utf8())});
  ASSERT_OK(database_->CreateTable("readings", schema, {.primary_key = {"city", "at"}}));
  ASSERT_OK_AND_ASSIGN(auto rows, BatchFromJson(schema, {"[2, 1, 1, 3, 1, 1]", "[1, 2, 3, 4, 5, 6]",
                                                         R"(["b", "b", "a", "a", "", "ab"])"}));
  {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "readings"));
    ASSERT_OK(table->Insert(rows));
  }
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "readings"));
  ASSERT_OK_AND_ASSIGN(auto sorted,
                       BatchFromJson(schema, {"[1, 1, 3, 1, 1, 2]", "[5, 3, 4, 6, 2, 1]",
                                              R"(["", "a", "a", "ab", "b", "b"])"}));
  EXPECT_TRUE(Holds(*table, sorted));

  const auto at = [](int64_t seconds) {
    return std::make_shared<arrow::TimestampScalar>(seconds, arrow::TimeUnit::SECOND);
  };
  ScanOptions options;
  options.range = {.lower = {Text("a")}, .upper = {Text("ab")}};
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
  EXPECT_TRUE(SameRows(sorted->Slice(1, 2), found));
  options.range = {.lower = {Text("a"), at(2)}, .upper = {Text("b"), at(2)}};
  ASSERT_OK_AND_ASSIGN(found, ScanAll(*table, options));
  EXPECT_TRUE(SameRows(sorted->Slice(2, 3), found));
  ASSERT_OK(table->DeleteRange({.lower = {Text("a")}, .upper = {Text("b")}}));
  ASSERT_OK_AND_ASSIGN(found, ScanAll(*table));
  EXPECT_EQ(found->num_rows(), 3);
}

TEST_P(TableTest, AKeyValueTableIsTheSameRowsThroughBothFaces) {
  ASSERT_OK_AND_ASSIGN(auto kv, KeyValue::Open(database_.get()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "default"));
  ASSERT_OK(kv->Put("b", "from kv"));
  auto schema =
      arrow::schema({arrow::field("key", arrow::utf8()), arrow::field("value", arrow::binary())});
  ASSERT_OK_AND_ASSIGN(auto rows, BatchFromJson(schema, {R"(["a", "c"])", R"(["x", null])"}));
  ASSERT_OK(table->Insert(rows));
  kv.reset();
  table.reset();
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(kv, KeyValue::Open(database_.get()));
  ASSERT_OK_AND_ASSIGN(table, Table::Open(database_.get(), "default"));
  ASSERT_OK_AND_ASSIGN(auto all,
                       BatchFromJson(schema, {R"(["a", "b", "c"])", R"(["x", "from kv", null])"}));
  EXPECT_TRUE(Holds(*table, all));
  ASSERT_OK_AND_ASSIGN(auto a, kv->Get("a"));
  EXPECT_EQ(a, "x");
  ASSERT_OK_AND_ASSIGN(auto null_value, kv->Get("c"));
  EXPECT_EQ(null_value, "");
}

TEST_P(TableTest, TheCallersMemoryMayBeReusedAfterInsert) {
  std::vector<int64_t> ids = {1, 2, 3};
  auto buffer = arrow::Buffer::Wrap(ids);
  auto array = std::make_shared<arrow::Int64Array>(3, buffer);
  auto schema = arrow::schema({arrow::field("id", arrow::int64())});
  ASSERT_OK(database_->CreateTable("numbers", schema, {.primary_key = {"id"}}));
  ASSERT_OK(database_->CreateTable("log", schema));
  const auto batch = arrow::RecordBatch::Make(schema, 3, {array});
  for (const char* name : {"numbers", "log"}) {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), name));
    ASSERT_OK(table->Insert(batch));
  }
  ids.assign({9, 9, 9});
  ASSERT_OK(MoveRows());
  for (const char* name : {"numbers", "log"}) {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), name));
    EXPECT_TRUE(Holds(*table, Ids("[1, 2, 3]"))) << name;
  }
}

TEST_P(TableTest, BatchesOutliveTheDatabase) {
  ASSERT_OK(users_->Insert(Rows("[1, 2]", R"(["a", "b"])", "[1, 2]")));
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(auto scanned, ScanAll(*users_));
  ASSERT_OK_AND_ASSIGN(auto got, users_->Get(Ids("[2]")));
  ASSERT_OK(users_->DeleteRange({}));
  ASSERT_OK(database_->Compact());
  users_.reset();
  events_.reset();
  ASSERT_OK(database_.Close());
  EXPECT_TRUE(SameRows(Rows("[1, 2]", R"(["a", "b"])", "[1, 2]"), scanned));
  EXPECT_TRUE(SameRows(Rows("[2]", R"(["b"])", "[2]"), got));
}

}  // namespace
}  // namespace marble::test

// What scans promise: the asked columns of the rows that the filter keeps, in order, up to a limit.
#include <xmmintrin.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <arrow/array/builder_primitive.h>
#include <arrow/compute/api.h>
#include <arrow/compute/expression.h>

#include <marble/error.h>

#include "io/memory_file_system.h"
#include "support/random.h"
#include "support/settled.h"

namespace marble::test {
namespace {

namespace cp = arrow::compute;

constexpr int64_t kRows = 5000;

std::shared_ptr<arrow::Schema> ScanSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64()), arrow::field("group", arrow::utf8()),
       arrow::field("amount", arrow::float64()), arrow::field("flag", arrow::boolean()),
       arrow::field("tags", arrow::list(arrow::int32())),
       arrow::field("place", arrow::struct_({arrow::field("x", arrow::int32())}))});
}

/// Rows of ids [first, first + rows), each column a function of id and `salt`.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> MakeRows(int64_t first, int64_t rows,
                                                            int64_t step, int64_t salt) {
  std::vector<std::string> columns(6, "[");
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t id = first + i * step;
    const uint64_t mixed = Mix(static_cast<uint64_t>(id * 31 + salt));
    const std::string comma = i == 0 ? "" : ",";
    columns[0] += comma + std::to_string(id);
    columns[1] += comma + (mixed % 7 == 0 ? "null" : "\"g" + std::to_string(mixed % 5) + "\"");
    columns[2] += comma + (mixed % 11 == 0 ? "null" : std::to_string(mixed % 1000) + ".5");
    columns[3] += comma + (mixed % 3 == 0 ? "true" : mixed % 3 == 1 ? "false" : "null");
    columns[4] += comma + (mixed % 4 == 0 ? "[]" : "[1, " + std::to_string(mixed % 9) + "]");
    columns[5] += comma + "{\"x\": " + std::to_string(mixed % 13) + "}";
  }
  for (std::string& column : columns) column += "]";
  return BatchFromJson(ScanSchema(), columns);
}

class ScanTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    ASSERT_OK(database_->CreateTable("keyed", ScanSchema(), {.primary_key = {"id"}}));
    ASSERT_OK(database_->CreateTable("appended", ScanSchema()));
    ASSERT_OK_AND_ASSIGN(auto rows, MakeRows(0, kRows, 1, 0));
    ASSERT_OK(Insert(rows));
    ASSERT_OK(Settle(&database_, GetParam()));
    // Every seventh row again, so that sources overlap; files and memory unless it is all in
    // memory.
    ASSERT_OK_AND_ASSIGN(auto newer, MakeRows(0, kRows / 7, 7, 1));
    ASSERT_OK(Insert(newer));
    ASSERT_OK(OpenTables());
    ASSERT_OK_AND_ASSIGN(keyed_rows_, ScanAll(*keyed_));
    ASSERT_OK_AND_ASSIGN(appended_rows_, ScanAll(*appended_));
  }
  arrow::Status OpenTables() {
    ARROW_RETURN_NOT_OK(Table::Open(database_.get(), "keyed").Value(&keyed_));
    return Table::Open(database_.get(), "appended").Value(&appended_);
  }
  arrow::Status Insert(const std::shared_ptr<arrow::RecordBatch>& rows) {
    ARROW_RETURN_NOT_OK(OpenTables());
    ARROW_RETURN_NOT_OK(keyed_->Insert(rows));
    ARROW_RETURN_NOT_OK(appended_->Insert(rows));
    keyed_.reset();
    appended_.reset();
    return arrow::Status::OK();
  }
  /// Rows in the opposite order, by Arrow's own means.
  static arrow::Result<std::shared_ptr<arrow::Table>> Reversed(
      const std::shared_ptr<arrow::Table>& rows) {
    arrow::Int64Builder indices;
    for (int64_t i = rows->num_rows(); i > 0; --i) ARROW_RETURN_NOT_OK(indices.Append(i - 1));
    ARROW_ASSIGN_OR_RAISE(auto array, indices.Finish());
    ARROW_ASSIGN_OR_RAISE(auto taken, cp::Take(rows, array));
    return taken.table();
  }

  TestDatabase database_;
  std::shared_ptr<Table> keyed_;
  std::shared_ptr<Table> appended_;
  std::shared_ptr<arrow::Table> keyed_rows_;
  std::shared_ptr<arrow::Table> appended_rows_;
};

INSTANTIATE_TEST_SUITE_P(Rows, ScanTest,
                         testing::Values(Where::kMemory, Where::kFlushed, Where::kCompacted,
                                         Where::kReopened),
                         NameOf);

TEST_P(ScanTest, GivesEachRowOnceInOrder) {
  ASSERT_EQ(keyed_rows_->num_rows(), kRows);
  ASSERT_EQ(appended_rows_->num_rows(), kRows + kRows / 7);
  ASSERT_OK_AND_ASSIGN(auto first, MakeRows(0, kRows, 1, 0));
  ASSERT_OK_AND_ASSIGN(auto second, MakeRows(0, kRows / 7, 7, 1));
  ASSERT_OK_AND_ASSIGN(auto both, arrow::Table::FromRecordBatches({first, second}));
  EXPECT_TRUE(SameRows(*both, *appended_rows_));
  for (int64_t id = 0; id < 30; ++id) {
    const bool again = id % 7 == 0;
    ASSERT_OK_AND_ASSIGN(auto row, MakeRows(id, 1, 1, again ? 1 : 0));
    EXPECT_TRUE(SameRows(row, keyed_rows_->Slice(id, 1))) << id;
  }
}

TEST_P(ScanTest, GivesTheColumnsAskedForInThatOrder) {
  ScanOptions options;
  options.columns = {"flag", "id", "flag"};
  for (const auto& [table, all] :
       {std::pair(keyed_, keyed_rows_), std::pair(appended_, appended_rows_)}) {
    ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
    ASSERT_OK_AND_ASSIGN(auto expected, all->SelectColumns({3, 0, 3}));
    EXPECT_TRUE(SameRows(*expected, *found));
  }
}

TEST_P(ScanTest, OfNoColumnsCountsRows) {
  ScanOptions options;
  options.columns = std::vector<std::string>{};
  options.filter = cp::equal(cp::field_ref("group"), cp::literal("g1"));
  ASSERT_OK_AND_ASSIGN(auto reader, keyed_->Scan(options));
  EXPECT_EQ(reader->schema()->num_fields(), 0);
  int64_t rows = 0;
  for (;;) {
    ASSERT_OK_AND_ASSIGN(auto batch, reader->Next());
    if (batch == nullptr) break;
    EXPECT_EQ(batch->num_columns(), 0);
    rows += batch->num_rows();
  }
  options.columns.reset();
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*keyed_, options));
  EXPECT_EQ(rows, found->num_rows());
  EXPECT_GT(rows, 0);
}

std::vector<cp::Expression> Filters() {
  const auto id = cp::field_ref("id");
  const auto group = cp::field_ref("group");
  const auto amount = cp::field_ref("amount");
  const auto flag = cp::field_ref("flag");
  return {cp::literal(true),
          cp::literal(false),
          cp::literal(arrow::MakeNullScalar(arrow::boolean())),
          flag,
          cp::not_(flag),
          cp::is_null(group),
          cp::equal(group, cp::literal("g2")),
          cp::equal(id, cp::literal(4321)),
          cp::greater(id, cp::literal(int64_t{4990})),
          cp::less(amount, cp::literal(3)),
          cp::and_(cp::greater_equal(amount, cp::literal(500.0)), flag),
          cp::or_(cp::is_null(amount), cp::equal(group, cp::literal("g0"))),
          cp::and_(cp::less(cp::literal(int64_t{100}), id), cp::less_equal(id, cp::literal(900))),
          cp::and_(cp::not_equal(amount, cp::literal(7.0)), cp::less(amount, cp::literal(9))),
          cp::and_(cp::greater(id, cp::literal(int64_t{1} << 40)), flag),
          cp::not_(cp::greater(id, cp::literal(50))),
          cp::equal(cp::field_ref(arrow::FieldRef("place", "x")), cp::literal(7)),
          cp::equal(cp::call("list_value_length", {cp::field_ref("tags")}), cp::literal(0)),
          cp::equal(cp::field_ref(arrow::FieldRef(1)), cp::literal("g3")),
          cp::greater(cp::call("add", {id, cp::literal(int64_t{1})}), cp::literal(int64_t{4000}))};
}

TEST_P(ScanTest, FiltersAgreeWithArrowOnTheSameRows) {
  for (const cp::Expression& filter : Filters()) {
    SCOPED_TRACE(filter.ToString());
    for (const auto& [table, all] :
         {std::pair(keyed_, keyed_rows_), std::pair(appended_, appended_rows_)}) {
      ASSERT_OK_AND_ASSIGN(auto bound, filter.Bind(*all->schema()));
      ASSERT_OK_AND_ASSIGN(auto combined, all->CombineChunksToBatch());
      ASSERT_OK_AND_ASSIGN(auto input, cp::MakeExecBatch(*all->schema(), combined));
      ASSERT_OK_AND_ASSIGN(auto mask, cp::ExecuteScalarExpression(bound, input));
      if (mask.is_scalar()) {
        ASSERT_OK_AND_ASSIGN(mask,
                             arrow::MakeArrayFromScalar(*mask.scalar(), combined->num_rows()));
      }
      ASSERT_OK_AND_ASSIGN(auto expected, cp::Filter(arrow::Datum(combined), mask));
      ScanOptions options;
      options.filter = filter;
      ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
      EXPECT_TRUE(SameRows(expected.record_batch(), found));
      ASSERT_OK_AND_ASSIGN(const int64_t count, table->Count(options));
      EXPECT_EQ(count, found->num_rows());
    }
  }
}

TEST_P(ScanTest, ARowThatTheFilterRefusesHidesOlderOnesThatItWouldKeep) {
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("state", arrow::int64())});
  ASSERT_OK(database_->CreateTable("states", schema, {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "states"));
  const auto rows = [&](int64_t step, int64_t state) {
    arrow::Int64Builder ids;
    arrow::Int64Builder states;
    for (int64_t id = 0; id < 1000; id += step) {
      EXPECT_TRUE(ids.Append(id).ok() && states.Append(state).ok());
    }
    const auto array = ids.Finish().ValueOrDie();
    return arrow::RecordBatch::Make(schema, array->length(), {array, states.Finish().ValueOrDie()});
  };
  ScanOptions open;
  open.filter = cp::equal(cp::field_ref("state"), cp::literal(1));
  ASSERT_OK(table->Insert(rows(1, 1)));
  ASSERT_OK(database_->Compact("states"));
  ASSERT_OK_AND_ASSIGN(auto before, database_->GetSnapshot());
  for (const int64_t step : {2, 3}) {
    ASSERT_OK(table->Insert(rows(step, 2)));
    ASSERT_OK(database_->Flush());
    ASSERT_OK_AND_ASSIGN(const int64_t count, table->Count(open));
    EXPECT_EQ(count, step == 2 ? 500 : 333);
  }
  // Both versions of a row in one block.
  ASSERT_OK(database_->Compact("states"));
  ASSERT_OK_AND_ASSIGN(const int64_t now, table->Count(open));
  EXPECT_EQ(now, 333);
  open.snapshot = before;
  ASSERT_OK_AND_ASSIGN(const int64_t then, table->Count(open));
  EXPECT_EQ(then, 1000);
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, open));
  EXPECT_EQ(found->num_rows(), 1000);
}

TEST_P(ScanTest, AFilterDoesNotFailOfRowsThatNobodySees) {
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("x", arrow::int64(), false)});
  ASSERT_OK(database_->CreateTable("divisors", schema, {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "divisors"));
  const auto insert = [&](const std::string& id, const std::string& x) {
    ARROW_ASSIGN_OR_RAISE(auto batch, BatchFromJson(schema, {id, x}));
    return table->Insert(batch);
  };
  ScanOptions large;
  large.filter = cp::greater(cp::call("divide", {cp::literal(int64_t{100}), cp::field_ref("x")}),
                             cp::literal(int64_t{30}));
  ASSERT_OK(insert("[1, 2, 3]", "[1, 2, 50]"));
  ASSERT_OK_AND_ASSIGN(auto before, database_->GetSnapshot());
  ASSERT_OK(insert("[4]", "[0]"));  // newer than the snapshot
  ASSERT_OK(database_->Compact("divisors"));
  EXPECT_FALSE(table->Count(large).ok());
  ASSERT_OK(insert("[4]", "[3]"));  // and overwritten for the others
  ASSERT_OK_AND_ASSIGN(const int64_t now, table->Count(large));
  EXPECT_EQ(now, 3);
  large.snapshot = before;
  ASSERT_OK_AND_ASSIGN(const int64_t then, table->Count(large));
  EXPECT_EQ(then, 2);
}

TEST_P(ScanTest, AfterAnErrorNoFurtherRowsCome) {
  ScanOptions options;
  options.batch_rows_max = 10;
  options.filter = cp::greater(cp::call("divide", {cp::literal(int64_t{100}), cp::field_ref("id")}),
                               cp::literal(int64_t{0}));
  ASSERT_OK_AND_ASSIGN(auto reader, keyed_->Scan(options));
  EXPECT_FALSE(reader->Next().ok()) << "the first id is 0";
  EXPECT_FALSE(reader->Next().ok());
}

TEST_P(ScanTest, BatchesMayBeAsLargeAsNumbersGo) {
  for (const bool reverse : {false, true}) {
    for (const auto& table : {keyed_, appended_}) {
      ScanOptions options;
      options.reverse = reverse;
      ASSERT_OK_AND_ASSIGN(auto expected, ScanAll(*table, options));
      options.batch_rows_max = std::numeric_limits<int64_t>::max();
      ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
      EXPECT_TRUE(SameRows(*expected, *found));
    }
  }
}

TEST_P(ScanTest, ZeroIsNotPositiveWhereDenormalNumbersCountAsZero) {
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("x", arrow::float64())});
  ASSERT_OK(database_->CreateTable("signs", schema, {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "signs"));
  ASSERT_OK_AND_ASSIGN(auto rows, BatchFromJson(schema, {"[1, 2, 3]", "[-1.0, 0.0, 1.0]"}));
  ASSERT_OK(table->Insert(rows));
  ScanOptions positive;
  positive.filter = cp::greater(cp::field_ref("x"), cp::literal(0.0));
  ASSERT_OK_AND_ASSIGN(auto opened, table->Scan(positive));
  const unsigned int usual = _mm_getcsr();
  _mm_setcsr(usual | 0x8040);  // both bits: of operands and of results
  const auto read = opened->ToTable();
  const auto above = table->Count(positive);
  positive.filter = cp::less(cp::field_ref("x"), cp::literal(0.0));
  const auto below = table->Count(positive);
  _mm_setcsr(usual);
  ASSERT_OK(read.status());
  EXPECT_EQ((*read)->num_rows(), 1);
  ASSERT_OK(above.status());
  EXPECT_EQ(*above, 1);
  ASSERT_OK(below.status());
  EXPECT_EQ(*below, 1);
}

TEST_P(ScanTest, AFilterThatIsRandomIsAppliedOnce) {
  ScanOptions half;
  half.filter =
      cp::less(cp::call("random", {}, cp::RandomOptions::FromSystemRandom()), cp::literal(0.5));
  ASSERT_OK_AND_ASSIGN(const int64_t rows, keyed_->Count(half));
  EXPECT_NEAR(static_cast<double>(rows) / static_cast<double>(keyed_rows_->num_rows()), 0.5, 0.1);
}

TEST_P(ScanTest, AFilterMayNameColumnsThatAreNotAskedFor) {
  ScanOptions options;
  options.columns = {"id"};
  options.filter = cp::equal(cp::field_ref("group"), cp::literal("g4"));
  ASSERT_OK_AND_ASSIGN(auto ids, ScanAll(*keyed_, options));
  options.columns.reset();
  ASSERT_OK_AND_ASSIGN(auto all, ScanAll(*keyed_, options));
  ASSERT_OK_AND_ASSIGN(auto expected, all->SelectColumns({0}));
  EXPECT_TRUE(SameRows(*expected, *ids));
}

TEST_P(ScanTest, ReverseGivesTheSameRowsFromTheOtherEnd) {
  ScanOptions options;
  options.reverse = true;
  for (const auto& [table, all] :
       {std::pair(keyed_, keyed_rows_), std::pair(appended_, appended_rows_)}) {
    ASSERT_OK_AND_ASSIGN(auto expected, Reversed(all));
    ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
    EXPECT_TRUE(SameRows(*expected, *found));
  }
}

TEST_P(ScanTest, ALimitCountsRowsBehindTheFilterInEitherDirection) {
  for (const bool reverse : {false, true}) {
    for (const bool filtered : {false, true}) {
      ScanOptions options;
      options.reverse = reverse;
      if (filtered) options.filter = cp::field_ref("flag");
      for (const auto& table : {keyed_, appended_}) {
        options.limit = -1;
        ASSERT_OK_AND_ASSIGN(auto all, ScanAll(*table, options));
        for (const int64_t limit : {0, 1, 63, 64, 65, 1000, 1000000}) {
          options.limit = limit;
          ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
          EXPECT_TRUE(SameRows(*all->Slice(0, limit), *found)) << limit;
          ASSERT_OK_AND_ASSIGN(const int64_t count, table->Count(options));
          EXPECT_EQ(count, found->num_rows()) << limit;
        }
      }
    }
  }
}

TEST_P(ScanTest, ARangeGivesTheRowsWithinIt) {
  const auto number = [](int64_t value) { return arrow::MakeScalar(value); };
  struct Case {
    KeyRange range;
    int64_t first;
    int64_t end;
  };
  const std::vector<Case> cases = {
      {{.lower = {number(0)}, .upper = {number(1)}}, 0, 1},
      {{.lower = {number(-5)}, .upper = {number(10)}}, 0, 10},
      {{.lower = {number(4321)}, .upper = {}}, 4321, kRows},
      {{.lower = {}, .upper = {number(1234)}}, 0, 1234},
      {{.lower = {number(17)}, .upper = {number(17)}}, 17, 17},
      {{.lower = {number(18)}, .upper = {number(17)}}, 18, 18},
      {{.lower = {number(kRows)}, .upper = {}}, kRows, kRows},
      {{.lower = {arrow::MakeScalar(int32_t{7})}, .upper = {arrow::MakeScalar(int32_t{9})}}, 7, 9}};
  for (const Case& c : cases) {
    for (const bool reverse : {false, true}) {
      ScanOptions options;
      options.range = c.range;
      options.reverse = reverse;
      ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*keyed_, options));
      auto expected = keyed_rows_->Slice(c.first, c.end - c.first);
      if (reverse) {
        ASSERT_OK_AND_ASSIGN(expected, Reversed(expected));
      }
      EXPECT_TRUE(SameRows(*expected, *found)) << c.first << " " << c.end;
    }
  }
}

TEST_P(ScanTest, BatchesAreNoLargerThanAskedFor) {
  ScanOptions options;
  options.batch_rows_max = 100;
  for (const auto& [table, all] :
       {std::pair(keyed_, keyed_rows_), std::pair(appended_, appended_rows_)}) {
    ASSERT_OK_AND_ASSIGN(auto reader, table->Scan(options));
    ASSERT_OK_AND_ASSIGN(auto batches, reader->ToRecordBatches());
    for (const auto& batch : batches) {
      EXPECT_GT(batch->num_rows(), 0);
      EXPECT_LE(batch->num_rows(), 100);
    }
    ASSERT_OK_AND_ASSIGN(auto found, arrow::Table::FromRecordBatches(batches));
    EXPECT_TRUE(SameRows(*all, *found));
  }
}

TEST_P(ScanTest, AReaderInProgressSeesNeitherWritesNorCompactionNorClose) {
  ScanOptions options;
  options.batch_rows_max = 1000;
  ASSERT_OK_AND_ASSIGN(auto reader, keyed_->Scan(options));
  ASSERT_OK_AND_ASSIGN(auto first, reader->Next());
  ASSERT_OK(keyed_->DeleteRange({}));
  ASSERT_OK_AND_ASSIGN(auto others, MakeRows(0, 100, 1, 5));
  ASSERT_OK(keyed_->Insert(others));
  ASSERT_OK(database_->Compact());
  keyed_.reset();
  appended_.reset();
  ASSERT_OK(database_.Close());
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches = {first};
  ASSERT_OK_AND_ASSIGN(auto rest, reader->ToRecordBatches());
  batches.insert(batches.end(), rest.begin(), rest.end());
  ASSERT_OK_AND_ASSIGN(auto found, arrow::Table::FromRecordBatches(batches));
  EXPECT_TRUE(SameRows(*keyed_rows_, *found));
}

TEST_P(ScanTest, AClosedReaderGivesNothingMore) {
  ASSERT_OK_AND_ASSIGN(auto reader, keyed_->Scan());
  ASSERT_OK(reader->Close());
  ASSERT_OK_AND_ASSIGN(auto batch, reader->Next());
  EXPECT_EQ(batch, nullptr);
}

TEST_P(ScanTest, AnEmptyTableHasItsSchemaAndNoRows) {
  ASSERT_OK(database_->CreateTable("empty", ScanSchema(), {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "empty"));
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
  EXPECT_EQ(found->num_rows(), 0);
  EXPECT_EQ(found->schema()->field_names(), ScanSchema()->field_names());
  ASSERT_OK_AND_ASSIGN(const int64_t count, table->Count());
  EXPECT_EQ(count, 0);
}

TEST_P(ScanTest, MistakesAreNamed) {
  ScanOptions unknown_column;
  unknown_column.columns = {"id", "nope"};
  EXPECT_FAILS_WITH("'nope'", keyed_->Scan(unknown_column));
  EXPECT_FAILS_WITH("'keyed'", keyed_->Scan(unknown_column));
  ScanOptions unknown_in_filter;
  unknown_in_filter.filter = cp::equal(cp::field_ref("nope"), cp::literal(1));
  EXPECT_FAILS_WITH("nope", keyed_->Scan(unknown_in_filter));
  EXPECT_FAILS_WITH("nope", keyed_->Count(unknown_in_filter));
  ScanOptions not_boolean;
  not_boolean.filter = cp::field_ref("id");
  EXPECT_FAILS_WITH("boolean", keyed_->Scan(not_boolean));
  ScanOptions no_such_comparison;
  no_such_comparison.filter = cp::equal(cp::field_ref("id"), cp::literal("text"));
  EXPECT_FALSE(keyed_->Scan(no_such_comparison).ok());
  ScanOptions no_rows_a_batch;
  no_rows_a_batch.batch_rows_max = 0;
  EXPECT_FAILS_WITH("batch_rows_max", keyed_->Scan(no_rows_a_batch));
  ScanOptions range;
  range.range.lower = {arrow::MakeScalar(int64_t{1})};
  EXPECT_FAILS_WITH("'appended'", appended_->Scan(range));
  range.range.lower = {arrow::MakeScalar("text")};
  EXPECT_FAILS_WITH("'id'", keyed_->Scan(range));
  range.range.lower = {arrow::MakeScalar(int64_t{1}), arrow::MakeScalar(int64_t{1})};
  EXPECT_FALSE(keyed_->Scan(range).ok());
  range.range.lower = {arrow::MakeNullScalar(arrow::int64())};
  EXPECT_FALSE(keyed_->Scan(range).ok());
}

class FilteredBatches : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(FilteredBatches, WhatIsLeftOfManyBlocksComesTogether) {
  constexpr int64_t kBlocks = 30;
  constexpr int64_t kBlockRows = 1000;
  TestDatabase database;
  ASSERT_OK(database.Open());
  ASSERT_OK(database->CreateTable("many", ScanSchema(),
                                  {.primary_key = GetParam(), .block_rows_max = kBlockRows}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database.get(), "many"));
  ASSERT_OK_AND_ASSIGN(auto rows, MakeRows(0, kBlocks * kBlockRows, 1, 0));
  ASSERT_OK(table->Insert(rows));
  ASSERT_OK(database->Compact());
  ScanOptions third;
  third.filter = cp::field_ref("flag");
  ASSERT_OK_AND_ASSIGN(auto reader, table->Scan(third));
  ASSERT_OK_AND_ASSIGN(const auto batches, reader->ToRecordBatches());
  ASSERT_OK_AND_ASSIGN(const int64_t kept, table->Count(third));
  ASSERT_GT(kept, kBlocks * kBlockRows / 4);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0]->num_rows(), kept);
  ScanOptions all;
  ASSERT_OK_AND_ASSIGN(reader, table->Scan(all));
  ASSERT_OK_AND_ASSIGN(const auto blocks, reader->ToRecordBatches());
  EXPECT_GE(blocks.size(), kBlocks) << "what is not filtered is not copied together";
}

INSTANTIATE_TEST_SUITE_P(Tables, FilteredBatches,
                         testing::Values(std::vector<std::string>{"id"},
                                         std::vector<std::string>{}),
                         [](const auto& info) { return info.param.empty() ? "Append" : "Keyed"; });

class CountOfFiles : public testing::TestWithParam<std::vector<std::string>> {};

TEST_P(CountOfFiles, ReadsNoBlock) {
  MemoryFileSystem fs;
  Options options;
  options.file_system = &fs;
  options.auto_compaction = false;
  ASSERT_OK_AND_ASSIGN(auto db, Database::Open("/db", options));
  ASSERT_OK(
      db->CreateTable("many", ScanSchema(), {.primary_key = GetParam(), .block_rows_max = 500}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db, "many"));
  // Two files that do not overlap, with rows of two commits each.
  for (int64_t first = 0; first < 4 * kRows; first += kRows) {
    ASSERT_OK_AND_ASSIGN(const auto rows, MakeRows(first, kRows, 1, 0));
    ASSERT_OK(table->Insert(rows));
    if (first % (2 * kRows) != 0) ASSERT_OK(db->Flush());
  }
  ASSERT_OK(db->Close());
  // So that whoever reads a block of the first half fails, of whichever columns.
  ASSERT_OK_AND_ASSIGN(const auto files, fs.List("/db/sst"));
  ASSERT_EQ(files.size(), 2u);
  for (const DirectoryEntry& file : files) {
    const std::string path = "/db/sst/" + file.name;
    ASSERT_OK_AND_ASSIGN(const int64_t size, fs.FileSize(path));
    for (int64_t at = 1000; at < size / 2; at += 1000) ASSERT_OK(fs.Damage(path, at, 1));
  }
  ASSERT_OK_AND_ASSIGN(db, Database::Open("/db", options));
  ASSERT_OK_AND_ASSIGN(table, Table::Open(db, "many"));
  ScanOptions without_columns;
  without_columns.columns.emplace();
  EXPECT_TRUE(IsCorruption(ScanAll(*table, without_columns).status()));
  ASSERT_OK_AND_ASSIGN(const int64_t count, table->Count());
  EXPECT_EQ(count, 4 * kRows);
}

INSTANTIATE_TEST_SUITE_P(Tables, CountOfFiles,
                         testing::Values(std::vector<std::string>{"id"},
                                         std::vector<std::string>{}),
                         [](const auto& info) { return info.param.empty() ? "Append" : "Keyed"; });

}  // namespace
}  // namespace marble::test

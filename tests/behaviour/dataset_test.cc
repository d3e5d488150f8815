// What a table promises as an Arrow dataset: the rows of one moment, in order, to whoever scans it
// through Arrow's scanner.
#include <marble/dataset.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <arrow/array/builder_primitive.h>
#include <arrow/compute/api.h>
#include <arrow/compute/expression.h>
#include <arrow/dataset/dataset.h>
#include <arrow/dataset/scanner.h>

#include "support/settled.h"

namespace marble::test {
namespace {

namespace cp = arrow::compute;
namespace ds = arrow::dataset;

using DatasetPtr = std::shared_ptr<ds::Dataset>;

constexpr int64_t kRows = 850'000;

std::shared_ptr<arrow::Schema> RowSchema() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("x", arrow::int32()),
                        arrow::field("s", arrow::struct_({arrow::field("y", arrow::int32())}))});
}

/// Rows of ids first, first + step, ...; x and s.y are functions of id and `salt`.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> MakeRows(int64_t first, int64_t rows,
                                                            int64_t step, int32_t salt) {
  arrow::Int64Builder ids;
  arrow::Int32Builder numbers;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t id = first + i * step;
    ARROW_RETURN_NOT_OK(ids.Append(id));
    ARROW_RETURN_NOT_OK(numbers.Append(static_cast<int32_t>(id % 1000) + salt));
  }
  ARROW_ASSIGN_OR_RAISE(auto id, ids.Finish());
  ARROW_ASSIGN_OR_RAISE(auto x, numbers.Finish());
  const auto schema = RowSchema();
  ARROW_ASSIGN_OR_RAISE(auto s, arrow::StructArray::Make({x}, schema->field(2)->type()->fields()));
  return arrow::RecordBatch::Make(schema, rows, {id, x, s});
}

/// How a dataset is scanned.
struct Query {
  cp::Expression filter = cp::literal(true);
  std::optional<std::vector<std::string>> columns = std::nullopt;
  bool use_threads = true;
};

arrow::Result<std::shared_ptr<ds::Scanner>> MakeScanner(const DatasetPtr& dataset,
                                                        const Query& query = {}) {
  ARROW_ASSIGN_OR_RAISE(auto builder, dataset->NewScan());
  ARROW_RETURN_NOT_OK(builder->Filter(query.filter));
  if (query.columns.has_value()) ARROW_RETURN_NOT_OK(builder->Project(*query.columns));
  ARROW_RETURN_NOT_OK(builder->UseThreads(query.use_threads));
  return builder->Finish();
}

arrow::Result<std::shared_ptr<arrow::Table>> Rows(const DatasetPtr& dataset,
                                                  const Query& query = {}) {
  ARROW_ASSIGN_OR_RAISE(auto scanner, MakeScanner(dataset, query));
  return scanner->ToTable();
}

arrow::Result<ds::FragmentVector> Fragments(const DatasetPtr& dataset,
                                            const cp::Expression& filter = cp::literal(true)) {
  ARROW_ASSIGN_OR_RAISE(auto bound, filter.Bind(*dataset->schema()));
  ARROW_ASSIGN_OR_RAISE(auto fragments, dataset->GetFragments(bound));
  return fragments.ToVector();
}

cp::Expression Id() { return cp::field_ref("id"); }

/// Over a table of several fragments when it is in files, keyed or not, with rows written twice.
class DatasetTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    ASSERT_OK(database_->CreateTable("keyed", RowSchema(), {.primary_key = {"id"}}));
    ASSERT_OK(database_->CreateTable("appended", RowSchema()));
    ASSERT_OK(Insert(0, kRows, 1, 0));
    ASSERT_OK(Settle(&database_, GetParam()));
    ASSERT_OK(Insert(0, kRows / 100, 100, 7));
    ASSERT_OK(Table::Open(database_.get(), "keyed").Value(&keyed_));
    ASSERT_OK(Table::Open(database_.get(), "appended").Value(&appended_));
  }
  arrow::Status Insert(int64_t first, int64_t rows, int64_t step, int32_t salt) {
    ARROW_ASSIGN_OR_RAISE(auto batch, MakeRows(first, rows, step, salt));
    for (const char* name : {"keyed", "appended"}) {
      ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database_.get(), name));
      ARROW_RETURN_NOT_OK(table->Insert(batch));
    }
    return arrow::Status::OK();
  }

  TestDatabase database_;
  std::shared_ptr<Table> keyed_;
  std::shared_ptr<Table> appended_;
};

INSTANTIATE_TEST_SUITE_P(Rows, DatasetTest,
                         testing::Values(Where::kMemory, Where::kFlushed, Where::kReopened),
                         NameOf);

TEST_P(DatasetTest, GivesWhatAScanGives) {
  const std::vector<cp::Expression> filters = {
      cp::literal(true),
      cp::equal(Id(), cp::literal(77)),
      cp::and_(cp::greater(Id(), cp::literal(300'000)), cp::less(Id(), cp::literal(600'000))),
      cp::equal(cp::field_ref("x"), cp::literal(7)),
      cp::less(cp::field_ref(arrow::FieldRef("s", "y")), cp::literal(3)),
      cp::less(Id(), cp::literal(0)),
  };
  for (const auto& table : {keyed_, appended_}) {
    ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table));
    for (const bool use_threads : {true, false}) {
      for (const auto& filter : filters) {
        ScanOptions options;
        options.filter = filter;
        ASSERT_OK_AND_ASSIGN(auto expected, ScanAll(*table, options));
        ASSERT_OK_AND_ASSIGN(auto found,
                             Rows(dataset, {.filter = filter, .use_threads = use_threads}));
        EXPECT_TRUE(SameRows(*expected, *found)) << filter.ToString();
        options.columns = {"x", "id"};
        ASSERT_OK_AND_ASSIGN(expected, ScanAll(*table, options));
        ASSERT_OK_AND_ASSIGN(found, Rows(dataset, {.filter = filter,
                                                   .columns = options.columns,
                                                   .use_threads = use_threads}));
        EXPECT_TRUE(SameRows(*expected, *found)) << filter.ToString();
      }
    }
  }
}

TEST_P(DatasetTest, CountsWhatAScanGives) {
  for (const auto& table : {keyed_, appended_}) {
    ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table));
    for (const auto& filter :
         {cp::literal(true), cp::less(Id(), cp::literal(450'000)),
          cp::equal(cp::field_ref("x"), cp::literal(7)), cp::less(Id(), cp::literal(0))}) {
      ScanOptions options;
      options.filter = filter;
      ASSERT_OK_AND_ASSIGN(const int64_t expected, table->Count(options));
      for (const bool use_threads : {true, false}) {
        ASSERT_OK_AND_ASSIGN(auto scanner,
                             MakeScanner(dataset, {.filter = filter, .use_threads = use_threads}));
        ASSERT_OK_AND_ASSIGN(const int64_t count, scanner->CountRows());
        EXPECT_EQ(count, expected) << filter.ToString();
      }
    }
  }
}

TEST_P(DatasetTest, HasFragmentsThatShareTheRowsInOrder) {
  for (const auto& table : {keyed_, appended_}) {
    ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table));
    ASSERT_OK_AND_ASSIGN(auto fragments, Fragments(dataset));
    EXPECT_EQ(fragments.size() > 1, GetParam() != Where::kMemory);
    std::vector<std::shared_ptr<arrow::Table>> parts;
    for (const auto& fragment : fragments) {
      ds::ScannerBuilder builder(dataset->schema(), fragment, std::make_shared<ds::ScanOptions>());
      ASSERT_OK_AND_ASSIGN(auto scanner, builder.Finish());
      ASSERT_OK_AND_ASSIGN(auto rows, scanner->ToTable());
      EXPECT_LT(rows->num_rows(), GetParam() == Where::kMemory ? 2 * kRows : kRows);
      parts.push_back(std::move(rows));
    }
    ASSERT_OK_AND_ASSIGN(auto all, arrow::ConcatenateTables(parts));
    ASSERT_OK_AND_ASSIGN(auto expected, ScanAll(*table));
    EXPECT_TRUE(SameRows(*expected, *all));
  }
}

TEST_P(DatasetTest, LeavesOutFragmentsBeyondTheFiltersKeys) {
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(keyed_));
  for (const int64_t id : {int64_t{0}, kRows / 2, kRows - 1}) {
    ASSERT_OK_AND_ASSIGN(auto fragments, Fragments(dataset, cp::equal(Id(), cp::literal(id))));
    EXPECT_EQ(fragments.size(), 1U);
  }
  const auto none = cp::and_(cp::less(Id(), cp::literal(5)), cp::greater(Id(), cp::literal(9)));
  ASSERT_OK_AND_ASSIGN(auto fragments, Fragments(dataset, none));
  EXPECT_TRUE(fragments.empty());
}

TEST_P(DatasetTest, ShowsItsMomentWhateverIsWrittenLater) {
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(keyed_));
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK_AND_ASSIGN(auto before, ScanAll(*keyed_));
  ASSERT_OK(Insert(kRows, 1000, 1, 0));
  ASSERT_OK(Insert(0, 1000, 3, 50));
  ASSERT_OK(keyed_->DeleteRange(
      {.lower = {arrow::MakeScalar(int64_t{100})}, .upper = {arrow::MakeScalar(kRows / 2)}}));
  ASSERT_OK(database_->Compact());
  ASSERT_OK_AND_ASSIGN(auto found, Rows(dataset));
  EXPECT_TRUE(SameRows(*before, *found));
  ASSERT_OK_AND_ASSIGN(auto of_snapshot, MakeDataset(keyed_, snapshot));
  ASSERT_OK_AND_ASSIGN(found, Rows(of_snapshot));
  EXPECT_TRUE(SameRows(*before, *found));
  ASSERT_OK_AND_ASSIGN(auto now, MakeDataset(keyed_));
  ASSERT_OK_AND_ASSIGN(found, Rows(now));
  ASSERT_OK_AND_ASSIGN(auto expected, ScanAll(*keyed_));
  EXPECT_TRUE(SameRows(*expected, *found));
}

TEST_P(DatasetTest, CanBeLeftInTheMiddle) {
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(keyed_));
  for (const bool use_threads : {true, false}) {
    ASSERT_OK_AND_ASSIGN(auto scanner, MakeScanner(dataset, {.use_threads = use_threads}));
    ASSERT_OK_AND_ASSIGN(auto head, scanner->Head(10));
    ASSERT_OK_AND_ASSIGN(auto expected, MakeRows(0, 10, 1, 0));
    ASSERT_EQ(head->num_rows(), 10);
    EXPECT_TRUE(head->column(0)->Equals(arrow::ChunkedArray(expected->column(0))));
    ASSERT_OK_AND_ASSIGN(scanner, MakeScanner(dataset, {.use_threads = use_threads}));
    ASSERT_OK_AND_ASSIGN(auto reader, scanner->ToRecordBatchReader());
    ASSERT_OK(reader->Next());
    ASSERT_OK(reader->Close());
  }
  // A batch that is being read may keep the handle for a moment.
  ASSERT_OK(database_->Close());
}

TEST_P(DatasetTest, RefusesScansAfterCloseAndFinishesThoseInProgress) {
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(keyed_));
  ASSERT_OK_AND_ASSIGN(auto expected, ScanAll(*keyed_));
  ASSERT_OK_AND_ASSIGN(auto scanner, MakeScanner(dataset));
  ASSERT_OK_AND_ASSIGN(auto reader, scanner->ToRecordBatchReader());
  ASSERT_OK_AND_ASSIGN(auto first, reader->Next());
  ASSERT_OK(database_->Close());
  EXPECT_FAILS_WITH("closed", Rows(dataset, {.filter = cp::equal(Id(), cp::literal(1))}));
  EXPECT_FAILS_WITH("closed", MakeDataset(keyed_));
  ASSERT_OK_AND_ASSIGN(auto rest, reader->ToTable());
  EXPECT_TRUE(SameRows(*expected->Slice(0, first->num_rows()),
                       *arrow::Table::FromRecordBatches({first}).ValueOrDie()));
  EXPECT_TRUE(SameRows(*expected->Slice(first->num_rows()), *rest));
}

TEST(Dataset, OfAnEmptyTableHasNoRows) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  ASSERT_OK(database->CreateTable("t", RowSchema(), {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table));
  ASSERT_OK_AND_ASSIGN(auto found, Rows(dataset));
  EXPECT_EQ(found->num_rows(), 0);
  EXPECT_TRUE(found->schema()->Equals(*dataset->schema()));
  ASSERT_OK_AND_ASSIGN(auto scanner, MakeScanner(dataset));
  EXPECT_EQ(scanner->CountRows().ValueOr(-1), 0);
}

TEST(Dataset, LeavesTermsOverOtherColumnsToTheScanner) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  ASSERT_OK(database->CreateTable("t", RowSchema(), {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto rows, MakeRows(0, 100, 1, 7));
  ASSERT_OK(table->Insert(rows));
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table));
  // Columns in another order, one of them new.
  auto schema =
      arrow::schema({arrow::field("x", arrow::int32()), arrow::field("id", arrow::int64()),
                     arrow::field("new", arrow::utf8())});
  ASSERT_OK_AND_ASSIGN(auto replaced, dataset->ReplaceSchema(schema));
  const auto small = cp::less(Id(), cp::literal(5));
  ASSERT_OK_AND_ASSIGN(
      auto found, Rows(replaced, {.filter = cp::and_(small, cp::is_null(cp::field_ref("new")))}));
  EXPECT_EQ(found->num_rows(), 5);
  EXPECT_EQ(found->column(2)->null_count(), 5);
  EXPECT_EQ(found->column(1)->chunk(0)->ToString(), rows->column(0)->Slice(0, 5)->ToString());
  // By position, 1 is another column than in the table.
  const auto second = cp::less(cp::field_ref(arrow::FieldRef(1)), cp::literal(int64_t{3}));
  ASSERT_OK_AND_ASSIGN(found, Rows(replaced, {.filter = second}));
  EXPECT_EQ(found->num_rows(), 3);
  ASSERT_OK_AND_ASSIGN(auto scanner,
                       MakeScanner(replaced, {.filter = cp::is_valid(cp::field_ref("new"))}));
  EXPECT_EQ(scanner->CountRows().ValueOr(-1), 0);
  auto other_type = arrow::schema({arrow::field("x", arrow::utf8())});
  EXPECT_FAILS_WITH("x", dataset->ReplaceSchema(other_type));
}

TEST(Dataset, ShowsTypesThatDuckDbTakesFiltersFor) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  auto item = arrow::struct_({arrow::field("d", arrow::dictionary(arrow::int8(), arrow::utf8()))});
  auto schema =
      arrow::schema({arrow::field("v", arrow::utf8_view()), arrow::field("b", arrow::binary_view()),
                     arrow::field("l", arrow::list_view(arrow::int32())),
                     arrow::field("r", arrow::run_end_encoded(arrow::int32(), arrow::float64())),
                     arrow::field("d", arrow::dictionary(arrow::int32(), arrow::utf8())),
                     arrow::field("n", item), arrow::field("p", arrow::list(arrow::utf8()))});
  ASSERT_OK(database->CreateTable("t", schema, {.primary_key = {"v"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table));
  const auto found = dataset->schema();
  EXPECT_EQ(found->field(0)->type()->ToString(), "large_string");
  EXPECT_EQ(found->field(1)->type()->ToString(), "large_binary");
  EXPECT_EQ(found->field(2)->type()->id(), arrow::Type::LARGE_LIST);
  EXPECT_EQ(found->field(3)->type()->ToString(), "double");
  EXPECT_TRUE(found->field(4)->type()->Equals(*schema->field(4)->type()));
  EXPECT_EQ(found->field(5)->type()->field(0)->type()->ToString(), "string");
  EXPECT_TRUE(found->field(6)->type()->Equals(*schema->field(6)->type()));
}

TEST(Dataset, PassesOnAFragmentsError) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  ASSERT_OK(database->CreateTable("t", RowSchema(), {.primary_key = {"id"}}));
  {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database.get(), "t"));
    ASSERT_OK_AND_ASSIGN(auto rows, MakeRows(0, kRows, 1, 0));
    ASSERT_OK(table->Insert(rows));
  }
  ASSERT_OK(database->Flush());
  ASSERT_OK(database.Close());
  // A byte of the last part's rows.
  std::filesystem::path file;
  for (const auto& entry : std::filesystem::directory_iterator(database.path() + "/sst")) {
    if (file.empty() || entry.file_size() > std::filesystem::file_size(file)) file = entry.path();
  }
  const auto damaged = static_cast<std::streamoff>(std::filesystem::file_size(file) / 10 * 7);
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(damaged);
  const char byte = static_cast<char>(stream.get() ^ 1);
  stream.seekp(damaged);
  stream.put(byte);
  stream.close();
  ASSERT_OK(database.Open());
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table));
  for (const bool use_threads : {true, false}) {
    EXPECT_FAILS_WITH(file.filename().string(), Rows(dataset, {.use_threads = use_threads}));
    // The parts before it can be read.
    ASSERT_OK(Rows(dataset, {.filter = cp::less(Id(), cp::literal(int64_t{1000})),
                             .use_threads = use_threads}));
  }
}

}  // namespace
}  // namespace marble::test

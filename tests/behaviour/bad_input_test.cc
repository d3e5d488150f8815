// What bad input gets: an error that names what is wrong, and nothing written.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "io/memory_file_system.h"
#include "support/child_process.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

std::shared_ptr<arrow::Schema> RowSchema() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8()),
                        arrow::field("score", arrow::float64(), /*nullable=*/false)});
}

class BadInputTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    ASSERT_OK(database_->CreateTable("rows", RowSchema(), {.primary_key = {"id"}}));
    ASSERT_OK(database_->CreateTable("log", RowSchema()));
    ASSERT_OK_AND_ASSIGN(rows_, Table::Open(database_.get(), "rows"));
    ASSERT_OK_AND_ASSIGN(log_, Table::Open(database_.get(), "log"));
  }
  /// Refused by both tables, with `text` in the message and no row written.
  void ExpectRefused(const std::string& text, const std::shared_ptr<arrow::RecordBatch>& batch) {
    for (const auto& table : {rows_, log_}) {
      EXPECT_FAILS_WITH(text, table->Insert(batch));
      EXPECT_FAILS_WITH("'" + table->info().name + "'", table->Insert(batch));
      // One bad batch spoils the good ones beside it.
      ASSERT_OK_AND_ASSIGN(auto good, BatchFromJson(RowSchema(), {"[7]", R"(["x"])", "[1]"}));
      EXPECT_FAILS_WITH(text, table->Insert({good, batch}));
      ASSERT_OK_AND_ASSIGN(const int64_t count, table->Count());
      EXPECT_EQ(count, 0);
    }
  }

  TestDatabase database_;
  std::shared_ptr<Table> rows_;
  std::shared_ptr<Table> log_;
};

TEST_F(BadInputTest, ASchemaThatDiffersIsRefusedByItsFirstDifferingField) {
  const auto id = arrow::field("id", arrow::int64());
  const auto name = arrow::field("name", arrow::utf8());
  const auto score = arrow::field("score", arrow::float64());
  struct Case {
    std::string text;
    arrow::FieldVector fields;
  };
  const std::vector<Case> cases = {
      {"'name'", {id, arrow::field("name", arrow::large_utf8()), score}},
      {"'id'", {arrow::field("id", arrow::int32()), arrow::field("name", arrow::int8()), score}},
      {"'title'", {id, arrow::field("title", arrow::utf8()), score}},
      {"'score'", {id, name}},
      {"'more'", {id, name, score, arrow::field("more", arrow::int8())}},
      {"'name'", {id, score, name}},
      {"'id'", {}}};
  for (const Case& c : cases) {
    ASSERT_OK_AND_ASSIGN(auto batch, arrow::RecordBatch::MakeEmpty(arrow::schema(c.fields)));
    ExpectRefused(c.text, batch);
  }
}

TEST_F(BadInputTest, ANullBatchIsRefused) { ExpectRefused("batch", nullptr); }

TEST_F(BadInputTest, ANullInANonNullableColumnIsRefusedByName) {
  ASSERT_OK_AND_ASSIGN(auto batch,
                       BatchFromJson(RowSchema(), {"[1, 2]", R"(["a", "b"])", "[1, null]"}));
  ExpectRefused("'score'", batch);
}

TEST_F(BadInputTest, ANullKeyIsRefusedByName) {
  ASSERT_OK_AND_ASSIGN(auto batch,
                       BatchFromJson(RowSchema(), {"[1, null]", R"(["a", "b"])", "[1, 2]"}));
  EXPECT_FAILS_WITH("'id'", rows_->Insert(batch));
  EXPECT_FAILS_WITH("'id'", rows_->Delete(batch));
  EXPECT_FAILS_WITH("'id'", rows_->Get(batch));
  ASSERT_OK_AND_ASSIGN(const int64_t count, rows_->Count());
  EXPECT_EQ(count, 0);
}

TEST_F(BadInputTest, AMissingKeyColumnIsRefusedByName) {
  auto schema = arrow::schema({arrow::field("name", arrow::utf8())});
  ASSERT_OK_AND_ASSIGN(auto batch, BatchFromJson(schema, {R"(["a"])"}));
  EXPECT_FAILS_WITH("'id'", rows_->Delete(batch));
  EXPECT_FAILS_WITH("'id'", rows_->Get(batch));
}

TEST_F(BadInputTest, TextThatIsNotUtf8IsRefusedByName) {
  const std::string bytes = "ok\xC3\x28";
  const std::vector<int32_t> offsets = {0, 2, 4};
  auto names = std::make_shared<arrow::StringArray>(2, arrow::Buffer::Wrap(offsets),
                                                    arrow::Buffer::FromString(bytes));
  ASSERT_OK_AND_ASSIGN(auto batch,
                       BatchFromJson(RowSchema(), {"[1, 2]", R"(["a", "b"])", "[1, 2]"}));
  ASSERT_OK_AND_ASSIGN(batch, batch->SetColumn(1, RowSchema()->field(1), names));
  ExpectRefused("'name'", batch);
}

TEST_F(BadInputTest, ABatchThatFailsValidateFullIsRefusedByName) {
  // The second string ends behind the bytes that are there; or the first one does, which is seen
  // only by who looks at every value.
  for (const std::vector<int32_t>& offsets :
       {std::vector<int32_t>{0, 2, 400}, std::vector<int32_t>{0, 400, 4}}) {
    auto names = std::make_shared<arrow::StringArray>(2, arrow::Buffer::Wrap(offsets),
                                                      arrow::Buffer::FromString("abcd"));
    ASSERT_OK_AND_ASSIGN(auto batch,
                         BatchFromJson(RowSchema(), {"[1, 2]", R"(["a", "b"])", "[1, 2]"}));
    ASSERT_OK_AND_ASSIGN(batch, batch->SetColumn(1, RowSchema()->field(1), names));
    ExpectRefused("'name'", batch);
  }
}

TEST_F(BadInputTest, ArraysOfPairsThatFailValidateFullAreRefusedByTable) {
  ASSERT_OK_AND_ASSIGN(auto pairs, KeyValue::Open(database_.get()));
  const std::vector<int32_t> good = {0, 1};
  const std::vector<int32_t> far = {0, 1 << 20};
  const auto bytes = arrow::Buffer::FromString("abcd");
  const arrow::BinaryArray sound(1, arrow::Buffer::Wrap(good), bytes);
  const arrow::BinaryArray overlong(1, arrow::Buffer::Wrap(far), bytes);
  EXPECT_FAILS_WITH("'default': the array of values is not valid", pairs->PutMany(sound, overlong));
  EXPECT_FAILS_WITH("'default': the array of keys is not valid", pairs->PutMany(overlong, sound));
  EXPECT_EQ(pairs->Get("a").ValueOrDie(), std::nullopt);
}

TEST_F(BadInputTest, ColumnsOfDifferentLengthsAreRefused) {
  ASSERT_OK_AND_ASSIGN(auto batch, BatchFromJson(RowSchema(), {"[1, 2]", R"(["a", "b"])", "[1]"}));
  ExpectRefused("'score'", batch);
}

TEST_F(BadInputTest, ATableOfTheSameNameMustBeEqual) {
  ASSERT_OK(database_->CreateTable("rows", RowSchema(), {.primary_key = {"id"}}));
  EXPECT_TRUE(IsConflict(database_->CreateTable("rows", RowSchema())));
  EXPECT_TRUE(IsConflict(database_->CreateTable("rows", RowSchema(), {.primary_key = {"name"}})));
  auto other = arrow::schema({arrow::field("id", arrow::int64())});
  EXPECT_TRUE(IsConflict(database_->CreateTable("rows", other, {.primary_key = {"id"}})));
  EXPECT_FAILS_WITH("'rows'", database_->CreateTable("rows", other, {.primary_key = {"id"}}));
}

TEST_F(BadInputTest, AnUnknownTableIsNotFoundByName) {
  EXPECT_TRUE(IsNotFound(Table::Open(database_.get(), "nope").status()));
  EXPECT_FAILS_WITH("'nope'", Table::Open(database_.get(), "nope"));
  EXPECT_TRUE(IsNotFound(database_->GetTable("nope").status()));
  EXPECT_TRUE(IsNotFound(database_->DropTable("nope")));
  WriteBatch batch;
  batch.Put("nope", "k", "v");
  EXPECT_TRUE(IsNotFound(database_->Write(batch)));
}

TEST_F(BadInputTest, BadTableNamesAreRefused) {
  const std::vector<std::string> names = {"",
                                          std::string(64 * 1024, 'n'),
                                          std::string(256, 'n'),
                                          "a/b",
                                          "..",
                                          "../up",
                                          "line\nbreak",
                                          std::string("zero\0", 5),
                                          "\xFF\xFE"};
  ASSERT_OK_AND_ASSIGN(const auto before, database_->ListTables());
  for (const std::string& name : names) {
    EXPECT_FALSE(database_->CreateTable(name, RowSchema()).ok()) << name.substr(0, 20);
  }
  ASSERT_OK_AND_ASSIGN(const auto after, database_->ListTables());
  EXPECT_EQ(before, after);
  ASSERT_OK(database_->CreateTable(std::string(255, 'n'), RowSchema()));
  ASSERT_OK(database_->CreateTable("\xC3\xBC with spaces: and \xE2\x82\xAC", RowSchema()));
}

TEST_F(BadInputTest, BadSchemasAreRefusedByColumn) {
  const auto refused = [&](const std::string& text, const arrow::FieldVector& fields,
                           const std::vector<std::string>& key) {
    EXPECT_FAILS_WITH(text,
                      database_->CreateTable("t", arrow::schema(fields), {.primary_key = key}));
  };
  const auto id = arrow::field("id", arrow::int64());
  refused("'nope'", {id}, {"nope"});
  refused("'id'", {id}, {"id", "id"});
  refused("'id'", {id, id}, {"id"});
  refused("column", {}, {});
  refused("_sequence", {id, arrow::field("_sequence", arrow::int8())}, {"id"});
  refused("_kind", {arrow::field("_kind", arrow::int8())}, {});
  refused("'l'", {arrow::field("l", arrow::list(arrow::int8()))}, {"l"});
  refused("'s'", {arrow::field("s", arrow::struct_({id}))}, {"s"});
  refused("'n'", {arrow::field("n", arrow::null())}, {"n"});
  const auto either = arrow::dense_union({arrow::field("i", arrow::int8())});
  refused("'u'", {id, arrow::field("u", either)}, {"id"});
  refused("'u'", {id, arrow::field("u", arrow::list(either))}, {"id"});
  // Widths whose bits are more than 32: Arrow writes such types and does not read them.
  const auto wide = arrow::fixed_size_binary(1 << 28);
  refused("'t'", {id, arrow::field("w", wide)}, {"id"});
  refused("'w'", {id, arrow::field("w", arrow::fixed_size_list(wide, 8))}, {"id"});
  refused("'w'", {id, arrow::field("w", arrow::fixed_size_binary(2'000'000'000))}, {"id"});
  const auto large = arrow::fixed_size_list(arrow::float64(), 1 << 28);
  refused("'f'", {id, arrow::field("f", large)}, {"id"});
  refused("'f'", {id, arrow::field("f", arrow::fixed_size_list(large, 1 << 28))}, {"id"});
  EXPECT_FALSE(database_->CreateTable("t", nullptr).ok());
  EXPECT_TRUE(IsNotFound(database_->GetTable("t").status()));
}

TEST_F(BadInputTest, TablesOfAnyOptionsThatAreTakenAreThereAfterReopening) {
  const auto schema = arrow::schema({arrow::field("id", arrow::int64())});
  const auto created = [&](const TableOptions& options) {
    return database_->CreateTable("t", schema, options);
  };
  EXPECT_FAILS_WITH("compression", created({.compression = static_cast<Compression>(3)}));
  EXPECT_FAILS_WITH("compression", created({.bottom_compression = static_cast<Compression>(9)}));
  EXPECT_FAILS_WITH("point_lookup", created({.point_lookup = static_cast<PointLookup>(3)}));
  EXPECT_FAILS_WITH("block_bytes", created({.block_bytes = (1 << 30) + 1}));
  EXPECT_FAILS_WITH("block_rows_max", created({.block_rows_max = -1}));
  ASSERT_OK(
      created({.block_bytes = 1 << 30, .block_rows_max = std::numeric_limits<int64_t>::max()}));
  rows_.reset();
  log_.reset();
  ASSERT_OK(database_.Close());
  ASSERT_OK(database_.Open());
  ASSERT_OK(database_->GetTable("t").status());
}

TEST_F(BadInputTest, RangesAndKeysOfATableWithoutAKeyAreRefusedByName) {
  ASSERT_OK_AND_ASSIGN(auto batch, BatchFromJson(RowSchema(), {"[1]", R"(["a"])", "[1]"}));
  EXPECT_FAILS_WITH("'log'", log_->Delete(batch));
  EXPECT_FAILS_WITH("'log'", log_->DeleteRange({}));
  EXPECT_FAILS_WITH("'log'", log_->Get(batch));
}

TEST_F(BadInputTest, BadBoundsAreRefusedByColumn) {
  const auto delete_from = [&](const KeyBound& lower) {
    return rows_->DeleteRange({.lower = lower, .upper = {}});
  };
  EXPECT_FAILS_WITH("'id'", delete_from({arrow::MakeScalar("text")}));
  EXPECT_FAILS_WITH("'id'", delete_from({arrow::MakeNullScalar(arrow::int64())}));
  EXPECT_FAILS_WITH("'id'", delete_from({arrow::MakeScalar(1.5)}));
  EXPECT_FALSE(delete_from({nullptr}).ok());
  EXPECT_FALSE(delete_from({arrow::MakeScalar(int64_t{1}), arrow::MakeScalar("a")}).ok());
}

TEST_F(BadInputTest, TheDefaultTableStays) {
  EXPECT_FALSE(database_->DropTable("default").ok());
  ASSERT_OK_AND_ASSIGN(auto kv, KeyValue::Open(database_.get()));
  ASSERT_OK(kv->Put("k", "v"));
}

TEST_F(BadInputTest, EveryTableCallAfterCloseIsRefusedAsClosed) {
  ASSERT_OK_AND_ASSIGN(auto batch, BatchFromJson(RowSchema(), {"[1]", R"(["a"])", "[1]"}));
  ASSERT_OK(rows_->Insert(batch));
  ASSERT_OK(database_->Close());
  ASSERT_OK(database_->Close());
  EXPECT_TRUE(database_->closed());
  WriteBatch writes;
  writes.Insert("rows", batch);
  const std::vector<arrow::Status> answers = {rows_->Insert(batch),
                                              rows_->Delete(batch),
                                              rows_->DeleteRange({}),
                                              rows_->Get(batch).status(),
                                              rows_->Scan().status(),
                                              rows_->Count().status(),
                                              Table::Open(database_.get(), "rows").status(),
                                              database_->CreateTable("t", RowSchema()),
                                              database_->DropTable("rows"),
                                              database_->ListTables().status(),
                                              database_->GetTable("rows").status(),
                                              database_->Write(writes),
                                              database_->GetSnapshot().status(),
                                              database_->Flush(),
                                              database_->SyncLog(),
                                              database_->Compact(),
                                              database_->GetStats().status()};
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_TRUE(IsClosed(answers[i])) << i << ": " << answers[i].ToString();
  }
}

TEST(BadDirectoryTest, NullDatabasesAreRefused) {
  EXPECT_TRUE(Table::Open(nullptr, "t").status().IsInvalid());
  EXPECT_TRUE(KeyValue::Open(nullptr).status().IsInvalid());
}

TEST(BadDirectoryTest, ADirectoryOfOtherFilesIsNotADatabase) {
  TestDirectory directory;
  std::ofstream(directory.path() + "/letter.txt") << "dear reader";
  EXPECT_FAILS_WITH(directory.path(), Database::Open(directory.path()));
  EXPECT_FAILS_WITH("letter.txt", Database::Open(directory.path()));
  EXPECT_TRUE(std::filesystem::exists(directory.path() + "/letter.txt"));
}

TEST(BadDirectoryTest, AMissingDirectoryIsRefusedWhereItMayNotBeMade) {
  TestDirectory directory;
  Options options;
  options.create_if_missing = false;
  EXPECT_FAILS_WITH("nothing_here", Database::Open(directory.path() + "/nothing_here", options));
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/nothing_here"));
}

TEST(BadDirectoryTest, AnOptionThatMakesNoSenseIsRefusedByName) {
  TestDirectory directory;
  const auto expect_refused = [&](const char* name, auto Options::* option, auto value) {
    Options options;
    options.*option = value;
    EXPECT_FAILS_WITH(name, Database::Open(directory.path(), options));
  };
  expect_refused("memory_budget", &Options::memory_budget, 0);
  expect_refused("memtable_bytes", &Options::memtable_bytes, -1);
  expect_refused("log_bytes_max", &Options::log_bytes_max, 0);
  expect_refused("target_file_bytes", &Options::target_file_bytes, -5);
  expect_refused("level_base_bytes", &Options::level_base_bytes, 0);
  expect_refused("background_threads", &Options::background_threads, 0);
  expect_refused("log_segment_bytes", &Options::log_segment_bytes, 65535);
  for (const int64_t huge : {(int64_t{1} << 50) + 1, std::numeric_limits<int64_t>::max()}) {
    expect_refused("memory_budget", &Options::memory_budget, huge);
    expect_refused("target_file_bytes", &Options::target_file_bytes, huge);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(BadDirectoryTest, APathMayBeRelativeAndEndInSlashes) {
  const TestDirectory directory;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  for (const char* path : {"plain", "./dotted//", "slashed/"}) {
    const auto database = Database::Open(path);
    EXPECT_TRUE(database.ok()) << database.status().ToString();
    EXPECT_TRUE(std::filesystem::exists(directory.path() + "/" + path + "/CURRENT")) << path;
  }
  std::filesystem::current_path(before);
}

TEST(BadDirectoryTest, ADatabaseOfARelativePathStaysWhereItIsWhenTheWorkingDirectoryChanges) {
  const TestDirectory directory;
  const TestDirectory elsewhere;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  auto opened = Database::Open("db");
  std::filesystem::current_path(elsewhere.path());
  EXPECT_TRUE(opened.ok()) << opened.status().ToString();
  if (opened.ok()) {
    auto kv = KeyValue::Open(*opened);
    EXPECT_TRUE(kv.ok() && (*kv)->Put("key", "value").ok());
    EXPECT_TRUE((*opened)->Flush().ok());
    EXPECT_TRUE((*opened)->Close().ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere.path()));
  std::filesystem::current_path(before);
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(directory.path() + "/db"));
  ASSERT_OK_AND_ASSIGN(auto kv, KeyValue::Open(database));
  EXPECT_TRUE(*kv->Exists("key"));
}

TEST(BadDirectoryTest, ANewDatabaseSurvivesLosingPowerWhateverItsPathLooksLike) {
  for (const char* path : {"/top", "/top/", "/a/b", "/a//b//"}) {
    MemoryFileSystem disk;
    ASSERT_OK(disk.CreateDirectory("/a"));
    ASSERT_OK(disk.SyncDirectory("/"));
    Options options;
    options.file_system = &disk;
    ASSERT_OK(Database::Open(path, options));
    disk.LoseUnsynced(LossPolicy::kDropAll, 1);
    options.create_if_missing = false;
    ASSERT_OK(Database::Open(path, options));
  }
}

TEST(BadDirectoryTest, APathThatIsAFileIsRefused) {
  TestDirectory directory;
  const std::string path = directory.path() + "/file";
  std::ofstream(path) << "text";
  EXPECT_FALSE(Database::Open(path).ok());
}

TEST_F(BadInputTest, MoreRowsOfNullsThanAMemtableTakesAreRefusedBeforeTheyAreLogged) {
  const auto schema = arrow::schema({arrow::field("nothing", arrow::null())});
  ASSERT_OK(database_->CreateTable("nulls", schema));
  ASSERT_OK_AND_ASSIGN(auto nulls, Table::Open(database_.get(), "nulls"));
  for (const int64_t rows : {int64_t{1} << 31, int64_t{1} << 61}) {
    const auto column = std::make_shared<arrow::NullArray>(rows);
    EXPECT_FAILS_WITH("nulls", nulls->Insert(arrow::RecordBatch::Make(schema, rows, {column})));
  }
  ASSERT_OK(nulls->Insert(*BatchFromJson(schema, {"[null]"})));
  nulls.reset();
  rows_.reset();
  log_.reset();
  ASSERT_OK(database_.Close());
  ASSERT_OK(database_.Open());
  ASSERT_OK_AND_ASSIGN(nulls, Table::Open(database_.get(), "nulls"));
  ASSERT_OK_AND_ASSIGN(const int64_t count, nulls->Count());
  EXPECT_EQ(count, 1);
}

TEST_F(BadInputTest, ListsOfNullsAreNothingTooHoweverLongTheyAre) {
  const auto type = arrow::fixed_size_list(arrow::null(), 4);
  const auto schema = arrow::schema({arrow::field("nothing", type)});
  ASSERT_OK(database_->CreateTable("nulls", schema));
  ASSERT_OK_AND_ASSIGN(const auto nulls, Table::Open(database_.get(), "nulls"));
  constexpr int64_t kRows = int64_t{1} << 40;
  const auto column = std::make_shared<arrow::FixedSizeListArray>(
      type, kRows, std::make_shared<arrow::NullArray>(4 * kRows));
  const auto batch = arrow::RecordBatch::Make(schema, kRows, arrow::ArrayVector{column});
  EXPECT_FAILS_WITH("hold nothing for table 'nulls'", nulls->Insert(batch));
}

/// One row: a list of nulls, which take no memory.
template <typename Lists, typename Offset>
std::shared_ptr<arrow::RecordBatch> OneList(const std::shared_ptr<arrow::Schema>& schema,
                                            Offset elements) {
  const std::vector<Offset> offsets = {0, elements};
  const auto column =
      std::make_shared<Lists>(schema->field(0)->type(), 1, arrow::Buffer::FromVector(offsets),
                              std::make_shared<arrow::NullArray>(elements));
  return arrow::RecordBatch::Make(schema, 1, {column});
}

TEST_F(BadInputTest, ListsOfMoreElementsThanARowMayHaveBytesAreRefused) {
  const auto null = arrow::null();
  const auto lists = arrow::schema({arrow::field("l", arrow::list(null))});
  const auto large_lists = arrow::schema({arrow::field("l", arrow::large_list(null))});
  const auto runs =
      arrow::schema({arrow::field("l", arrow::run_end_encoded(arrow::int64(), null))});
  ASSERT_OK_AND_ASSIGN(
      auto run, arrow::RunEndEncodedArray::Make(
                    int64_t{1} << 61,
                    std::make_shared<arrow::Int64Array>(
                        1, arrow::Buffer::FromVector(std::vector<int64_t>{int64_t{1} << 61})),
                    std::make_shared<arrow::NullArray>(1)));
  for (const auto& batch :
       {OneList<arrow::ListArray>(lists, int32_t{1} << 30),
        OneList<arrow::LargeListArray>(large_lists, int64_t{1} << 61),
        OneList<arrow::LargeListArray>(large_lists, std::numeric_limits<int64_t>::max()),
        arrow::RecordBatch::Make(runs, run->length(), {run})}) {
    ASSERT_OK(database_->CreateTable("lists", batch->schema()));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "lists"));
    EXPECT_FAILS_WITH("lists", table->Insert(batch));
    ASSERT_OK_AND_ASSIGN(const int64_t count, table->Count());
    EXPECT_EQ(count, 0);
    ASSERT_OK(database_->DropTable("lists"));
  }
}

TEST_F(BadInputTest, RunsThatWouldTakeTooMuchMemoryAreRefusedBeforeTheyAreExpanded) {
  // One word of 1 MiB for a million rows, and 65,536 nulls for as many.
  const std::string word(1 << 20, 'w');
  const std::vector<int64_t> word_offsets = {0, 1 << 20};
  const auto words = std::make_shared<arrow::LargeStringArray>(1, arrow::Buffer::Wrap(word_offsets),
                                                               arrow::Buffer::FromString(word));
  const auto list_schema = arrow::schema({arrow::field("l", arrow::list(arrow::null()))});
  const auto list = OneList<arrow::ListArray>(list_schema, int32_t{1} << 16)->column(0);
  for (const std::shared_ptr<arrow::Array>& value : {std::shared_ptr<arrow::Array>(words), list}) {
    const auto schema =
        arrow::schema({arrow::field("r", arrow::run_end_encoded(arrow::int32(), value->type()))});
    const int32_t rows = value == list ? 1 << 17 : 1 << 20;
    ASSERT_OK_AND_ASSIGN(auto ends, arrow::MakeArrayFromScalar(arrow::Int32Scalar(rows), 1));
    ASSERT_OK_AND_ASSIGN(auto run, arrow::RunEndEncodedArray::Make(rows, ends, value));
    ASSERT_OK(database_->CreateTable("runs", schema));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "runs"));
    EXPECT_FAILS_WITH("'r'", table->Insert(arrow::RecordBatch::Make(schema, rows, {run})));
    ASSERT_OK(database_->DropTable("runs"));
  }
}

TEST_F(BadInputTest, ListsOfElementsWithoutBytesAreFlushedAndReadHoweverManyThereAre) {
  const auto schema = arrow::schema({arrow::field("l", arrow::list(arrow::null()))});
  ASSERT_OK(database_->CreateTable("lists", schema));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "lists"));
  constexpr int32_t kElements = int32_t{1} << 29;
  constexpr int kRows = 6;  // so that all together are more than 32 bits count
  for (int i = 0; i < kRows; ++i) {
    ASSERT_OK(table->Insert(OneList<arrow::ListArray>(schema, kElements)));
  }
  table.reset();
  rows_.reset();
  log_.reset();
  ASSERT_OK(database_.Close());
  ASSERT_OK(database_.Open());
  ASSERT_OK(database_->Compact("lists"));
  ASSERT_OK_AND_ASSIGN(table, Table::Open(database_.get(), "lists"));
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
  ASSERT_EQ(found->num_rows(), kRows);
  for (const auto& chunk : found->column(0)->chunks()) {
    const auto& lists = static_cast<const arrow::ListArray&>(*chunk);
    for (int64_t i = 0; i < lists.length(); ++i) EXPECT_EQ(lists.value_length(i), kElements);
  }
}

TEST_F(BadInputTest, ListsWithoutRowsMayLackTheirOffsets) {
  const auto maps = arrow::map(arrow::utf8(), arrow::int8());
  ASSERT_OK(database_->CreateTable(
      "lists", arrow::schema({arrow::field("l", arrow::list(arrow::list(maps)))})));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "lists"));
  // The table's own types, of which arrays are stored as they are. A row of no lists, whose offsets
  // have no bytes; what lies behind these leads far away.
  const auto schema = table->info().schema;
  const auto type = schema->field(0)->type();
  const auto lists = type->field(0)->type();
  const std::vector<int32_t> behind = {1 << 30, 1 << 30};
  const auto none = arrow::SliceBuffer(arrow::Buffer::Wrap(behind), 0, 0);
  ASSERT_OK_AND_ASSIGN(auto no_maps, arrow::MakeEmptyArray(lists->field(0)->type()));
  const auto no_lists = arrow::ArrayData::Make(lists, 0, {nullptr, none}, {no_maps->data()});
  const auto offsets = arrow::Buffer::FromVector(std::vector<int32_t>{0, 0});
  const auto row = arrow::ArrayData::Make(type, 1, {nullptr, offsets}, {no_lists});
  ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, 1, {arrow::MakeArray(row)})));
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
  EXPECT_EQ(found->num_rows(), 1);
}

TEST(BadDirectoryTest, ADamagedCurrentIsReportedWithItsFile) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  ASSERT_OK(database.Close());
  const std::string current = database.path() + "/CURRENT";
  std::ofstream(current, std::ios::trunc) << "MANIFEST-000099";
  const arrow::Status status = database.Open();
  EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_NE(status.message().find("CURRENT"), std::string::npos) << status.ToString();
}

TEST(BadDirectoryTest, OpeningTwiceInAProcessSharesTheDatabaseIfTheOptionsAgree) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  ASSERT_OK_AND_ASSIGN(auto second,
                       Database::Open(database.path() + "/../" +
                                      std::filesystem::path(database.path()).filename().string()));
  ASSERT_OK_AND_ASSIGN(auto first_kv, KeyValue::Open(database.get()));
  ASSERT_OK_AND_ASSIGN(auto second_kv, KeyValue::Open(second));
  ASSERT_OK(first_kv->Put("k", "v"));
  ASSERT_OK_AND_ASSIGN(auto value, second_kv->Get("k"));
  EXPECT_EQ(value, "v");
  Options other;
  other.memtable_bytes = 1 << 20;
  EXPECT_TRUE(IsConflict(Database::Open(database.path(), other).status()));
  first_kv.reset();
  ASSERT_OK(database.Close());
  ASSERT_OK(second_kv->Put("k", "still open"));
}

TEST(BadDirectoryTest, AReadOnlyDatabaseRefusesWrites) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  {
    ASSERT_OK_AND_ASSIGN(auto kv, KeyValue::Open(database.get()));
    ASSERT_OK(kv->Put("k", "v"));
  }
  ASSERT_OK(database.Close());
  Options options;
  options.read_only = true;
  ASSERT_OK_AND_ASSIGN(auto read_only, Database::Open(database.path(), options));
  ASSERT_OK_AND_ASSIGN(auto kv, KeyValue::Open(read_only));
  ASSERT_OK_AND_ASSIGN(auto value, kv->Get("k"));
  EXPECT_EQ(value, "v");
  EXPECT_TRUE(IsReadOnly(kv->Put("k", "w")));
  EXPECT_TRUE(IsReadOnly(read_only->CreateTable("t", RowSchema())));
}

// The child of the next test; it does nothing unless that test starts it.
TEST(SecondProcessTest, OpensTheDirectoryOfItsParent) {
  const char* path = std::getenv("MARBLE_TEST_SECOND_PROCESS");
  if (path == nullptr) return;
  const auto start = std::chrono::steady_clock::now();
  const arrow::Status status = Database::Open(path).status();
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  std::cout << "refused within " << time.count() << " ms" << std::endl;
  EXPECT_TRUE(IsLocked(status)) << status.ToString();
  EXPECT_NE(status.message().find(std::to_string(::getppid())), std::string::npos)
      << status.ToString();
}

TEST(BadDirectoryTest, ASecondProcessIsRefusedWithThePidOfTheOwner) {
  TestDatabase database;
  ASSERT_OK(database.Open());
  ASSERT_EQ(::setenv("MARBLE_TEST_SECOND_PROCESS", database.path().c_str(), 1), 0);
  ASSERT_OK_AND_ASSIGN(auto child, ChildProcess::Start({"--gtest_filter=SecondProcessTest.*"}));
  const int status = child.Wait();
  ASSERT_EQ(::unsetenv("MARBLE_TEST_SECOND_PROCESS"), 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace marble::test

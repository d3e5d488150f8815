// What ImportFile and ExportFile promise: rows and types that come back from every format, columns
// matched by name, exact counts after failures, and files that appear whole or not at all.
#include <filesystem>
#include <fstream>

#include <arrow/api.h>
#include <arrow/extension/uuid.h>
#include <arrow/io/file.h>
#include <arrow/ipc/api.h>

#include <marble/transfer.h>

#include "io/memory_file_system.h"
#include "support/random.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

using arrow::field;

std::shared_ptr<arrow::Schema> UserSchema() {
  return arrow::schema({field("id", arrow::int64(), false), field("name", arrow::utf8()),
                        field("score", arrow::float64())});
}

class TransferTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(database_.Open()); }

  std::shared_ptr<Table> MakeTable(const std::string& name,
                                   const std::shared_ptr<arrow::Schema>& schema,
                                   std::vector<std::string> key = {"id"}) {
    EXPECT_TRUE(database_->CreateTable(name, schema, {.primary_key = std::move(key)}).ok());
    auto table = Table::Open(database_.get(), name);
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    return table.ValueOr(nullptr);
  }
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string WriteText(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }
  /// An IPC file of one batch.
  std::string WriteIpc(const std::string& name, const arrow::RecordBatch& batch) const {
    auto file = *arrow::io::FileOutputStream::Open(Path(name));
    auto writer = *arrow::ipc::MakeFileWriter(file, batch.schema());
    EXPECT_TRUE(writer->WriteRecordBatch(batch).ok());
    EXPECT_TRUE(writer->Close().ok());
    EXPECT_TRUE(file->Close().ok());
    return Path(name);
  }
  std::string WriteIpc(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                       const std::vector<std::string>& columns) const {
    return WriteIpc(name, **BatchFromJson(schema, columns));
  }
  size_t Files() const {
    const std::filesystem::directory_iterator files(directory_.path());
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

  TestDatabase database_;
  TestDirectory directory_;
};

std::shared_ptr<arrow::RecordBatch> SomeUsers() {
  return *BatchFromJson(UserSchema(),
                        {"[-1, 2, 3]", R"([null, "", "a, \"b\"\nc"])", "[null, -0.5, 1e300]"});
}

std::shared_ptr<arrow::RecordBatch> ManyUsers(int64_t rows) {
  arrow::Int64Builder ids;
  arrow::StringBuilder names;
  arrow::DoubleBuilder scores;
  for (int64_t i = 0; i < rows; ++i) {
    EXPECT_TRUE(ids.Append(i).ok());
    EXPECT_TRUE(names.Append("user " + std::to_string(i) + std::string(80, 'x')).ok());
    EXPECT_TRUE(scores.Append(static_cast<double>(i) / 7).ok());
  }
  return arrow::RecordBatch::Make(UserSchema(), rows,
                                  {*ids.Finish(), *names.Finish(), *scores.Finish()});
}

class TransferFormatTest : public TransferTest, public testing::WithParamInterface<const char*> {
 protected:
  std::string File() const { return Path(std::string("rows.") + GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Formats, TransferFormatTest,
                         testing::Values("parquet", "arrow", "arrows", "csv", "tsv"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(TransferFormatTest, RowsComeBackAsTheyWere) {
  auto table = MakeTable("users", UserSchema());
  ASSERT_OK(table->Insert(SomeUsers()));
  ASSERT_OK_AND_ASSIGN(const auto exported, ExportFile(table, File()));
  EXPECT_EQ(exported.rows, 3);
  EXPECT_EQ(exported.bytes, static_cast<int64_t>(std::filesystem::file_size(File())));
  auto copy = MakeTable("copy", UserSchema());
  ImportResult result;
  ASSERT_OK(ImportFile(copy, File(), {}, &result));
  EXPECT_EQ(result.rows, 3);
  EXPECT_TRUE(SameRows(SomeUsers(), *ScanAll(*copy)));
}

TEST_P(TransferFormatTest, ManyRowsComeBackInOneCommitAndInMany) {
  auto table = MakeTable("users", UserSchema());
  const auto rows = ManyUsers(200'000);
  ASSERT_OK(table->Insert(rows));
  ASSERT_OK(ExportFile(table, File()));
  for (const bool atomic : {false, true}) {
    auto copy = MakeTable(atomic ? "atomic" : "pieces", UserSchema());
    ImportResult result;
    ASSERT_OK(ImportFile(copy, File(), {.atomic = atomic}, &result));
    EXPECT_EQ(result.rows, rows->num_rows());
    EXPECT_TRUE(SameRows(rows, *ScanAll(*copy)));
  }
}

TEST_P(TransferFormatTest, ATableWithoutRowsGivesAFileWithoutRows) {
  auto table = MakeTable("users", UserSchema());
  ASSERT_OK_AND_ASSIGN(const auto exported, ExportFile(table, File()));
  EXPECT_EQ(exported.rows, 0);
  ImportResult result;
  ASSERT_OK(ImportFile(table, File(), {}, &result));
  EXPECT_EQ(result.rows, 0);
}

TEST_P(TransferFormatTest, BytesOfAnyKindAreRefusedOrReadAndCrashNothing) {
  auto table = MakeTable("users", UserSchema());
  ASSERT_OK(table->Insert(ManyUsers(500)));
  ASSERT_OK(ExportFile(table, File()));
  std::ifstream in(File(), std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  SCOPED_TRACE("MARBLE_SEED=" + std::to_string(SeedOfThisRun()));
  Random random(SeedOfThisRun());
  auto copy = MakeTable("copy", UserSchema());
  int refused = 0;
  for (int round = 0; round < 150; ++round) {
    std::string bad = good;
    if (round % 3 == 0) bad.resize(random.Uniform(bad.size()));
    // Half of the flips go to the end, where footers are.
    const size_t tail = std::min<size_t>(bad.size(), 700);
    for (int flips = 1 + round % 8; flips > 0 && !bad.empty(); --flips) {
      const size_t at = flips % 2 == 1 ? bad.size() - 1 - random.Uniform(tail)  //
                                       : random.Uniform(bad.size());
      bad[at] = static_cast<char>(random.Next());
    }
    WriteText(std::string("bad.") + GetParam(), bad);
    const auto status = ImportFile(copy, Path(std::string("bad.") + GetParam()));
    if (status.ok()) continue;
    ++refused;
    EXPECT_NE(status.message().find("bad."), std::string::npos) << status.ToString();
  }
  EXPECT_GT(refused, 0);
}

TEST_F(TransferTest, TypesComeBackFromParquetAndIpc) {
  const auto dictionary = arrow::dictionary(arrow::int8(), arrow::utf8());
  const auto schema = arrow::schema(
      {field("id", arrow::int32(), false), field("dict", dictionary),
       field("view", arrow::utf8_view()), field("uuid", arrow::extension::uuid()),
       field("list", arrow::list(arrow::int16())),
       field("struct",
             arrow::struct_({field("a", arrow::large_utf8()), field("b", arrow::date32())})),
       field("decimal", arrow::decimal128(12, 3)),
       field("time", arrow::timestamp(arrow::TimeUnit::NANO, "Europe/Berlin")),
       field("bytes", arrow::fixed_size_binary(2))});
  ASSERT_OK_AND_ASSIGN(auto uuids,
                       arrow::json::ArrayFromJSONString(arrow::fixed_size_binary(16),
                                                        R"(["0123456789abcdef", null])"));
  arrow::ArrayVector columns;
  const std::vector<std::string> json = {"[1, 2]",
                                         R"(["x", null])",
                                         R"([null, "longer than twelve bytes"])",
                                         "",
                                         "[[1, null], null]",
                                         R"([{"a": "t", "b": 3}, null])",
                                         R"(["1.500", null])",
                                         "[1234567890123456789, null]",
                                         R"(["ab", null])"};
  for (int i = 0; i < schema->num_fields(); ++i) {
    if (i == 3) {
      columns.push_back(arrow::ExtensionType::WrapArray(arrow::extension::uuid(), uuids));
      continue;
    }
    ASSERT_OK_AND_ASSIGN(auto column, arrow::json::ArrayFromJSONString(
                                          schema->field(i)->type(), json[static_cast<size_t>(i)]));
    columns.push_back(column);
  }
  const auto rows = arrow::RecordBatch::Make(schema, 2, columns);
  auto table = MakeTable("types", schema);
  ASSERT_OK(table->Insert(rows));
  for (const char* extension : {"parquet", "arrow", "arrows"}) {
    const std::string path = Path(std::string("types.") + extension);
    ASSERT_OK(ExportFile(table, path));
    auto copy = MakeTable(std::string("copy_") + extension, schema);
    ASSERT_OK(ImportFile(copy, path));
    EXPECT_TRUE(SameRows(rows, *ScanAll(*copy))) << extension;
  }
}

TEST_F(TransferTest, AnIpcFileHoldsDictionariesThatDifferFromBatchToBatch) {
  const auto schema =
      arrow::schema({field("id", arrow::int64(), false),
                     field("dict", arrow::dictionary(arrow::int32(), arrow::utf8()))});
  auto table = MakeTable("dicts", schema);
  arrow::Int64Builder ids;
  arrow::StringDictionary32Builder words;
  for (int64_t i = 0; i < 50'000; ++i) {
    ASSERT_OK(ids.Append(i));
    ASSERT_OK(words.Append("word" + std::to_string(i / 10)));
  }
  const auto rows = arrow::RecordBatch::Make(schema, 50'000, {*ids.Finish(), *words.Finish()});
  ASSERT_OK(table->Insert(rows));
  ExportOptions options;
  options.scan.batch_rows_max = 1000;
  ASSERT_OK(ExportFile(table, Path("dicts.arrow"), options));
  auto copy = MakeTable("copy", schema);
  ASSERT_OK(ImportFile(copy, Path("dicts.arrow")));
  EXPECT_EQ(*copy->Count(), 50'000);
  ASSERT_OK_AND_ASSIGN(auto a, ScanAll(*table));
  ASSERT_OK_AND_ASSIGN(auto b, ScanAll(*copy));
  EXPECT_TRUE(SameRows(*a, *b));
}

TEST_F(TransferTest, ColumnsAreMatchedByNameAndCastWhereNothingIsLost) {
  const auto table_schema = arrow::schema(
      {field("id", arrow::int64(), false), field("name", arrow::large_utf8()),
       field("tag", arrow::utf8()), field("score", arrow::float64()),
       field("at", arrow::timestamp(arrow::TimeUnit::MICRO)), field("absent", arrow::int8())});
  const auto file_schema = arrow::schema(
      {field("at", arrow::timestamp(arrow::TimeUnit::SECOND)), field("score", arrow::float32()),
       field("tag", arrow::dictionary(arrow::int8(), arrow::utf8())),
       field("name", arrow::utf8_view()), field("id", arrow::uint16())});
  auto table = MakeTable("users", table_schema);
  const auto path =
      WriteIpc("users.arrow", file_schema,
               {"[5, null]", "[0.5, 1.5]", R"(["x", "y"])", R"(["a", null])", "[2, 1]"});
  ASSERT_OK(ImportFile(table, path));
  ASSERT_OK_AND_ASSIGN(
      auto expected,
      BatchFromJson(table_schema, {"[1, 2]", R"([null, "a"])", R"(["y", "x"])", "[1.5, 0.5]",
                                   "[null, 5000000]", "[null, null]"}));
  EXPECT_TRUE(SameRows(expected, *ScanAll(*table)));
}

TEST_F(TransferTest, ATypeThatCannotKeepEveryValueIsRefusedByFileColumnAndBothTypes) {
  auto table = MakeTable("users", arrow::schema({field("id", arrow::int32(), false)}));
  const auto path = WriteIpc("wide.arrow", arrow::schema({field("id", arrow::int64())}), {"[1]"});
  const auto status = ImportFile(table, path);
  for (const char* part : {"'users'", "wide.arrow", "'id'", "int64", "int32"}) {
    EXPECT_NE(status.message().find(part), std::string::npos) << status.ToString();
  }
  EXPECT_EQ(*table->Count(), 0);
}

TEST_F(TransferTest, AValueThatDoesNotFitItsTypeIsRefusedByColumn) {
  auto table = MakeTable("users", UserSchema());
  const auto schema = arrow::schema({field("id", arrow::int64()), field("name", arrow::binary())});
  arrow::BinaryBuilder names;
  ASSERT_OK(names.Append("\xff\xfe"));
  arrow::Int64Builder ids;
  ASSERT_OK(ids.Append(1));
  const auto path = WriteIpc(
      "bytes.arrow", *arrow::RecordBatch::Make(schema, 1, {*ids.Finish(), *names.Finish()}));
  EXPECT_FAILS_WITH("'name'", ImportFile(table, path));
}

TEST_F(TransferTest, AnUnknownColumnIsRefusedUnlessItIsToBeIgnored) {
  auto table = MakeTable("users", UserSchema());
  const auto schema = arrow::schema({field("extra", arrow::utf8()), field("id", arrow::int64()),
                                     field("score", arrow::float64())});
  auto source = MakeTable("source", schema);
  ASSERT_OK_AND_ASSIGN(auto rows, BatchFromJson(schema, {R"(["x"])", "[1]", "[2.5]"}));
  ASSERT_OK(source->Insert(rows));
  ASSERT_OK_AND_ASSIGN(auto expected, BatchFromJson(UserSchema(), {"[1]", "[null]", "[2.5]"}));
  for (const char* extension : {"parquet", "arrow", "arrows", "csv"}) {
    const std::string path = Path(std::string("extra.") + extension);
    ASSERT_OK(ExportFile(source, path));
    EXPECT_FAILS_WITH("'extra'", ImportFile(table, path));
    EXPECT_EQ(*table->Count(), 0);
    ASSERT_OK(ImportFile(table, path, {.ignore_unknown_columns = true}));
    EXPECT_TRUE(SameRows(expected, *ScanAll(*table))) << extension;
    ASSERT_OK(table->DeleteRange({}));
  }
}

TEST_F(TransferTest, AColumnThatCannotBeNullMustBeInTheFile) {
  auto table = MakeTable("users", UserSchema());
  const auto path = WriteText("names.csv", "name,score\na,1\n");
  EXPECT_FAILS_WITH("'id'", ImportFile(table, path));
}

TEST_F(TransferTest, CsvValuesAreReadAsTheTablesTypes) {
  const auto schema =
      arrow::schema({field("id", arrow::utf8(), false), field("code", arrow::utf8_view()),
                     field("day", arrow::date32()),
                     field("kind", arrow::dictionary(arrow::int8(), arrow::utf8()))});
  auto table = MakeTable("codes", schema);
  const auto path =
      WriteText("codes.csv", "code;id;day;kind\n007;1;2026-11-28;a\n\"\";2;;\n;03;;a\n");
  ASSERT_OK(ImportFile(table, path, {.csv_delimiter = ';'}));
  ASSERT_OK_AND_ASSIGN(auto expected,
                       BatchFromJson(schema, {R"(["03", "1", "2"])", R"([null, "007", ""])",
                                              "[null, 20785, null]", R"(["a", "a", null])"}));
  EXPECT_TRUE(SameRows(expected, *ScanAll(*table)));
}

TEST_F(TransferTest, AValueOfCsvThatIsNoNumberIsRefusedByColumn) {
  auto table = MakeTable("users", UserSchema());
  const auto path = WriteText("bad.csv", "id,name,score\n1,a,NA\n");
  EXPECT_FAILS_WITH("'score'", ImportFile(table, path));
  ASSERT_OK(ImportFile(table, path, {.csv_nulls = {"", "NA"}}));
  EXPECT_EQ(*table->Count(), 1);
}

TEST_F(TransferTest, AColumnOfNullsAloneComesBackFromCsv) {
  const auto schema = arrow::schema({field("x", arrow::int64())});
  auto table = MakeTable("nulls", schema, {});
  ASSERT_OK_AND_ASSIGN(auto rows, BatchFromJson(schema, {"[null, 1, null]"}));
  ASSERT_OK(table->Insert(rows));
  ASSERT_OK(ExportFile(table, Path("nulls.csv")));
  auto copy = MakeTable("copy", schema, {});
  ASSERT_OK(ImportFile(copy, Path("nulls.csv")));
  EXPECT_TRUE(SameRows(rows, *ScanAll(*copy)));
}

TEST_F(TransferTest, AfterAFailureExactlyTheRowsThatTheResultNamesAreThere) {
  auto table = MakeTable("users", UserSchema(), {});
  std::string text = "id,name,score\n";
  const std::string name(100, 'n');
  for (int i = 0; i < 300'000; ++i) text += std::to_string(i) + "," + name + ",1\n";
  const auto path = WriteText("half.csv", text + "oops,,\n");
  ImportResult result;
  const auto status = ImportFile(table, path, {}, &result);
  EXPECT_FALSE(status.ok());
  EXPECT_GT(result.rows, 0);
  EXPECT_LT(result.rows, 300'000);
  EXPECT_EQ(*table->Count(), result.rows);
  EXPECT_NE(status.message().find(std::to_string(result.rows) + " rows"), std::string::npos)
      << status.ToString();
  ScanOptions last;
  last.limit = 1;
  last.reverse = true;
  ASSERT_OK_AND_ASSIGN(auto rows, ScanAll(*table, last));
  EXPECT_EQ((*rows->column(0)->GetScalar(0))->ToString(), std::to_string(result.rows - 1));
}

TEST_F(TransferTest, AnAtomicImportThatFailsWritesNothing) {
  auto table = MakeTable("users", UserSchema());
  std::string text = "id,name,score\n";
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i) + "," + std::string(90, 'n') + ",1\n";
  const auto path = WriteText("half.csv", text + "oops,,\n");
  ImportResult result;
  EXPECT_FAILS_WITH("half.csv", ImportFile(table, path, {.atomic = true}, &result));
  EXPECT_EQ(result.rows, 0);
  EXPECT_EQ(*table->Count(), 0);
}

TEST_F(TransferTest, ACallbackSeesTheImportGoOnAndCancelsIt) {
  auto table = MakeTable("users", UserSchema());
  auto source = MakeTable("source", UserSchema());
  ASSERT_OK(source->Insert(ManyUsers(400'000)));
  ASSERT_OK(ExportFile(source, Path("users.parquet")));
  const auto size = static_cast<int64_t>(std::filesystem::file_size(Path("users.parquet")));
  for (const bool atomic : {false, true}) {
    TransferProgress last;
    ImportOptions options;
    options.atomic = atomic;
    options.progress = [&](const TransferProgress& now) {
      EXPECT_GT(now.rows, last.rows);
      EXPECT_GE(now.bytes, last.bytes);
      EXPECT_LE(now.bytes, now.bytes_total);
      EXPECT_EQ(now.bytes_total, size);
      last = now;
      return now.rows < 100'000;
    };
    ImportResult result;
    ASSERT_OK(ImportFile(table, Path("users.parquet"), options, &result));
    EXPECT_TRUE(result.cancelled);
    EXPECT_EQ(result.rows, atomic ? 0 : last.rows);
    EXPECT_EQ(*table->Count(), result.rows);
    ASSERT_OK(table->DeleteRange({}));
  }
}

TEST_F(TransferTest, ATableCanBeMadeOfAFile) {
  const auto path = WriteText("new.csv", "id,name,score,empty\n1,a,2.5,\n");
  ASSERT_OK_AND_ASSIGN(const auto schema, ReadFileSchema(database_.get(), path));
  EXPECT_EQ(schema->ToString(), "id: int64\nname: string\nscore: double\nempty: string");
  auto table = MakeTable("new", schema);
  ASSERT_OK(ImportFile(table, path));
  ASSERT_OK(ExportFile(table, Path("new.parquet")));
  ASSERT_OK_AND_ASSIGN(const auto again, ReadFileSchema(database_.get(), Path("new.parquet")));
  EXPECT_TRUE(again->Equals(*table->info().schema)) << again->ToString();
}

TEST_F(TransferTest, AnExportTakesColumnsFilterRangeAndSnapshot) {
  auto table = MakeTable("users", UserSchema());
  ASSERT_OK(table->Insert(ManyUsers(100)));
  ExportOptions options;
  ASSERT_OK_AND_ASSIGN(options.scan.snapshot, database_->GetSnapshot());
  ASSERT_OK(table->DeleteRange({}));
  options.scan.columns = {"score", "id"};
  options.scan.range.lower = {arrow::MakeScalar(int64_t{10})};
  options.scan.filter =
      arrow::compute::less(arrow::compute::field_ref("id"), arrow::compute::literal(int64_t{13}));
  ASSERT_OK_AND_ASSIGN(const auto result, ExportFile(table, Path("part.csv"), options));
  EXPECT_EQ(result.rows, 3);
  std::ifstream in(Path("part.csv"));
  std::string line;
  std::getline(in, line);
  EXPECT_EQ(line, "\"score\",\"id\"");
}

TEST_F(TransferTest, AnExportReplacesAFileOnlyIfItIsToldTo) {
  auto table = MakeTable("users", UserSchema());
  const auto path = WriteText("old.csv", "precious");
  const auto refused = ExportFile(table, path).status();
  EXPECT_TRUE(IsConflict(refused)) << refused.ToString();
  EXPECT_EQ(std::filesystem::file_size(path), 8u);
  ASSERT_OK(ExportFile(table, path, {.overwrite = true}));
  EXPECT_NE(std::filesystem::file_size(path), 8u);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(TransferTest, AnExportThatIsCancelledLeavesNoFile) {
  auto table = MakeTable("users", UserSchema());
  ASSERT_OK(table->Insert(ManyUsers(1000)));
  ExportOptions options;
  options.scan.batch_rows_max = 100;
  options.progress = [](const TransferProgress& now) { return now.rows < 300; };
  for (const char* extension : {"parquet", "arrow", "arrows", "csv"}) {
    ASSERT_OK_AND_ASSIGN(const auto result,
                         ExportFile(table, Path(std::string("x.") + extension), options));
    EXPECT_TRUE(result.cancelled);
    EXPECT_EQ(Files(), 0u) << extension;
  }
}

TEST_F(TransferTest, NestedColumnsCannotBeWrittenToCsvAndTheErrorNamesThem) {
  auto table = MakeTable("lists", arrow::schema({field("id", arrow::int64(), false),
                                                 field("items", arrow::list(arrow::int8()))}));
  EXPECT_FAILS_WITH("'items'", ExportFile(table, Path("lists.csv")));
  EXPECT_EQ(Files(), 0u);
}

TEST_F(TransferTest, DatesThatParquetCannotHoldAreRefusedByColumn) {
  const auto schema = arrow::schema(
      {field("id", arrow::int64(), false), field("days", arrow::list(arrow::date64()))});
  auto table = MakeTable("dates", schema);
  ASSERT_OK(table->Insert(*BatchFromJson(schema, {"[1]", "[[185542587100800000, null]]"})));
  ASSERT_OK(ExportFile(table, Path("last.parquet")));  // the last day of 32 bits
  ASSERT_OK(table->Insert(*BatchFromJson(schema, {"[2]", "[[0, 185542587187200000]]"})));
  EXPECT_FAILS_WITH("'days'", ExportFile(table, Path("dates.parquet")));
  EXPECT_EQ(Files(), 1u);
}

TEST_F(TransferTest, CompressedFilesAreSmallerAndComeBack) {
  auto table = MakeTable("users", UserSchema());
  const auto rows = ManyUsers(10'000);
  ASSERT_OK(table->Insert(rows));
  for (const char* extension : {"parquet", "arrow", "arrows"}) {
    const std::string stem = Path("c_");
    ASSERT_OK_AND_ASSIGN(const auto plain, ExportFile(table, stem + "none." + extension,
                                                      {.compression = Compression::kNone}));
    for (const Compression compression : {Compression::kLz4, Compression::kZstd}) {
      const std::string path =
          stem + std::to_string(static_cast<int>(compression)) + "." + extension;
      ASSERT_OK_AND_ASSIGN(const auto small, ExportFile(table, path, {.compression = compression}));
      EXPECT_LT(small.bytes, plain.bytes);
      ASSERT_OK(table->DeleteRange({}));
      ASSERT_OK(ImportFile(table, path));
      EXPECT_TRUE(SameRows(rows, *ScanAll(*table)));
    }
  }
  EXPECT_FAILS_WITH("CSV", ExportFile(table, Path("c.csv"), {.compression = Compression::kZstd}));
}

TEST_F(TransferTest, AStreamNamedArrowIsRead) {
  auto table = MakeTable("users", UserSchema());
  ASSERT_OK(table->Insert(SomeUsers()));
  ASSERT_OK(ExportFile(table, Path("s.arrow"), {.format = FileFormat::kArrowStream}));
  ASSERT_OK(table->DeleteRange({}));
  ASSERT_OK(ImportFile(table, Path("s.arrow")));
  EXPECT_TRUE(SameRows(SomeUsers(), *ScanAll(*table)));
}

TEST_F(TransferTest, ANameThatTellsNoFormatIsRefused) {
  auto table = MakeTable("users", UserSchema());
  EXPECT_FAILS_WITH("does not tell its format", ExportFile(table, Path("users.xlsx")));
  EXPECT_FAILS_WITH("does not tell its format", ImportFile(table, WriteText("users", "id\n1\n")));
}

TEST_F(TransferTest, AFileThatIsNotThereIsNamed) {
  auto table = MakeTable("users", UserSchema());
  EXPECT_FAILS_WITH("none.csv", ImportFile(table, Path("none.csv")));
  EXPECT_FAILS_WITH("/none/", ExportFile(table, Path("none/users.csv")));
}

TEST(TransferOnDiskTest, AnExportThatRunsFullLeavesNoFile) {
  MemoryFileSystem fs;
  ASSERT_OK(fs.CreateDirectory("/out"));
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open("/db", {.file_system = &fs}));
  ASSERT_OK(database->CreateTable("users", UserSchema(), {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database, "users"));
  ASSERT_OK(table->Insert(ManyUsers(10'000)));
  for (const char* extension : {"parquet", "arrow", "arrows", "csv"}) {
    for (const FileOp op : {FileOp::kWrite, FileOp::kSync, FileOp::kRename}) {
      fs.FailNth(op, 1, ENOSPC, /*sticky=*/true);
      EXPECT_FALSE(ExportFile(table, std::string("/out/x.") + extension).ok());
      fs.ClearFaults();
      ASSERT_OK_AND_ASSIGN(const auto left, fs.List("/out"));
      EXPECT_TRUE(left.empty()) << extension << " " << static_cast<int>(op);
    }
  }
  ASSERT_OK(ExportFile(table, "/out/x.parquet"));
  fs.LoseUnsynced(LossPolicy::kDropAll, 1);
  EXPECT_TRUE(*fs.Exists("/out/x.parquet"));
}

}  // namespace
}  // namespace marble::test

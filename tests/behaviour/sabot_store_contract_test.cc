// The contract of sabot::storage's store backend: one suite, run on every backend.
#include <string>
#include <vector>

#include <arrow/c/bridge.h>
#include <arrow/util/key_value_metadata.h>

#include "sabot/storage/interface.h"
#include "support/sabot_test.h"
#include "support/test_database.h"

namespace sabot::storage {
namespace {

using marble::test::BatchFromJson;
using marble::test::SameRows;
using marble::test::TestDirectory;
using Names = std::vector<std::string>;

std::shared_ptr<arrow::Schema> StudentSchema() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8())});
}

std::shared_ptr<arrow::Scalar> Id(int64_t id) { return arrow::MakeScalar(id); }

class StoreContractTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = CreateStoreBackend(GetParam());
    ASSERT_NE(backend_, nullptr);
    config_.path = directory_.path();
    ASSERT_SABOT_OK(backend_->Open(config_));
    ASSERT_SABOT_OK(backend_->CreateTable("students", StudentSchema(), {.primary_key = {"id"}}));
    ASSERT_SABOT_OK(backend_->CreateTable("log", StudentSchema()));
  }
  static std::shared_ptr<arrow::RecordBatch> Rows(const std::string& ids,
                                                  const std::string& names) {
    return BatchFromJson(StudentSchema(), {ids, names}).ValueOr(nullptr);
  }
  testing::AssertionResult Holds(const std::string& name,
                                 const std::shared_ptr<arrow::RecordBatch>& expected) {
    std::shared_ptr<arrow::Table> table;
    const Status status = backend_->ScanTable(name, &table);
    if (!status.ok()) return testing::AssertionFailure() << status.ToString();
    return SameRows(expected, table);
  }
  static testing::AssertionResult SameAsBatches(
      const std::shared_ptr<arrow::RecordBatch>& expected,
      const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
    // The table's key columns are not nullable, those of the rows written here are.
    auto table = arrow::Table::FromRecordBatches(
        batches.empty() ? expected->schema() : batches[0]->schema(), batches);
    if (!table.ok()) return testing::AssertionFailure() << table.status().ToString();
    return SameRows(expected, *table);
  }

  TestDirectory directory_;
  StorageConfig config_;
  std::unique_ptr<StoreBackend> backend_;
};

INSTANTIATE_TEST_SUITE_P(Backends, StoreContractTest, testing::Values("marbledb", "memory"),
                         [](const auto& info) { return info.param; });

TEST_P(StoreContractTest, ListTablesIsSortedWithDefaultAndWithoutInternalNames) {
  ASSERT_SABOT_OK(backend_->CreateTable("__internal", StudentSchema()));
  Names names = {"to be replaced"};
  ASSERT_SABOT_OK(backend_->ListTables(&names));
  EXPECT_EQ(names, (Names{"default", "log", "students"}));
}

TEST_P(StoreContractTest, ListTablesAfterTheFoundingDocumentsStoreTest) {
  TestDirectory directory;
  auto backend = CreateStoreBackend(GetParam());
  ASSERT_SABOT_OK(backend->Open({.path = directory.path()}));
  ASSERT_SABOT_OK(backend->CreateTable("students", StudentSchema()));
  ASSERT_SABOT_OK(backend->InsertBatch("students", Rows("[1, 2, 3]", R"(["A", "B", "C"])")));
  ASSERT_SABOT_OK(backend->InsertBatch("students", Rows("[4, 5]", R"(["D", "E"])")));
  Names names;
  ASSERT_SABOT_OK(backend->ListTables(&names));
  EXPECT_EQ(names, (Names{"default", "students"}));
  ASSERT_SABOT_OK(backend->Flush());
}

TEST_P(StoreContractTest, CreatingAnEqualTableAgainIsFineAndAnotherOneIsRefused) {
  ASSERT_SABOT_OK(backend_->CreateTable("students", StudentSchema(), {.primary_key = {"id"}}));
  EXPECT_TRUE(backend_->CreateTable("students", StudentSchema()).IsAlreadyExists());
  auto other = arrow::schema({arrow::field("id", arrow::int64())});
  EXPECT_TRUE(backend_->CreateTable("students", other, {.primary_key = {"id"}}).IsAlreadyExists());
}

TEST_P(StoreContractTest, TheKeyMayStandInTheSchemasMetadata) {
  auto schema = StudentSchema()->WithMetadata(
      arrow::key_value_metadata({"marble.primary_key"}, {"name, id"}));
  ASSERT_SABOT_OK(backend_->CreateTable("keyed", schema));
  ASSERT_SABOT_OK(backend_->InsertBatch("keyed", Rows("[2, 1, 1]", R"(["a", "b", "b"])")));
  EXPECT_TRUE(Holds("keyed", Rows("[2, 1]", R"(["a", "b"])")));
  std::shared_ptr<arrow::Table> table;
  ASSERT_SABOT_OK(
      backend_->ScanRange("keyed", KeyBound{arrow::MakeScalar("b")}, KeyBound{}, &table));
  EXPECT_TRUE(SameRows(Rows("[1]", R"(["b"])"), table));
}

TEST_P(StoreContractTest, GetSchemaGivesTheSchema) {
  std::shared_ptr<arrow::Schema> schema;
  ASSERT_SABOT_OK(backend_->GetSchema("log", &schema));
  EXPECT_TRUE(schema->Equals(*StudentSchema()));
  ASSERT_SABOT_OK(backend_->GetSchema("students", &schema));
  EXPECT_EQ(schema->field_names(), StudentSchema()->field_names());
  EXPECT_FALSE(schema->field(0)->nullable());  // a key
  ASSERT_SABOT_OK(backend_->GetSchema("default", &schema));
  EXPECT_EQ(schema->field_names(), (Names{"key", "value"}));
}

TEST_P(StoreContractTest, BadTablesAreRefused) {
  for (const std::string& name : {std::string(), std::string(256, 'n'), std::string("a/b"),
                                  std::string(".."), std::string("a\nb"), std::string("\xFF")}) {
    EXPECT_TRUE(backend_->CreateTable(name, StudentSchema()).IsInvalidArgument()) << name;
  }
  EXPECT_TRUE(backend_->CreateTable("t", nullptr).IsInvalidArgument());
  EXPECT_TRUE(
      backend_->CreateTable("t", StudentSchema(), {.primary_key = {"nope"}}).IsInvalidArgument());
  auto lists = arrow::schema({arrow::field("l", arrow::list(arrow::int8()))});
  EXPECT_FALSE(backend_->CreateTable("t", lists, {.primary_key = {"l"}}).ok());
  auto unions =
      arrow::schema({arrow::field("u", arrow::dense_union({arrow::field("i", arrow::int8())}))});
  EXPECT_FALSE(backend_->CreateTable("t", unions).ok());
}

TEST_P(StoreContractTest, InsertIsAnUpsertOnKeyedTablesAndAppendsElsewhere) {
  for (const char* name : {"students", "log"}) {
    ASSERT_SABOT_OK(backend_->InsertBatch(name, Rows("[3, 1, 3]", R"(["c", "a", "C"])")));
    ASSERT_SABOT_OK(backend_->InsertBatch(name, Rows("[2, 1]", R"(["b", null])")));
  }
  EXPECT_TRUE(Holds("students", Rows("[1, 2, 3]", R"([null, "b", "C"])")));
  EXPECT_TRUE(Holds("log", Rows("[3, 1, 3, 2, 1]", R"(["c", "a", "C", "b", null])")));
}

TEST_P(StoreContractTest, ABatchOfAnotherSchemaIsRefusedByItsFirstDifferingField) {
  auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::binary())});
  ASSERT_OK_AND_ASSIGN(auto batch, BatchFromJson(schema, {"[1]", R"(["a"])"}));
  for (const char* name : {"students", "log"}) {
    const Status status = backend_->InsertBatch(name, batch);
    EXPECT_TRUE(status.IsInvalidArgument()) << status.ToString();
    EXPECT_NE(status.message().find("'name'"), std::string::npos) << status.ToString();
    EXPECT_TRUE(Holds(name, Rows("[]", "[]")));
  }
}

TEST_P(StoreContractTest, ABadRowSpoilsTheWholeBatch) {
  const Status status = backend_->InsertBatch("students", Rows("[1, null]", R"(["a", "b"])"));
  EXPECT_TRUE(status.IsInvalidArgument()) << status.ToString();
  EXPECT_NE(status.message().find("'id'"), std::string::npos) << status.ToString();
  EXPECT_TRUE(backend_->InsertBatch("students", nullptr).IsInvalidArgument());
  EXPECT_TRUE(Holds("students", Rows("[]", "[]")));
}

TEST_P(StoreContractTest, TheCallersMemoryMayBeReused) {
  std::vector<int64_t> ids = {1, 2};
  auto schema = arrow::schema({arrow::field("id", arrow::int64())});
  ASSERT_SABOT_OK(backend_->CreateTable("numbers", schema));
  auto array = std::make_shared<arrow::Int64Array>(2, arrow::Buffer::Wrap(ids));
  ASSERT_SABOT_OK(backend_->InsertBatch("numbers", arrow::RecordBatch::Make(schema, 2, {array})));
  ids.assign({9, 9});
  ASSERT_OK_AND_ASSIGN(auto expected, BatchFromJson(schema, {"[1, 2]"}));
  EXPECT_TRUE(Holds("numbers", expected));
}

TEST_P(StoreContractTest, AnEmptyTableHasItsSchemaAndNoRows) {
  std::shared_ptr<arrow::Table> table;
  ASSERT_SABOT_OK(backend_->ScanTable("log", &table));
  EXPECT_EQ(table->num_rows(), 0);
  EXPECT_TRUE(table->schema()->Equals(*StudentSchema()));
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  ASSERT_SABOT_OK(backend_->ScanTableBatches("log", &batches));
  EXPECT_TRUE(SameAsBatches(Rows("[]", "[]"), batches));
  int64_t count = -1;
  ASSERT_SABOT_OK(backend_->GetBatchCount("log", &count));
  EXPECT_EQ(count, static_cast<int64_t>(batches.size()));
}

TEST_P(StoreContractTest, ScanTableBatchesGivesAllRowsInOrder) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[2, 1]", R"(["b", "a"])")));
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  ASSERT_SABOT_OK(backend_->ScanTableBatches("students", &batches));
  EXPECT_TRUE(SameAsBatches(Rows("[1, 2]", R"(["a", "b"])"), batches));
}

TEST_P(StoreContractTest, BatchesByIndexAreOneSnapshotUntilTheyAreCleared) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1, 2]", R"(["a", "b"])")));
  const auto by_index = [&]() {
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    int64_t count = 0;
    EXPECT_TRUE(backend_->GetBatchCount("students", &count).ok());
    for (int64_t i = 0; i < count; ++i) {
      batches.emplace_back();
      EXPECT_TRUE(backend_->GetBatchAt("students", i, &batches.back()).ok());
    }
    return batches;
  };
  EXPECT_TRUE(SameAsBatches(Rows("[1, 2]", R"(["a", "b"])"), by_index()));
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[3]", R"(["c"])")));
  ASSERT_SABOT_OK(backend_->DeleteRange("students", KeyBound{}, KeyBound{Id(2)}));
  EXPECT_TRUE(SameAsBatches(Rows("[1, 2]", R"(["a", "b"])"), by_index()));
  ASSERT_SABOT_OK(backend_->ClearBatchCache("students"));
  EXPECT_TRUE(SameAsBatches(Rows("[2, 3]", R"(["b", "c"])"), by_index()));
}

TEST_P(StoreContractTest, ABatchIndexOutOfRangeIsInvalid) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1]", R"(["a"])")));
  int64_t count = 0;
  ASSERT_SABOT_OK(backend_->GetBatchCount("students", &count));
  std::shared_ptr<arrow::RecordBatch> batch;
  EXPECT_TRUE(backend_->GetBatchAt("students", count, &batch).IsInvalidArgument());
  EXPECT_TRUE(backend_->GetBatchAt("students", -1, &batch).IsInvalidArgument());
}

TEST_P(StoreContractTest, BoundsMayBeWrittenAsLists) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1, 2, 3]", R"(["A", "B", "C"])")));
  std::shared_ptr<arrow::Table> table;
  ASSERT_SABOT_OK(backend_->ScanRange("students", {}, {}, &table));
  EXPECT_EQ(table->num_rows(), 3);
  ASSERT_SABOT_OK(backend_->ScanRange("students", {Id(2)}, {}, &table));
  EXPECT_EQ(table->num_rows(), 2);
  EXPECT_TRUE(backend_->ScanRange("log", {}, {}, &table).IsInvalidArgument());
  ASSERT_SABOT_OK(backend_->DeleteRange("students", {Id(1)}, {Id(3)}));
  ASSERT_SABOT_OK(backend_->DeleteRange("students", KeyBound{}, {}));
  ASSERT_SABOT_OK(backend_->DeleteRange("students", {}, {}));
  EXPECT_TRUE(Holds("students", Rows("[]", "[]")));
}

TEST_P(StoreContractTest, BoundsAsStringsFitEveryStringAndBinaryKey) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::binary(),
                           arrow::large_binary(), arrow::utf8_view(), arrow::binary_view()}) {
    const std::string name = type->ToString();
    const auto schema = arrow::schema({arrow::field("k", type, /*nullable=*/false)});
    ASSERT_SABOT_OK(backend_->CreateTable(name, schema, {.primary_key = {"k"}}));
    ASSERT_OK_AND_ASSIGN(auto batch, BatchFromJson(schema, {R"(["a", "b", "c"])"}));
    ASSERT_SABOT_OK(backend_->InsertBatch(name, batch));
    std::shared_ptr<arrow::Table> table;
    ASSERT_SABOT_OK(backend_->ScanRange(name, "b", "", &table));
    EXPECT_EQ(table->num_rows(), 2) << name;
    ASSERT_SABOT_OK(backend_->DeleteRange(name, "a", "c"));
    ASSERT_SABOT_OK(backend_->ScanTable(name, &table));
    EXPECT_EQ(table->num_rows(), 1) << name;
  }
}

TEST_P(StoreContractTest, InsertBatchesWritesAllOfThemOrNothing) {
  const auto good = Rows("[1]", R"(["A"])");
  EXPECT_TRUE(
      backend_->InsertBatches("students", {good, Rows("[null]", R"(["B"])")}).IsInvalidArgument());
  EXPECT_TRUE(backend_->InsertBatches("students", {good, nullptr}).IsInvalidArgument());
  EXPECT_TRUE(Holds("students", Rows("[]", "[]")));
  ASSERT_SABOT_OK(backend_->InsertBatches("students", {}));
  ASSERT_SABOT_OK(backend_->InsertBatches("students", {good, Rows("[1, 0]", R"(["B", "C"])")}));
  EXPECT_TRUE(Holds("students", Rows("[0, 1]", R"(["C", "B"])")));
}

TEST_P(StoreContractTest, GetPrimaryKeyNamesTheKeyColumnsInTheirOrder) {
  ASSERT_SABOT_OK(backend_->CreateTable("two", StudentSchema(), {.primary_key = {"name", "id"}}));
  Names names = {"to be replaced"};
  ASSERT_SABOT_OK(backend_->GetPrimaryKey("two", &names));
  EXPECT_EQ(names, (Names{"name", "id"}));
  ASSERT_SABOT_OK(backend_->GetPrimaryKey("log", &names));
  EXPECT_EQ(names, Names{});
  EXPECT_TRUE(backend_->GetPrimaryKey("nowhere", &names).IsNotFound());
}

TEST_P(StoreContractTest, OpenAgainByAnotherSpellingOfThePathIsOk) {
  if (GetParam() == "memory") return;  // its paths are names
  StorageConfig config = config_;
  config.path += "/";
  ASSERT_SABOT_OK(backend_->Open(config));
}

TEST_P(StoreContractTest, ScanRangeTakesTheStartAndLeavesTheEnd) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1, 2, 3]", R"(["a", "b", "c"])")));
  std::shared_ptr<arrow::Table> table;
  ASSERT_SABOT_OK(backend_->ScanRange("students", KeyBound{Id(1)}, KeyBound{Id(3)}, &table));
  EXPECT_TRUE(SameRows(Rows("[1, 2]", R"(["a", "b"])"), table));
  ASSERT_SABOT_OK(backend_->ScanRange("students", KeyBound{Id(2)}, KeyBound{}, &table));
  EXPECT_TRUE(SameRows(Rows("[2, 3]", R"(["b", "c"])"), table));
  ASSERT_SABOT_OK(backend_->ScanRange("students", KeyBound{}, KeyBound{Id(2)}, &table));
  EXPECT_TRUE(SameRows(Rows("[1]", R"(["a"])"), table));
  ASSERT_SABOT_OK(backend_->ScanRange("students", KeyBound{Id(3)}, KeyBound{Id(1)}, &table));
  EXPECT_TRUE(SameRows(Rows("[]", "[]"), table));
}

TEST_P(StoreContractTest, DeleteRangeTakesTheStartAndLeavesTheEnd) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1, 2, 3]", R"(["a", "b", "c"])")));
  ASSERT_SABOT_OK(backend_->DeleteRange("students", KeyBound{Id(3)}, KeyBound{Id(1)}));
  ASSERT_SABOT_OK(backend_->DeleteRange("students", KeyBound{Id(1)}, KeyBound{Id(3)}));
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[2]", R"(["again"])")));
  EXPECT_TRUE(Holds("students", Rows("[2, 3]", R"(["again", "c"])")));
  ASSERT_SABOT_OK(backend_->DeleteRange("students", KeyBound{}, KeyBound{}));
  EXPECT_TRUE(Holds("students", Rows("[]", "[]")));
}

TEST_P(StoreContractTest, BoundsArePrefixesOfTheKey) {
  auto schema =
      arrow::schema({arrow::field("n", arrow::int32()), arrow::field("s", arrow::utf8())});
  ASSERT_SABOT_OK(backend_->CreateTable("pairs", schema, {.primary_key = {"s", "n"}}));
  ASSERT_OK_AND_ASSIGN(auto rows,
                       BatchFromJson(schema, {"[1, -1, 5, 1]", R"(["a", "a", "ab", "b"])"}));
  ASSERT_SABOT_OK(backend_->InsertBatch("pairs", rows));
  const auto text = [](const char* value) { return arrow::MakeScalar(value); };
  const auto number = [](int32_t value) { return arrow::MakeScalar(value); };
  std::shared_ptr<arrow::Table> table;
  ASSERT_SABOT_OK(backend_->ScanRange("pairs", KeyBound{text("a")}, KeyBound{text("ab")}, &table));
  ASSERT_OK_AND_ASSIGN(auto of_a, BatchFromJson(schema, {"[-1, 1]", R"(["a", "a"])"}));
  EXPECT_TRUE(SameRows(of_a, table));
  ASSERT_SABOT_OK(backend_->ScanRange("pairs", KeyBound{text("a"), number(0)},
                                      KeyBound{text("b"), number(1)}, &table));
  ASSERT_OK_AND_ASSIGN(auto some, BatchFromJson(schema, {"[1, 5]", R"(["a", "ab"])"}));
  EXPECT_TRUE(SameRows(some, table));
  const KeyBound too_long = {text("a"), number(0), number(0)};
  EXPECT_TRUE(backend_->ScanRange("pairs", too_long, KeyBound{}, &table).IsInvalidArgument());
  EXPECT_FALSE(backend_->ScanRange("pairs", KeyBound{nullptr}, KeyBound{}, &table).ok());
}

TEST_P(StoreContractTest, StringsBoundATableKeyedByOneString) {
  for (const auto& type : {arrow::utf8(), arrow::binary(), arrow::large_utf8()}) {
    const std::string name = "by_" + type->ToString();
    auto schema = arrow::schema({arrow::field("k", type), arrow::field("n", arrow::int32())});
    ASSERT_SABOT_OK(backend_->CreateTable(name, schema, {.primary_key = {"k"}}));
    ASSERT_OK_AND_ASSIGN(auto rows,
                         BatchFromJson(schema, {R"(["", "a", "b", "c"])", "[0, 1, 2, 3]"}));
    ASSERT_SABOT_OK(backend_->InsertBatch(name, rows));
    std::shared_ptr<arrow::Table> table;
    ASSERT_SABOT_OK(backend_->ScanRange(name, std::string("a"), std::string("c"), &table));
    EXPECT_TRUE(SameRows(rows->Slice(1, 2), table));
    ASSERT_SABOT_OK(backend_->ScanRange(name, std::string(""), std::string(""), &table));
    EXPECT_TRUE(SameRows(rows, table));
    ASSERT_SABOT_OK(backend_->DeleteRange(name, std::string("b"), std::string("")));
    EXPECT_TRUE(Holds(name, rows->Slice(0, 2)));
  }
  std::shared_ptr<arrow::Table> table;
  EXPECT_TRUE(backend_->ScanRange("students", std::string("a"), std::string("b"), &table)
                  .IsInvalidArgument());
}

TEST_P(StoreContractTest, RangesOfATableWithoutAKeyAreInvalid) {
  std::shared_ptr<arrow::Table> table;
  std::unique_ptr<BatchIterator> iterator;
  EXPECT_TRUE(backend_->ScanRange("log", KeyBound{}, KeyBound{}, &table).IsInvalidArgument());
  EXPECT_TRUE(backend_->ScanRange("log", KeyBound{Id(1)}, KeyBound{}, &table).IsInvalidArgument());
  EXPECT_TRUE(
      backend_->ScanRange("log", std::string("a"), std::string(""), &table).IsInvalidArgument());
  EXPECT_TRUE(backend_->DeleteRange("log", KeyBound{}, KeyBound{}).IsInvalidArgument());
  EXPECT_TRUE(backend_->DeleteRange("log", std::string(""), std::string("")).IsInvalidArgument());
  EXPECT_TRUE(backend_->NewIterator("log", {{Id(1)}, {}}, &iterator).IsInvalidArgument());
}

TEST_P(StoreContractTest, IteratorsWalkBatchesOfOneSnapshot) {
  for (const char* name : {"students", "log"}) {
    ASSERT_SABOT_OK(backend_->InsertBatch(name, Rows("[1, 2]", R"(["a", "b"])")));
    std::unique_ptr<BatchIterator> iterator;
    ASSERT_SABOT_OK(backend_->NewIterator(name, {}, &iterator));
    ASSERT_SABOT_OK(backend_->InsertBatch(name, Rows("[2, 3]", R"(["B", "c"])")));
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    for (; iterator->Valid(); iterator->Next()) batches.push_back(iterator->GetBatch());
    ASSERT_SABOT_OK(iterator->status());
    EXPECT_EQ(iterator->GetBatch(), nullptr);
    EXPECT_TRUE(SameAsBatches(Rows("[1, 2]", R"(["a", "b"])"), batches)) << name;
  }
  std::unique_ptr<BatchIterator> iterator;
  ASSERT_SABOT_OK(backend_->NewIterator("students", {{Id(3)}, {}}, &iterator));
  ASSERT_TRUE(iterator->Valid());
  EXPECT_TRUE(SameRows(Rows("[3]", R"(["c"])"), iterator->GetBatch()));
}

TEST_P(StoreContractTest, TheCStreamIsASnapshotThatOutlivesTheBackend) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[2, 1]", R"(["b", "a"])")));
  ArrowArrayStream stream;
  ASSERT_SABOT_OK(backend_->ExportTableToC("students", &stream));
  ASSERT_SABOT_OK(backend_->DeleteRange("students", KeyBound{}, KeyBound{}));
  ASSERT_SABOT_OK(backend_->Close());
  backend_.reset();
  ASSERT_OK_AND_ASSIGN(auto reader, arrow::ImportRecordBatchReader(&stream));
  ASSERT_OK_AND_ASSIGN(auto table, reader->ToTable());
  EXPECT_TRUE(SameRows(Rows("[1, 2]", R"(["a", "b"])"), table));
}

TEST_P(StoreContractTest, ACStreamMayBeReleasedUnread) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1]", R"(["a"])")));
  ArrowArrayStream stream;
  ASSERT_SABOT_OK(backend_->ExportTableToC("students", &stream));
  stream.release(&stream);
  EXPECT_EQ(stream.release, nullptr);
}

TEST_P(StoreContractTest, TheCArrayIsTheTableAsOneStruct) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[2]", R"(["b"])")));
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1]", R"([null])")));
  for (const auto& [name, expected] : {std::pair("students", Rows("[1, 2]", R"([null, "b"])")),
                                       std::pair("log", Rows("[]", "[]"))}) {
    ArrowSchema schema;
    ArrowArray array;
    ASSERT_SABOT_OK(backend_->ExportTableToC(name, &schema, &array));
    ASSERT_OK_AND_ASSIGN(auto batch, arrow::ImportRecordBatch(&array, &schema));
    EXPECT_TRUE(SameRows(expected, batch)) << name;
  }
}

TEST_P(StoreContractTest, ADroppedTableIsGoneAndItsNameIsFree) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1]", R"(["a"])")));
  int64_t count = 0;
  ASSERT_SABOT_OK(backend_->GetBatchCount("students", &count));
  ASSERT_SABOT_OK(backend_->DropTable("students"));
  EXPECT_TRUE(backend_->GetBatchCount("students", &count).IsNotFound());
  auto other = arrow::schema({arrow::field("x", arrow::int8())});
  ASSERT_SABOT_OK(backend_->CreateTable("students", other));
  ASSERT_SABOT_OK(backend_->GetBatchCount("students", &count));
  EXPECT_EQ(count, 0);
  EXPECT_TRUE(backend_->DropTable("default").IsInvalidArgument());
}

TEST_P(StoreContractTest, EveryCallOnAnUnknownTableIsNotFound) {
  std::shared_ptr<arrow::Table> table;
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  std::shared_ptr<arrow::RecordBatch> batch;
  std::unique_ptr<BatchIterator> iterator;
  int64_t count = 0;
  ArrowArrayStream stream;
  ArrowSchema c_schema;
  ArrowArray c_array;
  const std::string name = "nope";
  const std::vector<Status> answers = {
      backend_->DropTable(name),
      backend_->GetSchema(name, &schema),
      backend_->InsertBatch(name, Rows("[1]", R"(["a"])")),
      backend_->ScanTable(name, &table),
      backend_->ScanTableBatches(name, &batches),
      backend_->GetBatchCount(name, &count),
      backend_->GetBatchAt(name, 0, &batch),
      backend_->ClearBatchCache(name),
      backend_->ScanRange(name, KeyBound{}, KeyBound{}, &table),
      backend_->ScanRange(name, std::string("a"), std::string("b"), &table),
      backend_->DeleteRange(name, KeyBound{}, KeyBound{}),
      backend_->DeleteRange(name, std::string("a"), std::string("b")),
      backend_->NewIterator(name, {}, &iterator),
      backend_->ExportTableToC(name, &stream),
      backend_->ExportTableToC(name, &c_schema, &c_array)};
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_TRUE(answers[i].IsNotFound()) << i << ": " << answers[i].ToString();
    EXPECT_NE(answers[i].message().find("'nope'"), std::string::npos) << answers[i].ToString();
  }
}

TEST_P(StoreContractTest, EveryCallAfterCloseIsRefusedAsClosed) {
  ASSERT_SABOT_OK(backend_->Close());
  ASSERT_SABOT_OK(backend_->Close());
  std::shared_ptr<arrow::Table> table;
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  std::unique_ptr<BatchIterator> iterator;
  int64_t count = 0;
  Names names;
  ArrowArrayStream stream;
  const std::vector<Status> answers = {backend_->CreateTable("t", StudentSchema()),
                                       backend_->DropTable("log"),
                                       backend_->ListTables(&names),
                                       backend_->GetSchema("log", &schema),
                                       backend_->InsertBatch("log", Rows("[1]", R"(["a"])")),
                                       backend_->ScanTable("log", &table),
                                       backend_->ScanTableBatches("log", &batches),
                                       backend_->GetBatchCount("log", &count),
                                       backend_->ClearBatchCache("log"),
                                       backend_->ScanRange("log", KeyBound{}, KeyBound{}, &table),
                                       backend_->DeleteRange("log", KeyBound{}, KeyBound{}),
                                       backend_->NewIterator("log", {}, &iterator),
                                       backend_->ExportTableToC("log", &stream),
                                       backend_->Flush()};
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_TRUE(answers[i].IsClosed()) << i << ": " << answers[i].ToString();
  }
}

TEST_P(StoreContractTest, TablesAreThereWhenItIsOpenedAgain) {
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1, 2]", R"(["a", "b"])")));
  ASSERT_SABOT_OK(backend_->InsertBatch("log", Rows("[1, 1]", R"(["a", "b"])")));
  ASSERT_SABOT_OK(backend_->Close());
  ASSERT_SABOT_OK(backend_->Open(config_));
  EXPECT_TRUE(Holds("students", Rows("[1, 2]", R"(["a", "b"])")));
  EXPECT_TRUE(Holds("log", Rows("[1, 1]", R"(["a", "b"])")));
}

TEST_P(StoreContractTest, AStateAndAStoreBackendShareAPath) {
  auto state = CreateStateBackend(GetParam());
  ASSERT_SABOT_OK(state->Open(config_));
  ASSERT_SABOT_OK(state->Put("k", "v"));
  ASSERT_SABOT_OK(backend_->InsertBatch("students", Rows("[1]", R"(["a"])")));
  ASSERT_SABOT_OK(backend_->Close());
  std::string value;
  ASSERT_SABOT_OK(state->Get("k", &value));
  EXPECT_EQ(value, "v");
  ASSERT_SABOT_OK(backend_->Open(config_));
  EXPECT_TRUE(Holds("students", Rows("[1]", R"(["a"])")));
  Names names;
  ASSERT_SABOT_OK(backend_->ListTables(&names));
  EXPECT_EQ(names, (Names{"default", "log", "students"}));
}

}  // namespace
}  // namespace sabot::storage

// What Database::AlterTable promises, with the older rows in memory, in files, merged and after a
// reopen.
#include <marble/dataset.h>
#include <marble/schema_change.h>
#include <marble/table.h>

#include <arrow/compute/expression.h>
#include <arrow/dataset/scanner.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "support/settled.h"

namespace marble::test {
namespace {

namespace compute = arrow::compute;

std::shared_ptr<arrow::Schema> OldSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("count", arrow::int32()),
                        arrow::field("name", arrow::utf8())});
}

std::shared_ptr<arrow::RecordBatch> Rows(const std::shared_ptr<arrow::Schema>& schema,
                                         const std::vector<std::string>& columns) {
  auto batch = BatchFromJson(schema, columns);
  EXPECT_TRUE(batch.ok()) << batch.status().ToString();
  return batch.ValueOr(nullptr);
}

class AlterTableTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    ASSERT_OK(database_->CreateTable("t", OldSchema(), {.primary_key = {"id"}}));
    ASSERT_OK(Table::Open(database_.get(), "t").Value(&table_));
    ASSERT_OK(
        table_->Insert(Rows(OldSchema(), {"[1, 2, 3]", "[10, null, 30]", R"(["a", "b", null])"})));
  }
  arrow::Status Alter(const SchemaChange& change) { return database_->AlterTable("t", change); }
  arrow::Status MoveRows() {
    table_.reset();
    ARROW_RETURN_NOT_OK(Settle(&database_, GetParam()));
    return Table::Open(database_.get(), "t").Value(&table_);
  }
  const std::shared_ptr<arrow::Schema>& schema() const { return table_->info().schema; }
  testing::AssertionResult Holds(const std::vector<std::string>& columns,
                                 const ScanOptions& options = {}) const {
    auto rows = ScanAll(*table_, options);
    if (!rows.ok()) return testing::AssertionFailure() << rows.status().ToString();
    return SameRows(Rows((*rows)->schema(), columns), *rows);
  }

  TestDatabase database_;
  std::shared_ptr<Table> table_;
};

INSTANTIATE_TEST_SUITE_P(Rows, AlterTableTest,
                         testing::Values(Where::kMemory, Where::kFlushed, Where::kCompacted,
                                         Where::kReopened),
                         NameOf);

TEST_P(AlterTableTest, OlderRowsHaveTheDefaultOfANewColumn) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(Alter(SchemaChange()
                      .Add(arrow::field("unit", arrow::utf8(), false), arrow::MakeScalar("kg"))
                      .Add(arrow::field("weight", arrow::float64()))));
  ASSERT_OK(table_->Insert(Rows(schema(), {"[2]", "[20]", R"(["B"])", R"(["g"])", "[2.5]"})));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds({"[1, 2, 3]", "[10, 20, 30]", R"(["a", "B", null])", R"(["kg", "g", "kg"])",
                     "[null, 2.5, null]"}));
}

TEST_P(AlterTableTest, AColumnThatWasDroppedDoesNotComeBackUnderItsName) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(Alter(SchemaChange().Drop("count")));
  EXPECT_TRUE(Holds({"[1, 2, 3]", R"(["a", "b", null])"}));
  ASSERT_OK(Alter(SchemaChange().Add(arrow::field("count", arrow::int32()))));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds({"[1, 2, 3]", R"(["a", "b", null])", "[null, null, null]"}));
}

TEST_P(AlterTableTest, ColumnsKeepTheirValuesUnderNewNamesAndPlaces) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(Alter(SchemaChange()
                      .Rename("name", "count2")
                      .Rename("count", "name")
                      .Rename("count2", "count")
                      .Rename("id", "key")
                      .Reorder({"count", "key"})));
  EXPECT_EQ(schema()->field_names(), (std::vector<std::string>{"count", "key", "name"}));
  EXPECT_EQ(table_->info().options.primary_key, std::vector<std::string>{"key"});
  ASSERT_OK(table_->Insert(Rows(schema(), {R"(["c"])", "[3]", "[33]"})));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds({R"(["a", "b", "c"])", "[1, 2, 3]", "[10, null, 33]"}));
}

TEST_P(AlterTableTest, AWidenedColumnHoldsOldAndNewValues) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(
      Alter(SchemaChange().Widen("count", arrow::int64()).Widen("name", arrow::large_utf8())));
  ASSERT_OK(table_->Insert(Rows(schema(), {"[2]", "[9000000000]", R"(["B"])"})));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds({"[1, 2, 3]", "[10, 9000000000, 30]", R"(["a", "B", null])"}));
}

TEST_P(AlterTableTest, AColumnMayBecomeADictionaryOfItsValues) {
  ASSERT_OK(MoveRows());
  const auto dictionary = arrow::dictionary(arrow::int32(), arrow::utf8());
  ASSERT_OK(Alter(SchemaChange().Widen("name", dictionary)));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(schema()->field(2)->type()->Equals(*dictionary));
  EXPECT_TRUE(Holds({"[1, 2, 3]", "[10, null, 30]", R"(["a", "b", null])"}));
}

TEST_P(AlterTableTest, AColumnMayBeAllowedNulls) {
  ASSERT_OK(Alter(
      SchemaChange().Add(arrow::field("n", arrow::int8(), false), arrow::MakeScalar(int8_t{7}))));
  const auto row = Rows(schema(), {"[4]", "[4]", R"(["d"])", "[null]"});
  EXPECT_FAILS_WITH("'n'", table_->Insert(row));
  ASSERT_OK(Alter(SchemaChange().AllowNulls("n")));
  ASSERT_OK(table_->Insert(Rows(schema(), {"[4]", "[4]", R"(["d"])", "[null]"})));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(
      Holds({"[1, 2, 3, 4]", "[10, null, 30, 4]", R"(["a", "b", null, "d"])", "[7, 7, 7, null]"}));
}

TEST_P(AlterTableTest, TheDefaultFollowsAWidenedColumn) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(
      Alter(SchemaChange().Add(arrow::field("n", arrow::int8()), arrow::MakeScalar(int8_t{-7}))));
  ASSERT_OK(Alter(SchemaChange().Widen("n", arrow::int64()).Drop("name")));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds({"[1, 2, 3]", "[10, null, 30]", "[-7, -7, -7]"}));
}

TEST_P(AlterTableTest, FiltersSeeDefaultsAndWidenedValues) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(Alter(SchemaChange()
                      .Widen("count", arrow::int64())
                      .Add(arrow::field("unit", arrow::utf8()), arrow::MakeScalar("kg"))));
  ASSERT_OK(table_->Insert(
      Rows(schema(), {"[4, 5]", "[10, 9000000000]", R"(["d", "e"])", R"(["g", "kg"])"})));
  ASSERT_OK(MoveRows());
  ScanOptions options;
  options.columns = {{"id"}};
  options.filter = compute::equal(compute::field_ref("unit"), compute::literal("kg"));
  EXPECT_TRUE(Holds({"[1, 2, 3, 5]"}, options));
  options.filter = compute::equal(compute::field_ref("unit"), compute::literal("g"));
  EXPECT_TRUE(Holds({"[4]"}, options));
  options.filter =
      compute::greater(compute::field_ref("count"), compute::literal(int64_t{1} << 32));
  EXPECT_TRUE(Holds({"[5]"}, options));
  options.filter = compute::equal(compute::field_ref("count"), compute::literal(int64_t{10}));
  EXPECT_TRUE(Holds({"[1, 4]"}, options));
  options.filter = compute::is_null(compute::field_ref("count"));
  EXPECT_TRUE(Holds({"[2]"}, options));
}

TEST_P(AlterTableTest, RowsAreFoundByKeyWhateverSchemaTheyWereWrittenWith) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(Alter(SchemaChange().Drop("count").Add(arrow::field("unit", arrow::utf8()),
                                                   arrow::MakeScalar("kg"))));
  ASSERT_OK(table_->Insert(Rows(schema(), {"[4]", R"(["d"])", R"(["g"])"})));
  ASSERT_OK(MoveRows());
  const auto keys = arrow::schema({arrow::field("id", arrow::int64())});
  ASSERT_OK_AND_ASSIGN(auto found, table_->Get(Rows(keys, {"[4, 9, 1]"})));
  EXPECT_TRUE(SameRows(Rows(schema(), {"[4, 1]", R"(["d", "a"])", R"(["g", "kg"])"}),
                       *arrow::Table::FromRecordBatches({found})));
}

TEST_P(AlterTableTest, OlderRowsAreDeletedAndReplacedAsEver) {
  ASSERT_OK(MoveRows());
  ASSERT_OK(Alter(SchemaChange().Rename("id", "key").Drop("name")));
  const auto keys = arrow::schema({arrow::field("key", arrow::int64())});
  ASSERT_OK(table_->Delete(Rows(keys, {"[1]"})));
  ASSERT_OK(table_->Insert(Rows(schema(), {"[3]", "[33]"})));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds({"[2, 3]", "[null, 33]"}));
  ASSERT_OK(
      table_->DeleteRange({{arrow::MakeScalar(int64_t{2})}, {arrow::MakeScalar(int64_t{3})}}));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Holds({"[3]", "[33]"}));
}

TEST_P(AlterTableTest, SnapshotsAreReadWithTheNewSchema) {
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(Alter(SchemaChange().Rename("count", "total")));
  ASSERT_OK(table_->Insert(Rows(schema(), {"[1]", "[11]", R"(["A"])"})));
  if (GetParam() != Where::kReopened) ASSERT_OK(MoveRows());
  ScanOptions options;
  options.snapshot = snapshot;
  options.columns = {{"total"}};
  EXPECT_TRUE(Holds({"[10, null, 30]"}, options));
}

TEST_P(AlterTableTest, AnAppendTableKeepsTheOrderOfItsRows) {
  ASSERT_OK(database_->CreateTable("log", OldSchema()));
  ASSERT_OK_AND_ASSIGN(auto log, Table::Open(database_.get(), "log"));
  ASSERT_OK(log->Insert(Rows(OldSchema(), {"[2, 1]", "[1, 2]", R"(["x", "y"])"})));
  ASSERT_OK(database_->AlterTable("log",
                                  SchemaChange().Drop("name").Add(arrow::field("n", arrow::int64()),
                                                                  arrow::MakeScalar(int64_t{5}))));
  ASSERT_OK(log->Insert(Rows(log->info().schema, {"[2, 0]", "[3, 4]", "[6, null]"})));
  log.reset();
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(log, Table::Open(database_.get(), "log"));
  ASSERT_OK_AND_ASSIGN(auto rows, ScanAll(*log));
  EXPECT_TRUE(SameRows(
      Rows(log->info().schema, {"[2, 1, 2, 0]", "[1, 2, 3, 4]", "[5, 5, 6, null]"}), rows));
}

class AlterTableRulesTest : public AlterTableTest {};
INSTANTIATE_TEST_SUITE_P(Rows, AlterTableRulesTest, testing::Values(Where::kFlushed), NameOf);

TEST_P(AlterTableRulesTest, WhatCannotBeDoneIsRefusedByNameAndChangesNothing) {
  const auto before = schema();
  const auto field = [](const char* name) { return arrow::field(name, arrow::int64()); };
  EXPECT_FAILS_WITH("no column 'x'", Alter(SchemaChange().Drop("x")));
  EXPECT_FAILS_WITH("key column 'id' cannot be dropped", Alter(SchemaChange().Drop("id")));
  EXPECT_FAILS_WITH("key column 'id' cannot be widened",
                    Alter(SchemaChange().Widen("id", arrow::float64())));
  EXPECT_FAILS_WITH("key column 'id' cannot be nullable", Alter(SchemaChange().AllowNulls("id")));
  EXPECT_FAILS_WITH("two columns named 'name'", Alter(SchemaChange().Add(field("name"))));
  EXPECT_FAILS_WITH("two columns named 'name'", Alter(SchemaChange().Rename("count", "name")));
  EXPECT_FAILS_WITH("'_kind' is reserved", Alter(SchemaChange().Add(field("_kind"))));
  EXPECT_FAILS_WITH("has no name", Alter(SchemaChange().Rename("count", "")));
  EXPECT_FAILS_WITH("does not hold all", Alter(SchemaChange().Widen("count", arrow::int16())));
  EXPECT_FAILS_WITH("does not hold all", Alter(SchemaChange().Widen("count", arrow::float32())));
  EXPECT_FAILS_WITH("does not hold all", Alter(SchemaChange().Widen("name", arrow::binary())));
  EXPECT_FAILS_WITH("no default",
                    Alter(SchemaChange().Add(arrow::field("n", arrow::int64(), false))));
  EXPECT_FAILS_WITH("the default is of type",
                    Alter(SchemaChange().Add(field("n"), arrow::MakeScalar("text"))));
  EXPECT_FAILS_WITH("named twice", Alter(SchemaChange().Reorder({"id", "id"})));
  EXPECT_FAILS_WITH("no column 'x'", Alter(SchemaChange().Reorder({"id", "x"})));
  EXPECT_FAILS_WITH("no column 'x'", Alter(SchemaChange().Rename("x", "y")));
  EXPECT_FAILS_WITH("no column 'x'", Alter(SchemaChange().AllowNulls("x")));
  EXPECT_FAILS_WITH("a field, not null", Alter(SchemaChange().Add(nullptr)));
  EXPECT_FAILS_WITH("a type, not null", Alter(SchemaChange().Widen("count", nullptr)));
  const auto dense_union = arrow::dense_union({arrow::field("a", arrow::int64())});
  EXPECT_FAILS_WITH("column 'count'", Alter(SchemaChange().Widen("count", dense_union)));
  const auto add_union = SchemaChange().Add(arrow::field("u", dense_union));
  EXPECT_FAILS_WITH("column 'u'", Alter(add_union));
  EXPECT_FAILS_WITH("column 'u'", Alter(SchemaChange(add_union).Widen("u", arrow::int64())));
  // A name that is taken for a moment would make the next step mean another column.
  EXPECT_FAILS_WITH("two columns named 'id'",
                    Alter(SchemaChange().Rename("count", "id").Rename("id", "count")));
  EXPECT_FAILS_WITH("two columns named 'name'",
                    Alter(SchemaChange().Rename("count", "name").Drop("name")));
  EXPECT_FAILS_WITH("limit", Alter(SchemaChange().Add(arrow::field("n", arrow::utf8()),
                                                      arrow::MakeScalar(std::string(300, 'x')))));
  // The first step alone would do.
  EXPECT_FAILS_WITH("table 't'", Alter(SchemaChange().Add(field("n")).Drop("x")));
  EXPECT_FAILS_WITH("no table 'u'", database_->AlterTable("u", SchemaChange().Drop("x")));
  EXPECT_FAILS_WITH("key-value table",
                    database_->AlterTable("default", SchemaChange().Add(field("n"))));
  EXPECT_TRUE(schema()->Equals(*before));
  EXPECT_TRUE(Holds({"[1, 2, 3]", "[10, null, 30]", R"(["a", "b", null])"}));
}

TEST_P(AlterTableRulesTest, ADefaultThatIsNoValueOfItsColumnIsRefused) {
  const auto add = [&](const std::shared_ptr<arrow::Field>& field,
                       const std::shared_ptr<arrow::Scalar>& value) {
    return Alter(SchemaChange().Add(field, value));
  };
  const auto text = std::make_shared<arrow::StringScalar>(std::string("\xff\xfe"));
  EXPECT_FAILS_WITH("column 'n': ", add(arrow::field("n", arrow::utf8()), text));
  const auto child = arrow::field("a", arrow::int64(), false);
  const auto no_child = std::make_shared<arrow::StructScalar>(
      arrow::ScalarVector{arrow::MakeNullScalar(arrow::int64())}, arrow::struct_({child}));
  EXPECT_FAILS_WITH("column 'n': ", add(arrow::field("n", no_child->type), no_child));
  EXPECT_TRUE(Holds({"[1, 2, 3]", "[10, null, 30]", R"(["a", "b", null])"}));
}

TEST_P(AlterTableRulesTest, StepsThatChangeNothingLeaveTheSchema) {
  const auto before = schema();
  ASSERT_OK(Alter(SchemaChange().Rename("count", "count").Rename("id", "id")));
  ASSERT_OK(Alter(SchemaChange().Rename("count", "n").Rename("n", "count")));
  EXPECT_TRUE(schema()->Equals(*before, /*check_metadata=*/true));
}

TEST_P(AlterTableRulesTest, TheKeyNamedByTheMetadataIsRenamedWithItsColumn) {
  const auto metadata = arrow::key_value_metadata({"marble.primary_key", "owner"}, {"id", "us"});
  ASSERT_OK(database_->CreateTable("m", OldSchema()->WithMetadata(metadata), {}));
  ASSERT_OK(database_->AlterTable("m", SchemaChange().Rename("id", "key")));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "m"));
  EXPECT_EQ(table->info().options.primary_key, std::vector<std::string>{"key"});
  ASSERT_NE(table->info().schema->metadata(), nullptr);
  EXPECT_EQ(table->info().schema->metadata()->Get("owner").ValueOr(""), "us");
  EXPECT_NE(table->info().schema->metadata()->Get("marble.primary_key").ValueOr(""), "id");
}

TEST_P(AlterTableRulesTest, ATableDoesNotBecomeAKeyValueTable) {
  const auto schema =
      arrow::schema({arrow::field("k", arrow::binary(), false), arrow::field("v", arrow::binary()),
                     arrow::field("n", arrow::int64())});
  ASSERT_OK(database_->CreateTable("kv", schema, {.primary_key = {"k"}}));
  ASSERT_OK_AND_ASSIGN(auto kv, Table::Open(database_.get(), "kv"));
  ASSERT_OK(kv->Insert(Rows(schema, {R"(["a"])", R"(["1"])", "[1]"})));
  ASSERT_OK(database_->AlterTable("kv", SchemaChange().Drop("n")));
  ASSERT_OK(kv->Insert(Rows(kv->info().schema, {R"(["b"])", R"(["2"])"})));
  EXPECT_FALSE(kv->info().is_key_value);
  EXPECT_FAILS_WITH("kv", KeyValue::Open(database_.get(), "kv"));
  kv.reset();
  ASSERT_OK(Settle(&database_, Where::kReopened));
  ASSERT_OK_AND_ASSIGN(kv, Table::Open(database_.get(), "kv"));
  ASSERT_OK_AND_ASSIGN(auto rows, ScanAll(*kv));
  EXPECT_TRUE(SameRows(Rows(kv->info().schema, {R"(["a", "b"])", R"(["1", "2"])"}), rows));
}

TEST_P(AlterTableRulesTest, AReaderInProgressGoesOnWithTheSchemaItBeganWith) {
  ASSERT_OK_AND_ASSIGN(auto reader, table_->Scan());
  ASSERT_OK(Alter(SchemaChange().Drop("name").Widen("count", arrow::int64())));
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(auto rows, reader->ToTable());
  EXPECT_TRUE(
      SameRows(Rows(OldSchema(), {"[1, 2, 3]", "[10, null, 30]", R"(["a", "b", null])"}), rows));
}

TEST_P(AlterTableRulesTest, ADatasetOfTheOldSchemaSaysThatItIsOutdated) {
  ASSERT_OK_AND_ASSIGN(auto dataset, MakeDataset(table_));
  ASSERT_OK(Alter(SchemaChange().Drop("name")));
  ASSERT_OK_AND_ASSIGN(auto builder, dataset->NewScan());
  ASSERT_OK_AND_ASSIGN(auto scanner, builder->Finish());
  EXPECT_FAILS_WITH("make another one", scanner->ToTable());
}

TEST_P(AlterTableRulesTest, ABatchOfTheOldSchemaIsRefusedByColumn) {
  ASSERT_OK(Alter(SchemaChange().Drop("name")));
  EXPECT_FAILS_WITH("'name'", table_->Insert(Rows(OldSchema(), {"[4]", "[4]", R"(["d"])"})));
}

TEST_P(AlterTableRulesTest, CompactingGivesBackTheSpaceOfADroppedColumn) {
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64(), false), arrow::field("text", arrow::utf8()),
                     arrow::field("n", arrow::int64())});
  ASSERT_OK(database_->CreateTable("wide", schema, {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(auto wide, Table::Open(database_.get(), "wide"));
  const std::string text(100'000, 'x');
  ASSERT_OK(wide->Insert(Rows(schema, {"[1]", "[\"" + text + "\"]", "[1]"})));
  ASSERT_OK(database_->Compact("wide"));
  const auto bytes = [&] {
    const Stats stats = database_->GetStats().ValueOrDie();
    for (const TableStats& table : stats.tables) {
      if (table.name == "wide") return table.bytes_in_files;
    }
    return int64_t{0};
  };
  EXPECT_GT(bytes(), 100'000);
  ASSERT_OK(database_->AlterTable("wide", SchemaChange().Drop("text")));
  ASSERT_OK(database_->Compact("wide"));
  EXPECT_LT(bytes(), 100'000);
}

TEST_P(AlterTableRulesTest, RowsThatWereNotFlushedBeforeAKillAreReadWithBothSchemas) {
  // Without Close the log is replayed.
  ASSERT_OK(Alter(SchemaChange().Rename("count", "total").Add(arrow::field("n", arrow::int8()))));
  ASSERT_OK(table_->Insert(Rows(schema(), {"[4]", "[40]", R"(["d"])", "[4]"})));
  ASSERT_OK(database_->SyncLog());
  const std::string copy = database_.path() + "_copy";
  std::filesystem::copy(database_.path(), copy, std::filesystem::copy_options::recursive);
  {
    ASSERT_OK_AND_ASSIGN(auto killed, Database::Open(copy));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(killed, "t"));
    ASSERT_OK_AND_ASSIGN(auto rows, ScanAll(*table));
    EXPECT_TRUE(SameRows(Rows(schema(), {"[1, 2, 3, 4]", "[10, null, 30, 40]",
                                         R"(["a", "b", null, "d"])", "[null, null, null, 4]"}),
                         rows));
  }
  std::filesystem::remove_all(copy);
}

TEST_P(AlterTableRulesTest, ATableMayBeDroppedWhileItIsAltered) {
  for (int round = 0; round < 40; ++round) {
    ASSERT_OK(database_->CreateTable("gone", OldSchema(), {.primary_key = {"id"}}));
    ASSERT_OK_AND_ASSIGN(auto gone, Table::Open(database_.get(), "gone"));
    ASSERT_OK(gone->Insert(Rows(OldSchema(), {"[1]", "[1]", R"(["a"])"})));
    std::thread alterer([&] {
      arrow::Status status;
      for (int i = 0; status.ok(); ++i) {
        status = database_->AlterTable(
            "gone", SchemaChange().Add(arrow::field("n" + std::to_string(i), arrow::int8())));
      }
      EXPECT_TRUE(IsNotFound(status)) << status.ToString();
    });
    const arrow::Status dropped = database_->DropTable("gone");
    alterer.join();
    ASSERT_OK(dropped);
  }
}

TEST_P(AlterTableRulesTest, WritersLoseNothingWhileTheSchemaChanges) {
  // One writer asks for the schema before each batch and tries again if it has changed.
  std::atomic<bool> stop{false};
  std::atomic<int64_t> written{0};
  arrow::Status failed;
  std::thread writer([&] {
    for (int64_t id = 100; !stop.load(); ++id) {
      while (true) {
        const auto now = table_->info().schema;
        std::vector<std::string> columns(static_cast<size_t>(now->num_fields()), "[null]");
        columns[0] = "[" + std::to_string(id) + "]";
        const arrow::Status status = table_->Insert(Rows(now, columns));
        if (status.ok()) break;
        if (status.message().find("the schema differs") == std::string::npos) {
          failed = status;
          return;
        }
      }
      written.fetch_add(1);
    }
  });
  for (int round = 0; round < 30; ++round) {
    const std::string name = "n" + std::to_string(round % 2);
    ASSERT_OK(Alter(SchemaChange().Add(arrow::field(name, arrow::int64()))));
    const int64_t before = written.load();
    while (written.load() == before && failed.ok()) std::this_thread::yield();
    ASSERT_OK(Alter(SchemaChange().Drop(name)));
  }
  stop.store(true);
  writer.join();
  ASSERT_OK(failed);
  ASSERT_OK_AND_ASSIGN(const int64_t rows, table_->Count());
  EXPECT_EQ(rows, 3 + written.load());
}

}  // namespace
}  // namespace marble::test

// Repairing where the manifest is lost, in cases that turn on what the files' footers tell: which
// rows of the log they hold.

#include <marble/repair.h>
#include <marble/schema_change.h>

#include "support/damage.h"
#include "support/test_database.h"

namespace marble {
namespace {

class RepairWithoutManifest : public testing::Test {
 protected:
  Options On() {
    Options options;
    options.file_system = &fs_;
    options.auto_compaction = false;
    return options;
  }

  /// The process dies after the log was synced.
  void Kill(std::shared_ptr<Database> db) {
    ASSERT_OK(db->SyncLog());
    fs_.FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
    ASSERT_FALSE(db->Close().ok());
    db.reset();
    fs_.ClearFaults();
  }

  void LoseManifest() {
    for (const auto& [path, bytes] : test::ReadDatabase(&fs_, "/db")) {
      if (path == "/db/CURRENT" || path.starts_with("/db/MANIFEST")) ASSERT_OK(fs_.Remove(path));
    }
  }

  arrow::Result<RepairReport> Repair() {
    RepairOptions options;
    options.file_system = &fs_;
    return RepairDatabase("/db", "/new", options);
  }

  /// Of the repaired database.
  arrow::Result<std::shared_ptr<arrow::Table>> Rows() {
    ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open("/new", On()));
    ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(db, "rows"));
    return test::ScanAll(*table);
  }

  MemoryFileSystem fs_;
};

TEST_F(RepairWithoutManifest, LoggedRowsThatACompactionHasPutIntoItsFileComeOnce) {
  const auto schema = arrow::schema({arrow::field("text", arrow::utf8())});
  ASSERT_OK_AND_ASSIGN(auto db, Database::Open("/db", On()));
  ASSERT_OK(db->CreateTable("rows", schema));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db, "rows"));
  for (const char* text : {"[\"a\"]", "[\"b\"]"}) {
    ASSERT_OK(table->Insert(*test::BatchFromJson(schema, {text})));
    ASSERT_OK(db->Flush());
  }
  ASSERT_OK(db->Compact("rows"));
  ASSERT_OK(table->Insert(*test::BatchFromJson(schema, {"[\"in the log alone\"]"})));
  table.reset();
  Kill(std::move(db));
  LoseManifest();
  ASSERT_OK_AND_ASSIGN(const RepairReport report, Repair());
  ASSERT_OK_AND_ASSIGN(const auto rows, Rows());
  ASSERT_OK_AND_ASSIGN(const auto expected,
                       test::BatchFromJson(schema, {"[\"a\", \"b\", \"in the log alone\"]"}));
  EXPECT_TRUE(test::SameRows(expected, rows)) << report.ToText();
}

TEST_F(RepairWithoutManifest, CompactedRowsOfAnOlderSchemaAreNotTakenFromTheLog) {
  const auto column = [](const char* name, bool nullable = true) {
    return arrow::field(name, arrow::utf8(), nullable);
  };
  const auto before = arrow::schema({column("key", false), column("x"), column("y")});
  const auto after = arrow::schema({column("key", false), column("y"), column("x")});
  ASSERT_OK_AND_ASSIGN(auto db, Database::Open("/db", On()));
  TableOptions keyed;
  keyed.primary_key = {"key"};
  ASSERT_OK(db->CreateTable("rows", before, keyed));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db, "rows"));
  for (const char* key : {"[\"1\"]", "[\"2\"]"}) {
    ASSERT_OK(table->Insert(*test::BatchFromJson(before, {key, "[\"x\"]", "[\"y\"]"})));
  }
  SchemaChange change;
  change.Reorder({"key", "y", "x"});
  ASSERT_OK(db->AlterTable("rows", change));
  ASSERT_OK(table->Insert(*test::BatchFromJson(after, {"[\"3\"]", "[\"y\"]", "[\"x\"]"})));
  ASSERT_OK(db->Flush());
  ASSERT_OK(db->Compact("rows"));
  table.reset();
  Kill(std::move(db));
  LoseManifest();
  ASSERT_OK_AND_ASSIGN(const RepairReport report, Repair());
  ASSERT_OK_AND_ASSIGN(const auto rows, Rows());
  ASSERT_OK_AND_ASSIGN(const auto expected,
                       test::BatchFromJson(after, {"[\"1\", \"2\", \"3\"]", "[\"y\", \"y\", \"y\"]",
                                                   "[\"x\", \"x\", \"x\"]"}));
  EXPECT_TRUE(test::SameRows(expected, rows)) << report.ToText();
}

}  // namespace
}  // namespace marble

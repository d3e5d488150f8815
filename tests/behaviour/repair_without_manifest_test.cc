// Repairing where the manifest is lost, in cases that turn on what the files' footers tell: which
// rows of the log they hold, and what they have deleted.

#include <algorithm>

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

  arrow::Result<RepairReport> Repair(const std::string& target = "/new") {
    RepairOptions options;
    options.file_system = &fs_;
    return RepairDatabase("/db", target, options);
  }

  /// Of the repaired database.
  arrow::Result<std::shared_ptr<arrow::Table>> Rows() {
    ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open("/new", On()));
    ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(db, "rows"));
    return test::ScanAll(*table);
  }

  /// The process dies, the manifest is lost, and repair gives these rows.
  void ExpectRepairedRows(std::shared_ptr<Database> db,
                          const std::shared_ptr<arrow::Schema>& schema,
                          const std::vector<std::string>& columns) {
    Kill(std::move(db));
    LoseManifest();
    ASSERT_OK_AND_ASSIGN(const RepairReport report, Repair());
    ASSERT_OK_AND_ASSIGN(const auto rows, Rows());
    ASSERT_OK_AND_ASSIGN(const auto expected, test::BatchFromJson(schema, columns));
    EXPECT_TRUE(test::SameRows(expected, rows)) << report.ToText();
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
  ExpectRepairedRows(std::move(db), schema, {"[\"a\", \"b\", \"in the log alone\"]"});
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
  ExpectRepairedRows(std::move(db), after,
                     {"[\"1\", \"2\", \"3\"]", "[\"y\", \"y\", \"y\"]", "[\"x\", \"x\", \"x\"]"});
}

TEST_F(RepairWithoutManifest, DamagedRangeDeletesCostNoRowsNoMoreThanWithIt) {
  // So many columns that zone maps fill pages between the block index and the range deletes.
  arrow::FieldVector fields = {arrow::field("key", arrow::utf8(), false)};
  for (int i = 0; i < 400; ++i) fields.push_back(arrow::field(std::to_string(i), arrow::int8()));
  const auto schema = arrow::schema(fields);
  const auto row = [&](const char* key) {
    std::vector<std::string> columns(fields.size(), "[1]");
    columns[0] = key;
    return *test::BatchFromJson(schema, columns);
  };
  ASSERT_OK_AND_ASSIGN(auto db, Database::Open("/db", On()));
  TableOptions keyed;
  keyed.primary_key = {"key"};
  ASSERT_OK(db->CreateTable("rows", schema, keyed));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(db, "rows"));
  ASSERT_OK(table->Insert(row("[\"from b\"]")));
  ASSERT_OK(db->Flush());
  ASSERT_OK(table->DeleteRange(
      {.lower = {arrow::MakeScalar("from a")}, .upper = {arrow::MakeScalar("from c")}}));
  ASSERT_OK(table->Insert(row("[\"in the file of the range delete\"]")));
  ASSERT_OK(db->Flush());
  table.reset();
  ASSERT_OK(db->Close());
  db.reset();
  for (const auto& [path, bytes] : test::ReadDatabase(&fs_, "/db")) {
    const size_t at = bytes.find("from a");
    if (path.ends_with(".arrow") && at != std::string::npos) {
      ASSERT_OK(fs_.Overwrite(path, static_cast<int64_t>(at), "!"));
    }
  }
  for (const bool lost : {false, true}) {
    SCOPED_TRACE(lost);
    if (lost) LoseManifest();
    ASSERT_OK_AND_ASSIGN(const RepairReport report, Repair(lost ? "/lost" : "/whole"));
    SCOPED_TRACE(report.ToText());
    const auto rows = std::ranges::find(report.tables, "rows", &RepairedTable::name);
    ASSERT_NE(rows, report.tables.end());
    EXPECT_EQ(rows->rows, 2);
    EXPECT_EQ(rows->files_dropped, 0);
    const Finding& finding = report.findings.back();
    EXPECT_NE(finding.what.find("its range deletes had hidden may be back"), std::string::npos);
    EXPECT_EQ(finding.rows, 0);
  }
}

}  // namespace
}  // namespace marble

// Repairs of tables that no caller could make today: of older versions, and of manifests that
// contradict themselves.

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>
#include <marble/repair.h>

#include "db/open_database.h"
#include "db/registry.h"
#include "io/memory_file_system.h"
#include "support/test_database.h"

namespace marble {
namespace {

std::shared_ptr<arrow::Schema> SizesSchema() {
  return arrow::schema(
      {arrow::field("id", arrow::int64(), false),
       arrow::field("size", arrow::dictionary(arrow::int8(), arrow::utf8(), /*ordered=*/true))});
}

class RepairOfTablesTest : public testing::Test {
 protected:
  RepairOfTablesTest() { options_.file_system = &fs_; }

  /// A database with a table of one row for each of the names, as an older version made them.
  void Make(const std::vector<std::string>& tables) {
    ASSERT_OK_AND_ASSIGN(const auto database, AcquireDatabase("/db", options_));
    for (const std::string& name : tables) {
      TableOptions keyed;
      keyed.primary_key = {"id"};
      EXPECT_TRUE(database->CreateTable(name, SizesSchema(), keyed).IsTypeError());
      ASSERT_OK(database->CreateTable(name, SizesSchema(), keyed, TableOrigin::kRepaired));
      ASSERT_OK_AND_ASSIGN(const auto table, database->FindTable(name));
      const arrow::ArrayVector columns = {
          *arrow::json::ArrayFromJSONString(arrow::int64(), "[7]"),
          *arrow::json::DictArrayFromJSONString(SizesSchema()->field(1)->type(), "[0]",
                                                R"(["small"])")};
      ASSERT_OK_AND_ASSIGN(
          Operation insert,
          PrepareInsert(table.get(), arrow::RecordBatch::Make(SizesSchema(), 1, columns),
                        arrow::default_memory_pool(), /*helpers=*/nullptr));
      ASSERT_OK(database->Commit({&insert, 1}, WriteOptions()));
    }
    ASSERT_OK(ReleaseDatabase(database));
  }

  /// Puts another manifest in place of the database's.
  void ChangeManifest(const std::function<void(std::map<uint32_t, ManifestTable>*)>& change) {
    ASSERT_OK_AND_ASSIGN(LoadedManifest loaded, Manifest::Load(&fs_, "/db"));
    change(&loaded.state.tables);
    ASSERT_OK_AND_ASSIGN(const auto manifest,
                         Manifest::Create(&fs_, "/db", loaded.number + 1, loaded.state));
    ASSERT_OK(manifest->CloseClean());
  }

  arrow::Result<RepairReport> Repair() {
    RepairOptions options;
    options.file_system = &fs_;
    return RepairDatabase("/db", "/new", options);
  }

  static int64_t RowsOf(const RepairReport& report, const std::string& table) {
    const auto found = std::ranges::find(report.tables, table, &RepairedTable::name);
    return found == report.tables.end() ? -1 : found->rows;
  }

  MemoryFileSystem fs_;
  Options options_;
};

TEST_F(RepairOfTablesTest, OrderedDictionariesOfOlderVersionsComeBackAsTheyWere) {
  Make({"sizes"});
  ASSERT_OK_AND_ASSIGN(const RepairReport report, Repair());
  EXPECT_TRUE(report.lossless()) << report.ToText();
  EXPECT_EQ(RowsOf(report, "sizes"), 1);
  ASSERT_OK_AND_ASSIGN(const auto database, AcquireDatabase("/new", options_));
  ASSERT_OK_AND_ASSIGN(const auto table, database->FindTable("sizes"));
  EXPECT_TRUE(table->schema->user_schema()->Equals(*SizesSchema()));
  ASSERT_OK(ReleaseDatabase(database));
}

TEST_F(RepairOfTablesTest, ATableWithoutAReadableSchemaIsAFindingAndTheOthersAreSaved) {
  Make({"one", "two"});
  ChangeManifest([](auto* tables) {
    for (auto& [id, table] : *tables) {
      if (table.record.name == "one") table.record.schema.schema = "no schema";
    }
  });
  ASSERT_OK_AND_ASSIGN(const RepairReport report, Repair());
  EXPECT_FALSE(report.lossless());
  ASSERT_EQ(report.findings.size(), 1u) << report.ToText();
  EXPECT_EQ(report.findings[0].table, "one");
  EXPECT_EQ(RowsOf(report, "one"), -1);
  EXPECT_EQ(RowsOf(report, "two"), 1);
}

TEST_F(RepairOfTablesTest, ATableThatNeedsAnotherNameGetsOneThatIsFree) {
  Make({"recovered_3", "third"});
  ChangeManifest([](auto* tables) {
    ASSERT_EQ(tables->at(3).record.name, "third");
    tables->at(3).record.name = "no/name";
  });
  ASSERT_OK_AND_ASSIGN(const RepairReport report, Repair());
  EXPECT_EQ(report.tables.size(), 3u) << report.ToText();  // and "default"
  EXPECT_EQ(RowsOf(report, "recovered_3"), 1);
  EXPECT_EQ(RowsOf(report, "recovered_3_"), 1);
}

}  // namespace
}  // namespace marble

// What is saved of SSTables whose checksums are right and whose rows are not, and of files that
// cannot be read: blocks of which one can be sure, and a finding with file and place for the
// others.
#include "db/table_salvage.h"

#include <cerrno>
#include <string>
#include <vector>

#include <marble/dump.h>
#include <marble/repair.h>
#include <marble/verify.h>

#include "row/row_batch.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using namespace sst_test;

constexpr int64_t kRows = 60;

/// A file of key-value rows in several blocks, in the place of a database's.
class Salvage : public ::testing::Test {
 protected:
  Salvage() {
    EXPECT_TRUE(file_.fs.CreateDirectory("/db/sst").ok());
    file_.writer_options.table_id = 1;
    file_.writer_options.table_name = "rows";
  }

  static TableOptions SmallBlocks() {
    TableOptions options;
    options.block_bytes = 500;
    return options;
  }

  void Write(const std::vector<KvRow>& rows) {
    SST_ASSERT_OK(file_.Write({MakeKvRows(*file_.schema, rows)}));
  }

  /// The keys of what is saved, in their order; what is lost goes to lost_.
  std::vector<std::string> SavedKeys(const std::shared_ptr<SstReader>& reader) {
    const auto salvage =
        NewSalvageReader(reader, file_.path, file_.schema,
                         [this](Finding finding) { lost_.push_back(std::move(finding)); });
    std::vector<std::string> keys;
    while (const auto rows = Get(salvage->Next())) {
      bool unique = true;
      for (int64_t i = 0; i < rows->num_rows(); ++i) {
        keys.emplace_back(rows->keys[i]);
        unique = unique && (i == 0 || rows->keys[i] != rows->keys[i - 1]);
      }
      EXPECT_EQ(rows->unique_keys, unique);
    }
    return keys;
  }

  /// A repair of a database that has lost everything but the file.
  arrow::Result<RepairReport> Repair() {
    const std::string bytes = file_.ReadAll();
    ARROW_ASSIGN_OR_RAISE(auto copy, file_.fs.CreateWritable("/db/sst/000042.arrow"));
    ARROW_RETURN_NOT_OK(copy->Append(bytes));
    ARROW_RETURN_NOT_OK(copy->Close());
    ARROW_RETURN_NOT_OK(file_.fs.Remove(file_.path));
    RepairOptions options;
    options.file_system = &file_.fs;
    return RepairDatabase("/db", "/new", options);
  }

  SstFixture file_{KeyValueSchema(SmallBlocks()), /*with_mappings=*/false};
  std::vector<Finding> lost_;
};

TEST_F(Salvage, RowsOfABlockThatDoNotAscendAreLostAndOthersAreNot) {
  std::vector<KvRow> rows = ManyRows(kRows);
  std::swap(rows[2], rows[3]);
  Write(rows);
  const auto reader = Get(file_.Open());
  ASSERT_GT(reader->num_blocks(), 2);
  const int64_t of_block = reader->BlockFirstRow(1);
  const std::vector<std::string> keys = SavedKeys(reader);
  EXPECT_EQ(keys.size(), static_cast<size_t>(kRows - of_block));
  EXPECT_EQ(keys.front(), KeyOf(of_block));
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_[0].rows, of_block);
  EXPECT_EQ(lost_[0].what, "keys are out of order");
  EXPECT_EQ(lost_[0].file, file_.path);
  EXPECT_GE(lost_[0].offset, 0);
}

TEST_F(Salvage, ABlockThatBeginsWithTheLastKeyOfTheOneBeforeIsLost) {
  Write(ManyRows(kRows));
  const int64_t row = Get(file_.Open())->BlockFirstRow(1);
  std::string bytes = file_.ReadAll();
  bytes.replace(bytes.find(KeyOf(row)), KeyOf(row).size(), KeyOf(row - 1));
  Reseal(&file_, bytes);
  const auto reader = Get(file_.Open());
  const std::vector<std::string> keys = SavedKeys(reader);
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_[0].rows, reader->BlockFirstRow(2) - row);
  EXPECT_EQ(keys.size(), static_cast<size_t>(kRows - lost_[0].rows));
}

TEST_F(Salvage, VersionsOfAKeyAreSavedWhateverTheBlockIndexSaysOfThem) {
  Write({{"a", "newer", 7}, {"a", "older", 5}, {"b", "other", 6}});
  const int64_t flags = SectionOf(&file_, kSectionBlockIndex).offset + 64 + 52;
  for (const bool forged : {false, true}) {
    std::string bytes = file_.ReadAll();
    if (forged) StoreLittle<uint32_t>(bytes.data() + flags, 0);
    Reseal(&file_, bytes);
    file_.cache = std::make_shared<BlockCache>(1 << 20);
    EXPECT_EQ(SavedKeys(Get(file_.Open())), (std::vector<std::string>{"a", "a", "b"}));
    EXPECT_TRUE(lost_.empty());
  }
}

TEST_F(Salvage, VersionsOfAKeyOfWhichTheOlderComesFirstAreLost) {
  Write({{"a", "older", 5}, {"a", "newer", 7}});
  EXPECT_TRUE(SavedKeys(Get(file_.Open())).empty());
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_[0].what, "versions of a key are out of order");
}

TEST_F(Salvage, ARepairTellsOfRowsOutOfOrderAndMakesAWholeDatabaseOfTheOthers) {
  std::vector<KvRow> rows = ManyRows(kRows);
  std::swap(rows[2], rows[3]);
  Write(rows);
  const int64_t of_block = Get(file_.Open())->BlockFirstRow(1);
  const RepairReport report = Get(Repair());
  ASSERT_EQ(report.tables.size(), 1u);
  EXPECT_EQ(report.tables[0].rows, kRows - of_block);
  EXPECT_EQ(report.tables[0].rows_lost, of_block);
  EXPECT_EQ(report.findings.back().file, "/db/sst/000042.arrow");
  VerifyOptions options;
  options.file_system = &file_.fs;
  EXPECT_TRUE(Get(VerifyDatabase("/new", options)).ok());
}

TEST_F(Salvage, WithoutAManifestACompactionsOutputGivesWayToNewerRowsBesideIt) {
  // What the output goes up to is no sequence of its rows: the level above may have others of the
  // same keys, between them and it.
  const SstWriterOptions options = file_.writer_options;
  file_.writer_options.path = "/db/sst/000043.arrow";
  file_.writer_options.number = 43;
  file_.writer_options.with_kinds = false;
  file_.writer_options.constant_sequence = 5;
  file_.writer_options.newest_sequence = 100;
  Write({{"a", "older"}, {"b", "alone"}});
  file_.writer_options = options;
  Write({{"a", "newer", 50}});
  ASSERT_EQ(Get(Repair()).tables[0].rows, 2);
  const DumpOptions dumping{.rows = true, .file_system = &file_.fs};
  std::string saved;
  for (const DirectoryEntry& entry : Get(file_.fs.List("/new/sst"))) {
    saved += Get(DumpFile("/new/sst/" + entry.name, dumping)).text;
  }
  EXPECT_NE(saved.find("newer"), std::string::npos) << saved;
  EXPECT_EQ(saved.find("older"), std::string::npos) << saved;
}

TEST_F(Salvage, ARepairRefusesRowsOfAKindThatANewerVersionWrote) {
  std::vector<KvRow> rows = ManyRows(kRows);
  rows[kRows / 2].kind = static_cast<RowKind>(2);
  Write(rows);
  const arrow::Status status = Repair().status();
  EXPECT_TRUE(IsIncompatibleFormat(status)) << status.ToString();
  EXPECT_NE(status.message().find("rows of kind 2"), std::string::npos) << status.ToString();
}

TEST_F(Salvage, BlocksThatTheDeviceDoesNotGiveAreToldWithTheirFile) {
  Write(ManyRows(kRows));
  const auto reader = Get(file_.Open());
  file_.fs.FailNth(FileOp::kRead, 1, EIO, /*sticky=*/true);
  SST_ASSERT_OK(FindLostBlocks(reader, file_.path, file_.schema,
                               [this](Finding finding) { lost_.push_back(std::move(finding)); }));
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_[0].kind, FindingKind::kUnreadable);
  EXPECT_EQ(lost_[0].file, file_.path);
  EXPECT_EQ(lost_[0].rows, kRows);
}

TEST(SalvageOfTables, BlocksOfInvalidValuesAreToldWithFileAndPlace) {
  SstFixture file(MakeSchema({arrow::field("text", arrow::utf8())}, {}));
  file.writer_options.with_kinds = false;
  arrow::BinaryBuilder builder;
  SST_ASSERT_OK(builder.Append("\xff is no UTF-8"));
  const auto bytes = Get(builder.Finish());
  const auto text = Get(bytes->View(arrow::utf8()));
  SST_ASSERT_OK(file.Write(
      {MakeRows(*file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(), 1, {text}))}));
  std::vector<Finding> lost;
  SST_ASSERT_OK(FindLostBlocks(Get(file.Open()), file.path, file.schema,
                               [&](Finding finding) { lost.push_back(std::move(finding)); }));
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].file, file.path);
  EXPECT_GE(lost[0].offset, 0);
  EXPECT_EQ(lost[0].first_key, "row 0");
}

}  // namespace
}  // namespace marble

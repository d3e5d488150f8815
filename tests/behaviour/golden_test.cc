// The golden database opens and holds what it must; what newer versions may write is refused
// without a change to any byte.

#include <filesystem>

#include <arrow/compute/cast.h>

#include <marble/repair.h>
#include <marble/verify.h>

#include "base/checksum.h"
#include "base/coding.h"
#include "support/damage.h"
#include "support/golden_content.h"
#include "support/test_database.h"

namespace marble {
namespace {

using test::FileBytes;

/// As this version writes, and as builds did before log records were seeded with the UUID.
constexpr const char* kGoldens[] = {"v1", "v1_without_uuid_in_seeds"};

FileBytes Golden(const std::string& folder = kGoldens[0]) {
  const std::string root =
      (std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / folder).string();
  FileBytes files = test::ReadTree(DefaultFileSystem(), root);
  for (auto& [path, bytes] : files) path = "/db" + path.substr(root.size());
  return files;
}

Options On(FileSystem* fs, bool read_only = false) {
  Options options;
  options.file_system = fs;
  options.read_only = read_only;
  return options;
}

/// Dictionaries as their values: two that hold the same need not be in the same order.
std::shared_ptr<arrow::Table> Plain(const arrow::Table& table) {
  arrow::ChunkedArrayVector columns;
  arrow::FieldVector fields;
  for (int i = 0; i < table.num_columns(); ++i) {
    auto column = table.column(i);
    if (column->type()->id() == arrow::Type::DICTIONARY) {
      const auto& type = static_cast<const arrow::DictionaryType&>(*column->type());
      column = arrow::compute::Cast(column, type.value_type())->chunked_array();
    }
    columns.push_back(column);
    fields.push_back(arrow::field(table.field(i)->name(), column->type()));
  }
  return arrow::Table::Make(arrow::schema(fields), columns);
}

testing::AssertionResult SamePlainRows(const std::shared_ptr<arrow::RecordBatch>& expected,
                                       const arrow::Table& found) {
  return test::SameRows(*Plain(**arrow::Table::FromRecordBatches({expected})), *Plain(found));
}

void ExpectGoldenContent(const std::shared_ptr<Database>& db) {
  ASSERT_OK_AND_ASSIGN(const auto kv, KeyValue::Open(db));
  ASSERT_OK_AND_ASSIGN(const auto iterator, kv->NewIterator());
  std::map<std::string, std::string> pairs;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    pairs.emplace(iterator->key(), iterator->value());
    ASSERT_OK_AND_ASSIGN(const auto value, kv->Get(iterator->key()));
    EXPECT_EQ(value, iterator->value());
  }
  ASSERT_OK(iterator->status());
  EXPECT_EQ(pairs, test::GoldenPairs());
  ASSERT_OK_AND_ASSIGN(const auto expected, test::GoldenRows());
  std::vector<std::string> names = {"default"};
  for (const auto& [name, rows] : expected) {
    SCOPED_TRACE(name);
    names.push_back(name);
    ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(db, name));
    ASSERT_OK_AND_ASSIGN(const auto found, test::ScanAll(*table));
    EXPECT_TRUE(found->schema()->Equals(*rows->schema()));
    EXPECT_TRUE(SamePlainRows(rows, *found));
    if (table->info().options.primary_key.empty()) continue;
    ASSERT_OK_AND_ASSIGN(const auto gotten, table->Get(rows->Slice(10, 5)));
    EXPECT_TRUE(SamePlainRows(rows->Slice(10, 5), **arrow::Table::FromRecordBatches({gotten})));
  }
  std::ranges::sort(names);
  ASSERT_OK_AND_ASSIGN(const auto listed, db->ListTables());
  EXPECT_EQ(listed, names);
}

class GoldenFolder : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(All, GoldenFolder, testing::ValuesIn(kGoldens));

TEST_P(GoldenFolder, OpensAndHoldsWhatItMust) {
  MemoryFileSystem fs;
  test::WriteTree(Golden(GetParam()), &fs);
  ASSERT_OK_AND_ASSIGN(auto db, Database::Open("/db", On(&fs, /*read_only=*/true)));
  ExpectGoldenContent(db);
  ASSERT_OK(db->Close());
  EXPECT_EQ(test::ReadTree(&fs, "/db"), Golden(GetParam()));
  // For writing, compacted, and opened again.
  ASSERT_OK_AND_ASSIGN(db, Database::Open("/db", On(&fs)));
  ExpectGoldenContent(db);
  ASSERT_OK(db->Compact());
  ExpectGoldenContent(db);
  ASSERT_OK(db->Close());
  ASSERT_OK_AND_ASSIGN(db, Database::Open("/db", On(&fs)));
  ExpectGoldenContent(db);
}

TEST_P(GoldenFolder, IsFoundWholeAndComesBackFromARepair) {
  MemoryFileSystem fs;
  test::WriteTree(Golden(GetParam()), &fs);
  VerifyOptions verify;
  verify.file_system = &fs;
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", verify));
  EXPECT_TRUE(report.ok()) << report.ToText();
  RepairOptions repair;
  repair.file_system = &fs;
  ASSERT_OK_AND_ASSIGN(const RepairReport repaired, RepairDatabase("/db", "/new", repair));
  EXPECT_TRUE(repaired.lossless()) << repaired.ToText();
  ASSERT_OK_AND_ASSIGN(const auto db, Database::Open("/new", On(&fs)));
  ExpectGoldenContent(db);
}

TEST(Golden, IsWhatTheGeneratorMakes) {
  ASSERT_OK_AND_ASSIGN(const FileBytes made, test::MakeGoldenDatabase());
  MemoryFileSystem fs;
  test::WriteTree(made, &fs);
  ASSERT_OK_AND_ASSIGN(const auto db, Database::Open("/db", On(&fs)));
  ExpectGoldenContent(db);
}

/// Writes `value` at `offset` of a log file's header and makes the header's checksum right.
template <typename T>
void PatchHeader(std::string* bytes, size_t offset, T value) {
  StoreLittle(bytes->data() + offset, value);
  StoreLittle(bytes->data() + 56, Checksum(std::string_view(*bytes).substr(0, 56)));
}

/// Opening, verifying and repairing leave every byte as it is; opening says why it refuses.
void ExpectRefused(const FileBytes& files, const std::string& file) {
  SCOPED_TRACE(file);
  MemoryFileSystem fs;
  test::WriteTree(files, &fs);
  // The lock is the opener's own.
  const auto tree = [&fs] {
    FileBytes now = test::ReadTree(&fs, "/db");
    std::erase_if(now, [](const auto& item) { return item.first == "/db/LOCK"; });
    return now;
  };
  for (const bool read_only : {true, false}) {
    const auto opened = Database::Open("/db", On(&fs, read_only));
    EXPECT_TRUE(IsIncompatibleFormat(opened.status())) << opened.status().ToString();
    EXPECT_FAILS_WITH(file, opened);
    EXPECT_EQ(tree(), files);
  }
  VerifyOptions verify;
  verify.file_system = &fs;
  ASSERT_OK_AND_ASSIGN(const VerifyReport report, VerifyDatabase("/db", verify));
  const auto found = std::ranges::find(report.findings, FindingKind::kIncompatible, &Finding::kind);
  ASSERT_NE(found, report.findings.end()) << report.ToText();
  EXPECT_EQ(found->file, file);
  RepairOptions repair;
  repair.file_system = &fs;
  const auto repaired = RepairDatabase("/db", "/new", repair);
  EXPECT_TRUE(IsIncompatibleFormat(repaired.status())) << repaired.status().ToString();
  EXPECT_EQ(tree(), files);
}

TEST(Golden, NewerVersionsAndUnknownFlagsOfLogAndManifestAreRefused) {
  constexpr size_t kVersionAt = 8;
  constexpr size_t kMustRefuseAt = 52;
  const FileBytes golden = Golden();
  int patched = 0;
  for (size_t i = 0; i < golden.size(); ++i) {
    const std::string& path = golden[i].first;
    if (!path.starts_with("/db/MANIFEST") && !path.ends_with(".wal")) continue;
    ++patched;
    FileBytes newer = golden;
    PatchHeader(&newer[i].second, kVersionAt, uint32_t{2});
    ExpectRefused(newer, path);
    FileBytes flagged = golden;
    PatchHeader(&flagged[i].second, kMustRefuseAt, uint16_t{4});
    ExpectRefused(flagged, path);
  }
  EXPECT_GE(patched, 2);
}

TEST(Golden, FlagThatAllowsReadingOnlyLetsNobodyWrite) {
  constexpr size_t kMayOnlyReadAt = 50;
  FileBytes files = Golden();
  for (auto& [path, bytes] : files) {
    if (path.starts_with("/db/MANIFEST")) PatchHeader(&bytes, kMayOnlyReadAt, uint16_t{1});
  }
  MemoryFileSystem fs;
  test::WriteTree(files, &fs);
  EXPECT_TRUE(IsIncompatibleFormat(Database::Open("/db", On(&fs)).status()));
  ASSERT_OK_AND_ASSIGN(const auto db, Database::Open("/db", On(&fs, /*read_only=*/true)));
  ExpectGoldenContent(db);
}

TEST(Golden, CurrentOfAnotherFormIsRefused) {
  FileBytes files = Golden();
  for (auto& [path, bytes] : files) {
    if (path == "/db/CURRENT") bytes.insert(bytes.size() - 1, " more");
  }
  MemoryFileSystem fs;
  test::WriteTree(files, &fs);
  EXPECT_FAILS_WITH("CURRENT", Database::Open("/db", On(&fs)));
  FileBytes after = test::ReadTree(&fs, "/db");
  std::erase_if(after, [](const auto& item) { return item.first == "/db/LOCK"; });
  EXPECT_EQ(after, files);
}

}  // namespace
}  // namespace marble

// Repairing: what is intact comes back, what is lost is told, the original stays as it was.

#include <filesystem>
#include <map>
#include <set>

#include <marble/repair.h>
#include <marble/schema_change.h>
#include <marble/verify.h>

#include "support/damage.h"
#include "support/test_database.h"

namespace marble {
namespace {

using test::FileBytes;

constexpr int kKeys = 20000;

Options On(FileSystem* fs) {
  Options options;
  options.file_system = fs;
  options.auto_compaction = false;
  return options;
}

std::string Key(int i) { return "key" + std::to_string(1000000 + i); }
std::string Value(int i) { return "value " + std::to_string(i) + std::string(60, 'x'); }

std::shared_ptr<arrow::Schema> RowsSchema() {
  return arrow::schema({arrow::field("word", arrow::utf8()), arrow::field("a", arrow::int32()),
                        arrow::field("b", arrow::utf8(), false)});
}

std::shared_ptr<arrow::RecordBatch> Rows(int begin, int end) {
  std::string words, as, bs;
  for (int i = begin; i < end; ++i) {
    const std::string comma = i == begin ? "[" : ",";
    words += comma + "\"word" + std::to_string(i) + "\"";
    as += comma + std::to_string(i % 10);
    bs += comma + "\"b" + std::to_string(i / 10) + "\"";
  }
  return *test::BatchFromJson(RowsSchema(), {words + "]", as + "]", bs + "]"});
}

/// `default` with kKeys pairs in one file of many blocks, tables of two key columns and of none
/// with several files each, and deletes; with `logged` the last writes are in the log only.
FileBytes MakeDatabase(bool logged) {
  MemoryFileSystem fs;
  {
    auto db = *Database::Open("/db", On(&fs));
    auto kv = *KeyValue::Open(db);
    for (int i = 0; i < kKeys; ++i) EXPECT_TRUE(kv->Put(Key(i), Value(i)).ok());
    TableOptions keyed;
    keyed.primary_key = {"b", "a"};
    keyed.compression = Compression::kLz4;
    EXPECT_TRUE(db->CreateTable("rows", RowsSchema(), keyed).ok());
    EXPECT_TRUE(db->CreateTable("journal", RowsSchema()).ok());
    EXPECT_TRUE(db->CreateTable("twin", RowsSchema(), keyed).ok());
    auto rows = *Table::Open(db, "rows");
    auto journal = *Table::Open(db, "journal");
    EXPECT_TRUE((*Table::Open(db, "twin"))->Insert(Rows(0, 7)).ok());
    EXPECT_TRUE(rows->Insert(Rows(0, 100)).ok());
    EXPECT_TRUE(journal->Insert(Rows(0, 100)).ok());
    EXPECT_TRUE(db->Flush().ok());
    EXPECT_TRUE(rows->Delete(Rows(0, 5)).ok());
    EXPECT_TRUE(rows->Insert(Rows(100, 200)).ok());
    EXPECT_TRUE(journal->Insert(Rows(100, 200)).ok());
    EXPECT_TRUE(db->Flush().ok());
    EXPECT_TRUE(rows->Insert(Rows(200, 300)).ok());
    EXPECT_TRUE(journal->Insert(Rows(200, 300)).ok());
    for (int i = 0; i < 200; ++i) {
      EXPECT_TRUE(kv->Put("logged" + std::to_string(i), std::string(100, 'l')).ok());
    }
    EXPECT_TRUE(db->SyncLog().ok());
    EXPECT_TRUE(kv->Put("last", "of all").ok());
    if (!logged) EXPECT_TRUE(db->Close().ok());
    if (logged) {
      fs.FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
      EXPECT_FALSE(db->Close().ok());
    }
  }
  fs.ClearFaults();
  return test::ReadDatabase(&fs, "/db");
}

struct Repaired {
  RepairReport report;
  std::map<std::string, std::string> pairs;
  std::map<std::string, std::set<std::string>> words;  // by table
  std::map<std::string, int64_t> rows;
};

/// Repairs, sees that the original is untouched and the result whole, and reads it.
arrow::Result<Repaired> Repair(const FileBytes& files) {
  MemoryFileSystem fs;
  test::WriteTree(files, &fs);
  RepairOptions options;
  options.file_system = &fs;
  Repaired result;
  ARROW_ASSIGN_OR_RAISE(result.report, RepairDatabase("/db", "/new", options));
  EXPECT_EQ(test::ReadTree(&fs, "/db"), files);
  VerifyOptions verify;
  verify.file_system = &fs;
  ARROW_ASSIGN_OR_RAISE(const VerifyReport verified, VerifyDatabase("/new", verify));
  EXPECT_TRUE(verified.ok()) << verified.ToText();
  EXPECT_TRUE(verified.clean);
  ARROW_ASSIGN_OR_RAISE(auto db, Database::Open("/new", On(&fs)));
  ARROW_ASSIGN_OR_RAISE(auto kv, KeyValue::Open(db));
  ARROW_ASSIGN_OR_RAISE(auto iterator, kv->NewIterator());
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    result.pairs.emplace(iterator->key(), iterator->value());
  }
  ARROW_RETURN_NOT_OK(iterator->status());
  ARROW_ASSIGN_OR_RAISE(const auto names, db->ListTables());
  for (const std::string& name : names) {
    if (name == "default") continue;
    ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(db, name));
    ARROW_ASSIGN_OR_RAISE(auto rows, test::ScanAll(*table));
    result.rows[name] = rows->num_rows();
    for (const auto& chunk : rows->GetColumnByName("word")->chunks()) {
      for (int64_t i = 0; i < chunk->length(); ++i) {
        result.words[name].insert(static_cast<const arrow::StringArray&>(*chunk).GetString(i));
      }
    }
  }
  return result;
}

std::string* Largest(FileBytes* files, const std::string& folder) {
  std::string* largest = nullptr;
  for (auto& [path, bytes] : *files) {
    if (path.find(folder) == std::string::npos) continue;
    if (largest == nullptr || bytes.size() > largest->size()) largest = &bytes;
  }
  return largest;
}

class RepairTest : public testing::TestWithParam<bool> {};

TEST_P(RepairTest, WholeDatabaseComesBackWhole) {
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(MakeDatabase(GetParam())));
  EXPECT_TRUE(repaired.report.lossless()) << repaired.report.ToText();
  EXPECT_EQ(repaired.pairs.size(), kKeys + 201u);
  EXPECT_EQ(repaired.pairs.at(Key(17)), Value(17));
  EXPECT_EQ(repaired.rows.at("rows"), 295);
  EXPECT_FALSE(repaired.words.at("rows").contains("word3"));  // deleted
  EXPECT_EQ(repaired.rows.at("journal"), 300);
  EXPECT_EQ(repaired.rows.at("twin"), 7);
}

TEST_P(RepairTest, DamagedBlockLosesItsRowsAlone) {
  FileBytes files = MakeDatabase(GetParam());
  std::string* file = Largest(&files, "/sst/");
  (*file)[file->size() / 3] ^= 1;
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_FALSE(repaired.report.lossless());
  ASSERT_EQ(repaired.report.findings.size(), 1u) << repaired.report.ToText();
  const Finding& finding = repaired.report.findings.front();
  EXPECT_EQ(finding.table, "default");
  // All pairs but those between the two keys of the finding.
  int64_t missing = 0;
  for (int i = 0; i < kKeys; ++i) {
    const auto found = repaired.pairs.find(Key(i));
    const std::string text = "(key=" + Key(i) + ")";
    const bool lost = text >= finding.first_key && text <= finding.last_key;
    EXPECT_EQ(found == repaired.pairs.end(), lost) << Key(i);
    if (found != repaired.pairs.end()) EXPECT_EQ(found->second, Value(i));
    missing += lost;
  }
  EXPECT_GT(missing, 0);
  EXPECT_LT(missing, kKeys / 10);
  EXPECT_EQ(finding.rows, missing);
  EXPECT_EQ(repaired.rows.at("rows"), 295);
}

TEST_P(RepairTest, WithoutManifestTablesComeBackFromTheirFiles) {
  FileBytes files = MakeDatabase(GetParam());
  std::erase_if(files, [](const auto& file) {
    return file.first.starts_with("/db/MANIFEST") || file.first == "/db/CURRENT";
  });
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_FALSE(repaired.report.lossless());
  EXPECT_FALSE(repaired.report.manifest_was_whole);
  EXPECT_FALSE(repaired.report.notes.empty());
  EXPECT_EQ(repaired.pairs.size(), kKeys + 201u) << repaired.report.ToText();
  EXPECT_EQ(repaired.pairs.at(Key(kKeys - 1)), Value(kKeys - 1));
  EXPECT_EQ(repaired.pairs.at("last"), "of all");
  // The deleted rows stay deleted: the file that deletes them is there.
  EXPECT_EQ(repaired.rows.at("rows"), 295);
  EXPECT_EQ(repaired.rows.at("journal"), 300);
  EXPECT_EQ(repaired.words.at("journal").size(), 300u);
  EXPECT_EQ(repaired.rows.at("twin"), 7);  // not mixed with the table of the same schema
}

TEST_P(RepairTest, DamagedCurrentIsFoundOutFromTheManifests) {
  FileBytes files = MakeDatabase(GetParam());
  for (auto& [path, bytes] : files) {
    if (path == "/db/CURRENT") bytes[20] ^= 1;
  }
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_TRUE(repaired.report.manifest_was_whole) << repaired.report.ToText();
  EXPECT_EQ(repaired.pairs.size(), kKeys + 201u);
  EXPECT_EQ(repaired.rows.at("rows"), 295);
}

TEST_P(RepairTest, DamagedTailOfAFileIsToldWithItsKeys) {
  FileBytes files = MakeDatabase(GetParam());
  std::string* file = Largest(&files, "/sst/");
  file->back() ^= 1;
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  ASSERT_EQ(repaired.report.findings.size(), 1u) << repaired.report.ToText();
  EXPECT_EQ(repaired.report.findings[0].first_key, "(key=" + Key(0) + ")");
  const auto found = std::ranges::find(repaired.report.tables, "default", &RepairedTable::name);
  ASSERT_NE(found, repaired.report.tables.end());
  EXPECT_EQ(found->files_dropped, 1);
  EXPECT_GE(found->rows_lost, kKeys);
  EXPECT_EQ(repaired.rows.at("rows"), 295);
}

TEST_P(RepairTest, ADamagedPageChecksumCostsTheBlocksOfItsPage) {
  FileBytes files = MakeDatabase(GetParam());
  std::string* file = Largest(&files, "/sst/");
  (*file)[static_cast<size_t>(test::SectionIn(*file, "page_checksums").first)] ^= 1;
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  ASSERT_EQ(repaired.report.findings.size(), 2u) << repaired.report.ToText();
  const auto found = std::ranges::find(repaired.report.tables, "default", &RepairedTable::name);
  ASSERT_NE(found, repaired.report.tables.end());
  EXPECT_EQ(found->files_dropped, 0);
  EXPECT_GT(found->rows_lost, 0);
  EXPECT_LT(found->rows_lost, kKeys / 2);
  EXPECT_EQ(repaired.pairs.size(), kKeys + 201u - static_cast<size_t>(found->rows_lost));
  EXPECT_FALSE(repaired.pairs.contains(Key(0)));
}

TEST_P(RepairTest, ItIsToldHowFarARepairIsAndAnErrorEndsIt) {
  MemoryFileSystem fs;
  test::WriteTree(MakeDatabase(GetParam()), &fs);
  std::vector<RepairProgress> told;
  RepairOptions options;
  options.file_system = &fs;
  options.progress = [&](const RepairProgress& now) {
    told.push_back(now);
    return arrow::Status::OK();
  };
  ASSERT_OK(RepairDatabase("/db", "/new", options));
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.front().rows_done, 0);
  EXPECT_TRUE(std::ranges::is_sorted(told, {}, &RepairProgress::rows_done));
  EXPECT_EQ(told.back().rows_done, told.back().rows);
  EXPECT_GT(told.back().rows, kKeys);
  EXPECT_TRUE(std::ranges::any_of(told, [](const auto& now) { return now.table == "twin"; }));
  options.progress = [](const RepairProgress&) { return arrow::Status::Cancelled("enough"); };
  EXPECT_TRUE(RepairDatabase("/db", "/other", options).status().IsCancelled());
}

INSTANTIATE_TEST_SUITE_P(All, RepairTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "died" : "closed"; });

/// Rows of an altered table in files of both schemas.
FileBytes MakeAlteredDatabase() {
  MemoryFileSystem fs;
  auto db = *Database::Open("/db", On(&fs));
  TableOptions keyed;
  keyed.primary_key = {"b"};
  EXPECT_TRUE(db->CreateTable("rows", RowsSchema(), keyed).ok());
  EXPECT_TRUE((*Table::Open(db, "rows"))->Insert(Rows(0, 1)).ok());
  EXPECT_TRUE(db->Flush().ok());
  SchemaChange change;
  change.Add(arrow::field("more", arrow::int64(), false), arrow::MakeScalar(int64_t{17}));
  change.Widen("a", arrow::int64()).Rename("word", "name").Reorder({"b"});
  EXPECT_TRUE(db->AlterTable("rows", change).ok());
  auto table = *Table::Open(db, "rows");
  auto batch = test::BatchFromJson(table->info().schema, {"[\"c\"]", "[\"new\"]", "[5]", "[6]"});
  EXPECT_TRUE(table->Insert(*batch).ok());
  EXPECT_TRUE(db->Close().ok());
  return test::ReadDatabase(&fs, "/db");
}

TEST(Repair, AlteredTablesComeBackWithAndWithoutManifest) {
  for (const bool lost : {false, true}) {
    SCOPED_TRACE(lost);
    FileBytes files = MakeAlteredDatabase();
    MemoryFileSystem fs;
    test::WriteTree(files, &fs);
    VerifyOptions verify;
    verify.file_system = &fs;
    ASSERT_OK_AND_ASSIGN(const VerifyReport verified, VerifyDatabase("/db", verify));
    EXPECT_TRUE(verified.ok()) << verified.ToText();
    for (const std::string name : {"/db/MANIFEST-000001", "/db/CURRENT"}) {
      if (lost) ASSERT_OK(fs.Remove(name));
    }
    RepairOptions options;
    options.file_system = &fs;
    ASSERT_OK_AND_ASSIGN(const RepairReport report, RepairDatabase("/db", "/new", options));
    EXPECT_EQ(report.lossless(), !lost) << report.ToText();
    SCOPED_TRACE(report.ToText());
    ASSERT_OK_AND_ASSIGN(const auto db, Database::Open("/new", On(&fs)));
    ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(db, "rows"));
    ASSERT_OK_AND_ASSIGN(const auto rows, test::ScanAll(*table));
    const auto schema =
        arrow::schema({arrow::field("b", arrow::utf8()), arrow::field("name", arrow::utf8()),
                       arrow::field("a", arrow::int64()), arrow::field("more", arrow::int64())});
    // What stood in for the new column in the old row was in the manifest alone.
    ASSERT_OK_AND_ASSIGN(const auto expected,
                         test::BatchFromJson(schema, {"[\"b0\", \"c\"]", "[\"word0\", \"new\"]",
                                                      "[0, 5]", lost ? "[null, 6]" : "[17, 6]"}));
    EXPECT_TRUE(test::SameRows(expected, rows));
  }
}

/// The files of a database whose process dies after `work`, without LOCK, manifests and CURRENT.
template <typename Work>
FileBytes FilesWithoutManifest(MemoryFileSystem* fs, Work work) {
  {
    Options options = On(fs);
    options.memtable_bytes = 64 * 1024;
    auto db = *Database::Open("/db", options);
    work(db);
    EXPECT_TRUE(db->SyncLog().ok());
    fs->FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
    EXPECT_FALSE(db->Close().ok());
  }
  fs->ClearFaults();
  FileBytes files = test::ReadTree(fs, "/db");
  std::erase_if(files, [](const auto& file) {
    return file.first == "/db/LOCK" || file.first == "/db/CURRENT" ||
           file.first.starts_with("/db/MANIFEST");
  });
  return files;
}

TEST(Repair, WithoutManifestThePairsOfALogAloneComeBack) {
  MemoryFileSystem fs;
  const FileBytes files = FilesWithoutManifest(&fs, [](const std::shared_ptr<Database>& db) {
    ASSERT_OK(db->CreateTable("rows", RowsSchema()));
    ASSERT_OK((*Table::Open(db, "rows"))->Insert(Rows(0, 10)));
    ASSERT_OK(db->Flush());
    ASSERT_OK((*KeyValue::Open(db))->Put("key", "in the log"));
  });
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_EQ(repaired.rows.at("rows"), 10);
  ASSERT_EQ(repaired.pairs.size(), 1u) << repaired.report.ToText();
  EXPECT_EQ(repaired.pairs.at("key"), "in the log");
  EXPECT_EQ(repaired.report.findings.size(), 1u) << repaired.report.ToText();  // CURRENT
}

TEST(Repair, LoggedRowsOfATableThatNothingDescribesAreAFinding) {
  MemoryFileSystem fs;
  {
    auto db = *Database::Open("/db", On(&fs));
    ASSERT_OK(db->CreateTable("empty", RowsSchema()));
    ASSERT_OK(db->CreateTable("rows", RowsSchema()));
    ASSERT_OK((*Table::Open(db, "rows"))->Insert(Rows(0, 10)));
    ASSERT_OK(db->Close());
  }
  const FileBytes files = FilesWithoutManifest(&fs, [](const std::shared_ptr<Database>& db) {
    // One commit, of which what can be saved is.
    WriteBatch batch;
    batch.Insert("empty", Rows(0, 10));
    batch.Insert("rows", Rows(10, 15));
    ASSERT_OK(db->Write(batch));
    ASSERT_OK((*Table::Open(db, "empty"))->Insert(Rows(10, 20)));
  });
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_EQ(repaired.rows.at("rows"), 15);
  ASSERT_EQ(repaired.report.findings.size(), 2u) << repaired.report.ToText();
  EXPECT_NE(repaired.report.findings[1].what.find("table 2"), std::string::npos);
}

TEST(Repair, WithoutManifestFilesAttachedByTheLogHideNoOtherRows) {
  MemoryFileSystem fs;
  const FileBytes files = FilesWithoutManifest(&fs, [](const std::shared_ptr<Database>& db) {
    ASSERT_OK(db->CreateTable("journal", RowsSchema()));
    auto journal = *Table::Open(db, "journal");
    ASSERT_OK(journal->Insert(Rows(0, 100)));
    ASSERT_OK(db->Flush());
    ASSERT_OK(journal->Insert(Rows(100, 10000)));  // larger than a memtable: a file of its own
    ASSERT_OK(journal->Insert(Rows(10000, 10050)));
    ASSERT_OK(db->Flush());
    ASSERT_OK(journal->Insert(Rows(10050, 10100)));
  });
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_EQ(repaired.rows.at("journal"), 10100) << repaired.report.ToText();
  EXPECT_EQ(repaired.words.at("journal").size(), 10100u);
}

TEST(Repair, WithoutManifestLoggedRowsOfAnOlderSchemaAreTakenFromFiles) {
  const auto texts =
      arrow::schema({arrow::field("key", arrow::utf8(), false), arrow::field("x", arrow::utf8()),
                     arrow::field("y", arrow::utf8())});
  MemoryFileSystem fs;
  const FileBytes files = FilesWithoutManifest(&fs, [&](const std::shared_ptr<Database>& db) {
    TableOptions keyed;
    keyed.primary_key = {"key"};
    ASSERT_OK(db->CreateTable("rows", texts, keyed));
    const auto insert = [&](const std::string& key) {
      auto table = *Table::Open(db, "rows");
      const auto batch = *test::BatchFromJson(
          texts, {"[\"" + key + "\"]", "[\"x" + key + "\"]", "[\"y" + key + "\"]"});
      arrow::ArrayVector columns;
      for (const auto& field : table->info().schema->fields()) {
        columns.push_back(batch->GetColumnByName(field->name()));
      }
      ASSERT_OK(table->Insert(arrow::RecordBatch::Make(table->info().schema, 1, columns)));
    };
    insert("1");
    SchemaChange change;
    change.Reorder({"key", "y", "x"});
    ASSERT_OK(db->AlterTable("rows", change));
    insert("2");
    ASSERT_OK(db->Flush());
    insert("3");
  });
  MemoryFileSystem damaged;
  test::WriteTree(files, &damaged);
  RepairOptions options;
  options.file_system = &damaged;
  ASSERT_OK_AND_ASSIGN(const RepairReport report, RepairDatabase("/db", "/new", options));
  SCOPED_TRACE(report.ToText());
  EXPECT_EQ(report.findings.size(), 1u);  // CURRENT
  ASSERT_OK_AND_ASSIGN(const auto db, Database::Open("/new", On(&damaged)));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(db, "rows"));
  ASSERT_OK_AND_ASSIGN(const auto rows, test::ScanAll(*table));
  ASSERT_OK_AND_ASSIGN(
      const auto expected,
      test::BatchFromJson(
          arrow::schema({texts->field(0), texts->field(2), texts->field(1)}),
          {"[\"1\", \"2\", \"3\"]", "[\"y1\", \"y2\", \"y3\"]", "[\"x1\", \"x2\", \"x3\"]"}));
  EXPECT_TRUE(test::SameRows(expected, rows));
}

TEST(Repair, ManifestOfAnotherDatabaseIsNotBelieved) {
  FileBytes files = MakeDatabase(/*logged=*/true);
  for (const auto& [path, bytes] : MakeDatabase(/*logged=*/true)) {
    for (auto& file : files) {
      if (file.first == path && path.starts_with("/db/MANIFEST")) file.second = bytes;
    }
  }
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_FALSE(repaired.report.manifest_was_whole);
  ASSERT_EQ(repaired.report.findings.size(), 1u) << repaired.report.ToText();
  EXPECT_EQ(repaired.report.findings[0].file, "/db/MANIFEST-000001");
  EXPECT_EQ(repaired.pairs.size(), kKeys + 201u);
  EXPECT_EQ(repaired.rows.at("rows"), 295);
}

TEST(Repair, LogIsNotAskedAfterAProperClose) {
  // The process was killed while it removed its log, or CURRENT was lost.
  for (const bool left : {false, true}) {
    SCOPED_TRACE(left);
    FileBytes files = MakeDatabase(/*logged=*/false);
    if (left) files.emplace_back("/db/wal/001000.wal", std::string(4096, '\0'));
    for (auto& [path, bytes] : files) {
      if (!left && path == "/db/CURRENT") bytes[20] ^= 1;
    }
    ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
    EXPECT_EQ(repaired.report.lossless(), left) << repaired.report.ToText();
    EXPECT_TRUE(repaired.report.notes.empty()) << repaired.report.ToText();
    for (const Finding& finding : repaired.report.findings) EXPECT_EQ(finding.file, "/db/CURRENT");
    EXPECT_EQ(repaired.pairs.size(), kKeys + 201u);
  }
}

TEST(Repair, RefusesTargetsWithinTheDatabaseHoweverTheyAreWritten) {
  const test::TestDirectory directory;
  const std::string path = directory.path() + "/db";
  ASSERT_OK((*Database::Open(path))->Close());
  const std::string link = directory.path() + "/link";
  std::filesystem::create_directory_symlink(path + "/sst", link);
  const std::string relative = std::filesystem::relative(path).string();
  const test::FileBytes before = test::ReadTree(DefaultFileSystem(), path);
  for (const std::string& damaged : {path, path + "/", link + "/..", relative, "./" + relative}) {
    for (const std::string& target :
         {path + "/new", path + "/./sst/new/", link + "/new", link, relative + "/new"}) {
      SCOPED_TRACE(damaged + " to " + target);
      EXPECT_FAILS_WITH("within", RepairDatabase(damaged, target));
    }
  }
  EXPECT_EQ(test::ReadTree(DefaultFileSystem(), path), before);
  ASSERT_OK(RepairDatabase(path, path + "new"));
  ASSERT_OK(RepairDatabase(relative, path + "/../other/"));
}

TEST(Repair, RecordsBehindADamagedOneAreReplayed) {
  FileBytes files = MakeDatabase(/*logged=*/true);
  for (auto& [path, bytes] : files) {
    // A value in the middle of the synced ones.
    const size_t at = path.ends_with(".wal") ? bytes.find("logged100") : std::string::npos;
    if (at != std::string::npos) bytes[at + 20] ^= 1;
  }
  MemoryFileSystem fs;
  test::WriteTree(files, &fs);
  EXPECT_TRUE(IsCorruption(Database::Open("/db", On(&fs)).status()));
  ASSERT_OK_AND_ASSIGN(const Repaired repaired, Repair(files));
  EXPECT_EQ(repaired.pairs.size(), kKeys + 200u) << repaired.report.ToText();
  EXPECT_FALSE(repaired.pairs.contains("logged100"));
  EXPECT_TRUE(repaired.pairs.contains("logged101"));
  EXPECT_TRUE(repaired.pairs.contains("last"));
}

TEST(Repair, RefusesTargetsThatAreNotEmptyAndFilesOfNewerVersions) {
  MemoryFileSystem fs;
  FileBytes files = MakeDatabase(/*logged=*/false);
  test::WriteTree(files, &fs);
  RepairOptions options;
  options.file_system = &fs;
  EXPECT_FAILS_WITH("not empty", RepairDatabase("/db", "/db", options));
  EXPECT_FAILS_WITH("within", RepairDatabase("/db", "/db/new", options));
  EXPECT_FAILS_WITH("within", RepairDatabase("/db/", "/db//sst/./new", options));
  EXPECT_FAILS_WITH("no database", RepairDatabase("/nothing", "/new", options));
  EXPECT_EQ(test::ReadTree(&fs, "/db"), files);
}

}  // namespace
}  // namespace marble

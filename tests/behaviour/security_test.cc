// Who may read a database's files, and what a hostile directory, name or second process can do: on
// the real file system, through the public API.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>

#include <marble/repair.h>
#include <marble/transfer.h>
#include <marble/verify.h>

#include "support/child_process.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

namespace fs = std::filesystem;

std::string BytesOf(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Every file below a folder, with its bytes and the time of its last change.
std::map<std::string, std::pair<std::string, int64_t>> ContentOf(const fs::path& folder) {
  std::map<std::string, std::pair<std::string, int64_t>> content;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto changed = entry.last_write_time().time_since_epoch().count();
    content[entry.path().string()] = {entry.is_regular_file() ? BytesOf(entry.path()) : "",
                                      changed};
  }
  return content;
}

mode_t ModeOf(const fs::path& path) {
  struct stat info;
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

/// With small log segments: these tests copy them.
Options SmallOptions(bool read_only = false) {
  Options options;
  options.log_segment_bytes = 64 << 10;
  options.read_only = read_only;
  return options;
}

arrow::Status PutOne(const std::shared_ptr<Database>& database, const std::string& key) {
  ARROW_ASSIGN_OR_RAISE(const auto kv, KeyValue::Open(database));
  return kv->Put(key, "value of " + key);
}

class UmaskTest : public testing::TestWithParam<mode_t> {};

TEST_P(UmaskTest, EveryFileOfADatabaseIsItsOwnersAlone) {
  const TestDirectory directory;
  const std::string path = directory.path() + "/db";
  const std::string exported = directory.path() + "/exported.arrow";
  const mode_t before = ::umask(GetParam());
  auto opened = Database::Open(path, SmallOptions());
  // In the log and in files, made anew and left over.
  ASSERT_OK(opened);
  ASSERT_OK(PutOne(*opened, "a"));
  ASSERT_OK((*opened)->Flush());
  ASSERT_OK(PutOne(*opened, "b"));
  ASSERT_OK((*opened)->Compact());
  ASSERT_OK(PutOne(*opened, "c"));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(*opened, "default"));
  ASSERT_OK(ExportFile(table, exported));
  ::umask(before);
  EXPECT_EQ(ModeOf(path), 0700u);
  EXPECT_EQ(ModeOf(exported), 0600u);
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    EXPECT_EQ(ModeOf(entry.path()), entry.is_directory() ? 0700u : 0600u) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 7) << "CURRENT, LOCK, a manifest, two folders, a segment and an SSTable";
}

INSTANTIATE_TEST_SUITE_P(Umasks, UmaskTest, testing::Values(0, 022, 0777));

/// A database whose process died, with rows in an SSTable and in the log.
class PlantedLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string alive = directory_.path() + "/alive";
    ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(alive, SmallOptions()));
    ASSERT_OK(PutOne(database, "flushed"));
    ASSERT_OK(database->Flush());
    ASSERT_OK(PutOne(database, "logged"));
    ASSERT_OK(database->SyncLog());
    fs::copy(alive, path_, fs::copy_options::recursive);
    ASSERT_OK(database->Close());
  }

  /// The one file below `folder` whose name the pattern fits; the first, if there are several.
  fs::path Find(const std::string& folder, const std::string& pattern) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path_ + folder)) {
      if (std::regex_match(entry.path().filename().string(), std::regex(pattern))) {
        found.push_back(entry.path());
      }
    }
    std::sort(found.begin(), found.end());
    EXPECT_FALSE(found.empty()) << pattern;
    return found.empty() ? fs::path() : found.front();
  }

  /// Moves the file, or folder, away and puts a link to it in its place.
  void Plant(const fs::path& file) {
    outside_ = fs::path(directory_.path()) / "outside";
    fs::rename(file, outside_);
    fs::create_symlink(outside_, file);
    content_ = ContentOf(directory_.path());
  }

  void ExpectRefused(const fs::path& file, bool read_only = false) {
    const arrow::Status status = Database::Open(path_, SmallOptions(read_only)).status();
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.message().find(file.string()), std::string::npos) << status.ToString();
    EXPECT_NE(status.message().find("symbolic link"), std::string::npos) << status.ToString();
    const auto now = ContentOf(directory_.path());
    EXPECT_EQ(now.at(outside_.string()), content_.at(outside_.string()));
    EXPECT_TRUE(fs::is_symlink(file));
  }

  void ExpectRefusedByAll(const fs::path& file) {
    Plant(file);
    ExpectRefused(file);
    ExpectRefused(file, /*read_only=*/true);
    const auto report = VerifyDatabase(path_);
    EXPECT_FALSE(report.ok() && report->ok());
  }

  const TestDirectory directory_;
  const std::string path_ = directory_.path() + "/db";
  fs::path outside_;
  std::map<std::string, std::pair<std::string, int64_t>> content_;
};

TEST_F(PlantedLinkTest, InThePlaceOfCurrentIsRefused) { ExpectRefusedByAll(path_ + "/CURRENT"); }

TEST_F(PlantedLinkTest, InThePlaceOfTheManifestIsRefused) {
  ExpectRefusedByAll(Find("", "MANIFEST-.*"));
}

TEST_F(PlantedLinkTest, InThePlaceOfALogSegmentIsRefused) {
  ExpectRefusedByAll(Find("/wal", "[0-9]+\\.wal"));
}

TEST_F(PlantedLinkTest, InThePlaceOfAnSstableIsRefused) {
  ExpectRefusedByAll(Find("/sst", "[0-9]+\\.arrow"));
}

TEST_F(PlantedLinkTest, InThePlaceOfTheLockIsRefused) {
  Plant(path_ + "/LOCK");
  ExpectRefused(path_ + "/LOCK");
  EXPECT_FAILS_WITH("symbolic link", VerifyDatabase(path_));
}

TEST_F(PlantedLinkTest, InThePlaceOfAFolderIsRefused) {
  for (const char* folder : {"/wal", "/sst"}) {
    Plant(path_ + folder);
    const auto below = ContentOf(outside_);
    ExpectRefused(path_ + folder);
    ExpectRefused(path_ + folder, /*read_only=*/true);
    EXPECT_FAILS_WITH(path_ + folder + ": not a folder, but a symbolic link",
                      VerifyDatabase(path_));
    EXPECT_FAILS_WITH(path_ + folder + ": not a folder, but a symbolic link",
                      RepairDatabase(path_, directory_.path() + "/repaired"));
    EXPECT_EQ(ContentOf(outside_), below) << "something was written or removed there";
    fs::remove(path_ + folder);
    fs::rename(outside_, path_ + folder);
  }
  ASSERT_OK(Database::Open(path_, SmallOptions()));
}

TEST_F(PlantedLinkTest, InThePlaceOfAFolderOfANewDatabaseIsRefused) {
  const std::string path = directory_.path() + "/new";
  fs::create_directory(path);
  fs::create_directory(directory_.path() + "/elsewhere");
  fs::create_directory_symlink(directory_.path() + "/elsewhere", path + "/sst");
  EXPECT_FAILS_WITH(path + "/sst: not a folder, but a symbolic link",
                    Database::Open(path, SmallOptions()));
  EXPECT_TRUE(fs::is_empty(directory_.path() + "/elsewhere"));
  EXPECT_FALSE(fs::exists(path + "/CURRENT"));
}

TEST_F(PlantedLinkTest, UnderNamesOfNewFilesIsReplacedAndItsTargetStays) {
  // What recovery will write: CURRENT's temporary, the next segments, SSTables and manifest.
  const fs::path target = fs::path(directory_.path()) / "target";
  std::ofstream(target) << "precious";
  fs::create_symlink(target, path_ + "/CURRENT.tmp");
  fs::create_symlink(directory_.path() + "/nowhere", path_ + "/wal/spare-000001.wal");
  for (int number = 2; number < 9; ++number) {
    fs::create_symlink(target, path_ + "/sst/00000" + std::to_string(number) + ".arrow");
    fs::create_symlink(target, path_ + "/MANIFEST-00000" + std::to_string(number));
  }
  ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(path_, SmallOptions()));
  ASSERT_OK_AND_ASSIGN(const auto kv, KeyValue::Open(database));
  ASSERT_OK_AND_ASSIGN(const auto value, kv->Get("logged"));
  EXPECT_EQ(value, "value of logged");
  ASSERT_OK(kv->Put("more", "rows"));
  ASSERT_OK(database->Flush());
  ASSERT_OK(database->Close());
  EXPECT_EQ(BytesOf(target), "precious");
  EXPECT_FALSE(fs::exists(directory_.path() + "/nowhere"));
}

TEST_F(PlantedLinkTest, ThatLeadsNowhereInThePlaceOfCurrentsTemporaryDoesNoHarm) {
  fs::create_symlink(directory_.path() + "/nowhere", path_ + "/CURRENT.tmp");
  ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(path_, SmallOptions()));
  ASSERT_OK(database->Close());
  EXPECT_FALSE(fs::exists(directory_.path() + "/nowhere"));
}

// The child of the next test; it does nothing unless that test starts it.
TEST(OtherProcessTest, OpensTheAliasOfItsParentsDirectory) {
  const char* path = std::getenv("MARBLE_TEST_ALIAS");
  if (path == nullptr) return;
  const arrow::Status status = Database::Open(path).status();
  EXPECT_TRUE(IsLocked(status)) << status.ToString();
  EXPECT_NE(status.message().find(std::to_string(::getppid())), std::string::npos)
      << status.ToString();
}

TEST(AliasTest, ALinkToTheDirectoryIsTheSameDatabaseForEveryProcess) {
  const TestDirectory directory;
  const std::string path = directory.path() + "/db";
  const std::string alias = directory.path() + "/alias";
  fs::create_directory_symlink(path, alias);
  ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(path, SmallOptions()));
  ASSERT_OK(PutOne(database, "k"));
  ASSERT_OK_AND_ASSIGN(const auto again, Database::Open(alias, SmallOptions()));
  ASSERT_OK_AND_ASSIGN(const auto kv, KeyValue::Open(again));
  ASSERT_OK_AND_ASSIGN(const auto value, kv->Get("k"));
  EXPECT_EQ(value, "value of k");
  Options other;
  other.memtable_bytes = 1 << 20;
  EXPECT_TRUE(IsConflict(Database::Open(alias, other).status()));

  ASSERT_EQ(::setenv("MARBLE_TEST_ALIAS", alias.c_str(), 1), 0);
  ASSERT_OK_AND_ASSIGN(auto child, ChildProcess::Start({"--gtest_filter=OtherProcessTest.*"}));
  const int status = child.Wait();
  ASSERT_EQ(::unsetenv("MARBLE_TEST_ALIAS"), 0);
  EXPECT_EQ(status, 0);
}

TEST(NamesTest, NoNameOfATableBecomesAPath) {
  const TestDirectory directory;
  const std::string path = directory.path() + "/db";
  const auto schema = arrow::schema({arrow::field("n", arrow::int64())});
  ASSERT_OK_AND_ASSIGN(const auto rows, BatchFromJson(schema, {"[1, 2, 3]"}));
  const std::vector<std::string> names = {"",
                                          ".",
                                          "..",
                                          "/",
                                          "../../x",
                                          "/etc/passwd",
                                          "a/b",
                                          std::string("\0", 1),
                                          std::string("a\0b", 3),
                                          std::string(64 * 1024, 'n'),
                                          "\xFF\xFE",
                                          "\xC3(",
                                          "LOCK",
                                          "CURRENT",
                                          "CURRENT.tmp",
                                          "MANIFEST-000001",
                                          "wal",
                                          "sst",
                                          "000001.arrow",
                                          "-rf",
                                          "~",
                                          "*",
                                          "$(id)",
                                          "a\\..\\b",
                                          "con",
                                          " ",
                                          std::string(255, 'n')};
  ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(path, SmallOptions()));
  int created = 0;
  for (const std::string& name : names) {
    if (!database->CreateTable(name, schema).ok()) continue;
    ++created;
    ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database, name));
    ASSERT_OK(table->Insert(rows));
  }
  EXPECT_EQ(created, 14);
  ASSERT_OK(database->Flush());
  ASSERT_OK(database->Close());
  const std::regex ours(
      "CURRENT|LOCK|MANIFEST-[0-9]{6}|wal|wal/[0-9]{6}\\.wal|wal/spare-[0-9]{6}\\.wal|sst"
      "|sst/[0-9]{6}\\.arrow");
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const std::string below = fs::relative(entry.path(), path).string();
    EXPECT_TRUE(std::regex_match(below, ours)) << below;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()), 1);
}

TEST(ReadOnlyTest, OpeningForReadingTakesNoLockAndWritesNothing) {
  TestDatabase database(SmallOptions());
  ASSERT_OK(database.Open());
  ASSERT_OK(PutOne(database.get(), "flushed"));
  ASSERT_OK(database->Flush());
  ASSERT_OK(PutOne(database.get(), "logged"));
  ASSERT_OK(database->SyncLog());
  // A copy of what a dead process leaves, without its lock: none may appear.
  const TestDirectory directory;
  const std::string copy = directory.path() + "/copy";
  fs::copy(database.path(), copy, fs::copy_options::recursive);
  fs::remove(copy + "/LOCK");
  const auto before = ContentOf(copy);
  const Options options = SmallOptions(/*read_only=*/true);
  for (const std::string& path : {copy, database.path()}) {  // of which the second is in use
    ASSERT_OK_AND_ASSIGN(const auto reader, Database::Open(path, options));
    ASSERT_OK_AND_ASSIGN(const auto kv, KeyValue::Open(reader));
    for (const char* key : {"flushed", "logged"}) {
      ASSERT_OK_AND_ASSIGN(const auto value, kv->Get(key));
      EXPECT_EQ(value, "value of " + std::string(key));
    }
    ASSERT_OK(reader->Close());
  }
  EXPECT_EQ(ContentOf(copy), before);
  // The reader holds nothing that keeps an owner away.
  ASSERT_OK_AND_ASSIGN(const auto reader, Database::Open(copy, options));
  ASSERT_OK_AND_ASSIGN(const auto owner, Database::Open(copy, SmallOptions()));
  ASSERT_OK(PutOne(owner, "new"));
}

}  // namespace
}  // namespace marble::test

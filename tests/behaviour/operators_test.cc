// What people do to a database's directory with other tools: copies that know only files, volumes
// that hold nothing else, files cleared away by hand. On the real file system.

#include <filesystem>
#include <fstream>

#include <marble/verify.h>

#include "support/test_database.h"

namespace marble::test {
namespace {

namespace fs = std::filesystem;

void Put(const std::shared_ptr<Database>& db, const std::string& key, const std::string& value) {
  ASSERT_OK_AND_ASSIGN(auto pairs, KeyValue::Open(db));
  ASSERT_OK(pairs->Put(key, value));
}

void ExpectValue(const std::shared_ptr<Database>& db, const std::string& key,
                 const std::string& value) {
  ASSERT_OK_AND_ASSIGN(auto pairs, KeyValue::Open(db));
  std::string found;
  ASSERT_OK_AND_ASSIGN(const bool any, pairs->Get(key, &found));
  EXPECT_TRUE(any) << key;
  EXPECT_EQ(found, value);
}

/// A copy of the files in `from`, as tools make it that know no folders.
void CopyFiles(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    if (!entry.is_regular_file()) continue;
    const fs::path target = to / fs::relative(entry.path(), from);
    fs::create_directories(target.parent_path());
    fs::copy_file(entry.path(), target);
  }
}

TEST(Operators, ACopyWithoutEmptyFoldersOpensAndTakesWrites) {
  for (const bool any_files : {false, true}) {
    SCOPED_TRACE(any_files);
    TestDatabase original;
    ASSERT_OK(original.Open());
    if (any_files) Put(original.get(), "key", "value");
    ASSERT_OK(original.Close());
    const TestDirectory copy;
    CopyFiles(original.path(), copy.path());
    ASSERT_FALSE(fs::exists(copy.path() + "/wal"));
    ASSERT_EQ(fs::exists(copy.path() + "/sst"), any_files);

    ASSERT_OK_AND_ASSIGN(const auto report, VerifyDatabase(copy.path()));
    EXPECT_TRUE(report.findings.empty());
    Options read_only;
    read_only.read_only = true;
    std::shared_ptr<Database> db;
    ASSERT_OK(Database::Open(copy.path(), read_only).Value(&db));
    if (any_files) ExpectValue(db, "key", "value");
    ASSERT_OK(db->Close());
    EXPECT_FALSE(fs::exists(copy.path() + "/wal")) << "a read-only open has written";

    ASSERT_OK(Database::Open(copy.path(), Options()).Value(&db));
    Put(db, "later", "written");
    ASSERT_OK(db->Flush());
    ASSERT_OK(db->Close());
    ASSERT_OK(Database::Open(copy.path(), Options()).Value(&db));
    if (any_files) ExpectValue(db, "key", "value");
    ExpectValue(db, "later", "written");
    ASSERT_OK(db->Close());
  }
}

TEST(Operators, ACopyOfAKilledProcessWithoutEmptyFoldersFlushesWhatItReplays) {
  const TestDirectory copy;
  {
    TestDatabase original;
    ASSERT_OK(original.Open());
    ASSERT_OK_AND_ASSIGN(auto pairs, KeyValue::Open(original.get()));
    for (int i = 0; i < 3000; ++i) {
      ASSERT_OK(pairs->Put("key " + std::to_string(i), std::string(1000, 'v')));
    }
    CopyFiles(original.path(), copy.path());  // as a process that is killed would leave them
    pairs.reset();
    ASSERT_OK(original.Close());
  }
  ASSERT_FALSE(fs::exists(copy.path() + "/sst"));
  Options options;
  options.memtable_bytes = 256 << 10;
  options.log_segment_bytes = 1 << 20;
  std::shared_ptr<Database> db;
  ASSERT_OK(Database::Open(copy.path(), options).Value(&db));
  EXPECT_TRUE(fs::exists(copy.path() + "/sst"));
  for (int i = 0; i < 3000; i += 99) {
    ExpectValue(db, "key " + std::to_string(i), std::string(1000, 'v'));
  }
  ASSERT_OK(db->Close());
}

TEST(Operators, ACopyThatLacksSstablesIsRefusedByTheirNames) {
  TestDatabase original;
  ASSERT_OK(original.Open());
  Put(original.get(), "key", "value");
  ASSERT_OK(original.Close());
  fs::remove_all(original.path() + "/sst");
  EXPECT_FAILS_WITH(".arrow", original.Open());
  ASSERT_OK_AND_ASSIGN(const auto report, VerifyDatabase(original.path()));
  EXPECT_FALSE(report.findings.empty());
}

TEST(Operators, ACopyThatLacksTheLogOfAKilledProcessIsRefusedByItsName) {
  const TestDirectory copy;
  {
    TestDatabase original;
    ASSERT_OK(original.Open());
    Put(original.get(), "key", "value");
    CopyFiles(original.path(), copy.path());  // as a process that is killed would leave them
    ASSERT_OK(original.Close());
  }
  fs::remove_all(copy.path() + "/wal");
  std::shared_ptr<Database> db;
  EXPECT_FAILS_WITH(".wal", Database::Open(copy.path(), Options()).Value(&db));
  ASSERT_OK_AND_ASSIGN(const auto report, VerifyDatabase(copy.path()));
  EXPECT_FALSE(report.findings.empty());
}

TEST(Operators, AFolderWithAnSstablesNameIsLeftAlone) {
  TestDatabase db;
  ASSERT_OK(db.Open());
  Put(db.get(), "key", "value");
  ASSERT_OK(db.Close());
  std::vector<std::string> folders;  // in the place of the next files, too
  for (int number = 2; number < 12; ++number) {
    const std::string name = (number < 10 ? "00000" : "0000") + std::to_string(number) + ".arrow";
    std::string folder = db.path() + "/sst/" + name;
    if (fs::exists(folder)) continue;
    fs::create_directory(folder);
    std::ofstream(folder + "/notes") << "somebody's";
    folders.push_back(std::move(folder));
  }
  ASSERT_FALSE(folders.empty());
  ASSERT_OK(db.Open());
  Put(db.get(), "key", "another");
  ASSERT_OK(db->Flush());
  ASSERT_OK(db->Compact());
  ASSERT_OK(db.Reopen());
  ExpectValue(db.get(), "key", "another");
  for (const std::string& folder : folders) EXPECT_TRUE(fs::exists(folder + "/notes")) << folder;
}

TEST(Operators, AFolderInThePlaceOfAnSstableIsNamed) {
  TestDatabase db;
  ASSERT_OK(db.Open());
  Put(db.get(), "key", "value");
  ASSERT_OK(db.Close());
  std::string file;
  for (const auto& entry : fs::directory_iterator(db.path() + "/sst")) file = entry.path();
  fs::rename(file, db.path() + "/kept");
  fs::create_directory(file);
  EXPECT_FAILS_WITH(file, db.Open());
  EXPECT_FAILS_WITH("regular file", db.Open());
  EXPECT_TRUE(fs::exists(file));
}

TEST(Operators, ADatabaseIsCreatedInTheRootOfAnExtVolume) {
  TestDatabase db;
  fs::create_directory(db.path() + "/lost+found");
  ASSERT_OK(db.Open());
  Put(db.get(), "key", "value");
  ASSERT_OK(db.Reopen());
  ExpectValue(db.get(), "key", "value");
  EXPECT_TRUE(fs::exists(db.path() + "/lost+found"));
  ASSERT_OK(db.Close());
  ASSERT_OK_AND_ASSIGN(const auto report, VerifyDatabase(db.path()));
  EXPECT_TRUE(report.findings.empty());
}

TEST(Operators, AFileNamedLikeTheFolderOfAnExtVolumeIsNobodysDatabase) {
  TestDatabase db;
  std::ofstream(db.path() + "/lost+found") << "a file";
  EXPECT_FAILS_WITH("lost+found", db.Open());
}

TEST(Operators, SpareLogSegmentsCanBeClearedAwayByHand) {
  Options options;
  options.log_segment_bytes = 1 << 20;
  options.memtable_bytes = 1 << 20;
  TestDatabase db(options);
  ASSERT_OK(db.Open());
  ASSERT_OK_AND_ASSIGN(auto pairs, KeyValue::Open(db.get()));
  int removed = 0;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 2000; ++i) {
      ASSERT_OK(pairs->Put("key " + std::to_string(i), std::string(1000, 'a' + round)));
    }
    ASSERT_OK(db->Flush());
    for (const auto& entry : fs::directory_iterator(db.path() + "/wal")) {
      if (!entry.path().filename().string().starts_with("spare-")) continue;
      std::error_code ignored;  // it may just be taken
      removed += fs::remove(entry.path(), ignored) ? 1 : 0;
    }
  }
  EXPECT_GT(removed, 0) << "nothing was there to be removed";
  pairs.reset();
  ASSERT_OK(db.Reopen());
  for (int i = 0; i < 2000; i += 97) {
    ExpectValue(db.get(), "key " + std::to_string(i), std::string(1000, 'a' + 11));
  }
}

}  // namespace
}  // namespace marble::test

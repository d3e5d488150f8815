#include "tree/manifest.h"

#include <gtest/gtest.h>

#include <marble/error.h>

#include "io/memory_file_system.h"
#include "tree/file_names.h"

namespace marble {
namespace {

class ManifestTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(fs_.CreateDirectory("/db").ok());
    ASSERT_TRUE(fs_.SyncDirectory("/").ok());
    state_.uuid = RandomUuid();
    state_.hash_seed = 5;
    ManifestTable& table = state_.tables[1];
    table.record.id = 1;
    table.record.name = "default";
    auto created = Manifest::Create(&fs_, "/db", 1, state_);
    ASSERT_TRUE(created.ok()) << created.status().ToString();
    manifest_ = *std::move(created);
  }

  VersionEdit AddFile(uint64_t number) {
    VersionEdit edit;
    AddedFile file;
    file.meta.number = number;
    edit.For(1)->added.push_back(file);
    return edit;
  }

  int64_t Size() { return *fs_.FileSize(ManifestPath("/db", 1)); }

  /// The edit verifies but cannot be.
  void ExpectDamageBy(const VersionEdit& edit, const std::string& text) {
    const int64_t begin = Size();
    ASSERT_TRUE(manifest_->Append(edit).ok());
    const arrow::Status status = Manifest::Load(&fs_, "/db").status();
    ASSERT_TRUE(IsCorruption(status)) << status.ToString();
    EXPECT_NE(status.message().find(text), std::string::npos) << status.ToString();
    EXPECT_EQ(DetailOf(status)->offset(), begin);
  }

  MemoryFileSystem fs_;
  ManifestState state_;
  std::unique_ptr<Manifest> manifest_;
};

TEST_F(ManifestTest, LoadsTheSumOfItsEdits) {
  ASSERT_TRUE(manifest_->Append(AddFile(4)).ok());
  ASSERT_TRUE(manifest_->Append(AddFile(5)).ok());
  VersionEdit remove;
  remove.For(1)->removed = {4};
  ASSERT_TRUE(manifest_->Append(remove).ok());
  auto loaded = Manifest::Load(&fs_, "/db");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_FALSE(loaded->clean);
  EXPECT_EQ(loaded->state.hash_seed, 5u);
  ASSERT_EQ(loaded->state.tables.at(1).files.size(), 1u);
  EXPECT_TRUE(loaded->state.tables.at(1).files.contains(5));
}

TEST_F(ManifestTest, AnEditIsDurableWhenAppendReturns) {
  ASSERT_TRUE(manifest_->Append(AddFile(4)).ok());
  fs_.LoseUnsynced(LossPolicy::kDropAll, 1);
  auto loaded = Manifest::Load(&fs_, "/db");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_TRUE(loaded->state.tables.at(1).files.contains(4));
}

TEST_F(ManifestTest, CutsATornEditAtTheEnd) {
  ASSERT_TRUE(manifest_->Append(AddFile(4)).ok());
  const int64_t whole = Size();
  ASSERT_TRUE(manifest_->Append(AddFile(5)).ok());
  ASSERT_TRUE(fs_.Truncate(ManifestPath("/db", 1), whole + 70).ok());
  auto loaded = Manifest::Load(&fs_, "/db");
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_TRUE(loaded->state.tables.at(1).files.contains(4));
  EXPECT_FALSE(loaded->state.tables.at(1).files.contains(5));
}

TEST_F(ManifestTest, ReportsDamageBeforeAValidRecordWithItsOffset) {
  const int64_t begin = Size();
  ASSERT_TRUE(manifest_->Append(AddFile(4)).ok());
  ASSERT_TRUE(manifest_->Append(AddFile(5)).ok());
  ASSERT_TRUE(fs_.Damage(ManifestPath("/db", 1), begin + 66, 1).ok());
  arrow::Status status = Manifest::Load(&fs_, "/db").status();
  ASSERT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_EQ(DetailOf(status)->offset(), begin);
  EXPECT_EQ(DetailOf(status)->file(), ManifestPath("/db", 1));
}

TEST_F(ManifestTest, AfterACleanCloseEveryDamagedByteIsReported) {
  ASSERT_TRUE(manifest_->Append(AddFile(4)).ok());
  ASSERT_TRUE(manifest_->CloseClean().ok());
  for (const std::string& path : {ManifestPath("/db", 1), CurrentPath("/db")}) {
    const int64_t size = *fs_.FileSize(path);
    for (int64_t at = 0; at < size; ++at) {
      ASSERT_TRUE(fs_.Damage(path, at, 0x40).ok());
      arrow::Status status = Manifest::Load(&fs_, "/db").status();
      EXPECT_TRUE(IsCorruption(status) || IsIncompatibleFormat(status))
          << path << " byte " << at << ": " << status.ToString();
      ASSERT_TRUE(fs_.Damage(path, at, 0x40).ok());
    }
  }
  EXPECT_TRUE(Manifest::Load(&fs_, "/db").ok());
}

TEST_F(ManifestTest, AfterACleanCloseATruncatedManifestIsReported) {
  ASSERT_TRUE(manifest_->CloseClean().ok());
  ASSERT_TRUE(fs_.Truncate(ManifestPath("/db", 1), Size() - 64).ok());
  EXPECT_TRUE(IsCorruption(Manifest::Load(&fs_, "/db").status()));
}

TEST_F(ManifestTest, AFileAtALevelThatIsNotThereIsReportedWithTheEditsOffset) {
  VersionEdit edit = AddFile(4);
  edit.For(1)->added[0].level = 50;
  ExpectDamageBy(edit, "level 50");
}

TEST_F(ManifestTest, AFileThatIsAddedTwiceIsReportedWithTheEditsOffset) {
  VersionEdit edit = AddFile(4);
  edit.For(1)->added.push_back(edit.For(1)->added[0]);
  ExpectDamageBy(edit, "twice");
}

TEST_F(ManifestTest, ACurrentFileOfTheWrongLengthIsReported) {
  for (const size_t bytes : {size_t{0}, size_t{5}, size_t{4096}, size_t{5000}}) {
    auto file = fs_.CreateWritable("/db/CURRENT.new");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->Append(std::string(bytes, 'M')).ok());
    ASSERT_TRUE((*file)->Close().ok());
    ASSERT_TRUE(fs_.Rename("/db/CURRENT.new", CurrentPath("/db")).ok());
    const arrow::Status status = Manifest::Load(&fs_, "/db").status();
    ASSERT_TRUE(IsCorruption(status)) << bytes << ": " << status.ToString();
    EXPECT_EQ(DetailOf(status)->file(), CurrentPath("/db"));
    // Not even read.
    EXPECT_EQ(status.message().find("longer than") != std::string::npos, bytes > 4096);
  }
}

TEST(ManifestStateTest, RefusesEditsThatContradictIt) {
  ManifestState state;
  VersionEdit unknown;
  unknown.For(7)->removed = {1};
  EXPECT_TRUE(state.Apply(unknown).IsInvalid());
  VersionEdit create;
  create.created.emplace_back().id = 7;
  ASSERT_TRUE(state.Apply(create).ok());
  EXPECT_TRUE(state.Apply(create).IsInvalid());
  EXPECT_TRUE(state.Apply(unknown).IsInvalid());
}

}  // namespace
}  // namespace marble

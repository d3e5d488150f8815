// What an open makes of a database whose process died, or whose owner goes on writing.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <marble/error.h>
#include <marble/schema_change.h>

#include "io/memory_file_system.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

/// Tells when the log is looked at.
class WatchedFileSystem : public MemoryFileSystem {
 public:
  arrow::Result<std::vector<DirectoryEntry>> List(const std::string& directory) override {
    if (directory.ends_with("/wal") && at_log) {
      auto call = std::exchange(at_log, nullptr);
      call();
      if (always) at_log = std::move(call);
    }
    return MemoryFileSystem::List(directory);
  }

  arrow::Result<std::shared_ptr<ReadableFile>> OpenReadable(const std::string& path) override {
    if (path.ends_with("/CURRENT") && at_manifest) std::exchange(at_manifest, nullptr)();
    return MemoryFileSystem::OpenReadable(path);
  }

  std::function<void()> at_log;
  bool always = false;  // or once
  std::function<void()> at_manifest;
};

class RecoveryTest : public testing::Test {
 protected:
  Options OnDisk(int64_t memory_budget = 64 << 20) {
    Options options;
    options.file_system = &fs_;
    options.memory_budget = memory_budget;
    return options;
  }
  arrow::Status Open(const Options& options) {
    return Database::Open("/db", options).Value(&database_);
  }
  void Die() {
    fs_.FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), true);
    database_.reset();
    fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
    fs_.ClearFaults();
  }

  WatchedFileSystem fs_;
  std::shared_ptr<Database> database_;
};

const auto kSchema =
    arrow::schema({arrow::field("id", arrow::int64(), false), arrow::field("text", arrow::utf8())});

TEST_F(RecoveryTest, ALogOfManyTablesIsReplayedWithinABudgetThatIsSmallerNow) {
  constexpr size_t kTables = 12;
  ASSERT_OK(Open(OnDisk()));
  const std::string text(1000, 'x');
  std::vector<std::shared_ptr<Table>> tables(kTables);
  for (size_t t = 0; t < kTables; ++t) {
    const std::string name = "t" + std::to_string(t);
    ASSERT_OK(database_->CreateTable(name, kSchema, {.primary_key = {"id"}}));
    ASSERT_OK(Table::Open(database_, name).Value(&tables[t]));
  }
  for (int i = 0; i < 300; ++i) {
    ASSERT_OK_AND_ASSIGN(
        auto row, BatchFromJson(kSchema, {"[" + std::to_string(i) + "]", "[\"" + text + "\"]"}));
    for (const auto& table : tables) ASSERT_OK(table->Insert(row));
  }
  tables.clear();
  Die();
  // Each table by itself is far below the size at which a memtable is flushed.
  ASSERT_OK(Open(OnDisk(4 << 20)));
  ASSERT_OK_AND_ASSIGN(const Stats stats, database_->GetStats());
  EXPECT_GT(stats.flushes, kTables) << "memory was never short";
  for (size_t t = 0; t < kTables; ++t) {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_, "t" + std::to_string(t)));
    EXPECT_EQ(table->Count().ValueOrDie(), 300);
  }
}

TEST_F(RecoveryTest, ValuesThatLookLikeLogRecordsDoNotKeepTheDatabaseFromOpening) {
  constexpr int64_t kSegmentBytes = 256 << 10;
  constexpr int64_t kRows = 2048;
  constexpr int kBatches = 200;
  Options options = OnDisk();
  options.log_segment_bytes = kSegmentBytes;
  options.memtable_bytes = 1 << 20;
  const auto schema = arrow::schema({arrow::field("v", arrow::int64(), false)});
  // Lines of 64 bytes that begin as a record's header does, in segments that are used again: a
  // length, a kind, a sequence, a count, a position, a checksum, zeros. The first only by accident.
  for (const std::vector<int64_t>& line : {std::vector<int64_t>{150'000, 1, 0, 0, 0, 0, 0, 0},
                                           {150'000, 1, int64_t{1} << 40, 1, 0, 0, 5, 0}}) {
    ASSERT_OK(Open(options));
    ASSERT_OK(database_->CreateTable("t", schema));
    arrow::Int64Builder values;
    for (int64_t i = 0; i < kRows; ++i) ASSERT_OK(values.Append(line[static_cast<size_t>(i) % 8]));
    ASSERT_OK_AND_ASSIGN(const auto column, values.Finish());
    {
      ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_, "t"));
      for (int i = 0; i < kBatches; ++i) {
        ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, kRows, {column})));
        if (i % 50 == 49) ASSERT_OK(database_->WaitForBackground());
      }
    }
    Die();
    ASSERT_OK(Open(options));
    {
      ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_, "t"));
      EXPECT_EQ(table->Count().ValueOrDie(), kRows * kBatches);
    }
    ASSERT_OK(database_->DropTable("t"));
    ASSERT_OK(database_->Close());
    database_.reset();
  }
}

class ReadOnlyBesideItsOwnerTest : public RecoveryTest {
 protected:
  void SetUp() override {
    ASSERT_OK(Open(OnDisk()));
    ASSERT_OK(database_->CreateTable("t", kSchema, {.primary_key = {"id"}}));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_, "t"));
    ASSERT_OK_AND_ASSIGN(auto rows, BatchFromJson(kSchema, {"[1, 2]", R"(["a", "b"])"}));
    ASSERT_OK(table->Insert(rows));
    fs_.at_log = [this, n = 0]() mutable {
      const auto field = arrow::field("n" + std::to_string(n++), arrow::int64());
      EXPECT_TRUE(database_->AlterTable("t", SchemaChange().Add(field)).ok());
    };
  }
  arrow::Result<std::shared_ptr<Database>> OpenReadOnly() {
    Options options = OnDisk();
    options.read_only = true;
    return Database::Open("/db", options);
  }
};

TEST_F(ReadOnlyBesideItsOwnerTest, ASchemaThatChangesMeanwhileIsReadAsItIsAfterwards) {
  ASSERT_OK_AND_ASSIGN(auto reading, OpenReadOnly());
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(reading, "t"));
  ASSERT_OK_AND_ASSIGN(auto rows, ScanAll(*table));
  EXPECT_EQ(rows->num_columns(), 3);
  EXPECT_EQ(rows->num_rows(), 2);
}

TEST_F(ReadOnlyBesideItsOwnerTest, ATableThatIsDroppedMeanwhileIsNotThereAfterwards) {
  // Nothing tells then what the alteration was, before which the rows in the log must not be read.
  fs_.at_log = [this] {
    const auto field = arrow::field("n", arrow::int64());
    EXPECT_TRUE(database_->AlterTable("t", SchemaChange().Add(field)).ok());
    fs_.at_manifest = [this] { EXPECT_TRUE(database_->DropTable("t").ok()); };
  };
  ASSERT_OK_AND_ASSIGN(auto reading, OpenReadOnly());
  EXPECT_TRUE(IsNotFound(Table::Open(reading, "t").status()));
}

TEST_F(ReadOnlyBesideItsOwnerTest, ASchemaThatNeverStandsStillIsToldByTable) {
  fs_.always = true;
  EXPECT_FAILS_WITH("the schema of table 't' was changed while /db was being opened",
                    OpenReadOnly());
  fs_.at_log = nullptr;
  ASSERT_OK(OpenReadOnly());
}

}  // namespace
}  // namespace marble::test

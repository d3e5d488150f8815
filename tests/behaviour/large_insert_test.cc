// What Table::Insert promises of many batches and of readers: one commit, however many rows, of
// which no more than a share of the memory budget is held; nothing if anything fails.
#include <algorithm>
#include <functional>
#include <utility>

#include <arrow/api.h>
#include <arrow/extension/uuid.h>

#include <marble/transfer.h>

#include "io/memory_file_system.h"
#include "support/made_rows.h"
#include "support/recording_file_system.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

/// A batch takes a third of a memtable, and a mebibyte is held: some eighty batches.
constexpr int64_t kBatchRows = 100;
constexpr int64_t kFew = 5;
constexpr int64_t kMany = 400;

BatchPtr Batch(int64_t n, int64_t step = kBatchRows) {
  return RowsOf(Consecutive(n * step, kBatchRows), n);
}

class LargeInsertTest : public MadeRowsTest {
 protected:
  /// `kMany` batches in "keyed", in one commit of which the log has but where they are.
  void ExpectManyBesideTheLog() {
    ASSERT_OK_AND_ASSIGN(const Stats stats, database_->GetStats());
    EXPECT_LT(stats.log_bytes_written, kBatchRows * 100);
    EXPECT_EQ(stats.commits, 1);
    ASSERT_OK(Reopen());
    EXPECT_EQ(*keyed_->Count(), kMany * kBatchRows);
  }
};

/// Batches 0 to `count`, each `step` behind the last.
MadeRows Rows(int64_t count, int64_t step = kBatchRows) {
  return MadeRows(
      [=](int64_t n) -> arrow::Result<BatchPtr> { return n < count ? Batch(n, step) : nullptr; });
}

TEST_F(LargeInsertTest, AReaderOfFewRowsIsAnInsertThroughTheLog) {
  auto rows = Rows(kFew);
  ASSERT_OK_AND_ASSIGN(const int64_t inserted, keyed_->Insert(&rows));
  EXPECT_EQ(inserted, kFew * kBatchRows);
  ASSERT_OK_AND_ASSIGN(const Stats stats, database_->GetStats());
  EXPECT_GT(stats.log_bytes_written, kFew * kBatchRows * 100);
  EXPECT_EQ(stats.commits, 1);
  ASSERT_OK(Reopen());
  EXPECT_EQ(*keyed_->Count(), kFew * kBatchRows);
}

TEST_F(LargeInsertTest, AReaderOfManyRowsIsOneCommitThatDoesNotPassThroughTheLog) {
  auto rows = Rows(kMany);
  ASSERT_OK_AND_ASSIGN(const int64_t inserted, keyed_->Insert(&rows));
  EXPECT_EQ(inserted, kMany * kBatchRows);
  ExpectManyBesideTheLog();
}

TEST_F(LargeInsertTest, ManyBatchesAreOneCommitThatDoesNotPassThroughTheLog) {
  std::vector<BatchPtr> batches;
  for (int64_t n = 0; n < kMany; ++n) batches.push_back(Batch(n));
  ASSERT_OK(keyed_->Insert(batches));
  ExpectManyBesideTheLog();
}

TEST_F(LargeInsertTest, OnlyAShareOfAReadersRowsIsHeld) {
  // Slices too: each is a tenth of a batch that would stay as long as it.
  for (const bool slices : {false, true}) {
    std::vector<std::weak_ptr<arrow::Buffer>> given;
    BatchPtr whole;
    MadeRows rows([&](int64_t n) -> arrow::Result<BatchPtr> {
      if (n == kMany) return nullptr;
      if (n % 10 == 0 || !slices) {
        whole = slices ? RowsOf(Consecutive(n * kBatchRows, 10 * kBatchRows), n) : Batch(n);
        given.push_back(whole->column_data(2)->buffers[2]);
      }
      const auto held = std::ranges::count_if(given, [](const auto& p) { return !p.expired(); });
      EXPECT_LE(held, slices ? 2 : 100) << "of " << given.size();
      return slices ? whole->Slice(n % 10 * kBatchRows, kBatchRows) : std::exchange(whole, nullptr);
    });
    ASSERT_OK(keyed_->Insert(&rows));
    EXPECT_EQ(*keyed_->Count(), kMany * kBatchRows);
    ASSERT_OK(keyed_->DeleteRange({}));
  }
}

TEST_F(LargeInsertTest, NothingIsSeenBeforeTheEnd) {
  MadeRows rows([&](int64_t n) -> arrow::Result<BatchPtr> {
    EXPECT_EQ(*keyed_->Count(), 0);
    return n < kMany ? Batch(n) : nullptr;
  });
  ASSERT_OK(keyed_->Insert(&rows));
  EXPECT_EQ(*keyed_->Count(), kMany * kBatchRows);
}

TEST_F(LargeInsertTest, OfAKeyThatComesAgainTheLastRowWins) {
  constexpr int64_t kStep = 7;
  for (const int64_t count : {kFew, kMany}) {
    std::vector<BatchPtr> batches;
    for (int64_t n = 0; n < count; ++n) batches.push_back(Batch(n, kStep));
    std::vector<int64_t> wanted;
    for (int64_t id = 0; id < (count - 1) * kStep + kBatchRows; ++id) {
      wanted.push_back(std::min(id / kStep, count - 1));
    }
    ASSERT_OK(keyed_->Insert(batches));
    EXPECT_EQ(ValuesOf(*keyed_), wanted);
    ASSERT_OK(keyed_->DeleteRange({}));
    auto rows = Rows(count, kStep);
    ASSERT_OK(keyed_->Insert(&rows));
    EXPECT_EQ(ValuesOf(*keyed_), wanted);
    ASSERT_OK(keyed_->DeleteRange({}));
  }
}

TEST_F(LargeInsertTest, AnAppendTableKeepsTheOrderOfTheRows) {
  std::vector<int64_t> wanted;
  for (const int64_t count : {kFew, kMany, kFew}) {
    for (int64_t n = 0; n < count; ++n) wanted.insert(wanted.end(), kBatchRows, n);
    auto rows = Rows(count, -kBatchRows);
    ASSERT_OK(append_->Insert(&rows));
  }
  EXPECT_EQ(ValuesOf(*append_), wanted);
  ASSERT_OK(Reopen());
  EXPECT_EQ(ValuesOf(*append_), wanted);
}

TEST_F(LargeInsertTest, AReaderThatFailsLeavesNeitherRowsNorFiles) {
  const size_t before = SstFiles();
  for (const int64_t count : {kFew, kMany}) {
    size_t meanwhile = 0;
    MadeRows rows([&](int64_t n) -> arrow::Result<BatchPtr> {
      meanwhile = std::max(meanwhile, SstFiles());
      if (n == count) return arrow::Status::IOError("the source broke");
      return Batch(n);
    });
    EXPECT_FAILS_WITH("the source broke", keyed_->Insert(&rows));
    EXPECT_EQ(meanwhile > before, count == kMany);
    EXPECT_EQ(*keyed_->Count(), 0);
    EXPECT_EQ(SstFiles(), before);
  }
}

TEST_F(LargeInsertTest, ABatchThatIsRefusedIsNamedAndNothingIsWritten) {
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64()), RowSchema()->field(1), RowSchema()->field(2)});
  ASSERT_OK_AND_ASSIGN(const auto bad,
                       BatchFromJson(schema, {"[1, null]", "[1, 2]", R"(["a", "b"])"}));
  for (const int64_t count : {kFew, kMany}) {
    std::vector<BatchPtr> batches;
    for (int64_t n = 0; n < count; ++n) batches.push_back(Batch(n));
    batches.push_back(bad);
    EXPECT_FAILS_WITH("table 'keyed': null in key column 'id'", keyed_->Insert(batches));
    EXPECT_EQ(*keyed_->Count(), 0);
  }
}

TEST_F(LargeInsertTest, AReaderOfATableThatIsAlteredMeanwhileIsAConflict) {
  for (const int64_t count : {kFew, kMany}) {
    MadeRows rows([&](int64_t n) -> arrow::Result<BatchPtr> {
      if (n == count) return nullptr;
      if (n == count - 1) {
        SchemaChange change;
        change.Add(arrow::field("more" + std::to_string(count), arrow::int8()));
        ARROW_RETURN_NOT_OK(database_->AlterTable("append", change));
      }
      return Batch(n);
    });
    const auto inserted = append_->Insert(&rows);
    EXPECT_TRUE(IsConflict(inserted.status())) << inserted.status().ToString();
    EXPECT_EQ(*append_->Count(), 0);
    ASSERT_OK(database_->DropTable("append"));
    ASSERT_OK(database_->CreateTable("append", RowSchema()));
    ASSERT_OK(OpenTables());
  }
}

TEST_F(LargeInsertTest, AReaderThatClosesTheDatabaseIsRefused) {
  for (const int64_t count : {kFew, kMany}) {
    MadeRows rows([&](int64_t n) -> arrow::Result<BatchPtr> {
      if (n == count) return nullptr;
      if (n == count - 1) ARROW_RETURN_NOT_OK(database_->Close());
      return Batch(n);
    });
    const auto inserted = keyed_->Insert(&rows);
    EXPECT_TRUE(IsClosed(inserted.status())) << inserted.status().ToString();
    ASSERT_OK(Reopen());
    EXPECT_EQ(*keyed_->Count(), 0);
  }
}

TEST_F(LargeInsertTest, ADroppedTableRefusesNoRowsToo) {
  ASSERT_OK(database_->DropTable("keyed"));
  auto rows = Rows(0);
  for (const arrow::Status& refused :
       {keyed_->Insert(Batch(0)->Slice(0, 0)), keyed_->Insert(std::vector<BatchPtr>()),
        keyed_->Insert(&rows).status(), BulkLoad(keyed_, &rows).status()}) {
    EXPECT_TRUE(IsNotFound(refused)) << refused.ToString();
  }
}

// Extension types within others: Arrow makes no empty arrays of them.
TEST_F(LargeInsertTest, AReaderMayHaveColumnsOfAnyType) {
  const auto type = arrow::list(arrow::extension::uuid());
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64(), /*nullable=*/false), arrow::field("parts", type)});
  ASSERT_OK(database_->CreateTable("nested", schema, {.primary_key = {"id"}}));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database_.get(), "nested"));
  ASSERT_OK_AND_ASSIGN(const auto ids, arrow::json::ArrayFromJSONString(arrow::int64(), "[1, 2]"));
  ASSERT_OK_AND_ASSIGN(const auto parts, arrow::MakeArrayOfNull(type, 2));
  const auto batch = arrow::RecordBatch::Make(schema, 2, {ids, parts});
  ASSERT_OK_AND_ASSIGN(const auto rows, arrow::RecordBatchReader::Make({batch}, schema));
  ASSERT_OK(table->Insert(rows.get()));
  EXPECT_EQ(*table->Count(), 2);
}

TEST_F(LargeInsertTest, AReaderOfOtherColumnsIsRefusedThoughItHasNoRows) {
  const auto schema = arrow::schema({arrow::field("other", arrow::int8())});
  ASSERT_OK_AND_ASSIGN(const auto rows, arrow::RecordBatchReader::Make({}, schema));
  EXPECT_FAILS_WITH("'keyed'", keyed_->Insert(rows.get()));
}

// Their bytes would not bound the work.
TEST_F(LargeInsertTest, RowsWithoutNumberThatHoldNothingAreRefused) {
  const auto schema = arrow::schema({arrow::field("nothing", arrow::null())});
  ASSERT_OK(database_->CreateTable("nothing", schema));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database_.get(), "nothing"));
  constexpr int64_t kRows = int64_t{1} << 40;
  const auto nulls = std::make_shared<arrow::NullArray>(kRows);
  const std::vector<BatchPtr> batches = {
      arrow::RecordBatch::Make(schema, kRows, arrow::ArrayVector{nulls})};
  EXPECT_FAILS_WITH("hold nothing for table 'nothing'", table->Insert(batches));
  ASSERT_OK_AND_ASSIGN(auto rows, arrow::RecordBatchReader::Make(batches, schema));
  EXPECT_FAILS_WITH("hold nothing for table 'nothing'", table->Insert(rows.get()));
  ASSERT_OK_AND_ASSIGN(rows, arrow::RecordBatchReader::Make(batches, schema));
  EXPECT_FAILS_WITH("hold nothing for table 'nothing'", BulkLoad(table, rows.get()));
  EXPECT_EQ(*table->Count(), 0);
}

TEST_F(LargeInsertTest, BatchesOfRowsThatHoldNothingAreWrittenHoweverManyTheRowsAre) {
  const auto schema = arrow::schema({arrow::field("nothing", arrow::null())});
  ASSERT_OK(database_->CreateTable("nothing", schema));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database_.get(), "nothing"));
  constexpr int64_t kRows = (int64_t{1} << 30) + 1;  // two are more than a run takes
  const auto nulls = std::make_shared<arrow::NullArray>(kRows);
  const auto batch = arrow::RecordBatch::Make(schema, kRows, arrow::ArrayVector{nulls});
  ASSERT_OK_AND_ASSIGN(const auto rows, arrow::RecordBatchReader::Make({batch, batch}, schema));
  ASSERT_OK(table->Insert(rows.get()));
  EXPECT_EQ(*table->Count(), 2 * kRows);
}

// A long load would go on for nothing.
TEST_F(LargeInsertTest, AReaderOfATableThatIsDroppedIsNotReadToItsEnd) {
  int64_t read = 0;
  MadeRows rows([&](int64_t n) -> arrow::Result<BatchPtr> {
    if (n == 1) ARROW_RETURN_NOT_OK(database_->DropTable("keyed"));
    read = n;
    return n < 10 * kMany ? Batch(n) : nullptr;
  });
  const auto inserted = keyed_->Insert(&rows);
  EXPECT_TRUE(IsNotFound(inserted.status())) << inserted.status().ToString();
  EXPECT_LT(read, kMany);
}

TEST_F(LargeInsertTest, NoReaderIsRefused) {
  EXPECT_FAILS_WITH("'keyed'", keyed_->Insert(static_cast<arrow::RecordBatchReader*>(nullptr)));
}

/// Calls once when the first SSTable is made.
class CallingFileSystem : public RecordingFileSystem {
 public:
  arrow::Result<std::unique_ptr<WritableFile>> CreateWritable(const std::string& path) override {
    if (path.ends_with(".arrow") && call != nullptr) std::exchange(call, nullptr)();
    return RecordingFileSystem::CreateWritable(path);
  }
  std::function<void()> call;
};

TEST(LargeInsertOnDiskTest, ManyBatchesAreBegunAnewWhenTheTableIsAlteredMeanwhile) {
  CallingFileSystem fs;
  Options options = TinyOptions();
  options.file_system = &fs;
  TestDatabase database(options);
  ASSERT_OK(database.Open());
  const auto strict = arrow::schema(
      {RowSchema()->field(0), RowSchema()->field(1)->WithNullable(false), RowSchema()->field(2)});
  ASSERT_OK(database->CreateTable("rows", strict));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database.get(), "rows"));
  std::vector<BatchPtr> batches;
  for (int64_t n = 0; n < kMany; ++n) batches.push_back(Batch(n));
  bool altered = false;
  fs.call = [&] {
    altered = database->AlterTable("rows", SchemaChange().AllowNulls("value")).ok();
  };
  ASSERT_OK(table->Insert(batches));
  EXPECT_TRUE(altered);
  EXPECT_EQ(*table->Count(), kMany * kBatchRows);
}

TEST(LargeInsertOnDiskTest, OfATableThatIsGoneNoFileIsWritten) {
  CallingFileSystem fs;
  Options options = TinyOptions();
  options.file_system = &fs;
  TestDatabase database(options);
  ASSERT_OK(database.Open());
  ASSERT_OK(database->CreateTable("rows", RowSchema()));
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database.get(), "rows"));
  ASSERT_OK(database->DropTable("rows"));
  bool wrote = false;
  fs.call = [&] { wrote = true; };
  const std::vector<BatchPtr> one = {RowsOf(Consecutive(0, kMany * kBatchRows), 0)};
  auto rows = Rows(kMany);
  EXPECT_TRUE(IsNotFound(table->Insert(one)));
  EXPECT_TRUE(IsNotFound(table->Insert(&rows).status()));
  EXPECT_FALSE(wrote);
}

TEST(LargeInsertOnDiskTest, ASyncedInsertSurvivesPowerLossWhole) {
  for (const int64_t count : {kFew, kMany}) {
    MemoryFileSystem fs;
    Options options = TinyOptions();
    options.file_system = &fs;
    {
      ASSERT_OK_AND_ASSIGN(const auto database, Database::Open("/db", options));
      ASSERT_OK(database->CreateTable("rows", RowSchema(), {.primary_key = {"id"}}));
      ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database, "rows"));
      auto rows = Rows(count);
      WriteOptions synced;
      synced.sync = true;
      ASSERT_OK(table->Insert(&rows, synced));
      fs.LoseUnsynced(LossPolicy::kDropAll, 1);
    }
    ASSERT_OK_AND_ASSIGN(const auto database, Database::Open("/db", options));
    ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(database, "rows"));
    EXPECT_EQ(*table->Count(), count * kBatchRows);
  }
}

}  // namespace
}  // namespace marble::test

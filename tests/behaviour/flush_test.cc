// Flushes in the background: memtables of one table that are flushed beside each other, and whether
// the log has to be synced for one.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <marble/key_value.h>
#include <marble/write_batch.h>

#include "support/test_database.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr int kRounds = 40;

/// Seals the memtable, and no other after it.
arrow::Status FillMemtable(KeyValue* kv, const std::string& key) {
  for (int i = 0; i < 22; ++i) ARROW_RETURN_NOT_OK(kv->Put(key, std::string(1000, 'v')));
  return arrow::Status::OK();
}

TEST(FlushTest, DeletesHideRowsWhoseFlushEndsLater) {
  for (int round = 0; round < kRounds; ++round) {
    TestDatabase database(TinyOptions());
    ASSERT_OK(database.Open());
    ASSERT_OK_AND_ASSIGN(std::shared_ptr<KeyValue> kv, KeyValue::Open(database.get()));
    ASSERT_OK(kv->Put("a", "1"));
    ASSERT_OK(kv->Put("b", "1"));
    ASSERT_OK(FillMemtable(kv.get(), "filler"));
    ASSERT_OK(kv->Delete("a"));
    ASSERT_OK(kv->DeleteRange("b", "c"));
    ASSERT_OK(database->Flush());
    for (const char* deleted : {"a", "b"}) {
      ASSERT_OK_AND_ASSIGN(const auto value, kv->Get(deleted));
      EXPECT_FALSE(value.has_value()) << deleted << ", round " << round;
    }
  }
}

/// Flushes that took place, and syncs of the log meanwhile, while 1,000 commits put what `write`
/// does.
struct FlushesAndSyncs {
  int64_t flushes = 0;
  int64_t log_syncs = 0;
};

arrow::Result<FlushesAndSyncs> CountWhile(Database* database,
                                          const std::function<arrow::Status(int)>& write) {
  ARROW_ASSIGN_OR_RAISE(const Stats before, database->GetStats());
  for (int i = 0; i < 1000; ++i) ARROW_RETURN_NOT_OK(write(i));
  ARROW_RETURN_NOT_OK(database->WaitForBackground());
  ARROW_ASSIGN_OR_RAISE(const Stats after, database->GetStats());
  return FlushesAndSyncs{after.flushes - before.flushes, after.log_syncs - before.log_syncs};
}

class FlushedLogTest : public testing::Test {
 protected:
  void SetUp() override {
    Options options = TinyOptions();
    // All in one segment: the log begins there before and after.
    options.log_segment_bytes = options.log_bytes_max = int64_t{8} << 20;
    database_.emplace(options);
    ASSERT_OK(database_->Open());
    ASSERT_OK_AND_ASSIGN(pairs_, KeyValue::Open(database_->get()));
  }

  static std::string Key(int i) { return "key" + std::to_string(i); }

  std::optional<TestDatabase> database_;
  std::shared_ptr<KeyValue> pairs_;
};

TEST_F(FlushedLogTest, IsNotSyncedForATableThatIsWrittenAlone) {
  ASSERT_OK_AND_ASSIGN(const FlushesAndSyncs count, CountWhile(database_->get().get(), [&](int i) {
                         return pairs_->Put(Key(i), std::string(1000, 'v'));
                       }));
  EXPECT_GT(count.flushes, 10);
  EXPECT_EQ(count.log_syncs, 0);
}

TEST_F(FlushedLogTest, IsSyncedForATableWhoseCommitsHaveRowsOfOthers) {
  TableOptions keyed;
  keyed.primary_key = {"id"};
  const auto schema = arrow::schema({arrow::field("id", arrow::int64(), false)});
  ASSERT_OK((*database_)->CreateTable("ids", schema, keyed));
  ASSERT_OK_AND_ASSIGN(const FlushesAndSyncs count, CountWhile(database_->get().get(), [&](int i) {
                         WriteBatch batch;
                         batch.Put("default", Key(i), std::string(1000, 'v'));
                         ARROW_ASSIGN_OR_RAISE(
                             auto row, BatchFromJson(schema, {"[" + std::to_string(i) + "]"}));
                         batch.Insert("ids", std::move(row));
                         return (*database_)->Write(batch);
                       }));
  EXPECT_GT(count.flushes, 10);
  // One is enough for all that was written before it.
  EXPECT_GT(count.log_syncs, 0);
}

}  // namespace
}  // namespace marble::test

// Who may use how much of the memory budget, and what is given back when nobody writes.

#include <filesystem>

#include "support/test_database.h"
#include "support/wait_until.h"

namespace marble {
namespace {

constexpr int64_t kBudget = int64_t{16} << 20;
constexpr int kRows = 120000;

class MemoryTest : public testing::Test {
 protected:
  static Options SmallOptions() {
    Options options;
    options.memory_budget = kBudget;
    options.memtable_bytes = kBudget / 4;
    options.log_segment_bytes = int64_t{1} << 20;
    return options;
  }
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(db_, Database::Open(directory_.path(), SmallOptions()));
    const auto schema = arrow::schema(
        {arrow::field("key", arrow::utf8(), false), arrow::field("value", arrow::binary(), false)});
    TableOptions compressed;
    compressed.primary_key = {"key"};
    compressed.compression = Compression::kLz4;
    ASSERT_OK(db_->CreateTable("compressed", schema, compressed));
    ASSERT_OK_AND_ASSIGN(compressed_, KeyValue::Open(db_, "compressed"));
    ASSERT_OK_AND_ASSIGN(plain_, KeyValue::Open(db_));
  }

  static std::string Key(int i) { return "key" + std::to_string(1000000 + i); }
  static void Fill(KeyValue* kv, int rows) {
    for (int i = 0; i < rows; ++i) ASSERT_OK(kv->Put(Key(i), std::string(100, 'v')));
  }
  /// Puts until all memtables together hold so many bytes.
  void FillMemtables(KeyValue* kv, int64_t bytes) {
    for (int i = 0; GetStats().memtable_bytes < bytes; ++i) {
      ASSERT_OK(kv->Put(Key(i), std::string(100, 'v')));
    }
  }
  Stats GetStats() {
    auto stats = db_->GetStats();
    EXPECT_TRUE(stats.ok()) << stats.status().ToString();
    return stats.ok() ? *stats : Stats{};
  }
  int64_t LogFiles() {
    int64_t files = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_.path() + "/wal")) {
      std::error_code gone;
      files += file.is_regular_file(gone);
    }
    return files;
  }

  test::TestDirectory directory_;
  std::shared_ptr<Database> db_;
  std::shared_ptr<KeyValue> compressed_;
  std::shared_ptr<KeyValue> plain_;
};

TEST_F(MemoryTest, TheBlockCacheUsesWhatMemtablesLeaveAndGivesItBack) {
  Fill(compressed_.get(), kRows);
  ASSERT_OK(db_->Compact("compressed"));
  ASSERT_OK(db_->WaitForBackground());
  ASSERT_TRUE(test::WaitUntil([&] {
    for (int i = 0; i < kRows; i += 100) EXPECT_TRUE(compressed_->Get(Key(i)).ok());
    return GetStats().block_cache_bytes > kBudget * 9 / 16;
  })) << GetStats().block_cache_bytes;
  FillMemtables(plain_.get(), kBudget * 5 / 32);
  FillMemtables(compressed_.get(), kBudget * 10 / 32);
  EXPECT_TRUE(test::WaitUntil([&] { return GetStats().block_cache_bytes <= kBudget * 9 / 16; }))
      << GetStats().block_cache_bytes;
  EXPECT_GE(GetStats().memtable_bytes, kBudget * 10 / 32) << "nothing was flushed meanwhile";
}

TEST_F(MemoryTest, WhereNobodyWritesTheBlockCacheUsesTheRoomOfMemtablesToo) {
  Fill(compressed_.get(), kRows);
  ASSERT_OK(db_->Compact("compressed"));
  ASSERT_OK(db_->Close());
  ASSERT_OK_AND_ASSIGN(db_, Database::Open(directory_.path(), SmallOptions()));
  ASSERT_OK_AND_ASSIGN(compressed_, KeyValue::Open(db_, "compressed"));
  EXPECT_TRUE(test::WaitUntil([&] {
    for (int i = 0; i < kRows; i += 100) EXPECT_TRUE(compressed_->Get(Key(i)).ok());
    return GetStats().block_cache_bytes > kBudget * 12 / 16;
  })) << GetStats().block_cache_bytes;
}

TEST_F(MemoryTest, ALogThatNobodyWritesKeepsNoSegmentsForUse) {
  int64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    Fill(plain_.get(), kRows / 20);
    most = std::max(most, LogFiles());
  }
  ASSERT_GT(most, 2);
  ASSERT_OK(db_->Flush());
  EXPECT_TRUE(test::WaitUntil([&] { return LogFiles() == 1; })) << LogFiles();
  Fill(plain_.get(), kRows / 10);
  ASSERT_OK(db_->Close());
  ASSERT_OK_AND_ASSIGN(db_, Database::Open(directory_.path(), {}));
  ASSERT_OK_AND_ASSIGN(plain_, KeyValue::Open(db_));
  ASSERT_OK_AND_ASSIGN(const auto value, plain_->Get(Key(kRows / 20 - 1)));
  EXPECT_TRUE(value.has_value());
}

}  // namespace
}  // namespace marble

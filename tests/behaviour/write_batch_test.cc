// What write batches promise: all operations or none, in their order, over any tables.
#include <marble/write_batch.h>

#include <functional>
#include <string>
#include <vector>

#include "support/test_database.h"

namespace marble::test {
namespace {

class WriteBatchTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    rows_ = arrow::schema({arrow::field("id", arrow::int64()), arrow::field("v", arrow::utf8())});
    ASSERT_OK(database_->CreateTable("rows", rows_, {.primary_key = {"id"}}));
    ASSERT_OK(database_->CreateTable("events", rows_));
  }
  std::optional<std::string> Get(const std::string& key) {
    auto kv = KeyValue::Open(database_.get());
    if (!kv.ok()) return std::nullopt;
    return (*kv)->Get(key).ValueOr(std::nullopt);
  }
  int64_t Count(const std::string& table) {
    auto opened = Table::Open(database_.get(), table);
    return opened.ok() ? (*opened)->Count().ValueOr(-1) : -1;
  }
  std::shared_ptr<arrow::RecordBatch> Rows(const std::string& ids, const std::string& values) {
    return BatchFromJson(rows_, {ids, values}).ValueOr(nullptr);
  }

  TestDatabase database_;
  std::shared_ptr<arrow::Schema> rows_;
};

TEST_F(WriteBatchTest, WritesToAllItsTables) {
  WriteBatch batch;
  batch.Put("default", "k", "v");
  batch.Insert("rows", Rows("[2, 1]", R"(["b", "a"])"));
  batch.Insert("events", Rows("[7, 7]", R"(["x", "y"])"));
  EXPECT_EQ(batch.count(), 3);
  ASSERT_OK(database_->Write(batch));
  ASSERT_OK(database_.Reopen());
  EXPECT_EQ(Get("k"), "v");
  EXPECT_EQ(Count("rows"), 2);
  EXPECT_EQ(Count("events"), 2);
}

TEST_F(WriteBatchTest, ALaterOperationWins) {
  WriteBatch batch;
  batch.Put("default", "a", "1");
  batch.Put("default", "a", "2");
  batch.Put("default", "b", "1");
  batch.Delete("default", "b");
  batch.Put("default", "c", "1");
  batch.DeleteRange("default", "c", "d");
  batch.Put("default", "cc", "2");
  batch.DeleteRange("default", "x", "", /*end_unbounded=*/true);
  batch.Put("default", "y", "kept");
  ASSERT_OK(database_->Write(batch));
  EXPECT_EQ(Get("a"), "2");
  EXPECT_EQ(Get("b"), std::nullopt);
  EXPECT_EQ(Get("c"), std::nullopt);
  EXPECT_EQ(Get("cc"), "2");
  EXPECT_EQ(Get("y"), "kept");
}

TEST_F(WriteBatchTest, DeletesRowsByKeyAndByRange) {
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "rows"));
  ASSERT_OK(table->Insert(Rows("[1, 2, 3, 4, 5]", R"(["a", "b", "c", "d", "e"])")));
  auto keys = arrow::schema({arrow::field("id", arrow::int64())});
  ASSERT_OK_AND_ASSIGN(auto two, BatchFromJson(keys, {"[2]"}));
  WriteBatch batch;
  batch.DeleteKeys("rows", two);
  batch.DeleteRange("rows", KeyRange{.lower = {arrow::MakeScalar(int64_t{4})}, .upper = {}});
  batch.Insert("rows", Rows("[5]", R"(["again"])"));
  ASSERT_OK(database_->Write(batch));
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
  EXPECT_TRUE(SameRows(Rows("[1, 3, 5]", R"(["a", "c", "again"])"), found));
}

TEST_F(WriteBatchTest, AMistakeInAnyOperationWritesNothing) {
  const auto bad =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("v", arrow::int32())});
  ASSERT_OK_AND_ASSIGN(auto bad_rows, BatchFromJson(bad, {"[1]", "[1]"}));
  const std::vector<std::function<void(WriteBatch*)>> mistakes = {
      [](WriteBatch* batch) { batch->Put("default", "\xFF", "v"); },
      [](WriteBatch* batch) { batch->Put("default", std::string(70000, 'k'), "v"); },
      [](WriteBatch* batch) { batch->Put("nowhere", "k", "v"); },
      [](WriteBatch* batch) { batch->Put("rows", "k", "v"); },
      [](WriteBatch* batch) { batch->Insert("rows", nullptr); },
      [&](WriteBatch* batch) { batch->Insert("rows", bad_rows); },
      [&](WriteBatch* batch) { batch->DeleteKeys("events", Rows("[1]", R"(["a"])")); },
      [](WriteBatch* batch) { batch->DeleteRange("events", KeyRange{}); }};
  for (size_t i = 0; i < mistakes.size(); ++i) {
    WriteBatch batch;
    batch.Put("default", "k", "v");
    batch.Insert("rows", Rows("[1]", R"(["a"])"));
    mistakes[i](&batch);
    EXPECT_FALSE(database_->Write(batch).ok()) << i;
    EXPECT_EQ(Get("k"), std::nullopt) << i;
    EXPECT_EQ(Count("rows"), 0) << i;
  }
}

TEST_F(WriteBatchTest, CopiesKeysAndValues) {
  WriteBatch batch;
  {
    std::string key = "key that is long enough to live on the heap";
    std::string value = "value that is long enough to live on the heap";
    batch.Put("default", key, value);
    key.assign(key.size(), '-');
    value.assign(value.size(), '-');
  }
  ASSERT_OK(database_->Write(batch));
  EXPECT_EQ(Get("key that is long enough to live on the heap"),
            "value that is long enough to live on the heap");
}

TEST_F(WriteBatchTest, AnEmptyBatchIsFineAndClearMakesOne) {
  WriteBatch batch;
  ASSERT_OK(database_->Write(batch));
  batch.Put("nowhere", "k", "v");
  EXPECT_FALSE(batch.empty());
  batch.Clear();
  EXPECT_TRUE(batch.empty());
  ASSERT_OK(database_->Write(batch));
  batch.Put("default", "k", "v");
  ASSERT_OK(database_->Write(batch));
  EXPECT_EQ(Get("k"), "v");
}

TEST_F(WriteBatchTest, ASnapshotSeesAllOfABatchOrNothing) {
  WriteBatch batch;
  batch.Put("default", "k", "v");
  batch.Insert("rows", Rows("[1]", R"(["a"])"));
  ASSERT_OK_AND_ASSIGN(auto before, database_->GetSnapshot());
  ASSERT_OK(database_->Write(batch));
  ASSERT_OK_AND_ASSIGN(auto after, database_->GetSnapshot());
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "rows"));
  ASSERT_OK_AND_ASSIGN(auto kv, KeyValue::Open(database_.get()));
  ASSERT_OK_AND_ASSIGN(const bool exists_before, kv->Exists("k", {.snapshot = before}));
  ASSERT_OK_AND_ASSIGN(const bool exists_after, kv->Exists("k", {.snapshot = after}));
  ScanOptions options;
  options.snapshot = before;
  ASSERT_OK_AND_ASSIGN(const int64_t rows_before, table->Count(options));
  options.snapshot = after;
  ASSERT_OK_AND_ASSIGN(const int64_t rows_after, table->Count(options));
  EXPECT_FALSE(exists_before);
  EXPECT_EQ(rows_before, 0);
  EXPECT_TRUE(exists_after);
  EXPECT_EQ(rows_after, 1);
}

}  // namespace
}  // namespace marble::test

// What a synced call makes durable beside its own rows, and what closing a handle does. On the
// in-memory file system, through the public API.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/small_database.h"

namespace marble {
namespace {

class DurabilityTest : public test::SmallDatabaseTest {
 protected:
  void SetUp() override {
    ASSERT_OK(Open());
    ASSERT_OK(db_->CreateTable("t", RowSchema(), {.primary_key = {"id"}}));
    ASSERT_OK_AND_ASSIGN(table_, Table::Open(db_, "t"));
  }
  void TearDown() override { table_.reset(); }

  std::shared_ptr<Table> table_;
};

TEST_F(DurabilityTest, ASyncedWriteOfNothingMakesWhatCameBeforeItDurable) {
  const WriteOptions sync{.sync = true};
  const auto nothing = Rows(0, 0, "");
  using Write = std::function<arrow::Status()>;
  const std::vector<Write> writes = {
      [&] { return table_->Insert(nothing, sync); },
      [&] { return table_->Insert(std::vector<std::shared_ptr<arrow::RecordBatch>>(), sync); },
      [&] { return table_->Delete(*nothing->SelectColumns({0}), sync); },
      [&] { return kv_->DeleteRange("b", "a", sync); },
      [&] { return kv_->PutMany(std::vector<std::string_view>(), {}, sync); },
      [&] {
        return kv_->PutMany(arrow::BinaryArray(0, nullptr, nullptr),
                            arrow::BinaryArray(0, nullptr, nullptr), sync);
      }};
  for (size_t i = 0; i < writes.size(); ++i) {
    SCOPED_TRACE(i);
    const auto row = static_cast<int>(i);
    ASSERT_OK(Put(row));
    ASSERT_OK(writes[i]());
    table_.reset();
    LosePower(i);
    ASSERT_OK(Open());
    EXPECT_TRUE(Has(row));
    ASSERT_OK_AND_ASSIGN(table_, Table::Open(db_, "t"));
  }
}

TEST_F(DurabilityTest, ClosingOneHandleOfTwoMakesWhatItWroteDurable) {
  ASSERT_OK_AND_ASSIGN(auto other, Database::Open("/db", SmallOptions()));
  ASSERT_OK_AND_ASSIGN(auto pairs, KeyValue::Open(other));
  ASSERT_OK(pairs->Put("key", "value"));
  ASSERT_OK(other->Close());
  pairs.reset();
  other.reset();
  table_.reset();
  LosePower();
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(const auto value, kv_->Get("key"));
  EXPECT_EQ(value, "value");
}

TEST_F(DurabilityTest, WhoReadsBesideTheOwnerIsToldHowMuchLogItReplayed) {
  for (int i = 0; i < 100; ++i) ASSERT_OK(Put(i));
  ASSERT_OK(db_->SyncLog());
  Options options = SmallOptions();
  options.read_only = true;
  ASSERT_OK_AND_ASSIGN(auto reader, Database::Open("/db", options));
  ASSERT_OK_AND_ASSIGN(const Stats seen, reader->GetStats());
  ASSERT_OK_AND_ASSIGN(const Stats owned, db_->GetStats());
  EXPECT_EQ(seen.log_bytes, owned.log_bytes);
  EXPECT_GT(seen.log_bytes, 100 * 100);
}

}  // namespace
}  // namespace marble

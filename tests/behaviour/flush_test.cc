// Memtables of one table that are flushed beside each other.
#include <string>

#include <marble/key_value.h>

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

}  // namespace
}  // namespace marble::test

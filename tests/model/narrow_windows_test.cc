// Bursts of writes in narrow, moving ranges of a table that is spread over several levels: files of
// a level then reach further than what is merged into them, which evenly spread keys hardly show.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include <marble/database.h>
#include <marble/key_value.h>
#include <marble/table.h>

#include "support/random.h"
#include "support/test_database.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr uint64_t kKeys = 20'000;
constexpr int kBursts = 400;
constexpr int kBurstsBetweenChecks = 20;

using Oracle = std::map<std::string, std::string>;

std::string KeyOf(uint64_t i) {
  std::string digits = std::to_string(i);
  return std::string(6 - digits.size(), '0') + digits;
}

class NarrowWindowsTest : public testing::TestWithParam<uint64_t> {
 protected:
  void Put(const std::string& key, const std::string& value) {
    ASSERT_OK(pairs_->Put(key, value));
    oracle_[key] = value;
  }

  /// Some puts and deletes, and now and then a range of deletes, within `width` keys.
  void Burst(int number, uint64_t width) {
    const uint64_t low = random_.Uniform(kKeys - width);
    for (int i = 0; i < 120; ++i) {
      const std::string key = KeyOf(low + random_.Uniform(width));
      if (random_.Uniform(5) < 3) {
        Put(key, std::string(random_.Uniform(80), 'v') + std::to_string(number));
      } else {
        ASSERT_OK(pairs_->Delete(key));
        oracle_.erase(key);
      }
    }
    if (!random_.OneIn(40)) return;
    if (random_.OneIn(4)) {
      ASSERT_OK(pairs_->DeleteRange(KeyOf(low), std::nullopt));
      oracle_.erase(oracle_.lower_bound(KeyOf(low)), oracle_.end());
      return;
    }
    const std::string end = KeyOf(low + width);
    ASSERT_OK(pairs_->DeleteRange(KeyOf(low), end));
    oracle_.erase(oracle_.lower_bound(KeyOf(low)), oracle_.lower_bound(end));
  }

  /// By a scan, which merges by sequence, and by gets, where the first source with the key wins.
  void Check() {
    ASSERT_OK_AND_ASSIGN(auto iterator, pairs_->NewIterator());
    iterator->SeekToFirst();
    for (const auto& [key, value] : oracle_) {
      ASSERT_TRUE(iterator->Valid()) << "the scan ends before " << key;
      ASSERT_EQ(iterator->key(), key);
      ASSERT_EQ(iterator->value(), value) << "of " << key << " in the scan";
      iterator->Next();
    }
    ASSERT_FALSE(iterator->Valid()) << iterator->key() << " is back from the dead";
    for (uint64_t i = 0; i < kKeys; ++i) {
      const std::string key = KeyOf(i);
      ASSERT_OK_AND_ASSIGN(const auto value, pairs_->Get(key));
      const auto wanted = oracle_.find(key);
      ASSERT_EQ(value.has_value(), wanted != oracle_.end()) << key;
      if (value.has_value()) ASSERT_EQ(*value, wanted->second) << "of " << key << " by a get";
    }
    // Record batches take another way through the merge.
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "default"));
    ASSERT_OK_AND_ASSIGN(const auto rows, ScanAll(*table));
    ASSERT_EQ(rows->num_rows(), static_cast<int64_t>(oracle_.size()));
  }

  Random random_{GetParam()};
  TestDatabase database_{TinyOptions()};
  std::shared_ptr<KeyValue> pairs_;
  Oracle oracle_;
};

TEST_P(NarrowWindowsTest, AgreeWithTheOracleThroughAllLevels) {
  ASSERT_OK(database_.Open());
  ASSERT_OK(KeyValue::Open(database_.get()).Value(&pairs_));
  for (uint64_t i = 0; i < kKeys * 3 / 4; ++i) {
    const std::string key = KeyOf(random_.Uniform(kKeys));
    ASSERT_NO_FATAL_FAILURE(Put(key, "base" + std::string(70, 'b')));
  }
  ASSERT_OK(database_->Flush());
  ASSERT_OK(database_->WaitForBackground());
  constexpr uint64_t kWidths[] = {50, 200, 1000};
  for (int burst = 0; burst < kBursts; ++burst) {
    ASSERT_NO_FATAL_FAILURE(Burst(burst, kWidths[random_.Uniform(3)]));
    if (burst % 2 == 0) ASSERT_OK(database_->Flush());
    if (burst % kBurstsBetweenChecks != kBurstsBetweenChecks - 1) continue;
    ASSERT_OK(database_->WaitForBackground());
    ASSERT_NO_FATAL_FAILURE(Check()) << "after burst " << burst;
  }
  ASSERT_OK(database_->Compact());
  ASSERT_NO_FATAL_FAILURE(Check());
}

INSTANTIATE_TEST_SUITE_P(Seeds, NarrowWindowsTest, testing::Values(1, 2, 3, 4));

}  // namespace
}  // namespace marble::test

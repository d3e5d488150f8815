// What iterators over keys and values promise, wherever the rows lie.
#include <marble/key_value.h>

#include <map>
#include <string>
#include <vector>

#include "support/random.h"
#include "support/settled.h"

namespace marble::test {
namespace {

using Keys = std::vector<std::string>;

class IteratorTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    ASSERT_OK_AND_ASSIGN(kv_, KeyValue::Open(database_.get()));
  }
  arrow::Status MoveRows() {
    kv_.reset();
    ARROW_RETURN_NOT_OK(Settle(&database_, GetParam()));
    return KeyValue::Open(database_.get()).Value(&kv_);
  }
  /// Each key its own value.
  arrow::Status Put(const Keys& keys) {
    for (const std::string& key : keys) ARROW_RETURN_NOT_OK(kv_->Put(key, "value of " + key));
    return arrow::Status::OK();
  }
  std::unique_ptr<Iterator> NewIterator(IteratorOptions options = {}) {
    auto iterator = kv_->NewIterator(options);
    EXPECT_TRUE(iterator.ok()) << iterator.status().ToString();
    return std::move(iterator).ValueOr(nullptr);
  }
  static Keys Forward(Iterator* iterator) {
    Keys keys;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      keys.emplace_back(iterator->key());
    }
    EXPECT_TRUE(iterator->status().ok()) << iterator->status().ToString();
    return keys;
  }
  static Keys Backward(Iterator* iterator) {
    Keys keys;
    for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) {
      keys.emplace_back(iterator->key());
    }
    EXPECT_TRUE(iterator->status().ok()) << iterator->status().ToString();
    return keys;
  }

  TestDatabase database_;
  std::shared_ptr<KeyValue> kv_;
};

INSTANTIATE_TEST_SUITE_P(Rows, IteratorTest,
                         testing::Values(Where::kMemory, Where::kFlushed, Where::kCompacted,
                                         Where::kReopened),
                         NameOf);

TEST_P(IteratorTest, StartsInvalidAndStaysSoWithoutRows) {
  auto iterator = NewIterator();
  EXPECT_FALSE(iterator->Valid());
  iterator->Next();
  iterator->Prev();
  EXPECT_FALSE(iterator->Valid());
  EXPECT_EQ(Forward(iterator.get()), Keys{});
  EXPECT_EQ(Backward(iterator.get()), Keys{});
  iterator->Seek("a");
  EXPECT_FALSE(iterator->Valid());
  iterator->SeekForPrev("a");
  EXPECT_FALSE(iterator->Valid());
  EXPECT_TRUE(iterator->status().ok());
}

TEST_P(IteratorTest, WalksKeysInByteOrderBothWays) {
  const Keys ascending = {"", "A", "B", "a", "a:", "aa", "\xC3\xA4", "\xF0\x9F\x98\x80"};
  ASSERT_OK(Put({"aa", "B", "\xC3\xA4", "a", "", "\xF0\x9F\x98\x80", "A", "a:"}));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator();
  EXPECT_EQ(Forward(iterator.get()), ascending);
  EXPECT_EQ(Backward(iterator.get()), Keys(ascending.rbegin(), ascending.rend()));
}

TEST_P(IteratorTest, ShowsTheValueOfEachKey) {
  ASSERT_OK(Put({"a", "b"}));
  ASSERT_OK(kv_->Put("c", ""));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Put("b", "newer"));
  auto iterator = NewIterator();
  iterator->SeekToFirst();
  EXPECT_EQ(iterator->value(), "value of a");
  iterator->Next();
  EXPECT_EQ(iterator->value(), "newer");
  iterator->Next();
  EXPECT_EQ(iterator->value(), "");
  iterator->Prev();
  EXPECT_EQ(iterator->value(), "newer");
}

TEST_P(IteratorTest, SeekFindsTheKeyOrTheNext) {
  ASSERT_OK(Put({"b", "d"}));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "b"}, {"a", "b"}, {"b", "b"}, {"b!", "d"}, {"d", "d"}};
  for (const auto& [target, expected] : cases) {
    iterator->Seek(target);
    ASSERT_TRUE(iterator->Valid()) << target;
    EXPECT_EQ(iterator->key(), expected) << target;
  }
  iterator->Seek("e");
  EXPECT_FALSE(iterator->Valid());
}

TEST_P(IteratorTest, SeekForPrevFindsTheKeyOrTheOneBefore) {
  ASSERT_OK(Put({"b", "d"}));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"b", "b"}, {"c", "b"}, {"d", "d"}, {"d!", "d"}, {"\xF4\x8F", "d"}};
  for (const auto& [target, expected] : cases) {
    iterator->SeekForPrev(target);
    ASSERT_TRUE(iterator->Valid()) << target;
    EXPECT_EQ(iterator->key(), expected) << target;
  }
  iterator->SeekForPrev("a");
  EXPECT_FALSE(iterator->Valid());
}

TEST_P(IteratorTest, TurnsRoundAtAnyKey) {
  ASSERT_OK(Put({"a", "b", "c"}));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator();
  iterator->Seek("b");
  iterator->Prev();
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "a");
  iterator->Next();
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "b");
  iterator->SeekToLast();
  iterator->Prev();
  iterator->Next();
  ASSERT_TRUE(iterator->Valid());
  EXPECT_EQ(iterator->key(), "c");
  iterator->Next();
  EXPECT_FALSE(iterator->Valid());
}

TEST_P(IteratorTest, KeepsToItsBounds) {
  ASSERT_OK(Put({"a", "b", "c", "d", "e"}));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator({.lower = "b", .upper = "d"});
  EXPECT_EQ(Forward(iterator.get()), (Keys{"b", "c"}));
  EXPECT_EQ(Backward(iterator.get()), (Keys{"c", "b"}));
  iterator->Seek("a");
  EXPECT_EQ(iterator->key(), "b");
  iterator->Seek("d");
  EXPECT_FALSE(iterator->Valid());
  iterator->SeekForPrev("e");
  EXPECT_EQ(iterator->key(), "c");
  iterator->SeekForPrev("a");
  EXPECT_FALSE(iterator->Valid());
}

TEST_P(IteratorTest, OfAnEmptyRangeIsNeverValid) {
  ASSERT_OK(Put({"a", "b"}));
  ASSERT_OK(MoveRows());
  for (const auto& [lower, upper] : {std::pair("b", "a"), std::pair("a", "a")}) {
    auto iterator = NewIterator({.lower = lower, .upper = upper});
    EXPECT_EQ(Forward(iterator.get()), Keys{});
    EXPECT_EQ(Backward(iterator.get()), Keys{});
  }
}

TEST_P(IteratorTest, PassesOverDeletedKeysAndRanges) {
  ASSERT_OK(Put({"a", "b", "c", "d", "e", "f"}));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Delete("b"));
  ASSERT_OK(kv_->DeleteRange("d", "f"));
  ASSERT_OK(kv_->Put("e", "again"));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator();
  EXPECT_EQ(Forward(iterator.get()), (Keys{"a", "c", "e", "f"}));
  EXPECT_EQ(Backward(iterator.get()), (Keys{"f", "e", "c", "a"}));
}

TEST_P(IteratorTest, DoesNotSeeWhatIsWrittenAfterItWasMade) {
  ASSERT_OK(Put({"a", "b", "c"}));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator();
  ASSERT_OK(kv_->Put("bb", "new"));
  ASSERT_OK(kv_->Put("a", "new"));
  ASSERT_OK(kv_->Delete("b"));
  ASSERT_OK(kv_->DeleteRange("c", std::nullopt));
  EXPECT_EQ(Forward(iterator.get()), (Keys{"a", "b", "c"}));
  EXPECT_EQ(Backward(iterator.get()), (Keys{"c", "b", "a"}));
  iterator->SeekToFirst();
  EXPECT_EQ(iterator->value(), "value of a");
}

TEST_P(IteratorTest, ReadsItsSnapshot) {
  ASSERT_OK(Put({"a", "b"}));
  ASSERT_OK(MoveRows());
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(kv_->DeleteRange("", std::nullopt));
  ASSERT_OK(Put({"c"}));
  ASSERT_OK(database_->Compact());
  auto then = NewIterator({.snapshot = snapshot});
  auto now = NewIterator();
  EXPECT_EQ(Forward(then.get()), (Keys{"a", "b"}));
  EXPECT_EQ(Forward(now.get()), (Keys{"c"}));
}

TEST_P(IteratorTest, SurvivesCompactionAndClose) {
  Keys keys;
  for (int i = 1000; i < 4000; ++i) keys.push_back(std::to_string(i));
  ASSERT_OK(Put(keys));
  ASSERT_OK(MoveRows());
  auto iterator = NewIterator();
  iterator->SeekToFirst();
  ASSERT_TRUE(iterator->Valid());
  ASSERT_OK(Put(keys));
  ASSERT_OK(database_->Compact());
  kv_.reset();
  ASSERT_OK(database_.Close());
  EXPECT_EQ(iterator->key(), "1000");
  EXPECT_EQ(Forward(iterator.get()), keys);
  EXPECT_EQ(Backward(iterator.get()), Keys(keys.rbegin(), keys.rend()));
}

// Every move from every place, over rows in several files and in memory.
TEST_P(IteratorTest, RandomMovesAgreeWithAMap) {
  const uint64_t seed = SeedOfThisRun();
  SCOPED_TRACE("MARBLE_SEED=" + std::to_string(seed));
  Random random(seed);
  std::map<std::string, std::string> expected;
  const auto random_key = [&] { return "k" + std::to_string(random.Uniform(20000)); };
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 3000; ++i) {
      const std::string key = random_key();
      const std::string value = std::to_string(random.Next());
      ASSERT_OK(kv_->Put(key, value));
      expected[key] = value;
    }
    for (int i = 0; i < 300; ++i) {
      const std::string key = random_key();
      ASSERT_OK(kv_->Delete(key));
      expected.erase(key);
    }
    const std::string begin = random_key();
    const std::string end = begin + "9";
    ASSERT_OK(kv_->DeleteRange(begin, end));
    expected.erase(expected.lower_bound(begin), expected.lower_bound(end));
    if (round < 3) ASSERT_OK(MoveRows());
  }
  auto iterator = NewIterator();
  auto place = expected.end();
  for (int i = 0; i < 20000; ++i) {
    const uint64_t move = place == expected.end() ? random.Uniform(4) : random.Uniform(40);
    if (move == 0) {
      iterator->SeekToFirst();
      place = expected.begin();
    } else if (move == 1) {
      iterator->SeekToLast();
      place = std::prev(expected.end());
    } else if (move == 2) {
      const std::string key = random_key();
      iterator->Seek(key);
      place = expected.lower_bound(key);
    } else if (move == 3) {
      const std::string key = random_key();
      iterator->SeekForPrev(key);
      place = expected.upper_bound(key);
      place = place == expected.begin() ? expected.end() : std::prev(place);
    } else if (move < 24 || (move < 36 && i % 1000 < 600)) {
      iterator->Next();
      ++place;
    } else {
      iterator->Prev();
      place = place == expected.begin() ? expected.end() : std::prev(place);
    }
    ASSERT_EQ(iterator->Valid(), place != expected.end()) << "move " << i;
    if (place == expected.end()) continue;
    ASSERT_EQ(iterator->key(), place->first) << "move " << i;
    ASSERT_EQ(iterator->value(), place->second) << "move " << i;
  }
}

TEST_P(IteratorTest, ALongWalkAgreesWithAMapBothWays) {
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 30000; ++i) {
    const std::string key = std::to_string(i * 7919 % 30011);
    ASSERT_OK(kv_->Put(key, std::to_string(i)));
    expected[key] = std::to_string(i);
    if (i == 20000) ASSERT_OK(MoveRows());
  }
  auto iterator = NewIterator();
  iterator->SeekToFirst();
  for (const auto& [key, value] : expected) {
    ASSERT_TRUE(iterator->Valid());
    ASSERT_EQ(iterator->key(), key);
    ASSERT_EQ(iterator->value(), value);
    iterator->Next();
  }
  EXPECT_FALSE(iterator->Valid());
  iterator->SeekToLast();
  for (auto pair = expected.rbegin(); pair != expected.rend(); ++pair) {
    ASSERT_TRUE(iterator->Valid());
    ASSERT_EQ(iterator->key(), pair->first);
    iterator->Prev();
  }
  EXPECT_FALSE(iterator->Valid());
}

}  // namespace
}  // namespace marble::test

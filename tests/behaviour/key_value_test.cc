// What the key-value face promises, one claim per test, with the rows in memory, in files, merged
// and after a reopen.
#include <marble/key_value.h>

#include <limits>
#include <string>
#include <vector>

#include <arrow/array/builder_binary.h>

#include "support/settled.h"

namespace marble::test {
namespace {

using std::string_literals::operator""s;
using Values = std::vector<std::optional<std::string>>;

class KeyValueTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override { ASSERT_OK(Open()); }

  arrow::Status Open() {
    ARROW_RETURN_NOT_OK(database_.Open());
    return KeyValue::Open(database_.get()).Value(&kv_);
  }
  /// To where the parameter says, with a fresh handle.
  arrow::Status MoveRows() {
    kv_.reset();
    ARROW_RETURN_NOT_OK(Settle(&database_, GetParam()));
    return KeyValue::Open(database_.get()).Value(&kv_);
  }
  /// The same without a reopen, so that snapshots and handles stay.
  arrow::Status MoveRowsOnly() {
    return Settle(&database_, GetParam() == Where::kReopened ? Where::kCompacted : GetParam());
  }
  std::optional<std::string> Get(const std::string& key,
                                 std::shared_ptr<const Snapshot> snapshot = nullptr) {
    auto value = kv_->Get(key, {.snapshot = std::move(snapshot)});
    EXPECT_TRUE(value.ok()) << value.status().ToString();
    return value.ok() ? *value : std::nullopt;
  }

  TestDatabase database_;
  std::shared_ptr<KeyValue> kv_;
};

INSTANTIATE_TEST_SUITE_P(Rows, KeyValueTest,
                         testing::Values(Where::kMemory, Where::kFlushed, Where::kCompacted,
                                         Where::kReopened),
                         NameOf);

TEST_P(KeyValueTest, GetReturnsWhatWasPut) {
  ASSERT_OK(kv_->Put("user:1", "Ada"));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("user:1"), "Ada");
}

TEST_P(KeyValueTest, AnAbsentKeyHasNoValue) {
  ASSERT_OK(kv_->Put("b", "1"));
  ASSERT_OK(MoveRows());
  for (const char* key : {"", "a", "bb", "c"}) EXPECT_EQ(Get(key), std::nullopt) << key;
}

TEST_P(KeyValueTest, GetIntoAStringLeavesItAloneWhenTheKeyIsAbsent) {
  ASSERT_OK(kv_->Put("b", "1"));
  ASSERT_OK(MoveRows());
  std::string value = "before";
  ASSERT_OK_AND_ASSIGN(const bool absent, kv_->Get("a", &value));
  EXPECT_FALSE(absent);
  EXPECT_EQ(value, "before");
  ASSERT_OK_AND_ASSIGN(const bool present, kv_->Get("b", &value));
  EXPECT_TRUE(present);
  EXPECT_EQ(value, "1");
}

TEST_P(KeyValueTest, AnOverwriteHidesTheOldValue) {
  ASSERT_OK(kv_->Put("k", "old"));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Put("k", "new"));
  EXPECT_EQ(Get("k"), "new");
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("k"), "new");
}

TEST_P(KeyValueTest, ADeletedKeyStaysAway) {
  ASSERT_OK(kv_->Put("k", "v"));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Delete("k"));
  EXPECT_EQ(Get("k"), std::nullopt);
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("k"), std::nullopt);
}

TEST_P(KeyValueTest, APutAfterADeleteIsSeen) {
  ASSERT_OK(kv_->Put("k", "first"));
  ASSERT_OK(kv_->Delete("k"));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Put("k", "second"));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("k"), "second");
}

TEST_P(KeyValueTest, DeletingAnAbsentKeyIsFine) {
  ASSERT_OK(kv_->Delete("nothing"));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("nothing"), std::nullopt);
}

TEST_P(KeyValueTest, AnEmptyValueIsNotAnAbsentOne) {
  ASSERT_OK(kv_->Put("empty", ""));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("empty"), "");
  EXPECT_EQ(Get("absent"), std::nullopt);
  ASSERT_OK_AND_ASSIGN(const bool empty, kv_->Exists("empty"));
  ASSERT_OK_AND_ASSIGN(const bool absent, kv_->Exists("absent"));
  EXPECT_TRUE(empty);
  EXPECT_FALSE(absent);
}

TEST_P(KeyValueTest, TheEmptyKeyIsAKey) {
  ASSERT_OK(kv_->Put("", "of nothing"));
  ASSERT_OK(kv_->Put("a", "1"));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get(""), "of nothing");
  ASSERT_OK(kv_->DeleteRange("", "a"));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get(""), std::nullopt);
  EXPECT_EQ(Get("a"), "1");
}

TEST_P(KeyValueTest, AValueThatLooksLikeAMarkerComesBack) {
  const std::vector<std::string> values = {
      "\0"s,         "\1"s,       "\xFF"s, "\xFF\xFF\xFF\xFF\0\0\0\0"s, "ARROW1\0\0"s, "null",
      "__deleted__", "tombstone", "_kind", std::string(8, '\0')};
  for (size_t i = 0; i < values.size(); ++i) ASSERT_OK(kv_->Put(std::to_string(i), values[i]));
  ASSERT_OK(MoveRows());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(Get(std::to_string(i)), values[i]) << i;
}

TEST_P(KeyValueTest, ALargeValueComesBack) {
  const std::string value(20 << 20, 'x');
  ASSERT_OK(kv_->Put("large", value));
  ASSERT_OK(kv_->Put("small", "s"));
  ASSERT_OK(MoveRows());
  EXPECT_TRUE(Get("large") == value);
  EXPECT_EQ(Get("small"), "s");
}

TEST_P(KeyValueTest, DeleteRangeTakesTheBeginAndLeavesTheEnd) {
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_OK(kv_->Put(key, key));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->DeleteRange("b", "d"));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("a"), "a");
  EXPECT_EQ(Get("b"), std::nullopt);
  EXPECT_EQ(Get("c"), std::nullopt);
  EXPECT_EQ(Get("d"), "d");
}

TEST_P(KeyValueTest, APutInsideADeletedRangeIsSeen) {
  for (const char* key : {"a", "b", "c"}) ASSERT_OK(kv_->Put(key, "old"));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->DeleteRange("a", "z"));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Put("b", "new"));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("a"), std::nullopt);
  EXPECT_EQ(Get("b"), "new");
  EXPECT_EQ(Get("c"), std::nullopt);
}

TEST_P(KeyValueTest, AnUnboundedDeleteRangeReachesTheLastKey) {
  for (const char* key : {"a", "b", "\xF4\x8F\xBF\xBF"}) ASSERT_OK(kv_->Put(key, key));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->DeleteRange("b", std::nullopt));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("a"), "a");
  EXPECT_EQ(Get("b"), std::nullopt);
  EXPECT_EQ(Get("\xF4\x8F\xBF\xBF"), std::nullopt);
}

TEST_P(KeyValueTest, ARangeThatEndsBeforeItBeginsDeletesNothing) {
  for (const char* key : {"", "a", "b"}) ASSERT_OK(kv_->Put(key, "v"));
  ASSERT_OK(kv_->DeleteRange("b", "a"));
  ASSERT_OK(kv_->DeleteRange("a", "a"));
  ASSERT_OK(kv_->DeleteRange("", ""));
  ASSERT_OK(MoveRows());
  for (const char* key : {"", "a", "b"}) EXPECT_EQ(Get(key), "v") << key;
}

TEST_P(KeyValueTest, ASnapshotSeesTheValueOfItsTime) {
  ASSERT_OK(kv_->Put("k", "old"));
  ASSERT_OK(MoveRowsOnly());
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(kv_->Put("k", "new"));
  ASSERT_OK(kv_->Put("later", "1"));
  ASSERT_OK(MoveRowsOnly());
  EXPECT_EQ(Get("k", snapshot), "old");
  EXPECT_EQ(Get("later", snapshot), std::nullopt);
  EXPECT_EQ(Get("k"), "new");
}

TEST_P(KeyValueTest, ASnapshotOlderThanADeleteSeesTheValue) {
  ASSERT_OK(kv_->Put("k", "v"));
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(kv_->Delete("k"));
  ASSERT_OK(MoveRowsOnly());
  EXPECT_EQ(Get("k", snapshot), "v");
  EXPECT_EQ(Get("k"), std::nullopt);
}

TEST_P(KeyValueTest, ASnapshotOlderThanADeleteRangeSeesTheRows) {
  for (const char* key : {"a", "b", "c"}) ASSERT_OK(kv_->Put(key, key));
  ASSERT_OK(MoveRowsOnly());
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(kv_->DeleteRange("a", std::nullopt));
  ASSERT_OK(MoveRowsOnly());
  for (const char* key : {"a", "b", "c"}) {
    EXPECT_EQ(Get(key, snapshot), key);
    EXPECT_EQ(Get(key), std::nullopt);
  }
}

TEST_P(KeyValueTest, ASnapshotBetweenTwoDeleteRangesSeesWhatWasPutBetween) {
  ASSERT_OK(kv_->Put("k", "1"));
  ASSERT_OK(kv_->DeleteRange("", std::nullopt));
  ASSERT_OK(kv_->Put("k", "2"));
  ASSERT_OK_AND_ASSIGN(auto snapshot, database_->GetSnapshot());
  ASSERT_OK(kv_->DeleteRange("", std::nullopt));
  ASSERT_OK(kv_->Put("other", "3"));
  ASSERT_OK(MoveRowsOnly());
  EXPECT_EQ(Get("k", snapshot), "2");
  EXPECT_EQ(Get("k"), std::nullopt);
}

TEST_P(KeyValueTest, MultiGetAnswersInTheOrderOfTheKeys) {
  ASSERT_OK(kv_->Put("a", "1"));
  ASSERT_OK(kv_->Put("gone", "x"));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Put("b", ""));
  ASSERT_OK(kv_->Delete("gone"));
  const std::vector<std::string_view> keys = {"b", "absent", "a", "gone", "a"};
  ASSERT_OK_AND_ASSIGN(const Values values, kv_->MultiGet(keys));
  EXPECT_EQ(values, (Values{"", std::nullopt, "1", std::nullopt, "1"}));
}

TEST_P(KeyValueTest, MultiGetOfManyKeysAgreesWithGet) {
  for (int i = 0; i < 5000; i += 2) ASSERT_OK(kv_->Put(std::to_string(i), std::to_string(i * i)));
  ASSERT_OK(MoveRows());
  for (int i = 0; i < 5000; i += 10) ASSERT_OK(kv_->Put(std::to_string(i), "again"));
  ASSERT_OK(kv_->DeleteRange("3", "4"));
  std::vector<std::string> keys;
  for (int i = 0; i < 5000; ++i) keys.push_back(std::to_string(i));
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  ASSERT_OK_AND_ASSIGN(const Values values, kv_->MultiGet(views));
  ASSERT_EQ(values.size(), keys.size());
  for (size_t i = 0; i < keys.size(); ++i) ASSERT_EQ(values[i], Get(keys[i])) << keys[i];
}

TEST_P(KeyValueTest, APinnedValueOutlivesOverwriteCompactionAndClose) {
  const std::string value(100000, 'p');
  ASSERT_OK(kv_->Put("k", value));
  ASSERT_OK(MoveRows());
  PinnedValue pinned;
  ASSERT_OK_AND_ASSIGN(const bool found, kv_->GetPinned("k", &pinned));
  ASSERT_TRUE(found);
  ASSERT_OK(kv_->Put("k", "other"));
  ASSERT_OK(database_->Compact());
  kv_.reset();
  ASSERT_OK(database_.Close());
  EXPECT_TRUE(pinned.view() == value);
}

TEST_P(KeyValueTest, GetPinnedOfAnAbsentKeyHoldsNothing) {
  ASSERT_OK(kv_->Put("k", "v"));
  ASSERT_OK(MoveRows());
  PinnedValue pinned;
  ASSERT_OK(kv_->GetPinned("k", &pinned));
  ASSERT_OK_AND_ASSIGN(const bool found, kv_->GetPinned("absent", &pinned));
  EXPECT_FALSE(found);
  EXPECT_EQ(pinned.view(), "");
}

TEST_P(KeyValueTest, TryGetFromMemoryNeverContradictsGet) {
  ASSERT_OK(kv_->Put("k", "v"));
  ASSERT_OK(MoveRows());
  ASSERT_OK(kv_->Put("fresh", "f"));
  std::string value;
  bool found = false;
  ASSERT_OK_AND_ASSIGN(bool known, kv_->TryGetFromMemory("fresh", &value, &found));
  EXPECT_TRUE(known);
  EXPECT_TRUE(found);
  EXPECT_EQ(value, "f");
  ASSERT_OK_AND_ASSIGN(known, kv_->TryGetFromMemory("k", &value, &found));
  EXPECT_EQ(known, GetParam() == Where::kMemory);
  EXPECT_EQ(found, known);
  if (known) {
    EXPECT_EQ(value, "v");
  }
}

TEST_P(KeyValueTest, PutManyWritesAllPairsAndTheLastOfAKeyWins) {
  ASSERT_OK(kv_->Put("b", "before"));
  ASSERT_OK_AND_ASSIGN(auto keys,
                       arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["c", "a", "b", "a"])"));
  ASSERT_OK_AND_ASSIGN(auto values,
                       arrow::json::ArrayFromJSONString(arrow::binary(), R"(["1", "2", "", "4"])"));
  ASSERT_OK(kv_->PutMany(*keys, *values));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("a"), "4");
  EXPECT_EQ(Get("b"), "");
  EXPECT_EQ(Get("c"), "1");
}

TEST_P(KeyValueTest, PutManyOfViewsWritesWhatThatOfArraysDoes) {
  ASSERT_OK(kv_->Put("b", "before"));
  const std::vector<std::string_view> keys = {"c", "a", "b", "a"};
  const std::vector<std::string_view> values = {"1", "2", "", "4"};
  ASSERT_OK(kv_->PutMany(keys, values));
  ASSERT_OK(MoveRows());
  EXPECT_EQ(Get("a"), "4");
  EXPECT_EQ(Get("b"), "");
  EXPECT_EQ(Get("c"), "1");
}

// What follows does not depend on where rows lie.
class KeyValueInputTest : public KeyValueTest {};
INSTANTIATE_TEST_SUITE_P(Input, KeyValueInputTest, testing::Values(Where::kMemory), NameOf);

TEST_P(KeyValueInputTest, PutManyTakesAnyBinaryLikeArrays) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::binary(),
                           arrow::large_binary(), arrow::utf8_view(), arrow::binary_view()}) {
    ASSERT_OK_AND_ASSIGN(auto keys, arrow::json::ArrayFromJSONString(type, R"(["a", "b"])"));
    ASSERT_OK_AND_ASSIGN(auto values, arrow::json::ArrayFromJSONString(type, R"(["1", "2"])"));
    ASSERT_OK(kv_->DeleteRange("", std::nullopt));
    ASSERT_OK(kv_->PutMany(*keys, *values));
    EXPECT_EQ(Get("b"), "2") << type->ToString();
  }
}

TEST_P(KeyValueInputTest, PutManyRefusesBadArraysAndWritesNothing) {
  ASSERT_OK_AND_ASSIGN(auto two, arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["a", "b"])"));
  ASSERT_OK_AND_ASSIGN(auto one, arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["a"])"));
  ASSERT_OK_AND_ASSIGN(auto null,
                       arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["a", null])"));
  ASSERT_OK_AND_ASSIGN(auto numbers, arrow::json::ArrayFromJSONString(arrow::int64(), "[1, 2]"));
  arrow::BinaryBuilder builder;
  ASSERT_OK(builder.Append("a"));
  ASSERT_OK(builder.Append("\xC3\x28"));
  ASSERT_OK_AND_ASSIGN(auto not_utf8, builder.Finish());
  EXPECT_FAILS_WITH("2 keys and 1 values", kv_->PutMany(*two, *one));
  EXPECT_FAILS_WITH("key", kv_->PutMany(*null, *two));
  EXPECT_FAILS_WITH("null", kv_->PutMany(*two, *null));
  EXPECT_FAILS_WITH("'key'", kv_->PutMany(*numbers, *two));
  EXPECT_FALSE(kv_->PutMany(*not_utf8, *two).ok());
  EXPECT_EQ(Get("a"), std::nullopt);
}

TEST_P(KeyValueInputTest, PutManyOfViewsRefusesBadOnesAndWritesNothing) {
  const std::vector<std::string_view> two = {"a", "b"};
  const std::vector<std::string_view> bad = {"a", "\xC3\x28"};
  EXPECT_FAILS_WITH("2 keys and 1 values", kv_->PutMany(two, std::span(two).first(1)));
  EXPECT_FAILS_WITH("UTF-8", kv_->PutMany(bad, two));
  EXPECT_EQ(Get("a"), std::nullopt);
  ASSERT_OK(kv_->PutMany(std::span(two).first(0), std::span(two).first(0)));
}

TEST_P(KeyValueInputTest, PutManyOfViewsTakesMoreBytesThanAreWrittenAsPuts) {
  const std::string value(1 << 20, 'v');
  std::vector<std::string> keys;
  for (int i = 0; i < 20; ++i) keys.push_back("key" + std::to_string(i));
  const std::vector<std::string_view> views(keys.begin(), keys.end());
  ASSERT_OK(kv_->PutMany(views, std::vector<std::string_view>(keys.size(), value)));
  EXPECT_EQ(Get("key0"), value);
  EXPECT_EQ(Get("key19"), value);
}

TEST_P(KeyValueInputTest, AKeyThatIsNotUtf8IsRefusedByWritesAndAbsentToReads) {
  for (const std::string& key : {"\xFF"s, "ok\xC3\x28"s, "\xED\xA0\x80"s, "12345678\x80"s}) {
    EXPECT_FAILS_WITH("UTF-8", kv_->Put(key, "v"));
    EXPECT_FAILS_WITH("UTF-8", kv_->Delete(key));
    EXPECT_EQ(Get(key), std::nullopt);
  }
  ASSERT_OK(kv_->Put("gr\xC3\xBC\xC3\x9F", "valid"));
  EXPECT_EQ(Get("gr\xC3\xBC\xC3\x9F"), "valid");
}

TEST_P(KeyValueInputTest, KeysMayHave64KiBAndNoMore) {
  const std::string longest(64 * 1024, 'k');
  ASSERT_OK(kv_->Put(longest, "v"));
  EXPECT_EQ(Get(longest), "v");
  EXPECT_FAILS_WITH("65537", kv_->Put(longest + "k", "v"));
  EXPECT_FAILS_WITH("65537", kv_->Delete(longest + "k"));
  EXPECT_EQ(Get(longest + "k"), std::nullopt);
}

TEST_P(KeyValueInputTest, ABinaryKeyColumnTakesAnyBytes) {
  auto schema =
      arrow::schema({arrow::field("k", arrow::binary()), arrow::field("v", arrow::large_utf8())});
  ASSERT_OK(database_->CreateTable("bytes", schema, {.primary_key = {"k"}}));
  ASSERT_OK_AND_ASSIGN(auto bytes, KeyValue::Open(database_.get(), "bytes"));
  ASSERT_OK(bytes->Put("\xFF\0\xFE"s, "text"));
  ASSERT_OK_AND_ASSIGN(auto value, bytes->Get("\xFF\0\xFE"s));
  EXPECT_EQ(value, "text");
  EXPECT_FAILS_WITH("'v'", bytes->Put("k", "\xFF"));
}

TEST_P(KeyValueInputTest, EveryCallAfterCloseIsRefusedAsClosed) {
  ASSERT_OK(kv_->Put("k", "v"));
  auto array = *arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["a"])");
  ASSERT_OK(database_->Close());
  std::string value;
  bool found = false;
  PinnedValue pinned;
  const std::vector<std::string_view> keys = {"k"};
  const std::vector<arrow::Status> answers = {kv_->Put("k", "v"),
                                              kv_->PutMany(*array, *array),
                                              kv_->Delete("k"),
                                              kv_->DeleteRange("a", "z"),
                                              kv_->Get("k").status(),
                                              kv_->Get("k", &value).status(),
                                              kv_->GetPinned("k", &pinned).status(),
                                              kv_->Exists("k").status(),
                                              kv_->MultiGet(keys).status(),
                                              kv_->TryGetFromMemory("k", &value, &found).status(),
                                              kv_->NewIterator().status(),
                                              KeyValue::Open(database_.get()).status()};
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_TRUE(IsClosed(answers[i])) << i << ": " << answers[i].ToString();
  }
}

TEST_P(KeyValueInputTest, OpenRefusesATableOfAnotherShapeByName) {
  auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("v", arrow::binary())});
  ASSERT_OK(database_->CreateTable("numbers", schema, {.primary_key = {"id"}}));
  EXPECT_FAILS_WITH("'numbers'", KeyValue::Open(database_.get(), "numbers"));
}

TEST_P(KeyValueInputTest, OpenOfAnUnknownTableIsNotFoundUnlessItMayBeMade) {
  EXPECT_TRUE(IsNotFound(KeyValue::Open(database_.get(), "new").status()));
  ASSERT_OK_AND_ASSIGN(auto made, KeyValue::Open(database_.get(), "new", true));
  ASSERT_OK(made->Put("k", "v"));
  ASSERT_OK_AND_ASSIGN(auto again, KeyValue::Open(database_.get(), "new", true));
  ASSERT_OK_AND_ASSIGN(auto value, again->Get("k"));
  EXPECT_EQ(value, "v");
  EXPECT_EQ(Get("k"), std::nullopt);  // of `default`
}

TEST_P(KeyValueInputTest, AHandleOnADroppedTableSaysNotFound) {
  ASSERT_OK_AND_ASSIGN(auto kv, KeyValue::Open(database_.get(), "brief", true));
  ASSERT_OK(kv->Put("k", "v"));
  ASSERT_OK(database_->DropTable("brief"));
  EXPECT_TRUE(IsNotFound(kv->Put("k", "v")));
  EXPECT_TRUE(IsNotFound(kv->Get("k").status()));
}

TEST_P(KeyValueInputTest, ASnapshotOfAnotherDatabaseIsRefused) {
  TestDatabase other;
  ASSERT_OK(other.Open());
  ASSERT_OK_AND_ASSIGN(auto snapshot, other->GetSnapshot());
  EXPECT_TRUE(kv_->Get("k", {.snapshot = snapshot}).status().IsInvalid());
}

}  // namespace
}  // namespace marble::test

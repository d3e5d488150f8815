// The contract of sabot::storage's state backend, and what both kinds of backend share: one suite,
// run on every backend. The store backend has its own file.
#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "sabot/storage/interface.h"
#include "sabot/storage/marbledb_backend.h"
#include "support/sabot_test.h"
#include "support/test_database.h"

namespace sabot::storage {
namespace {

using marble::test::TestDirectory;
using std::string_literals::operator""s;
using Pairs = std::vector<std::pair<std::string, std::string>>;
using Optionals = std::vector<std::optional<std::string>>;

class StateContractTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = CreateStateBackend(GetParam());
    ASSERT_NE(backend_, nullptr);
    config_.path = directory_.path();
    ASSERT_SABOT_OK(backend_->Open(config_));
  }
  std::string Get(const std::string& key) {
    std::string value;
    const Status status = backend_->Get(key, &value);
    return status.ok() ? value : "<" + std::string(ToString(status.code())) + ">";
  }
  Pairs Scan(const std::string& start, const std::string& end, bool reverse = false) {
    Pairs pairs;
    const Status status = backend_->Scan(
        start, end,
        [&](std::string_view key, std::string_view value) {
          pairs.emplace_back(key, value);
          return true;
        },
        reverse);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return pairs;
  }
  static Pairs Walk(StateIterator* iterator) {
    Pairs pairs;
    for (; iterator->Valid(); iterator->Next()) {
      pairs.emplace_back(iterator->key(), iterator->value());
    }
    EXPECT_TRUE(iterator->status().ok()) << iterator->status().ToString();
    return pairs;
  }

  TestDirectory directory_;
  StorageConfig config_;
  std::unique_ptr<StateBackend> backend_;
};

INSTANTIATE_TEST_SUITE_P(Backends, StateContractTest, testing::Values("marbledb", "memory"),
                         [](const auto& info) { return info.param; });

TEST_P(StateContractTest, GetReturnsWhatWasPut) {
  ASSERT_SABOT_OK(backend_->Put("session:1", "{\"user\": 42}"));
  EXPECT_EQ(Get("session:1"), "{\"user\": 42}");
}

TEST_P(StateContractTest, GetOfAnAbsentKeyIsNotFound) {
  std::string value = "before";
  EXPECT_TRUE(backend_->Get("absent", &value).IsNotFound());
}

TEST_P(StateContractTest, PutIsAnUpsert) {
  ASSERT_SABOT_OK(backend_->Put("k", "old"));
  ASSERT_SABOT_OK(backend_->Put("k", "new"));
  EXPECT_EQ(Get("k"), "new");
}

TEST_P(StateContractTest, AnEmptyValueIsAValueAndTheEmptyKeyAKey) {
  ASSERT_SABOT_OK(backend_->Put("", ""));
  bool exists = false;
  ASSERT_SABOT_OK(backend_->Exists("", &exists));
  EXPECT_TRUE(exists);
  EXPECT_EQ(Get(""), "");
}

TEST_P(StateContractTest, ValuesAreAnyBytes) {
  for (const std::string& value :
       {"\0\1\2"s, "\xFF\xFE"s, "__deleted__"s, std::string(1000, '\0')}) {
    ASSERT_SABOT_OK(backend_->Put("k", value));
    EXPECT_EQ(Get("k"), value);
  }
}

TEST_P(StateContractTest, KeysThatAreNotUtf8AreInvalidToWritesAndAbsentToReads) {
  EXPECT_TRUE(backend_->Put("\xFF", "v").IsInvalidArgument());
  EXPECT_TRUE(backend_->Delete("\xFF").IsInvalidArgument());
  EXPECT_EQ(Get("\xFF"), "<NotFound>");
}

TEST_P(StateContractTest, KeysHaveAtMost64KiB) {
  const std::string longest(64 * 1024, 'k');
  ASSERT_SABOT_OK(backend_->Put(longest, "v"));
  EXPECT_EQ(Get(longest), "v");
  EXPECT_TRUE(backend_->Put(longest + "k", "v").IsInvalidArgument());
}

TEST_P(StateContractTest, DeleteTakesTheKeyAndIsFineWithAnAbsentOne) {
  ASSERT_SABOT_OK(backend_->Put("k", "v"));
  ASSERT_SABOT_OK(backend_->Delete("k"));
  ASSERT_SABOT_OK(backend_->Delete("k"));
  bool exists = true;
  ASSERT_SABOT_OK(backend_->Exists("k", &exists));
  EXPECT_FALSE(exists);
  ASSERT_SABOT_OK(backend_->Put("k", "again"));
  EXPECT_EQ(Get("k"), "again");
}

TEST_P(StateContractTest, MultiGetAnswersInOrderWithOneValuePerKey) {
  ASSERT_SABOT_OK(backend_->Put("a", "1"));
  ASSERT_SABOT_OK(backend_->Put("b", ""));
  std::vector<std::string> values = {"to be replaced"};
  ASSERT_SABOT_OK(backend_->MultiGet({"b", "absent", "a", "a"}, &values));
  EXPECT_EQ(values, (std::vector<std::string>{"", "", "1", "1"}));
  ASSERT_SABOT_OK(backend_->MultiGet({}, &values));
  EXPECT_TRUE(values.empty());
}

TEST_P(StateContractTest, MultiGetTellsAbsentFromEmpty) {
  ASSERT_SABOT_OK(backend_->Put("a", "1"));
  ASSERT_SABOT_OK(backend_->Put("b", ""));
  Optionals values;
  ASSERT_SABOT_OK(backend_->MultiGet({"b", "absent", "a"}, &values));
  EXPECT_EQ(values, (Optionals{"", std::nullopt, "1"}));
}

TEST_P(StateContractTest, DeleteRangeTakesTheStartAndLeavesTheEnd) {
  for (const char* key : {"", "a", "b", "c", "d"}) ASSERT_SABOT_OK(backend_->Put(key, "v"));
  ASSERT_SABOT_OK(backend_->DeleteRange("b", "d"));
  EXPECT_EQ(Scan("", ""), (Pairs{{"", "v"}, {"a", "v"}, {"d", "v"}}));
  ASSERT_SABOT_OK(backend_->Put("c", "inside"));
  EXPECT_EQ(Get("c"), "inside");
}

TEST_P(StateContractTest, DeleteRangeToAnEmptyEndIsUnbounded) {
  for (const char* key : {"", "a", "b", "\xF4\x8F\xBF\xBF"})
    ASSERT_SABOT_OK(backend_->Put(key, "v"));
  ASSERT_SABOT_OK(backend_->DeleteRange("b", ""));
  EXPECT_EQ(Scan("", ""), (Pairs{{"", "v"}, {"a", "v"}}));
  ASSERT_SABOT_OK(backend_->DeleteRange("", ""));
  EXPECT_EQ(Scan("", ""), Pairs{});
}

TEST_P(StateContractTest, ADeleteRangeThatEndsBeforeItStartsDeletesNothing) {
  for (const char* key : {"a", "b"}) ASSERT_SABOT_OK(backend_->Put(key, "v"));
  ASSERT_SABOT_OK(backend_->DeleteRange("b", "a"));
  ASSERT_SABOT_OK(backend_->DeleteRange("a", "a"));
  EXPECT_EQ(Scan("", "").size(), 2U);
}

TEST_P(StateContractTest, ScanVisitsTheRangeInOrderBothWays) {
  for (const char* key : {"c", "a", "", "b"}) ASSERT_SABOT_OK(backend_->Put(key, key + "!"s));
  EXPECT_EQ(Scan("", ""), (Pairs{{"", "!"}, {"a", "a!"}, {"b", "b!"}, {"c", "c!"}}));
  EXPECT_EQ(Scan("", "b"), (Pairs{{"", "!"}, {"a", "a!"}}));
  EXPECT_EQ(Scan("a", "c"), (Pairs{{"a", "a!"}, {"b", "b!"}}));
  EXPECT_EQ(Scan("b", "", true), (Pairs{{"c", "c!"}, {"b", "b!"}}));
  EXPECT_EQ(Scan("a", "c", true), (Pairs{{"b", "b!"}, {"a", "a!"}}));
  EXPECT_EQ(Scan("c", "a"), Pairs{});
}

TEST_P(StateContractTest, ScanStopsWhenTheCallbackSaysSo) {
  for (const char* key : {"a", "b", "c"}) ASSERT_SABOT_OK(backend_->Put(key, "v"));
  int visits = 0;
  ASSERT_SABOT_OK(
      backend_->Scan("", "", [&](std::string_view, std::string_view) { return ++visits < 2; }));
  EXPECT_EQ(visits, 2);
}

TEST_P(StateContractTest, ScanSeesOneMomentWhileItsCallbackWrites) {
  for (const char* key : {"a", "b"}) ASSERT_SABOT_OK(backend_->Put(key, "v"));
  Pairs seen;
  ASSERT_SABOT_OK(backend_->Scan("", "", [&](std::string_view key, std::string_view value) {
    seen.emplace_back(key, value);
    return backend_->Put(std::string(key) + "z", "new").ok() && backend_->Put("b", "changed").ok();
  }));
  EXPECT_EQ(seen, (Pairs{{"a", "v"}, {"b", "v"}}));
  EXPECT_EQ(Scan("", "").size(), 4U);
}

TEST_P(StateContractTest, AnExceptionInACallbackBecomesAStatus) {
  ASSERT_SABOT_OK(backend_->Put("a", "v"));
  const Status status = backend_->Scan("", "", [](std::string_view, std::string_view) -> bool {
    throw std::runtime_error("from the callback");
  });
  EXPECT_TRUE(status.IsInternalError());
  EXPECT_EQ(status.message(), "from the callback");
}

TEST_P(StateContractTest, IteratorsWalkASnapshotBothWays) {
  for (const char* key : {"a", "b", "c"}) ASSERT_SABOT_OK(backend_->Put(key, "v"));
  std::unique_ptr<StateIterator> forward;
  std::unique_ptr<StateIterator> reverse;
  ASSERT_SABOT_OK(backend_->NewIterator("a", "c", &forward));
  ASSERT_SABOT_OK(backend_->NewIterator("", "", &reverse, /*reverse=*/true));
  ASSERT_SABOT_OK(backend_->DeleteRange("", ""));
  ASSERT_SABOT_OK(backend_->Put("aa", "later"));
  EXPECT_EQ(Walk(forward.get()), (Pairs{{"a", "v"}, {"b", "v"}}));
  EXPECT_EQ(Walk(reverse.get()), (Pairs{{"c", "v"}, {"b", "v"}, {"a", "v"}}));
  EXPECT_FALSE(forward->Valid());
}

TEST_P(StateContractTest, AnIteratorOutlivesCloseAndItsBackend) {
  for (const char* key : {"a", "b"}) ASSERT_SABOT_OK(backend_->Put(key, "v"));
  std::unique_ptr<StateIterator> iterator;
  ASSERT_SABOT_OK(backend_->NewIterator("", "", &iterator));
  ASSERT_SABOT_OK(backend_->Close());
  backend_.reset();
  EXPECT_EQ(Walk(iterator.get()), (Pairs{{"a", "v"}, {"b", "v"}}));
}

TEST_P(StateContractTest, OpenAndCloseAreIdempotent) {
  ASSERT_SABOT_OK(backend_->Open(config_));
  ASSERT_SABOT_OK(backend_->Put("k", "v"));
  ASSERT_SABOT_OK(backend_->Close());
  ASSERT_SABOT_OK(backend_->Close());
}

TEST_P(StateContractTest, WhatWasWrittenIsThereWhenItIsOpenedAgain) {
  ASSERT_SABOT_OK(backend_->Put("k", "v"));
  ASSERT_SABOT_OK(backend_->Put("gone", "v"));
  ASSERT_SABOT_OK(backend_->Delete("gone"));
  ASSERT_SABOT_OK(backend_->Flush());
  ASSERT_SABOT_OK(backend_->Close());
  ASSERT_SABOT_OK(backend_->Open(config_));
  EXPECT_EQ(Get("k"), "v");
  EXPECT_EQ(Get("gone"), "<NotFound>");
  ASSERT_SABOT_OK(backend_->Close());
  auto other = CreateStateBackend(GetParam());
  ASSERT_SABOT_OK(other->Open(config_));
  std::string value;
  ASSERT_SABOT_OK(other->Get("k", &value));
  EXPECT_EQ(value, "v");
}

TEST_P(StateContractTest, BackendsOfOneProcessShareAPath) {
  auto other = CreateStateBackend(GetParam());
  ASSERT_SABOT_OK(other->Open(config_));
  ASSERT_SABOT_OK(other->Put("k", "from the other"));
  EXPECT_EQ(Get("k"), "from the other");
  ASSERT_SABOT_OK(other->Close());
  EXPECT_EQ(Get("k"), "from the other");
  EXPECT_TRUE(other->Put("k", "closed").IsClosed());
}

TEST_P(StateContractTest, ASharedPathNeedsEqualConfigurations) {
  StorageConfig other_config = config_;
  other_config.memtable_size_mb = 32;
  auto other = CreateStateBackend(GetParam());
  EXPECT_TRUE(other->Open(other_config).IsConflict());
  EXPECT_TRUE(backend_->Open(other_config).IsConflict());
}

TEST_P(StateContractTest, ASharedPathNeedsEqualTableOptionsUntilTheLastIsClosed) {
  std::vector<StorageConfig> others(3, config_);
  others[0].enable_bloom_filter = false;
  others[1].enable_sparse_index = false;
  others[2].index_granularity = 100;
  for (const StorageConfig& other_config : others) {
    auto state = CreateStateBackend(GetParam());
    auto store = CreateStoreBackend(GetParam());
    EXPECT_TRUE(state->Open(other_config).IsConflict());
    EXPECT_TRUE(store->Open(other_config).IsConflict());
    EXPECT_TRUE(store->Flush().IsClosed());
  }
  auto equal = CreateStoreBackend(GetParam());
  ASSERT_SABOT_OK(equal->Open(config_));
  ASSERT_SABOT_OK(backend_->Close());
  EXPECT_TRUE(backend_->Open(others[0]).IsConflict());
  equal.reset();
  ASSERT_SABOT_OK(backend_->Open(others[0]));
}

TEST_P(StateContractTest, EveryCallWhileItIsNotOpenIsRefusedAsClosed) {
  auto never_opened = CreateStateBackend(GetParam());
  ASSERT_SABOT_OK(backend_->Close());
  ASSERT_SABOT_OK(never_opened->Close());
  for (StateBackend* backend : {backend_.get(), never_opened.get()}) {
    std::string value;
    bool exists = false;
    std::vector<std::string> values;
    Optionals optionals;
    std::unique_ptr<StateIterator> iterator;
    const std::vector<Status> answers = {
        backend->Put("k", "v"),
        backend->Get("k", &value),
        backend->Delete("k"),
        backend->Exists("k", &exists),
        backend->MultiGet({"k"}, &values),
        backend->MultiGet({"k"}, &optionals),
        backend->DeleteRange("a", "b"),
        backend->Scan("", "", [](std::string_view, std::string_view) { return true; }),
        backend->NewIterator("", "", &iterator),
        backend->Flush()};
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_TRUE(answers[i].IsClosed()) << i << ": " << answers[i].ToString();
    }
  }
}

TEST_P(StateContractTest, BadConfigurationsAreInvalid) {
  for (const int64_t size : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    StorageConfig config = config_;
    config.memtable_size_mb = size;
    EXPECT_TRUE(CreateStateBackend(GetParam())->Open(config).IsInvalidArgument()) << size;
  }
  StorageConfig config = config_;
  config.index_granularity = 0;
  EXPECT_TRUE(CreateStateBackend(GetParam())->Open(config).IsInvalidArgument());
}

TEST_P(StateContractTest, EveryConfigurationKeepsTheContract) {
  for (const bool bloom : {false, true}) {
    for (const bool sparse : {false, true}) {
      TestDirectory directory;
      StorageConfig config{.path = directory.path(),
                           .memtable_size_mb = 1,
                           .enable_bloom_filter = bloom,
                           .enable_sparse_index = sparse,
                           .index_granularity = 10};
      auto backend = CreateStateBackend(GetParam());
      ASSERT_SABOT_OK(backend->Open(config));
      for (int i = 0; i < 20000; i += 2) {
        ASSERT_SABOT_OK(backend->Put(std::to_string(i), std::string(100, 'x')));
      }
      ASSERT_SABOT_OK(backend->Close());
      ASSERT_SABOT_OK(backend->Open(config));
      for (int i = 0; i < 20000; i += 101) {
        bool exists = false;
        ASSERT_SABOT_OK(backend->Exists(std::to_string(i), &exists));
        EXPECT_EQ(exists, i % 2 == 0) << i;
      }
    }
  }
}

TEST(SabotFactoryTest, KnowsItsBackendsAndNoOthers) {
  EXPECT_NE(dynamic_cast<MarbleDbStateBackend*>(CreateStateBackend("").get()), nullptr);
  EXPECT_NE(dynamic_cast<MarbleDbStateBackend*>(CreateStateBackend("marbledb").get()), nullptr);
  EXPECT_NE(dynamic_cast<MarbleDbStoreBackend*>(CreateStoreBackend("").get()), nullptr);
  EXPECT_NE(CreateStateBackend("memory"), nullptr);
  EXPECT_NE(CreateStoreBackend("memory"), nullptr);
  for (const char* type : {"rocksdb", "MarbleDB", " ", "memory "}) {
    EXPECT_EQ(CreateStateBackend(type), nullptr) << type;
    EXPECT_EQ(CreateStoreBackend(type), nullptr) << type;
  }
}

TEST(SabotStatusTest, HasAFactoryAPredicateAndANameForEachCode) {
  struct Case {
    Status status;
    StatusCode code;
    bool (Status::*predicate)() const;
    std::string text;
  };
  const std::vector<Case> cases = {
      {Status::OK(), StatusCode::OK, &Status::ok, "OK"},
      {Status::NotFound("m"), StatusCode::NotFound, &Status::IsNotFound, "NotFound: m"},
      {Status::InvalidArgument("m"), StatusCode::InvalidArgument, &Status::IsInvalidArgument,
       "InvalidArgument: m"},
      {Status::IOError("m"), StatusCode::IOError, &Status::IsIOError, "IOError: m"},
      {Status::NotSupported("m"), StatusCode::NotSupported, &Status::IsNotSupported,
       "NotSupported: m"},
      {Status::InternalError("m"), StatusCode::InternalError, &Status::IsInternalError,
       "InternalError: m"},
      {Status::Corruption("m"), StatusCode::Corruption, &Status::IsCorruption, "Corruption: m"},
      {Status::Conflict("m"), StatusCode::Conflict, &Status::IsConflict, "Conflict: m"},
      {Status::Busy("m"), StatusCode::Busy, &Status::IsBusy, "Busy: m"},
      {Status::AlreadyExists("m"), StatusCode::AlreadyExists, &Status::IsAlreadyExists,
       "AlreadyExists: m"},
      {Status::Closed("m"), StatusCode::Closed, &Status::IsClosed, "Closed: m"}};
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(static_cast<int>(cases[i].code), static_cast<int>(i));
    EXPECT_EQ(cases[i].status.code(), cases[i].code);
    EXPECT_EQ(cases[i].status.ToString(), cases[i].text);
    for (size_t k = 0; k < cases.size(); ++k) {
      EXPECT_EQ((cases[k].status.*cases[i].predicate)(), i == k) << i << " " << k;
    }
  }
}

TEST(SabotMarbleTest, ConfigurationsBecomeMarblesOptions) {
  StorageConfig config;
  config.memtable_size_mb = 512;
  config.index_granularity = 100;
  EXPECT_EQ(ToMarbleOptions(config).memtable_bytes, int64_t{512} << 20);
  EXPECT_GE(ToMarbleOptions(config).memory_budget, int64_t{2048} << 20);
  EXPECT_EQ(ToMarbleTableOptions(config).block_rows_max, 100);
  EXPECT_EQ(ToMarbleTableOptions(config).point_lookup, marble::PointLookup::kPointIndex);
  config.enable_sparse_index = false;
  EXPECT_EQ(ToMarbleTableOptions(config).point_lookup, marble::PointLookup::kBloomFilter);
  config.enable_bloom_filter = false;
  EXPECT_EQ(ToMarbleTableOptions(config).point_lookup, marble::PointLookup::kNone);
}

TEST(SabotMarbleTest, StateLivesInItsOwnTable) {
  TestDirectory directory;
  StorageConfig config;
  config.path = directory.path();
  auto state = CreateStateBackend("marbledb");
  auto store = CreateStoreBackend("marbledb");
  ASSERT_SABOT_OK(state->Open(config));
  ASSERT_SABOT_OK(store->Open(config));
  ASSERT_SABOT_OK(state->Put("k", "v"));
  ASSERT_OK_AND_ASSIGN(auto database,
                       marble::Database::Open(directory.path(), ToMarbleOptions(config)));
  ASSERT_OK_AND_ASSIGN(auto kv, marble::KeyValue::Open(database, "__sabot_state__"));
  ASSERT_OK_AND_ASSIGN(auto value, kv->Get("k"));
  EXPECT_EQ(value, "v");
  std::vector<std::string> names;
  ASSERT_SABOT_OK(store->ListTables(&names));
  EXPECT_EQ(names, (std::vector<std::string>{"default"}));
  EXPECT_TRUE(store->DropTable("__sabot_state__").IsNotFound());
}

TEST(SabotMarbleTest, AKeyIsNotCalledAbsentWhenTheTableOfTheStateWasDropped) {
  TestDirectory directory;
  StorageConfig config;
  config.path = directory.path();
  auto state = CreateStateBackend("marbledb");
  ASSERT_SABOT_OK(state->Open(config));
  ASSERT_SABOT_OK(state->Put("k", "v"));
  ASSERT_OK_AND_ASSIGN(auto database,
                       marble::Database::Open(directory.path(), ToMarbleOptions(config)));
  ASSERT_OK(database->DropTable("__sabot_state__"));
  std::string value;
  EXPECT_TRUE(state->Get("k", &value).IsClosed());
}

}  // namespace
}  // namespace sabot::storage

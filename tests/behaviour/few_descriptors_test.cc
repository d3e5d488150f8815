// A process that has few file descriptors left, or none, and a database of many files: what needs
// one more fails with an error that says so, what was written stays, and all goes on when there are
// descriptors again. On the real file system.
//
// MARBLE_DESCRIPTOR_ROUNDS sets the number of rounds.

#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>
#include <iostream>
#include <map>

#include <arrow/util/io_util.h>

#include "support/random.h"
#include "support/test_database.h"
#include "support/wait_until.h"

namespace marble::test {
namespace {

constexpr int64_t kRounds = 4;
constexpr int kPairs = 6000;
constexpr int64_t kFilesMin = 60;
/// With so many to spare nothing may be refused.
constexpr int kEnough = 24;

/// While it lives, this process has so many descriptors left under its limit: others hold the rest.
class FewDescriptors {
 public:
  explicit FewDescriptors(int spare) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit few{kLimit, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    for (int held; (held = ::open("/", O_PATH | O_CLOEXEC)) >= 0;) held_.push_back(held);
    EXPECT_GT(held_.size(), static_cast<size_t>(spare));
    for (int i = 0; i < spare; ++i) LetGo();
  }
  ~FewDescriptors() {
    while (!held_.empty()) LetGo();
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  /// More than are open when this begins.
  static constexpr rlim_t kLimit = 256;

  void LetGo() {
    EXPECT_EQ(::close(held_.back()), 0);
    held_.pop_back();
  }

  rlimit before_;
  std::vector<int> held_;
};

class FewDescriptorsTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    options_.memory_budget = int64_t{8} << 20;
    options_.memtable_bytes = int64_t{256} << 10;
    options_.log_segment_bytes = int64_t{64} << 10;
    options_.target_file_bytes = int64_t{16} << 10;
    options_.use_mappings = GetParam();
    ASSERT_OK(Open());
    for (int i = 0; i < kPairs; ++i) ASSERT_OK(Put());
    ASSERT_OK(db_->Compact());
    ASSERT_OK_AND_ASSIGN(const Stats stats, db_->GetStats());
    ASSERT_GT(stats.files, kFilesMin);
  }

  arrow::Status Open() {
    ARROW_ASSIGN_OR_RAISE(db_, Database::Open(directory_.path() + "/db", options_));
    return KeyValue::Open(db_).Value(&kv_);
  }

  arrow::Status Close() {
    kv_.reset();
    const arrow::Status closed = db_->Close();
    db_.reset();
    return closed;
  }

  arrow::Status Put(bool sync = false) {
    const std::string key = "key" + std::to_string(random_.Uniform(3 * kPairs));
    const std::string value = std::to_string(random_.Next()) + std::string(300, 'v');
    WriteOptions options;
    options.sync = sync;
    ARROW_RETURN_NOT_OK(kv_->Put(key, value, options));
    pairs_[key] = value;
    return arrow::Status::OK();
  }

  /// An error if what can be read is not what was written.
  arrow::Status CheckAll() const {
    ARROW_ASSIGN_OR_RAISE(auto iterator, kv_->NewIterator());
    iterator->SeekToFirst();
    for (const auto& [key, value] : pairs_) {
      ARROW_RETURN_NOT_OK(iterator->status());
      if (!iterator->Valid() || iterator->key() != key || iterator->value() != value) {
        return arrow::Status::Invalid("the iterator lacks ", key);
      }
      iterator->Next();
    }
    ARROW_RETURN_NOT_OK(iterator->status());
    return iterator->Valid() ? arrow::Status::Invalid("a key too many") : arrow::Status::OK();
  }

  arrow::Status CheckScan() const {
    ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(db_, "default"));
    ARROW_ASSIGN_OR_RAISE(const auto rows, ScanAll(*table));
    return rows->num_rows() == static_cast<int64_t>(pairs_.size())
               ? arrow::Status::OK()
               : arrow::Status::Invalid("the scan gave ", rows->num_rows(), " rows");
  }

  arrow::Status CheckSome() {
    for (int i = 0; i < 20; ++i) {
      const std::string key = "key" + std::to_string(random_.Uniform(3 * kPairs));
      ARROW_ASSIGN_OR_RAISE(const auto value, kv_->Get(key));
      const auto expected = pairs_.find(key);
      if (value.has_value() != (expected != pairs_.end()) ||
          (value.has_value() && *value != expected->second)) {
        return arrow::Status::Invalid("a get of ", key, " is wrong");
      }
    }
    return arrow::Status::OK();
  }

  arrow::Status OpenReadOnly() const {
    Options options = options_;
    options.read_only = true;
    return Database::Open(directory_.path() + "/db", options).status();
  }

  void Expect(const char* what, const arrow::Status& status) {
    if (status.ok()) {
      ++done_;
      return;
    }
    ++refused_;
    EXPECT_EQ(arrow::internal::ErrnoFromStatus(status), EMFILE)
        << what << ": " << status.ToString();
    EXPECT_FALSE(IsReadOnly(status)) << what << ": " << status.ToString();
  }

  void WorkWithFew() {
    Expect("iterator", CheckAll());
    Expect("scan", CheckScan());
    Expect("gets", CheckSome());
    for (int i = 0; i < 300; ++i) Expect("put", Put(/*sync=*/i % 100 == 0));
    Expect("flush", db_->Flush());
    Expect("compact", db_->Compact());
    Expect("open for reading", OpenReadOnly());
    Expect("iterator", CheckAll());
  }

  void ExpectAllIsWell() {
    arrow::Status status;
    EXPECT_TRUE(WaitUntil([&] { return (status = Put()).ok(); })) << status.ToString();
    EXPECT_TRUE(WaitUntil([&] { return (status = db_->Flush()).ok(); })) << status.ToString();
    ASSERT_OK(CheckAll());
    ASSERT_OK(CheckScan());
    ASSERT_OK_AND_ASSIGN(const Stats stats, db_->GetStats());
    EXPECT_EQ(stats.background_error, "");
  }

  const TestDirectory directory_;
  Options options_;
  Random random_{7};
  std::map<std::string, std::string> pairs_;
  std::shared_ptr<Database> db_;
  std::shared_ptr<KeyValue> kv_;
  int64_t done_ = 0;
  int64_t refused_ = 0;
};

TEST_P(FewDescriptorsTest, RefuseWithAnErrorThatSaysSoAndAllGoesOnWhenThereAreMore) {
  const int64_t rounds = NumberFromEnvironment("MARBLE_DESCRIPTOR_ROUNDS", kRounds);
  constexpr int kSpare[] = {0, 4, 1, kEnough, 2, 3, 5, 6, 7, 8, 12, 16, 32, 64};
  for (int64_t round = 0; round < rounds; ++round) {
    const int spare = kSpare[static_cast<size_t>(round) % std::size(kSpare)];
    SCOPED_TRACE(std::to_string(spare) + " descriptors to spare");
    done_ = refused_ = 0;
    {
      const FewDescriptors few(spare);
      WorkWithFew();
    }
    ExpectAllIsWell();
    ASSERT_OK(Close());
    {
      const FewDescriptors few(spare);
      const arrow::Status opened = Open();
      Expect("open", opened);
      if (opened.ok()) WorkWithFew();
    }
    if (db_ == nullptr) ASSERT_OK(Open());
    ExpectAllIsWell();
    ASSERT_OK(Close());
    ASSERT_OK(Open());
    ASSERT_OK(CheckAll());
    std::cout << spare << " to spare: " << refused_ << " operations refused, " << done_ << " done"
              << std::endl;
    EXPECT_TRUE(refused_ == 0 || spare < kEnough) << refused_;
    EXPECT_TRUE(refused_ > 0 || spare > 0) << "nothing needed a descriptor";
  }
}

INSTANTIATE_TEST_SUITE_P(Files, FewDescriptorsTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Mapped" : "Read"; });

}  // namespace
}  // namespace marble::test

// The n-th allocation fails, for each n until an operation does without: of all memory that comes
// from Arrow's pools, which is that for rows, blocks, memtables and files. An operation then
// succeeds or fails with OutOfMemory, nothing that was acknowledged is lost, and the database goes
// on or opens again as docs/guarantees.md says.
//
// Arrow's default pool is replaced for this whole program, by one that passes everything on except
// in these tests.
//
// MARBLE_FAILED_ALLOCATIONS sets how many allocations fail: so many in all scripts together, which
// are run with other seeds until it is so many, and half of it, or all that there are, in the
// single operations; MARBLE_SEED the seed.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <arrow/compute/expression.h>
#include <arrow/memory_pool.h>
#include <gtest/gtest.h>

#include <marble/transfer.h>
#include <marble/verify.h>

#include "support/crash_checker.h"
#include "support/crash_script.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kFailures = 300;
constexpr int kAttempts = 2000;  // to write again when there is memory

/// Fails one allocation, or it and all that follow. Thread-safe.
class FailingPool : public arrow::ProxyMemoryPool {
 public:
  explicit FailingPool(arrow::MemoryPool* base) : ProxyMemoryPool(base) {}

  /// The `n`th allocation from now on (1: the next) fails; 0: none does.
  void FailNth(int64_t n, bool sticky) {
    sticky_ = sticky;
    asked_ = 0;
    at_ = n;
  }
  /// Allocations since FailNth.
  int64_t asked() const { return asked_; }

  using ProxyMemoryPool::Allocate;
  using ProxyMemoryPool::Free;
  using ProxyMemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    ARROW_RETURN_NOT_OK(Ask(size));
    return ProxyMemoryPool::Allocate(size, alignment, out);
  }
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** ptr) override {
    if (new_size > old_size) ARROW_RETURN_NOT_OK(Ask(new_size));
    return ProxyMemoryPool::Reallocate(old_size, new_size, alignment, ptr);
  }

 private:
  arrow::Status Ask(int64_t size) {
    const int64_t number = ++asked_;
    const int64_t at = at_;
    if (at == 0 || (sticky_ ? number < at : number != at)) return arrow::Status::OK();
    return arrow::Status::OutOfMemory("injected: no ", size, " bytes");
  }

  std::atomic<bool> sticky_ = false;
  std::atomic<int64_t> at_ = 0;
  std::atomic<int64_t> asked_ = 0;
};

FailingPool* Pool() {
  // raw new because: Arrow's own threads free memory after main's statics are gone.
  static auto* const pool = new FailingPool(arrow::MemoryPool::CreateDefault().release());
  return pool;
}

constexpr const char* kScripts[] = {
    "4 flush 3 sync 3",   "3 compact 3 compact",
    "4 reopen 3 reopen",  "bulk 6 flush 3",
    "loads 9 flush 8",    "tiny 6 snapshot 6 compact release flush",
    "wide 12 sync 6",     "schema 2 schema schema schema 2 schema",
    "4 flush 4 stop 3 4",
};
constexpr size_t kScriptCount = std::size(kScripts);

class FailedAllocationTest : public testing::TestWithParam<size_t> {
 protected:
  std::string Words() const { return kScripts[GetParam()]; }

  int64_t CountAllocations(uint64_t seed) const {
    MemoryFileSystem disk;
    CrashScript script(Words(), seed, &disk);
    Pool()->FailNth(0, false);
    EXPECT_TRUE(script.Run().ok());
    return Pool()->asked();
  }

  arrow::Status RunOne(uint64_t seed, int64_t n, bool sticky, CrashChecker* checker,
                       std::string* what) {
    MemoryFileSystem disk;
    CrashScript script(Words(), seed, &disk);
    Pool()->FailNth(n, sticky);
    const arrow::Status status = script.Run();
    Pool()->FailNth(0, false);
    *what += ", script: " + status.ToString();
    if (!status.ok()) {
      ++failed_;
      // Writes that ended for good say so themselves, with the cause.
      if (!status.IsOutOfMemory() && !IsReadOnly(status)) return status;
      if (script.database() != nullptr) ARROW_RETURN_NOT_OK(GoOn(&script));
    }
    Random random(Mix(seed ^ static_cast<uint64_t>(n)));
    Survives survives = Survives::kProcessEnd;
    if (random.OneIn(2)) {
      (void)script.Close(/*cleanly=*/true);  // refused after writes have ended
    } else {
      ARROW_RETURN_NOT_OK(script.Close(/*cleanly=*/false));
      disk.LoseUnsynced(kLossPolicies[random.Uniform(kLossPolicies.size())], random.Next());
      survives = Survives::kPowerLoss;
    }
    return checker->Check(&disk, script.promise(), survives, random.OneIn(4));
  }

  /// `runs`, which are spread evenly where they are fewer than twice the allocations: one fails
  /// alone, the next with all after it. Up to the first failure; returns the runs.
  int64_t FailEach(uint64_t seed, int64_t allocations, int64_t runs) {
    CrashChecker checker(CrashSetting(Words(), seed));
    int64_t run = 0;
    for (; run < runs && !HasFailure(); ++run) {
      const int64_t n = 1 + run * 2 * allocations / runs / 2;
      const bool sticky = run % 2 == 0;
      std::string what = "allocation " + std::to_string(n) + " of " + std::to_string(allocations) +
                         (sticky ? " and all after it" : " alone");
      const arrow::Status status = RunOne(seed, n, sticky, &checker, &what);
      EXPECT_TRUE(status.ok()) << status.ToString() << "\nMARBLE_SEED=" << SeedOfThisRun()
                               << ", script '" << Words() << "' with seed " << seed << ": " << what;
    }
    return run;
  }

  /// There is memory again: writes go on, or had ended and are refused until the next opening.
  arrow::Status GoOn(CrashScript* script) {
    arrow::Status status = script->Commit();
    for (int attempt = 0; attempt < kAttempts && status.IsOutOfMemory(); ++attempt) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      status = script->Commit();
    }
    if (!IsReadOnly(status)) return status;
    ++ended_;
    if (script->Commit().ok()) {
      return arrow::Status::Invalid("a commit was acknowledged after: ", status.ToString());
    }
    return arrow::Status::OK();
  }

  int64_t failed_ = 0;
  int64_t ended_ = 0;
};

TEST_P(FailedAllocationTest, LosesNothingAcknowledgedAndTheDatabaseOpensAgain) {
  const int64_t wanted = ShareFromEnvironment("MARBLE_FAILED_ALLOCATIONS", kFailures, kScriptCount);
  int64_t allocations = 0;
  int64_t runs = 0;
  for (uint64_t round = 0; runs < wanted && !HasFailure(); ++round) {
    const uint64_t seed = Mix(SeedOfThisRun() + round * kScriptCount + GetParam());
    const int64_t own = CountAllocations(seed);
    ASSERT_GT(own, 0) << "Arrow's default pool is not ours";
    allocations += own;
    runs += FailEach(seed, own, std::min(wanted - runs, 2 * own));
  }
  std::cout << "'" << Words() << "': " << allocations << " allocations, " << runs
            << " runs with failing ones, of which " << failed_ << " failed and " << ended_
            << " ended writes, MARBLE_SEED=" << SeedOfThisRun() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Scripts, FailedAllocationTest, testing::Range<size_t>(0, kScriptCount));

/// One open database with a key-value table and one of rows, in files and in memory, and operations
/// that are repeated with each allocation failing.
class OutOfMemoryTest : public testing::Test {
 protected:
  using Operation = std::function<arrow::Status()>;

  void SetUp() override {
    Pool()->FailNth(0, false);
    options_ = CrashOptions();
    options_.file_system = &disk_;
    options_.use_mappings = false;  // so that blocks are read into memory
    options_.memory_budget = int64_t{2} << 20;
    ASSERT_OK(Open());
    for (int i = 0; i < 200; ++i) rows_.push_back({{"", i}, Mix(static_cast<uint64_t>(i)) >> 1});
    ASSERT_OK_AND_ASSIGN(batch_, BuildBatch(SchemaOf(Shape::kNumber, false), rows_));
    ASSERT_OK(Write(0, 120));
    ASSERT_OK(database_->Flush());
    ASSERT_OK(Write(80, 160));
    ASSERT_OK(database_->Flush());
    ASSERT_OK(Write(150, 200));
    ASSERT_OK(CheckAll());
  }
  void TearDown() override { Pool()->FailNth(0, false); }

  arrow::Status Open() {
    ARROW_ASSIGN_OR_RAISE(database_, Database::Open(kCrashPath, options_));
    TableOptions options;
    options.primary_key = PrimaryKeyOf(Shape::kNumber);
    options.compression = Compression::kLz4;
    options.block_rows_max = 20;
    ARROW_RETURN_NOT_OK(
        database_->CreateTable("numbers", SchemaOf(Shape::kNumber, false), options));
    ARROW_ASSIGN_OR_RAISE(table_, Table::Open(database_, "numbers"));
    return KeyValue::Open(database_).Value(&pairs_);
  }

  /// The rows from `first` to `last`, and as many pairs.
  arrow::Status Write(int first, int last) {
    ARROW_RETURN_NOT_OK(table_->Insert(batch_->Slice(first, last - first)));
    for (int i = first; i < last; ++i) ARROW_RETURN_NOT_OK(pairs_->Put(Key(i), Value(i)));
    return arrow::Status::OK();
  }
  static std::string Key(int i) { return "key" + std::to_string(1000 + i); }
  static std::string Value(int i) { return ValueOf(Mix(static_cast<uint64_t>(i))); }

  /// An error unless the scan's rows are those of the batch from `first` on, in either order.
  arrow::Status CheckScan(const ScanOptions& options, int64_t first, int64_t count) const {
    ARROW_ASSIGN_OR_RAISE(auto rows, ScanAll(*table_, options));
    ARROW_ASSIGN_OR_RAISE(rows, rows->CombineChunks());
    std::vector<ModelRow> wanted(rows_.begin() + first, rows_.begin() + first + count);
    if (options.reverse) std::reverse(wanted.begin(), wanted.end());
    ARROW_ASSIGN_OR_RAISE(const auto batch, BuildBatch(rows->schema(), wanted));
    const auto same = SameRows(batch, rows);
    return same ? arrow::Status::OK() : arrow::Status::Invalid(same.message());
  }

  arrow::Status CheckPairs() const {
    ARROW_ASSIGN_OR_RAISE(auto iterator, pairs_->NewIterator());
    iterator->SeekToFirst();
    for (int i = 0; i < 200; ++i, iterator->Next()) {
      ARROW_RETURN_NOT_OK(iterator->status());
      if (!iterator->Valid() || iterator->key() != Key(i) || iterator->value() != Value(i)) {
        return arrow::Status::Invalid("pair ", i, " is wrong");
      }
    }
    return iterator->status();
  }

  arrow::Status CheckGets() const {
    std::vector<std::string> keys;
    for (int i = 0; i < 200; i += 3) keys.push_back(Key(i));
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    ARROW_ASSIGN_OR_RAISE(const auto values, pairs_->MultiGet(views));
    for (size_t i = 0; i < keys.size(); ++i) {
      ARROW_ASSIGN_OR_RAISE(const auto value, pairs_->Get(keys[i]));
      if (value != values[i] || value != Value(static_cast<int>(3 * i))) {
        return arrow::Status::Invalid("the value of ", keys[i], " is wrong");
      }
    }
    return arrow::Status::OK();
  }

  arrow::Status CheckLookups() const {
    std::vector<int64_t> indices;
    ARROW_ASSIGN_OR_RAISE(const auto found,
                          table_->Get(batch_->Slice(70, 100), std::nullopt, &indices));
    const auto same = SameRows(batch_->Slice(70, 100), found);
    if (!same) return arrow::Status::Invalid(same.message());
    ARROW_ASSIGN_OR_RAISE(const auto there, table_->Contains(batch_));
    return there->true_count() == 200 ? arrow::Status::OK()
                                      : arrow::Status::Invalid(there->true_count(), " are there");
  }

  arrow::Status CheckAll() const {
    ARROW_RETURN_NOT_OK(CheckScan({}, 0, 200));
    ARROW_RETURN_NOT_OK(CheckPairs());
    ARROW_RETURN_NOT_OK(CheckGets());
    return CheckLookups();
  }

  arrow::Status Export(FileFormat format) const {
    ExportOptions options;
    if (format == FileFormat::kCsv) options.scan.columns = {"id", "amount"};  // no lists
    options.format = format;
    options.overwrite = true;
    return ExportFile(table_, PathOf(format), options).status();
  }
  static std::string PathOf(FileFormat format) {
    return "/exported" + std::to_string(static_cast<int>(format));
  }

  arrow::Status Import(FileFormat format, bool atomic) const {
    ImportOptions options;
    options.format = format;
    options.atomic = atomic;
    return ImportFile(table_, PathOf(format), options);
  }

  arrow::Status Reopen() {
    pairs_.reset();
    table_.reset();
    if (database_ != nullptr) {
      const arrow::Status closed = database_->Close();
      database_.reset();
      ARROW_RETURN_NOT_OK(closed);
    }
    return Open();
  }

  /// Want of memory must not be told as damage.
  arrow::Status VerifyAndReopen() {
    pairs_.reset();
    table_.reset();
    if (database_ != nullptr) ARROW_RETURN_NOT_OK(database_->Close());
    database_.reset();
    VerifyOptions options;
    options.file_system = &disk_;
    ARROW_ASSIGN_OR_RAISE(const auto report, VerifyDatabase(kCrashPath, options));
    if (!report.ok()) return arrow::Status::Invalid("damage: ", report.ToText());
    return Open();
  }

  /// `operation`, again as long as it meets what a background thread has met before.
  static arrow::Status WithMemoryAgain(const Operation& operation) {
    arrow::Status status = operation();
    for (int attempt = 0; attempt < kAttempts && status.IsOutOfMemory(); ++attempt) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      Pool()->FailNth(0, false);
      status = operation();
    }
    return status;
  }

  /// There is memory again: writing goes on, at the latest when the database is opened again.
  arrow::Status WriteAgain(int64_t* reopened) {
    const auto put = [this] {
      return pairs_ != nullptr ? pairs_->Put(Key(7), Value(7)) : ClosedError("no table is open");
    };
    const arrow::Status status = WithMemoryAgain(put);
    if (!IsReadOnly(status) && !IsClosed(status)) return status;
    ++*reopened;
    pairs_.reset();
    table_.reset();
    if (database_ != nullptr) (void)database_->Close();  // refused after writes have ended
    database_.reset();
    return Open();
  }

  /// Repeats `operation` with its first allocation failing, then its second, until it asks for
  /// fewer; or some of them spread over all.
  void FailEach(const std::string& name, int64_t failures, const Operation& operation) {
    Pool()->FailNth(0, false);
    // As a whole, to see how many there are.
    arrow::Status status = WithMemoryAgain(operation);
    ASSERT_TRUE(status.ok()) << name << ": " << status.ToString();
    const int64_t allocations = std::max<int64_t>(Pool()->asked(), 1);
    const int64_t step = std::max<int64_t>(1, 2 * allocations / failures);
    int64_t runs = 0;
    int64_t failed = 0;
    int64_t reopened = 0;
    for (const bool sticky : {false, true}) {
      for (int64_t n = 1;; n += step) {
        Pool()->FailNth(n, sticky);
        status = operation();
        const bool reached = Pool()->asked() >= n;
        Pool()->FailNth(0, false);
        if (!reached) break;
        ++runs;
        if (!status.ok()) ++failed;
        ASSERT_TRUE(status.ok() || status.IsOutOfMemory() || IsReadOnly(status))
            << name << ", allocation " << n << (sticky ? " and all after it: " : " alone: ")
            << status.ToString();
        const arrow::Status again = WriteAgain(&reopened);
        ASSERT_TRUE(again.ok()) << name << ", allocation " << n << ", after " << status.ToString()
                                << ": " << again.ToString();
        const arrow::Status all = CheckAll();
        ASSERT_TRUE(all.ok()) << name << ", allocation " << n << ", after " << status.ToString()
                              << ": " << all.ToString();
        ASSERT_LT(runs, 100'000);
      }
    }
    std::cout << name << ": " << allocations << " allocations, " << runs
              << " runs with failing ones, " << failed << " failed, " << reopened << " reopenings"
              << std::endl;
  }

  MemoryFileSystem disk_;
  Options options_;
  std::vector<ModelRow> rows_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::shared_ptr<Database> database_;
  std::shared_ptr<Table> table_;
  std::shared_ptr<KeyValue> pairs_;
};

TEST_F(OutOfMemoryTest, FailsTheOperationAndNothingElse) {
  ScanOptions filtered;
  filtered.filter =
      arrow::compute::less(arrow::compute::field_ref("id"), arrow::compute::literal(int64_t{100}));
  ScanOptions reverse;
  reverse.reverse = true;
  struct Named {
    std::string name;
    Operation run;
  };
  std::vector<Named> operations = {
      {"scan", [&] { return CheckScan({}, 0, 200); }},
      {"filtered scan", [&] { return CheckScan(filtered, 0, 100); }},
      {"reverse scan", [&] { return CheckScan(reverse, 0, 200); }},
      {"iterator", [&] { return CheckPairs(); }},
      {"gets", [&] { return CheckGets(); }},
      {"lookups", [&] { return CheckLookups(); }},
      {"writes", [&] { return Write(20, 60); }},
      {"flush",
       [&] {
         ARROW_RETURN_NOT_OK(Write(0, 50));
         return database_->Flush();
       }},
      {"compact",
       [&] {
         ARROW_RETURN_NOT_OK(Write(50, 90));
         return database_->Compact();
       }},
      {"bulk load",
       [&] {
         ARROW_ASSIGN_OR_RAISE(auto reader, arrow::RecordBatchReader::Make({batch_}));
         return BulkLoad(table_, reader.get()).status();
       }},
      {"reopening", [&] { return Reopen(); }},
      {"verification", [&] { return VerifyAndReopen(); }},
  };
  for (const FileFormat format :
       {FileFormat::kParquet, FileFormat::kArrowFile, FileFormat::kArrowStream, FileFormat::kCsv}) {
    const std::string number = std::to_string(static_cast<int>(format));
    // Two parts of Arrow end the process where they find no memory: its writer of Parquet (the hash
    // table of a dictionary) and its parser of CSV (the first buffer).
    if (format == FileFormat::kParquet) {
      ASSERT_OK(Export(format));
    } else {
      operations.push_back({"export " + number, [this, format] { return Export(format); }});
    }
    if (format == FileFormat::kCsv) continue;
    operations.push_back({"import " + number, [this, format] { return Import(format, false); }});
    operations.push_back(
        {"atomic import " + number, [this, format] { return Import(format, true); }});
  }
  const int64_t failures = NumberFromEnvironment("MARBLE_FAILED_ALLOCATIONS", kFailures) / 2 /
                           static_cast<int64_t>(operations.size());
  for (const Named& operation : operations) {
    FailEach(operation.name, std::max<int64_t>(failures, 1), operation.run);
    if (HasFatalFailure()) return;
  }
  ASSERT_OK(Reopen());
  ASSERT_OK(CheckAll());
}

TEST_F(OutOfMemoryTest, InFlushesAndCompactionsDoesNotEndWriting) {
  for (const bool compacts : {false, true}) {
    ASSERT_OK(Write(0, 50));
    Pool()->FailNth(1, /*sticky=*/true);
    const arrow::Status status = compacts ? database_->Compact() : database_->Flush();
    Pool()->FailNth(0, false);
    EXPECT_TRUE(status.IsOutOfMemory()) << status.ToString();
    int64_t reopened = 0;
    ASSERT_OK(WriteAgain(&reopened));
    EXPECT_EQ(reopened, 0);
    ASSERT_OK(WithMemoryAgain([this] { return database_->Flush(); }));
    ASSERT_OK(CheckAll());
  }
}

}  // namespace
}  // namespace marble::test

namespace arrow {

MemoryPool* default_memory_pool() { return marble::test::Pool(); }

}  // namespace arrow

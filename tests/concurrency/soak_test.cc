// Hours of work in little: a writer, lookups and scans go on over a fixed set of keys, so that what
// is stored stays as much, and memory, descriptors and disk must stay as they are. Every ten
// seconds all pause, what is stored is compared with what was written, and a line of figures is
// printed; every other time the database is closed and opened again meanwhile.
//
// MARBLE_SOAK_SECONDS sets how long it takes, MARBLE_SEED the seed. Slopes are looked at only if
// that is two minutes or more: before, caches are still filling.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include <arrow/memory_pool.h>
#include <gtest/gtest.h>

#include "support/kept_directory.h"
#include "support/random.h"
#include "support/test_database.h"
#include "support/threads.h"

namespace marble::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kSeconds = 3;
constexpr int64_t kSecondsForSlopes = 120;
constexpr int64_t kPeriods = 3;  // at least
constexpr std::chrono::seconds kPeriodMax(10);
constexpr double kSlopeMax = 0.01;  // a minute, of what the process has
constexpr int kKeys = 100'000;      // in each table
constexpr size_t kTextBytes = 100;
/// What files may come to beside the rows themselves: older versions until they are compacted away,
/// sequences, indexes.
constexpr int64_t kDiskPerLiveByte = 4;

/// What this process has at one moment.
struct Usage {
  int64_t resident = 0;   // bytes
  int64_t anonymous = 0;  // of these: not those of mapped files
  int64_t in_use = 0;     // bytes of the pool and of malloc that were not given back
  int64_t descriptors = 0;
};

Usage UsageNow() {
  Usage usage;
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmRSS:") status >> usage.resident;
    if (word == "RssAnon:") status >> usage.anonymous;
  }
  usage.resident <<= 10;
  usage.anonymous <<= 10;
  const struct mallinfo2 heap = ::mallinfo2();
  usage.in_use = arrow::default_memory_pool()->bytes_allocated() +
                 static_cast<int64_t>(heap.uordblks + heap.hblkhd);
  usage.descriptors = std::distance(fs::directory_iterator("/proc/self/fd"), {});
  return usage;
}

/// Without what allocators keep of memory that was given back, which comes and goes.
Usage UsageWithoutSpares() {
  arrow::default_memory_pool()->ReleaseUnused();
  ::malloc_trim(0);
  return UsageNow();
}

int64_t BytesBelow(const std::string& folder) {
  int64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

/// Values at moments, and the straight line through those after the first third.
class Series {
 public:
  void Add(Clock::duration time, int64_t value) {
    minutes_.push_back(std::chrono::duration<double, std::ratio<60>>(time).count());
    values_.push_back(static_cast<double>(value));
  }
  /// Fits the line.
  void Fit() {
    const size_t first = values_.size() / 3;
    const auto count = static_cast<double>(values_.size() - first);
    double time = 0;
    for (size_t i = first; i < values_.size(); ++i) {
      time += minutes_[i] / count;
      mean_ += values_[i] / count;
    }
    double both = 0;
    double square = 0;
    for (size_t i = first; i < values_.size(); ++i) {
      both += (minutes_[i] - time) * (values_[i] - mean_);
      square += (minutes_[i] - time) * (minutes_[i] - time);
    }
    if (count < 3 || square == 0) return;
    slope_ = both / square;
    double rest = 0;
    for (size_t i = first; i < values_.size(); ++i) {
      const double off = values_[i] - mean_ - slope_ * (minutes_[i] - time);
      rest += off * off;
    }
    error_ = std::sqrt(rest / (count - 2) / square);
  }
  double mean() const { return mean_; }
  /// A minute; and the standard error of it.
  double slope() const { return slope_; }
  double error() const { return error_; }

 private:
  std::vector<double> minutes_;
  std::vector<double> values_;
  double mean_ = 0;
  double slope_ = 0;
  double error_ = 0;
};

/// Growth beyond the limit that chance does not explain.
void ExpectFlat(const char* what, const Series& series, double of) {
  std::cout << what << ": " << std::setprecision(2) << 100 * series.slope() / of << " +- "
            << 100 * series.error() / of << " % a minute" << std::endl;
  EXPECT_LE(series.slope() - 2 * series.error(), kSlopeMax * of) << what;
}

/// Two tables of the same keys: pairs, and rows that are compressed. Each key has a version, 0
/// while it is absent, from which its value follows. Written by one thread.
class Churn {
 public:
  explicit Churn(std::string path) : path_(std::move(path)), versions_(kKeys) {
    options_.memory_budget = int64_t{48} << 20;
    options_.memtable_bytes = int64_t{4} << 20;
    options_.log_bytes_max = int64_t{32} << 20;
    options_.log_segment_bytes = int64_t{4} << 20;
    options_.target_file_bytes = int64_t{4} << 20;
    options_.level_base_bytes = int64_t{16} << 20;
  }

  const Options& options() const { return options_; }
  int64_t written() const { return written_; }
  int64_t read() const { return read_; }

  arrow::Status Open() {
    ARROW_ASSIGN_OR_RAISE(database_, Database::Open(path_, options_));
    ARROW_ASSIGN_OR_RAISE(pairs_, KeyValue::Open(database_));
    TableOptions compressed;
    compressed.primary_key = {"id"};
    compressed.compression = Compression::kLz4;
    ARROW_RETURN_NOT_OK(database_->CreateTable("rows", schema_, compressed));
    return Table::Open(database_, "rows").Value(&rows_);
  }

  arrow::Status Close() {
    pairs_.reset();
    rows_.reset();
    const arrow::Status closed = database_->Close();
    database_.reset();
    return closed;
  }

  /// Nothing is left to do for background threads.
  arrow::Status Settle() {
    ARROW_RETURN_NOT_OK(database_->Flush());
    return database_->WaitForBackground();
  }

  /// One commit: a key or a range of keys, in both tables.
  arrow::Status WriteOnce(Random* random) {
    const int first = static_cast<int>(random->Uniform(kKeys));
    const int count = random->OneIn(4) ? 1 : 1 + static_cast<int>(random->Uniform(200));
    const int last = std::min(first + count, kKeys);
    WriteBatch batch;
    if (random->OneIn(10)) {
      batch.DeleteRange("default", Key(first), Key(last));
      batch.DeleteRange("rows", KeyRange{{arrow::MakeScalar(int64_t{first})},
                                         {arrow::MakeScalar(int64_t{last})}});
      ARROW_RETURN_NOT_OK(database_->Write(batch));
      std::fill(versions_.begin() + first, versions_.begin() + last, 0);
    } else {
      ++version_;
      arrow::Int64Builder ids;
      arrow::StringBuilder texts;
      for (int i = first; i < last; ++i) {
        const std::string text = Text(i, version_);
        batch.Put("default", Key(i), text);
        ARROW_RETURN_NOT_OK(ids.Append(i));
        ARROW_RETURN_NOT_OK(texts.Append(text));
      }
      ARROW_ASSIGN_OR_RAISE(auto id_array, ids.Finish());
      ARROW_ASSIGN_OR_RAISE(auto text_array, texts.Finish());
      batch.Insert("rows", arrow::RecordBatch::Make(schema_, last - first, {id_array, text_array}));
      WriteOptions options;
      options.sync = random->OneIn(500);
      ARROW_RETURN_NOT_OK(database_->Write(batch, options));
      std::fill(versions_.begin() + first, versions_.begin() + last, version_);
    }
    written_ += 2 * (last - first);
    return arrow::Status::OK();
  }

  arrow::Status LookUp(Random* random) {
    const int i = static_cast<int>(random->Uniform(kKeys));
    ARROW_ASSIGN_OR_RAISE(const auto value, pairs_->Get(Key(i)));
    if (value.has_value() && !value->starts_with(Key(i) + ":")) {
      return arrow::Status::Invalid(Key(i), " has the value ", *value);
    }
    arrow::Int64Builder ids;
    for (int k = i; k < std::min(i + 50, kKeys); ++k) ARROW_RETURN_NOT_OK(ids.Append(k));
    ARROW_ASSIGN_OR_RAISE(auto array, ids.Finish());
    const int64_t count = array->length();
    ARROW_ASSIGN_OR_RAISE(
        const auto found,
        rows_->Get(arrow::RecordBatch::Make(arrow::schema({schema_->field(0)}), count, {array})));
    ARROW_RETURN_NOT_OK(CheckBatch(*found));
    read_ += 1 + found->num_rows();
    return arrow::Status::OK();
  }

  /// A snapshot shows the same as long as it is held, in both tables.
  arrow::Status ScanOnce(Random* random) {
    ARROW_ASSIGN_OR_RAISE(const auto snapshot, database_->GetSnapshot());
    ScanOptions options;
    options.snapshot = snapshot;
    options.reverse = random->OneIn(4);
    ARROW_ASSIGN_OR_RAISE(auto reader, rows_->Scan(options));
    int64_t rows = 0;
    while (true) {
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
      if (batch == nullptr) break;
      ARROW_RETURN_NOT_OK(CheckBatch(*batch));
      rows += batch->num_rows();
    }
    IteratorOptions of_snapshot;
    of_snapshot.snapshot = snapshot;
    ARROW_ASSIGN_OR_RAISE(auto iterator, pairs_->NewIterator(of_snapshot));
    int64_t pairs = 0;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) ++pairs;
    ARROW_RETURN_NOT_OK(iterator->status());
    if (pairs != rows) {
      return arrow::Status::Invalid("one snapshot has ", pairs, " pairs and ", rows, " rows");
    }
    read_ += rows + pairs;
    return arrow::Status::OK();
  }

  /// All is there that was written; gives the bytes of keys and values.
  arrow::Result<int64_t> CheckAll() const {
    ARROW_ASSIGN_OR_RAISE(auto iterator, pairs_->NewIterator());
    ARROW_ASSIGN_OR_RAISE(const auto table, ScanAll(*rows_));
    ARROW_ASSIGN_OR_RAISE(const auto rows, table->CombineChunksToBatch());
    const auto& ids = static_cast<const arrow::Int64Array&>(*rows->column(0));
    const auto& texts = static_cast<const arrow::StringArray&>(*rows->column(1));
    int64_t at = 0;
    int64_t bytes = 0;
    iterator->SeekToFirst();
    for (int i = 0; i < kKeys; ++i) {
      if (versions_[static_cast<size_t>(i)] == 0) continue;
      const std::string text = Text(i, versions_[static_cast<size_t>(i)]);
      if (!iterator->Valid() || iterator->key() != Key(i) || iterator->value() != text ||
          at >= ids.length() || ids.Value(at) != i || texts.GetView(at) != text) {
        return arrow::Status::Invalid("key ", i, " is not there as it was written");
      }
      bytes += static_cast<int64_t>(Key(i).size() + sizeof(int64_t) + 2 * text.size());
      ++at;
      iterator->Next();
    }
    ARROW_RETURN_NOT_OK(iterator->status());
    if (iterator->Valid() || at != ids.length()) return arrow::Status::Invalid("rows too many");
    return bytes;
  }

 private:
  static std::string Key(int i) { return "key" + std::to_string(1'000'000 + i); }
  static std::string Text(int i, uint32_t version) {
    std::string text = Key(i) + ":" + std::to_string(version) + ":";
    for (uint64_t seed = version; text.size() < kTextBytes;) {
      seed = Mix(seed);
      text += std::to_string(seed);
    }
    return text;
  }

  static arrow::Status CheckBatch(const arrow::RecordBatch& batch) {
    const auto& ids = static_cast<const arrow::Int64Array&>(*batch.column(0));
    const auto& texts = static_cast<const arrow::StringArray&>(*batch.column(1));
    for (int64_t i = 0; i < batch.num_rows(); ++i) {
      if (texts.GetView(i).starts_with(Key(static_cast<int>(ids.Value(i))) + ":")) continue;
      return arrow::Status::Invalid("row ", ids.Value(i), " has ", texts.GetView(i));
    }
    return arrow::Status::OK();
  }

  const std::shared_ptr<arrow::Schema> schema_ = arrow::schema(
      {arrow::field("id", arrow::int64(), false), arrow::field("text", arrow::utf8(), false)});
  const std::string path_;
  Options options_;
  std::vector<uint32_t> versions_;
  uint32_t version_ = 0;
  std::atomic<int64_t> written_ = 0;
  std::atomic<int64_t> read_ = 0;
  std::shared_ptr<Database> database_;
  std::shared_ptr<KeyValue> pairs_;
  std::shared_ptr<Table> rows_;
};

/// A writer and two readers, for that long.
arrow::Status WorkFor(Churn* churn, Clock::duration time, uint64_t seed) {
  const auto end = Clock::now() + time;
  Threads threads;
  threads.Start([&, random = Random(seed)]() mutable {
    while (!threads.stopped() && Clock::now() < end) ARROW_RETURN_NOT_OK(churn->WriteOnce(&random));
    return arrow::Status::OK();
  });
  threads.Repeat([&, random = Random(seed + 1)]() mutable { return churn->LookUp(&random); });
  threads.Repeat([&, random = Random(seed + 2)]() mutable { return churn->ScanOnce(&random); });
  return threads.JoinFirst(1);
}

TEST(SoakTest, MemoryDescriptorsAndDiskStayAsTheyAreWhileRowsComeAndGo) {
  const auto seconds = std::chrono::seconds(NumberFromEnvironment("MARBLE_SOAK_SECONDS", kSeconds));
  const Clock::duration period =
      std::min<Clock::duration>(kPeriodMax, Clock::duration(seconds) / kPeriods);
  const uint64_t seed = SeedOfThisRun();
  // malloc_trim gives back the end of the first arena only, and what threads by the dozen leave at
  // the ends of others comes and goes by MiB: there is to be no other.
  ::mallopt(M_ARENA_MAX, 1);
  const KeptDirectory directory("soak");
  const int64_t pooled = arrow::default_memory_pool()->bytes_allocated();
  Churn churn(directory.database());
  ASSERT_OK(churn.Open());
  Series resident_closed;
  Series in_use_closed;
  Series anonymous_open;
  int64_t descriptors = -1;
  const auto start = Clock::now();
  std::cout << "MARBLE_SEED=" << seed << ", " << seconds.count()
            << " seconds\n     s   written/s      read/s  RSS MiB  anonymous"
            << "  resting  closed RSS  in use KiB  descriptors  closed  disk MiB  live MiB"
            << std::endl;
  for (int64_t round = 0; Clock::now() - start < seconds || round < kPeriods; ++round) {
    SCOPED_TRACE("round " + std::to_string(round) + ", MARBLE_SEED=" + std::to_string(seed));
    const int64_t written = churn.written();
    const int64_t read = churn.read();
    const auto began = Clock::now();
    ASSERT_OK(WorkFor(&churn, period, Mix(seed + static_cast<uint64_t>(round))));
    const double took = std::chrono::duration<double>(Clock::now() - began).count();
    const Usage busy = UsageNow();
    ASSERT_OK(churn.Settle());
    ASSERT_OK_AND_ASSIGN(const int64_t live, churn.CheckAll());
    const int64_t disk = BytesBelow(directory.database());
    const Usage rest = UsageWithoutSpares();
    anonymous_open.Add(Clock::now() - start, rest.anonymous);
    EXPECT_LE(disk, kDiskPerLiveByte * live + churn.options().log_bytes_max);
    std::cout << std::fixed << std::setprecision(0) << std::setw(6)
              << std::chrono::duration<double>(Clock::now() - start).count() << std::setw(12)
              << static_cast<double>(churn.written() - written) / took << std::setw(12)
              << static_cast<double>(churn.read() - read) / took << std::setw(9)
              << (busy.resident >> 20) << std::setw(11) << (busy.anonymous >> 20) << std::setw(9)
              << (rest.anonymous >> 20);
    if (round % 2 == 1) {
      ASSERT_OK(churn.Close());
      const Usage closed = UsageWithoutSpares();
      resident_closed.Add(Clock::now() - start, closed.resident);
      in_use_closed.Add(Clock::now() - start, closed.in_use);
      EXPECT_EQ(arrow::default_memory_pool()->bytes_allocated(), pooled);
      if (descriptors < 0) descriptors = closed.descriptors;
      EXPECT_EQ(closed.descriptors, descriptors) << "while no database is open";
      std::cout << std::setw(12) << (closed.resident >> 20) << std::setw(12)
                << (closed.in_use >> 10) << std::setw(13) << busy.descriptors << std::setw(8)
                << closed.descriptors;
      ASSERT_OK(churn.Open());
    } else {
      std::cout << std::setw(24) << "" << std::setw(13) << busy.descriptors << std::setw(8) << "";
    }
    std::cout << std::setw(10) << (disk >> 20) << std::setw(10) << (live >> 20) << std::endl;
  }
  resident_closed.Fit();
  in_use_closed.Fit();
  anonymous_open.Fit();
  if (seconds.count() >= kSecondsForSlopes) {
    ExpectFlat("RSS while closed", resident_closed, resident_closed.mean());
    ExpectFlat("memory in use while closed, of that", in_use_closed, resident_closed.mean());
    ExpectFlat("anonymous memory at rest", anonymous_open, anonymous_open.mean());
  }
  ASSERT_OK(churn.Close());
}

}  // namespace
}  // namespace marble::test

// Fills a key-value table in random order and overwrites it three times under a small memory
// budget, and checks the bounds: anonymous memory, space on disk after compaction, files left over,
// reopening after a clean close. Exits with 1 if one of the first three does not hold; the time of
// the reopening is printed beside its limit.
//
//   bounds_check [ROWS] [BUDGET MiB]        10,000,000 rows and 256 MiB unless said

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <marble/key_value.h>

#include "support.h"

namespace marble::benchmark {
namespace {

constexpr char kDirectory[] = "bounds_check.tmp";
constexpr int64_t kMiB = int64_t{1} << 20;

/// Anonymous resident memory of this process, bytes.
int64_t AnonymousBytes() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
  }
  Die("/proc/self/status has no RssAnon");
}

/// Watches the memory while something else runs.
class MemoryWatch {
 public:
  MemoryWatch() : thread_([this] { Watch(); }) {}
  ~MemoryWatch() {
    stop_ = true;
    thread_.join();
  }
  int64_t peak() const { return peak_; }

 private:
  void Watch() {
    while (!stop_) {
      peak_ = std::max(peak_.load(), AnonymousBytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> peak_{0};
  std::thread thread_;
};

int64_t BytesIn(const std::string& directory, int64_t* files) {
  int64_t bytes = 0;
  *files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    bytes += static_cast<int64_t>(entry.file_size());
    ++*files;
  }
  return bytes;
}

bool Report(const char* what, double figure, double limit, const char* unit) {
  const bool holds = figure <= limit;
  std::printf("%-44s %10.2f %-6s limit %10.2f  %s\n", what, figure, unit, limit,
              holds ? "holds" : "EXCEEDED");
  return holds;
}

void Fill(KeyValue* kv, uint64_t rows, int rounds) {
  std::string value(100, 'v');
  for (int round = 0; round <= rounds; ++round) {
    const double start = Now();
    for (uint64_t i = 0; i < rows; ++i) {
      // Another order each round.
      const uint64_t key = (i * 2654435761u + static_cast<uint64_t>(round) * 7919) % rows;
      std::memcpy(value.data(), &i, sizeof(i));
      value[8] = static_cast<char>('a' + round);
      Check(kv->Put(KeyOf(key), value));
    }
    std::printf("round %d: %.0f thousand puts a second\n", round,
                static_cast<double>(rows) / (Now() - start) / 1e3);
    std::fflush(stdout);
  }
}

int Main(uint64_t rows, int64_t budget_mib) {
  std::filesystem::remove_all(kDirectory);
  Options options;
  options.memory_budget = budget_mib * kMiB;
  auto database = Check(Database::Open(kDirectory, options));
  auto kv = Check(KeyValue::Open(database));
  int64_t peak = 0;
  {
    const int64_t before = AnonymousBytes();
    MemoryWatch watch;
    Fill(kv.get(), rows, 3);
    Check(database->Flush());
    Check(database->Compact("default"));
    Check(database->WaitForBackground());
    peak = watch.peak() - before;
  }
  int64_t files = 0;
  const int64_t bytes = BytesIn(std::string(kDirectory) + "/sst", &files);
  const Stats stats = Check(database->GetStats());
  int64_t rows_now = 0;
  for (const TableStats& table : stats.tables) rows_now += table.rows_in_files;
  const auto live = static_cast<double>(rows) * 116;
  bool good = Report("anonymous memory over the start, MiB", static_cast<double>(peak) / kMiB,
                     static_cast<double>(budget_mib + 128), "MiB");
  good &= Report("space on disk after compaction / live data", static_cast<double>(bytes) / live,
                 1.3, "x");
  good &= Report("SSTables on disk beyond those in use", static_cast<double>(files - stats.files),
                 0, "files");
  good &= Report("rows in files beyond the live ones",
                 static_cast<double>(rows_now) - static_cast<double>(rows), 0, "rows");
  kv.reset();
  Check(database->Close());
  database.reset();
  const double start = Now();
  database = Check(Database::Open(kDirectory, options));
  Report("reopening after a clean close", Now() - start, 0.1, "s");
  std::string value;
  kv = Check(KeyValue::Open(database));
  for (uint64_t i = 0; i < rows; i += 997) {
    if (!Check(kv->Get(KeyOf(i), &value)) || value[8] != 'd')
      Die("a row is not what was written last");
  }
  kv.reset();
  Check(database->Close());
  std::filesystem::remove_all(kDirectory);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace marble::benchmark

int main(int argc, char** argv) {
  const uint64_t rows = argc > 1 ? std::stoull(argv[1]) : 10'000'000;
  const int64_t budget = argc > 2 ? std::stoll(argv[2]) : 256;
  return marble::benchmark::Main(rows, budget);
}

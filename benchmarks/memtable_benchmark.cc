// Measures the memtable of key-value tables beside the structures that it was chosen over: a skip
// list with inline key prefixes (as LevelDB and RocksDB have) and a std::map, both over an arena.
// 500,000 entries of 16 + 100 bytes in random order, one thread. Times are processor time per entry
// in nanoseconds.
//
//   put         entering all entries
//   put_sort    the same and putting them into order, which a flush needs (the other two always
//   are) get_hit     random keys that are there get_miss    random keys that are not scan all
//   entries in order; the memtable delivers record batches, which is a copy, the others pointers
//   flush       order and the scan of a memtable that nobody read in order before
#include <ctime>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <memory_resource>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <benchmark/benchmark.h>

#include "base/checksum.h"
#include "base/coding.h"
#include "row/stored_schema.h"
#include "tree/memtable.h"

namespace marble {
namespace {

constexpr size_t kEntries = 500'000;
constexpr size_t kKeyBytes = 16;
constexpr size_t kValueBytes = 100;
constexpr uint64_t kHashSeed = 7;

/// Keys that are entered, keys that are not, both in random order, and one value.
struct Workload {
  std::string present;
  std::string absent;
  std::string asked;  // `present` in another order
  std::string value = std::string(kValueBytes, 'v');

  Workload() {
    std::mt19937_64 random(1);
    const auto fill = [&](std::string* keys) {
      keys->resize(kEntries * kKeyBytes);
      for (size_t i = 0; i < keys->size(); i += 8) StoreLittle<uint64_t>(&(*keys)[i], random());
    };
    fill(&present);
    fill(&absent);
    std::vector<uint32_t> order(kEntries);
    for (uint32_t i = 0; i < kEntries; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    for (const uint32_t i : order) asked += Key(present, i);
  }
  static std::string_view Key(const std::string& keys, size_t i) {
    return {keys.data() + i * kKeyBytes, kKeyBytes};
  }
};

const Workload& Data() {
  static const Workload workload;
  return workload;
}

/// A status that a benchmark does not survive.
void Must(const arrow::Status& status) {
  if (!status.ok()) status.Abort();
}

class MarbleTable {
 public:
  MarbleTable() {
    TableOptions options;
    options.primary_key = {"key"};
    const auto schema = arrow::schema(
        {arrow::field("key", arrow::binary(), false), arrow::field("value", arrow::binary())});
    memtable_ = Memtable::Make(StoredSchema::Make(schema, options).ValueOrDie(), kHashSeed, &pool_);
  }
  void Put(std::string_view key, std::string_view value) {
    Must(memtable_->Put(++sequence_, key, HashKey(key, kHashSeed), value));
  }
  void Sort() { benchmark::DoNotOptimize(memtable_->NewReader(Request()).ValueOrDie()); }
  bool Get(std::string_view key) const {
    const auto found = memtable_->GetValue(key, HashKey(key, kHashSeed), kSequenceMax);
    if (!found.ok() || !found->has_value()) return false;
    benchmark::DoNotOptimize((*found)->value[0]);
    return true;
  }
  int64_t Scan() const {
    const auto reader = memtable_->NewReader(Request()).ValueOrDie();
    int64_t rows = 0;
    while (const auto batch = reader->Next().ValueOrDie()) rows += batch->num_rows();
    return rows;
  }

 private:
  static ReadRequest Request() {
    ReadRequest request;
    request.columns = {0, 1};
    return request;
  }
  RecyclingPool pool_{arrow::default_memory_pool()};
  std::shared_ptr<Memtable> memtable_;
  uint64_t sequence_ = 0;
};

class MapTable {
 public:
  void Put(std::string_view key, std::string_view value) {
    auto* bytes = static_cast<char*>(arena_.allocate(key.size() + value.size(), 8));
    std::memcpy(bytes, key.data(), key.size());
    std::memcpy(bytes + key.size(), value.data(), value.size());
    map_[{bytes, key.size()}] = {bytes + key.size(), value.size()};
  }
  void Sort() {}
  bool Get(std::string_view key) const {
    const auto it = map_.find(key);
    if (it == map_.end()) return false;
    benchmark::DoNotOptimize(it->second[0]);
    return true;
  }
  int64_t Scan() const {
    int64_t rows = 0;
    for (const auto& [key, value] : map_) {
      benchmark::DoNotOptimize(key[0] + value[0]);
      ++rows;
    }
    return rows;
  }

 private:
  std::pmr::monotonic_buffer_resource arena_{1 << 20};
  std::pmr::map<std::string_view, std::string_view> map_{&arena_};
};

/// Like LevelDB's, with the first eight bytes of the key in the node.
class SkipListTable {
 public:
  SkipListTable() : head_(NewNode({}, {}, kLevels)) {}

  void Put(std::string_view key, std::string_view value) {
    Node* before[kLevels];
    Find(key, before);
    int height = 1;
    while (height < kLevels && random_() % 4 == 0) ++height;
    Node* node = NewNode(key, value, height);
    for (int level = 0; level < height; ++level) {
      node->next()[level] = before[level]->next()[level];
      before[level]->next()[level] = node;
    }
  }
  void Sort() {}
  bool Get(std::string_view key) const {
    Node* before[kLevels];
    const Node* node = Find(key, before);
    if (node == nullptr || node->key() != key) return false;
    benchmark::DoNotOptimize(node->value()[0]);
    return true;
  }
  int64_t Scan() const {
    int64_t rows = 0;
    for (Node* node = head_->next()[0]; node != nullptr; node = node->next()[0]) {
      benchmark::DoNotOptimize(node->key()[0] + node->value()[0]);
      ++rows;
    }
    return rows;
  }

 private:
  static constexpr int kLevels = 12;
  /// Followed by `height` pointers, the key and the value.
  struct Node {
    uint64_t prefix;
    uint32_t key_bytes;
    uint32_t value_bytes;
    int64_t height;

    Node** next() const { return reinterpret_cast<Node**>(const_cast<Node*>(this) + 1); }
    std::string_view key() const {
      return {reinterpret_cast<const char*>(next() + height), key_bytes};
    }
    std::string_view value() const { return {key().data() + key_bytes, value_bytes}; }
  };

  Node* NewNode(std::string_view key, std::string_view value, int height) {
    const size_t bytes =
        sizeof(Node) + static_cast<size_t>(height) * sizeof(Node*) + key.size() + value.size();
    auto* node = static_cast<Node*>(arena_.allocate(bytes, 8));
    *node = {key.size() < 8 ? 0 : LoadBig64(key.data()), static_cast<uint32_t>(key.size()),
             static_cast<uint32_t>(value.size()), height};
    std::fill_n(node->next(), height, nullptr);
    std::copy(key.begin(), key.end(), const_cast<char*>(node->key().data()));
    std::copy(value.begin(), value.end(), const_cast<char*>(node->value().data()));
    return node;
  }

  Node* Find(std::string_view key, Node** before) const {
    const uint64_t prefix = LoadBig64(key.data());
    Node* node = head_;
    for (int level = kLevels - 1; level >= 0; --level) {
      while (true) {
        Node* next = node->next()[level];
        if (next == nullptr || next->prefix > prefix) break;
        if (next->prefix == prefix && next->key() >= key) break;
        node = next;
      }
      before[level] = node;
    }
    return node->next()[0];
  }

  std::pmr::monotonic_buffer_resource arena_{1 << 20};
  std::minstd_rand random_;
  Node* head_;
};

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Times repetitions of one benchmark and reports the fastest.
class Stopwatch {
 public:
  explicit Stopwatch(benchmark::State* state) : state_(state) {}
  ~Stopwatch() { state_->counters["ns/entry"] = best_ * 1e9 / static_cast<double>(kEntries); }

  template <typename Body>
  void Measure(const Body& body) {
    const double begin = ProcessorSeconds();
    body();
    const double seconds = ProcessorSeconds() - begin;
    state_->SetIterationTime(seconds);
    best_ = std::min(best_, seconds);
  }

 private:
  benchmark::State* const state_;
  double best_ = std::numeric_limits<double>::max();
};

template <typename Table>
void Fill(Table* table) {
  for (size_t i = 0; i < kEntries; ++i) {
    table->Put(Workload::Key(Data().present, i), Data().value);
  }
}

template <typename Table, bool kSort>
void BenchmarkPut(benchmark::State& state) {
  Stopwatch stopwatch(&state);
  for (auto _ : state) {
    auto table = std::make_unique<Table>();
    stopwatch.Measure([&] {
      Fill(table.get());
      if (kSort) table->Sort();
    });
  }
}

template <typename Table, bool kHit>
void BenchmarkGet(benchmark::State& state) {
  auto table = std::make_unique<Table>();
  Fill(table.get());
  const std::string& keys = kHit ? Data().asked : Data().absent;
  Stopwatch stopwatch(&state);
  for (auto _ : state) {
    size_t hits = 0;
    stopwatch.Measure([&] {
      for (size_t i = 0; i < kEntries; ++i) hits += table->Get(Workload::Key(keys, i)) ? 1 : 0;
    });
    if (hits != (kHit ? kEntries : 0)) state.SkipWithError("wrong number of hits");
  }
}

template <typename Table>
void BenchmarkScan(benchmark::State& state) {
  auto table = std::make_unique<Table>();
  Fill(table.get());
  table->Sort();
  Stopwatch stopwatch(&state);
  for (auto _ : state) {
    stopwatch.Measure([&] {
      if (table->Scan() != kEntries) state.SkipWithError("wrong number of rows");
    });
  }
}

void BenchmarkFlush(benchmark::State& state) {
  Stopwatch stopwatch(&state);
  for (auto _ : state) {
    auto table = std::make_unique<MarbleTable>();
    Fill(table.get());
    stopwatch.Measure([&] {
      if (table->Scan() != kEntries) state.SkipWithError("wrong number of rows");
    });
  }
}

template <typename Table>
void Register(const std::string& name) {
  const std::vector<std::pair<std::string, void (*)(benchmark::State&)>> benchmarks = {
      {"put", BenchmarkPut<Table, false>},    {"put_sort", BenchmarkPut<Table, true>},
      {"get_hit", BenchmarkGet<Table, true>}, {"get_miss", BenchmarkGet<Table, false>},
      {"scan", BenchmarkScan<Table>},
  };
  for (const auto& [what, function] : benchmarks) {
    benchmark::RegisterBenchmark((name + "/" + what).c_str(), function)
        ->UseManualTime()
        ->Iterations(7)
        ->Unit(benchmark::kMillisecond);
  }
}

}  // namespace
}  // namespace marble

int main(int argc, char** argv) {
  using namespace marble;
  Register<MarbleTable>("memtable");
  benchmark::RegisterBenchmark("memtable/flush", BenchmarkFlush)
      ->UseManualTime()
      ->Iterations(7)
      ->Unit(benchmark::kMillisecond);
  Register<SkipListTable>("skip_list");
  Register<MapTable>("std_map");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

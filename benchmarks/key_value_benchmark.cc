// Marble beside RocksDB on key-value work, in one run: fill in random order, get, get of missing
// keys, multi_get, scan by iterator; as loaded and fully compacted. Prints a table of medians and
// ratios and, with --json FILE, the figures.
//
//   key_value_benchmark [--rows N] [--rounds N] [--directory DIR] [--json FILE]

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "key_value_engine.h"

namespace marble::benchmark {
namespace {

struct Arguments {
  uint64_t rows = 1'000'000;
  int rounds = 3;
  std::string directory = "key_value_benchmark.tmp";
  std::string json;
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--rows") {
      arguments.rows = std::stoull(value);
    } else if (name == "--rounds") {
      arguments.rounds = std::stoi(value);
    } else if (name == "--directory") {
      arguments.directory = value;
    } else if (name == "--json") {
      arguments.json = value;
    } else {
      Die("unknown option " + name);
    }
  }
  if (argc % 2 == 0) Die("an option lacks its value");
  return arguments;
}

/// Nanoseconds an operation, by workload, in order of running; one entry a round.
using Figures = std::vector<std::pair<std::string, double>>;

double PerOperation(uint64_t operations, const std::function<void()>& work) {
  const double start = Now();
  work();
  return (Now() - start) / static_cast<double>(operations) * 1e9;
}

void Reads(KeyValueEngine* engine, uint64_t rows, const std::string& state, Figures* figures) {
  const uint64_t reads = std::min<uint64_t>(rows, 1'000'000);
  std::string value;
  figures->emplace_back("get, hit, " + state, PerOperation(reads, [&] {
                          for (uint64_t i = 0; i < reads; ++i) {
                            if (!engine->Get(KeyOf(Scatter(i) % rows), &value))
                              Die("a key is gone");
                          }
                        }));
  figures->emplace_back("get, miss, " + state, PerOperation(reads, [&] {
                          for (uint64_t i = 0; i < reads; ++i) {
                            if (engine->Get(KeyOf(rows + i), &value))
                              Die("a key came from nowhere");
                          }
                        }));
  figures->emplace_back("multi_get of 100, " + state, PerOperation(reads, [&] {
                          std::vector<std::string> keys(100);
                          std::vector<std::string_view> views(100);
                          for (uint64_t i = 0; i + 100 <= reads; i += 100) {
                            for (uint64_t j = 0; j < 100; ++j) {
                              keys[j] = KeyOf(Scatter(i + j) % rows);
                              views[j] = keys[j];
                            }
                            if (engine->MultiGet(views) != 100) Die("a key is gone");
                          }
                        }));
  figures->emplace_back("scan by iterator, " + state, PerOperation(rows, [&] {
                          if (engine->Scan() != static_cast<int64_t>(rows * 116)) {
                            Die("the scan did not see every row once");
                          }
                        }));
}

Figures RunOnce(KeyValueEngine* engine, uint64_t rows) {
  Figures figures;
  figures.emplace_back("fill, random order", PerOperation(rows, [&] {
                         std::string value(100, 'v');
                         for (uint64_t i = 0; i < rows; ++i) {
                           std::memcpy(value.data(), &i, sizeof(i));
                           engine->Put(KeyOf(i), value);
                         }
                       }));
  engine->Settle();
  Reads(engine, rows, "as loaded", &figures);
  engine->Compact();
  Reads(engine, rows, "compacted", &figures);
  return figures;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  using Opener = std::unique_ptr<KeyValueEngine> (*)(const std::string&);
  const std::vector<Opener> openers = {OpenMarble, OpenRocksDb};
  std::vector<std::string> order;
  std::map<std::string, std::map<std::string, std::vector<double>>> all;
  std::filesystem::create_directories(arguments.directory);
  for (int round = 0; round < arguments.rounds; ++round) {
    for (Opener open : openers) {
      const std::string directory = arguments.directory + "/db";
      std::filesystem::remove_all(directory);
      auto engine = open(directory);
      if (engine == nullptr) continue;
      std::fprintf(stderr, "round %d of %d: %s\n", round + 1, arguments.rounds,
                   engine->name().c_str());
      for (const auto& [workload, nanoseconds] : RunOnce(engine.get(), arguments.rows)) {
        if (std::find(order.begin(), order.end(), workload) == order.end())
          order.push_back(workload);
        all[workload][engine->name()].push_back(nanoseconds);
      }
    }
  }
  std::filesystem::remove_all(arguments.directory);
  std::string json = "{\"rows\": " + std::to_string(arguments.rows);
  std::printf("%-30s %12s %12s %8s\n", "workload", "marble ns", "rocksdb ns", "ratio");
  for (const std::string& workload : order) {
    auto& engines = all[workload];
    const double ours = Median(engines.at("marble"));
    const double theirs = engines.contains("rocksdb") ? Median(engines.at("rocksdb")) : 0;
    std::printf("%-30s %12.0f %12.0f %7.1fx\n", workload.c_str(), ours, theirs, theirs / ours);
    json += ", \"" + workload + "\": {\"marble\": " + std::to_string(ours) +
            ", \"rocksdb\": " + std::to_string(theirs) + "}";
  }
  if (arguments.json.empty()) return 0;
  std::FILE* file = std::fopen(arguments.json.c_str(), "w");
  if (file == nullptr) Die("cannot write " + arguments.json);
  std::fprintf(file, "%s}\n", json.c_str());
  return std::fclose(file) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace marble::benchmark

int main(int argc, char** argv) { return marble::benchmark::Main(argc, argv); }

// Key-value engines beside each other, in one run: Marble, RocksDB, LevelDB, LMDB. --help says what
// can be asked for, docs/performance.md what the engines guarantee as they are configured here.
//
// Every engine has a process of its own. They take turns, workload by workload, so that a change in
// the machine's speed hits all of them.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "../support.h"
#include "child.h"
#include "measure.h"
#include "memory_limit.h"
#include "options.h"
#include "plan.h"
#include "record.h"

namespace marble::benchmark {
namespace {

std::vector<EngineKind> BuiltIn() {
  std::vector<EngineKind> all;
  for (auto list : {MarbleEngines, RocksDbEngines, LevelDbEngines, LmdbEngines, BareFileEngines}) {
    for (EngineKind& kind : list()) all.push_back(std::move(kind));
  }
  return all;
}

class Driver {
 public:
  Driver(const RunOptions& options, std::vector<EngineKind> engines)
      : options_(options), engines_(std::move(engines)), record_(options, engines_) {
    if (options_.memory_limit > 0) limit_ = std::make_unique<MemoryLimit>(options_.memory_limit);
    if (limit_ != nullptr) record_.Note("memory limit", limit_->how());
  }

  void Run() {
    const std::vector<Group> plan = MakePlan(options_);
    for (round_ = 1; round_ <= options_.rounds; ++round_) {
      record_.Note("load before round " + std::to_string(round_), LoadOfMachine());
      for (const Group& group : plan) {
        if (!options_.one_at_a_time && options_.memory_limit == 0) {
          Run(group, engines_);
          continue;
        }
        for (const EngineKind& engine : engines_) Run(group, {engine});
      }
    }
    record_.Print();
  }

 private:
  EngineSettings Settings(const Group& group, const EngineKind& engine) const {
    EngineSettings settings;
    settings.directory = options_.directory + "/" + engine.name;
    settings.cache_bytes = group.cache_bytes;
    settings.write_buffer_bytes = group.write_buffer_bytes;
    settings.larger_than_memory = options_.memory_limit > 0;
    const auto data = static_cast<int64_t>(options_.rows) * (options_.value_bytes + 64);
    settings.disk_bytes_max = 8 * data + (int64_t{4} << 30);
    return settings;
  }

  std::unique_ptr<Child> MakeChild(const Group& group, const EngineKind& engine,
                                   const MemoryLimit* limit) const {
    return std::make_unique<Child>(options_, engine, Settings(group, engine), limit);
  }

  /// All steps of a group, each by all of `engines` in turn.
  void Run(const Group& group, const std::vector<EngineKind>& engines) {
    std::map<std::string, std::unique_ptr<Child>> children;
    for (const Step& step : group.steps) {
      for (const EngineKind& engine : engines) {
        if (engine.synced_only && !TakesSyncedOnly(step)) continue;
        if (engine.synced_only && !HasSyncedSteps(group)) continue;
        std::unique_ptr<Child>& child = children[engine.name];
        if (child == nullptr) child = MakeChild(group, engine, nullptr);
        if (step.before == Before::kKill) {
          child->Kill();
          child = MakeChild(group, engine, nullptr);
        } else if (step.before == Before::kLimit) {
          child.reset();
          DropFromPageCache(Settings(group, engine).directory);
          child = MakeChild(group, engine, limit_.get());
        }
        RunStep(step, engine, child.get());
      }
    }
    children.clear();
    for (const EngineKind& engine : engines) {
      std::filesystem::remove_all(Settings(group, engine).directory);
    }
  }

  static bool HasSyncedSteps(const Group& group) {
    return std::any_of(group.steps.begin(), group.steps.end(), [](const Step& step) {
      return step.workload == "synced1" || step.workload == "synced4";
    });
  }

  void RunStep(const Step& step, const EngineKind& engine, Child* child) {
    std::fprintf(stderr, "round %d of %d: %-12s %-10s %-18s", round_, options_.rounds,
                 step.workload.c_str(), step.state.c_str(), engine.name.c_str());
    const double start = Now();
    const bool some = engine.synced_only && step.workload == "fillrandom";
    const Result result = child->Run(some ? "fillsome" : step.workload);
    std::string first;
    if (!result.figures.empty()) {
      first = std::to_string(static_cast<int64_t>(result.figures.back().value)) + " " +
              result.figures.back().unit;
    }
    std::fprintf(stderr, " %6.1f s %12s\n", Now() - start, first.c_str());
    record_.Add(round_, engine, step, result);
  }

  const RunOptions options_;
  const std::vector<EngineKind> engines_;
  Record record_;
  std::unique_ptr<MemoryLimit> limit_;
  int round_ = 0;
};

int Main(int argc, char** argv) {
  std::vector<EngineKind> engines = BuiltIn();
  const RunOptions options = ParseArguments(argc, argv, engines);
  if (!options.engines.empty()) {
    std::erase_if(engines, [&](const EngineKind& engine) {
      return std::find(options.engines.begin(), options.engines.end(), engine.name) ==
             options.engines.end();
    });
  }
  // Peers keep thousands of files open.
  struct rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  std::filesystem::remove_all(options.directory);
  std::filesystem::create_directories(options.directory);
  Driver(options, engines).Run();
  std::filesystem::remove_all(options.directory);
  return 0;
}

}  // namespace
}  // namespace marble::benchmark

int main(int argc, char** argv) { return marble::benchmark::Main(argc, argv); }

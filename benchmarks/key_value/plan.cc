#include "plan.h"

#include <algorithm>

namespace marble::benchmark {
namespace {

const std::vector<std::string> kReads = {
    "readrandom", "readrandom2", "readzipf", "readmissing", "readmissing2", "multiget",
    "seek",       "seekagain",   "prefix",   "scan",        "scanreverse",  "scanbatches"};
/// These change the database; the new rows of D and E come last.
const std::vector<std::string> kChanges = {"ycsb-a",  "ycsb-b", "ycsb-c",    "ycsb-f",
                                           "ycsb-d",  "ycsb-e", "overwrite", "synced1",
                                           "synced4", "mixed",  "overload"};
const std::vector<std::string> kLimitedReads = {"readrandom", "readzipf", "readmissing", "multiget",
                                                "seek"};

bool Wants(const std::vector<std::string>& list, const std::string& name) {
  return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

/// Those of `workloads` that are wanted.
void Append(const RunOptions& options, const std::vector<std::string>& workloads,
            const std::string& state, std::vector<Step>* steps) {
  if (!Wants(options.states, state)) return;
  for (const std::string& workload : workloads) {
    if (Wants(options.workloads, workload)) steps->push_back({workload, state});
  }
}

/// Everything on the database that fillrandom makes.
Group MainGroup(const RunOptions& options) {
  Group group{.name = "main"};
  std::vector<Step>& steps = group.steps;
  Append(options, {"resources"}, "loaded", &steps);
  Append(options, kReads, "loaded", &steps);
  Append(options, kChanges, "loaded", &steps);
  std::vector<Step> compacted;
  Append(options, kReads, "compacted", &compacted);
  Append(options, {"resources", "deleterange", "reopen"}, "compacted", &compacted);
  if (!compacted.empty() || Wants(options.workloads, "compact")) {
    steps.push_back({"compact", ""});
    steps.insert(steps.end(), compacted.begin(), compacted.end());
  }
  const bool only_fill =
      Wants(options.workloads, "fillrandom") && !options.workloads.empty() && steps.empty();
  if (!steps.empty() || only_fill) steps.insert(steps.begin(), Step{"fillrandom", ""});
  return group;
}

/// Reads of data that do not fit in memory. The database is made without the limit, but with the
/// settings that go with it.
Group LimitedGroup(const RunOptions& options) {
  Group group{.name = "limited"};
  // Half of the memory for what the engine caches itself, the rest for its other needs and the page
  // cache.
  group.cache_bytes = options.memory_limit / 2;
  group.write_buffer_bytes = options.memory_limit / 16;
  group.steps = {{"fillrandom", ""}, {"compact", ""}, {"open-limited", "limited", Before::kLimit}};
  for (const std::string& workload : kLimitedReads) {
    if (Wants(options.workloads, workload)) group.steps.push_back({workload, "limited"});
  }
  return group;
}

}  // namespace

std::vector<Group> MakePlan(const RunOptions& options) {
  if (options.memory_limit > 0) return {LimitedGroup(options)};
  std::vector<Group> groups;
  for (const char* workload : {"fillseq", "fillbatch"}) {
    if (Wants(options.workloads, workload)) {
      groups.push_back({.name = workload, .steps = {{workload, ""}}});
    }
  }
  groups.push_back(MainGroup(options));
  if (groups.back().steps.empty()) groups.pop_back();
  for (const char* workload : {"killed", "killedlog"}) {
    if (!Wants(options.workloads, workload)) continue;
    Group group{.name = workload};
    group.steps = {{workload, ""}, {"open-killed", "", Before::kKill, workload}};
    if (group.name == "killedlog") group.write_buffer_bytes = int64_t{1} << 30;
    groups.push_back(group);
  }
  return groups;
}

bool TakesSyncedOnly(const Step& step) {
  return step.workload == "fillrandom" || step.workload == "synced1" || step.workload == "synced4";
}

}  // namespace marble::benchmark

// The order in which the workloads that are wanted run.
#pragma once

#include <string>
#include <vector>

#include "options.h"

namespace marble::benchmark {

/// What is done to an engine's process before a step.
enum class Before : uint8_t {
  kNothing,
  kKill,   // killed with signal 9; another process goes on with the same files
  kLimit,  // closed; another process under a memory limit goes on, nothing in the page cache
};

struct Step {
  std::string workload;
  std::string state;  // "", "loaded" or "compacted"
  Before before = Before::kNothing;
  /// Workload to which the figures belong, if not the one that runs.
  std::string credited = {};
};

/// Steps on one database, begun empty.
struct Group {
  std::string name;
  std::vector<Step> steps = {};
  int64_t cache_bytes = int64_t{1} << 30;
  int64_t write_buffer_bytes = int64_t{64} << 20;
};

std::vector<Group> MakePlan(const RunOptions& options);

/// Whether an engine that waits for the disk at each write takes part in a step.
bool TakesSyncedOnly(const Step& step);

}  // namespace marble::benchmark

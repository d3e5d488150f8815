// What the command line asks for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data.h"
#include "engine.h"

namespace marble::benchmark {

struct RunOptions {
  bool full = false;
  uint64_t rows = 0;  // 0: as full or quick wants
  int64_t value_bytes = 100;
  KeyShape keys = KeyShape::kFixed16;
  int rounds = 3;
  double seconds = 0;  // of the workloads that last a given time; 0: as full or quick wants
  std::vector<std::string> workloads;  // empty: all
  std::vector<std::string> states;     // empty: all
  std::vector<std::string> engines;    // empty: all
  std::string directory = "key_value_benchmark.tmp";
  std::string json;
  int64_t memory_limit = 0;  // bytes; 0: no limit
  /// An engine runs all workloads, then the next: needs the disk space of one only.
  bool one_at_a_time = false;

  uint64_t reads() const;  // operations of a workload that reads single rows
  uint64_t synced_puts() const { return full ? 5'000 : 1'000; }
  uint64_t rows_killed() const { return rows * 2 / 5; }
};

/// Ends the program on a mistake, or after printing what --help and --list ask for.
RunOptions ParseArguments(int argc, char** argv, const std::vector<EngineKind>& engines);

}  // namespace marble::benchmark

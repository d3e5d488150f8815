// The workloads, each a function over a session: one engine, its database, and what is known of its
// rows. They run in the engine's own process.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data.h"
#include "engine.h"
#include "measure.h"
#include "options.h"
#include "result.h"

namespace marble::benchmark {

class Session {
 public:
  Session(const RunOptions& run_options, const EngineKind& engine_kind,
          const EngineSettings& engine_settings)
      : options(run_options),
        kind(engine_kind),
        settings(engine_settings),
        keys(run_options.keys),
        values(run_options.value_bytes) {}

  void Open() { engine = kind.open(settings); }
  void Close() { engine.reset(); }

  /// Rows [0, rows) were written, and so is the next one.
  void AddRow(uint64_t row) {
    rows = row + 1;
    heads += HeadOf(row);
  }
  /// What all engines must have read alike.
  uint64_t ChecksumOf(const Digest& digest) const {
    return digest.rows + digest.heads + (values_differ ? 0 : digest.sum);
  }

  const RunOptions options;
  const EngineKind kind;
  const EngineSettings settings;
  const Keys keys;
  const Values values;
  std::unique_ptr<Engine> engine;
  uint64_t rows = 0;     // written at least once
  uint64_t heads = 0;    // sum of HeadOf of the rows that are there
  uint64_t deleted = 0;  // rows no longer there
  uint64_t version = 0;  // of the values written last
  /// From other engines': it depended on time what was written.
  bool values_differ = false;
};

using WorkloadFunction = void (*)(Session* session, Result* result);

struct Workload {
  std::string name;
  WorkloadFunction run;
  std::string what;  // for --list
};

std::vector<Workload> FillWorkloads();
std::vector<Workload> ReadWorkloads();
std::vector<Workload> YcsbWorkloads();
std::vector<Workload> TimedWorkloads();
std::vector<Workload> LifeWorkloads();
/// All of them; and by name, ending the program if there is none.
const std::vector<Workload>& AllWorkloads();
const Workload& FindWorkload(const std::string& name);

/// Nanoseconds an operation of what began at `start` and has just ended.
double NanosecondsEach(double start, uint64_t operations);

/// Counts operations by the time at which they ended.
class Throughput {
 public:
  Throughput(double start, double seconds_a_piece) : start_(start), width_(seconds_a_piece) {}
  void Count(double now, uint64_t operations) {
    const auto piece = static_cast<size_t>((now - start_) / width_);
    if (counts_.size() <= piece) counts_.resize(piece + 1);
    counts_[piece] += static_cast<double>(operations);
  }
  /// Operations a second; the last piece is left out, as it is not whole.
  Series ToSeries(const std::string& name) const;

 private:
  double start_;
  double width_;
  std::vector<double> counts_;
};

}  // namespace marble::benchmark

// Scripts of the crash tests: short programs over a tiny database whose commits are those of
// CrashWorkload, beside them bulk loads and changes of a table's schema. At any moment it can be
// asked what a database found on its disk must hold.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <marble/database.h>

#include "io/memory_file_system.h"
#include "support/crash_workload.h"
#include "support/random.h"

namespace marble::test {

/// What was promised and what was begun at some moment. Of each: how many of the first ones.
struct CrashPromise {
  uint64_t durable = 0;       // commits that survive losing power
  uint64_t acknowledged = 0;  // commits that survive the end of the process
  uint64_t begun = 0;         // commits that may be there
  uint64_t durable_loads = 0;
  uint64_t acknowledged_loads = 0;
  uint64_t begun_loads = 0;
  int schema_steps = 0;  // all are durable
  int begun_schema_steps = 0;
};

/// What must be there: what survives losing power, or the end of the process alone.
enum class Survives { kPowerLoss, kProcessEnd };

/// How a script's database is set up; whoever opens its images needs the same.
struct CrashSetting {
  CrashSetting(const std::string& words, uint64_t seed_of_script);

  uint64_t seed;
  CrashMix mix;
  Options options;
  bool with_loads = false;
};

/// Bulk load k is due after commit k * kCommitsPerLoad, so that it has its place in their order.
inline constexpr uint64_t kCommitsPerLoad = 8;
arrow::Status CarryOutLoad(const std::shared_ptr<Database>& database, uint64_t load, bool sync);
/// How many of the first loads are there; an error if anything else is.
arrow::Result<uint64_t> CountLoads(const std::shared_ptr<Database>& database);

/// Words: a number (so many commits), sync, flush, compact, schema (the next step of the table in
/// schema_steps.h), snapshot and release (of the oldest one), reopen, power (it fails, and the
/// database is opened again), stop (as if the process had died). First may come: tiny (memtables,
/// files and levels so small that commits set background work going), wide (values that fill log
/// segments), bulk (commits larger than a memtable) and loads.
class CrashScript {
 public:
  CrashScript(std::string words, uint64_t seed, MemoryFileSystem* disk);

  /// Opens, carries out all words and closes, up to the first error.
  arrow::Status Run();
  /// One more commit.
  arrow::Status Commit();
  /// Drops the database. `cleanly` false: nothing that is done for that reaches the disk.
  arrow::Status Close(bool cleanly);

  CrashPromise promise() const;
  const CrashSetting& setting() const { return setting_; }
  const std::shared_ptr<Database>& database() const { return database_; }

 private:
  arrow::Status Open(Survives survives);
  arrow::Status Prepare();
  arrow::Status Take(const std::string& word);
  arrow::Status Load();
  arrow::Status TakeSchemaStep();
  arrow::Status FailPower();
  arrow::Status ReleaseSnapshot();
  /// Everything acknowledged is durable from now on.
  void PromiseAll();
  template <typename Change>
  void Promise(Change change) {
    const std::lock_guard lock(mutex_);
    change(&promise_);
  }

  const CrashSetting setting_;
  const std::vector<std::string> words_;
  MemoryFileSystem* const disk_;
  Random random_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<CrashWorkload> workload_;
  bool prepared_ = false;  // its tables are there
  std::vector<std::pair<std::shared_ptr<const Snapshot>, uint64_t>> snapshots_;
  mutable std::mutex mutex_;
  CrashPromise promise_;
};

inline constexpr char kCrashPath[] = "/database";

}  // namespace marble::test

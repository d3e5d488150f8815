// The workload of the crash tests: commit number n is a function of n and a seed alone, so that
// whoever opens the database afterwards can tell from one counter what every table must hold.
//
// Every commit puts its number under the key "counter". What survives a crash must be exactly the
// state after commits 1..N for some N: a prefix, no half batch, across all tables; and N must not
// be smaller than what was promised.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <marble/database.h>
#include <marble/key_value.h>
#include <marble/table.h>

#include "support/model_rows.h"

namespace marble::test {

/// What the tables hold after some commit.
struct CrashState {
  uint64_t commit = 0;
  std::map<std::string, std::string> pairs;
  ModelRows left;
  ModelRows right;  // always equal to `left`
  std::vector<ModelRow> journal;
};

/// What commits are made of.
struct CrashMix {
  uint64_t keys = 300;
  uint64_t bulk_rows = 1500;  // exceeds the memtable of CrashOptions
  uint64_t bulk_weight = 1;   // so many of 200 commits are bulk ones; at most 30
  uint64_t tail_bytes = 100;  // what the counter has behind its number, at most
};

/// Small memtables, files and segments: flushes, compactions and new segments within some hundred
/// commits.
Options CrashOptions();

/// One open database under the workload. One writing thread.
class CrashWorkload {
 public:
  CrashWorkload(std::shared_ptr<Database> database, uint64_t seed, const CrashMix& mix = {})
      : database_(std::move(database)), seed_(seed), mix_(mix) {}

  /// Creates the tables that are missing.
  arrow::Status Prepare();
  /// The number of the last commit that is there, or that a snapshot shows; 0 if none.
  arrow::Result<uint64_t> LastCommit(std::shared_ptr<const Snapshot> snapshot = nullptr) const;
  /// Carries out commit `number`; synced if IsSynced says so, or as `options` do.
  arrow::Status Commit(uint64_t number);
  arrow::Status Commit(uint64_t number, const WriteOptions& options);
  /// Whether commit `number` is written with sync.
  bool IsSynced(uint64_t number) const;
  /// Applies all commits after `state->commit` up to `number` to the oracle.
  arrow::Status Advance(uint64_t number, CrashState* state) const;
  /// An error if any table differs from `state`.
  arrow::Status Compare(const CrashState& state) const;

 private:
  /// Commit `number` as a write batch and as a change of the oracle; either may be null.
  arrow::Status Make(uint64_t number, WriteBatch* batch, CrashState* state) const;
  std::string CounterValue(uint64_t number) const;
  arrow::Status CompareRows(const std::string& table, const std::vector<ModelRow>& rows) const;

  std::shared_ptr<Database> database_;
  std::shared_ptr<KeyValue> pairs_;
  uint64_t seed_;
  CrashMix mix_;
};

}  // namespace marble::test

// One operation of a script fails, or it and all that follow: each operation in turn, with each of
// the errors that a disk may give. What docs/guarantees.md promises then is checked: nothing that
// was acknowledged is lost, after a final error no write is acknowledged until the database was
// opened again, after a want of room writes go on by themselves, and what is opened is a prefix.
//
// MARBLE_IO_ERRORS sets the number of errors, MARBLE_SEED the seed.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/crash_checker.h"
#include "support/crash_script.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kErrors = 12'000;
/// Many runs wait for the engine to try again, so more of them than processors go on at once.
constexpr int kWorkers = 8;
constexpr int kAttempts = 2000;  // to write again when there is room

constexpr const char* kScripts[] = {
    "10",
    "4 sync 4 sync 3",
    "4 flush 3 sync 3",
    "2 flush 2 flush 2 flush 2",
    "4 compact 4 compact",
    "5 reopen 4 reopen",
    "schema 2 schema schema schema 2 schema",
    "schema reopen schema 3 schema flush schema reopen schema 2 schema schema",
    "loads 10 flush 8",
    "loads 9 reopen 9",
    "bulk 8",
    "bulk 6 flush reopen 4",
    "bulk loads 10",
    "wide 25 flush 5",
    "wide 20 sync 10",
    "tiny 8 compact 3",
    "tiny 6 snapshot 6 compact release flush",
    "snapshot 4 flush 4 compact release 2",
    "tiny bulk 6 schema schema 3 schema compact",
    "wide tiny 10 reopen 5",
    "4 sync power 4 sync power 3 sync power",  // no clean close mends what an error left unsynced
};
constexpr size_t kScriptCount = std::size(kScripts);

/// Where and how an operation fails. A write that fails has still written half of its bytes.
struct Fault {
  const char* name;
  FileOp kind;
  int error;  // 0: fewer bytes than asked for
  bool sticky;
  bool scrambled = false;  // a failed sync leaves old or new pages (ScrambleFailedSyncs)
};
constexpr Fault kFaults[] = {
    {"EIO once", FileOp::kAny, EIO, false},
    {"EIO for good", FileOp::kAny, EIO, true},
    {"EIO of a look at a path once", FileOp::kInspect, EIO, false},
    {"ENOSPC once", FileOp::kChange, ENOSPC, false},
    {"ENOSPC for good", FileOp::kChange, ENOSPC, true},
    {"EDQUOT of a write once", FileOp::kWrite, EDQUOT, false},
    {"EDQUOT of writes for good", FileOp::kWrite, EDQUOT, true},
    {"EMFILE of an open once", FileOp::kOpen, EMFILE, false},
    {"EMFILE of opens for good", FileOp::kOpen, EMFILE, true},
    {"EMFILE of a creation once", FileOp::kCreate, EMFILE, false},
    {"EMFILE of creations for good", FileOp::kCreate, EMFILE, true},
    {"a short read once", FileOp::kRead, 0, false},
    {"short reads for good", FileOp::kRead, 0, true},
    {"a sync once, pages old or new", FileOp::kSync, EIO, false, true},
    {"syncs for good, pages old or new", FileOp::kSync, EIO, true, true},
};
constexpr size_t kFaultCount = std::size(kFaults);

class IoErrorTest : public ::testing::TestWithParam<size_t> {
 protected:
  std::string Words() const { return kScripts[GetParam()]; }

  void CountOperations(uint64_t seed) {
    MemoryFileSystem disk;
    CrashScript script(Words(), seed, &disk);
    ASSERT_OK(script.Run());
    cases_ = 0;
    for (size_t i = 0; i < kFaultCount; ++i) {
      operations_[i] = disk.operations(kFaults[i].kind);
      cases_ += operations_[i];
    }
  }

  /// So many runs take each error at each operation of its kind once, in an order that jumps about.
  arrow::Status RunOne(uint64_t seed, uint64_t number, CrashChecker* checker, std::string* what) {
    constexpr uint64_t kStride = 1'000'003;  // a prime
    uint64_t at = number * kStride % cases_;
    size_t chosen = 0;
    while (at >= operations_[chosen]) at -= operations_[chosen++];
    const Fault& fault = kFaults[chosen];
    const uint64_t of_kind = operations_[chosen];
    const uint64_t operation = 1 + at;
    *what = std::string(fault.name) + " at operation " + std::to_string(operation) + " of " +
            std::to_string(of_kind);
    Random random(Mix(seed ^ number));
    MemoryFileSystem disk;
    if (fault.scrambled) disk.ScrambleFailedSyncs(random.Next());
    if (fault.error != 0) {
      disk.FailNth(fault.kind, operation, fault.error, fault.sticky);
    } else {
      disk.FailNth(fault.kind, operation, arrow::Status::IOError("fewer bytes than asked for"),
                   fault.sticky);
    }
    CrashScript script(Words(), seed, &disk);
    const arrow::Status status = script.Run();
    *what += ", script: " + status.ToString();
    disk.ClearFaults();
    if (!status.ok() && script.database() != nullptr) {
      ARROW_RETURN_NOT_OK(GoOn(fault, &script));
    }
    Survives survives = Survives::kProcessEnd;
    switch (random.Uniform(3)) {
      case 0:
        (void)script.Close(/*cleanly=*/true);  // refused after a final error
        break;
      case 1:
        ARROW_RETURN_NOT_OK(script.Close(/*cleanly=*/false));
        break;
      default:
        ARROW_RETURN_NOT_OK(script.Close(/*cleanly=*/false));
        disk.LoseUnsynced(kLossPolicies[random.Uniform(kLossPolicies.size())], random.Next());
        survives = Survives::kPowerLoss;
    }
    // Pages that are old again after a failed sync are as good as lost with the power.
    if (fault.scrambled) survives = Survives::kPowerLoss;
    return checker->Check(&disk, script.promise(), survives, random.OneIn(4));
  }

  /// Writes after an error; no operation fails any more.
  arrow::Status GoOn(const Fault& fault, CrashScript* script) const {
    const CrashPromise before = script->promise();
    const bool commit_failed = before.begun > before.acknowledged;
    const bool is_room_error = fault.error != EIO && fault.error != 0;
    arrow::Status status = script->Commit();
    if (status.ok()) {
      if (is_room_error || !commit_failed || fault.kind == FileOp::kRead) return status;
      return arrow::Status::Invalid("a commit was acknowledged after one that failed for good");
    }
    if (!is_room_error || IsReadOnly(status)) {
      // Writes and creations that find no room never end it, but for the manifest record of a
      // changed schema; that a sync does is allowed.
      const bool alters = Words().find("schema") != std::string::npos;
      if (is_room_error && fault.kind != FileOp::kChange && !alters) return status;
      for (int i = 0; i < 2; ++i) {
        if (script->Commit().ok()) {
          return arrow::Status::Invalid("a commit was acknowledged after: ", status.ToString());
        }
      }
      return arrow::Status::OK();
    }
    for (int attempt = 0; attempt < kAttempts && !status.ok() && !IsReadOnly(status); ++attempt) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      status = script->Commit();
    }
    return status;
  }

  std::array<uint64_t, kFaultCount> operations_ = {};  // of the faults' kinds
  uint64_t cases_ = 0;                                 // their sum
};

TEST_P(IoErrorTest, LosesNothingAcknowledgedAndEndsOrGoesOnAsPromised) {
  const auto start = std::chrono::steady_clock::now();
  const auto errors =
      static_cast<uint64_t>(ShareFromEnvironment("MARBLE_IO_ERRORS", kErrors, kScriptCount));
  const uint64_t seed = Mix(SeedOfThisRun() + GetParam());
  ASSERT_NO_FATAL_FAILURE(CountOperations(seed));
  // A part of them begins somewhere else in each run.
  const uint64_t first = Random(seed).Uniform(cases_);
  std::atomic<uint64_t> next = 0;
  std::vector<std::thread> workers;
  for (int worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([&] {
      CrashChecker checker(CrashSetting(Words(), seed));
      for (uint64_t i = next++; i < errors && !HasFailure(); i = next++) {
        std::string what;
        const arrow::Status status = RunOne(seed, first + i, &checker, &what);
        if (status.ok()) continue;
        ADD_FAILURE() << status.ToString() << "\nMARBLE_SEED=" << SeedOfThisRun() << ", script '"
                      << Words() << "' with seed " << seed << ", run " << first + i << ": " << what;
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::cout << "'" << Words() << "': " << cases_ << " errors at operations, " << errors
            << " errors in " << time.count() << " s, MARBLE_SEED=" << SeedOfThisRun() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Scripts, IoErrorTest, testing::Range<size_t>(0, kScriptCount));

}  // namespace
}  // namespace marble::test

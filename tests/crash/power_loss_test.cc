// Power fails at any moment, on an in-memory disk that loses what was not synced: the database
// opens again, synced commits are there with all before them, and what is there is a prefix of the
// commit order. These databases have hundreds of commits and several lives; every operation of
// small ones is in crash_image_test.cc.
//
// MARBLE_POWER_CUTS sets the number of cuts, MARBLE_SEED the seed.
#include <array>
#include <cerrno>
#include <iostream>
#include <memory>

#include <gtest/gtest.h>

#include "io/memory_file_system.h"
#include "support/crash_workload.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kCuts = 200;
constexpr uint64_t kCutsPerDisk = 5;
constexpr uint64_t kCommitsPerLife = 400;
constexpr char kPath[] = "/database";

/// One in-memory disk through several lives of a database on it.
class DiskOfManyLives {
 public:
  explicit DiskOfManyLives(uint64_t seed) : seed_(seed), random_(seed) {
    options_ = CrashOptions();
    options_.file_system = &disk_;
    options_.use_mappings = random_.OneIn(2);
  }

  MemoryFileSystem& disk() { return disk_; }
  const CrashState& state() const { return state_; }
  /// What must be there after losing power, and after a mere end of the process.
  uint64_t durable() const { return durable_; }
  uint64_t acknowledged() const { return acknowledged_; }

  /// Opens, writes commits until the disk refuses (or enough are written), and drops the database.
  /// What was promised is in durable() and acknowledged(). Errors are what a fault may cause.
  arrow::Status Live() {
    ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(kPath, options_));
    CrashWorkload workload(database, seed_);
    arrow::Status status = Write(&workload, database.get());
    // Closing may fail on a broken disk: then the next opening replays the log.
    const arrow::Status closed = database->Close();
    return status.ok() ? closed : status;
  }

  /// Opens and compares everything; `floor` is the least number that the last commit may have.
  arrow::Status Check(uint64_t floor) {
    ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(kPath, options_));
    CrashWorkload workload(database, seed_);
    ARROW_RETURN_NOT_OK(workload.Prepare());
    ARROW_ASSIGN_OR_RAISE(const uint64_t last, workload.LastCommit());
    if (last < floor) {
      return arrow::Status::Invalid("commit ", floor, " was promised, ", last, " is the last");
    }
    ARROW_RETURN_NOT_OK(workload.Advance(last, &state_));
    ARROW_RETURN_NOT_OK(workload.Compare(state_));
    // Recovery has made durable what it found.
    durable_ = acknowledged_ = last;
    return database->Close();
  }

 private:
  arrow::Status Write(CrashWorkload* workload, Database* database) {
    ARROW_RETURN_NOT_OK(workload->Prepare());
    ARROW_ASSIGN_OR_RAISE(const uint64_t last, workload->LastCommit());
    const uint64_t end = last + 1 + random_.Uniform(kCommitsPerLife);
    for (uint64_t number = last + 1; number < end; ++number) {
      ARROW_RETURN_NOT_OK(workload->Commit(number));
      acknowledged_ = number;
      if (workload->IsSynced(number)) durable_ = number;
      if (number % 97 == 0) {
        ARROW_RETURN_NOT_OK(database->Flush());
        durable_ = number;
      } else if (number % 31 == 0) {
        ARROW_RETURN_NOT_OK(database->SyncLog());
        durable_ = number;
      } else if (number % 211 == 0) {
        ARROW_RETURN_NOT_OK(database->Compact());
      }
    }
    return arrow::Status::OK();
  }

  const uint64_t seed_;
  Random random_;
  MemoryFileSystem disk_;
  Options options_;
  CrashState state_;
  uint64_t durable_ = 0;
  uint64_t acknowledged_ = 0;
};

TEST(PowerLossTest, SyncedCommitsSurviveAndWhatIsThereIsAPrefix) {
  const uint64_t seed = SeedOfThisRun();
  const int64_t cuts = NumberFromEnvironment("MARBLE_POWER_CUTS", kCuts);
  std::cout << "MARBLE_SEED=" << seed << ", " << cuts << " cuts" << std::endl;
  Random random(seed);
  int64_t refused = 0;
  std::unique_ptr<DiskOfManyLives> lives;
  for (int64_t cut = 0; cut < cuts; ++cut) {
    if (cut % kCutsPerDisk == 0) lives = std::make_unique<DiskOfManyLives>(random.Next() >> 1);
    SCOPED_TRACE("cut " + std::to_string(cut) + ", MARBLE_SEED=" + std::to_string(seed));
    // From some operation on the disk takes nothing more: the moment at which power fails.
    lives->disk().FailNth(FileOp::kChange, 1 + random.Uniform(random.OneIn(3) ? 40 : 500), EIO,
                          /*sticky=*/true);
    if (!lives->Live().ok()) ++refused;
    lives->disk().ClearFaults();
    lives->disk().LoseUnsynced(kLossPolicies[random.Uniform(kLossPolicies.size())], random.Next());
    ASSERT_OK(lives->Check(lives->durable()));
  }
  EXPECT_GT(refused, cuts / 10) << "the cuts hardly ever hit a running database";
}

TEST(PowerLossTest, PowerFailsWhileAllIsWell) {
  const uint64_t seed = SeedOfThisRun() + 1;
  Random random(seed);
  for (int disk = 0; disk < 10; ++disk) {
    SCOPED_TRACE("disk " + std::to_string(disk) + ", MARBLE_SEED=" + std::to_string(seed - 1));
    DiskOfManyLives lives(random.Next() >> 1);
    for (int life = 0; life < 3; ++life) {
      ASSERT_OK(lives.Live());
      // After a clean close nothing at all may be lost.
      lives.disk().LoseUnsynced(LossPolicy::kDropAll, random.Next());
      ASSERT_OK(lives.Check(lives.acknowledged()));
    }
  }
}

}  // namespace
}  // namespace marble::test

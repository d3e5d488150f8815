// Power fails at every operation of every script, in each of the ways of LossPolicy. A script runs
// once; before each change of the disk a clone of it is kept, which costs its directories only.
// Afterwards each clone loses power, is opened and compared with what was promised at that moment.
// Some lose power again at each operation of that opening.
//
// MARBLE_CRASH_IMAGES sets the number of images, MARBLE_SEED the seed. An image that is refused
// stays behind as files.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/crash_checker.h"
#include "support/crash_script.h"
#include "support/damage.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kImages = 18'400;
constexpr uint64_t kGoOnEvery = 4;
constexpr size_t kAgainPart = 4;  // one of so many images lost power a second time
/// Opening and closing a database waits for its threads; meanwhile another image is looked at.
constexpr int kWorkers = 2;

constexpr const char* kScripts[] = {
    "25 5",
    "15 sync 15 sync 5",
    "20 flush 10",
    "10 flush 10 flush 10 compact 5",
    "15 reopen 15 reopen 5",
    "12 power 12 power 5",
    "power 5 power power 5",
    "20 stop 10 stop stop 5",
    "schema schema schema schema schema schema schema schema",
    "5 schema 5 schema 5 schema flush schema 5 schema schema reopen schema 5",
    "schema schema power schema 5 power schema schema stop schema schema",
    "loads 30 flush 10",
    "loads 20 compact 10 power 20 reopen 10",
    "snapshot 10 flush snapshot 10 flush compact release 10 compact release compact",
    "tiny 30 compact",
    "tiny 15 reopen 15",
    "tiny 15 power 12 power 3",
    "bulk 25 flush 10",
    "bulk 20 compact power 15",
    "wide 60 flush 20",
    "wide 30 sync 25 power 20 stop 10",
    "wide tiny 20 reopen 5",
    "tiny bulk loads 10 schema 3 snapshot schema flush 3 schema compact release power schema 3",
};
constexpr size_t kScriptCount = std::size(kScripts);

/// A disk as it was before an operation, and what had been promised then.
struct Moment {
  std::unique_ptr<MemoryDisk> disk;
  CrashPromise promise;
  std::string operation;
};

/// One crash image: which disk loses power, and how.
struct Cut {
  Moment* moment = nullptr;
  std::string where;
  LossPolicy policy = LossPolicy::kDropAll;
  uint64_t seed = 0;
  bool go_on = false;
};

const char* NameOf(FileOp operation) {
  switch (operation) {
    case FileOp::kWrite:
      return "write ";
    case FileOp::kSync:
      return "sync ";
    case FileOp::kCreate:
      return "create ";
    case FileOp::kRename:
      return "rename ";
    case FileOp::kRemove:
      return "remove ";
    case FileOp::kSyncDirectory:
      return "sync directory ";
    default:
      return "";
  }
}

class CrashImageTest : public ::testing::TestWithParam<size_t> {
 protected:
  std::string Words() const { return kScripts[GetParam()]; }

  /// Runs the script and keeps a clone of the disk before each change of it, and at the end.
  void RunScript(uint64_t seed) {
    seed_ = seed;
    moments_.clear();
    MemoryFileSystem disk;
    CrashScript script(Words(), seed, &disk);
    disk.set_observer([&](MemoryDisk* now, FileOp operation, const std::string& path) {
      moments_.push_back({now->Clone(), script.promise(), NameOf(operation) + path});
    });
    const arrow::Status status = script.Run();
    ASSERT_TRUE(status.ok()) << status.ToString() << "\nMARBLE_SEED=" << SeedOfThisRun()
                             << ", script '" << Words() << "' with seed " << seed;
    disk.set_observer(nullptr);
    moments_.push_back({disk.CloneDisk(), script.promise(), "nothing"});
  }

  /// At most `count` cuts: first every moment with one policy, then with the next, and so on.
  static std::vector<Cut> ChooseCuts(std::vector<Moment>* moments, const std::string& where,
                                     size_t count, uint64_t seed) {
    Random random(seed);
    const size_t all = moments->size() * kLossPolicies.size();
    const size_t first = random.Uniform(all);
    std::vector<Cut> cuts(std::min(count, all));
    for (size_t i = 0; i < cuts.size(); ++i) {
      const size_t at = (first + i) % moments->size();
      const size_t policy = (at + (first + i) / moments->size()) % kLossPolicies.size();
      Cut& cut = cuts[i];
      cut.moment = &(*moments)[at];
      cut.policy = kLossPolicies[policy];
      cut.seed = random.Next();
      cut.go_on = random.OneIn(kGoOnEvery);
      cut.where = where + "before operation " + std::to_string(at) + " of " +
                  std::to_string(moments->size()) + " (" + cut.moment->operation + ", " +
                  marble::NameOf(cut.policy) + ", seed " + std::to_string(cut.seed) + ")";
    }
    return cuts;
  }

  /// Checks all cuts, and of some all that follow if power fails again, until these are `again`.
  void CheckAll(const std::vector<Cut>& cuts, size_t again) {
    std::atomic<size_t> next = 0;
    std::vector<std::thread> workers;
    for (int worker = 0; worker < kWorkers; ++worker) {
      workers.emplace_back([&] {
        CrashChecker checker(CrashSetting(Words(), seed_));
        for (size_t i = next++; i < cuts.size() && !HasFailure(); i = next++) {
          Check(cuts[i], &checker, nullptr);
        }
      });
    }
    for (std::thread& worker : workers) worker.join();

    CrashChecker checker(CrashSetting(Words(), seed_));
    Random random(seed_);
    const size_t end = images_ + again;
    while (images_ < end && !HasFailure()) {
      const Cut& cut = cuts[random.Uniform(cuts.size())];
      std::vector<Moment> recovery;
      Check(cut, &checker, &recovery);
      if (recovery.empty()) continue;  // it went wrong before it had begun
      for (const Cut& second : ChooseCuts(&recovery, cut.where + " and then ",
                                          std::min(recovery.size(), end - images_), cut.seed)) {
        Check(second, &checker, nullptr);
      }
    }
  }

  /// With `recovery` it receives the moments of opening and closing the image.
  void Check(const Cut& cut, CrashChecker* checker, std::vector<Moment>* recovery) {
    ++images_;
    std::unique_ptr<MemoryDisk> disk;
    {
      const std::lock_guard lock(clone_mutex_);  // several cuts are made of one moment
      disk = cut.moment->disk->Clone();
    }
    disk->LoseUnsynced(cut.policy, cut.seed);
    MemoryFileSystem as_it_was(disk->Clone());
    MemoryFileSystem image(std::move(disk));
    const CrashPromise& promise = cut.moment->promise;
    if (recovery != nullptr) {
      image.set_observer([&](MemoryDisk* now, FileOp operation, const std::string& path) {
        recovery->push_back({now->Clone(), promise, NameOf(operation) + path});
      });
    }
    const bool go_on = cut.go_on && recovery == nullptr;  // or more would be promised
    const arrow::Status status = checker->Check(&image, promise, Survives::kPowerLoss, go_on);
    if (status.ok()) return;
    const auto kept = std::filesystem::path(testing::TempDir()) /
                      ("marble_crash_image_" + std::to_string(cut.seed));
    KeepFiles(ReadTree(&as_it_was, kCrashPath), kept);
    ADD_FAILURE() << status.ToString() << "\nMARBLE_SEED=" << SeedOfThisRun() << ", script '"
                  << Words() << "' with seed " << seed_ << ": power failed " << cut.where
                  << "; what that left is in " << kept;
  }

  uint64_t seed_ = 0;
  std::vector<Moment> moments_;
  std::atomic<size_t> images_ = 0;
  std::mutex clone_mutex_;
};

TEST_P(CrashImageTest, HoldsAPrefixWithAllThatWasSynced) {
  const auto start = std::chrono::steady_clock::now();
  const auto images =
      static_cast<size_t>(ShareFromEnvironment("MARBLE_CRASH_IMAGES", kImages, kScriptCount));
  size_t operations = 0;
  for (uint64_t round = 0; images_ < images && !HasFailure(); ++round) {
    ASSERT_NO_FATAL_FAILURE(RunScript(Mix(SeedOfThisRun() + round * kScriptCount + GetParam())));
    operations += moments_.size();
    const size_t left = images - images_;
    const auto cuts = ChooseCuts(&moments_, "", left - left / kAgainPart, seed_);
    CheckAll(cuts, cuts.size() / (kAgainPart - 1));
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  std::cout << "'" << Words() << "': " << operations << " operations, " << images_ << " images in "
            << time.count() << " s, MARBLE_SEED=" << SeedOfThisRun() << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Scripts, CrashImageTest, testing::Range<size_t>(0, kScriptCount));

}  // namespace
}  // namespace marble::test

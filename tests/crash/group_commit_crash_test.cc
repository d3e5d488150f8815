// Threads that commit with sync share syncs of the log. Power fails before each change of the disk:
// what any of them had been told by then must be there, whoever's sync made it durable.
//
// MARBLE_SEED sets the seed of the threads' pauses.
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <marble/key_value.h>

#include "io/memory_file_system.h"
#include "support/random.h"
#include "support/test_database.h"
#include "support/threads.h"
#include "support/tiny_options.h"

namespace marble::test {
namespace {

constexpr char kPath[] = "/database";
constexpr size_t kThreads = 4;
constexpr uint64_t kCommits = 25;  // of each thread
/// As long as a sync may take on a device, and threads pause for up to twice as long: so some
/// commit while a sync is under way that is not for them.
constexpr std::chrono::microseconds kSyncTime{300};

void PauseFor(std::chrono::microseconds time) { std::this_thread::sleep_for(time); }

using Numbers = std::array<uint64_t, kThreads>;

/// A disk as it was before an operation, and the last commit that each thread knew to be durable.
struct Moment {
  std::unique_ptr<MemoryDisk> disk;
  Numbers told;
};

std::string KeyOf(size_t thread) { return "thread " + std::to_string(thread); }

Options OptionsOn(MemoryFileSystem* disk) {
  Options options = TinyOptions();
  options.file_system = disk;
  return options;
}

/// Each thread puts ascending numbers under its own key, every one of them with sync.
arrow::Status CommitInManyThreads(MemoryFileSystem* disk, std::vector<Moment>* moments) {
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(kPath, OptionsOn(disk)));
  ARROW_ASSIGN_OR_RAISE(auto pairs, KeyValue::Open(database));
  std::array<std::atomic<uint64_t>, kThreads> told = {};
  disk->set_observer([&](MemoryDisk* now, FileOp operation, const std::string&) {
    if (operation == FileOp::kSync) PauseFor(kSyncTime);
    Moment moment;
    for (size_t thread = 0; thread < kThreads; ++thread) moment.told[thread] = told[thread].load();
    moment.disk = now->Clone();
    moments->push_back(std::move(moment));
  });
  arrow::Status status;
  {
    Threads threads;
    for (size_t thread = 0; thread < kThreads; ++thread) {
      threads.Start([&, thread] {
        Random random(SeedOfThisRun() + thread);
        for (uint64_t number = 1; number <= kCommits && !threads.stopped(); ++number) {
          ARROW_RETURN_NOT_OK(pairs->Put(KeyOf(thread), std::to_string(number), {.sync = true}));
          told[thread].store(number);
          PauseFor(random.Uniform(3) * kSyncTime);
        }
        return arrow::Status::OK();
      });
    }
    status = threads.JoinFirst(kThreads);
  }
  disk->set_observer(nullptr);
  ARROW_RETURN_NOT_OK(status);
  return database->Close();
}

arrow::Result<Numbers> NumbersOn(MemoryFileSystem* disk) {
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(kPath, OptionsOn(disk)));
  ARROW_ASSIGN_OR_RAISE(auto pairs, KeyValue::Open(database));
  Numbers numbers = {};
  for (size_t thread = 0; thread < kThreads; ++thread) {
    ARROW_ASSIGN_OR_RAISE(const auto value, pairs->Get(KeyOf(thread)));
    if (value.has_value()) numbers[thread] = std::stoull(*value);
  }
  ARROW_RETURN_NOT_OK(database->Close());
  return numbers;
}

TEST(GroupCommitCrashTest, WhatAnyThreadWasToldSurvivesLosingPower) {
  SCOPED_TRACE("MARBLE_SEED=" + std::to_string(SeedOfThisRun()));
  MemoryFileSystem disk;
  std::vector<Moment> moments;
  ASSERT_OK(CommitInManyThreads(&disk, &moments));
  ASSERT_GT(moments.size(), kThreads * kCommits) << "at least one write a commit";
  for (size_t i = 0; i < moments.size(); ++i) {
    SCOPED_TRACE("before operation " + std::to_string(i) + " of " + std::to_string(moments.size()));
    moments[i].disk->LoseUnsynced(LossPolicy::kDropAll, i);
    MemoryFileSystem image(std::move(moments[i].disk));
    ASSERT_OK_AND_ASSIGN(const Numbers there, NumbersOn(&image));
    for (size_t thread = 0; thread < kThreads; ++thread) {
      ASSERT_GE(there[thread], moments[i].told[thread]) << "of thread " << thread;
    }
  }
}

}  // namespace
}  // namespace marble::test

#include "base/early_work.h"

#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace marble {
namespace {

/// Lets the thread that calls Hold wait until the other has called Release, and tells when it does.
class Gate {
 public:
  void Hold() {
    held_.store(true);
    held_.notify_all();
    open_.wait(false);
  }
  void WaitUntilHeld() { held_.wait(false); }
  void Release() {
    open_.store(true);
    open_.notify_all();
  }

 private:
  std::atomic<bool> held_{false};
  std::atomic<bool> open_{false};
};

/// Waits until `threads`, which are one, have done all they were asked so far.
void WaitForAll(HelperThreads* threads) {
  const auto done = std::make_shared<std::promise<void>>();
  threads->Help([done] { done->set_value(); });
  done->get_future().wait();
}

TEST(EarlyWork, IsDoneByAHelper) {
  HelperThreads threads(1);
  std::thread::id worker;
  EarlyWork<int> read(
      [&] {
        worker = std::this_thread::get_id();
        return 7;
      },
      &threads);
  WaitForAll(&threads);
  EXPECT_EQ(read.Take(), 7);
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST(EarlyWork, IsDoneByWhoWantsItIfNobodyHasBegun) {
  HelperThreads threads(1);
  Gate gate;
  threads.Help([&] { gate.Hold(); });
  gate.WaitUntilHeld();
  int done = 0;
  {
    EarlyWork<int> read([&] { return ++done; }, &threads);
    EXPECT_EQ(read.Take(), 1);
  }
  gate.Release();
  WaitForAll(&threads);
  EXPECT_EQ(done, 1);
}

TEST(EarlyWork, IsDoneByWhoWantsItIfThereAreNoHelpersOrTheyHaveStopped) {
  HelperThreads threads(1);
  threads.Stop();
  for (Helpers* helpers : {static_cast<Helpers*>(nullptr), static_cast<Helpers*>(&threads)}) {
    EarlyWork<std::thread::id> read([] { return std::this_thread::get_id(); }, helpers);
    EXPECT_EQ(read.Take(), std::this_thread::get_id());
  }
}

TEST(EarlyWork, IsNotDoneOnceItWasDropped) {
  HelperThreads threads(1);
  Gate gate;
  threads.Help([&] { gate.Hold(); });
  gate.WaitUntilHeld();
  bool done = false;
  const auto held = std::make_shared<int>(1);
  {
    EarlyWork<int> read([&done, held] { return done = true; }, &threads);
    EXPECT_EQ(held.use_count(), 2);
  }
  EXPECT_EQ(held.use_count(), 1) << "the queue keeps what the dropped work holds";
  gate.Release();
  WaitForAll(&threads);
  EXPECT_FALSE(done);
}

TEST(EarlyWork, ThatIsUnderWayIsWaitedForWhenItIsDropped) {
  HelperThreads threads(1);
  Gate begun;
  std::atomic<bool> done{false};
  std::thread release;
  {
    EarlyWork<int> read(
        [&] {
          begun.Hold();
          done.store(true);
          return 1;
        },
        &threads);
    begun.WaitUntilHeld();
    release = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      begun.Release();
    });
  }
  EXPECT_TRUE(done.load());
  release.join();
}

TEST(EarlyWork, WhatItThrowsReachesWhoeverTakesIt) {
  HelperThreads threads(1);
  const auto fail = []() -> int { throw std::runtime_error("no memory"); };
  for (Helpers* helpers : {static_cast<Helpers*>(nullptr), static_cast<Helpers*>(&threads)}) {
    EarlyWork<int> taken(fail, helpers);
    EarlyWork<int> dropped(fail, helpers);
    WaitForAll(&threads);
    EXPECT_THROW(taken.Take(), std::runtime_error);
  }
}

TEST(EarlyWork, ManyGiveEachItsOwnResultWhoeverDoesThem) {
  HelperThreads threads(2);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::unique_ptr<EarlyWork<std::vector<int>>>> reads;
    for (int i = 0; i < 4; ++i) {
      reads.push_back(std::make_unique<EarlyWork<std::vector<int>>>(
          [round, i] { return std::vector<int>{round, i}; }, &threads));
    }
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(reads[i]->Take(), (std::vector<int>{round, i}));
    }
  }
}

}  // namespace
}  // namespace marble

#include "base/helper_threads.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <set>

#include <gtest/gtest.h>

namespace marble {
namespace {

void WaitFor(const std::atomic<int>& value, int wanted) {
  for (int now = value.load(); now != wanted; now = value.load()) value.wait(now);
}

TEST(HelperThreads, DoEveryTaskUntilTheyAreStopped) {
  std::atomic<int> done{0};
  HelperThreads threads(3);
  for (int i = 0; i < 1000; ++i) {
    threads.Help([&] {
      done.fetch_add(1);
      done.notify_all();
    });
  }
  WaitFor(done, 1000);
  threads.Stop();
  threads.Help([&] { done.fetch_add(1); });
  EXPECT_EQ(done.load(), 1000);
}

TEST(HelperThreads, AreAsManyAsThereIsWorkForAndNoMoreThanAllowed) {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::atomic<int> running{0};
  std::atomic<bool> go_on{false};
  HelperThreads threads(3);
  for (int i = 0; i < 6; ++i) {
    threads.Help([&] {
      {
        const std::lock_guard lock(mutex);
        seen.insert(std::this_thread::get_id());
      }
      running.fetch_add(1);
      running.notify_all();
      go_on.wait(false);
    });
  }
  WaitFor(running, 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(running.load(), 3);
  go_on.store(true);
  go_on.notify_all();
  WaitFor(running, 6);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(seen.size(), 3u);
}

TEST(HelperThreads, StopWaitsForATaskUnderWayAndDropsTheRest) {
  std::atomic<int> begun{0};
  std::atomic<bool> done{false};
  bool second = false;
  const auto held = std::make_shared<int>(1);
  HelperThreads threads(1);
  threads.Help([&] {
    begun.store(1);
    begun.notify_all();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    done.store(true);
  });
  threads.Help([&second, held] { second = true; });
  WaitFor(begun, 1);
  threads.Stop();
  EXPECT_TRUE(done.load());
  EXPECT_FALSE(second);
  EXPECT_EQ(held.use_count(), 1) << "the dropped task is still there";
}

}  // namespace
}  // namespace marble

// Does one call return while another one waits for the disk?
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "io/memory_file_system.h"
#include "support/wait_until.h"

namespace marble::test {

/// Calls `first` on a thread of its own, and `second` as soon as `first` is about to do its first
/// `change` of the disk. True if `second` returned before that was done. Other changes of the disk
/// wait meanwhile, so a `second` that needs one returns later.
template <typename First, typename Second>
bool Overtakes(MemoryFileSystem* fs, FileOp change, const First& first, const Second& second) {
  constexpr std::chrono::milliseconds kPatience(200);
  std::atomic<bool> begun = false;
  std::atomic<bool> returned = false;
  std::atomic<bool> overtaken = false;
  fs->set_observer([&](MemoryDisk*, FileOp operation, const std::string&) {
    if (operation != change || begun.exchange(true)) return;
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!returned && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    overtaken = returned.load();
  });
  std::thread thread(first);
  EXPECT_TRUE(WaitUntil([&] { return begun.load(); }));
  second();
  returned = true;
  thread.join();
  fs->set_observer(nullptr);
  return overtaken;
}

}  // namespace marble::test

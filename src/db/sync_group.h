// Commits that wait for the log to be made durable, and whether one of them, about to sync it,
// should wait a moment for more: writers whose last commits were synced together mostly come back
// together, and without that moment they would split into groups that wait for each other's syncs.
//
// Pure bookkeeping, externally synchronised (the database's mutex) except where it says otherwise.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace marble {

class SyncGroup {
 public:
  using Duration = std::chrono::steady_clock::duration;

  /// A commit begins to wait, to be handed to Leave when it ends.
  uint64_t Enter() {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    return begun_;
  }
  void Leave(uint64_t entered) {
    // No sync began since, so none counted it.
    if (entered == begun_) waiting_.fetch_sub(1, std::memory_order_relaxed);
  }

  /// A sync of all that wait now begins; only one at a time.
  void Begin() {
    ++begun_;
    synced_ = waiting_.exchange(0, std::memory_order_relaxed);
  }
  void End(Duration took) {
    expected_ = synced_ + waiting_.load(std::memory_order_relaxed);
    took_ = took;
  }

  /// Do as many wait as there were around the last sync? For the one that is to begin the next,
  /// without the mutex too.
  bool IsComplete() const { return waiting_.load(std::memory_order_relaxed) >= expected_; }
  /// How long to wait for that at most: half as long as a sync takes.
  Duration patience() const { return std::min<Duration>(took_ / 2, kPatienceMax); }

 private:
  static constexpr std::chrono::microseconds kPatienceMax{200};

  std::atomic<int64_t> waiting_{0};
  uint64_t begun_ = 0;  // syncs
  int64_t synced_ = 0;  // commits, by the sync that runs or ran last
  int64_t expected_ = 0;
  Duration took_{0};
};

}  // namespace marble

// Guesses, from how long a mapped file's bytes take to be touched, whether they have to be read
// from the device: then what will be touched next is asked for beforehand, so that the device works
// on all of it at once. Asking costs a system call or two, too much where all is in memory.
//
// Thread-safe without locks; the guess may be wrong at no cost but time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace marble {

class ScarceMemory {
 public:
  using Clock = std::chrono::steady_clock;

  /// Takes the time of an access, if it is one of those that are looked at.
  class Watch {
   public:
    Watch(ScarceMemory* memory, bool looked_at) : memory_(looked_at ? memory : nullptr) {
      if (memory_ != nullptr) start_ = Clock::now();
    }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
      if (memory_ != nullptr && Clock::now() - start_ > kSlow) memory_->Note(true);
    }

   private:
    ScarceMemory* const memory_;
    Clock::time_point start_;
  };

  /// Were bytes that were asked for absent?
  void Note(bool absent) {
    if (absent) asks_left_.store(kAsks, std::memory_order_relaxed);
  }

  /// Is it worth asking? Says so for a number of times after bytes were last found absent.
  bool ShouldAsk() {
    const int32_t left = asks_left_.load(std::memory_order_relaxed);
    if (left <= 0) [[likely]] {
      return false;
    }
    asks_left_.store(left - 1, std::memory_order_relaxed);
    return true;
  }

 private:
  // Longer than touching memory takes, shorter than the fastest device.
  static constexpr std::chrono::microseconds kSlow{20};
  static constexpr int32_t kAsks = 1024;

  std::atomic<int32_t> asks_left_{0};
};

}  // namespace marble

// Guesses, from how long a mapped file's bytes take to be touched, whether they have to be read
// from the device: then what will be touched next is asked for beforehand, so that the device works
// on all of it at once. Asking costs a system call or two, too much where all is in memory: an
// access may be slow for other reasons, so that it takes an answer "absent" to go on asking. Of a
// file just opened nothing is known: the first few accesses ask.
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
      if (memory_ != nullptr && Clock::now() - start_ > kSlow) memory_->AskAtLeast(kAsksIfSlow);
    }

   private:
    ScarceMemory* const memory_;
    Clock::time_point start_;
  };

  /// Were bytes that were asked for absent?
  void Note(bool absent) {
    if (absent) AskAtLeast(kAsksIfAbsent);
  }

  /// Were bytes found absent of late?
  bool IsScarce() const { return asks_left_.load(std::memory_order_relaxed) > kAsksIfSlow; }
  /// Is it worth asking? Says so for a number of times after bytes were last found absent, and for
  /// a few after an access was slow.
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
  static constexpr int32_t kAsksIfSlow = 4;
  static constexpr int32_t kAsksIfAbsent = 1024;

  void AskAtLeast(int32_t asks) {
    if (asks_left_.load(std::memory_order_relaxed) < asks) {
      asks_left_.store(asks, std::memory_order_relaxed);
    }
  }

  std::atomic<int32_t> asks_left_{kAsksIfSlow};
};

}  // namespace marble

// Threads of a concurrency test: each runs a function that returns a Status; the first error stops
// all and is what the test shows.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <arrow/status.h>

namespace marble::test {

/// Used by one thread; `stopped` and the functions by many.
class Threads {
 public:
  /// Joins. Call Join to see the outcome.
  ~Threads() {
    stop_.store(true);
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  /// Runs `function` once; an error stops the others.
  void Start(std::function<arrow::Status()> function) {
    threads_.emplace_back([this, function = std::move(function)] {
      const arrow::Status status = function();
      if (status.ok()) return;
      std::lock_guard<std::mutex> lock(mutex_);
      if (error_.ok()) error_ = status;
      stop_.store(true);
    });
  }

  /// Runs `function` again and again until Stop or an error.
  void Repeat(std::function<arrow::Status()> function) {
    Start([this, function = std::move(function)] {
      while (!stopped()) ARROW_RETURN_NOT_OK(function());
      return arrow::Status::OK();
    });
  }

  /// Whether repeating threads should end.
  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  /// Waits for the first `count` threads started, then stops and joins all. The first error, or OK.
  arrow::Status JoinFirst(size_t count) {
    for (size_t i = 0; i < count; ++i) threads_[i].join();
    stop_.store(true);
    for (size_t i = count; i < threads_.size(); ++i) threads_[i].join();
    std::lock_guard<std::mutex> lock(mutex_);
    return error_;
  }

 private:
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  arrow::Status error_;
};

}  // namespace marble::test

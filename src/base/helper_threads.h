// Threads that do small work early which its owner would otherwise do late.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace marble {

/// Somebody who may do a task soon, or never: whoever needs it done must be able to do it himself.
class Helpers {
 public:
  virtual ~Helpers() = default;
  virtual void Help(std::function<void()> task) = 0;
};

/// Thread-safe. Tasks must not throw, and must not outlive what they use: those that have not begun
/// when Stop is called never run.
class HelperThreads final : public Helpers {
 public:
  /// Up to `count` threads, each begun when there is work for it.
  explicit HelperThreads(int count) : count_(count) {}
  ~HelperThreads() override { Stop(); }

  /// The oldest task first.
  void Help(std::function<void()> task) override;
  /// Waits for tasks under way. Tasks that come later are dropped. Not from a task.
  void Stop();

 private:
  void Loop();

  const int count_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  int idle_ = 0;  // of them
  bool stopped_ = false;
};

}  // namespace marble

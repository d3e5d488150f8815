#include "base/helper_threads.h"

#include <pthread.h>

#include <cfenv>
#include <system_error>
#include <utility>

namespace marble {

void HelperThreads::Help(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  if (static_cast<int>(tasks_.size()) >= idle_ && static_cast<int>(threads_.size()) < count_) {
    try {
      threads_.emplace_back([this] { Loop(); });
    } catch (const std::system_error&) {
      // The process may have no more threads. With none at all nobody takes the task.
      if (threads_.empty()) return;
    }
  }
  tasks_.push_back(std::move(task));
  changed_.notify_one();
}

void HelperThreads::Stop() {
  std::vector<std::thread> threads;
  std::deque<std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    threads.swap(threads_);
    dropped.swap(tasks_);
    changed_.notify_all();
  }
  for (std::thread& thread : threads) thread.join();
}

void HelperThreads::Loop() {
  static_cast<void>(pthread_setname_np(pthread_self(), "marble-read"));
  // Not that of the thread it was started from, which may treat denormal numbers as zero.
  static_cast<void>(std::fesetenv(FE_DFL_ENV));
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (tasks_.empty()) {
      ++idle_;
      changed_.wait(lock);
      --idle_;
      continue;
    }
    std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;  // lets go of what it holds without the mutex
    lock.lock();
  }
}

}  // namespace marble

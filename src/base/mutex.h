// std::mutex with clang's thread-safety annotations (no-ops under gcc).
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define MARBLE_ANNOTATION(x) __attribute__((x))
#else
#define MARBLE_ANNOTATION(x)
#endif
#define MARBLE_GUARDED_BY(x) MARBLE_ANNOTATION(guarded_by(x))
#define MARBLE_REQUIRES(...) MARBLE_ANNOTATION(requires_capability(__VA_ARGS__))
#define MARBLE_EXCLUDES(...) MARBLE_ANNOTATION(locks_excluded(__VA_ARGS__))

namespace marble {

class MARBLE_ANNOTATION(capability("mutex")) Mutex {
 public:
  void lock() MARBLE_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void unlock() MARBLE_ANNOTATION(release_capability()) { mutex_.unlock(); }
  bool try_lock() MARBLE_ANNOTATION(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

class MARBLE_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) MARBLE_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_->lock();
  }
  ~MutexLock() MARBLE_ANNOTATION(release_capability()) { mutex_->unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* mutex_;
};

/// Lets go of a mutex that the caller holds, and takes it again at its end.
class MARBLE_ANNOTATION(scoped_lockable) MutexUnlock {
 public:
  explicit MutexUnlock(Mutex* mutex) MARBLE_ANNOTATION(release_capability(mutex)) : mutex_(mutex) {
    mutex_->unlock();
  }
  // So clang wants it said: the end of a scope undoes what its beginning did.
  ~MutexUnlock() MARBLE_ANNOTATION(release_capability()) { mutex_->lock(); }
  MutexUnlock(const MutexUnlock&) = delete;
  MutexUnlock& operator=(const MutexUnlock&) = delete;

 private:
  Mutex* mutex_;
};

/// Waits release the mutex that the caller holds and take it again.
using CondVar = std::condition_variable_any;

}  // namespace marble

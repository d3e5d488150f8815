// Work that another thread may do before its result is wanted.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/helper_threads.h"

namespace marble {

/// `T` is what the work gives. Owned and used by one thread.
template <typename T>
class EarlyWork {
 public:
  using Work = std::function<T()>;

  /// Asks `helpers` to do `work`; nullptr leaves it to Take.
  EarlyWork(Work work, Helpers* helpers) : shared_(std::make_shared<Shared>(std::move(work))) {
    if (helpers != nullptr) helpers->Help([shared = shared_] { shared->RunUnlessBegun(); });
  }
  EarlyWork(const EarlyWork&) = delete;
  EarlyWork& operator=(const EarlyWork&) = delete;

  /// What nobody has begun is not done any more; what somebody has is waited for, so that nothing
  /// that `work` holds is in use afterwards.
  ~EarlyWork() {
    if (shared_->Begin()) {
      shared_->work = nullptr;
    } else {
      shared_->WaitUntilDone();
      shared_->result.reset();
    }
  }

  /// The result, once, or what the work threw. Never waits for a free helper: work that has not
  /// begun is done here.
  T Take() {
    shared_->RunUnlessBegun();
    shared_->WaitUntilDone();
    if (shared_->thrown != nullptr) std::rethrow_exception(shared_->thrown);
    return *std::exchange(shared_->result, std::nullopt);
  }

 private:
  enum class State { kWaiting, kRunning, kDone };

  struct Shared {
    explicit Shared(Work to_do) : work(std::move(to_do)) {}

    /// True for one caller ever, who alone may touch `work`.
    bool Begin() {
      State expected = State::kWaiting;
      return state.compare_exchange_strong(expected, State::kRunning);
    }
    void RunUnlessBegun() {
      if (!Begin()) return;
      try {
        result.emplace(work());
      } catch (...) {  // on a helper's thread it would end the process
        thrown = std::current_exception();
      }
      work = nullptr;  // with what it holds, before anybody goes on
      state.store(State::kDone);
      state.notify_all();
    }
    void WaitUntilDone() { state.wait(State::kRunning); }

    std::atomic<State> state{State::kWaiting};
    Work work;
    std::optional<T> result;
    std::exception_ptr thrown;
  };

  const std::shared_ptr<Shared> shared_;
};

}  // namespace marble

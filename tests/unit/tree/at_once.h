// Helpers that do what they are asked within the call, for tests of what is asked of them.
#pragma once

#include <functional>

#include "base/helper_threads.h"

namespace marble {

/// Counts what it is asked for.
class AtOnce : public Helpers {
 public:
  void Help(std::function<void()> task) override {
    ++asked_;
    task();
  }
  int asked() const { return asked_; }

 private:
  int asked_ = 0;
};

}  // namespace marble

// Waiting for what another thread does.
#pragma once

#include <chrono>
#include <thread>

namespace marble::test {

/// Waits until `holds()`, a minute at most; gives what it says in the end.
template <typename Predicate>
bool WaitUntil(const Predicate& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return holds();
}

}  // namespace marble::test

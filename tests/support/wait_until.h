// Waiting for what another thread does.
#pragma once

#include <chrono>
#include <thread>

namespace marble::test {

/// Waits until `holds()`, a minute at most; false if it never did. It is asked no more once it has
/// held: what another thread tells may be over at once.
template <typename Predicate>
bool WaitUntil(const Predicate& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

}  // namespace marble::test

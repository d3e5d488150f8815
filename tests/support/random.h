// Random choices of the large tests: fast, and the same on every machine for one seed.
//
// MARBLE_SEED fixes the seed of a run; otherwise every run has a new one. Tests print theirs.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace marble::test {

/// splitmix64's finalizer: spreads the bits of `x`.
inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// Not thread-safe: one object a thread.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}

  uint64_t Next() { return Mix(state_++); }
  /// In [0, bound); 0 if `bound` is 0.
  uint64_t Uniform(uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  /// In [low, high], both included.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Uniform(static_cast<uint64_t>(high - low) + 1));
  }
  bool OneIn(uint64_t n) { return Uniform(n) == 0; }

 private:
  uint64_t state_;
};

/// The value of an environment variable as a number, or `fallback`.
inline int64_t NumberFromEnvironment(const char* name, int64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::strtoll(text, nullptr, 10);
}

/// Of such a number the share of each of `parts`, rounded up.
inline int64_t ShareFromEnvironment(const char* name, int64_t fallback, size_t parts) {
  const auto divisor = static_cast<int64_t>(parts);
  return (NumberFromEnvironment(name, fallback) + divisor - 1) / divisor;
}

/// MARBLE_SEED, or a new seed.
inline uint64_t SeedOfThisRun() {
  static const uint64_t seed = static_cast<uint64_t>(
      NumberFromEnvironment("MARBLE_SEED", static_cast<int64_t>(std::random_device{}())));
  return seed;
}

}  // namespace marble::test

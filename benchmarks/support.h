// What every benchmark program needs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <arrow/result.h>
#include <arrow/status.h>

namespace marble::benchmark {

/// Ends the program with a message: a benchmark of half a run is worth nothing.
[[noreturn]] void Die(const std::string& what);

inline void Check(const arrow::Status& status) {
  if (!status.ok()) Die(status.ToString());
}
template <typename T>
T Check(arrow::Result<T> result) {
  Check(result.status());
  return std::move(result).ValueUnsafe();
}

/// A scattering of 64 bits, one to one (the finaliser of MurmurHash3).
inline uint64_t Scatter(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ull;
  return x ^ (x >> 33);
}

/// The i-th of a run's random keys: 16 hexadecimal digits, the same for all engines.
std::string KeyOf(uint64_t i);

/// Seconds of a clock that only goes forward.
double Now();

}  // namespace marble::benchmark

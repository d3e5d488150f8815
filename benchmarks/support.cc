#include "support.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace marble::benchmark {

void Die(const std::string& what) {
  std::fprintf(stderr, "benchmark: %s\n", what.c_str());
  std::exit(1);
}

std::string KeyOf(uint64_t i) {
  static constexpr char kDigits[] = "0123456789abcdef";
  uint64_t bits = Scatter(i + 1);
  std::string key(16, '0');
  for (char& c : key) {
    c = kDigits[bits & 15];
    bits >>= 4;
  }
  return key;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace marble::benchmark

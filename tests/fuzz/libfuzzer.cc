// What libFuzzer gets beside a target: mutations with their checksums made right, and Fail.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "fuzz/fuzz_target.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t size_max);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max,
                                          unsigned int seed);

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t size_max, unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, size_max);
  if (seed % 8 == 0) return size;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  marble::fuzz::Reseal(&bytes);
  size = std::min(bytes.size(), size_max);
  std::memcpy(data, bytes.data(), size);
  return size;
}

namespace marble::fuzz {

void Fail(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

}  // namespace marble::fuzz

// Compiled with -mavx2 (cmake/Layers.cmake), so it includes nothing but xxHash, whose functions are
// all static here: an inline function of any other header, compiled for AVX2, might be the copy
// that the linker keeps for everybody.

// Pages come from memory as often as from the cache: twice to four times the distance at which
// xxHash asks ahead brings them at the speed of a plain read (measured: 9.5 to 13 GB/s).
#define XXH_PREFETCH_DIST 2048

#include "base/checksum_avx2.h"

namespace marble {

#ifdef __AVX2__

bool HasAvx2() { return __builtin_cpu_supports("avx2"); }

uint64_t SumAvx2(const void* bytes, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

void UpdateAvx2(XXH3_state_t* state, const void* bytes, size_t size) {
  XXH3_64bits_update(state, bytes, size);
}

#else

bool HasAvx2() { return false; }

uint64_t SumAvx2(const void*, size_t, uint64_t) { __builtin_trap(); }

void UpdateAvx2(XXH3_state_t*, const void*, size_t) { __builtin_trap(); }

#endif

}  // namespace marble

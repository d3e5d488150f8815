// XXH3-64 with 256-bit registers: the same values, from cached pages at twice the speed of the 128
// bits that every x86-64 has. Used by base/checksum.cc only.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <cstdint>

namespace marble {

/// Whether this processor (and this build) can run the two functions below, which else must not be
/// called.
bool HasAvx2();

/// XXH3_64bits_withSeed.
uint64_t SumAvx2(const void* bytes, size_t size, uint64_t seed);

/// XXH3_64bits_update of a state that any other build of XXH3 began and may go on with.
void UpdateAvx2(XXH3_state_t* state, const void* bytes, size_t size);

}  // namespace marble

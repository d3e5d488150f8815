#include "base/checksum.h"

#include "base/checksum_avx2.h"

namespace marble {

namespace {

using SumFunction = uint64_t (*)(const void* bytes, size_t size, uint64_t seed);
using UpdateFunction = void (*)(XXH3_state_t* state, const void* bytes, size_t size);

uint64_t SumPlain(const void* bytes, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

void UpdatePlain(XXH3_state_t* state, const void* bytes, size_t size) {
  XXH3_64bits_update(state, bytes, size);
}

}  // namespace

uint64_t ChecksumLong(std::string_view bytes, uint64_t seed) {
  static const SumFunction sum = HasAvx2() ? SumAvx2 : SumPlain;
  return sum(bytes.data(), bytes.size(), seed);
}

uint64_t ChecksumOfParts(std::string_view first, std::span<const std::string_view> rest,
                         uint64_t seed) {
  static const UpdateFunction update = HasAvx2() ? UpdateAvx2 : UpdatePlain;
  XXH3_state_t state;
  XXH3_INITSTATE(&state);  // reset compares the new seed with the one in the state
  XXH3_64bits_reset_withSeed(&state, seed);
  XXH3_64bits_update(&state, first.data(), first.size());
  for (const std::string_view part : rest) {
    const auto add = part.size() >= kLongChecksumBytes ? update : UpdatePlain;
    add(&state, part.data(), part.size());
  }
  return XXH3_64bits_digest(&state);
}

}  // namespace marble

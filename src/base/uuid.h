// 16 random bytes that name a database; every file carries them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace marble {

using Uuid = std::array<uint8_t, 16>;

/// From the operating system's random source.
Uuid RandomUuid();
/// 64 random bits from the same source.
uint64_t RandomSeed();
/// 32 lower-case hexadecimal digits.
std::string ToHex(const Uuid& uuid);

}  // namespace marble

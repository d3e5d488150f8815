#include "base/uuid.h"

#include <cstring>
#include <random>

namespace marble {

uint64_t RandomSeed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

Uuid RandomUuid() {
  Uuid uuid;
  const uint64_t halves[2] = {RandomSeed(), RandomSeed()};
  std::memcpy(uuid.data(), halves, sizeof(halves));
  uuid[6] = static_cast<uint8_t>((uuid[6] & 0x0f) | 0x40);  // version 4 (RFC 4122)
  uuid[8] = static_cast<uint8_t>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

std::string ToHex(const Uuid& uuid) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : uuid) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

}  // namespace marble

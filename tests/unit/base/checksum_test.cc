#include "base/checksum.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace marble {
namespace {

std::string RandomBytes(size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Formats say XXH3-64: whichever registers compute it, files move between machines.
uint64_t Xxh3(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

TEST(Checksum, IsXxh3AtEveryLengthAndAlignment) {
  const std::string bytes = RandomBytes(20'000);
  std::vector<size_t> lengths = {0, 1, 16, 240, 241, 512, 16'384, 19'000};
  for (size_t at = kLongChecksumBytes - 70; at < kLongChecksumBytes + 70; ++at) {
    lengths.push_back(at);
  }
  for (const size_t length : lengths) {
    for (size_t from = 0; from < 65; from += 13) {
      const std::string_view view = std::string_view(bytes).substr(from, length);
      for (const uint64_t seed : {uint64_t{0}, uint64_t{0x4d61726265500007}}) {
        ASSERT_EQ(Checksum(view, seed), Xxh3(view, seed)) << length << " bytes from " << from;
      }
    }
  }
}

TEST(Checksum, OfPartsIsThatOfTheirBytesTogether) {
  const std::string bytes = RandomBytes(40'000);
  std::mt19937_64 random(7);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string_view> parts;
    std::string_view rest = bytes;
    const std::string_view first = rest.substr(0, random() % 100);
    rest.remove_prefix(first.size());
    std::string together(first);
    while (parts.size() < random() % 8) {
      // Short ones and long ones in turn: either computation goes on where the other stopped.
      const size_t limit = random() % 2 == 0 ? 300 : 6'000;
      parts.push_back(rest.substr(0, random() % limit));
      rest.remove_prefix(parts.back().size());
      together += parts.back();
    }
    ASSERT_EQ(ChecksumOfParts(first, parts, round), Xxh3(together, round)) << "round " << round;
  }
}

}  // namespace
}  // namespace marble

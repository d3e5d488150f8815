// The coding helpers: what Put writes Decoder reads, and Decoder survives any bytes.
#include "base/coding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace marble {
namespace {

TEST(Coding, VarintsOfEveryLengthComeBack) {
  for (int bits = 0; bits <= 64; ++bits) {
    for (const uint64_t offset : {uint64_t{0}, uint64_t{1}}) {
      const uint64_t value = (bits == 64 ? 0 : uint64_t{1} << bits) - offset;
      std::string text;
      PutVarint(&text, value);
      EXPECT_LE(text.size(), 10u);
      Decoder decoder(text);
      uint64_t read = 0;
      ASSERT_TRUE(decoder.Varint(&read));
      EXPECT_EQ(read, value);
      EXPECT_TRUE(decoder.AtEnd());
    }
  }
}

TEST(Coding, AVarintBeyond64BitsIsRefused) {
  const std::string too_long(9, '\xff');
  uint64_t value;
  EXPECT_TRUE(Decoder(too_long + '\x01').Varint(&value));
  EXPECT_EQ(value, std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(Decoder(too_long + '\x02').Varint(&value));
  EXPECT_FALSE(Decoder(too_long + "\x81\x01").Varint(&value));
}

TEST(Coding, ACutVarintIsRefused) {
  std::string text;
  PutVarint(&text, std::numeric_limits<uint64_t>::max());
  uint64_t value;
  for (size_t n = 0; n < text.size(); ++n) {
    EXPECT_FALSE(Decoder(std::string_view(text).substr(0, n)).Varint(&value)) << n;
  }
}

TEST(Coding, FixedIntegersAreLittleEndian) {
  std::string text;
  PutFixed<uint32_t>(&text, 0x01020304);
  EXPECT_EQ(text, std::string("\x04\x03\x02\x01"));
  Decoder decoder(text);
  uint32_t value = 0;
  ASSERT_TRUE(decoder.Fixed(&value));
  EXPECT_EQ(value, 0x01020304u);
}

TEST(Coding, BigEndianIntegersSortAsBytes) {
  char small[8];
  char large[8];
  StoreBig64(small, 255);
  StoreBig64(large, 256);
  EXPECT_LT(std::memcmp(small, large, 8), 0);
  EXPECT_EQ(LoadBig64(large), 256u);
}

TEST(Coding, BytesComeBackWithZerosInside) {
  const std::string bytes("a\0b", 3);
  std::string text;
  PutBytes(&text, bytes);
  PutBytes(&text, "");
  Decoder decoder(text);
  std::string first;
  std::string_view second = "x";
  ASSERT_TRUE(decoder.Bytes(&first));
  ASSERT_TRUE(decoder.Bytes(&second));
  EXPECT_EQ(first, bytes);
  EXPECT_EQ(second, "");
  EXPECT_TRUE(decoder.AtEnd());
}

TEST(Coding, ALengthBeyondTheInputIsRefused) {
  std::string text;
  PutVarint(&text, std::numeric_limits<uint64_t>::max());
  text += "abc";
  Decoder decoder(text);
  std::string_view bytes;
  EXPECT_FALSE(decoder.Bytes(&bytes));
  EXPECT_FALSE(decoder.ok());
}

TEST(Coding, EveryCallFailsAfterTheFirstFailure) {
  Decoder decoder("abc");
  EXPECT_FALSE(decoder.Skip(4));
  uint8_t byte;
  uint32_t word;
  uint64_t number;
  EXPECT_FALSE(decoder.Fixed(&byte));
  EXPECT_FALSE(decoder.Fixed(&word));
  EXPECT_FALSE(decoder.Fixed(&number));
  EXPECT_FALSE(decoder.Varint(&number));
  EXPECT_FALSE(decoder.Skip(0));
}

TEST(Coding, RandomBytesNeverReadPastTheEnd) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20000; ++round) {
    // Of the exact size, so that a sanitizer sees a read behind it.
    const std::string text = [&] {
      std::string bytes(random() % 24, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
      return bytes;
    }();
    Decoder decoder(text);
    size_t used = 0;
    while (decoder.ok() && !decoder.AtEnd()) {
      std::string_view bytes;
      uint64_t number;
      const bool fine = random() % 2 ? decoder.Bytes(&bytes) : decoder.Varint(&number);
      ASSERT_EQ(fine, decoder.ok());
      ASSERT_LE(decoder.rest().size(), text.size());
      ASSERT_LT(++used, 25u);
    }
  }
}

}  // namespace
}  // namespace marble

// Tests of decompressing LZ4 frames.
#include "sst/lz4_frame.h"

#include <cstdint>
#include <string>
#include <vector>

#include <arrow/util/compression.h>
#include <gtest/gtest.h>

#include "support/random.h"

namespace marble {
namespace {

using Bytes = std::vector<uint8_t>;

/// Bytes that compress about twofold, or not at all.
Bytes Content(size_t size, bool compressible) {
  test::Random random(size);
  Bytes out(size);
  for (size_t i = 0; i < size; ++i) {
    const bool repeat = compressible && i >= 100 && i / 50 % 2 == 0;
    out[i] = repeat ? out[i - 50] : static_cast<uint8_t>(random.Next());
  }
  return out;
}

Bytes Compress(const Bytes& content) {
  const auto codec = arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME).ValueOrDie();
  const auto size = static_cast<int64_t>(content.size());
  Bytes out(static_cast<size_t>(codec->MaxCompressedLen(size, content.data())));
  out.resize(static_cast<size_t>(
      codec->Compress(size, content.data(), static_cast<int64_t>(out.size()), out.data())
          .ValueOrDie()));
  return out;
}

TEST(Lz4Frame, ContentOfAnySizeComesBack) {
  for (const bool compressible : {true, false}) {
    for (const size_t size : {1, 13, 100, 5000, 65535, 65536, 65537, 200000}) {
      const Bytes content = Content(size, compressible);
      Bytes out(size);
      const arrow::Status status = DecompressLz4Frame(Compress(content), out);
      ASSERT_TRUE(status.ok()) << size << ": " << status.ToString();
      EXPECT_EQ(out, content) << size;
    }
  }
}

TEST(Lz4Frame, AnotherSizeThanExpectedIsAnError) {
  for (const bool compressible : {true, false}) {
    const Bytes frame = Compress(Content(1000, compressible));
    for (const size_t size : {0, 1, 999, 1001, 5000}) {
      Bytes out(size);
      EXPECT_FALSE(DecompressLz4Frame(frame, out).ok()) << size;
    }
  }
}

TEST(Lz4Frame, DamagedFramesLeadNowhereElse) {
  const Bytes content = Content(400, true);
  const Bytes good = Compress(content);
  for (size_t at = 0; at < good.size(); ++at) {
    for (const uint8_t value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      Bytes frame = good;
      frame[at] = value;
      Bytes out(content.size());
      static_cast<void>(DecompressLz4Frame(frame, out));  // the sanitizers watch
    }
    Bytes out(content.size());
    EXPECT_FALSE(DecompressLz4Frame({good.data(), at}, out).ok()) << "cut after " << at;
  }
}

}  // namespace
}  // namespace marble

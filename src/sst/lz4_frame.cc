#include "sst/lz4_frame.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>

#include <arrow/util/compression.h>

#include "base/coding.h"

namespace marble {

namespace {

constexpr uint32_t kMagic = 0x184D2204;
// Of the byte behind the magic number.
constexpr uint8_t kVersionMask = 0xC0;
constexpr uint8_t kVersion = 0x40;
constexpr uint8_t kBlockChecksums = 0x10;
constexpr uint8_t kContentSize = 0x08;
constexpr uint8_t kContentChecksum = 0x04;
constexpr uint8_t kDictionary = 0x01;
constexpr uint32_t kStoredBlock = 0x80000000;

/// The one block of a frame.
struct OnlyBlock {
  std::span<const uint8_t> bytes;
  bool stored = false;  // not compressed
};

/// nullopt if the frame has several blocks, checksums or a dictionary, or is none at all.
std::optional<OnlyBlock> FindOnlyBlock(std::span<const uint8_t> frame) {
  if (frame.size() < 7 || LoadLittle<uint32_t>(frame.data()) != kMagic) return std::nullopt;
  const uint8_t flags = frame[4];
  if ((flags & kVersionMask) != kVersion) return std::nullopt;
  if ((flags & (kBlockChecksums | kContentChecksum | kDictionary)) != 0) return std::nullopt;
  const size_t header = 7 + ((flags & kContentSize) != 0 ? 8 : 0);
  constexpr size_t kSizeBytes = 4;  // of a block's length, and of the mark at the end
  if (frame.size() < header + 2 * kSizeBytes) return std::nullopt;
  const auto size = LoadLittle<uint32_t>(frame.data() + header);
  const size_t length = size & ~kStoredBlock;
  if (length != frame.size() - header - 2 * kSizeBytes) return std::nullopt;
  if (LoadLittle<uint32_t>(frame.data() + frame.size() - kSizeBytes) != 0) return std::nullopt;
  return OnlyBlock{frame.subspan(header + kSizeBytes, length), (size & kStoredBlock) != 0};
}

/// The codecs of blocks, which have no state of their own.
const arrow::Result<std::unique_ptr<arrow::util::Codec>>& CodecOf(arrow::Compression::type type) {
  static const auto lz4 = arrow::util::Codec::Create(arrow::Compression::LZ4);
  static const auto lz4_frame = arrow::util::Codec::Create(arrow::Compression::LZ4_FRAME);
  static const auto zstd = arrow::util::Codec::Create(arrow::Compression::ZSTD);
  if (type == arrow::Compression::ZSTD) return zstd;
  return type == arrow::Compression::LZ4 ? lz4 : lz4_frame;
}

}  // namespace

arrow::Status DecompressExactly(arrow::Compression::type type, std::span<const uint8_t> in,
                                std::span<uint8_t> out) {
  const auto& codec = CodecOf(type);
  ARROW_RETURN_NOT_OK(codec.status());
  ARROW_ASSIGN_OR_RAISE(const int64_t length,
                        (*codec)->Decompress(static_cast<int64_t>(in.size()), in.data(),
                                             static_cast<int64_t>(out.size()), out.data()));
  if (length == static_cast<int64_t>(out.size())) return arrow::Status::OK();
  return arrow::Status::Invalid("compressed bytes are ", length, " bytes and not ", out.size());
}

arrow::Status DecompressLz4Frame(std::span<const uint8_t> frame, std::span<uint8_t> out) {
  const std::optional<OnlyBlock> only = FindOnlyBlock(frame);
  if (!only) return DecompressExactly(arrow::Compression::LZ4_FRAME, frame, out);
  if (!only->stored) return DecompressExactly(arrow::Compression::LZ4, only->bytes, out);
  if (only->bytes.size() != out.size()) {
    return arrow::Status::Invalid("stored bytes are ", only->bytes.size(), " and not ", out.size());
  }
  std::ranges::copy(only->bytes, out.begin());
  return arrow::Status::OK();
}

}  // namespace marble

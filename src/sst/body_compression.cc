#include "sst/body_compression.h"

namespace marble {

namespace {

using arrow::Status;

// The most that a stored byte can stand for: LZ4 spends a byte on each 255 of a match, and ZSTD at
// least four on each block, of 128 KiB at most.
constexpr int64_t kLz4RatioMax = 256;
constexpr int64_t kZstdRatioMax = 32768;

}  // namespace

arrow::Result<BodyCompression> BodyCompressionOf(const FlatMessage& message, size_t header) {
  const size_t compression = message.Child(message.Field(header, kRecordBatchCompression));
  if (compression == 0) return BodyCompression::kNone;
  const auto codec = message.Value<uint8_t>(message.Field(compression, kBodyCompressionCodec), 0);
  const auto out = static_cast<BodyCompression>(codec);
  if (out == BodyCompression::kLz4Frame || out == BodyCompression::kZstd) return out;
  return Status::Invalid("the message is compressed by an unknown codec");
}

arrow::Result<std::span<const uint8_t>> StoredBuffer(const FlatMessage& message, size_t pair,
                                                     std::span<const uint8_t> body) {
  const auto offset = message.Load<int64_t>(pair);
  const auto length = message.Load<int64_t>(pair + 8);
  if (offset < 0 || length < 0 || length > static_cast<int64_t>(body.size()) - offset) {
    return Status::Invalid("a buffer leaves the message");
  }
  return body.subspan(static_cast<size_t>(offset), static_cast<size_t>(length));
}

arrow::Result<int64_t> ContentLength(BodyCompression compression, std::span<const uint8_t> stored) {
  if (stored.empty()) return 0;
  const auto bytes = static_cast<int64_t>(stored.size()) - kContentLengthBytes;
  if (bytes < 0) return Status::Invalid("a compressed buffer is shorter than its length");
  const auto length = LoadLittle<int64_t>(stored.data());
  if (length == -1) return bytes;
  const int64_t most = compression == BodyCompression::kLz4Frame ? kLz4RatioMax : kZstdRatioMax;
  if (length >= 0 && length / most <= bytes) return length;
  return Status::Invalid("a compressed buffer of ", bytes, " bytes claims to hold ", length);
}

arrow::Result<BodyCompression> CheckBodyClaims(std::string_view metadata,
                                               std::span<const uint8_t> body) {
  const FlatMessage message(metadata);
  const size_t root = message.Root();
  const auto version = message.Value<int16_t>(message.Field(root, kMessageVersion), 0);
  const auto type = message.Value<uint8_t>(message.Field(root, kMessageHeaderType), 0);
  // Older messages said elsewhere that they are compressed.
  if (version != kMetadataVersion5) return Status::Invalid("the message is of another version");
  if (type != kHeaderTypeRecordBatch) return Status::Invalid("the message is no record batch");
  const size_t header = message.Child(message.Field(root, kMessageHeader));
  ARROW_ASSIGN_OR_RAISE(const BodyCompression compression, BodyCompressionOf(message, header));
  if (compression == BodyCompression::kNone) return compression;
  const size_t vector = message.Child(message.Field(header, kRecordBatchBuffers));
  const size_t count = message.Value<uint32_t>(vector, 0);
  const size_t buffers = message.Pairs(vector, count);
  if (buffers == 0) return Status::Invalid("the message does not say where its buffers are");
  for (size_t i = 0; i < count; ++i) {
    ARROW_ASSIGN_OR_RAISE(const auto stored,
                          StoredBuffer(message, buffers + i * kFlatPairBytes, body));
    ARROW_RETURN_NOT_OK(ContentLength(compression, stored).status());
  }
  return compression;
}

}  // namespace marble

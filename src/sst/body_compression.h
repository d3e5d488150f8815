// How the body of an Arrow IPC record batch is compressed, and what it claims to hold: in front of
// each compressed buffer stands the length of its content (format/Message.fbs, BodyCompression).
// Whoever decompresses allocates that much, so that claims are checked first: no forged file makes
// a process ask for more than its bytes could hold.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <arrow/result.h>
#include <arrow/status.h>

#include "sst/flat_message.h"

namespace marble {

enum class BodyCompression : uint8_t { kLz4Frame = 0, kZstd = 1, kNone = 0xff };

/// In front of a compressed buffer stands the length of its content; -1: it is not compressed.
inline constexpr int64_t kContentLengthBytes = 8;

/// Of the record batch whose header is the table at `header` of a message. Invalid if the codec is
/// unknown.
arrow::Result<BodyCompression> BodyCompressionOf(const FlatMessage& message, size_t header);

/// The stored bytes of a buffer: the pair at `pair` of a message. Invalid if they leave the body.
arrow::Result<std::span<const uint8_t>> StoredBuffer(const FlatMessage& message, size_t pair,
                                                     std::span<const uint8_t> body);

/// Bytes of the content of a buffer of a compressed body. Invalid if so many cannot come out of the
/// stored ones.
arrow::Result<int64_t> ContentLength(BodyCompression compression, std::span<const uint8_t> stored);

/// Checks each buffer of a record batch that Arrow's reader is to decode; how it is compressed.
/// `metadata`: the message's flatbuffer. Invalid if a claim cannot be true, or if it is no record
/// batch as Arrow writes them since format version 5.
arrow::Result<BodyCompression> CheckBodyClaims(std::string_view metadata,
                                               std::span<const uint8_t> body);

}  // namespace marble

// LZ4 frames as Arrow writes them around the buffers of a block. Arrow's own decoder of frames sets
// up a context with buffers for each one, which takes as long as a small block's content; most
// frames hold a single LZ4 block, which can be decompressed in place. Format: LZ4 Frame Format
// 1.6.4.
#pragma once

#include <cstdint>
#include <span>

#include <arrow/status.h>
#include <arrow/util/type_fwd.h>

namespace marble {

/// Decompresses bytes of a codec of Arrow's that must be exactly out.size() bytes. Invalid if they
/// are not.
arrow::Status DecompressExactly(arrow::Compression::type codec, std::span<const uint8_t> in,
                                std::span<uint8_t> out);

/// Decompresses a frame that must hold exactly out.size() bytes. Invalid if it does not.
arrow::Status DecompressLz4Frame(std::span<const uint8_t> frame, std::span<uint8_t> out);

}  // namespace marble

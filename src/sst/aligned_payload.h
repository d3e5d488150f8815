// Record batch messages whose buffers all begin at multiples of 64 bytes. Arrow's writer pads the
// metadata of a message to options.alignment, but the buffers of its body only to 8 bytes (seen in
// Arrow 26).
#pragma once

#include <arrow/ipc/writer.h>
#include <arrow/status.h>

namespace marble {

/// Changes a record batch's payload, as GetRecordBatchPayload made it, so that every buffer begins
/// at a multiple of 64 in the body and the body is a multiple of 64 long. No buffer is copied.
arrow::Status AlignPayload(arrow::ipc::IpcPayload* payload);

}  // namespace marble

#include "sst/aligned_payload.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/buffer.h>

#include "base/coding.h"
#include "sst/flat_message.h"
#include "sst/sst_format.h"

namespace marble {

namespace {

int64_t RoundUp(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

// Zero bytes, `bytes` < 64.
std::shared_ptr<arrow::Buffer> Padding(int64_t bytes) {
  static constexpr uint8_t kZeros[kSstSectionAlignment] = {};
  return std::make_shared<arrow::Buffer>(kZeros, bytes);
}

// Replaces a number that must be there.
bool Exchange(std::string* bytes, size_t position, int64_t expected, int64_t value) {
  if (FlatMessage(*bytes).Value<int64_t>(position, ~expected) != expected) return false;
  StoreLittle<int64_t>(bytes->data() + position, value);
  return true;
}

}  // namespace

arrow::Status AlignPayload(arrow::ipc::IpcPayload* payload) {
  const auto unknown = [] {
    return arrow::Status::UnknownError("Arrow's record batch message is not laid out as expected");
  };
  std::string bytes = payload->metadata->ToString();
  const FlatMessage message(bytes);
  const size_t root = message.Root();
  const size_t header = message.Child(message.Field(root, kMessageHeader));
  const size_t count = payload->body_buffers.size();
  if (count == 0) return arrow::Status::OK();
  const size_t buffers =
      message.Pairs(message.Child(message.Field(header, kRecordBatchBuffers)), count);
  if (buffers == 0) return unknown();
  std::vector<std::shared_ptr<arrow::Buffer>> body;
  body.reserve(2 * count);
  int64_t old_offset = 0;
  int64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    std::shared_ptr<arrow::Buffer>& buffer = payload->body_buffers[i];
    const int64_t size = buffer == nullptr ? 0 : buffer->size();
    if (!Exchange(&bytes, buffers + i * kFlatPairBytes, old_offset, offset)) return unknown();
    body.push_back(std::move(buffer));
    // Arrow pads what it is given to 8 bytes, so the padding up to 64 is a buffer of its own.
    const int64_t padded = RoundUp(size, 8);
    const int64_t aligned = RoundUp(size, kSstSectionAlignment);
    if (aligned > padded) body.push_back(Padding(aligned - padded));
    old_offset += padded;
    offset += aligned;
  }
  if (old_offset != payload->body_length) return unknown();
  if (offset != old_offset &&
      !Exchange(&bytes, message.Field(root, kMessageBodyLength), old_offset, offset)) {
    return unknown();
  }
  payload->metadata = arrow::Buffer::FromString(std::move(bytes));
  payload->body_buffers = std::move(body);
  payload->body_length = offset;
  return arrow::Status::OK();
}

}  // namespace marble

#include "sst/aligned_payload.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arrow/buffer.h>

#include "base/coding.h"
#include "sst/sst_format.h"

namespace marble {

namespace {

// Field numbers of Arrow's flatbuffers schema (format/Message.fbs), which never change.
constexpr int kMessageHeader = 2;
constexpr int kMessageBodyLength = 3;
constexpr int kRecordBatchBuffers = 2;
constexpr size_t kBufferBytes = 16;  // struct Buffer {offset: int64, length: int64}

int64_t RoundUp(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

// Zero bytes, `bytes` < 64.
std::shared_ptr<arrow::Buffer> Padding(int64_t bytes) {
  static constexpr uint8_t kZeros[kSstSectionAlignment] = {};
  return std::make_shared<arrow::Buffer>(kZeros, bytes);
}

// A finished flatbuffer, of which a few fields are found and overwritten. Positions are checked,
// because they come from another library; 0 = not there.
class FlatMessage {
 public:
  explicit FlatMessage(const arrow::Buffer& bytes)
      : bytes_(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(bytes.size())) {}

  size_t Root() const { return Follow(0); }
  /// Position of a field of the table at `table`.
  size_t Field(size_t table, int number) const {
    if (table == 0 || !Holds(table, 4)) return 0;
    const size_t vtable = table - static_cast<size_t>(int64_t{Load<int32_t>(table)});
    const size_t entry = vtable + 4 + 2 * static_cast<size_t>(number);
    if (!Holds(vtable, 4) || entry + 2 > vtable + Load<uint16_t>(vtable) || !Holds(entry, 2)) {
      return 0;
    }
    const size_t offset = Load<uint16_t>(entry);
    return offset == 0 ? 0 : table + offset;
  }
  /// Where the offset at `position` points to.
  size_t Follow(size_t position) const {
    return Holds(position, 4) ? position + Load<uint32_t>(position) : 0;
  }
  bool Holds(size_t position, size_t length) const {
    return position <= bytes_.size() && length <= bytes_.size() - position;
  }
  template <typename T>
  T Load(size_t position) const {
    return LoadLittle<T>(bytes_.data() + position);
  }
  /// Replaces a number that must be there.
  bool Exchange(size_t position, int64_t expected, int64_t value) {
    if (position == 0 || !Holds(position, 8) || Load<int64_t>(position) != expected) return false;
    StoreLittle<int64_t>(bytes_.data() + position, value);
    return true;
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace

arrow::Status AlignPayload(arrow::ipc::IpcPayload* payload) {
  const auto unknown = [] {
    return arrow::Status::UnknownError("Arrow's record batch message is not laid out as expected");
  };
  FlatMessage message(*payload->metadata);
  const size_t root = message.Root();
  const size_t header = message.Field(root, kMessageHeader);
  const size_t field = header == 0 ? 0 : message.Field(message.Follow(header), kRecordBatchBuffers);
  const size_t buffers = field == 0 ? 0 : message.Follow(field);
  const size_t count = payload->body_buffers.size();
  if (count == 0) return arrow::Status::OK();
  if (buffers == 0 || !message.Holds(buffers, 4 + count * kBufferBytes) ||
      message.Load<uint32_t>(buffers) != count) {
    return unknown();
  }
  std::vector<std::shared_ptr<arrow::Buffer>> body;
  body.reserve(2 * count);
  int64_t old_offset = 0;
  int64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    std::shared_ptr<arrow::Buffer>& buffer = payload->body_buffers[i];
    const int64_t size = buffer == nullptr ? 0 : buffer->size();
    if (!message.Exchange(buffers + 4 + i * kBufferBytes, old_offset, offset)) return unknown();
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
      !message.Exchange(message.Field(root, kMessageBodyLength), old_offset, offset)) {
    return unknown();
  }
  payload->metadata = arrow::Buffer::FromString(message.Take());
  payload->body_buffers = std::move(body);
  payload->body_length = offset;
  return arrow::Status::OK();
}

}  // namespace marble

// Finds fields in the metadata of an Arrow IPC message, a flatbuffer, without Arrow's decoder.
// Every position is checked, so that no bytes, however damaged, lead out of the message. A view:
// the bytes must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/coding.h"

namespace marble {

// Field numbers of Arrow's flatbuffers schema (format/Message.fbs), which never change.
inline constexpr int kMessageVersion = 0;
inline constexpr int kMessageHeaderType = 1;
inline constexpr int kMessageHeader = 2;
inline constexpr int kMessageBodyLength = 3;
inline constexpr int kRecordBatchLength = 0;
inline constexpr int kRecordBatchNodes = 1;
inline constexpr int kRecordBatchBuffers = 2;
inline constexpr int kRecordBatchCompression = 3;
inline constexpr int kBodyCompressionCodec = 0;
inline constexpr int16_t kMetadataVersion5 = 4;
inline constexpr uint8_t kHeaderTypeRecordBatch = 3;
// struct FieldNode {length: int64, null_count: int64}, struct Buffer {offset: int64, length: int64}
inline constexpr size_t kFlatPairBytes = 16;

class FlatMessage {
 public:
  explicit FlatMessage(std::string_view bytes) : bytes_(bytes) {}

  // Positions are of the message; 0 = not there, also from a 0.

  size_t Root() const { return Follow(0); }
  /// Of a field of the table at `table`.
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
  /// Of what the field at `position` points to.
  size_t Child(size_t position) const { return position == 0 ? 0 : Follow(position); }
  /// Of the first of `count` pairs of a vector; 0 if it has another number of them.
  size_t Pairs(size_t vector, size_t count) const {
    if (vector == 0 || !Holds(vector, 4) || Load<uint32_t>(vector) != count) return 0;
    return Holds(vector + 4, count * kFlatPairBytes) ? vector + 4 : 0;
  }
  bool Holds(size_t position, size_t length) const {
    return position <= bytes_.size() && length <= bytes_.size() - position;
  }
  /// Needs Holds.
  template <typename T>
  T Load(size_t position) const {
    return LoadLittle<T>(bytes_.data() + position);
  }
  /// The number at a field's position, or what it is if the message does not say.
  template <typename T>
  T Value(size_t position, T otherwise) const {
    return position != 0 && Holds(position, sizeof(T)) ? Load<T>(position) : otherwise;
  }

 private:
  size_t Follow(size_t position) const {
    return Holds(position, 4) ? position + Load<uint32_t>(position) : 0;
  }

  std::string_view bytes_;
};

}  // namespace marble

#include "base/coding.h"

namespace marble {

void PutBytes(std::string* out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out->append(bytes);
}

bool Decoder::Varint(uint64_t* out) {
  uint64_t value = 0;
  for (int shift = 0; ok_ && !input_.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(input_.front());
    input_.remove_prefix(1);
    // The tenth byte may carry one bit only: more would not fit 64. So it is the last.
    if (shift == 63 && byte > 1) return Fail();
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *out = value;
      return true;
    }
  }
  return Fail();
}

bool Decoder::Bytes(std::string_view* out) {
  uint64_t length = 0;
  if (!Varint(&length)) return false;
  if (length > input_.size()) return Fail();
  *out = input_.substr(0, length);
  input_.remove_prefix(length);
  return true;
}

bool Decoder::Bytes(std::string* out) {
  std::string_view view;
  if (!Bytes(&view)) return false;
  out->assign(view);
  return true;
}

bool Decoder::Skip(size_t n) {
  if (!ok_ || input_.size() < n) return Fail();
  input_.remove_prefix(n);
  return true;
}

}  // namespace marble

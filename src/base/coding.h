// Little-endian integers, varints and length-prefixed strings; and a Decoder that never reads past
// its end. Used by the log, the manifest and SSTable sections.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace marble {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

template <typename T>
inline T LoadLittle(const void* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}
template <typename T>
inline void StoreLittle(void* p, T value) {
  std::memcpy(p, &value, sizeof(T));
}
inline uint64_t LoadBig64(const void* p) { return __builtin_bswap64(LoadLittle<uint64_t>(p)); }
inline void StoreBig64(void* p, uint64_t value) { StoreLittle(p, __builtin_bswap64(value)); }

template <typename T>
inline void PutFixed(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(T));
}
inline constexpr size_t kVarintBytesMax = 10;
/// Writes at most kVarintBytesMax bytes and returns their end.
inline char* EncodeVarint(char* out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}
inline void PutVarint(std::string* out, uint64_t value) {
  char bytes[kVarintBytesMax];
  out->append(bytes, static_cast<size_t>(EncodeVarint(bytes, value) - bytes));
}
void PutBytes(std::string* out, std::string_view bytes);  // varint length, bytes

/// Reads what the Put functions wrote. After the first failure every call fails and ok() is false.
class Decoder {
 public:
  explicit Decoder(std::string_view input) : input_(input) {}

  template <typename T>
  bool Fixed(T* out) {
    if (!ok_ || input_.size() < sizeof(T)) return Fail();
    *out = LoadLittle<T>(input_.data());
    input_.remove_prefix(sizeof(T));
    return true;
  }
  bool Varint(uint64_t* out);
  bool Bytes(std::string_view* out);  // points into the input
  bool Bytes(std::string* out);
  bool Skip(size_t n);

  bool ok() const { return ok_; }
  bool AtEnd() const { return input_.empty(); }
  std::string_view rest() const { return input_; }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }
  std::string_view input_;
  bool ok_ = true;
};

}  // namespace marble

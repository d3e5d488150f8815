#include "sst/zone_bound.h"

#include <cstdint>

namespace marble {

namespace {

bool IsContinuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// Start of the character that holds the last byte of `text`.
size_t LastCharacter(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && IsContinuation(text[at])) --at;
  return at;
}

uint32_t DecodeCharacter(std::string_view bytes) {
  const auto lead = static_cast<uint8_t>(bytes[0]);
  uint32_t point = lead < 0x80 ? lead : lead & (0x7Fu >> bytes.size());
  for (size_t i = 1; i < bytes.size(); ++i) {
    point = (point << 6) | (static_cast<uint8_t>(bytes[i]) & 0x3F);
  }
  return point;
}

void AppendCharacter(uint32_t point, std::string* out) {
  const auto tail = [&](int shift) {
    out->push_back(static_cast<char>(0x80 | ((point >> shift) & 0x3F)));
  };
  if (point < 0x80) {
    out->push_back(static_cast<char>(point));
  } else if (point < 0x800) {
    out->push_back(static_cast<char>(0xC0 | (point >> 6)));
    tail(0);
  } else if (point < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | (point >> 12)));
    tail(6);
    tail(0);
  } else {
    out->push_back(static_cast<char>(0xF0 | (point >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

// UTF-8 orders as its code points do: the next string of the same characters but a greater last
// one. A greater last character may be a byte longer, which the callers' limit of bytes has to
// bear.
std::optional<std::string> NextText(std::string_view prefix) {
  while (!prefix.empty()) {
    const size_t at = LastCharacter(prefix);
    uint32_t point = DecodeCharacter(prefix.substr(at));
    prefix = prefix.substr(0, at);
    if (point >= 0x10FFFF) continue;
    point = point + 1 == 0xD800 ? 0xE000 : point + 1;  // surrogates are no characters
    std::string next(prefix);
    AppendCharacter(point, &next);
    if (next.size() <= kZoneBoundBytes) return next;
  }
  return std::nullopt;
}

std::optional<std::string> NextBytes(std::string_view prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xFF) prefix.remove_suffix(1);
  if (prefix.empty()) return std::nullopt;
  std::string next(prefix);
  next.back() = static_cast<char>(static_cast<uint8_t>(next.back()) + 1);
  return next;
}

}  // namespace

std::string_view ZoneLowerBound(std::string_view value, bool is_text) {
  if (value.size() <= kZoneBoundBytes) return value;
  size_t cut = kZoneBoundBytes;
  while (is_text && cut > 0 && IsContinuation(value[cut])) --cut;
  return value.substr(0, cut);
}

std::optional<std::string> ZoneUpperBound(std::string_view value, bool is_text) {
  if (value.size() <= kZoneBoundBytes) return std::string(value);
  const std::string_view prefix = ZoneLowerBound(value, is_text);
  return is_text ? NextText(prefix) : NextBytes(prefix);
}

}  // namespace marble

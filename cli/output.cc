#include "output.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include <arrow/type_traits.h>
#include <arrow/util/checked_cast.h>

namespace marble::cli {
namespace {

using arrow::internal::checked_cast;

/// Length of the UTF-8 character that `text` begins with; 0 if it begins with none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t length = byte(0) < 0x80                       ? 1
                        : byte(0) >= 0xc2 && byte(0) < 0xe0  ? 2
                        : byte(0) >= 0xe0 && byte(0) < 0xf0  ? 3
                        : byte(0) >= 0xf0 && byte(0) <= 0xf4 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

std::string Hexadecimal(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

/// Text and bytes of a value of a binary-like type.
std::string_view BytesOf(const arrow::Scalar& value) {
  const auto& buffer = checked_cast<const arrow::BaseBinaryScalar&>(value).value;
  return buffer == nullptr ? std::string_view() : std::string_view(*buffer);
}

bool IsText(arrow::Type::type id) {
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING ||
         id == arrow::Type::STRING_VIEW;
}

bool IsBytes(arrow::Type::type id) {
  return id == arrow::Type::BINARY || id == arrow::Type::LARGE_BINARY ||
         id == arrow::Type::BINARY_VIEW || id == arrow::Type::FIXED_SIZE_BINARY;
}

/// Text of a value that is not null, not escaped.
std::string PlainText(const arrow::Scalar& value) {
  const arrow::Type::type id = value.type->id();
  if (IsText(id)) return std::string(BytesOf(value));
  if (IsBytes(id)) return Hexadecimal(BytesOf(value));
  if (id == arrow::Type::DICTIONARY) {
    auto decoded = checked_cast<const arrow::DictionaryScalar&>(value).GetEncodedValue();
    if (decoded.ok() && (*decoded)->is_valid) return PlainText(**decoded);
  }
  return value.ToString();
}

/// The shortest text that is read as the same number.
template <typename T>
std::string JsonNumber(T number) {
  if (!std::isfinite(number)) return JsonText(std::to_string(number));
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, number).ptr);
}

bool IsNumber(std::string_view cell) {
  const size_t digit = cell.starts_with('-') ? 1 : 0;
  return cell.size() > digit && cell[digit] >= '0' && cell[digit] <= '9' &&
         cell.find_first_not_of("0123456789+-.e") == std::string_view::npos;
}

/// Characters, not bytes.
size_t WidthOf(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char byte) { return (byte & 0xc0) != 0x80; }));
}

}  // namespace

std::string JsonText(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const char first = text.front();
    char escaped[8];
    if (length == 0) {
      json += "\\ufffd";
    } else if (first == '"' || first == '\\') {
      json += '\\';
      json += first;
    } else if (length == 1 && static_cast<unsigned char>(first) < 0x20) {
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(first));
      json += escaped;
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return json + "\"";
}

std::string JsonValue(const arrow::Scalar& value) {
  if (!value.is_valid) return "null";
  const arrow::Type::type id = value.type->id();
  if (id == arrow::Type::BOOL || arrow::is_integer(id)) return value.ToString();
  if (id == arrow::Type::FLOAT || id == arrow::Type::DOUBLE) {
    return id == arrow::Type::FLOAT
               ? JsonNumber(checked_cast<const arrow::FloatScalar&>(value).value)
               : JsonNumber(checked_cast<const arrow::DoubleScalar&>(value).value);
  }
  if (id == arrow::Type::DICTIONARY) {
    auto decoded = checked_cast<const arrow::DictionaryScalar&>(value).GetEncodedValue();
    if (decoded.ok()) return JsonValue(**decoded);
  }
  return JsonText(PlainText(value));
}

std::string ShownText(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const auto first = static_cast<unsigned char>(text.front());
    // The control characters of Latin 1 are two bytes, the first of them 0xc2.
    const bool control =
        first < 0x20 || first == 0x7f ||
        (length == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0);
    if (length == 0 || control) {
      shown += "\\x" + Hexadecimal(text.substr(0, std::max<size_t>(length, 1)));
    } else {
      shown += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return shown;
}

std::string ShownValue(const arrow::Scalar& value) {
  return value.is_valid ? ShownText(PlainText(value)) : "null";
}

JsonObject& JsonObject::AddJson(std::string_view name, std::string_view value) {
  if (!members_.empty()) members_ += ", ";
  members_ += JsonText(name) + ": ";
  members_ += value;
  return *this;
}

std::string JsonArray(const std::vector<std::string>& values) {
  std::string json = "[";
  for (const std::string& value : values) {
    if (json.size() > 1) json += ", ";
    json += value;
  }
  return json + "]";
}

void TextTable::Print() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string space(widths[i] - WidthOf(row[i]), ' ');
      const bool right = IsNumber(row[i]);
      line += right ? space + row[i] : row[i] + space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    PrintLine(line);
  }
}

ProgressLine::ProgressLine() : on_terminal_(::isatty(STDERR_FILENO) != 0) {}

void ProgressLine::Clear() {
  if (is_shown_) std::fputs("\r\033[K", stderr);
  is_shown_ = false;
}

void ProgressLine::Show(std::string_view text, int64_t done, int64_t total) {
  if (!on_terminal_) return;
  constexpr size_t kWidth = 60;  // what is wrapped is not wiped away
  const std::string shown = ShownText(text);
  size_t length = 0;
  while (length < shown.size() && length < kWidth) {
    length += std::max<size_t>(CharacterLength(std::string_view(shown).substr(length)), 1);
  }
  std::string line = "\r\033[K" + shown.substr(0, length);
  if (total > 0) line += ", " + std::to_string(done * 100 / total) + " %";
  std::fputs(line.c_str(), stderr);
  is_shown_ = true;
}

void PrintLine(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

}  // namespace marble::cli

#include "base/document.h"

#include <algorithm>

#include <arrow/util/utf8.h>

namespace marble {

namespace {

constexpr char kDigits[] = "0123456789abcdef";

void AppendHex(uint8_t byte, std::string* out) {
  out->push_back(kDigits[byte >> 4]);
  out->push_back(kDigits[byte & 15]);
}

void AppendQuoted(std::string_view text, std::string* out) {
  arrow::util::InitializeUTF8();
  const bool valid = arrow::util::ValidateUTF8(text);
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      *out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !valid)) {
      *out += "\\u00";
      AppendHex(byte, out);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

/// Without control characters, which a terminal would obey.
std::string Shown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<uint8_t>(c) >= 0x20 && c != 0x7f) {
      out.push_back(c);
    } else {
      out += "\\x";
      AppendHex(static_cast<uint8_t>(c), &out);
    }
  }
  return out;
}

void Indent(int depth, std::string* out) { out->append(static_cast<size_t>(depth) * 2, ' '); }

}  // namespace

std::string Printable(std::string_view bytes, size_t bytes_max) {
  std::string text;
  for (const char c : bytes.substr(0, bytes_max)) {
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      text.push_back(c);
    } else {
      text += "\\x";
      AppendHex(static_cast<uint8_t>(c), &text);
    }
  }
  if (bytes.size() > bytes_max) text += "... (" + std::to_string(bytes.size()) + " bytes)";
  return text;
}

bool Document::IsFlat() const {
  return kind_ == Kind::kObject &&
         std::ranges::all_of(items_, [](const auto& item) { return item.second.is_scalar(); });
}

std::string Document::ToJson() const {
  std::string out;
  WriteJson(0, &out);
  out.push_back('\n');
  return out;
}

void Document::WriteJson(int depth, std::string* out) const {
  if (kind_ == Kind::kText) return AppendQuoted(text_, out);
  if (kind_ == Kind::kPlain) {
    *out += text_;
    return;
  }
  const bool is_object = kind_ == Kind::kObject;
  out->push_back(is_object ? '{' : '[');
  for (size_t i = 0; i < items_.size(); ++i) {
    *out += i == 0 ? "\n" : ",\n";
    Indent(depth + 1, out);
    if (is_object) {
      AppendQuoted(items_[i].first, out);
      *out += ": ";
    }
    items_[i].second.WriteJson(depth + 1, out);
  }
  if (!items_.empty()) {
    out->push_back('\n');
    Indent(depth, out);
  }
  out->push_back(is_object ? '}' : ']');
}

std::string Document::ToText() const {
  std::string out;
  WriteText(0, &out);
  return out;
}

void Document::WriteLine(std::string* out) const {
  for (size_t i = 0; i < items_.size(); ++i) {
    if (i > 0) *out += "  ";
    *out += items_[i].first + "=" + Shown(items_[i].second.text_);
  }
}

void Document::WriteText(int depth, std::string* out) const {
  for (const auto& [name, value] : items_) {
    Indent(depth, out);
    const bool on_this_line = value.is_scalar() || value.IsFlat();
    if (kind_ == Kind::kArray) *out += on_this_line ? "- " : "-";
    if (kind_ == Kind::kObject) *out += name + ":";
    if (value.is_scalar()) {
      if (kind_ == Kind::kObject) out->push_back(' ');
      *out += Shown(value.text_) + "\n";
    } else if (kind_ == Kind::kArray && value.IsFlat()) {
      value.WriteLine(out);
      out->push_back('\n');
    } else {
      *out += kind_ == Kind::kArray ? "\n" : value.empty() ? " none\n" : "\n";
      value.WriteText(depth + 1, out);
    }
  }
}

}  // namespace marble

// A tree of names and values that is written as JSON or as readable text: what reports and dumps
// are made of. A value type; not thread-safe.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace marble {

class Document {
 public:
  static Document Object() { return Document(Kind::kObject); }
  static Document Array() { return Document(Kind::kArray); }
  /// Any bytes; what is no UTF-8 is written as the code points of its bytes.
  static Document Text(std::string_view text) { return Document(Kind::kText, std::string(text)); }
  static Document Number(std::integral auto number) {
    return Document(Kind::kPlain, std::to_string(number));
  }
  static Document Bool(bool value) { return Document(Kind::kPlain, value ? "true" : "false"); }

  /// To an object. The order is kept.
  Document& Add(std::string name, Document value) {
    items_.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  Document& Add(std::string name, std::string_view text) {
    return Add(std::move(name), Text(text));
  }
  Document& Add(std::string name, const char* text) { return Add(std::move(name), Text(text)); }
  template <std::integral Number_>
  Document& Add(std::string name, Number_ number) {
    if constexpr (std::same_as<Number_, bool>) return Add(std::move(name), Bool(number));
    return Add(std::move(name), Number(number));
  }
  /// To an array.
  Document& Append(Document value) {
    items_.emplace_back(std::string(), std::move(value));
    return *this;
  }
  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size(); }

  /// Indented by two spaces, ended by a line break.
  std::string ToJson() const;
  /// A line a name; objects of plain values in arrays take one line each.
  std::string ToText() const;

 private:
  enum class Kind : uint8_t { kObject, kArray, kText, kPlain };

  explicit Document(Kind kind, std::string text = "") : kind_(kind), text_(std::move(text)) {}
  bool is_scalar() const { return kind_ == Kind::kText || kind_ == Kind::kPlain; }
  /// An object whose values are all plain.
  bool IsFlat() const;
  void WriteJson(int depth, std::string* out) const;
  void WriteText(int depth, std::string* out) const;
  void WriteLine(std::string* out) const;

  Kind kind_;
  std::string text_;
  std::vector<std::pair<std::string, Document>> items_;
};

/// The bytes as printable ASCII: others as \xNN; of more than `bytes_max` only the first, and how
/// many there are.
std::string Printable(std::string_view bytes, size_t bytes_max = 48);

}  // namespace marble

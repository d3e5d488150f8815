// Tables of text for people, and JSON for programs. Collects nothing larger than what is printed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/scalar.h>

namespace marble::cli {

/// As a JSON text in quotes. Bytes that are no UTF-8 become U+FFFD.
std::string JsonText(std::string_view text);
/// A value as JSON: numbers, booleans and null as such, bytes as hexadecimal text, what JSON has no
/// form for as text.
std::string JsonValue(const arrow::Scalar& value);
/// A value for people, on one line and without control characters.
std::string ShownValue(const arrow::Scalar& value);
/// Text without control characters: a terminal would obey them.
std::string ShownText(std::string_view text);

/// Members of a JSON object, in the order they were added.
class JsonObject {
 public:
  /// `value` is JSON.
  JsonObject& AddJson(std::string_view name, std::string_view value);
  JsonObject& Add(std::string_view name, std::string_view text) {
    return AddJson(name, JsonText(text));
  }
  JsonObject& Add(std::string_view name, int64_t number) {
    return AddJson(name, std::to_string(number));
  }
  std::string Text() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};
std::string JsonArray(const std::vector<std::string>& values);

/// Columns of equal width, numbers to the right.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) : rows_{std::move(head)} {}
  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void Print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// One line on the terminal that standard error is, which each Show writes over; elsewhere nothing.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// `total` <= 0: it is not known.
  void Show(std::string_view text, int64_t done, int64_t total);
  /// Wipes the line away; the end does so too.
  void Clear();

 private:
  const bool on_terminal_;
  bool is_shown_ = false;
};

/// A line on standard output.
void PrintLine(std::string_view line);

}  // namespace marble::cli

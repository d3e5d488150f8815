#include "fuzz/fuzz_tables.h"

#include <arrow/array.h>
#include <arrow/json/from_string.h>

namespace marble::fuzz {

namespace {

std::string Text(const std::string& text) { return "\"" + text + "\""; }
std::string Number(int n) { return std::to_string(n); }

/// Row n, one JSON value a column.
std::vector<std::string> RowOf(Family family, int n) {
  const bool null = n % 7 == 3;
  const auto or_null = [&](const std::string& text) { return null ? "null" : text; };
  switch (family) {
    case Family::kPairs:
      return {Text("key" + Number(1000 + n)), or_null(Text("value of " + Number(n)))};
    case Family::kNumbers:
      return {Number(n - 5),
              Text(Number(n % 3) + ".25"),
              or_null(n % 2 == 0 ? "true" : "false"),
              or_null(Number(n % 256)),
              or_null(Number(n) + ".5"),
              or_null(Number(n)),
              or_null(Number(1000003 * n)),
              or_null(Number(n % 86400))};
    case Family::kTexts:
      return {Text("name " + Number(n)), or_null(Text("raw" + Number(n))),
              or_null(Text("large " + Number(n))), or_null(Text(Number(100 + n % 900)))};
    case Family::kNested:
      return {Text("id" + Number(n)), or_null("[" + Number(n) + ", null, 7]"),
              or_null("{\"x\": " + Number(n) + ", \"y\": [\"a\"]}"),
              or_null("[[\"k\", " + Number(n) + "]]"), or_null("[1, " + Number(n % 100) + "]")};
    case Family::kConverted:
      return {Number(n), or_null(Text(n % 2 == 0 ? "red" : "green")),
              or_null(Text("a view that is longer than its inline bytes " + Number(n))), "null"};
  }
  return {};
}

}  // namespace

const char* NameOf(Family family) {
  static constexpr const char* kNames[] = {"pairs", "numbers", "texts", "nested", "converted"};
  return kNames[static_cast<size_t>(family)];
}

std::shared_ptr<arrow::Schema> SchemaOf(Family family) {
  using namespace arrow;  // NOLINT: names of types only
  switch (family) {
    case Family::kPairs:
      return schema({field("key", binary(), false), field("value", binary())});
    case Family::kNumbers:
      return schema({field("int", int32(), false), field("decimal", decimal128(9, 2), false),
                     field("flag", boolean()), field("small", uint8()), field("ratio", float64()),
                     field("day", date32()), field("moment", timestamp(TimeUnit::MICRO, "UTC")),
                     field("time", time32(TimeUnit::SECOND))});
    case Family::kTexts:
      return schema({field("name", utf8(), false), field("raw", binary()),
                     field("large", large_utf8()), field("fixed", fixed_size_binary(3))});
    case Family::kNested:
      return schema({field("id", utf8(), false), field("list", list(int16())),
                     field("pair", struct_({field("x", int64()), field("y", large_list(utf8()))})),
                     field("map", map(utf8(), int32())), field("two", fixed_size_list(int8(), 2))});
    case Family::kConverted:
      return schema({field("n", int64(), false), field("color", dictionary(int8(), utf8())),
                     field("view", utf8_view()), field("nothing", arrow::null())});
  }
  return nullptr;
}

std::vector<std::string> KeyOf(Family family) {
  const auto schema = SchemaOf(family);
  if (family == Family::kNumbers) return {schema->field(0)->name(), schema->field(1)->name()};
  return {schema->field(0)->name()};
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> RowsOf(Family family, int first, int count) {
  const auto schema = SchemaOf(family);
  std::vector<std::string> columns(static_cast<size_t>(schema->num_fields()), "[");
  for (int n = first; n < first + count; ++n) {
    const auto values = RowOf(family, n);
    for (size_t c = 0; c < columns.size(); ++c) columns[c] += (n > first ? "," : "") + values[c];
  }
  arrow::ArrayVector arrays;
  for (size_t c = 0; c < columns.size(); ++c) {
    ARROW_ASSIGN_OR_RAISE(
        auto array, arrow::json::ArrayFromJSONString(schema->field(static_cast<int>(c))->type(),
                                                     columns[c] + "]"));
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(schema, count, std::move(arrays));
}

}  // namespace marble::fuzz

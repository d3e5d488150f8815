// How large rows of types that share values become when they are stored plainly: an estimate that
// is too low would let a small file fill memory.
#include "table/decoded_size.h"

#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/extension/json.h>
#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

namespace marble {
namespace {

using arrow::field;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

ArrayPtr FromJson(const TypePtr& type, const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

int64_t BytesMaxOf(const arrow::ArrayVector& columns) {
  arrow::FieldVector fields;
  for (const ArrayPtr& column : columns) fields.push_back(field("c", column->type()));
  return StoredRowBytesMax(
      *arrow::RecordBatch::Make(arrow::schema(fields), columns[0]->length(), columns));
}

/// A dictionary array whose values are one text of `size` bytes and a shorter one.
ArrayPtr Dictionary(int64_t rows, size_t size) {
  arrow::StringBuilder values;
  EXPECT_TRUE(values.Append(std::string(size, 'v')).ok());
  EXPECT_TRUE(values.Append("").ok());
  arrow::Int8Builder indices;
  EXPECT_TRUE(indices.AppendValues(std::vector<int8_t>(static_cast<size_t>(rows), 0)).ok());
  return arrow::DictionaryArray::FromArrays(indices.Finish().ValueOrDie(),
                                            values.Finish().ValueOrDie())
      .ValueOrDie();
}

TEST(StoredRowBytesMax, OfTypesThatShareNothingIsNotAsked) {
  for (const TypePtr& type :
       {arrow::int64(), arrow::utf8(), arrow::large_binary(), arrow::list(arrow::utf8()),
        arrow::struct_({field("a", arrow::map(arrow::utf8(), arrow::int8()))})}) {
    EXPECT_EQ(BytesMaxOf({arrow::MakeArrayOfNull(type, 3).ValueOrDie()}), 0) << type->ToString();
  }
}

TEST(StoredRowBytesMax, IsTheLongestListOfTheLongestValues) {
  struct Case {
    TypePtr type;
    const char* json;
    int64_t bytes;
  };
  const TypePtr text = arrow::utf8_view();
  const std::vector<Case> cases = {
      {text, R"(["abc", null, "longer than twelve bytes"])", 24},
      {arrow::binary_view(), R"(["abc"])", 3},
      {text, R"(["", null])", 1},  // shared, though nothing is
      {arrow::list(text), R"([["ab", "c"], null, [], ["x", "yyyy", null]])", 3 * 4},
      {arrow::large_list(text), R"([["ab", "c"], null, ["x"]])", 2 * 2},
      {arrow::fixed_size_list(text, 2), R"([["ab", "c"], null, ["x", "yyy"]])", 2 * 3},
      {arrow::map(arrow::utf8(), text), R"([[["k", "abc"], ["key", "d"]], null])", 2 * (3 + 3)},
      {arrow::list_view(arrow::int32()), "[[1, 2], null, [3]]", 2 * 4},
      {arrow::large_list_view(arrow::boolean()), "[[true, false, null], [true]]", 3},
      {arrow::large_list_view(arrow::null()), "[[null], null]", 1},
      {arrow::list_view(arrow::large_utf8()), R"([["abcd", null], [""]])", 2 * 4},
      {arrow::struct_({field("n", arrow::int64()), field("b", arrow::binary()),
                       field("t", arrow::list(text))}),
       R"([{"n": 1, "b": "abc", "t": ["xy", ""]}, {"n": 1, "b": null, "t": null}, null])",
       8 + 3 + 2 * 2},
      {arrow::list(arrow::struct_({field("b", arrow::large_binary()), field("t", text)})),
       R"([[{"b": "abc", "t": "x"}, {"b": null, "t": null}]])", 2 * (3 + 1)},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(BytesMaxOf({FromJson(one.type, one.json)}), one.bytes) << one.type->ToString();
  }
}

TEST(StoredRowBytesMax, IsTheSumOfTheColumnsThatShare) {
  const ArrayPtr text = FromJson(arrow::utf8_view(), R"(["abc"])");
  EXPECT_EQ(BytesMaxOf({text, FromJson(arrow::int64(), "[1]"), text}), 3 + 3);
}

TEST(StoredRowBytesMax, OfDictionariesAndRunsIsThatOfTheirLongestValue) {
  EXPECT_EQ(BytesMaxOf({Dictionary(5, 1000)}), 1000);
  const ArrayPtr values = FromJson(arrow::list(arrow::utf8()), R"([["abc", "d"], [], null])");
  const ArrayPtr runs =
      arrow::RunEndEncodedArray::Make(1000, FromJson(arrow::int32(), "[10, 20, 1000]"), values)
          .ValueOrDie();
  EXPECT_EQ(BytesMaxOf({runs}), 2 * 3);
}

TEST(StoredRowBytesMax, OfAnExtensionTypeIsThatOfItsStorage) {
  const TypePtr type = arrow::extension::json(arrow::utf8_view());
  const ArrayPtr array =
      arrow::ExtensionType::WrapArray(type, FromJson(arrow::utf8_view(), R"(["[1, 2]"])"));
  EXPECT_EQ(BytesMaxOf({array}), 6);
}

TEST(StoredRowBytesMax, DoesNotOverflow) {
  // Each list has as many texts of 1 MiB as would fill 2 TiB; the file has 3 MiB.
  constexpr int64_t kElements = int64_t{1} << 21;
  const ArrayPtr texts = Dictionary(kElements, 1 << 20);
  const ArrayPtr offsets = FromJson(arrow::int32(), "[0, " + std::to_string(kElements) + "]");
  const ArrayPtr lists = arrow::ListArray::FromArrays(*offsets, *texts).ValueOrDie();
  const int64_t most = BytesMaxOf({lists});
  EXPECT_GE(most, int64_t{1} << 40);
  const ArrayPtr outer =
      arrow::ListArray::FromArrays(*FromJson(arrow::int32(), "[0, 1]"), *lists).ValueOrDie();
  const ArrayPtr both =
      arrow::StructArray::Make({outer, lists}, std::vector<std::string>{"a", "b"}).ValueOrDie();
  EXPECT_EQ(BytesMaxOf({both}), most);
  EXPECT_EQ(BytesMaxOf({both, lists, outer}), most);
}

}  // namespace
}  // namespace marble

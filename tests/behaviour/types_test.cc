// Every Arrow type that can be stored comes back as it was, from memory and from files, as a
// payload and, where it can be, as a key; and what cannot be stored is refused by name.
#include <string>
#include <vector>

#include <arrow/array/concatenate.h>
#include <arrow/compute/api_vector.h>
#include <arrow/compute/cast.h>
#include <arrow/compute/expression.h>

#include "support/settled.h"

namespace marble::test {
namespace {

struct TypedValues {
  std::string name;
  std::shared_ptr<arrow::DataType> type;
  std::string json;  // three values, one of them null
};

std::vector<TypedValues> FlatPayloads() {
  using arrow::TimeUnit;
  return {{"null", arrow::null(), "[null, null, null]"},
          {"bool", arrow::boolean(), "[true, null, false]"},
          {"int8", arrow::int8(), "[-128, null, 127]"},
          {"int16", arrow::int16(), "[-32768, null, 1]"},
          {"int32", arrow::int32(), "[-1, null, 1]"},
          {"int64", arrow::int64(), "[-9223372036854775808, null, 9223372036854775807]"},
          {"uint8", arrow::uint8(), "[255, null, 0]"},
          {"uint16", arrow::uint16(), "[65535, null, 0]"},
          {"uint32", arrow::uint32(), "[4294967295, null, 0]"},
          {"uint64", arrow::uint64(), "[18446744073709551615, null, 0]"},
          {"float16", arrow::float16(), "[1.5, null, -0.0]"},
          {"float32", arrow::float32(), "[1.5, null, -0.0]"},
          {"float64", arrow::float64(), "[1.5, null, -0.0]"},
          {"utf8", arrow::utf8(), R"(["", null, "text"])"},
          {"large_utf8", arrow::large_utf8(), R"(["", null, "text"])"},
          {"utf8_view", arrow::utf8_view(), R"(["", null, "text of more than twelve bytes"])"},
          {"binary", arrow::binary(), R"(["", null, "bytes"])"},
          {"large_binary", arrow::large_binary(), R"(["", null, "bytes"])"},
          {"binary_view", arrow::binary_view(), R"(["", null, "bytes, more than twelve of them"])"},
          {"fixed_size_binary", arrow::fixed_size_binary(3), R"(["abc", null, "def"])"},
          {"date32", arrow::date32(), "[-1, null, 19000]"},
          {"date64", arrow::date64(), "[0, null, 86400000]"},
          {"time32", arrow::time32(TimeUnit::SECOND), "[1, null, 2]"},
          {"time64", arrow::time64(TimeUnit::NANO), "[1, null, 2]"},
          {"timestamp", arrow::timestamp(TimeUnit::MICRO), "[1, null, 2]"},
          {"timestamp_tz", arrow::timestamp(TimeUnit::NANO, "Europe/Berlin"), "[1, null, 2]"},
          {"duration", arrow::duration(TimeUnit::MILLI), "[-1, null, 2]"},
          {"months", arrow::month_interval(), "[1, null, 2]"},
          {"days", arrow::day_time_interval(), "[[1, 2], null, [3, 4]]"},
          {"month_day_nano", arrow::month_day_nano_interval(), "[[1, 2, 3], null, [4, 5, 6]]"},
          {"decimal32", arrow::decimal32(5, 2), R"(["-1.25", null, "3.00"])"},
          {"decimal64", arrow::decimal64(12, 2), R"(["-1.25", null, "3.00"])"},
          {"decimal128", arrow::decimal128(20, 3), R"(["-1.250", null, "3.000"])"},
          {"decimal256", arrow::decimal256(50, 3), R"(["-1.250", null, "3.000"])"}};
}

std::vector<TypedValues> NestedPayloads() {
  using arrow::field;
  return {{"list", arrow::list(arrow::int32()), "[[1, null], null, []]"},
          {"large_list", arrow::large_list(arrow::utf8()), R"([["a"], null, []])"},
          {"fixed_list", arrow::fixed_size_list(arrow::int8(), 2), "[[1, 2], null, [3, null]]"},
          {"list_view", arrow::list_view(arrow::int32()), "[[1, null], null, []]"},
          {"large_list_view", arrow::large_list_view(arrow::int32()), "[[1, null], null, []]"},
          {"struct", arrow::struct_({field("a", arrow::int32()), field("b", arrow::utf8())}),
           R"([{"a": 1, "b": null}, null, {"a": null, "b": "x"}])"},
          {"required_in_struct", arrow::struct_({field("a", arrow::int32(), false)}),
           R"([{"a": 1}, null, {"a": 2}])"},
          {"map", arrow::map(arrow::utf8(), arrow::int32()), R"([[["k", 1]], null, []])"},
          {"lists_of_structs", arrow::list(arrow::struct_({field("v", arrow::utf8_view())})),
           R"([[{"v": "a"}, {"v": null}], null, [null]])"},
          {"list_of_lists", arrow::list(arrow::list(arrow::boolean())),
           "[[[true], []], null, [null]]"}};
}

/// Four rows: the three values, and the first again.
arrow::Result<std::shared_ptr<arrow::Array>> FourValues(const TypedValues& values) {
  ARROW_ASSIGN_OR_RAISE(auto three, arrow::json::ArrayFromJSONString(values.type, values.json));
  return arrow::Concatenate({three, three->Slice(0, 1)});
}

class TypesTest : public testing::TestWithParam<Where> {
 protected:
  void SetUp() override { ASSERT_OK(database_.Open()); }

  /// Stores `columns` beside a key and in an append table, and compares what comes back.
  void RoundTrip(const arrow::FieldVector& fields, const arrow::ArrayVector& columns) {
    arrow::FieldVector all = {arrow::field("id", arrow::int32())};
    all.insert(all.end(), fields.begin(), fields.end());
    const auto schema = arrow::schema(all);
    ASSERT_OK_AND_ASSIGN(auto ids, arrow::json::ArrayFromJSONString(arrow::int32(), "[1,2,3,4]"));
    arrow::ArrayVector arrays = {ids};
    arrays.insert(arrays.end(), columns.begin(), columns.end());
    const auto rows = arrow::RecordBatch::Make(schema, 4, arrays);
    ASSERT_OK(database_->CreateTable("keyed", schema, {.primary_key = {"id"}}));
    ASSERT_OK(database_->CreateTable("appended", schema));
    for (const char* name : {"keyed", "appended"}) {
      ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), name));
      // Two commits, and the second row twice, so that files and memory have to be merged.
      ASSERT_OK(table->Insert(rows->Slice(0, 2)));
      ASSERT_OK(database_->Flush());
      ASSERT_OK(table->Insert(rows->Slice(name == std::string("keyed") ? 1 : 2)));
    }
    ASSERT_OK(Settle(&database_, GetParam()));
    for (const char* name : {"keyed", "appended"}) {
      ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), name));
      ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
      ASSERT_OK(found->ValidateFull());
      for (int i = 0; i < schema->num_fields(); ++i) {
        EXPECT_TRUE(found->schema()->field(i)->type()->Equals(*schema->field(i)->type()))
            << name << " " << found->schema()->field(i)->ToString();
      }
      EXPECT_TRUE(SameRows(rows, found)) << name;
    }
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "keyed"));
    auto key_schema = arrow::schema({arrow::field("id", arrow::int32())});
    ASSERT_OK_AND_ASSIGN(auto keys, BatchFromJson(key_schema, {"[3, 1]"}));
    ASSERT_OK_AND_ASSIGN(auto got, table->Get(keys));
    ASSERT_OK_AND_ASSIGN(auto expected,
                         arrow::ConcatenateRecordBatches({rows->Slice(2, 1), rows->Slice(0, 1)}));
    EXPECT_TRUE(SameRows(expected, got));
    ASSERT_OK(table->Delete(keys));
    ASSERT_OK_AND_ASSIGN(const int64_t left, table->Count());
    EXPECT_EQ(left, 2);
  }
  void RoundTrip(const std::vector<TypedValues>& payloads) {
    arrow::FieldVector fields;
    arrow::ArrayVector columns;
    for (const TypedValues& values : payloads) {
      fields.push_back(arrow::field(values.name, values.type));
      auto column = FourValues(values);
      ASSERT_TRUE(column.ok()) << values.name << ": " << column.status().ToString();
      columns.push_back(*column);
    }
    RoundTrip(fields, columns);
  }

  TestDatabase database_;
};

INSTANTIATE_TEST_SUITE_P(Rows, TypesTest,
                         testing::Values(Where::kMemory, Where::kFlushed, Where::kCompacted,
                                         Where::kReopened),
                         NameOf);

TEST_P(TypesTest, FlatPayloadsComeBackAsTheyWere) { RoundTrip(FlatPayloads()); }

TEST_P(TypesTest, NestedPayloadsComeBackAsTheyWere) { RoundTrip(NestedPayloads()); }

TEST_P(TypesTest, DictionariesComeBackAsDictionaries) {
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  ASSERT_OK_AND_ASSIGN(
      auto array, arrow::json::DictArrayFromJSONString(type, "[1, null, 0, 1]", R"(["x", "y"])"));
  ASSERT_OK_AND_ASSIGN(auto expected, arrow::compute::Cast(*array, arrow::utf8()));
  const auto schema = arrow::schema({arrow::field("id", arrow::int32()), arrow::field("d", type)});
  ASSERT_OK_AND_ASSIGN(auto ids, arrow::json::ArrayFromJSONString(arrow::int32(), "[1,2,3,4]"));
  ASSERT_OK(database_->CreateTable("t", schema, {.primary_key = {"id"}}));
  {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
    ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, 4, {ids, array})));
  }
  ASSERT_OK(Settle(&database_, GetParam()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
  ASSERT_TRUE(found->schema()->field(1)->type()->Equals(*type));
  // The values count, not how they are numbered.
  ASSERT_OK_AND_ASSIGN(auto decoded,
                       arrow::compute::Cast(arrow::Datum(found->column(1)), arrow::utf8()));
  EXPECT_TRUE(decoded.chunked_array()->Equals(arrow::ChunkedArray({expected})));
}

TEST_P(TypesTest, RunEndEncodedColumnsComeBackAsSuch) {
  const auto type = arrow::run_end_encoded(arrow::int32(), arrow::utf8());
  ASSERT_OK_AND_ASSIGN(auto run_ends,
                       arrow::json::ArrayFromJSONString(arrow::int32(), "[1, 3, 4]"));
  ASSERT_OK_AND_ASSIGN(auto values,
                       arrow::json::ArrayFromJSONString(arrow::utf8(), R"(["a", null, "b"])"));
  ASSERT_OK_AND_ASSIGN(auto array, arrow::RunEndEncodedArray::Make(4, run_ends, values));
  const auto schema = arrow::schema({arrow::field("id", arrow::int32()), arrow::field("r", type)});
  ASSERT_OK_AND_ASSIGN(auto ids, arrow::json::ArrayFromJSONString(arrow::int32(), "[1,2,3,4]"));
  ASSERT_OK(database_->CreateTable("t", schema, {.primary_key = {"id"}}));
  {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
    ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, 4, {ids, array})));
  }
  ASSERT_OK(Settle(&database_, GetParam()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
  ASSERT_TRUE(found->schema()->field(1)->type()->Equals(*type));
  ASSERT_OK_AND_ASSIGN(auto combined, found->CombineChunksToBatch());
  for (int64_t row = 0; row < 4; ++row) {
    ASSERT_OK_AND_ASSIGN(auto expected, array->GetScalar(row));
    ASSERT_OK_AND_ASSIGN(auto actual, combined->column(1)->GetScalar(row));
    EXPECT_TRUE(expected->Equals(*actual)) << row;
  }
}

TEST_P(TypesTest, RunsOfAMillionRowsAreExpanded) {
  const auto schema =
      arrow::schema({arrow::field("r", arrow::run_end_encoded(arrow::int32(), arrow::int64()))});
  arrow::Int32Builder ends;
  arrow::Int64Builder values;
  constexpr int32_t kRun = 300'000;  // not a part of what is expanded at once
  constexpr int32_t kRuns = 8;
  for (int32_t i = 0; i < kRuns; ++i) {
    ASSERT_OK(ends.Append((i + 1) * kRun));
    ASSERT_OK(values.Append(i));
  }
  ASSERT_OK_AND_ASSIGN(
      auto array, arrow::RunEndEncodedArray::Make(kRun * kRuns, *ends.Finish(), *values.Finish()));
  const auto slice = array->Slice(kRun - 7);
  ASSERT_OK(database_->CreateTable("t", schema));
  {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
    ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, slice->length(), {slice})));
  }
  ASSERT_OK(Settle(&database_, GetParam()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
  std::vector<int64_t> rows(kRuns);
  for (const auto& chunk : found->column(0)->chunks()) {
    ASSERT_OK_AND_ASSIGN(auto plain, arrow::compute::RunEndDecode(chunk));
    const auto expanded = plain.make_array();
    const auto& numbers = static_cast<const arrow::Int64Array&>(*expanded);
    for (int64_t i = 0; i < numbers.length(); ++i) ++rows.at(numbers.Value(i));
  }
  EXPECT_EQ(rows[0], 7);
  for (size_t i = 1; i < kRuns; ++i) EXPECT_EQ(rows[i], kRun) << i;
}

TEST_P(TypesTest, KeysOfEveryTypeOrderAndFindTheirRows) {
  using arrow::TimeUnit;
  // Three values each, ascending.
  const std::vector<TypedValues> keys = {
      {"bool", arrow::boolean(), "[false, true]"},
      {"int8", arrow::int8(), "[-128, 0, 127]"},
      {"int16", arrow::int16(), "[-32768, 0, 1]"},
      {"int32", arrow::int32(), "[-1, 0, 1]"},
      {"int64", arrow::int64(), "[-9223372036854775808, 0, 9223372036854775807]"},
      {"uint8", arrow::uint8(), "[0, 1, 255]"},
      {"uint16", arrow::uint16(), "[0, 256, 65535]"},
      {"uint32", arrow::uint32(), "[0, 256, 4294967295]"},
      {"uint64", arrow::uint64(), "[0, 256, 18446744073709551615]"},
      {"float32", arrow::float32(), "[-1.5, 0.0, 2.5]"},
      {"float64", arrow::float64(), "[-1e300, -1e-300, 1e-300]"},
      {"utf8", arrow::utf8(), R"(["", "a", "aa"])"},
      {"large_utf8", arrow::large_utf8(), R"(["a", "b", "ba"])"},
      {"binary", arrow::binary(), R"(["", "a", "b"])"},
      {"large_binary", arrow::large_binary(), R"(["", "a", "b"])"},
      {"fixed_size_binary", arrow::fixed_size_binary(2), R"(["aa", "ab", "ba"])"},
      {"date32", arrow::date32(), "[-1, 0, 19000]"},
      {"date64", arrow::date64(), "[-86400000, 0, 86400000]"},
      {"time32", arrow::time32(TimeUnit::SECOND), "[0, 1, 2]"},
      {"time64", arrow::time64(TimeUnit::NANO), "[0, 1, 2]"},
      {"timestamp", arrow::timestamp(TimeUnit::MICRO, "UTC"), "[-1, 1, 2]"},
      {"duration", arrow::duration(TimeUnit::MILLI), "[-1, 0, 2]"},
      {"decimal32", arrow::decimal32(5, 2), R"(["-1.25", "0.00", "3.00"])"},
      {"decimal64", arrow::decimal64(12, 2), R"(["-1.25", "0.00", "3.00"])"},
      {"decimal128", arrow::decimal128(20, 3), R"(["-1.250", "0.000", "3.000"])"},
      {"decimal256", arrow::decimal256(50, 3), R"(["-1.250", "0.000", "3.000"])"}};
  for (const TypedValues& key : keys) {
    // As the only key column and as the first of two.
    for (const bool composite : {false, true}) {
      SCOPED_TRACE(key.name + (composite ? ", composite" : ""));
      const std::string name = key.name + (composite ? "_2" : "_1");
      auto schema = arrow::schema({arrow::field("k", key.type), arrow::field("n", arrow::int32())});
      ASSERT_OK_AND_ASSIGN(auto ascending, arrow::json::ArrayFromJSONString(key.type, key.json));
      const int64_t size = ascending->length();
      ASSERT_OK_AND_ASSIGN(auto numbers,
                           arrow::json::ArrayFromJSONString(arrow::int32(), "[0, 1, 2]"));
      const auto rows =
          arrow::RecordBatch::Make(schema, size, {ascending, numbers->Slice(0, size)});
      std::vector<std::string> primary_key = {"k"};
      if (composite) primary_key.push_back("n");
      ASSERT_OK(database_->CreateTable(name, schema, {.primary_key = primary_key}));
      ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), name));
      for (int64_t row = size; row > 0; --row) ASSERT_OK(table->Insert(rows->Slice(row - 1, 1)));
      if (GetParam() != Where::kMemory) {
        ASSERT_OK(database_->Flush());
      }
      ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table));
      EXPECT_TRUE(SameRows(rows, found));
      ASSERT_OK_AND_ASSIGN(auto got, table->Get(rows->Slice(1, 1)));
      EXPECT_TRUE(SameRows(rows->Slice(1, 1), got));
      ASSERT_OK_AND_ASSIGN(auto bound, ascending->GetScalar(1));
      ScanOptions options;
      options.range.lower = {bound};
      ASSERT_OK_AND_ASSIGN(found, ScanAll(*table, options));
      EXPECT_TRUE(SameRows(rows->Slice(1), found));
    }
  }
}

std::shared_ptr<arrow::DataType> WordType() {
  return arrow::dictionary(arrow::int8(), arrow::utf8());
}

/// "w7", "w8" ...: so many words from number `first` on, all different.
arrow::Result<std::shared_ptr<arrow::Array>> Words(int64_t first, int64_t count) {
  std::string words;
  std::string indices;
  for (int64_t i = 0; i < count; ++i) {
    const std::string before = i == 0 ? "[" : ", ";
    words += before + "\"w" + std::to_string(first + i) + "\"";
    indices += before + std::to_string(i);
  }
  return arrow::json::DictArrayFromJSONString(WordType(), indices + "]", words + "]");
}

TEST_P(TypesTest, ADictionaryIsReadThoughItsIndicesNumberFewWords) {
  // 300 words in all, of which 8-bit indices number 128.
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("word", WordType())});
  ASSERT_OK(database_->CreateTable("t", schema, {.primary_key = {"id"}}));
  for (int part = 0; part < 3; ++part) {
    std::string ids;
    for (int i = 0; i < 100; ++i) {
      ids += (i == 0 ? "[" : ", ") + std::to_string(100 * part + i);
    }
    ASSERT_OK_AND_ASSIGN(auto id, arrow::json::ArrayFromJSONString(arrow::int64(), ids + "]"));
    ASSERT_OK_AND_ASSIGN(auto word, Words(100 * part, 100));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
    ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, 100, {id, word})));
  }
  ASSERT_OK(Settle(&database_, GetParam()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
  ScanOptions options;
  ASSERT_OK_AND_ASSIGN(auto all, ScanAll(*table, options));
  ASSERT_EQ(all->num_rows(), 300);
  ASSERT_OK(all->ValidateFull());
  const auto column = arrow::compute::field_ref("word");
  for (int64_t i = 0; i < 300; ++i) {
    options.filter =
        arrow::compute::equal(column, arrow::compute::literal("w" + std::to_string(i)));
    ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
    ASSERT_EQ(found->num_rows(), 1) << i;
    ASSERT_OK_AND_ASSIGN(auto id, found->column(0)->GetScalar(0));
    EXPECT_TRUE(id->Equals(arrow::Int64Scalar(i)));
  }
  options.filter = arrow::compute::not_equal(column, arrow::compute::literal("other"));
  ASSERT_OK_AND_ASSIGN(const int64_t others, table->Count(options));
  EXPECT_EQ(others, 300);
}

TEST_P(TypesTest, RowsWithManyWordsOfASmallDictionaryAreCounted) {
  // Ten rows of 20 words each, all different: eight rows have more than 8-bit indices number.
  const auto type = arrow::list(WordType());
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("words", type)});
  ASSERT_OK(database_->CreateTable("t", schema, {.primary_key = {"id"}}));
  for (int64_t row = 0; row < 10; ++row) {
    ASSERT_OK_AND_ASSIGN(auto dictionary, Words(20 * row, 20));
    ASSERT_OK_AND_ASSIGN(auto offsets, arrow::json::ArrayFromJSONString(arrow::int32(), "[0, 20]"));
    ASSERT_OK_AND_ASSIGN(auto list, arrow::ListArray::FromArrays(*offsets, *dictionary));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
    const auto id = arrow::MakeArrayFromScalar(arrow::Int64Scalar(row), 1).ValueOrDie();
    ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, 1, {id, list})));
  }
  ASSERT_OK(Settle(&database_, GetParam()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
  ScanOptions options;
  options.filter = arrow::compute::is_valid(arrow::compute::field_ref("words"));
  ASSERT_OK_AND_ASSIGN(const int64_t rows, table->Count(options));
  EXPECT_EQ(rows, 10);
}

TEST_P(TypesTest, RunsAreReadThoughTheirEndsNumberFewRows) {
  const auto type = arrow::run_end_encoded(arrow::int16(), arrow::int64());
  const auto schema = arrow::schema({arrow::field("run", type)});
  ASSERT_OK(database_->CreateTable("t", schema));
  ASSERT_OK_AND_ASSIGN(auto ends, arrow::json::ArrayFromJSONString(arrow::int16(), "[30000]"));
  for (const char* value : {"[1]", "[2]", "[3]"}) {
    ASSERT_OK_AND_ASSIGN(auto values, arrow::json::ArrayFromJSONString(arrow::int64(), value));
    ASSERT_OK_AND_ASSIGN(auto run, arrow::RunEndEncodedArray::Make(30000, ends, values));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
    ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, 30000, {run})));
  }
  ASSERT_OK(Settle(&database_, GetParam()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "t"));
  ASSERT_OK_AND_ASSIGN(auto reader, table->Scan());
  int64_t rows = 0;
  for (;;) {
    ASSERT_OK_AND_ASSIGN(auto batch, reader->Next());
    if (batch == nullptr) break;
    ASSERT_OK(batch->ValidateFull());
    rows += batch->num_rows();
  }
  EXPECT_EQ(rows, 90000);
}

TEST_P(TypesTest, ViewsAndDictionariesOfTextCanBeKeys) {
  const auto values = arrow::field("n", arrow::int32());
  const auto dictionary = arrow::dictionary(arrow::int8(), arrow::utf8());
  ASSERT_OK_AND_ASSIGN(auto numbers, arrow::json::ArrayFromJSONString(arrow::int32(), "[1, 2, 3]"));
  ASSERT_OK_AND_ASSIGN(auto views,
                       arrow::json::ArrayFromJSONString(arrow::utf8_view(),
                                                        R"(["b", "a", "c, over twelve bytes"])"));
  ASSERT_OK_AND_ASSIGN(auto indices, arrow::json::DictArrayFromJSONString(dictionary, "[1, 0, 2]",
                                                                          R"(["a", "b", "c"])"));
  for (const auto& keys : {views, indices}) {
    const auto schema = arrow::schema({arrow::field("k", keys->type()), values});
    const std::string name = keys->type_id() == arrow::Type::DICTIONARY ? "d" : "v";
    ASSERT_OK(database_->CreateTable(name, schema, {.primary_key = {"k"}}));
    {
      ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), name));
      ASSERT_OK(table->Insert(arrow::RecordBatch::Make(schema, 3, {keys, numbers})));
    }
    ASSERT_OK(Settle(&database_, GetParam()));
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), name));
    ScanOptions options;
    options.columns = {"n"};
    options.range.lower = {arrow::MakeScalar("b")};
    ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
    ASSERT_OK_AND_ASSIGN(auto expected, BatchFromJson(arrow::schema({values}), {"[1, 3]"}));
    EXPECT_TRUE(SameRows(expected, found)) << name;
  }
}

TEST_P(TypesTest, ZeroesAndNansAreOneKeyEach) {
  auto schema =
      arrow::schema({arrow::field("k", arrow::float64()), arrow::field("n", arrow::int32())});
  ASSERT_OK(database_->CreateTable("floats", schema, {.primary_key = {"k"}}));
  {
    ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "floats"));
    ASSERT_OK_AND_ASSIGN(auto rows, BatchFromJson(schema, {"[NaN, 0.0, Inf, -0.0, NaN, -Inf]",
                                                           "[1, 2, 3, 4, 5, 6]"}));
    ASSERT_OK(table->Insert(rows));
  }
  ASSERT_OK(Settle(&database_, GetParam()));
  ASSERT_OK_AND_ASSIGN(auto table, Table::Open(database_.get(), "floats"));
  ScanOptions options;
  options.columns = {"n"};
  ASSERT_OK_AND_ASSIGN(auto found, ScanAll(*table, options));
  auto numbers = arrow::schema({arrow::field("n", arrow::int32())});
  ASSERT_OK_AND_ASSIGN(auto expected, BatchFromJson(numbers, {"[6, 4, 3, 5]"}));
  EXPECT_TRUE(SameRows(expected, found));
}

}  // namespace
}  // namespace marble::test

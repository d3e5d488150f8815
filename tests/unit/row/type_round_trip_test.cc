// Every payload type on its way in, through a gather, and out again.
#include <gtest/gtest.h>

#include "row/batch_ops.h"
#include "row/stored_schema.h"
#include "row/type_conversion.h"
#include "unit/row/row_arrays.h"

namespace marble {
namespace {

using testing::FromJson;
using testing::MakeBatch;
using testing::RandomArray;

bool HoldsDictionary(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY) return true;
  if (type.id() == arrow::Type::EXTENSION) {
    return HoldsDictionary(
        *static_cast<const arrow::ExtensionType&>(type).storage_type());  // NOLINT
  }
  for (const auto& field : type.fields()) {
    if (HoldsDictionary(*field->type())) return true;
  }
  return false;
}

class PayloadType : public ::testing::TestWithParam<std::shared_ptr<arrow::DataType>> {
 protected:
  void SetUp() override {
    schema_ = StoredSchema::Make(arrow::schema({arrow::field("v", GetParam())}), {}).ValueOrDie();
  }
  std::shared_ptr<arrow::RecordBatch> RandomBatch(int64_t rows, int null_every) {
    return MakeBatch({arrow::field("v", GetParam())},
                     {RandomArray(GetParam(), rows, &random_, null_every)});
  }

  testing::Random random_{20};
  std::shared_ptr<const StoredSchema> schema_;
};

/// Slices of all sources: of one row, some rows, no rows, many rows, both directions.
std::vector<RowSlice> RandomSlices(testing::Random* random, int sources, int64_t rows,
                                   int64_t longest) {
  std::vector<RowSlice> slices;
  for (int i = 0; i < 60; ++i) {
    RowSlice slice;
    slice.source = static_cast<int32_t>((*random)() % static_cast<uint64_t>(sources));
    slice.descending = (*random)() % 3 == 0;
    slice.start = static_cast<int64_t>((*random)() % static_cast<uint64_t>(rows));
    slice.length = std::min<int64_t>(
        rows - slice.start, static_cast<int64_t>((*random)() % static_cast<uint64_t>(longest)));
    slices.push_back(slice);
  }
  return slices;
}

TEST_P(PayloadType, ComesBackAsItWasThroughStoreGatherAndLoad) {
  for (const int null_every : {0, 3}) {
    for (const int64_t longest : {2, 4, 40}) {
      std::vector<std::shared_ptr<arrow::RecordBatch>> given;
      std::vector<std::shared_ptr<arrow::RecordBatch>> stored;
      for (int s = 0; s < 3; ++s) {
        // One source without nulls beside others with them.
        given.push_back(RandomBatch(50, s == 1 ? 0 : null_every));
        ASSERT_TRUE(given.back()->ValidateFull().ok()) << given.back()->ValidateFull().ToString();
        stored.push_back(schema_->ToStored(given.back()).ValueOrDie());
        ASSERT_TRUE(stored.back()->ValidateFull().ok());
      }
      const std::vector<RowSlice> slices = RandomSlices(&random_, 3, 50, longest);
      const auto gathered =
          Gather(schema_->stored_schema(), stored, slices, arrow::default_memory_pool())
              .ValueOrDie();
      ASSERT_TRUE(gathered->ValidateFull().ok()) << gathered->ValidateFull().ToString();
      const auto user = schema_->ToUser(*gathered, {0}, schema_->Project({0})).ValueOrDie();
      ASSERT_TRUE(user->ValidateFull().ok()) << user->ValidateFull().ToString();
      ASSERT_TRUE(user->column(0)->type()->Equals(*GetParam()));
      // Dictionaries of different batches number their values differently: compare what they stand
      // for.
      const bool compare_stored = HoldsDictionary(*GetParam());
      const auto result = compare_stored ? schema_->ToStored(user).ValueOrDie() : user;
      int64_t row = 0;
      for (const RowSlice& slice : slices) {
        const auto& sources = compare_stored ? stored : given;
        const arrow::Array& source = *sources[static_cast<size_t>(slice.source)]->column(0);
        for (int64_t i = 0; i < slice.length; ++i, ++row) {
          const int64_t from = slice.descending ? slice.length - 1 - i : i;
          ASSERT_TRUE(testing::RowsEqual(*result->column(0), row, source, slice.start + from))
              << "row " << row << "\n"
              << result->column(0)->ToString();
        }
      }
      ASSERT_EQ(row, user->num_rows());
    }
  }
}

TEST_P(PayloadType, IsCopiedWholeFromASlice) {
  const auto stored = schema_->ToStored(RandomBatch(40, 4)).ValueOrDie()->Slice(7, 21);
  const auto copy = CopyBatch(stored, arrow::default_memory_pool()).ValueOrDie();
  ASSERT_TRUE(copy->ValidateFull().ok());
  ASSERT_EQ(copy->num_rows(), 21);
  for (int64_t i = 0; i < 21; ++i) {
    EXPECT_TRUE(testing::RowsEqual(*copy->column(0), i, *stored->column(0), i));
  }
}

TEST_P(PayloadType, SurvivesSerialization) {
  const auto stored = schema_->ToStored(RandomBatch(40, 4)).ValueOrDie()->Slice(5, 30);
  const auto bytes = testing::Serialized(*stored);
  const auto read = DeserializeBatch(bytes, schema_->stored_schema());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_EQ((*read)->num_rows(), 30);
  for (int64_t i = 0; i < 30; ++i) {
    EXPECT_TRUE(testing::RowsEqual(*(*read)->column(0), i, *stored->column(0), i));
  }
}

TEST_P(PayloadType, OfNoRowsIsStoredAndComesBack) {
  const auto stored = schema_->ToStored(RandomBatch(0, 0)).ValueOrDie();
  const auto gathered = Gather(schema_->stored_schema(), {&stored, 1}, std::span<const RowSlice>(),
                               arrow::default_memory_pool())
                            .ValueOrDie();
  const auto user = schema_->ToUser(*gathered, {0}, schema_->Project({0})).ValueOrDie();
  EXPECT_EQ(user->num_rows(), 0);
  EXPECT_TRUE(user->ValidateFull().ok());
}

TEST_P(PayloadType, HasTombstoneDefaultsWhetherNullableOrNot) {
  for (const bool nullable : {true, false}) {
    TableOptions options;
    options.primary_key = {"k"};
    const auto schema = StoredSchema::Make(arrow::schema({arrow::field("v", GetParam(), nullable),
                                                          arrow::field("k", arrow::int64())}),
                                           options)
                            .ValueOrDie();
    const auto keys = schema->KeysToStored(
        MakeBatch({arrow::field("k", arrow::int64())}, {FromJson(arrow::int64(), "[1, 2, 3]")}));
    const auto rows = schema->TombstoneRows(*keys).ValueOrDie();
    ASSERT_TRUE(rows->ValidateFull().ok()) << rows->ValidateFull().ToString();
    EXPECT_TRUE(rows->schema()->Equals(*schema->stored_schema()));
    EXPECT_EQ(rows->num_rows(), 3);
    const bool all_null = GetParam()->id() == arrow::Type::NA || nullable;
    EXPECT_EQ(rows->column(0)->null_count(), all_null ? 3 : 0);
  }
}

TEST_P(PayloadType, IsCountedByTheRowsOfASlice) {
  const auto stored = schema_->ToStored(RandomBatch(400, 4)).ValueOrDie();
  const int64_t all = BatchBytes(*stored);
  const int64_t half = BatchBytes(*stored->Slice(100, 200));
  const int64_t none = BatchBytes(*stored->Slice(100, 0));
  EXPECT_LE(half, all);
  EXPECT_LE(none, 16);
  if (all > 4000) {
    EXPECT_LT(half, all * 3 / 4);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PayloadType, ::testing::ValuesIn(testing::PayloadTypes()));

TEST(TypeConversion, DictionaryValuesAndNullsAreDecoded) {
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  auto indices = FromJson(arrow::int8(), "[1, 0, null, 2, 1]");
  auto dictionary = FromJson(arrow::utf8(), R"(["x", "y", null])");
  const auto array =
      arrow::DictionaryArray::FromArrays(type, indices, dictionary).ValueOrDie()->Slice(1, 4);
  const auto stored =
      ToStoredArray(array, arrow::utf8(), arrow::default_memory_pool()).ValueOrDie();
  EXPECT_TRUE(stored->Equals(*FromJson(arrow::utf8(), R"(["x", null, null, "y"])")));
}

TEST(TypeConversion, DictionaryIsEncodedWithTheUsersIndexType) {
  const auto type = arrow::dictionary(arrow::uint8(), arrow::utf8());
  const auto user = ToUserArray(FromJson(arrow::utf8(), R"(["b", "a", null, "b"])"), type,
                                arrow::default_memory_pool())
                        .ValueOrDie();
  const auto& dictionary = static_cast<const arrow::DictionaryArray&>(*user);  // NOLINT
  EXPECT_TRUE(user->type()->Equals(*type));
  EXPECT_TRUE(dictionary.indices()->Equals(*FromJson(arrow::uint8(), "[0, 1, null, 0]")));
  EXPECT_TRUE(dictionary.dictionary()->Equals(*FromJson(arrow::utf8(), R"(["b", "a"])")));
}

TEST(TypeConversion, TooManyDistinctValuesForTheIndexTypeAreRefused) {
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < 129; ++i) ASSERT_TRUE(builder.Append(i).ok());
  const auto array = builder.Finish().ValueOrDie();
  const auto type = arrow::dictionary(arrow::int8(), arrow::int64());
  EXPECT_TRUE(ToUserArray(array->Slice(0, 128), type, arrow::default_memory_pool()).ok());
  const auto refused = ToUserArray(array, type, arrow::default_memory_pool());
  EXPECT_TRUE(refused.status().IsCapacityError()) << refused.status().ToString();
  EXPECT_NE(refused.status().message().find("129 distinct values"), std::string::npos);
}

TEST(TypeConversion, OfNestedColumnsOnlyWhatTheRowsHoldIsConverted) {
  // 300 words are too many for the indices; a hundred rows have fewer.
  arrow::StringBuilder builder;
  for (int64_t i = 0; i < 300; ++i) ASSERT_TRUE(builder.Append("w" + std::to_string(i)).ok());
  const auto words = builder.Finish().ValueOrDie();
  const auto nulls = FromJson(arrow::int32(), "[0, null, 200, 300]");
  const auto user_words = arrow::dictionary(arrow::int8(), arrow::utf8());
  const auto offsets = FromJson(arrow::int32(), "[0, 100, 200, 300]");
  const auto long_offsets = FromJson(arrow::int64(), "[0, 100, 200, 300]");
  const std::vector<std::pair<std::shared_ptr<arrow::Array>, std::shared_ptr<arrow::DataType>>>
      cases = {
          {arrow::StructArray::Make({words}, {"w"}).ValueOrDie()->Slice(100, 100),
           arrow::struct_({arrow::field("w", user_words)})},
          {arrow::ListArray::FromArrays(*offsets, *words).ValueOrDie()->Slice(1, 1),
           arrow::list(user_words)},
          {arrow::ListArray::FromArrays(*nulls, *words).ValueOrDie()->Slice(1, 2)->Slice(0, 1),
           arrow::list(user_words)},
          {arrow::LargeListArray::FromArrays(*long_offsets, *words).ValueOrDie()->Slice(2, 1),
           arrow::large_list(user_words)},
          {arrow::FixedSizeListArray::FromArrays(words, 100).ValueOrDie()->Slice(1, 1),
           arrow::fixed_size_list(user_words, 100)},
          {arrow::MapArray::FromArrays(offsets, words, words).ValueOrDie()->Slice(1, 1),
           arrow::map(arrow::utf8(), user_words)},
  };
  for (const auto& [array, type] : cases) {
    const auto user = ToUserArray(array, type, arrow::default_memory_pool());
    ASSERT_TRUE(user.ok()) << type->ToString() << ": " << user.status();
    ASSERT_TRUE((*user)->ValidateFull().ok()) << type->ToString();
    const auto stored = ToStoredArray(*user, array->type(), arrow::default_memory_pool());
    ASSERT_TRUE(stored.ok()) << type->ToString() << ": " << stored.status();
    EXPECT_TRUE((*stored)->Equals(*array)) << type->ToString();
  }
}

TEST(TypeConversion, ASliceOfAnEqualTypeKeepsItsRows) {
  const auto made = [] { return arrow::timestamp(arrow::TimeUnit::SECOND, "UTC"); };
  const auto array = FromJson(made(), "[1, 2, null, 4]")->Slice(1, 2);
  const auto stored = ToStoredArray(array, made(), arrow::default_memory_pool()).ValueOrDie();
  EXPECT_TRUE(stored->Equals(*array));
  const auto user = ToUserArray(array, made(), arrow::default_memory_pool()).ValueOrDie();
  EXPECT_TRUE(user->Equals(*array));
}

TEST(TypeConversion, OrderedDictionariesAreRefusedInNewColumnsOnly) {
  const auto sizes = arrow::dictionary(arrow::int8(), arrow::utf8(), /*ordered=*/true);
  for (const auto& type : {sizes, arrow::list(sizes), arrow::run_end_encoded(arrow::int32(), sizes),
                           arrow::struct_({arrow::field("s", sizes)})}) {
    const arrow::Status refused = CheckNewColumn(*arrow::field("size", type));
    EXPECT_TRUE(refused.IsTypeError()) << type->ToString();
    EXPECT_NE(refused.message().find("column 'size'"), std::string::npos);
    EXPECT_TRUE(StoredType(type).ok()) << type->ToString();
  }
  EXPECT_TRUE(
      CheckNewColumn(*arrow::field("d", arrow::dictionary(arrow::int8(), arrow::utf8()))).ok());
}

TEST(TypeConversion, RunsAreFoundAgain) {
  const auto type = arrow::run_end_encoded(arrow::int16(), arrow::int64());
  const auto user = ToUserArray(FromJson(arrow::int64(), "[7, 7, null, null, 8, 7]"), type,
                                arrow::default_memory_pool())
                        .ValueOrDie();
  const auto& runs = static_cast<const arrow::RunEndEncodedArray&>(*user);  // NOLINT
  EXPECT_TRUE(runs.run_ends()->Equals(*FromJson(arrow::int16(), "[2, 4, 5, 6]")));
  EXPECT_TRUE(runs.values()->Equals(*FromJson(arrow::int64(), "[7, null, 8, 7]")));
}

TEST(TypeConversion, MoreRowsThanRunEndsCanNumberAreRefused) {
  const auto type = arrow::run_end_encoded(arrow::int16(), arrow::int64());
  const auto array = arrow::MakeArrayOfNull(arrow::int64(), 32768).ValueOrDie();
  EXPECT_TRUE(ToUserArray(array, type, arrow::default_memory_pool()).status().IsCapacityError());
}

TEST(TypeConversion, EqualTypesAreNotCopied) {
  const auto array = FromJson(arrow::list(arrow::utf8()), R"([["a"], null])");
  const auto stored =
      ToStoredArray(array, array->type(), arrow::default_memory_pool()).ValueOrDie();
  EXPECT_EQ(stored.get(), array.get());
}

TEST(TypeConversion, UnionsAreRefusedWhereverTheyStand) {
  const auto sparse = arrow::sparse_union({arrow::field("a", arrow::int8())});
  const auto dense = arrow::dense_union({arrow::field("a", arrow::int8())});
  for (const auto& type : {sparse, dense, arrow::list(sparse), arrow::map(arrow::utf8(), dense),
                           arrow::struct_({arrow::field("s", arrow::large_list(sparse))})}) {
    EXPECT_TRUE(StoredType(type).status().IsTypeError()) << type->ToString();
  }
}

TEST(TypeConversion, DictionariesOfNestedValuesAreRefused) {
  for (const auto& values : {arrow::list(arrow::int8()), arrow::struct_({}),
                             arrow::struct_({arrow::field("a", arrow::int8())})}) {
    const auto type = arrow::dictionary(arrow::int8(), values);
    EXPECT_TRUE(StoredType(type).status().IsTypeError()) << type->ToString();
  }
}

TEST(TypeConversion, BottomlessNestingIsRefused) {
  std::shared_ptr<arrow::DataType> type = arrow::int8();
  for (int i = 0; i < 100; ++i) type = arrow::list(type);
  EXPECT_TRUE(StoredType(type).status().IsTypeError());
}

}  // namespace
}  // namespace marble

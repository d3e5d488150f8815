// Sorting, copying, counting and serializing batches; what Gather promises beside the types
// (type_round_trip_test.cc has those).
#include "row/batch_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "row/gather.h"
#include "row/row_batch.h"
#include "row/stored_schema.h"
#include "unit/row/row_arrays.h"

namespace marble {
namespace {

using testing::FromJson;
using testing::MakeBatch;
using testing::RandomArray;

arrow::MemoryPool* Pool() { return arrow::default_memory_pool(); }

/// A batch of the key columns and a row number.
std::shared_ptr<arrow::RecordBatch> WithRowNumbers(const arrow::ArrayVector& keys) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < keys.size(); ++i) {
    fields.push_back(
        arrow::field(testing::Numbered("k", static_cast<int64_t>(i)), keys[i]->type(), false));
  }
  fields.push_back(arrow::field("row", arrow::int64()));
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < keys[0]->length(); ++i) EXPECT_TRUE(builder.Append(i).ok());
  arrow::ArrayVector columns = keys;
  columns.push_back(builder.Finish().ValueOrDie());
  return MakeBatch(fields, columns);
}

/// Checks SortByKey against a std::map, which keeps the last row of each key.
void ExpectSorted(const arrow::ArrayVector& key_arrays) {
  const auto batch = WithRowNumbers(key_arrays);
  std::vector<int> columns;
  for (size_t i = 0; i < key_arrays.size(); ++i) columns.push_back(static_cast<int>(i));
  const auto codec = KeyCodec::Make(batch->schema(), columns).ValueOrDie();
  const EncodedKeys keys = codec->Encode(*batch).ValueOrDie();
  std::map<std::string, int64_t> expected;
  for (int64_t i = 0; i < keys.size(); ++i) expected[std::string(keys[i])] = i;

  const auto sorted = SortByKey(batch, keys, *codec, Pool());
  ASSERT_TRUE(sorted.ok()) << sorted.status().ToString();
  ASSERT_TRUE(sorted->columns->ValidateFull().ok());
  ASSERT_EQ(sorted->columns->num_rows(), static_cast<int64_t>(expected.size()));
  ASSERT_EQ(sorted->keys.size(), sorted->columns->num_rows());
  const auto& rows = static_cast<const arrow::Int64Array&>(  // NOLINT
      *sorted->columns->column(batch->num_columns() - 1));
  int64_t i = 0;
  for (const auto& [key, row] : expected) {
    ASSERT_EQ(sorted->keys[i], key) << i;
    ASSERT_EQ(rows.Value(i), row) << i;
    ++i;
  }
}

class SortableType : public ::testing::TestWithParam<std::shared_ptr<arrow::DataType>> {};

TEST_P(SortableType, SortsAndKeepsTheLastRowOfAKey) {
  testing::Random random(30);
  for (const int64_t rows : {0, 1, 2, 37, 700, 3000}) {
    ExpectSorted({RandomArray(GetParam(), rows, &random, 0)});
  }
}

TEST_P(SortableType, SortsWithASecondColumn) {
  testing::Random random(31);
  for (const int64_t rows : {50, 2000}) {
    ExpectSorted(
        {RandomArray(GetParam(), rows, &random, 0), RandomArray(arrow::int16(), rows, &random, 0)});
    ExpectSorted({RandomArray(arrow::boolean(), rows, &random, 0),
                  RandomArray(GetParam(), rows, &random, 0)});
  }
}

INSTANTIATE_TEST_SUITE_P(All, SortableType, ::testing::ValuesIn(testing::KeyTypes()));

std::shared_ptr<arrow::Array> Strings(const std::vector<std::string>& values) {
  arrow::BinaryBuilder builder;
  for (const std::string& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return builder.Finish().ValueOrDie();
}

TEST(SortByKey, KeysThatDifferOnlyInLengthByZerosAreOrdered) {
  testing::Random random(32);
  std::vector<std::string> values;
  for (int i = 0; i < 1500; ++i) {
    values.push_back(std::string(random() % 3, 'a') + std::string(random() % 40, '\0') +
                     std::string(random() % 2, 'b'));
  }
  ExpectSorted({Strings(values)});
}

TEST(SortByKey, LongCommonPrefixesAndManyDuplicatesAreSorted) {
  testing::Random random(33);
  std::vector<std::string> values;
  for (int i = 0; i < 5000; ++i) {
    values.push_back(
        std::string(1000, 'p') + std::to_string(random() % 900) +
        (random() % 2 == 0 ? std::string(100, 'q') + std::to_string(random() % 3) : std::string()));
  }
  ExpectSorted({Strings(values)});
}

TEST(SortByKey, ManyEqualKeysGiveOneRow) {
  ExpectSorted({Strings(std::vector<std::string>(3000, std::string(500, 'x')))});
  ExpectSorted({arrow::MakeArrayFromScalar(arrow::Int64Scalar(5), 3000).ValueOrDie()});
}

TEST(SortByKey, KeysThatAgreeInTheirUpperBitsAreSorted) {
  testing::Random random(36);
  // A few far away, so that all bits count, and the others close together, most of them twice.
  arrow::Int64Builder builder;
  for (int i = 0; i < 5000; ++i) {
    const auto low = static_cast<int64_t>(random() % 3000);
    ASSERT_TRUE(builder.Append(i % 50 == 0 ? low << 50 : (int64_t{1} << 40) + low).ok());
  }
  ExpectSorted({builder.Finish().ValueOrDie()});
}

/// True if a buffer of `a` lies in a buffer of `b`.
bool ShareMemory(const arrow::ArrayData& a, const arrow::ArrayData& b) {
  for (const auto& x : a.buffers) {
    for (const auto& y : b.buffers) {
      if (x == nullptr || y == nullptr || x->size() == 0 || y->size() == 0) continue;
      if (x->address() < y->address() + static_cast<uintptr_t>(y->size()) &&
          y->address() < x->address() + static_cast<uintptr_t>(x->size())) {
        return true;
      }
    }
  }
  for (const auto& child_a : a.child_data) {
    for (const auto& child_b : b.child_data) {
      if (ShareMemory(*child_a, *child_b)) return true;
    }
  }
  return false;
}

TEST(SortByKey, SortedInputIsCopiedAndNeverReferenced) {
  const auto batch = MakeBatch(
      {arrow::field("k", arrow::utf8(), false), arrow::field("v", arrow::list(arrow::int32()))},
      {FromJson(arrow::utf8(), R"(["a", "b", "c"])"),
       FromJson(arrow::list(arrow::int32()), "[[1], null, [2, 3]]")});
  const auto codec = KeyCodec::Make(batch->schema(), {0}).ValueOrDie();
  const auto sorted =
      SortByKey(batch, codec->Encode(*batch).ValueOrDie(), *codec, Pool()).ValueOrDie();
  EXPECT_TRUE(sorted.columns->Equals(*batch));
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(ShareMemory(*sorted.columns->column_data(i), *batch->column_data(i)));
  }
  const auto* keys = reinterpret_cast<const uint8_t*>(sorted.keys[0].data());
  EXPECT_EQ(keys, sorted.columns->column_data(0)->buffers[2]->data());
}

TEST(SortByKey, TakesItsMemoryFromThePool) {
  testing::Random random(34);
  const auto batch = WithRowNumbers({RandomArray(arrow::int64(), 4000, &random, 0)});
  const auto codec = KeyCodec::Make(batch->schema(), {0}).ValueOrDie();
  const EncodedKeys keys = codec->Encode(*batch).ValueOrDie();
  arrow::ProxyMemoryPool pool(Pool());
  const auto sorted = SortByKey(batch, keys, *codec, &pool).ValueOrDie();
  // Two columns and the keys remain; the sort's own memory is gone.
  EXPECT_GE(pool.bytes_allocated(), sorted.columns->num_rows() * 24);
  EXPECT_LT(pool.bytes_allocated(), sorted.columns->num_rows() * 24 + 1024);
}

TEST(CopyBatch, SharesNoMemoryAndCountsOnlyItsRows) {
  testing::Random random(35);
  for (const auto& type :
       {arrow::int64(), arrow::utf8(), arrow::boolean(), arrow::list(arrow::utf8())}) {
    const auto batch =
        MakeBatch({arrow::field("v", type)}, {RandomArray(type, 5000, &random)})->Slice(11, 100);
    arrow::ProxyMemoryPool pool(Pool());
    const auto copy = CopyBatch(batch, &pool).ValueOrDie();
    EXPECT_FALSE(ShareMemory(*copy->column_data(0), *batch->column_data(0)));
    EXPECT_TRUE(copy->Equals(*batch));
    EXPECT_LE(pool.bytes_allocated(), BatchBytes(*copy) + 64 * 8);
  }
}

TEST(CopyBatch, WithoutColumnsKeepsItsRowCount) {
  const auto batch = arrow::RecordBatch::Make(arrow::schema({}), 12, arrow::ArrayVector{});
  EXPECT_EQ(CopyBatch(batch, Pool()).ValueOrDie()->num_rows(), 12);
}

TEST(Gather, OneAscendingSliceIsNotCopied) {
  const auto batch =
      MakeBatch({arrow::field("v", arrow::int64())}, {FromJson(arrow::int64(), "[1, 2, 3, 4]")});
  for (const RowSlice slice : {RowSlice{0, false, 0, 4}, RowSlice{0, false, 1, 2}}) {
    const auto taken = Gather(batch->schema(), {&batch, 1}, {&slice, 1}, Pool()).ValueOrDie();
    EXPECT_TRUE(taken->Equals(*batch->Slice(slice.start, slice.length)));
    EXPECT_EQ(taken->column_data(0)->buffers[1], batch->column_data(0)->buffers[1]);
  }
}

TEST(Gather, OneDescendingSliceIsReversed) {
  const auto batch = MakeBatch({arrow::field("v", arrow::utf8())},
                               {FromJson(arrow::utf8(), R"(["a", null, "c", "d"])")});
  const RowSlice slice{0, true, 0, 3};
  const auto taken = Gather(batch->schema(), {&batch, 1}, {&slice, 1}, Pool()).ValueOrDie();
  EXPECT_TRUE(taken->column(0)->Equals(*FromJson(arrow::utf8(), R"(["c", null, "a"])")));
}

TEST(Gather, WithoutSlicesIsAnEmptyBatch) {
  const auto batch =
      MakeBatch({arrow::field("v", arrow::utf8())}, {FromJson(arrow::utf8(), R"(["a"])")});
  const auto taken =
      Gather(batch->schema(), {&batch, 1}, std::span<const RowSlice>(), Pool()).ValueOrDie();
  EXPECT_EQ(taken->num_rows(), 0);
  EXPECT_TRUE(taken->ValidateFull().ok());
}

TEST(Gather, MakesNoBitmapWhereNoTakenRowIsNull) {
  const auto batch =
      MakeBatch({arrow::field("v", arrow::int64())}, {FromJson(arrow::int64(), "[1, null, 3, 4]")});
  const std::vector<RowSlice> slices = {{0, false, 2, 2}, {0, false, 0, 1}};
  const auto taken = Gather(batch->schema(), {&batch, 1}, slices, Pool()).ValueOrDie();
  EXPECT_EQ(taken->column_data(0)->buffers[0], nullptr);
  EXPECT_EQ(taken->column(0)->null_count(), 0);
}

/// 256 MiB of values in one row; nine of them are more than int32 offsets reach. (Anonymous zeros:
/// cheap.)
TEST(Gather, MoreBytesThanInt32OffsetsReachAreACapacityError) {
  std::shared_ptr<arrow::Buffer> bytes = arrow::AllocateBuffer(int64_t{1} << 28).ValueOrDie();
  const std::vector<int32_t> offsets = {0, 1 << 28};
  const auto array = std::make_shared<arrow::BinaryArray>(1, arrow::Buffer::Wrap(offsets), bytes);
  const auto batch = MakeBatch({arrow::field("v", arrow::binary())}, {array});
  const std::vector<RowSlice> slices(9, RowSlice{0, false, 0, 1});
  const auto refused = Gather(batch->schema(), {&batch, 1}, slices, Pool());
  EXPECT_TRUE(refused.status().IsCapacityError()) << refused.status().ToString();
  EXPECT_NE(refused.status().message().find("'v'"), std::string::npos);
}

TEST(Gather, MoreElementsThanInt64OffsetsReachAreACapacityError) {
  constexpr int64_t kElements = int64_t{1} << 62;
  const std::vector<int64_t> offsets = {0, kElements};
  const auto type = arrow::large_list(arrow::null());
  const auto array = std::make_shared<arrow::LargeListArray>(
      type, 1, arrow::Buffer::Wrap(offsets), std::make_shared<arrow::NullArray>(kElements));
  const auto batch = MakeBatch({arrow::field("l", type)}, {array});
  for (const int rows : {2, 4, 8}) {  // the sums 2^63, and 0 twice
    for (const bool descending : {false, true}) {
      const std::vector<RowSlice> slices(rows, RowSlice{0, descending, 0, 1});
      const auto refused = Gather(batch->schema(), {&batch, 1}, slices, Pool());
      EXPECT_TRUE(refused.status().IsCapacityError()) << refused.status().ToString();
    }
  }
}

TEST(Gather, OtherThanStoredTypesAreRefusedByColumn) {
  const auto batch = MakeBatch({arrow::field("views", arrow::utf8_view())},
                               {FromJson(arrow::utf8_view(), R"(["a", "b"])")});
  const RowSlice slice{0, true, 0, 2};
  const auto refused = Gather(batch->schema(), {&batch, 1}, {&slice, 1}, Pool());
  EXPECT_TRUE(refused.status().IsTypeError());
  EXPECT_NE(refused.status().message().find("'views'"), std::string::npos);
}

TEST(Gather, ALackOfMemoryIsAStatus) {
  testing::Random random(36);
  const auto batch =
      MakeBatch({arrow::field("v", arrow::utf8())}, {RandomArray(arrow::utf8(), 1000, &random)});
  arrow::CappedMemoryPool pool(Pool(), 1024);
  EXPECT_TRUE(CopyBatch(batch, &pool).status().IsOutOfMemory());
}

TEST(BatchBytes, CountsValuesOffsetsAndBitmapsOfTheRows) {
  const auto ints =
      MakeBatch({arrow::field("v", arrow::int64())}, {FromJson(arrow::int64(), "[1, 2, 3, 4]")});
  EXPECT_EQ(BatchBytes(*ints), 32);
  EXPECT_EQ(BatchBytes(*ints->Slice(1, 2)), 16);
  const auto texts = MakeBatch({arrow::field("v", arrow::utf8())},
                               {FromJson(arrow::utf8(), R"(["aaaa", "bb", null])")});
  EXPECT_EQ(BatchBytes(*texts->Slice(1, 2)), 1 + 12 + 2);
}

TEST(SerializeBatch, AlignsTheBodyAndRefersToItsBytes) {
  const auto batch =
      MakeBatch({arrow::field("v", arrow::int64()), arrow::field("s", arrow::utf8())},
                {FromJson(arrow::int64(), "[1, 2]"), FromJson(arrow::utf8(), R"(["a", "b"])")});
  const auto bytes = testing::Serialized(*batch);
  const auto read = DeserializeBatch(bytes, batch->schema()).ValueOrDie();
  EXPECT_TRUE(read->Equals(*batch));
  const uint8_t* values = read->column_data(0)->buffers[1]->data();
  EXPECT_EQ((values - bytes->data()) % 64, 0);
  EXPECT_LT(values - bytes->data(), bytes->size());
}

TEST(SerializeBatch, BytesAtAnOddAddressAreReadAsWell) {
  const auto batch =
      MakeBatch({arrow::field("v", arrow::int64())}, {FromJson(arrow::int64(), "[1, 2]")});
  const auto bytes = testing::Serialized(*batch);
  const auto shifted = arrow::Buffer::FromString(std::string(1, 'x') + bytes->ToString());
  const auto read = DeserializeBatch(arrow::SliceBuffer(shifted, 1), batch->schema());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_TRUE((*read)->Equals(*batch));
}

TEST(SerializeBatch, DamagedBytesGiveAStatusOrAValidBatch) {
  testing::Random random(37);
  const arrow::FieldVector fields = {
      arrow::field("a", arrow::int64()), arrow::field("b", arrow::utf8()),
      arrow::field("c", arrow::list(arrow::struct_({arrow::field("x", arrow::boolean())}))),
      arrow::field("d", arrow::map(arrow::utf8(), arrow::int8()))};
  arrow::ArrayVector columns;
  for (const auto& field : fields) columns.push_back(RandomArray(field->type(), 20, &random));
  const auto batch = MakeBatch(fields, columns);
  const std::string bytes = testing::Serialized(*batch)->ToString();
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = bytes;
    if (i % 3 == 0) damaged.resize(random() % damaged.size());
    for (uint64_t flips = 1 + random() % 3; flips > 0 && !damaged.empty(); --flips) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    }
    const auto read = DeserializeBatch(arrow::Buffer::FromString(damaged), batch->schema());
    if (read.ok()) {
      EXPECT_TRUE((*read)->ValidateFull().ok());
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(SerializeBatch, AnotherSchemaIsRefused) {
  const auto batch =
      MakeBatch({arrow::field("v", arrow::int64())}, {FromJson(arrow::int64(), "[1, 2]")});
  const auto bytes = testing::Serialized(*batch);
  EXPECT_FALSE(DeserializeBatch(bytes, arrow::schema({arrow::field("v", arrow::utf8())})).ok());
  EXPECT_FALSE(DeserializeBatch(bytes, arrow::schema({arrow::field("v", arrow::int64()),
                                                      arrow::field("w", arrow::int64())}))
                   .ok());
}

TEST(RowBatch, SlicesKeysSequencesAndKindsInStep) {
  const auto batch = MakeBatch({arrow::field("k", arrow::utf8(), false)},
                               {FromJson(arrow::utf8(), R"(["a", "b", "c", "d"])")});
  const auto codec = KeyCodec::Make(batch->schema(), {0}).ValueOrDie();
  const uint64_t sequences[] = {9, 8, 7, 6};
  const uint8_t kinds[] = {0, 1, 0, 1};
  RowBatch rows;
  rows.columns = batch;
  rows.keys = codec->Encode(*batch).ValueOrDie();
  rows.sequences = sequences;
  rows.kinds = kinds;
  const RowBatch slice = rows.Slice(1, 2);
  ASSERT_EQ(slice.num_rows(), 2);
  EXPECT_EQ(slice.keys.size(), 2);
  EXPECT_EQ(slice.keys[0], "b");
  EXPECT_EQ(slice.SequenceAt(1), 7);
  EXPECT_EQ(slice.KindAt(0), RowKind::kDelete);
  EXPECT_EQ(slice.KindAt(1), RowKind::kPut);
}

TEST(RowBatch, WithoutKeysSlicesAsWell) {
  RowBatch rows;
  rows.columns = MakeBatch({arrow::field("v", arrow::int8())}, {FromJson(arrow::int8(), "[1, 2]")});
  rows.sequence = 5;
  const RowBatch slice = rows.Slice(1, 1);
  EXPECT_EQ(slice.keys.size(), 0);
  EXPECT_EQ(slice.SequenceAt(0), 5);
  EXPECT_EQ(slice.KindAt(0), RowKind::kPut);
}

}  // namespace
}  // namespace marble

// What a list of rows gathers to, beside taking its rows one by one.
#include "row/row_list.h"

#include <gtest/gtest.h>

#include <utility>

#include <arrow/array/concatenate.h>

#include "row/batch_ops.h"
#include "row/gather.h"
#include "support/random.h"
#include "unit/row/row_arrays.h"

namespace marble {
namespace {

arrow::MemoryPool* Pool() { return arrow::default_memory_pool(); }

std::vector<std::shared_ptr<arrow::RecordBatch>> Sources(int count, int64_t rows) {
  testing::Random random(7);
  const arrow::FieldVector fields = {arrow::field("number", arrow::int64()),
                                     arrow::field("text", arrow::utf8()),
                                     arrow::field("flag", arrow::boolean())};
  std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
  for (int i = 0; i < count; ++i) {
    arrow::ArrayVector columns;
    for (const auto& field : fields) {
      columns.push_back(testing::RandomArray(field->type(), rows, &random));
    }
    sources.push_back(testing::MakeBatch(fields, columns));
  }
  return sources;
}

/// The rows of `slices` one after the other.
std::shared_ptr<arrow::RecordBatch> OneByOne(
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& sources,
    const std::vector<RowSlice>& slices) {
  arrow::ArrayVector columns;
  for (int c = 0; c < sources[0]->num_columns(); ++c) {
    arrow::ArrayVector pieces;
    for (const RowSlice& slice : slices) {
      for (int64_t i = 0; i < slice.length; ++i) {
        const int64_t row = slice.descending ? slice.start + slice.length - 1 - i : slice.start + i;
        pieces.push_back(sources[static_cast<size_t>(slice.source)]->column(c)->Slice(row, 1));
      }
    }
    columns.push_back(arrow::Concatenate(pieces).ValueOrDie());
  }
  return testing::MakeBatch(sources[0]->schema()->fields(), columns);
}

/// Checks that a list of `slices` gives their rows.
void ExpectRows(const std::vector<std::shared_ptr<arrow::RecordBatch>>& sources,
                const std::vector<RowSlice>& slices) {
  RowList list(Pool());
  for (const RowSlice& slice : slices) {
    list.Add(slice.source, slice.start, slice.length, slice.descending);
  }
  const auto expected = OneByOne(sources, slices);
  EXPECT_EQ(list.rows(), expected->num_rows());
  const auto selection = RowSelection::FromList(std::move(list), Pool());
  ASSERT_TRUE(selection.ok()) << selection.status().ToString();
  const auto gathered = Gather(sources[0]->schema(), sources, *selection, Pool());
  ASSERT_TRUE(gathered.ok()) << gathered.status().ToString();
  ASSERT_TRUE((*gathered)->ValidateFull().ok());
  EXPECT_TRUE((*gathered)->Equals(*expected)) << (*gathered)->ToString() << expected->ToString();
}

std::vector<RowSlice> RandomSlices(int count, int sources, int64_t rows, int64_t length_max,
                                   bool descending) {
  test::Random random(static_cast<uint64_t>(length_max));
  std::vector<RowSlice> slices;
  for (int i = 0; i < count; ++i) {
    const auto length = random.Between(1, length_max);
    const auto start = random.Between(0, rows - length);
    slices.push_back({static_cast<int32_t>(random.Between(0, sources - 1)),
                      descending && random.OneIn(2), start, length});
  }
  return slices;
}

TEST(RowList, GivesScatteredRowsInTheOrderInWhichTheyWereAdded) {
  // With one row a stretch, about one, a few and many: every form that a selection takes.
  const auto sources = Sources(3, 200);
  for (const int64_t length_max : {1, 2, 5, 60}) {
    ExpectRows(sources, RandomSlices(300, 3, 200, length_max, false));
  }
}

TEST(RowList, OfSingleRowsIsTakenAsItIs) {
  const auto sources = Sources(2, 400);
  std::vector<RowSlice> slices;
  for (int64_t i = 0; i < 200; ++i)
    slices.push_back({static_cast<int32_t>(i % 2), false, i * 2, 1});
  ExpectRows(sources, slices);
  RowList list(Pool());
  for (const RowSlice& slice : slices) list.Add(slice.source, slice.start, 1, false);
  EXPECT_EQ(list.stretches(), 200);
  const auto selection = RowSelection::FromList(std::move(list), Pool()).ValueOrDie();
  ASSERT_TRUE(selection.is_packed());
  EXPECT_EQ(selection.packed()[3], (uint64_t{1} << RowList::kRowBits) | 6);
}

TEST(RowList, OfLongStretchesIsTakenAsSlices) {
  RowList list(Pool());
  list.Add(1, 10, 100, false);
  list.Add(0, 5, 1, false);
  const auto selection = RowSelection::FromList(std::move(list), Pool()).ValueOrDie();
  EXPECT_FALSE(selection.is_packed());
  std::vector<int64_t> lengths;
  selection.ForEachSlice([&](const RowSlice& slice) { lengths.push_back(slice.length); });
  EXPECT_EQ(lengths, (std::vector<int64_t>{100, 1}));
}

TEST(RowList, GivesDescendingStretchesFromTheLastRowToTheFirst) {
  const auto sources = Sources(3, 200);
  for (const int64_t length_max : {1, 2, 5, 60}) {
    ExpectRows(sources, RandomSlices(300, 3, 200, length_max, true));
  }
}

TEST(RowList, MakesOneStretchOfRowsThatContinueEachOther) {
  RowList up(Pool());
  RowList down(Pool());
  for (int64_t i = 0; i < 50; ++i) {
    up.Add(1, i, 1, false);
    down.Add(1, 49 - i, 1, true);
  }
  EXPECT_EQ(up.stretches(), 1);
  EXPECT_EQ(down.stretches(), 1);
  EXPECT_EQ(down.last().start, 0);
  EXPECT_EQ(down.last().length, 50);
  up.Add(0, 50, 1, false);  // of another source
  down.Add(1, 50, 1, true);
  EXPECT_EQ(up.stretches(), 2);
  EXPECT_EQ(down.stretches(), 2);
}

TEST(RowList, TellsTheLastOfAllSourcesAndRowsApart) {
  RowList list(Pool());
  list.Add(RowList::kSourcesMax - 1, RowList::kRowsMax - 7, 7, true);
  list.Add(RowList::kSourcesMax - 2, RowList::kRowsMax - 1, 1, false);
  std::vector<RowSlice> read;
  const auto words = std::move(list).TakeWords().ValueOrDie();
  RowList::ForEach(words->span_as<uint64_t>(),
                   [&](const RowSlice& slice) { read.push_back(slice); });
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].source, RowList::kSourcesMax - 1);
  EXPECT_TRUE(read[0].descending);
  EXPECT_EQ(read[0].start, RowList::kRowsMax - 7);
  EXPECT_EQ(read[0].length, 7);
  EXPECT_EQ(read[1].source, RowList::kSourcesMax - 2);
  EXPECT_FALSE(read[1].descending);
  EXPECT_EQ(read[1].start, RowList::kRowsMax - 1);
  EXPECT_EQ(read[1].length, 1);
}

/// Has memory for nothing, or for what is asked of it first.
class PoorPool : public arrow::ProxyMemoryPool {
 public:
  explicit PoorPool(bool first) : ProxyMemoryPool(Pool()), first_(first) {}
  using arrow::ProxyMemoryPool::Allocate;
  using arrow::ProxyMemoryPool::Reallocate;
  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    if (std::exchange(first_, false)) return ProxyMemoryPool::Allocate(size, alignment, out);
    return arrow::Status::OutOfMemory("planted");
  }
  arrow::Status Reallocate(int64_t, int64_t, int64_t, uint8_t**) override {
    return arrow::Status::OutOfMemory("planted");
  }

 private:
  bool first_;
};

TEST(RowList, TellsAtItsEndThatMemoryFailed) {
  for (const bool first : {false, true}) {
    SCOPED_TRACE(first);
    PoorPool pool(first);
    RowList list(&pool);
    for (int64_t i = 0; i < 1000; ++i) list.Add(0, 2 * i, 1, false);
    EXPECT_EQ(list.rows(), 1000);
    const auto selection = RowSelection::FromList(std::move(list), Pool());
    EXPECT_TRUE(selection.status().IsOutOfMemory()) << selection.status().ToString();
  }
}

TEST(RowList, AsksOnceForTheRoomThatIsExpected) {
  PoorPool pool(/*first=*/true);
  RowList list(&pool, /*words_expected=*/1000);
  for (int64_t i = 0; i < 1000; ++i) list.Add(0, 2 * i, 1, false);
  const auto selection = RowSelection::FromList(std::move(list), Pool());
  ASSERT_TRUE(selection.ok()) << selection.status().ToString();
  EXPECT_EQ(selection->num_rows(), 1000);
}

}  // namespace
}  // namespace marble

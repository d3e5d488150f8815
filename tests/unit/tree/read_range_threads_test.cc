// Merged reads whose next batch a helper makes while the caller is busy with the one before.
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "base/helper_threads.h"
#include "unit/tree/at_once.h"
#include "unit/tree/view_test_support.h"

namespace marble {
namespace {

using merge_test::Row;
using view_test::Get;
using view_test::Shape;
using view_test::TestView;

constexpr int64_t kBatchRows = 5000;
constexpr int64_t kBatches = 8;
constexpr int64_t kRows = kBatchRows * kBatches;

class MergedReadTest : public ::testing::Test {
 protected:
  MergedReadTest() : table_(Shape::kTable, kRows) {
    std::vector<Row> old_rows;
    std::vector<Row> new_rows;
    for (int64_t n = 0; n < kRows; ++n) {
      const bool is_new = n % 3 == 0;
      old_rows.push_back({table_.Key(n), 3, false, is_new ? -n : n});
      if (is_new) new_rows.push_back({table_.Key(n), 4, false, n});
      wanted_.push_back(n);
    }
    table_.AddRun(old_rows, {});
    table_.AddRun(new_rows, {});
  }

  static ReadRequest Request(Helpers* helpers) {
    ReadRequest request;
    request.columns = {0, 1};
    request.want_keys = false;
    request.helpers = helpers;
    return request;
  }
  std::unique_ptr<SortedReader> Open(Helpers* helpers, int64_t rows_first = 0) const {
    return Get(ReadRange(table_.view(), Request(helpers), kBatchRows, rows_first));
  }

  TestView table_;
  std::vector<int64_t> wanted_;
};

TEST_F(MergedReadTest, HelpersChangeNoRowAndNoOrder) {
  HelperThreads threads(2);
  AtOnce at_once;
  for (Helpers* helpers : {static_cast<Helpers*>(&threads), static_cast<Helpers*>(&at_once)}) {
    EXPECT_EQ(table_.Read(Request(helpers), kBatchRows), wanted_);
    ReadRequest reverse = Request(helpers);
    reverse.direction = Direction::kReverse;
    EXPECT_EQ(table_.Read(reverse, kBatchRows),
              std::vector<int64_t>(wanted_.rbegin(), wanted_.rend()));
  }
  EXPECT_GT(at_once.asked(), 0);
}

TEST_F(MergedReadTest, OneBatchIsMadeAheadFromTheSecondOn) {
  AtOnce helpers;
  const auto reader = Open(&helpers);
  // Once for the columns of each batch; for each one ahead, and to choose the rows behind it.
  ASSERT_TRUE(Get(reader->Next()).has_value());
  EXPECT_EQ(helpers.asked(), 1);
  for (int batches = 2; batches <= 4; ++batches) {
    ASSERT_TRUE(Get(reader->Next()).has_value());
    EXPECT_EQ(helpers.asked(), 3 * batches - 1);
  }
}

TEST_F(MergedReadTest, SmallBatchesAreMadeByTheirReader) {
  AtOnce helpers;
  const auto reader = Open(&helpers, /*rows_first=*/100);
  for (int64_t rows = 100; rows < kBatchRows / 2; rows *= 2) {
    ASSERT_EQ(Get(reader->Next())->num_rows(), rows);
  }
  EXPECT_EQ(helpers.asked(), 0);
}

TEST_F(MergedReadTest, MayBeDroppedWhileAHelperMerges) {
  HelperThreads threads(2);
  for (int batches = 0; batches <= kBatches; ++batches) {
    const auto reader = Open(&threads);
    for (int i = 0; i < batches; ++i) ASSERT_TRUE(Get(reader->Next()).has_value());
  }
}

TEST_F(MergedReadTest, TheEndAndAnErrorStay) {
  HelperThreads threads(1);
  auto reader = Open(&threads);
  while (Get(reader->Next()).has_value()) {
  }
  EXPECT_FALSE(Get(reader->Next()).has_value());
  const std::string middle = table_.Key(kRows / 2);
  const std::string last = table_.Key(kRows - 1);
  const auto run = table_.AddRun({{middle, 5, false, 0}, {last, 5, false, 0}}, {}, {last});
  ASSERT_TRUE(table_.fs()->Remove(run->files[1]->path()).ok());
  reader = Open(&threads);
  for (int64_t i = 0; i < kBatches / 2; ++i) ASSERT_TRUE(Get(reader->Next()).has_value());
  EXPECT_TRUE(reader->Next().status().IsIOError());
  EXPECT_TRUE(reader->Next().status().IsIOError());
}

}  // namespace
}  // namespace marble

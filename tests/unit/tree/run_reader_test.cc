#include "tree/run_reader.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/helper_threads.h"
#include "unit/sst/sst_test_util.h"
#include "unit/tree/at_once.h"

namespace marble {
namespace {

using sst_test::Get;
using sst_test::SstFixture;

constexpr int64_t kFileRows = 30'000;
constexpr int64_t kBlockBytes = 8 * 1024;

/// A run of two files with rows {id, note, twice} of ids 0, 1, ..., about 1 MB each.
class RunReaderTest : public ::testing::TestWithParam<Compression> {
 protected:
  RunReaderTest() {
    TableOptions options;
    options.primary_key = {"id"};
    options.block_bytes = kBlockBytes;
    options.compression = GetParam();
    schema_ = sst_test::MakeSchema(
        {arrow::field("id", arrow::int64(), false), arrow::field("note", arrow::utf8()),
         arrow::field("twice", arrow::int64())},
        options);
    std::vector<std::shared_ptr<const TableFile>> opened;
    for (int64_t i = 0; i < 2; ++i) {
      files_.push_back(std::make_unique<SstFixture>(schema_));
      SstFixture& file = *files_.back();
      EXPECT_TRUE(file.Write({Rows(i * kFileRows, kFileRows)}).ok());
      opened.push_back(std::make_shared<TableFile>(file.meta, file.ReaderOptions()));
    }
    run_ = std::make_shared<const marble::Run>(std::move(opened));
  }

  RowBatch Rows(int64_t first, int64_t count) const {
    arrow::Int64Builder ids;
    arrow::StringBuilder notes;
    arrow::Int64Builder twice;
    for (int64_t i = first; i < first + count; ++i) {
      EXPECT_TRUE(ids.Append(i).ok());
      EXPECT_TRUE(notes.Append(sst_test::Numbered("note of row ", i)).ok());
      EXPECT_TRUE(twice.Append(2 * i).ok());
    }
    return sst_test::MakeRows(
        *schema_,
        arrow::RecordBatch::Make(schema_->stored_schema(), count,
                                 {Get(ids.Finish()), Get(notes.Finish()), Get(twice.Finish())}),
        std::vector<uint64_t>(count, 1));
  }

  ReadRequest Request(Helpers* helpers) const {
    ReadRequest request;
    request.columns = {0, 2};
    request.want_keys = false;
    request.helpers = helpers;
    return request;
  }

  std::string Key(int64_t id) const { return std::string(Rows(id, 1).keys[0]); }

  /// The ids of all batches, each checked against its row's other column.
  static arrow::Status ReadIds(SortedReader* reader, bool reverse, std::vector<int64_t>* ids) {
    for (;;) {
      ARROW_ASSIGN_OR_RAISE(const auto rows, reader->Next());
      if (!rows.has_value()) return arrow::Status::OK();
      const auto& id = static_cast<const arrow::Int64Array&>(*rows->columns->column(0));
      const auto& twice = static_cast<const arrow::Int64Array&>(*rows->columns->column(1));
      for (int64_t i = 0; i < id.length(); ++i) {
        const int64_t row = reverse ? id.length() - 1 - i : i;
        EXPECT_EQ(twice.Value(row), 2 * id.Value(row));
        ids->push_back(id.Value(row));
      }
    }
  }

  std::vector<int64_t> IdsOf(const ReadRequest& request) const {
    std::vector<int64_t> ids;
    const auto reader = NewRunReader(run_, request);
    const auto status = ReadIds(reader.get(), request.direction == Direction::kReverse, &ids);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return ids;
  }

  static std::vector<int64_t> Ids(int64_t first, int64_t end) {
    std::vector<int64_t> ids;
    for (int64_t i = first; i < end; ++i) ids.push_back(i);
    return ids;
  }

  std::shared_ptr<const StoredSchema> schema_;
  std::vector<std::unique_ptr<SstFixture>> files_;
  std::shared_ptr<const marble::Run> run_;
  AtOnce helpers_;
};

TEST_P(RunReaderTest, HelpersChangeNoRowAndNoOrder) {
  HelperThreads threads(3);
  const int64_t low = 777;
  const int64_t high = 2 * kFileRows - 555;
  for (const bool bounded : {false, true}) {
    for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
      for (Helpers* helpers : {static_cast<Helpers*>(&threads), static_cast<Helpers*>(&helpers_)}) {
        ReadRequest request = Request(helpers);
        request.direction = direction;
        if (bounded) request.range = {Key(low), Key(high)};
        std::vector<int64_t> ids = IdsOf(request);
        if (direction == Direction::kReverse) std::reverse(ids.begin(), ids.end());
        EXPECT_EQ(ids, bounded ? Ids(low, high) : Ids(0, 2 * kFileRows));
      }
    }
  }
}

TEST_P(RunReaderTest, TheFirstBlocksAreReadWithoutHelpers) {
  const auto reader = NewRunReader(run_, Request(&helpers_));
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Get(reader->Next()).has_value());
    EXPECT_EQ(helpers_.asked(), 0) << "block " << i;
  }
  ASSERT_TRUE(Get(reader->Next()).has_value());
  EXPECT_GT(helpers_.asked(), 0);
}

TEST_P(RunReaderTest, HelpersAreAFewGroupsOfBlocksAhead) {
  const auto reader = NewRunReader(run_, Request(&helpers_));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Get(reader->Next()).has_value());
  EXPECT_LE(helpers_.asked(), 3);
  std::vector<int64_t> ids;
  ASSERT_TRUE(ReadIds(reader.get(), false, &ids).ok());
  // Groups double up to 1 MiB, so two files of 1 MB are few of them.
  EXPECT_LE(helpers_.asked(), 12);
}

TEST_P(RunReaderTest, OnlyWhatMustBeCheckedOrDecompressedNeedsHelpers) {
  EXPECT_EQ(IdsOf(Request(nullptr)).size(), 2 * kFileRows);
  EXPECT_EQ(IdsOf(Request(&helpers_)).size(), 2 * kFileRows);
  EXPECT_EQ(helpers_.asked() > 0, GetParam() != Compression::kNone);
  const int asked = helpers_.asked();
  ReadRequest others = Request(&helpers_);
  others.columns = {1};
  const auto reader = NewRunReader(run_, others);
  while (Get(reader->Next()).has_value()) {
  }
  EXPECT_GT(helpers_.asked(), asked) << "the other columns' checks went for this one too";
}

TEST_P(RunReaderTest, RowsBeforeADamageComeBeforeItsError) {
  SstFixture& file = *files_[0];
  const auto damaged = static_cast<int64_t>(file.meta.size) / 2;
  SST_ASSERT_OK(file.fs.Damage(file.path, damaged, 0xff));
  std::vector<int64_t> alone;
  std::vector<int64_t> helped;
  for (const auto& [helpers, ids] :
       {std::pair{static_cast<AtOnce*>(nullptr), &alone}, std::pair{&helpers_, &helped}}) {
    const auto reader = NewRunReader(run_, Request(helpers));
    const arrow::Status status = ReadIds(reader.get(), false, ids);
    ASSERT_TRUE(IsCorruption(status)) << status.ToString();
    EXPECT_TRUE(IsCorruption(reader->Next().status())) << "the error does not stay";
  }
  EXPECT_GT(helpers_.asked(), 0);
  EXPECT_GT(alone.size(), kFileRows / 4u);
  EXPECT_EQ(helped, alone);
}

TEST_P(RunReaderTest, MayBeDroppedWhileHelpersRead) {
  HelperThreads threads(3);
  for (int batches = 0; batches < 12; ++batches) {
    const auto reader = NewRunReader(run_, Request(&threads));
    for (int i = 0; i < batches; ++i) ASSERT_TRUE(Get(reader->Next()).has_value());
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, RunReaderTest,
                         ::testing::Values(Compression::kNone, Compression::kLz4),
                         [](const auto& info) {
                           return info.param == Compression::kNone ? "None" : "Lz4";
                         });

}  // namespace
}  // namespace marble

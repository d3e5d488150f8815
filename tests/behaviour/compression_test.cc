// What TableOptions::bottom_compression promises: files of the last level have its codec, and
// whatever codecs a table's files have, its rows are the same.
#include <marble/table.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kRows = 20'000;

std::shared_ptr<arrow::Schema> Columns() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("note", arrow::utf8())});
}

/// Rows [first, first + kRows), whose notes compress well.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> Rows(int64_t first) {
  arrow::Int64Builder ids;
  arrow::StringBuilder notes;
  for (int64_t i = first; i < first + kRows; ++i) {
    ARROW_RETURN_NOT_OK(ids.Append(i));
    ARROW_RETURN_NOT_OK(notes.Append("order " + std::to_string(i % 7) + " was shipped in time"));
  }
  ARROW_ASSIGN_OR_RAISE(auto id, ids.Finish());
  ARROW_ASSIGN_OR_RAISE(auto note, notes.Finish());
  return arrow::RecordBatch::Make(Columns(), kRows, {id, note});
}

class BottomCompression : public testing::TestWithParam<Compression> {
 protected:
  void SetUp() override {
    ASSERT_OK(database_.Open());
    const TableOptions options{.primary_key = {"id"}, .bottom_compression = GetParam()};
    ASSERT_OK(database_->CreateTable("notes", Columns(), options));
    ASSERT_OK(Table::Open(database_.get(), "notes").Value(&table_));
  }
  void Insert(int64_t first) {
    ASSERT_OK_AND_ASSIGN(const auto rows, Rows(first));
    ASSERT_OK(table_->Insert(rows));
    ASSERT_OK(database_->Flush());
  }
  int64_t BytesInFiles() {
    for (const TableStats& table : database_->GetStats().ValueOrDie().tables) {
      if (table.name == "notes") return table.bytes_in_files;
    }
    return -1;
  }
  /// Rows [0, rows) are all that is there, to scans and lookups.
  void ExpectRows(int64_t rows) {
    ASSERT_OK_AND_ASSIGN(const auto reader, table_->Scan());
    ASSERT_OK_AND_ASSIGN(const auto all, reader->ToTable());
    ASSERT_OK_AND_ASSIGN(const auto batch, all->CombineChunksToBatch());
    ASSERT_EQ(batch->num_rows(), rows);
    ASSERT_OK_AND_ASSIGN(const auto found, table_->Get(batch));
    EXPECT_TRUE(found->Equals(*batch));
    ASSERT_OK_AND_ASSIGN(const auto expected, Rows(rows - kRows));
    EXPECT_TRUE(SameRows(expected, batch->Slice(rows - kRows)));
  }

  TestDatabase database_;
  std::shared_ptr<Table> table_;
};

INSTANTIATE_TEST_SUITE_P(Codecs, BottomCompression,
                         testing::Values(Compression::kLz4, Compression::kZstd),
                         [](const auto& info) {
                           return info.param == Compression::kLz4 ? "Lz4" : "Zstd";
                         });

TEST_P(BottomCompression, CompactionCompressesWhatItBringsToTheLastLevel) {
  Insert(0);
  const int64_t flushed = BytesInFiles();
  ASSERT_OK(database_->Compact());
  EXPECT_LT(BytesInFiles() * 2, flushed);
  ExpectRows(kRows);
}

TEST_P(BottomCompression, FilesOfBothCodecsAreReadTogether) {
  Insert(0);
  ASSERT_OK(database_->Compact());
  Insert(kRows);
  ExpectRows(2 * kRows);
}

TEST_P(BottomCompression, IsKeptWhenTheDatabaseIsReopened) {
  Insert(0);
  ASSERT_OK(database_->Compact());
  const int64_t compacted = BytesInFiles();
  table_.reset();
  ASSERT_OK(database_.Reopen());
  ASSERT_OK(Table::Open(database_.get(), "notes").Value(&table_));
  EXPECT_EQ(table_->info().options.bottom_compression, GetParam());
  ExpectRows(kRows);
  Insert(kRows);
  ASSERT_OK(database_->Compact());
  EXPECT_LT(BytesInFiles(), 3 * compacted);
  ExpectRows(2 * kRows);
}

}  // namespace
}  // namespace marble::test

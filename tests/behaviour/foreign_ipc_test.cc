// Arrow IPC files that lie: they are refused before memory, time or the table suffer. That they
// crash nothing is what tests/fuzz is for.

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>
#include <arrow/util/compression.h>

#include <marble/transfer.h>

#include "support/test_database.h"

namespace marble::test {
namespace {

using arrow::field;

constexpr int64_t kZeros = int64_t{1} << 20;

/// A stream, or a file, of one batch.
std::string IpcBytes(const arrow::RecordBatch& batch, bool stream, arrow::Compression::type codec) {
  auto sink = *arrow::io::BufferOutputStream::Create();
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.max_recursion_depth = 1000;
  options.allow_64bit = true;
  if (codec != arrow::Compression::UNCOMPRESSED) {
    options.codec = *arrow::util::Codec::Create(codec);
  }
  auto writer = stream ? *arrow::ipc::MakeStreamWriter(sink, batch.schema(), options)
                       : *arrow::ipc::MakeFileWriter(sink, batch.schema(), options);
  EXPECT_TRUE(writer->WriteRecordBatch(batch).ok());
  EXPECT_TRUE(writer->Close().ok());
  return (*sink->Finish())->ToString();
}

/// A column of zeros, which every codec makes very small.
std::shared_ptr<arrow::RecordBatch> Zeros() {
  const auto zero = arrow::MakeScalar(int64_t{0});
  return arrow::RecordBatch::Make(arrow::schema({field("n", arrow::int64())}), kZeros,
                                  {*arrow::MakeArrayFromScalar(*zero, kZeros)});
}

class ForeignIpcTest : public testing::TestWithParam<bool> {
 protected:
  /// Imports the bytes into a table without a key; 0 rows may be there after a failure.
  arrow::Status Import(const std::string& bytes, const std::shared_ptr<arrow::Schema>& schema,
                       int64_t memory_budget) {
    Options options;
    options.memory_budget = memory_budget;
    options.log_segment_bytes = 1 << 20;
    options.memtable_bytes = std::min(options.memtable_bytes, memory_budget / 4);
    ARROW_ASSIGN_OR_RAISE(const auto database, Database::Open(directory_.path() + "/db", options));
    ARROW_RETURN_NOT_OK(database->CreateTable("t", schema));
    ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(database, "t"));
    const std::string path = directory_.path() + "/input.arrow";
    std::ofstream(path, std::ios::binary) << bytes;
    ImportResult result;
    const arrow::Status status = ImportFile(table, path, {}, &result);
    ARROW_ASSIGN_OR_RAISE(rows_, table->Count());
    EXPECT_EQ(rows_, result.rows);
    return status;
  }

  const TestDirectory directory_;
  int64_t rows_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Formats, ForeignIpcTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Stream" : "File"; });

TEST_P(ForeignIpcTest, ABatchThatDecompressesToMoreThanTheMemoryBudgetIsRefused) {
  const auto batch = Zeros();
  const std::string bytes = IpcBytes(*batch, GetParam(), arrow::Compression::ZSTD);
  ASSERT_LT(bytes.size(), 16384u);
  EXPECT_FAILS_WITH("memory_budget", Import(bytes, batch->schema(), 4 << 20));
  EXPECT_EQ(rows_, 0);
}

TEST_P(ForeignIpcTest, ABatchThatDecompressesWithinTheMemoryBudgetIsTaken) {
  const auto batch = Zeros();
  for (const auto codec : {arrow::Compression::ZSTD, arrow::Compression::LZ4_FRAME}) {
    ASSERT_OK(Import(IpcBytes(*batch, GetParam(), codec), batch->schema(), 32 << 20));
    EXPECT_EQ(rows_, kZeros);
    std::filesystem::remove_all(directory_.path() + "/db");
  }
}

TEST_P(ForeignIpcTest, ABufferThatClaimsToHoldMoreThanMemoryIsRefused) {
  const auto batch = Zeros();
  std::string bytes = IpcBytes(*batch, GetParam(), arrow::Compression::ZSTD);
  // In front of a compressed buffer stands how many bytes it holds.
  const int64_t honest = kZeros * 8;
  const int64_t claim = int64_t{1} << 45;
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&honest), 8));
  ASSERT_NE(at, std::string::npos);
  std::memcpy(bytes.data() + at, &claim, 8);
  EXPECT_FAILS_WITH("memory_budget", Import(bytes, batch->schema(), 64 << 20));
  EXPECT_EQ(rows_, 0);
}

TEST_P(ForeignIpcTest, RowsThatNoBytesStandForAreRefused) {
  const int64_t rows = int64_t{1} << 40;
  const auto batch = arrow::RecordBatch::Make(arrow::schema({field("nothing", arrow::null())}),
                                              rows, {std::make_shared<arrow::NullArray>(rows)});
  const std::string bytes = IpcBytes(*batch, GetParam(), arrow::Compression::UNCOMPRESSED);
  EXPECT_FAILS_WITH("claims to hold", Import(bytes, batch->schema(), 64 << 20));
  EXPECT_EQ(rows_, 0);
}

TEST_P(ForeignIpcTest, AMillionRowsOfNothingAreTaken) {
  const auto batch = arrow::RecordBatch::Make(arrow::schema({field("nothing", arrow::null())}),
                                              kZeros, {std::make_shared<arrow::NullArray>(kZeros)});
  ASSERT_OK(Import(IpcBytes(*batch, GetParam(), arrow::Compression::UNCOMPRESSED), batch->schema(),
                   64 << 20));
  EXPECT_EQ(rows_, kZeros);
}

TEST_P(ForeignIpcTest, ManyRowsOfOneLongValueAreWrittenInSmallPieces) {
  // 64 MiB of rows in less than 1 MiB: were they made plain at once, memory would show it.
  const int64_t rows = 256;
  const auto type = arrow::dictionary(arrow::int8(), arrow::utf8());
  arrow::StringBuilder values;
  ASSERT_OK(values.Append(std::string(256 << 10, 'v')));
  arrow::Int8Builder indices;
  ASSERT_OK(indices.AppendValues(std::vector<int8_t>(rows, 0)));
  const auto column =
      std::make_shared<arrow::DictionaryArray>(type, *indices.Finish(), *values.Finish());
  const auto batch = arrow::RecordBatch::Make(arrow::schema({field("text", type)}), rows, {column});
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  const int64_t before = pool->max_memory();
  ASSERT_OK(Import(IpcBytes(*batch, GetParam(), arrow::Compression::UNCOMPRESSED), batch->schema(),
                   16 << 20));
  EXPECT_EQ(rows_, rows);
  EXPECT_LT(pool->max_memory() - before, int64_t{96} << 20);
}

TEST_P(ForeignIpcTest, TypesNestedDeeperThanTablesCanBeAreRefused) {
  std::shared_ptr<arrow::DataType> type = arrow::int8();
  for (int depth = 0; depth < 100; ++depth) type = arrow::list(type);
  const auto batch = arrow::RecordBatch::Make(arrow::schema({field("deep", type)}), 1,
                                              {*arrow::MakeArrayOfNull(type, 1)});
  const std::string bytes = IpcBytes(*batch, GetParam(), arrow::Compression::UNCOMPRESSED);
  const auto schema = arrow::schema({field("deep", arrow::list(arrow::int8()))});
  EXPECT_FALSE(Import(bytes, schema, 64 << 20).ok());
  EXPECT_EQ(rows_, 0);
  ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(directory_.path() + "/other"));
  const auto read = ReadFileSchema(database, directory_.path() + "/input.arrow");
  EXPECT_FALSE(read.ok() && database->CreateTable("deep", *read).ok());
}

}  // namespace
}  // namespace marble::test

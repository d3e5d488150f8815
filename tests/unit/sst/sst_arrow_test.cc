// Tests that an SSTable is an Arrow file: Arrow's own readers read it, and its buffers are aligned.
#include <string>
#include <vector>

#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/util/key_value_metadata.h>

#include "sst/sst_format.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using namespace sst_test;

/// A file of several blocks over a schema with every kind of buffer.
class ArrowFile : public ::testing::TestWithParam<Compression> {
 protected:
  void SetUp() override {
    TableOptions options;
    options.primary_key = {"id"};
    options.compression = GetParam();
    options.block_bytes = 3000;
    file_ = std::make_unique<SstFixture>(MakeSchema(
        {arrow::field("id", arrow::int32(), false), arrow::field("text", arrow::utf8()),
         arrow::field("flag", arrow::boolean()), arrow::field("list", arrow::list(arrow::int8()))},
        options));
    std::string json = "[";
    for (int i = 0; i < 500; ++i) {
      const std::string n = std::to_string(i);
      json += (i == 0 ? "" : ",") + ("[" + n) +
              (i % 3 == 0 ? ",null,null,null]" : ",\"text " + n + "\",true,[1,2,null]]");
    }
    const auto rows =
        FromJson(arrow::struct_(file_->schema->stored_schema()->fields()), json + "]");
    const auto batch = Get(arrow::RecordBatch::FromStructArray(rows));
    expected_ = Get(arrow::Table::FromRecordBatches(
        {arrow::RecordBatch::Make(file_->schema->stored_schema(), 500, batch->columns())}));
    SST_ASSERT_OK(file_->Write({MakeRows(*file_->schema, batch)}));
    bytes_ = Get(Get(file_->fs.OpenReadable(file_->path))->Map());
  }

  void ExpectRows(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
    ASSERT_GT(batches.size(), 3u);
    const auto table = Get(arrow::Table::FromRecordBatches(batches));
    ASSERT_TRUE(table->ValidateFull().ok());
    EXPECT_EQ(table->schema()->field(4)->name(), "_sequence");
    EXPECT_EQ(table->schema()->field(5)->name(), "_kind");
    const auto user = Get(table->SelectColumns({0, 1, 2, 3}));
    EXPECT_TRUE(user->Equals(*expected_));
  }

  std::unique_ptr<SstFixture> file_;
  std::shared_ptr<arrow::Buffer> bytes_;
  std::shared_ptr<arrow::Table> expected_;
};

INSTANTIATE_TEST_SUITE_P(Codecs, ArrowFile,
                         ::testing::Values(Compression::kNone, Compression::kLz4,
                                           Compression::kZstd));

TEST_P(ArrowFile, TheFileReaderReadsIt) {
  const auto reader = Get(
      arrow::ipc::RecordBatchFileReader::Open(std::make_shared<arrow::io::BufferReader>(bytes_)));
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int i = 0; i < reader->num_record_batches(); ++i) {
    batches.push_back(Get(reader->ReadRecordBatch(i)));
  }
  ExpectRows(batches);
  EXPECT_EQ(Get(reader->metadata()->Get("marble.version")), "1");
}

TEST_P(ArrowFile, AStreamReaderReadsItFromByteEight) {
  const auto reader = Get(arrow::ipc::RecordBatchStreamReader::Open(
      std::make_shared<arrow::io::BufferReader>(arrow::SliceBuffer(bytes_, 8))));
  ExpectRows(Get(reader->ToRecordBatches()));
}

TEST_P(ArrowFile, HiddenColumnsAreMarked) {
  const auto reader = Get(
      arrow::ipc::RecordBatchFileReader::Open(std::make_shared<arrow::io::BufferReader>(bytes_)));
  EXPECT_EQ(Get(reader->schema()->field(4)->metadata()->Get("marble.hidden")), "sequence");
  EXPECT_EQ(Get(reader->schema()->field(5)->metadata()->Get("marble.hidden")), "kind");
}

void ExpectAligned(const arrow::ArrayData& data, const uint8_t* base) {
  for (const auto& buffer : data.buffers) {
    if (buffer == nullptr || buffer->size() == 0) continue;
    EXPECT_EQ((buffer->data() - base) % 64, 0);
  }
  for (const auto& child : data.child_data) ExpectAligned(*child, base);
}

TEST(SstArrow, EveryBufferIsAlignedTo64BytesWhateverTheSchemasLength) {
  for (int extra = 0; extra < 70; extra += 3) {
    TableOptions options;
    options.block_rows_max = 3;
    SstFixture file(MakeSchema({arrow::field("a" + std::string(extra, 'x'), arrow::utf8()),
                                arrow::field("b", arrow::list(arrow::int16()))},
                               options));
    const auto batch = arrow::RecordBatch::Make(
        file.schema->stored_schema(), 5,
        {FromJson(arrow::utf8(), R"(["a", null, "c", "d", "e"])"),
         FromJson(arrow::list(arrow::int16()), "[[1], null, [2, 3], [], [4]]")});
    SST_ASSERT_OK(file.Write({MakeRows(*file.schema, batch)}));
    const auto bytes = Get(Get(file.fs.OpenReadable(file.path))->Map());
    const auto reader = Get(
        arrow::ipc::RecordBatchFileReader::Open(std::make_shared<arrow::io::BufferReader>(bytes)));
    ASSERT_EQ(reader->num_record_batches(), 2);
    for (int i = 0; i < 2; ++i) {
      const auto read = Get(reader->ReadRecordBatch(i));
      for (const auto& column : read->column_data()) ExpectAligned(*column, bytes->data());
    }
  }
}

TEST(SstArrow, AVeryWideSchemaIsWrittenAligned) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (int i = 0; i < kColumnsMax; ++i) {
    fields.push_back(arrow::field(std::string(300, 'c') + std::to_string(i), arrow::int32()));
    arrays.push_back(FromJson(arrow::int32(), "[1]"));
  }
  SstFixture file(MakeSchema(fields, {}));
  SST_ASSERT_OK(file.Write(
      {MakeRows(*file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(), 1, arrays))}));
  const auto reader = Get(file.Open());
  const auto mapped = Get(reader->ReadBlock(0, {0, kColumnsMax - 1}, false));
  EXPECT_EQ(mapped.columns->num_columns(), 2);
  SST_ASSERT_OK(reader->Verify());
}

TEST(SstArrow, MappedUncompressedBlocksAreNotCopied) {
  SstFixture file(KeyValueSchema());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(10000))}));
  const auto reader = Get(file.Open());
  const int64_t before = arrow::default_memory_pool()->bytes_allocated();
  std::vector<RowBatch> all;
  for (int64_t block = 0; block < reader->num_blocks(); ++block) {
    all.push_back(Get(reader->ReadBlock(block, {0, 1}, true)));
  }
  EXPECT_LT(arrow::default_memory_pool()->bytes_allocated() - before, 1000);
  EXPECT_EQ(file.cache->bytes(), 0);
}

}  // namespace
}  // namespace marble

// Files whose checksums are right and whose content is not: made by an attacker, or by a bug.
// Opening and verifying must say what is wrong with them.
#include <functional>
#include <string>
#include <vector>

#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>

#include "sst/point_index.h"
#include "sst/zone_map.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using namespace sst_test;

TableOptions SmallBlocks(PointLookup lookup = PointLookup::kPointIndex) {
  TableOptions options;
  options.point_lookup = lookup;
  options.block_bytes = 500;
  return options;
}

/// A file of 60 pairs without deletes, whose bytes can be changed.
class Forgery : public ::testing::Test {
 protected:
  void SetUp() override {
    SST_ASSERT_OK(file_.Write({MakeKvRows(*file_.schema, ManyRows(60))}));
    SST_ASSERT_OK(file_.OpenAndVerify());
    good_ = file_.ReadAll();
  }

  /// Why the file is refused after this change.
  std::string RefusalOf(const std::function<void(std::string*)>& change) {
    std::string bytes = good_;
    change(&bytes);
    Reseal(&file_, bytes);
    const arrow::Status status = file_.OpenAndVerify();
    EXPECT_TRUE(IsCorruption(status)) << status.ToString();
    return status.message();
  }

  /// Of a section, in the file.
  int64_t At(const char* section) { return SectionOf(&file_, section).offset; }

  SstFixture file_{KeyValueSchema(SmallBlocks())};
  std::string good_;
};

TEST_F(Forgery, FlagsOfABlockThatItsRowsContradictAreFound) {
  const auto with_flags = [this](uint32_t flags) {
    const int64_t at = At(kSectionBlockIndex) + 64 + 52;  // of the first entry
    return RefusalOf([&](std::string* bytes) { StoreLittle<uint32_t>(bytes->data() + at, flags); });
  };
  EXPECT_NE(with_flags(1).find("wrong about repeated keys"), std::string::npos);
  EXPECT_NE(with_flags(2).find("wrong about deleted rows"), std::string::npos);
}

TEST_F(Forgery, ABlockThatIsNotWhereTheIndexSaysIsFound) {
  ASSERT_GT(Get(file_.Open())->num_blocks(), 3);
  const auto at = static_cast<size_t>(At(kSectionBlockIndex) + 64 + 2 * 64);  // the third entry
  const std::string refusal = RefusalOf([at](std::string* bytes) {
    for (const size_t field : {at, at + 8}) {  // later, and as much shorter
      const int64_t change = field == at ? 64 : -64;
      StoreLittle<int64_t>(bytes->data() + field,
                           LoadLittle<int64_t>(bytes->data() + field) + change);
    }
  });
  EXPECT_NE(refusal.find("no message starts where the block index says"), std::string::npos)
      << refusal;
}

TEST_F(Forgery, AKeyThatStandsInTwoBlocksIsFound) {
  const auto reader = Get(file_.Open());
  ASSERT_GT(reader->num_blocks(), 1);
  const int64_t row = reader->BlockFirstRow(1);
  const std::string refusal = RefusalOf([row](std::string* bytes) {
    bytes->replace(bytes->find(KeyOf(row)), KeyOf(row).size(), KeyOf(row - 1));
  });
  EXPECT_NE(refusal.find("keys are out of order"), std::string::npos) << refusal;
}

TEST_F(Forgery, APointIndexWhoseLinesAllSendOnIsFoundToLackKeys) {
  const SectionLocation section = SectionOf(&file_, kSectionPointIndex);
  const std::string refusal = RefusalOf([&](std::string* bytes) {
    for (int64_t line = PointIndex::kHeaderBytes; line < section.length;
         line += PointIndex::kLineBytes) {
      (*bytes)[section.offset + line + PointIndex::kLineEntries] = 0;      // no entries
      (*bytes)[section.offset + line + PointIndex::kLineEntries + 1] = 1;  // but in the next line
    }
  });
  EXPECT_NE(refusal.find("missing in the point index"), std::string::npos) << refusal;
}

TEST_F(Forgery, ZoneMapsOfAnotherTableAreFound) {
  const SectionLocation section = SectionOf(&file_, kSectionZoneMaps);
  const auto zones_of = [](int64_t blocks) {
    const auto schema = arrow::schema({arrow::field("c", arrow::int8())});
    ZoneMapBuilder builder(schema);
    for (int64_t i = 0; i < blocks; ++i) {
      const auto batch = arrow::RecordBatch::Make(schema, 1, {FromJson(arrow::int8(), "[1]")});
      EXPECT_TRUE(builder.AddBlock(*batch).ok());
    }
    return Get(builder.Finish());
  };
  const int64_t blocks = Get(file_.Open())->num_blocks();
  for (const std::string& zones : {zones_of(blocks), zones_of(blocks + 1)}) {
    ASSERT_LE(zones.size(), static_cast<size_t>(section.length));
    const std::string refusal =
        RefusalOf([&](std::string* bytes) { bytes->replace(section.offset, zones.size(), zones); });
    EXPECT_NE(refusal.find("zone maps of another file"), std::string::npos) << refusal;
  }
}

TEST(SstForgeries, VersionsOfAKeyInTheWrongOrderAreFound) {
  SstFixture file(KeyValueSchema());
  for (const uint64_t second : {uint64_t{5}, uint64_t{6}}) {
    ASSERT_TRUE(second == 5 || file.fs.Remove(file.path).ok());
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, {{"a", "1", 5}, {"a", "2", second}})}));
    const arrow::Status status = file.OpenAndVerify();
    EXPECT_TRUE(IsCorruption(status));
    EXPECT_NE(status.message().find("versions of a key are out of order"), std::string::npos);
  }
}

TEST(SstForgeries, AnEmptyFileIsSound) {
  SstFixture file(KeyValueSchema());
  SST_ASSERT_OK(file.Write({}));
  SST_ASSERT_OK(file.OpenAndVerify());
}

TEST(SstForgeries, AColumnOfOtherLengthThanItsBlockIsFound) {
  for (const bool mapped : {true, false}) {
    TableOptions options = SmallBlocks();
    options.primary_key = {"id"};
    options.block_bytes = 1 << 20;
    SstFixture file(
        MakeSchema({arrow::field("id", arrow::int64(), false), arrow::field("n", arrow::int64())},
                   options),
        mapped);
    constexpr int64_t kRows = 200;
    arrow::Int64Builder numbers;
    for (int64_t i = 0; i < kRows; ++i) SST_ASSERT_OK(numbers.Append(i));
    const auto column = Get(numbers.Finish());
    SST_ASSERT_OK(
        file.Write({MakeRows(*file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(),
                                                                    kRows, {column, column}))}));
    // The field nodes of the message: a length and a number of nulls for each column.
    const std::vector<int64_t> nodes = {kRows, 0, kRows, 0, kRows, 0};
    std::string bytes = file.ReadAll();
    const size_t at = bytes.find(
        std::string(reinterpret_cast<const char*>(nodes.data()), nodes.size() * sizeof(int64_t)));
    ASSERT_NE(at, std::string::npos);
    StoreLittle<int64_t>(bytes.data() + at + 16, kRows - 1);
    Reseal(&file, bytes);
    // Of reading, not of verification, which would see it in any case: nothing else is between a
    // block's rows and a column that has fewer.
    const auto reader = Get(file.Open());
    const arrow::Status status = reader->ReadBlock(0, {1}, false).status();
    EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  }
}

TEST(SstForgeries, MoreRowsOfNullsThanAnyBlockHasAreFound) {
  for (const int64_t rows : {kBlockRowsMax + 1, int64_t{1} << 45, int64_t{1} << 61}) {
    SstFixture file(MakeSchema({arrow::field("nothing", arrow::null())}, {}));
    file.writer_options.with_kinds = false;
    file.writer_options.constant_sequence = 1;
    constexpr int64_t kRows = 12345;
    SST_ASSERT_OK(file.Write({MakeRows(
        *file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(), kRows,
                                               {std::make_shared<arrow::NullArray>(kRows)}))}));
    // Of the block index, of the message and of its field node, which counts the nulls as well.
    std::string bytes = file.ReadAll();
    const std::string_view written(reinterpret_cast<const char*>(&kRows), sizeof(kRows));
    const auto end = static_cast<size_t>(SectionOf(&file, kSectionZoneMaps).offset);
    int replaced = 0;
    for (size_t at = bytes.find(written); at < end; at = bytes.find(written, at + 8)) {
      StoreLittle<int64_t>(bytes.data() + at, rows);
      ++replaced;
    }
    ASSERT_EQ(replaced, 4);
    Reseal(&file, bytes);
    file.meta.rows = static_cast<uint64_t>(rows);
    const auto reader = file.Open();
    EXPECT_TRUE(IsCorruption(reader.status())) << rows;
    // What reading made of them before.
    if (reader.ok()) EXPECT_FALSE((*reader)->ReadBlock(0, {0}, /*want_keys=*/true).ok());
  }
}

TEST(SstForgeries, ACompressedBlockOfAFileThatSaysItHasNoneIsFound) {
  TableOptions of_pairs = SmallBlocks();
  TableOptions of_rows = SmallBlocks();
  of_rows.primary_key = {"id"};
  of_pairs.compression = of_rows.compression = Compression::kLz4;
  const auto id = arrow::field("id", arrow::int64(), false);
  SstFixture pairs(KeyValueSchema(of_pairs));
  SST_ASSERT_OK(pairs.Write({MakeKvRows(*pairs.schema, ManyRows(60))}));
  SstFixture rows(MakeSchema({id, arrow::field("n", arrow::int64())}, of_rows));
  const auto zeros = FromJson(arrow::int64(), "[0]");
  SST_ASSERT_OK(rows.Write({MakeRows(
      *rows.schema, arrow::RecordBatch::Make(rows.schema->stored_schema(), 1, {zeros, zeros}))}));
  for (SstFixture* file : {&pairs, &rows}) {
    EXPECT_TRUE(Get(file->Open())->ReadBlock(0, {1}, false).ok());
    file->meta.compression = Compression::kNone;
    file->cache = std::make_shared<BlockCache>(1 << 20);  // the other one has the block
    for (const bool mapped : {true, false}) {
      const auto reader = Get(file->Open(mapped));
      for (const auto& status : {reader->ReadBlock(0, {1}, false).status(), reader->Verify()}) {
        EXPECT_TRUE(IsCorruption(status)) << status.ToString();
        EXPECT_NE(status.message().find("the block is compressed"), std::string::npos)
            << status.ToString();
      }
    }
  }
}

TEST(SstForgeries, ASectionOfNoBytesIsReadAsNone) {
  for (const bool mapped : {true, false}) {
    SstFixture file(KeyValueSchema(SmallBlocks()), mapped);
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(60))}));
    const SectionLocation zones = SectionOf(&file, kSectionZoneMaps);
    const std::string length = std::to_string(zones.length);
    const std::string text = Numbered("zone_maps:", static_cast<uint64_t>(zones.offset)) + ":";
    PatchFooter(&file, text + length, text + std::string(length.size(), '0'));
    const auto reader = Get(file.Open());
    EXPECT_TRUE(IsCorruption(reader->ReadZoneMaps().status()));
    EXPECT_TRUE(IsCorruption(reader->Verify()));
  }
}

TEST(SstForgeries, AFileShorterThanArrowsMagicIsCorruption) {
  for (const int64_t size : {0, 3, 6, 9}) {
    SstFixture file(KeyValueSchema());
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(3))}));
    SST_ASSERT_OK(file.fs.Overwrite(file.path, 0, "ARROW1ARROW1"));
    SST_ASSERT_OK(file.fs.Truncate(file.path, size));
    file.meta.size = static_cast<uint64_t>(size);
    EXPECT_TRUE(IsCorruption(file.Open().status())) << size;
  }
}

TEST(SstForgeries, AnArrowFileWithoutOurMetadataIsCorruption) {
  const auto sink = Get(arrow::io::BufferOutputStream::Create());
  const auto writer =
      Get(arrow::ipc::MakeFileWriter(sink, arrow::schema({arrow::field("c", arrow::int8())})));
  SST_ASSERT_OK(writer->Close());
  const std::string arrow_file = Get(sink->Finish())->ToString();
  const auto footer = LoadLittle<int32_t>(arrow_file.data() + arrow_file.size() - 10);
  // One page of 64 bytes with a checksum that nobody compares, and the footer.
  const std::string bytes = std::string(64 + 8 + 8, '\0') +
                            arrow_file.substr(arrow_file.size() - 10 - static_cast<size_t>(footer));
  MemoryFileSystem fs;
  auto file = Get(fs.CreateWritable("/file"));
  SST_ASSERT_OK(file->Append(bytes));
  SST_ASSERT_OK(file->Close());
  const arrow::Status status =
      ReadLoneSstTail(Get(fs.OpenReadable("/file")).get(), "/file").status();
  EXPECT_TRUE(IsCorruption(status));
  EXPECT_NE(status.message().find("no format version"), std::string::npos) << status.ToString();
}

TEST(SstForgeries, KeyColumnsThatTheFileHasNotAreNone) {
  SstFixture file(KeyValueSchema());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(3))}));
  const auto key_columns = [&file] {
    return Get(ReadLoneSstTail(Get(file.fs.OpenReadable(file.path)).get(), file.path))
        .identity.key_columns;
  };
  EXPECT_EQ(key_columns(), std::vector<int>{0});
  // Flatbuffers writes a pair's value before its key: a length and the text.
  const auto value = [](char digit) { return std::string("\1\0\0\0", 4) + digit; };
  PatchFooter(&file, value('0'), value('9'), kMetadataKeyColumns);
  EXPECT_EQ(key_columns(), std::nullopt);
  PatchFooter(&file, value('9'), value('x'), kMetadataKeyColumns);
  EXPECT_EQ(key_columns(), std::nullopt);
}

}  // namespace
}  // namespace marble

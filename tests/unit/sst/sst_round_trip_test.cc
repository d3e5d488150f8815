// Tests of writing SSTables and reading their blocks: rows, schemas, bounds, how blocks are cut.
#include <random>
#include <string>
#include <vector>

#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using namespace sst_test;

std::vector<KvRow> ReadKv(SstReader* reader) {
  std::vector<KvRow> rows;
  for (int64_t block = 0; block < reader->num_blocks(); ++block) {
    const RowBatch batch = Get(reader->ReadBlock(block, {0, 1}, true));
    const auto& values = static_cast<const arrow::BinaryArray&>(*batch.columns->column(1));
    for (int64_t i = 0; i < batch.num_rows(); ++i) {
      rows.push_back(
          {std::string(batch.keys[i]), std::nullopt, batch.SequenceAt(i), batch.KindAt(i)});
      if (values.IsValid(i)) rows.back().value = values.GetString(i);
    }
  }
  return rows;
}

void ExpectSame(const std::vector<KvRow>& a, const std::vector<KvRow>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].key, b[i].key);
    ASSERT_EQ(a[i].value, b[i].value);
    ASSERT_EQ(a[i].sequence, b[i].sequence);
    ASSERT_EQ(a[i].kind, b[i].kind);
  }
}

struct Shape {
  Compression compression;
  bool mapped;
};

class RoundTrip : public ::testing::TestWithParam<Shape> {
 protected:
  TableOptions Table() const {
    TableOptions options;
    options.compression = GetParam().compression;
    return options;
  }
};

std::string NameOf(const ::testing::TestParamInfo<Shape>& info) {
  const char* names[] = {"None", "Lz4", "Zstd"};
  return std::string(names[static_cast<int>(info.param.compression)]) +
         (info.param.mapped ? "Mapped" : "Read");
}

INSTANTIATE_TEST_SUITE_P(Shapes, RoundTrip,
                         ::testing::Values(Shape{Compression::kNone, true},
                                           Shape{Compression::kNone, false},
                                           Shape{Compression::kLz4, true},
                                           Shape{Compression::kLz4, false},
                                           Shape{Compression::kZstd, true}),
                         NameOf);

TEST_P(RoundTrip, KeyValueRowsComeBackInManyBlocks) {
  TableOptions options = Table();
  options.block_bytes = 2000;
  SstFixture file(KeyValueSchema(options), GetParam().mapped);
  std::vector<KvRow> rows = ManyRows(3000);
  for (size_t i = 0; i < rows.size(); i += 7) rows[i] = {rows[i].key, "", 9, RowKind::kDelete};
  for (size_t i = 1; i < rows.size(); i += 7) rows[i].value = std::nullopt;
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  const auto reader = Get(file.Open());
  EXPECT_GT(reader->num_blocks(), 20);
  ExpectSame(ReadKv(reader.get()), rows);
  SST_ASSERT_OK(reader->Verify());
}

TEST_P(RoundTrip, EveryPayloadTypeComesBack) {
  const auto list = arrow::list(arrow::field("item", arrow::utf8()));
  const arrow::FieldVector fields = {
      arrow::field("id", arrow::int64(), false),
      arrow::field("flag", arrow::boolean()),
      arrow::field("small", arrow::uint8()),
      arrow::field("real", arrow::float32()),
      arrow::field("text", arrow::large_utf8()),
      arrow::field("fixed", arrow::fixed_size_binary(3)),
      arrow::field("when", arrow::timestamp(arrow::TimeUnit::NANO)),
      arrow::field("money", arrow::decimal128(20, 3)),
      arrow::field("tags", list),
      arrow::field("pair",
                   arrow::struct_({arrow::field("x", arrow::int16()), arrow::field("y", list)})),
      arrow::field("map", arrow::map(arrow::utf8(), arrow::int32())),
      arrow::field("three", arrow::fixed_size_list(arrow::int32(), 3)),
      arrow::field("nothing", arrow::null())};
  TableOptions options = Table();
  options.primary_key = {"id"};
  options.block_bytes = 500;
  SstFixture file(MakeSchema(fields, options), GetParam().mapped);
  std::string json = "[";
  for (int i = 0; i < 60; ++i) {
    const std::string n = std::to_string(i);
    if (i > 0) json += ",";
    json += i % 5 == 4
                ? "[" + n + ",null,null,null,null,null,null,null,null,null,null,null,null]"
                : "[" + n + (i % 2 ? ",true," : ",false,") + n + "," + n + R"(.5,"text )" + n +
                      R"(","abc",)" + n + R"(,"12.345",["a","b)" + n + R"(",null],{"x":)" + n +
                      R"(,"y":["q"]},[["k",)" + n + "]],[1," + n + ",null],null]";
  }
  json += "]";
  const auto rows = FromJson(arrow::struct_(file.schema->stored_schema()->fields()), json);
  const auto batch = Get(arrow::RecordBatch::FromStructArray(rows))->ReplaceSchemaMetadata(nullptr);
  const auto stored =
      arrow::RecordBatch::Make(file.schema->stored_schema(), batch->num_rows(), batch->columns());
  // In uneven parts, so that slices with offsets are written and gathered.
  const RowBatch all = MakeRows(*file.schema, stored);
  file.writer_options.with_kinds = false;
  SST_ASSERT_OK(
      file.Write({all.Slice(0, 1), all.Slice(1, 37), all.Slice(38, 3), all.Slice(41, 19)}));
  const auto reader = Get(file.Open());
  EXPECT_GT(reader->num_blocks(), 5);
  const auto table = ReadTable(reader.get(), *file.schema);
  EXPECT_TRUE(table->Equals(*Get(arrow::Table::FromRecordBatches({stored}))));
  SST_ASSERT_OK(reader->Verify());
}

TEST_P(RoundTrip, AProjectionGivesTheColumnsInTheOrderAsked) {
  TableOptions options = Table();
  options.primary_key = {"a", "b"};
  options.block_bytes = 400;
  SstFixture file(
      MakeSchema({arrow::field("x", arrow::int32()), arrow::field("b", arrow::utf8(), false),
                  arrow::field("a", arrow::int16(), false), arrow::field("y", arrow::utf8())},
                 options),
      GetParam().mapped);
  const auto batch = arrow::RecordBatch::Make(
      file.schema->stored_schema(), 3,
      {FromJson(arrow::int32(), "[1, 2, 3]"), FromJson(arrow::utf8(), R"(["p", "q", "a"])"),
       FromJson(arrow::int16(), "[-5, -5, 7]"), FromJson(arrow::utf8(), R"(["u", null, "w"])")});
  const RowBatch rows = MakeRows(*file.schema, batch);
  SST_ASSERT_OK(file.Write({rows}));
  const auto reader = Get(file.Open());
  const RowBatch two = Get(reader->ReadBlock(0, {3, 0}, true));
  EXPECT_EQ(two.columns->schema()->field_names(), (std::vector<std::string>{"y", "x"}));
  EXPECT_TRUE(two.columns->column(0)->Equals(batch->column(3)));
  EXPECT_TRUE(two.columns->column(1)->Equals(batch->column(0)));
  ASSERT_EQ(two.keys.size(), 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(two.keys[i], rows.keys[i]);
  const RowBatch none = Get(reader->ReadBlock(0, {}, false));
  EXPECT_EQ(none.columns->num_columns(), 0);
  EXPECT_EQ(none.num_rows(), 3);
  EXPECT_EQ(none.SequenceAt(2), 1u);
}

TEST(SstWriter, BlocksAreCutNearTheBytesAskedFor) {
  TableOptions options;
  options.block_bytes = 10000;
  SstFixture file(KeyValueSchema(options));
  std::vector<KvRow> rows = ManyRows(5000);
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  const auto reader = Get(file.Open());
  for (int64_t block = 0; block + 1 < reader->num_blocks(); ++block) {
    const int64_t bytes = (reader->BlockFirstRow(block + 1) - reader->BlockFirstRow(block)) * 40;
    EXPECT_GT(bytes, 7000);
    EXPECT_LT(bytes, 13000);
  }
}

TEST(SstWriter, RowsAddedOneByOneFillTheSameBlocks) {
  TableOptions options;
  options.block_bytes = 3000;
  const RowBatch rows = MakeKvRows(*KeyValueSchema(options), ManyRows(700));
  SstFixture whole(KeyValueSchema(options));
  SST_ASSERT_OK(whole.Write({rows}));
  SstFixture single(KeyValueSchema(options));
  std::vector<RowBatch> ones;
  for (int64_t i = 0; i < 700; ++i) ones.push_back(rows.Slice(i, 1));
  SST_ASSERT_OK(single.Write(ones));
  const auto a = Get(whole.Open());
  const auto b = Get(single.Open());
  // Sizes of single rows round differently, so blocks differ by a row at most.
  EXPECT_NEAR(a->num_blocks(), b->num_blocks(), 1);
  ExpectSame(ReadKv(a.get()), ReadKv(b.get()));
  SST_ASSERT_OK(b->Verify());
}

TEST(SstWriter, BlockRowsMaxBoundsABlock) {
  TableOptions options;
  options.block_rows_max = 10;
  SstFixture file(KeyValueSchema(options));
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(95))}));
  const auto reader = Get(file.Open());
  EXPECT_EQ(reader->num_blocks(), 10);
  EXPECT_EQ(reader->BlockFirstRow(9), 90);
}

TEST(SstWriter, BlocksOfNothingButNullsEndTooThoughTheyHaveNoBytes) {
  TableOptions options;
  options.block_rows_max = 1000 * kBlockRowsMax;
  SstFixture file(MakeSchema({arrow::field("nothing", arrow::null())}, options));
  file.writer_options.with_kinds = false;
  file.writer_options.constant_sequence = 1;
  const auto nulls = std::make_shared<arrow::NullArray>(kBlockRowsMax + 5);
  SST_ASSERT_OK(
      file.Write({MakeRows(*file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(),
                                                                  nulls->length(), {nulls}))}));
  const auto reader = Get(file.Open());
  ASSERT_EQ(reader->num_blocks(), 2);
  EXPECT_EQ(reader->BlockFirstRow(1), kBlockRowsMax);
  SST_ASSERT_OK(reader->Verify());
}

TEST(SstWriter, AllVersionsOfAKeyAreInOneBlockAcrossAdds) {
  TableOptions options;
  options.block_rows_max = 4;
  SstFixture file(KeyValueSchema(options));
  std::vector<KvRow> rows;
  for (int key = 0; key < 30; ++key) {
    for (uint64_t version = 1 + key % 9; version > 0; --version) {
      rows.push_back({KeyOf(key), Numbered("v", version), version, RowKind::kPut});
    }
  }
  const RowBatch all = MakeKvRows(*file.schema, rows);
  for (const int64_t step : {int64_t{1}, int64_t{3}, int64_t{1000}}) {
    std::vector<RowBatch> parts;
    for (int64_t i = 0; i < all.num_rows(); i += step) {
      parts.push_back(all.Slice(i, std::min(step, all.num_rows() - i)));
    }
    ASSERT_TRUE(step == 1 || file.fs.Remove(file.path).ok());
    SST_ASSERT_OK(file.Write(parts));
    const auto reader = Get(file.Open());
    ExpectSame(ReadKv(reader.get()), rows);
    for (int64_t block = 1; block < reader->num_blocks(); ++block) {
      EXPECT_NE(Get(reader->BlockFirstKey(block)), Get(reader->BlockLastKey(block - 1)));
    }
    SST_ASSERT_OK(reader->Verify());
  }
}

TEST(SstWriter, MetaSaysWhatIsInTheFile) {
  SstFixture file(KeyValueSchema());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, {{"b", "1", 9, RowKind::kPut},
                                                      {"d", "", 4, RowKind::kDelete},
                                                      {"f", "3", 6, RowKind::kPut}})}));
  EXPECT_EQ(file.meta.number, 42u);
  EXPECT_EQ(file.meta.rows, 3u);
  EXPECT_EQ(file.meta.deletes, 1u);
  EXPECT_EQ(file.meta.smallest, "b");
  EXPECT_EQ(file.meta.largest, "f");
  EXPECT_FALSE(file.meta.largest_exclusive);
  EXPECT_FALSE(file.meta.unbounded_end);
  EXPECT_EQ(file.meta.sequence_min, 4u);
  EXPECT_EQ(file.meta.sequence_max, 9u);
  EXPECT_EQ(file.meta.schema_version, 0u);
  EXPECT_EQ(file.meta.size, file.ReadAll().size());
  EXPECT_GT(file.meta.data_bytes, 64u);
  EXPECT_LT(file.meta.data_bytes, file.meta.size);
  EXPECT_EQ(file.meta.constant_sequence, std::nullopt);
}

TEST(SstWriter, RangeTombstonesWidenTheBounds) {
  SstFixture file(KeyValueSchema());
  const RowBatch rows = MakeKvRows(*file.schema, {{"m", "1", 5, RowKind::kPut}});
  SST_ASSERT_OK(file.Write({rows}, {{"c", "g", 2}, {"k", "p", 8}}));
  EXPECT_EQ(file.meta.smallest, "c");
  EXPECT_EQ(file.meta.largest, "p");
  EXPECT_TRUE(file.meta.largest_exclusive);
  EXPECT_EQ(file.meta.sequence_min, 2u);
  EXPECT_EQ(file.meta.sequence_max, 8u);
  EXPECT_EQ(file.meta.range_tombstones, 2u);
  const auto reader = Get(file.Open());
  EXPECT_EQ(reader->range_tombstones().CoveringSequence("d", kSequenceMax), 2u);
  SST_ASSERT_OK(reader->Verify());
}

TEST(SstWriter, ARowAtTheEndOfATombstoneMakesTheBoundInclusive) {
  SstFixture file(KeyValueSchema());
  const RowBatch rows = MakeKvRows(*file.schema, {{"p", "1", 5, RowKind::kPut}});
  SST_ASSERT_OK(file.Write({rows}, {{"c", "p", 2}}));
  EXPECT_EQ(file.meta.largest, "p");
  EXPECT_FALSE(file.meta.largest_exclusive);
}

TEST(SstWriter, AFileMayHoldNothingButTombstones) {
  SstFixture file(KeyValueSchema());
  SST_ASSERT_OK(file.Write({}, {{"k", std::nullopt, 7}}));
  EXPECT_TRUE(file.meta.unbounded_end);
  EXPECT_EQ(file.meta.smallest, "k");
  EXPECT_EQ(file.meta.largest, "k");
  EXPECT_EQ(file.meta.rows, 0u);
  EXPECT_EQ(file.meta.sequence_min, 7u);
  const auto reader = Get(file.Open());
  EXPECT_EQ(reader->num_blocks(), 0);
  EXPECT_EQ(Get(reader->FindBlock("x")), 0);
  EXPECT_EQ(Get(FindValue(reader.get(), "x", file.Hash("x"), kSequenceMax, false)), std::nullopt);
  EXPECT_EQ(reader->range_tombstones().CoveringSequence("z", kSequenceMax), 7u);
  SST_ASSERT_OK(reader->Verify());
}

TEST(SstWriter, AConstantSequenceNeedsNoColumn) {
  SstFixture file(KeyValueSchema());
  file.writer_options.constant_sequence = 77;
  file.writer_options.with_kinds = false;
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(10))}));
  EXPECT_EQ(file.meta.constant_sequence, 77u);
  EXPECT_EQ(file.meta.sequence_min, 77u);
  EXPECT_EQ(file.meta.sequence_max, 77u);
  const auto reader = Get(file.Open());
  const RowBatch rows = Get(reader->ReadBlock(0, {0, 1}, true));
  EXPECT_EQ(rows.sequences, nullptr);
  EXPECT_EQ(rows.kinds, nullptr);
  EXPECT_EQ(rows.SequenceAt(3), 77u);
  EXPECT_EQ(rows.sequence_max, 77u);
  SST_ASSERT_OK(reader->Verify());
}

TEST(SstWriter, DeletesInAFileOfPutsAreRefused) {
  SstFixture file(KeyValueSchema());
  file.writer_options.with_kinds = false;
  const RowBatch rows = MakeKvRows(*file.schema, {{"a", "", 1, RowKind::kDelete}});
  EXPECT_TRUE(file.Write({rows}).IsInvalid());
}

TEST(SstWriter, RowsThatGoBackAreRefused) {
  SstFixture file(KeyValueSchema());
  EXPECT_TRUE(
      file.Write({MakeKvRows(*file.schema, {{"b", "1"}}), MakeKvRows(*file.schema, {{"a", "1"}})})
          .IsInvalid());
}

TEST(SstWriter, AbandonRemovesTheFile) {
  SstFixture file(KeyValueSchema());
  auto writer = Get(SstWriter::Create(&file.fs, file.writer_options));
  SST_ASSERT_OK(writer->Add(MakeKvRows(*file.schema, ManyRows(100))));
  EXPECT_EQ(writer->rows(), 100);
  EXPECT_GT(writer->estimated_bytes(), 100 * 25);
  SST_ASSERT_OK(writer->Abandon());
  EXPECT_FALSE(Get(file.fs.Exists(file.path)));
  EXPECT_FALSE(writer->Finish().ok());
}

TEST(SstWriter, AFullDiskFailsTheFileAndNothingElse) {
  SstFixture file(KeyValueSchema());
  file.fs.set_capacity_bytes(100000);
  const arrow::Status status = file.Write({MakeKvRows(*file.schema, ManyRows(100000))});
  EXPECT_TRUE(status.IsIOError()) << status.ToString();
}

TEST(SstWriter, FinishSyncsTheFile) {
  SstFixture file(KeyValueSchema());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(10))}));
  EXPECT_GE(file.fs.operations(FileOp::kSync), 1u);
}

TEST(SstReader, AppendTablesHaveRowIdsAsKeys) {
  TableOptions options;
  options.block_rows_max = 4;
  SstFixture file(MakeSchema({arrow::field("v", arrow::int32())}, options));
  file.writer_options.first_row_id = 1000;
  file.writer_options.with_kinds = false;
  const auto batch = arrow::RecordBatch::Make(file.schema->stored_schema(), 10,
                                              {FromJson(arrow::int32(), "[9,8,7,6,5,4,3,2,1,0]")});
  SST_ASSERT_OK(file.Write({MakeRows(*file.schema, batch)}));
  EXPECT_EQ(file.meta.smallest, EncodeRowId(1000));
  EXPECT_EQ(file.meta.largest, EncodeRowId(1009));
  const auto reader = Get(file.Open());
  ASSERT_EQ(reader->num_blocks(), 3);
  EXPECT_EQ(Get(reader->FindBlock("")), 0);
  EXPECT_EQ(Get(reader->FindBlock(EncodeRowId(1003))), 0);
  EXPECT_EQ(Get(reader->FindBlock(EncodeRowId(1004))), 1);
  EXPECT_EQ(Get(reader->FindBlock(EncodeRowId(1010))), 3);
  const RowBatch rows = Get(reader->ReadBlock(1, {0}, true));
  EXPECT_EQ(rows.keys[0], EncodeRowId(1004));
  EXPECT_TRUE(rows.columns->column(0)->Equals(FromJson(arrow::int32(), "[5,4,3,2]")));
  EXPECT_TRUE(reader->GetRow("x", 0, kSequenceMax).status().IsInvalid());
  EXPECT_TRUE(reader->BlockFirstKey(0).status().IsInvalid());
  SST_ASSERT_OK(reader->Verify());
}

TEST(SstReader, ZoneMapsAreReadBack) {
  TableOptions options;
  options.block_rows_max = 50;
  SstFixture file(KeyValueSchema(options));
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(100))}));
  const auto zones = Get(Get(file.Open())->ReadZoneMaps());
  ASSERT_EQ(zones->num_rows(), 3);
  const auto& min = static_cast<const arrow::BinaryArray&>(*zones->column(0));
  EXPECT_EQ(min.GetView(0), KeyOf(0));
  EXPECT_EQ(min.GetView(1), KeyOf(50));
  EXPECT_EQ(min.GetView(2), KeyOf(0));
}

TEST(SstReader, ABlockIsReadyForTheColumnsThatWereRead) {
  arrow::FieldVector fields = {arrow::field("id", arrow::int64(), false)};
  std::vector<std::shared_ptr<arrow::Array>> columns = {FromJson(arrow::int64(), "[1, 2, 3]")};
  for (int i = 1; i < 70; ++i) {
    fields.push_back(arrow::field(Numbered("c", i), arrow::int64()));
    columns.push_back(FromJson(arrow::int64(), "[4, null, 6]"));
  }
  TableOptions options;
  options.primary_key = {"id"};
  SstFixture file(MakeSchema(fields, options));
  file.writer_options.constant_sequence = 7;
  file.writer_options.with_kinds = false;
  const auto batch = arrow::RecordBatch::Make(file.schema->stored_schema(), 3, columns);
  SST_ASSERT_OK(file.Write({MakeRows(*file.schema, batch)}));
  const auto reader = Get(file.Open());
  EXPECT_FALSE(reader->IsReady(0, {1, 5}, false));
  Get(reader->ReadBlock(0, {5, 1, 0}, false));
  EXPECT_TRUE(reader->IsReady(0, {1, 5}, false));
  EXPECT_TRUE(reader->IsReady(0, {0, 5}, false));
  EXPECT_FALSE(reader->IsReady(0, {5, 6}, false));
  EXPECT_FALSE(reader->IsReady(0, {5}, true)) << "keys of this type are encoded each time";
  // There is a mark for 63 columns.
  Get(reader->ReadBlock(0, {62, 63, 69}, false));
  EXPECT_TRUE(reader->IsReady(0, {62}, false));
  EXPECT_FALSE(reader->IsReady(0, {63}, false));
  EXPECT_FALSE(reader->IsReady(0, {64}, false));
}

TEST(SstReader, ABlockThatMustBeReadOrDecompressedIsNeverReady) {
  TableOptions compressed;
  compressed.compression = Compression::kLz4;
  for (const bool mapped : {false, true}) {
    SstFixture file(KeyValueSchema(mapped ? compressed : TableOptions()));
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(100))}));
    const auto reader = Get(file.Open(mapped));
    Get(reader->ReadBlock(0, {0, 1}, false));
    EXPECT_FALSE(reader->IsReady(0, {0, 1}, false)) << "mapped: " << mapped;
  }
}

TEST(SstReader, BatchesOutliveTheReaderAndTheFile) {
  SstFixture file(KeyValueSchema());
  const std::vector<KvRow> rows = ManyRows(100);
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  auto reader = Get(file.Open());
  const RowBatch batch = Get(reader->ReadBlock(0, {1}, true));
  reader.reset();
  SST_ASSERT_OK(file.fs.Remove(file.path));
  EXPECT_EQ(batch.keys[99], rows[99].key);
  EXPECT_EQ(batch.SequenceAt(99), 100u);
  EXPECT_TRUE(batch.columns->ValidateFull().ok());
}

}  // namespace
}  // namespace marble

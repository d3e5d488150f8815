#include "tree/version_edit.h"

#include <limits>

#include <gtest/gtest.h>

#include "base/coding.h"

namespace marble {
namespace {

FileMeta SomeFile(uint64_t number) {
  FileMeta meta;
  meta.number = number;
  meta.size = 123456;
  meta.tail_checksum = 0xfeedfacecafebeefull;
  meta.unique_id = 77;
  meta.rows = 1000;
  meta.data_bytes = 100000;
  meta.smallest = std::string("a\0b", 3);
  meta.largest = "zz";
  meta.largest_exclusive = true;
  meta.sequence_min = 5;
  meta.sequence_max = 900;
  meta.constant_sequence = 7;
  meta.first_row_id = 3;
  meta.deletes = 2;
  meta.range_tombstones = 1;
  meta.schema_version = 4;
  meta.compression = Compression::kLz4;
  return meta;
}

VersionEdit SomeEdit() {
  VersionEdit edit;
  TableRecord record;
  record.id = 3;
  record.name = "trips";
  record.schema.schema = "schema bytes";
  record.options.primary_key = {"city", "id"};
  record.options.compression = Compression::kZstd;
  record.options.bottom_compression = Compression::kNone;
  record.options.point_lookup = PointLookup::kBloomFilter;
  record.options.block_rows_max = 512;
  record.unknown_options["from_the_future"] = "kept";
  edit.created.push_back(record);
  record.schema = {.version = 2, .schema = "newer bytes", .column_ids = {0, 4}};
  record.older_schemas = {{.version = 0, .schema = "schema bytes", .column_ids = {}},
                          {.version = 1, .schema = "newer bytes", .column_ids = {4, 0, 2}}};
  record.defaults = {{4, "default bytes"}};
  record.next_column_id = 5;
  edit.altered.push_back(record);
  edit.dropped.push_back(2);
  TableEdit* table = edit.For(3);
  table->removed = {8, 9};
  table->added.push_back({2, 5, SomeFile(10)});
  table->flushed_sequence = 99;
  table->next_row_id = 12;
  edit.next_table_id = 4;
  edit.next_file_number = 11;
  edit.last_sequence = 1000;
  edit.hash_seed = 42;
  edit.log_start = 6;
  edit.log_first_sequence = 998;
  edit.durable_through = LogPosition{6, 640};
  return edit;
}

TEST(VersionEditTest, DecodesWhatItEncoded) {
  const VersionEdit edit = SomeEdit();
  auto decoded = DecodeVersionEdit(EncodeVersionEdit(edit));
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(EncodeVersionEdit(*decoded), EncodeVersionEdit(edit));
  EXPECT_EQ(decoded->tables[0].added[0].meta, SomeFile(10));
  EXPECT_EQ(decoded->created[0].options, edit.created[0].options);
  EXPECT_EQ(decoded->altered[0].schema, edit.altered[0].schema);
  EXPECT_EQ(decoded->altered[0].older_schemas, edit.altered[0].older_schemas);
  EXPECT_EQ(decoded->altered[0].defaults, edit.altered[0].defaults);
  EXPECT_EQ(decoded->altered[0].next_column_id, 5u);
  EXPECT_EQ(decoded->durable_through, edit.durable_through);
}

TEST(VersionEditTest, AFileInItsTablesCodecIsWrittenAsVersionsBeforeKnowIt) {
  FileMeta meta = SomeFile(10);
  const std::string with = EncodeFileMeta(meta);
  meta.compression.reset();
  const std::string without = EncodeFileMeta(meta);
  EXPECT_TRUE(with.starts_with(without)) << "one field more, at the end";
  EXPECT_EQ(DecodeFileMeta(without).ValueOrDie(), meta);
}

TEST(VersionEditTest, AnUnknownCodecOfAFileIsRefused) {
  FileMeta meta = SomeFile(10);
  meta.compression = static_cast<Compression>(3);
  EXPECT_FALSE(DecodeFileMeta(EncodeFileMeta(meta)).ok());
}

TEST(VersionEditTest, AFileThatIsAddedAndRemovedInEditsPutTogetherIsInNeither) {
  VersionEdit edit;
  edit.For(3)->added.push_back({0, 5, SomeFile(10)});
  VersionEdit move;
  move.For(3)->removed = {9, 10};
  move.For(3)->added.push_back({1, 0, SomeFile(10)});
  edit.Append(move);
  ASSERT_EQ(edit.tables.size(), 1u);
  EXPECT_EQ(edit.tables[0].removed, std::vector<uint64_t>{9});
  ASSERT_EQ(edit.tables[0].added.size(), 1u);
  EXPECT_EQ(edit.tables[0].added[0].level, 1u);
}

TEST(VersionEditTest, EditsPutTogetherSayWhatTheLaterOneSaysAndElseTheFirst) {
  const VersionEdit all = SomeEdit();
  VersionEdit edit;
  edit.For(3);
  edit.Append(all);  // where nothing was said
  EXPECT_EQ(EncodeVersionEdit(edit), EncodeVersionEdit(all));
  VersionEdit silent;
  silent.For(3);
  edit.Append(silent);
  EXPECT_EQ(EncodeVersionEdit(edit), EncodeVersionEdit(all));
  VersionEdit later;
  later.For(3)->flushed_sequence = 100;
  later.For(3)->next_row_id = 13;
  later.next_table_id = 5;
  later.next_file_number = 12;
  later.last_sequence = 1001;
  later.hash_seed = 43;
  later.log_start = 20;
  later.log_first_sequence = 1002;
  later.durable_through = LogPosition{20, 64};
  edit.Append(later);
  EXPECT_EQ(edit.tables[0].flushed_sequence, 100u);
  EXPECT_EQ(edit.tables[0].next_row_id, 13u);
  EXPECT_EQ(edit.next_table_id, 5u);
  EXPECT_EQ(edit.next_file_number, 12u);
  EXPECT_EQ(edit.last_sequence, 1001u);
  EXPECT_EQ(edit.hash_seed, 43u);
  EXPECT_EQ(edit.log_start, 20u);
  EXPECT_EQ(edit.log_first_sequence, 1002u);
  EXPECT_EQ(edit.durable_through, (LogPosition{20, 64}));
}

TEST(VersionEditTest, SchemasThatDifferInOnePartAreDifferent) {
  const SchemaRecord schema = {.version = 1, .schema = "bytes", .column_ids = {0, 4}};
  EXPECT_EQ(schema, schema);
  EXPECT_NE(schema, (SchemaRecord{.version = 2, .schema = "bytes", .column_ids = {0, 4}}));
  EXPECT_NE(schema, (SchemaRecord{.version = 1, .schema = "other", .column_ids = {0, 4}}));
  EXPECT_NE(schema, (SchemaRecord{.version = 1, .schema = "bytes", .column_ids = {0, 5}}));
}

TEST(VersionEditTest, OptionsOfTablesThatNoVersionWritesAreRefused) {
  const auto refused = [](auto change) {
    TableRecord record = SomeEdit().created[0];
    change(&record.options);
    return !DecodeTableRecord(EncodeTableRecord(record)).ok();
  };
  EXPECT_FALSE(refused([](TableOptions*) {}));
  EXPECT_TRUE(refused([](TableOptions* o) { o->compression = static_cast<Compression>(3); }));
  EXPECT_TRUE(refused([](TableOptions* o) { o->point_lookup = static_cast<PointLookup>(-1); }));
  EXPECT_TRUE(refused([](TableOptions* o) { o->block_bytes = -1; }));
  EXPECT_TRUE(refused([](TableOptions* o) { o->block_rows_max = -1; }));
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_FALSE(refused([](TableOptions* o) { o->block_rows_max = kMost; }));
  const std::string good = EncodeTableRecord(SomeEdit().created[0]);
  for (const char* number : {"x12", "5x2", "51x", "-12", "   ", "+51"}) {
    std::string bytes = good;
    bytes.replace(bytes.find("512"), 3, number);
    EXPECT_FALSE(DecodeTableRecord(bytes).ok()) << number;
  }
}

TEST(VersionEditTest, KeepsTableOptionsItDoesNotKnow) {
  auto decoded = DecodeVersionEdit(EncodeVersionEdit(SomeEdit()));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->created[0].unknown_options.at("from_the_future"), "kept");
}

TEST(VersionEditTest, RefusesAnUnknownFieldRatherThanLosingWhatItSays) {
  std::string bytes = EncodeVersionEdit(SomeEdit());
  bytes += std::string("\x60\x01\x00", 3);  // tag 96, one byte
  EXPECT_TRUE(DecodeVersionEdit(bytes).status().IsNotImplemented());
}

TEST(VersionEditTest, RefusesAnUnknownFieldOfAFileTheSameWay) {
  std::string file;
  PutVarint(&file, 0);  // level
  PutVarint(&file, 0);  // run
  PutBytes(&file, EncodeFileMeta(SomeFile(10)) + std::string("\x60\x01\x00", 3));
  std::string table;
  PutVarint(&table, 3);  // an added file
  PutBytes(&table, file);
  std::string edit;
  PutVarint(&edit, 3);  // an edit of a table
  PutBytes(&edit, table);
  const arrow::Status status = DecodeVersionEdit(edit).status();
  EXPECT_TRUE(status.IsNotImplemented()) << status.ToString();
}

TEST(VersionEditTest, SurvivesEveryTruncationAndEveryFlippedByte) {
  const std::string bytes = EncodeVersionEdit(SomeEdit());
  for (size_t length = 0; length < bytes.size(); ++length) {
    auto decoded = DecodeVersionEdit(bytes.substr(0, length));
    if (decoded.ok()) {
      EXPECT_NE(EncodeVersionEdit(*decoded), bytes);
    }
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x81);
    auto decoded = DecodeVersionEdit(damaged);
    if (decoded.ok()) {
      EXPECT_NE(EncodeVersionEdit(*decoded), bytes);
    }
  }
}

}  // namespace
}  // namespace marble

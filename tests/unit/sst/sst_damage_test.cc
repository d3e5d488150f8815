// Tests of damage: every changed byte is reported as corruption with file and offset, never
// returned as data, and no bytes crash the reader.
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>

#include "sst/sst_format.h"
#include "sst/sst_tail.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using namespace sst_test;

/// A small file that has everything: versions, deletes, tombstones, several blocks and pages.
void WriteSmallFile(SstFixture* file, int rows = 60) {
  std::vector<KvRow> data = ManyRows(rows);
  data[5] = {data[5].key, "", 90, RowKind::kDelete};
  data.insert(data.begin() + 6, {data[5].key, "older", 80, RowKind::kPut});
  SST_ASSERT_OK(file->Write({MakeKvRows(*file->schema, data)}, {{"key000010", "key000012", 3}}));
}

TableOptions Small(PointLookup lookup, Compression compression) {
  TableOptions options;
  options.point_lookup = lookup;
  options.compression = compression;
  options.block_bytes = 500;
  return options;
}

class EveryByte : public ::testing::TestWithParam<std::tuple<PointLookup, Compression, bool>> {};

INSTANTIATE_TEST_SUITE_P(
    Files, EveryByte,
    ::testing::Values(std::tuple(PointLookup::kPointIndex, Compression::kNone, true),
                      std::tuple(PointLookup::kBloomFilter, Compression::kZstd, true),
                      std::tuple(PointLookup::kNone, Compression::kLz4, false)));

TEST_P(EveryByte, AFlippedBitAnywhereIsCorruption) {
  const auto [lookup, compression, mapped] = GetParam();
  SstFixture file(KeyValueSchema(Small(lookup, compression)), mapped);
  WriteSmallFile(&file);
  SST_ASSERT_OK(file.OpenAndVerify());
  const auto size = static_cast<int64_t>(file.meta.size);
  for (int64_t at = 0; at < size; ++at) {
    const auto mask = static_cast<uint8_t>(1 << (at % 8));
    SST_ASSERT_OK(file.fs.Damage(file.path, at, mask));
    const arrow::Status status = file.OpenAndVerify();
    ASSERT_TRUE(IsCorruption(status)) << "byte " << at << ": " << status.ToString();
    ASSERT_EQ(DetailOf(status)->file(), file.path);
    SST_ASSERT_OK(file.fs.Damage(file.path, at, mask));
  }
  SST_ASSERT_OK(file.OpenAndVerify());
}

TEST(SstDamage, TheOffsetIsThatOfTheDamagedPage) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file, 3000);
  ASSERT_GT(file.meta.size, 5u * kSstPageBytes);
  SST_ASSERT_OK(file.fs.Damage(file.path, 2 * kSstPageBytes + 77, 4));
  const arrow::Status status = file.OpenAndVerify();
  ASSERT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_EQ(DetailOf(status)->offset(), 2 * kSstPageBytes);
}

TEST(SstDamage, LookupsAndScansNeverReturnDamagedBytes) {
  for (const bool mapped : {true, false}) {
    TableOptions options;
    options.block_bytes = 4000;
    SstFixture file(KeyValueSchema(options), mapped);
    const std::vector<KvRow> rows = ManyRows(2000);
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
    const int64_t pages = static_cast<int64_t>(file.meta.size) / kSstPageBytes;
    int64_t errors = 0;
    for (int64_t page = 0; page < pages; ++page) {
      // In the middle of a page: most of it are keys and values.
      SST_ASSERT_OK(file.fs.Damage(file.path, page * kSstPageBytes + 8000, 0x20));
      const auto opened = file.Open();
      if (opened.ok()) {
        for (const KvRow& row : rows) {
          const auto found =
              FindValue(opened->get(), row.key, file.Hash(row.key), kSequenceMax, false);
          if (!found.ok()) {
            ++errors;
            ASSERT_TRUE(IsCorruption(found.status()));
            continue;
          }
          ASSERT_TRUE(found->has_value());
          ASSERT_EQ((*found)->value, *row.value);
        }
        for (int64_t block = 0; block < (*opened)->num_blocks(); ++block) {
          const auto batch = (*opened)->ReadBlock(block, {1}, false);
          if (!batch.ok()) {
            ++errors;
            continue;
          }
          const auto& values = static_cast<const arrow::BinaryArray&>(*batch->columns->column(0));
          for (int64_t i = 0; i < values.length(); ++i) {
            ASSERT_EQ(values.GetView(i), *rows[(*opened)->BlockFirstRow(block) + i].value);
          }
        }
      } else {
        ++errors;
        ASSERT_TRUE(IsCorruption(opened.status()));
      }
      file.cache->EraseFile(42);
      SST_ASSERT_OK(file.fs.Damage(file.path, page * kSstPageBytes + 8000, 0x20));
    }
    EXPECT_GE(errors, pages);
  }
}

TEST(SstDamage, DamageIsNeverTakenForAbsence) {
  SstFixture file(KeyValueSchema());
  const std::vector<KvRow> rows = ManyRows(6000);
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  const std::string good = file.ReadAll();
  int64_t errors = 0;
  for (size_t page = 0; page < good.size(); page += kSstPageBytes) {
    std::string bytes = good;
    // Each line of the point index begins with a tag.
    const size_t end = std::min(good.size(), page + kSstPageBytes);
    for (size_t at = page; at < end; at += 64) bytes[at] ^= 0x20;
    SST_ASSERT_OK(file.fs.Overwrite(file.path, 0, bytes));
    const auto reader = file.Open();
    if (!reader.ok()) continue;
    for (const KvRow& row : rows) {
      const auto found = FindValue(reader->get(), row.key, file.Hash(row.key), kSequenceMax, false);
      errors += found.ok() ? 0 : 1;
      ASSERT_TRUE(!found.ok() || found->has_value()) << row.key << ", page at " << page;
    }
  }
  EXPECT_GT(errors, 2 * 6000);  // all rows are damaged once, and most of the index
}

/// A file of one block of the columns id, a and b, which all count the rows; b is damaged.
class DamagedColumn : public ::testing::Test {
 protected:
  static constexpr int64_t kRows = 20000;

  void SetUp() override {
    arrow::Int64Builder builder;
    for (int64_t i = 0; i < kRows; ++i) ASSERT_TRUE(builder.Append(i).ok());
    const auto array = Get(builder.Finish());
    rows_ = MakeRows(*file_.schema, arrow::RecordBatch::Make(file_.schema->stored_schema(), kRows,
                                                             {array, array, array}));
    SST_ASSERT_OK(file_.Write({rows_}));
    // Column "b" is the third of three; damage a byte in its midst.
    const int64_t at = static_cast<int64_t>(file_.meta.data_bytes) * 5 / 9;
    SST_ASSERT_OK(file_.fs.Damage(file_.path, at, 1));
    reader_ = Get(file_.Open());
    ASSERT_EQ(reader_->num_blocks(), 1);
  }
  static TableOptions KeyedById() {
    TableOptions options;
    options.primary_key = {"id"};
    return options;
  }

  SstFixture file_{
      MakeSchema({arrow::field("id", arrow::int64(), false), arrow::field("a", arrow::int64()),
                  arrow::field("b", arrow::int64())},
                 KeyedById())};
  RowBatch rows_;
  std::shared_ptr<SstReader> reader_;
};

TEST_F(DamagedColumn, LeavesTheOthersReadable) {
  EXPECT_TRUE(reader_->ReadBlock(0, {0, 1}, true).ok());
  EXPECT_TRUE(IsCorruption(reader_->ReadBlock(0, {2}, false).status()));
}

TEST_F(DamagedColumn, FailsLookupsThatLookAtItAndNoOthers) {
  std::vector<uint64_t> hashes;
  for (int64_t i = 0; i < kRows; ++i) hashes.push_back(file_.Hash(std::string(rows_.keys[i])));
  const std::vector<int64_t> asked = {5, 19000, 700};
  const auto find = [&](std::vector<int> columns) {
    FoundMany found;
    const AskedFile files[] = {{reader_.get(), asked}};
    const arrow::Status status =
        LookUpRows(files, {.keys = &rows_.keys, .hashes = hashes, .columns = columns}, &found);
    EXPECT_EQ(found.rows.size(), status.ok() ? 3 : 0);
    return status;
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(find({}).ok());
    EXPECT_TRUE(find({0, 1}).ok());
    EXPECT_TRUE(IsCorruption(find({1, 2})));
    EXPECT_TRUE(IsCorruption(reader_->GetRow(rows_.keys[5], hashes[5], kSequenceMax).status()));
  }
}

TEST(SstDamage, ALookupInSeveralFilesNamesTheOneWhoseKeyIsNull) {
  TableOptions options;
  options.primary_key = {"id"};
  const auto schema = MakeSchema({arrow::field("id", arrow::int64(), false)}, options);
  const auto ids = [&schema](const char* json) {
    return arrow::RecordBatch::Make(schema->stored_schema(), 2, {FromJson(arrow::int64(), json)});
  };
  SstFixture good(schema);
  SST_ASSERT_OK(good.Write({MakeRows(*schema, ids("[1, 2]"))}));
  SstFixture bad(schema);
  bad.writer_options.path = "/db/bad.arrow";
  RowBatch rows = MakeRows(*schema, ids("[3, 4]"));
  rows.columns = ids("[3, null]");
  SST_ASSERT_OK(bad.Write({rows}));
  SstReaderOptions bad_options = bad.ReaderOptions();
  bad_options.path = bad.writer_options.path;
  const auto good_reader = Get(good.Open());
  const auto bad_reader = Get(SstReader::Open(bad_options, bad.meta));

  const auto keys = Get(schema->codec()->EncodeArrays({FromJson(arrow::int64(), "[1, 4]")}));
  const std::vector<uint64_t> hashes = {good.Hash(keys[0]), good.Hash(keys[1])};
  const std::vector<int64_t> first = {0};
  const std::vector<int64_t> second = {1};
  const AskedFile files[] = {{good_reader.get(), first}, {bad_reader.get(), second}};
  FoundMany found;
  const arrow::Status status = LookUpRows(files, {.keys = &keys, .hashes = hashes}, &found);
  EXPECT_TRUE(IsCorruption(status)) << status.ToString();
  EXPECT_NE(status.message().find("/db/bad.arrow"), std::string::npos) << status.ToString();
}

TEST(SstDamage, ATruncatedOrExtendedFileIsCorruption) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file);
  const std::string whole = file.ReadAll();
  for (const int64_t size : {int64_t{0}, int64_t{5}, int64_t{100}, int64_t(whole.size()) / 2,
                             int64_t(whole.size()) - 1}) {
    SST_ASSERT_OK(file.fs.Truncate(file.path, size));
    EXPECT_TRUE(IsCorruption(file.OpenAndVerify())) << size;
    SST_ASSERT_OK(file.fs.Remove(file.path));
    auto again = Get(file.fs.CreateWritable(file.path));
    SST_ASSERT_OK(again->Append(whole));
    SST_ASSERT_OK(again->Close());
  }
  SST_ASSERT_OK(file.OpenAndVerify());
  auto longer = Get(file.fs.OpenAppend(file.path));
  SST_ASSERT_OK(longer->Append("x"));
  SST_ASSERT_OK(longer->Close());
  EXPECT_TRUE(IsCorruption(file.OpenAndVerify()));
}

TEST(SstDamage, SwappedPagesAreCorruption) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file, 3000);
  const std::string bytes = file.ReadAll();
  SST_ASSERT_OK(file.fs.Overwrite(
      file.path, kSstPageBytes, std::string_view(bytes).substr(2 * kSstPageBytes, kSstPageBytes)));
  SST_ASSERT_OK(file.fs.Overwrite(file.path, 2 * kSstPageBytes,
                                  std::string_view(bytes).substr(kSstPageBytes, kSstPageBytes)));
  EXPECT_TRUE(IsCorruption(file.OpenAndVerify()));
}

TEST(SstDamage, AnotherFileOfTheSameSizeIsCorruption) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file);
  SstFixture other(KeyValueSchema());
  WriteSmallFile(&other);
  FileMeta meta = file.meta;
  meta.tail_checksum = other.meta.tail_checksum;
  meta.size = other.meta.size;
  other.meta = meta;
  EXPECT_TRUE(IsCorruption(other.OpenAndVerify()));
}

TEST(SstDamage, AFileOfAnotherDatabaseIsCorruption) {
  SstFixture file(KeyValueSchema());
  file.writer_options.uuid = Uuid{9, 9};
  WriteSmallFile(&file);
  EXPECT_TRUE(IsCorruption(file.OpenAndVerify()));
}

TEST(SstDamage, AFileOfAnotherSchemaIsCorruption) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file);
  TableOptions options;
  options.primary_key = {"key"};
  file.schema = MakeSchema(
      {arrow::field("key", arrow::utf8(), false), arrow::field("value", arrow::binary())}, options);
  // Opening is enough to find it: nothing of the file must be taken for what it is not.
  EXPECT_TRUE(IsCorruption(file.Open().status()));
}

TEST(SstDamage, VerifyFindsBoundsAndCountsThatDisagreeWithTheManifest) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file);
  const FileMeta good = file.meta;
  const auto damaged = [&](auto change) {
    file.meta = good;
    change(&file.meta);
    return IsCorruption(file.OpenAndVerify());
  };
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->rows += 1; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->deletes += 1; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->smallest = "a"; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->largest = "z"; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->sequence_max += 1; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->sequence_min += 1; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->range_tombstones = 0; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->unique_id += 1; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->schema_version += 1; }));
  EXPECT_TRUE(damaged([](FileMeta* meta) { meta->constant_sequence = 5; }));
}

TEST(SstDamage, AnErrorOfTheDeviceIsNoCorruption) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file, 3000);
  const auto reader = Get(file.Open());
  file.fs.FailNth(FileOp::kRead, 1, arrow::Status::IOError("device"), /*sticky=*/true);
  const auto rows = reader->ReadBlock(1, {0, 1}, true);
  EXPECT_TRUE(rows.status().IsIOError());
  EXPECT_FALSE(IsCorruption(rows.status()));
  file.fs.ClearFaults();
  EXPECT_TRUE(reader->ReadBlock(1, {0, 1}, true).ok());
}

TEST(SstDamage, AnErrorOfTheDeviceAtAnyReadIsTold) {
  for (const PointLookup lookup : {PointLookup::kPointIndex, PointLookup::kBloomFilter}) {
    for (const bool mapped : {true, false}) {
      SstFixture file(KeyValueSchema(Small(lookup, Compression::kNone)), mapped);
      WriteSmallFile(&file, 600);
      file.fs.set_memory_is_scarce(true);  // so that pages are read to be checked
      uint64_t n = 1;
      for (;; ++n) {
        file.cache->EraseFile(42);
        file.fs.FailNth(FileOp::kRead, n, arrow::Status::IOError("device"));
        const arrow::Status status = file.OpenAndVerify();
        if (status.ok()) break;
        EXPECT_TRUE(status.IsIOError() && !IsCorruption(status)) << n << status.ToString();
      }
      EXPECT_GE(n, 5u);
    }
  }
}

TEST(SstDamage, AFilterOfManyPagesThatCannotBeReadIsTold) {
  SstFixture file(KeyValueSchema(Small(PointLookup::kBloomFilter, Compression::kZstd)));
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(30000))}));
  file.fs.set_memory_is_scarce(true);
  uint64_t n = 1;
  for (;; ++n) {
    file.fs.FailNth(FileOp::kRead, n, arrow::Status::IOError("device"));
    const arrow::Status status = file.Open().status();
    if (status.ok()) break;
    EXPECT_TRUE(status.IsIOError() && !IsCorruption(status)) << n << status.ToString();
  }
  EXPECT_GE(n, 4u) << "the tail, the block index and the filter's header";
}

TEST(SstDamage, ADamagedElementOfAListIsFoundWhereItIsRead) {
  TableOptions options;
  options.primary_key = {"id"};
  SstFixture file(MakeSchema(
      {arrow::field("id", arrow::int64(), false), arrow::field("l", arrow::list(arrow::int64()))},
      options));
  constexpr int64_t kRows = 100;
  constexpr int64_t kEach = 100;
  arrow::Int64Builder ids;
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
  for (int64_t i = 0; i < kRows; ++i) {
    SST_ASSERT_OK(ids.Append(i));
    SST_ASSERT_OK(lists.Append());
    for (int64_t n = 0; n < kEach; ++n) {
      SST_ASSERT_OK(static_cast<arrow::Int64Builder*>(lists.value_builder())->Append(n));
    }
  }
  SST_ASSERT_OK(file.Write({MakeRows(
      *file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(), kRows,
                                             {Get(ids.Finish()), Get(lists.Finish())}))}));
  // Nearly all of the data are the lists' elements.
  SST_ASSERT_OK(file.fs.Damage(file.path, static_cast<int64_t>(file.meta.data_bytes) / 2, 1));
  const auto reader = Get(file.Open());
  SST_ASSERT_OK(reader->ReadBlock(0, {0}, true).status());
  EXPECT_TRUE(IsCorruption(reader->ReadBlock(0, {1}, false).status()));
}

TEST(SstDamage, APointIndexThatCannotBeCopiedIsGoneOnWith) {
  SstFixture file(KeyValueSchema());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(5000))}));
  file.fs.set_memory_is_scarce(true);
  const auto reader = Get(file.Open());
  SST_ASSERT_OK(reader->Verify());
  const int64_t pinned = file.cache->pinned_bytes();
  const uint64_t reads = file.fs.operations(FileOp::kRead);
  file.fs.FailNth(FileOp::kRead, 1, arrow::Status::IOError("device"), /*sticky=*/true);
  for (int i = 0; i < 5000; ++i) {
    const std::string key = KeyOf(i);
    reader->Prefetch(file.Hash(key));
    const auto found = Get(FindValue(reader.get(), key, file.Hash(key), kSequenceMax, true));
    ASSERT_TRUE(found.has_value());
    ASSERT_EQ(found->value, "value of " + std::to_string(i));
  }
  EXPECT_GT(file.fs.operations(FileOp::kRead), reads) << "nothing was tried";
  EXPECT_EQ(file.cache->pinned_bytes(), pinned);
}

TEST(SstDamage, FeaturesThatMustBeRefusedAreAnIncompatibleFormat) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file);
  PatchFooter(&file, "0,0,0", "7,7,0");
  SST_ASSERT_OK(file.OpenAndVerify());
  PatchFooter(&file, "7,7,0", "0,0,4");
  EXPECT_TRUE(IsIncompatibleFormat(file.OpenAndVerify()));
  PatchFooter(&file, "0,0,4", "0,0,x");
  EXPECT_TRUE(IsCorruption(file.OpenAndVerify()));
}

TEST(SstDamage, ANewerVersionIsAnIncompatibleFormat) {
  SstFixture file(KeyValueSchema());
  WriteSmallFile(&file);
  // Flatbuffers writes a pair's value before its key: a length and the text.
  const auto version = [](char digit) { return std::string("\1\0\0\0", 4) + digit; };
  PatchFooter(&file, version('1'), version('2'), "marble.version");
  EXPECT_TRUE(IsIncompatibleFormat(file.OpenAndVerify())) << file.OpenAndVerify().ToString();
  PatchFooter(&file, version('2'), version('0'), "marble.version");
  EXPECT_TRUE(IsCorruption(file.OpenAndVerify())) << file.OpenAndVerify().ToString();
}

TEST(SstDamage, RowsOfAReservedKindAreAnIncompatibleFormat) {
  SstFixture file(KeyValueSchema());
  const RowBatch rows =
      MakeKvRows(*file.schema, {{"a", "1", 1}, {"b", "2", 2, static_cast<RowKind>(4)}});
  SST_ASSERT_OK(file.Write({rows}));
  const auto reader = Get(file.Open());
  const arrow::Status status = reader->ReadBlock(0, {0}, true).status();
  EXPECT_TRUE(IsIncompatibleFormat(status)) << status.ToString();
  EXPECT_NE(status.message().find(file.path), std::string::npos);
  EXPECT_TRUE(IsIncompatibleFormat(
      FindValue(reader.get(), "a", file.Hash("a"), kSequenceMax, false).status()));
}

using CompressionAndMapping = std::tuple<Compression, bool>;

class SstForgery : public ::testing::TestWithParam<CompressionAndMapping> {};

TEST_P(SstForgery, ForgedBytesWithRightChecksumsDoNotCrash) {
  const auto [compression, mapped] = GetParam();
  for (const PointLookup lookup : {PointLookup::kPointIndex, PointLookup::kBloomFilter}) {
    SstFixture file(KeyValueSchema(Small(lookup, compression)), mapped);
    WriteSmallFile(&file);
    const std::string good = file.ReadAll();
    const int64_t start = *TailStartOf(good);
    std::mt19937_64 random(mapped);
    for (int round = 0; round < 1500; ++round) {
      std::string bytes = good;
      for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
        const uint64_t at = random() % start;
        const auto value = random() % 4 == 0 ? ~uint64_t{0} : random() % 256;
        bytes[at] = static_cast<char>(value);
        if (random() % 4 == 0) StoreLittle<uint64_t>(bytes.data() + at / 8 * 8, value);
      }
      Reseal(&file, bytes);
      file.cache->EraseFile(42);
      const auto reader = file.Open();
      if (!reader.ok()) continue;
      for (int i = 0; i < 120; i += 7) {  // twice: what was checked is looked up in another way
        const std::string key = KeyOf(i % 60);
        const auto found = FindValue(reader->get(), key, file.Hash(key), 50, true);
        if (found.ok() && found->has_value()) std::string((*found)->value);
      }
      (*reader)->ReadZoneMaps().status().ok();
      (*reader)->Verify().ok();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, SstForgery,
                         ::testing::Combine(::testing::Values(Compression::kNone, Compression::kLz4,
                                                              Compression::kZstd),
                                            ::testing::Bool()));

TEST_P(SstForgery, PairsOfABlockThatVerifyFindsSoundCanBeRead) {
  const auto [compression, mapped] = GetParam();
  SstFixture file(KeyValueSchema(Small(PointLookup::kPointIndex, compression)), mapped);
  WriteSmallFile(&file);
  const std::string good = file.ReadAll();
  const auto first_block = static_cast<int64_t>(good.find("\xFF\xFF\xFF\xFF", 64));
  int sound = 0;
  for (int64_t at = first_block + 8; at < first_block + 600; at += 8) {
    std::string bytes = good;
    StoreLittle<int64_t>(bytes.data() + at, int64_t{1} << 20);
    Reseal(&file, bytes);
    file.cache->EraseFile(42);
    const auto reader = file.Open(mapped);
    if (!reader.ok() || !(*reader)->Verify().ok()) continue;
    ++sound;
    for (int64_t block = 0; block < (*reader)->num_blocks(); ++block) {
      KvColumns columns;
      std::shared_ptr<const void> owner;
      SST_ASSERT_OK((*reader)->ReadKvBlock(block, &columns, &owner));
    }
  }
  EXPECT_GT(sound, 0) << "no change was harmless: the block was not found";
}

TEST(SstDamage, WhatCompressedBytesClaimToHoldIsNotAskedOfMemoryUnlessTheyCould) {
  for (const Compression compression : {Compression::kLz4, Compression::kZstd}) {
    TableOptions options = Small(PointLookup::kPointIndex, compression);
    options.primary_key = {"id"};
    SstFixture file(MakeSchema(
        {arrow::field("id", arrow::int64(), false), arrow::field("n", arrow::int64())}, options));
    arrow::Int64Builder numbers;
    for (int64_t i = 0; i < 200; ++i) SST_ASSERT_OK(numbers.Append(i));
    const auto column = Get(numbers.Finish());
    SST_ASSERT_OK(
        file.Write({MakeRows(*file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(),
                                                                    200, {column, column}))}));
    const std::string good = file.ReadAll();
    for (int64_t at = 8; at + 8 <= *TailStartOf(good); at += 8) {
      std::string bytes = good;
      StoreLittle<int64_t>(bytes.data() + at, int64_t{1} << 50);
      Reseal(&file, bytes);
      file.cache->EraseFile(42);
      const auto reader = file.Open();
      if (!reader.ok()) continue;
      const arrow::Status rows = (*reader)->Verify();
      EXPECT_FALSE(rows.IsOutOfMemory()) << at << ": " << rows.ToString();
      const arrow::Status zones = (*reader)->ReadZoneMaps().status();
      EXPECT_FALSE(zones.IsOutOfMemory()) << at << ": " << zones.ToString();
    }
  }
}

TEST(SstDamage, AForgedFooterDoesNotCrash) {
  SstFixture file(KeyValueSchema(Small(PointLookup::kPointIndex, Compression::kNone)));
  WriteSmallFile(&file);
  const std::string good = file.ReadAll();
  const int64_t start = *TailStartOf(good);
  std::mt19937_64 random(8);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good;
    for (uint64_t changes = 1 + random() % 3; changes > 0; --changes) {
      bytes[start + random() % (bytes.size() - 10 - start)] = static_cast<char>(random());
    }
    file.meta.tail_checksum = Checksum(std::string_view(bytes).substr(start));
    SST_ASSERT_OK(file.fs.Overwrite(file.path, 0, bytes));
    file.OpenAndVerify().ok();
  }
}

TEST(SstDamage, ForgedPlacesOfSectionsDoNotCrash) {
  for (const bool mapped : {true, false}) {
    SstFixture file(KeyValueSchema(Small(PointLookup::kPointIndex, Compression::kNone)), mapped);
    WriteSmallFile(&file);
    const std::string good = file.ReadAll();
    const int64_t start = *TailStartOf(good);
    const size_t text = good.rfind(std::string(kSectionBlockIndex) + ":");
    ASSERT_NE(text, std::string::npos);
    std::mt19937_64 random(mapped);
    for (int round = 0; round < 2000; ++round) {
      std::string bytes = good;
      for (size_t at = text; bytes[at] != 0; ++at) {
        const bool digit = bytes[at] >= '0' && bytes[at] <= '9';
        if (digit && random() % 12 == 0) bytes[at] = static_cast<char>('0' + random() % 10);
      }
      file.meta.tail_checksum = Checksum(std::string_view(bytes).substr(start));
      SST_ASSERT_OK(file.fs.Overwrite(file.path, 0, bytes));
      file.cache->EraseFile(42);
      const arrow::Status status = file.OpenAndVerify();
      ASSERT_TRUE(status.ok() || IsCorruption(status)) << status.ToString();
    }
  }
}

}  // namespace
}  // namespace marble

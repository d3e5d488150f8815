// Tests of lookups of many rows: what they find, in one file and in several, and what they hold.
#include <atomic>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "unit/sst/lookup_ways.h"

namespace marble {
namespace {

using namespace sst_test;

std::vector<uint64_t> HashesOf(const SstFixture& file, const EncodedKeys& keys) {
  std::vector<uint64_t> hashes;
  for (int64_t i = 0; i < keys.size(); ++i) hashes.push_back(file.Hash(keys[i]));
  return hashes;
}

std::shared_ptr<arrow::Array> Count(int64_t rows) {
  arrow::Int64Builder numbers;
  for (int64_t i = 0; i < rows; ++i) EXPECT_TRUE(numbers.Append(i).ok());
  return Get(numbers.Finish());
}

/// A mapped file {id} keyed by it, of blocks that are large enough to be kept.
struct LargeBlocks {
  static constexpr int64_t kBlockRows = 40'000;

  explicit LargeBlocks(int64_t blocks) : file(MakeSchema(Fields(), Keyed())) {
    const int64_t count = blocks * kBlockRows;
    rows = MakeRows(*file.schema,
                    arrow::RecordBatch::Make(file.schema->stored_schema(), count, {Count(count)}));
    EXPECT_TRUE(file.Write({rows}).ok());
    hashes = HashesOf(file, rows.keys);
  }
  static arrow::FieldVector Fields() { return {arrow::field("id", arrow::int64(), false)}; }
  static TableOptions Keyed() {
    TableOptions options;
    options.primary_key = {"id"};
    options.block_rows_max = kBlockRows;
    return options;
  }

  SstFixture file;
  RowBatch rows;
  std::vector<uint64_t> hashes;
};

class ManyRowsLookup : public LookupTest {};

INSTANTIATE_TEST_SUITE_P(Ways, ManyRowsLookup, AllWays(), NameOfWay);

TEST_P(ManyRowsLookup, FindsForEachOfManyKeysWhatGetRowOfItsFileFinds) {
  // Keys are looked for in the file of their third; that in the middle has no index.
  constexpr int kFileKeys = 200;
  TableOptions without_index = Table();
  without_index.point_lookup = PointLookup::kNone;
  SstFixture fixtures[] = {SstFixture(KeyValueSchema(Table()), mapped()),
                           SstFixture(KeyValueSchema(without_index), mapped()),
                           SstFixture(KeyValueSchema(Table()), mapped())};
  std::vector<std::shared_ptr<SstReader>> readers;
  for (SstFixture& fixture : fixtures) {
    const int first = kFileKeys * static_cast<int>(readers.size());
    std::vector<KvRow> rows;
    for (int key = first; key < first + kFileKeys; key += 2) {
      for (uint64_t version = 1 + key % 5; version > 0; --version) {
        const RowKind kind = version == 3 ? RowKind::kDelete : RowKind::kPut;
        rows.push_back(
            {KeyOf(key), version == 3 ? "" : Numbered("v", version), version * 10, kind});
      }
    }
    SST_ASSERT_OK(fixture.Write({MakeKvRows(*fixture.schema, rows)}));
    readers.push_back(Get(fixture.Open()));
  }
  std::mt19937 random(7);
  for (const uint64_t snapshot : {uint64_t{0}, uint64_t{15}, uint64_t{30}, kSequenceMax}) {
    arrow::BinaryBuilder keys;
    std::vector<uint64_t> hashes;
    std::vector<size_t> file_of;
    std::vector<int64_t> asked[3];
    for (int i = 0; i < 700; ++i) {
      const auto number = static_cast<int>(random() % (3 * kFileKeys));
      const std::string key = KeyOf(number);
      ASSERT_TRUE(keys.Append(key).ok());
      hashes.push_back(fixtures[0].Hash(key));
      file_of.push_back(static_cast<size_t>(number / kFileKeys));
      if (i % 3 != 0) asked[file_of.back()].push_back(i);
    }
    const auto encoded = Get(fixtures[0].schema->codec()->EncodeArrays({Get(keys.Finish())}));
    const std::vector<int> columns = {1};
    FoundMany found;
    const AskedFile files[] = {
        {readers[0].get(), asked[0]}, {readers[1].get(), asked[1]}, {readers[2].get(), asked[2]}};
    SST_ASSERT_OK(LookUpRows(
        files, {.keys = &encoded, .hashes = hashes, .snapshot = snapshot, .columns = columns},
        &found));
    for (int64_t i = 0; i < 700; ++i) {
      const auto at = static_cast<size_t>(i);
      const auto alone = Get(readers[file_of[at]]->GetRow(encoded[i], hashes[at], snapshot));
      const auto row = found.rows.find(i);
      ASSERT_EQ(row != found.rows.end(), i % 3 != 0 && alone.has_value()) << i;
      if (row == found.rows.end()) continue;
      EXPECT_EQ(row->second.sequence, alone->sequence);
      EXPECT_EQ(row->second.kind, alone->kind);
      EXPECT_EQ(row->second.row, alone->row);
    }
  }
}

TEST_P(ManyRowsLookup, DecodesABlockOnceForAllItsRowsThatAreAskedFor) {
  constexpr int64_t kRows = 10'000;
  TableOptions options = Table();
  options.primary_key = {"id"};
  SstFixture file(
      MakeSchema({arrow::field("id", arrow::int64(), false), arrow::field("v", arrow::int64())},
                 options),
      mapped());
  const std::shared_ptr<arrow::Array> column = Count(kRows);
  const RowBatch rows =
      MakeRows(*file.schema,
               arrow::RecordBatch::Make(file.schema->stored_schema(), kRows, {column, column}));
  SST_ASSERT_OK(file.Write({rows}));
  file.cache->SetCapacity(0);
  const auto reader = Get(file.Open());
  ASSERT_GT(reader->num_blocks(), 100);
  const std::vector<uint64_t> hashes = HashesOf(file, rows.keys);
  // All rows, some of all blocks, and some of the first few.
  for (const auto& [every, behind] : {std::pair{int64_t{1}, kRows}, {9, kRows}, {2, 128}}) {
    std::vector<int64_t> asked;
    for (int64_t i = 0; i < kRows; ++i) {
      const int64_t key = i * 1237 % kRows;
      if (key % every == 0 && key < behind) asked.push_back(key);
    }
    int64_t blocks = 0;
    for (int64_t block = 0; block < reader->num_blocks(); ++block) {
      blocks += reader->BlockFirstRow(block) < behind ? 1 : 0;
    }
    const int64_t before = file.cache->misses();
    FoundMany found;
    const AskedFile files[] = {{reader.get(), asked}};
    SST_ASSERT_OK(LookUpRows(files, {.keys = &rows.keys, .hashes = hashes}, &found));
    EXPECT_EQ(found.rows.size(), asked.size());
    EXPECT_EQ(file.cache->misses() - before, blocks) << every << ", " << behind;
  }
}

TEST(LookUpRows, KeepsBlocksOfAMappedTableForWhichTheCacheHasRoomUntilItsReaderGoes) {
  constexpr int64_t kBlockRows = LargeBlocks::kBlockRows;
  LargeBlocks data(4);
  auto& file = data.file;
  const RowBatch& rows = data.rows;
  const std::vector<uint64_t>& hashes = data.hashes;
  const std::vector<int64_t> asked = {0, kBlockRows, 2 * kBlockRows, 3 * kBlockRows};
  const int64_t pinned_before = file.cache->pinned_bytes();
  auto reader = Get(file.Open());
  ASSERT_EQ(reader->num_blocks(), 4);
  const int64_t pinned_open = file.cache->pinned_bytes();
  const auto found_of_four = [&] {
    FoundMany found;
    const AskedFile files[] = {{reader.get(), asked}};
    EXPECT_TRUE(LookUpRows(files, {.keys = &rows.keys, .hashes = hashes}, &found).ok());
    return found.rows.size();
  };
  EXPECT_EQ(found_of_four(), 4);
  EXPECT_EQ(file.cache->bytes(), 0);
  const int64_t pinned_kept = file.cache->pinned_bytes();
  EXPECT_GT(pinned_kept, pinned_open);
  const int64_t misses = file.cache->misses();
  EXPECT_EQ(found_of_four(), 4);
  EXPECT_EQ(file.cache->misses(), misses) << "kept blocks are not asked of the cache";
  EXPECT_EQ(file.cache->pinned_bytes(), pinned_kept) << "none is kept twice";
  reader.reset();
  EXPECT_EQ(file.cache->pinned_bytes(), pinned_before);

  // Room for two of them: the others come and go as the cache's.
  const int64_t overhead = (pinned_kept - pinned_open) / 4;
  const int64_t taken = file.cache->capacity() / 4 - 2 * overhead;
  ASSERT_TRUE(file.cache->TryTake(taken));
  reader = Get(file.Open());
  EXPECT_EQ(found_of_four(), 4);
  EXPECT_EQ(file.cache->pinned_bytes(), pinned_open + taken + 2 * overhead);
  EXPECT_EQ(file.cache->bytes(), 2 * overhead);
  EXPECT_EQ(found_of_four(), 4);
  reader.reset();
  file.cache->GiveBack(taken);
  EXPECT_EQ(file.cache->pinned_bytes(), pinned_before);
}

TEST(LookUpRows, DecodesABlockThatIsLargerThanWhatIsHeldTogetherOnce) {
  std::vector<KvRow> rows;
  for (int64_t i = 0; i < 100; ++i) rows.push_back({KeyOf(i), std::string(100'000, 'v')});
  TableOptions options;
  options.block_bytes = int64_t{16} << 20;
  SstFixture large(KeyValueSchema(options), /*with_mappings=*/false);
  const RowBatch batch = MakeKvRows(*large.schema, rows);
  SST_ASSERT_OK(large.Write({batch}));
  large.cache->SetCapacity(0);
  const auto reader = Get(large.Open());
  ASSERT_EQ(reader->num_blocks(), 1);
  const std::vector<uint64_t> hashes = HashesOf(large, batch.keys);
  std::vector<int64_t> asked(100);
  std::iota(asked.begin(), asked.end(), int64_t{0});
  const int64_t before = large.cache->misses();
  const AskedFile files[] = {{reader.get(), asked}};
  FoundMany found;
  SST_ASSERT_OK(LookUpRows(files, {.keys = &batch.keys, .hashes = hashes}, &found));
  EXPECT_EQ(found.rows.size(), 100);
  EXPECT_EQ(large.cache->misses() - before, 1);
}

TEST(LookUpRows, ManyThreadsMeetAFreshMappedTable) {
  constexpr int64_t kBlockRows = LargeBlocks::kBlockRows;
  LargeBlocks data(8);
  auto& file = data.file;
  const RowBatch& rows = data.rows;
  const std::vector<uint64_t>& hashes = data.hashes;
  std::vector<int64_t> asked;
  for (int64_t i = 0; i < rows.num_rows(); i += kBlockRows / 2) asked.push_back(i);
  const int64_t pinned_before = file.cache->pinned_bytes();
  auto reader = Get(file.Open());
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        FoundMany found;
        const AskedFile files[] = {{reader.get(), asked}};
        if (!LookUpRows(files, {.keys = &rows.keys, .hashes = hashes}, &found).ok() ||
            found.rows.size() != asked.size()) {
          ++wrong;
        }
        const int64_t key = asked[static_cast<size_t>(i + t) % asked.size()];
        const auto row =
            reader->GetRow(rows.keys[key], hashes[static_cast<size_t>(key)], kSequenceMax);
        if (!row.ok() || !row->has_value() || (*row)->row != key % kBlockRows) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(file.cache->bytes(), 0);
  reader.reset();
  EXPECT_EQ(file.cache->pinned_bytes(), pinned_before);
}

TEST_P(ManyRowsLookup, TakesLongKeysALotAtATime) {
  // Ten megabytes of keys, each asked for twice: a block is left in its middle and opened again.
  constexpr size_t kKeys = 250;
  std::vector<KvRow> rows;
  for (size_t i = 0; i < kKeys; ++i) {
    const std::string key = KeyOf(static_cast<int64_t>(i));
    rows.push_back({key + std::string(41'000, 'k'), key, i + 1, RowKind::kPut});
  }
  SstFixture file(KeyValueSchema(Table(/*block_bytes=*/200'000)), mapped());
  const RowBatch batch = MakeKvRows(*file.schema, rows);
  SST_ASSERT_OK(file.Write({batch}));
  const auto reader = Get(file.Open());
  const auto column = batch.columns->column(0);
  const auto twice = Get(arrow::Concatenate({column, column}));
  const auto keys = Get(file.schema->codec()->EncodeArrays({twice}));
  const std::vector<uint64_t> hashes = HashesOf(file, keys);
  std::vector<int64_t> asked(hashes.size());
  std::iota(asked.begin(), asked.end(), int64_t{0});
  FoundMany found;
  const AskedFile files[] = {{reader.get(), asked}};
  SST_ASSERT_OK(LookUpRows(files, {.keys = &keys, .hashes = hashes}, &found));
  EXPECT_TRUE(mapped() || file.cache->hits() > 0) << "no block was opened again";
  ASSERT_EQ(found.rows.size(), 2 * kKeys);
  for (const auto& [key, row] : found.rows) {
    EXPECT_EQ(row.sequence, static_cast<uint64_t>(key) % kKeys + 1);
  }
}

}  // namespace
}  // namespace marble

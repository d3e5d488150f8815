// Tests of point lookups in all ways of finding a row, and of what they keep in memory.
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "sst/kv_lookup.h"
#include "unit/sst/lookup_ways.h"

namespace marble {
namespace {

using namespace sst_test;

class Lookup : public LookupTest {
 protected:
  static std::optional<FoundValue> Find(const SstFixture& file, SstReader* reader,
                                        const std::string& key, uint64_t snapshot = kSequenceMax) {
    return Get(FindValue(reader, key, file.Hash(key), snapshot, false));
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, Lookup, AllWays(), NameOfWay);

TEST_P(Lookup, FindsEveryKeyAndNoOther) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  const std::vector<KvRow> rows = ManyRows(2000, /*step=*/2);
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  const auto reader = Get(file.Open());
  for (const KvRow& row : rows) {
    const auto found = Find(file, reader.get(), row.key);
    ASSERT_TRUE(found.has_value()) << row.key;
    EXPECT_EQ(found->value, *row.value);
    EXPECT_EQ(found->sequence, row.sequence);
    EXPECT_EQ(found->kind, RowKind::kPut);
  }
  for (int i = -1; i < 2000; ++i) {
    const std::string key = i < 0 ? "" : KeyOf(2 * i + 1);
    ASSERT_FALSE(Find(file, reader.get(), key).has_value()) << key;
  }
  EXPECT_FALSE(Find(file, reader.get(), "zzz").has_value());
}

TEST_P(Lookup, ASnapshotSeesTheNewestVersionUpToIt) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  std::vector<KvRow> rows;
  for (int key = 0; key < 300; ++key) {
    for (uint64_t version = 1 + key % 5; version > 0; --version) {
      const bool is_delete = version == 3;
      rows.push_back({KeyOf(key), is_delete ? "" : Numbered("v", version), version * 10,
                      is_delete ? RowKind::kDelete : RowKind::kPut});
    }
  }
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  const auto reader = Get(file.Open());
  for (int key = 0; key < 300; ++key) {
    const uint64_t versions = 1 + key % 5;
    for (uint64_t snapshot = 0; snapshot < 70; snapshot += 5) {
      const uint64_t expected = std::min(snapshot / 10, versions);
      for (const bool want_sequence : {true, false}) {
        FoundValue found;
        SST_ASSERT_OK(reader->FindValue({.key = KeyOf(key),
                                         .hash = file.Hash(KeyOf(key)),
                                         .snapshot = snapshot,
                                         .want_sequence = want_sequence},
                                        &found));
        ASSERT_EQ(found.found, expected > 0) << key << " at " << snapshot;
        if (expected == 0) continue;
        EXPECT_EQ(found.sequence, want_sequence ? expected * 10 : 0);
        EXPECT_EQ(found.kind, expected == 3 ? RowKind::kDelete : RowKind::kPut);
        EXPECT_EQ(found.value, expected == 3 ? "" : Numbered("v", expected));
      }
    }
  }
}

TEST_P(Lookup, EmptyAndNullValuesAreToldApart) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  SST_ASSERT_OK(file.Write({MakeKvRows(
      *file.schema, {{"", "empty key", 1}, {"a", "", 2}, {"b", std::nullopt, 3}, {"c", "x", 4}})}));
  const auto reader = Get(file.Open());
  EXPECT_EQ(Find(file, reader.get(), "")->value, "empty key");
  EXPECT_EQ(Find(file, reader.get(), "a")->value, "");
  EXPECT_NE(Find(file, reader.get(), "a")->value.data(), nullptr);
  EXPECT_EQ(Find(file, reader.get(), "b")->value.data(), nullptr);
  EXPECT_EQ(Find(file, reader.get(), "c")->value, "x");
}

TEST_P(Lookup, NothingButEmptyValuesIsFound) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, {{"a", "", 2}, {"b", "", 3}})}));
  const auto reader = Get(file.Open());
  const auto found = Find(file, reader.get(), "b");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->value, "");
  EXPECT_NE(found->value.data(), nullptr);
}

TEST_P(Lookup, GetRowFindsRowsOfCompositeKeys) {
  TableOptions options = Table();
  options.primary_key = {"b", "a"};
  SstFixture file(
      MakeSchema({arrow::field("a", arrow::utf8(), false), arrow::field("v", arrow::int64()),
                  arrow::field("b", arrow::int32(), false)},
                 options),
      mapped());
  arrow::StringBuilder a;
  arrow::Int64Builder v;
  arrow::Int32Builder b;
  for (int i = -50; i < 50; ++i) {
    for (const char* letter : {"x", "xy", "z"}) {
      ASSERT_TRUE(a.Append(letter).ok() && v.Append(i * 100).ok() && b.Append(i).ok());
    }
  }
  const RowBatch rows = MakeRows(
      *file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(), 300,
                                             {Get(a.Finish()), Get(v.Finish()), Get(b.Finish())}));
  SST_ASSERT_OK(file.Write({rows}));
  const auto reader = Get(file.Open());
  ASSERT_GT(reader->num_blocks(), 5);
  for (int64_t i = 0; i < 300; ++i) {
    const std::string key(rows.keys[i]);
    const auto found = Get(reader->GetRow(key, file.Hash(key), kSequenceMax));
    ASSERT_TRUE(found.has_value());
    ASSERT_NE(found->block, nullptr);
    const auto row = found->block->rows.columns->Slice(found->row, 1);
    EXPECT_TRUE(row->Equals(*rows.columns->Slice(i, 1)));
    const std::string stranger = key + "?";
    EXPECT_FALSE(Get(reader->GetRow(stranger, file.Hash(stranger), kSequenceMax)).has_value());
  }
}

TEST_P(Lookup, APinnedValueOutlivesTheReader) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(500))}));
  auto reader = Get(file.Open());
  const std::string key = KeyOf(321);
  const auto found = Get(FindValue(reader.get(), key, file.Hash(key), kSequenceMax, true));
  ASSERT_TRUE(found.has_value());
  ASSERT_NE(found->owner, nullptr);
  reader.reset();
  file.cache->EraseFile(42);
  SST_ASSERT_OK(file.fs.Remove(file.path));
  EXPECT_EQ(found->value, "value of 321");
}

/// Values of 20 bytes, but in every third stretch of ten rows one is longer by one and another
/// shorter: blocks of ten rows lie at equal distances whether they are laid out alike or not.
std::vector<KvRow> RowsOfNearlyEqualBlocks() {
  std::vector<KvRow> rows;
  for (int64_t i = 0; i < 1000; ++i) {
    const bool odd = i / 10 % 3 == 2;
    const size_t bytes = 20 + (odd && i % 10 == 3 ? 1 : 0) - (odd && i % 10 == 7 ? 1 : 0);
    std::string value = Numbered("v", i);
    value.resize(bytes, '.');
    rows.push_back({KeyOf(i), std::move(value), static_cast<uint64_t>(i + 1), RowKind::kPut});
  }
  return rows;
}

TEST_P(Lookup, BlocksLaidOutAlikeAndOthersAreReadInAnyOrder) {
  TableOptions options = Table(1 << 20);
  options.block_rows_max = 10;
  SstFixture file(KeyValueSchema(options), mapped());
  const std::vector<KvRow> rows = RowsOfNearlyEqualBlocks();
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  for (const int64_t first : {0, 25, 995}) {  // the layout that others are compared with
    const auto reader = Get(file.Open());
    ASSERT_EQ(reader->num_blocks(), 100);
    for (int round = 0; round < 2; ++round) {
      for (int64_t i = 0; i < 1000; ++i) {
        const KvRow& row = rows[(first + i * 7) % 1000];
        const auto found = Find(file, reader.get(), row.key);
        ASSERT_TRUE(found.has_value()) << row.key;
        ASSERT_EQ(found->value, *row.value);
        ASSERT_EQ(found->sequence, row.sequence);
      }
    }
    for (int64_t block = 0; block < 100; ++block) {
      KvColumns columns;
      std::shared_ptr<const void> owner;
      SST_ASSERT_OK(reader->ReadKvBlock(block, &columns, &owner));
      ASSERT_EQ(columns.rows, 10);
      for (int64_t i = 0; i < 10; ++i) {
        std::string_view value;
        ASSERT_TRUE(columns.ValueAt(i, &value));
        ASSERT_EQ(value, *rows[block * 10 + i].value);
        ASSERT_EQ(columns.SequenceAt(i), rows[block * 10 + i].sequence);
      }
    }
  }
}

TEST_P(Lookup, StepsFindTheSameAsSoonAsTheRowWasLookedUpBefore) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(500))}));
  const auto reader = Get(file.Open());
  KvLookup* lookup = reader->kv_lookup();
  ASSERT_EQ(lookup != nullptr, mapped() && Table().compression == Compression::kNone);
  if (lookup == nullptr) return;
  const bool is_indexed = Table().point_lookup == PointLookup::kPointIndex;
  for (const bool before : {false, true}) {
    for (int i = 0; i < 600; ++i) {
      const std::string key = KeyOf(i);
      const PointQuery query{.key = key, .hash = file.Hash(key)};
      lookup->Prefetch(query.hash);
      const KvLookup::Place place = lookup->Locate(query.hash);
      lookup->PrefetchRow(query, place);
      lookup->PrefetchValue(place);
      FoundValue found;
      const bool answered = lookup->Find(query, place, &found);
      EXPECT_EQ(found.found, before && is_indexed && i < 500) << key;
      if (before) EXPECT_EQ(answered, is_indexed) << key;
      EXPECT_EQ(found.value, found.found ? "value of " + std::to_string(i) : "");
    }
    for (int i = 0; i < 600; ++i) {
      EXPECT_EQ(Find(file, reader.get(), KeyOf(i)).has_value(), i < 500);
    }
  }
}

TEST(KvLookup, AKeyThatTheIndexTakesForAnotherOneIsNotFound) {
  SstFixture file(KeyValueSchema());
  const std::vector<KvRow> rows = ManyRows(100'000);
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  const auto reader = Get(file.Open());
  for (const KvRow& row : rows) {
    ASSERT_TRUE(Get(FindValue(reader.get(), row.key, file.Hash(row.key), kSequenceMax, false)));
  }
  KvLookup* lookup = reader->kv_lookup();
  int taken = 0;  // one in a million
  for (uint64_t i = 0; taken < 3 && i < 20'000'000; ++i) {
    const std::string key = Numbered("stranger", i);
    const PointQuery query{.key = key, .hash = file.Hash(key)};
    const KvLookup::Place place = lookup->Locate(query.hash);
    if (place.state != KvLookup::Place::State::kRow) continue;
    ++taken;
    FoundValue found;
    EXPECT_FALSE(lookup->Find(query, place, &found)) << key;
    EXPECT_FALSE(found.found) << key;
    EXPECT_FALSE(Get(FindValue(reader.get(), key, query.hash, kSequenceMax, false))) << key;
  }
  EXPECT_EQ(taken, 3);
}

TEST_P(Lookup, WhereMemoryIsScarceTheNextLookupFindsACopyOfTheRow) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(500))}));
  file.fs.set_memory_is_scarce(true);
  const auto reader = Get(file.Open());
  const auto find = [&](int i, uint64_t snapshot, bool want_sequence) {
    FoundValue found;
    const std::string key = KeyOf(i);
    const arrow::Status status = reader->FindValue({.key = key,
                                                    .hash = file.Hash(key),
                                                    .snapshot = snapshot,
                                                    .pin = true,
                                                    .want_sequence = want_sequence},
                                                   &found);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return found;
  };
  for (int round = 0; round < 3; ++round) {
    const int64_t before = file.cache->row_hits();
    for (int i = 0; i < 500; ++i) {
      EXPECT_EQ(find(i, kSequenceMax, false).value, "value of " + std::to_string(i));
    }
    const bool copies = mapped() && std::get<1>(GetParam()) == Compression::kNone && round >= 1;
    EXPECT_EQ(file.cache->row_hits() - before, copies ? 500 : 0) << round;
  }
  const int64_t before = file.cache->row_hits();
  EXPECT_GT(find(7, kSequenceMax, true).sequence, 0u) << "a copy does not know it";
  EXPECT_FALSE(find(7, 0, false).found) << "a copy does not know what an old snapshot sees";
  EXPECT_EQ(file.cache->row_hits(), before);
}

TEST(SstReader, APointIndexThatIsReadAgainAndAgainIsCopiedIfThereIsRoom) {
  for (const int64_t capacity : {int64_t{64} << 20, int64_t{1000}}) {
    TableOptions options;
    options.primary_key = {"key"};
    SstFixture file(KeyValueSchema(options), /*with_mappings=*/true);
    file.cache = std::make_shared<BlockCache>(capacity);
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(5000))}));
    file.fs.set_memory_is_scarce(true);
    {
      const auto reader = Get(file.Open());
      const int64_t before = file.cache->pinned_bytes();
      std::vector<std::thread> threads;
      for (int t = 0; t < 2; ++t) {
        threads.emplace_back([&] {
          for (int i = 0; i < 5000; ++i) {
            const std::string key = KeyOf(i);
            reader->Prefetch(file.Hash(key));
            const auto found =
                Get(FindValue(reader.get(), key, file.Hash(key), kSequenceMax, true));
            ASSERT_TRUE(found.has_value());
            ASSERT_EQ(found->value, "value of " + std::to_string(i));
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
      const int64_t copied = file.cache->pinned_bytes() - before;
      EXPECT_EQ(copied > 5000 * 5, capacity > 1000) << copied;
      EXPECT_TRUE(reader->Verify().ok());
    }
    EXPECT_EQ(file.cache->pinned_bytes(), 0);
  }
}

TEST(SstReader, CopiesOfRowsBelongToTheirReaderWhateverTheNumberOfItsFile) {
  TableOptions options;
  const auto cache = std::make_shared<BlockCache>(64 << 20);
  for (const std::string value : {"one", "other"}) {
    SstFixture file(KeyValueSchema(options), /*with_mappings=*/true);
    file.cache = cache;
    file.fs.set_memory_is_scarce(true);
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, {{"a", value, 1}, {"b", value, 1}})}));
    const auto reader = Get(file.Open());
    for (int i = 0; i < 3; ++i) {
      FoundValue found;
      SST_ASSERT_OK(
          reader->FindValue({.key = "a", .hash = file.Hash("a"), .want_sequence = false}, &found));
      EXPECT_EQ(found.value, value);
    }
  }
  EXPECT_EQ(cache->row_hits(), 4);
}

TEST_P(Lookup, PinnedMemoryIsGivenBackWhenTheReaderGoes) {
  SstFixture file(KeyValueSchema(Table()), mapped());
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(500))}));
  auto reader = Get(file.Open());
  EXPECT_GT(file.cache->pinned_bytes(), 0);
  Find(file, reader.get(), KeyOf(1));
  reader.reset();
  EXPECT_EQ(file.cache->pinned_bytes(), 0);
}

TEST(SstLookup, TypesOfKeysAndValuesMayBeLarge) {
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::large_binary()}) {
    TableOptions options;
    options.primary_key = {"key"};
    options.block_bytes = 500;
    SstFixture file(
        MakeSchema({arrow::field("key", type, false), arrow::field("value", type)}, options));
    ASSERT_TRUE(file.schema->is_key_value());
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(200))}));
    const auto reader = Get(file.Open());
    for (int i = 0; i < 200; ++i) {
      const std::string key = KeyOf(i);
      const auto found = Get(FindValue(reader.get(), key, file.Hash(key), kSequenceMax, false));
      ASSERT_TRUE(found.has_value());
      EXPECT_EQ(found->value, Numbered("value of ", i));
    }
  }
}

TEST(SstLookup, BlocksOfUnmappedFilesAreReadOnce) {
  TableOptions options;
  options.block_bytes = 1000;
  SstFixture file(KeyValueSchema(options), /*with_mappings=*/false);
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(1000))}));
  const auto reader = Get(file.Open());
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 1000; ++i) {
      const std::string key = KeyOf(i);
      ASSERT_TRUE(
          Get(FindValue(reader.get(), key, file.Hash(key), kSequenceMax, false)).has_value());
    }
  }
  EXPECT_EQ(file.cache->misses(), reader->num_blocks());
  EXPECT_GT(file.cache->bytes(), 0);
}

TEST(SstLookup, ACacheOfNothingStillAnswers) {
  TableOptions options;
  options.compression = Compression::kLz4;
  SstFixture file(KeyValueSchema(options));
  file.cache->SetCapacity(0);
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(1000))}));
  const auto reader = Get(file.Open());
  const std::string key = KeyOf(7);
  const auto found = Get(FindValue(reader.get(), key, file.Hash(key), kSequenceMax, false));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->value, "value of 7");
  EXPECT_EQ(file.cache->bytes(), 0);
}

TEST(SstLookup, FindValueNeedsAKeyValueTable) {
  TableOptions options;
  options.primary_key = {"id"};
  SstFixture file(MakeSchema({arrow::field("id", arrow::int64(), false)}, options));
  SST_ASSERT_OK(file.Write(
      {MakeRows(*file.schema, arrow::RecordBatch::Make(file.schema->stored_schema(), 1,
                                                       {FromJson(arrow::int64(), "[1]")}))}));
  EXPECT_TRUE(FindValue(Get(file.Open()).get(), "x", 0, kSequenceMax, false).status().IsInvalid());
}

TEST(SstLookup, ManyThreadsMeetAFreshFile) {
  TableOptions options;
  options.block_bytes = 1000;
  SstFixture file(KeyValueSchema(options));
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(3000))}));
  const auto reader = Get(file.Open());
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      for (int i = 0; i < 5000; ++i) {
        const int n = static_cast<int>(random() % 3000);
        const std::string key = KeyOf(n);
        const auto found = FindValue(reader.get(), key, file.Hash(key), kSequenceMax, false);
        const bool right =
            found.ok() && found->has_value() && (*found)->value == Numbered("value of ", n);
        if (!right) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace marble

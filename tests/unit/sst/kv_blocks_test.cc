// The short way to a pair of a mapped, uncompressed file gives what the long way gives, however the
// blocks are laid out.
#include "sst/kv_blocks.h"

#include <string>
#include <vector>

#include "sst/flat_message.h"
#include "sst/kv_lookup.h"
#include "unit/sst/sst_test_util.h"

namespace marble {
namespace {

using namespace sst_test;

std::shared_ptr<const StoredSchema> SchemaOf(const std::shared_ptr<arrow::DataType>& value_type) {
  TableOptions options;
  options.primary_key = {"key"};
  options.block_rows_max = 16;
  return MakeSchema(
      {arrow::field("key", arrow::binary(), false), arrow::field("value", value_type)}, options);
}

/// The value of a key, looked up twice: the second time by what the first has noted.
std::optional<std::string> Lookup(const SstFixture& file, SstReader* reader,
                                  const std::string& key) {
  std::optional<std::string> value;
  for (int round = 0; round < 2; ++round) {
    const auto found = Get(FindValue(reader, key, file.Hash(key), kSequenceMax, true));
    EXPECT_TRUE(found.has_value()) << key;
    if (!found.has_value()) return std::nullopt;
    EXPECT_TRUE(round == 0 || found->value == *value) << key;
    value = std::string(found->value);
  }
  return value;
}

TEST(KvBlocks, PairsOfOneSequenceAreFoundWithIt) {
  SstFixture file(SchemaOf(arrow::binary()));
  file.writer_options.constant_sequence = 77;
  file.writer_options.with_kinds = false;
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, ManyRows(100))}));
  for (const bool scarce : {false, true}) {
    file.fs.set_memory_is_scarce(scarce);
    const auto reader = Get(file.Open());
    KvLookup* lookup = reader->kv_lookup();
    ASSERT_NE(lookup, nullptr);
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 100; ++i) {
        const std::string key = KeyOf(i);
        const PointQuery query{.key = key, .hash = file.Hash(key), .want_sequence = true};
        lookup->Prefetch(query.hash);
        const KvLookup::Place place = lookup->Locate(query.hash);
        lookup->PrefetchRow(query, place);
        lookup->PrefetchValue(place);
        FoundValue found;
        if (!lookup->Find(query, place, &found)) SST_ASSERT_OK(reader->FindValue(query, &found));
        ASSERT_TRUE(found.found);
        EXPECT_EQ(found.value, "value of " + std::to_string(i));
        EXPECT_EQ(found.sequence, 77u);
      }
    }
  }
}

TEST(KvBlocks, ValuesThatDoNotBeginAtTheFirstByteAreNotTakenForOnesOfOneWidth) {
  for (const auto& type : {arrow::binary(), arrow::large_binary()}) {
    SstFixture file(SchemaOf(type));
    std::vector<KvRow> rows;
    for (int i = 0; i < 16; ++i) rows.push_back({KeyOf(i), KeyOf(i) + "abcdef"});
    SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
    // The offsets 0, 15, 30, 45 of values: the first becomes 5.
    std::string offsets;
    for (const uint64_t offset : {0, 15, 30, 45}) {
      type->id() == arrow::Type::BINARY ? PutFixed<uint32_t>(&offsets, offset)
                                        : PutFixed<uint64_t>(&offsets, offset);
    }
    std::string bytes = file.ReadAll();
    const size_t at = bytes.find(offsets);
    ASSERT_NE(at, std::string::npos);
    bytes[at] = 5;
    Reseal(&file, bytes);
    const auto reader = Get(file.Open());
    EXPECT_EQ(Lookup(file, reader.get(), KeyOf(0)), rows[0].value->substr(5));
    for (int i = 1; i < 16; ++i) EXPECT_EQ(Lookup(file, reader.get(), KeyOf(i)), rows[i].value);
  }
}

TEST(KvBlocks, BuffersInUnusualPlacesAreReadInTheGeneralWay) {
  SstFixture file(SchemaOf(arrow::binary()));
  // So many that each buffer leaves room behind it.
  std::vector<KvRow> rows = ManyRows(13);
  rows[12].value = "12345678";
  rows[3].value = std::nullopt;
  rows[5].kind = RowKind::kDelete;
  SST_ASSERT_OK(file.Write({MakeKvRows(*file.schema, rows)}));
  SST_ASSERT_OK(file.OpenAndVerify());
  const std::string good = file.ReadAll();
  // Where the first message says where its buffers are.
  const size_t begin = good.find("\xFF\xFF\xFF\xFF", 64) + 8;
  const FlatMessage message(std::string_view(good).substr(begin));
  const size_t header = message.Child(message.Field(message.Root(), kMessageHeader));
  const size_t buffers =
      message.Pairs(message.Child(message.Field(header, kRecordBatchBuffers)), 10);
  ASSERT_NE(buffers, 0u);
  const auto body = static_cast<size_t>(LoadLittle<int32_t>(good.data() + begin - 4) +
                                        static_cast<int32_t>(begin));
  int moved = 0;
  for (size_t i = 0; i < 10; ++i) {
    std::string bytes = good;
    char* pair = bytes.data() + begin + buffers + i * kFlatPairBytes;
    const auto offset = LoadLittle<int64_t>(pair);
    const auto length = LoadLittle<int64_t>(pair + 8);
    if (length == 0 || offset == 0) continue;
    ++moved;
    // Its content goes along, over the padding behind the buffer before.
    StoreLittle<int64_t>(pair, offset - 8);
    const auto from = body + static_cast<size_t>(offset);
    bytes.replace(from - 8, static_cast<size_t>(length),
                  good.substr(from, static_cast<size_t>(length)));
    Reseal(&file, bytes);
    file.cache->EraseFile(42);
    const auto reader = Get(file.Open());
    EXPECT_EQ(Lookup(file, reader.get(), KeyOf(7)), rows[7].value) << i;
    EXPECT_EQ(Lookup(file, reader.get(), KeyOf(12)), rows[12].value) << i;
    EXPECT_TRUE(reader->Verify().ok()) << i << reader->Verify().ToString();
  }
  EXPECT_EQ(moved, 6) << "keys; validity, offsets and bytes of values; sequences; kinds";
}

}  // namespace
}  // namespace marble

// Tests of the block index section and of the locator of rows over it.
#include "sst/block_index.h"

#include <limits>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "sst/row_locator.h"

namespace marble {
namespace {

constexpr int64_t kDataEnd = 1 << 20;

/// `blocks` blocks of 128 bytes behind each other with keys "b<i>a" to "b<i>z".
std::string Section(int blocks, int64_t rows_each) {
  BlockIndexBuilder builder;
  for (int i = 0; i < blocks; ++i) {
    BlockEntry entry;
    entry.message_offset = 64 + 128 * i;
    entry.metadata_length = 64;
    entry.body_length = 64;
    entry.rows = rows_each;
    entry.sequence_max = 100 + i;
    entry.unique_keys = i % 2 == 0;
    entry.has_kinds = i % 3 == 0;
    std::string name = "b";
    name += std::to_string(i);
    builder.Add(entry, name + "a", name + "z");
  }
  return builder.Finish();
}

TEST(BlockIndex, GivesBackWhatWasAdded) {
  const std::string section = Section(9, 10);
  const BlockIndex index = BlockIndex::Open(section, 90, 8, kDataEnd).ValueOrDie();
  ASSERT_EQ(index.num_blocks(), 9);
  EXPECT_EQ(index.FirstRow(0), 0);
  EXPECT_EQ(index.FirstRow(4), 40);
  EXPECT_EQ(index.FirstRow(9), 90);
  EXPECT_EQ(index.FirstKey(3), "b3a");
  EXPECT_EQ(index.LastKey(3), "b3z");
  EXPECT_EQ(index.LastKey(8), "b8z");
  const BlockEntry entry = index.Entry(3);
  EXPECT_EQ(entry.message_offset, 64 + 128 * 3);
  EXPECT_EQ(entry.metadata_length, 64);
  EXPECT_EQ(entry.body_length, 64);
  EXPECT_EQ(entry.rows, 10);
  EXPECT_EQ(entry.sequence_max, 103u);
  EXPECT_FALSE(entry.unique_keys);
  EXPECT_TRUE(entry.has_kinds);
}

TEST(BlockIndex, FindsTheFirstBlockThatEndsAtOrBehindAKey) {
  const std::string section = Section(9, 10);
  const BlockIndex index = BlockIndex::Open(section, 90, 8, kDataEnd).ValueOrDie();
  EXPECT_EQ(index.Find(""), 0);
  EXPECT_EQ(index.Find("b0z"), 0);
  EXPECT_EQ(index.Find("b0zz"), 1);
  EXPECT_EQ(index.Find("b5m"), 5);
  EXPECT_EQ(index.Find("b8z"), 8);
  EXPECT_EQ(index.Find("c"), 9);
}

TEST(BlockIndex, FindsBlocksWhateverTheirKeysHaveInCommon) {
  std::mt19937 random(5);
  const auto key = [&](const std::string& common) {
    // Few letters, zero bytes among them, and tails around eight bytes: many keys agree in these.
    std::string out = common;
    const size_t length = random() % 12;
    for (size_t i = 0; i < length; ++i) out += "\0a\xff"[random() % 3];
    return out;
  };
  for (int round = 0; round < 200; ++round) {
    const std::string common(random() % 3 * 7, 'k');
    std::set<std::string> last_keys;
    const size_t blocks = 1 + random() % 30;
    while (last_keys.size() < blocks) last_keys.insert(key(common));
    BlockIndexBuilder builder;
    BlockEntry entry{.message_offset = 64, .body_length = 64, .metadata_length = 64, .rows = 1};
    for (const std::string& last : last_keys) {
      builder.Add(entry, last, last);
      entry.message_offset += 128;
    }
    const std::string section = builder.Finish();
    const BlockIndex index = BlockIndex::Open(section, blocks, 8, kDataEnd).ValueOrDie();
    for (int probe = 0; probe < 50; ++probe) {
      std::string wanted = key(common);
      if (probe % 5 == 0) wanted = wanted.substr(0, random() % (wanted.size() + 1));
      if (probe % 7 == 0) wanted = key("l");
      const auto found = std::distance(last_keys.begin(), last_keys.lower_bound(wanted));
      ASSERT_EQ(index.Find(wanted), found) << "round " << round << " probe " << probe;
    }
  }
}

TEST(BlockIndex, KnowsWhetherEachRowIsTheOnePutOfItsKey) {
  const auto has_one_put_a_key = [](bool unique_keys, bool has_kinds) {
    BlockIndexBuilder builder;
    BlockEntry entry{.message_offset = 64, .body_length = 64, .metadata_length = 64, .rows = 1};
    builder.Add(entry, "a", "a");
    entry.message_offset += 128;
    entry.unique_keys = unique_keys;
    entry.has_kinds = has_kinds;
    builder.Add(entry, "b", "b");
    const std::string section = builder.Finish();
    return BlockIndex::Open(section, 2, 8, kDataEnd).ValueOrDie().HasOnePutAKey();
  };
  EXPECT_TRUE(has_one_put_a_key(true, false));
  EXPECT_FALSE(has_one_put_a_key(false, false));
  EXPECT_FALSE(has_one_put_a_key(true, true));
}

TEST(BlockIndex, AnEmptyFileHasAnEmptyIndex) {
  const std::string section = BlockIndexBuilder().Finish();
  const BlockIndex index = BlockIndex::Open(section, 0, 8, kDataEnd).ValueOrDie();
  EXPECT_EQ(index.num_blocks(), 0);
  EXPECT_EQ(index.FirstRow(0), 0);
  EXPECT_EQ(index.Find("x"), 0);
}

TEST(BlockIndex, EntriesThatContradictEachOtherAreRefused) {
  const std::string good = Section(3, 10);
  const auto refused = [&](size_t offset, uint64_t value) {
    std::string section = good;
    StoreLittle<uint64_t>(section.data() + offset, value);
    return !BlockIndex::Open(section, 30, 8, kDataEnd).ok();
  };
  EXPECT_TRUE(BlockIndex::Open(good, 30, 8, kDataEnd).ok());
  EXPECT_FALSE(BlockIndex::Open(good, 31, 8, kDataEnd).ok());
  EXPECT_FALSE(BlockIndex::Open(good, 30, 65, kDataEnd).ok());
  EXPECT_FALSE(BlockIndex::Open(good, 30, 8, 64 + 128 * 3 - 1).ok());
  EXPECT_TRUE(refused(0, 4));                                // more blocks than there are
  EXPECT_TRUE(refused(0, 1ull << 60));                       // so many that their bytes overflow
  EXPECT_TRUE(refused(16, 1));                               // another key area
  EXPECT_TRUE(refused(64 + 0, 1 << 19));                     // a message behind the next
  EXPECT_TRUE(refused(64 + 8, ~0ull));                       // an endless body
  EXPECT_TRUE(refused(64 + 16, 1));                          // rows before the first
  EXPECT_TRUE(refused(128 + 16, 0));                         // a block without rows
  EXPECT_TRUE(refused(128 + 16, 30));                        // more rows than the file
  EXPECT_TRUE(refused(128 + 24, 1000));                      // keys outside the key area
  EXPECT_TRUE(refused(128 + 32, 0));                         // a last key before the first
  EXPECT_TRUE(refused(128 + 48, 0));                         // no metadata
  EXPECT_TRUE(refused(128 + 48, (uint64_t{4} << 32) | 64));  // an unknown flag
}

TEST(BlockIndex, MoreRowsThanABlocksBytesCanStandForAreRefused) {
  const auto opens = [](int64_t rows, int64_t body) {
    BlockIndexBuilder builder;
    builder.Add({.message_offset = 64, .body_length = body, .metadata_length = 64, .rows = rows},
                "", "");
    const std::string section = builder.Finish();
    return BlockIndex::Open(section, static_cast<uint64_t>(rows), 8, int64_t{1} << 40).ok();
  };
  EXPECT_TRUE(opens(kBlockRowsMax, 0));  // of a column of nulls
  EXPECT_FALSE(opens(kBlockRowsMax + 1, 0));
  // What older versions, which knew no limit, can have written: a bit a row, compressed.
  EXPECT_TRUE(opens(8 * 32'768 * 100, 100));
  EXPECT_FALSE(opens(8 * 32'768 * 101, 100));
  // Rows of a block are counted in 31 bits, however many bytes there are.
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  EXPECT_TRUE(opens(kMost, kBlockRowsMax));
  EXPECT_FALSE(opens(kMost + 1, kBlockRowsMax));
  EXPECT_FALSE(opens(int64_t{1} << 61, kBlockRowsMax));
}

TEST(BlockIndex, RowsWithoutBlocksAndMoreThanCanBeCountedAreRefused) {
  std::string empty = BlockIndexBuilder().Finish();
  StoreLittle<uint64_t>(empty.data() + 8, 5);
  EXPECT_FALSE(BlockIndex::Open(empty, 5, 8, kDataEnd).ok());
  std::string huge = Section(3, 10);
  for (const uint64_t rows : {~uint64_t{0}, uint64_t{1} << 63}) {
    StoreLittle<uint64_t>(huge.data() + 8, rows);
    EXPECT_FALSE(BlockIndex::Open(huge, rows, 8, kDataEnd).ok());
  }
}

TEST(BlockIndex, RandomDamageGivesAnErrorOrAUsableIndex) {
  const std::string good = Section(5, 7);
  std::mt19937_64 random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string section = good;
    for (uint64_t flips = 1 + random() % 4; flips > 0; --flips) {
      section[random() % section.size()] = static_cast<char>(random());
    }
    section.resize(section.size() - (random() % 8 == 0 ? random() % section.size() : 0));
    const auto index = BlockIndex::Open(section, 35, 8, kDataEnd);
    if (!index.ok()) continue;
    int64_t rows = 0;
    for (int64_t i = 0; i < index->num_blocks(); ++i) {
      rows += index->Entry(i).rows;
      EXPECT_LE(index->Entry(i).message_offset + index->Entry(i).body_length, kDataEnd);
      EXPECT_LE(index->FirstKey(i).size() + index->LastKey(i).size(), section.size());
    }
    EXPECT_EQ(rows, 35);
  }
}

/// A section of blocks of so many rows each.
std::string SectionOfRows(const std::vector<int64_t>& rows_of_blocks) {
  BlockIndexBuilder builder;
  int64_t offset = 64;
  for (const int64_t rows : rows_of_blocks) {
    BlockEntry entry;
    entry.message_offset = offset;
    entry.metadata_length = 64;
    entry.body_length = 64;
    entry.rows = rows;
    builder.Add(entry, "", "");
    offset += 128;
  }
  return builder.Finish();
}

void ExpectEveryRowIsFound(const std::vector<int64_t>& rows_of_blocks) {
  std::vector<uint32_t> block_of_row;
  for (size_t i = 0; i < rows_of_blocks.size(); ++i) {
    block_of_row.insert(block_of_row.end(), rows_of_blocks[i], static_cast<uint32_t>(i));
  }
  const std::string section = SectionOfRows(rows_of_blocks);
  const RowLocator locator(
      BlockIndex::Open(section, block_of_row.size(), 8, kDataEnd).ValueOrDie());
  for (uint32_t row = 0; row < block_of_row.size(); ++row) {
    ASSERT_EQ(locator.Find(row), block_of_row[row]);
    const bool is_first = row == 0 || block_of_row[row - 1] != block_of_row[row];
    ASSERT_EQ(is_first, locator.FirstRow(block_of_row[row]) == row);
  }
}

TEST(RowLocator, FindsTheBlockOfEveryRow) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 50; ++round) {
    std::vector<int64_t> rows(1 + random() % 60);
    // Blocks of one row beside blocks of hundreds.
    for (int64_t& n : rows) n = random() % 3 == 0 ? 1 + static_cast<int64_t>(random() % 500) : 1;
    ExpectEveryRowIsFound(rows);
  }
}

TEST(RowLocator, FindsRowsOfEqualBlocksAndOfThoseThatAreNearlyEqual) {
  ExpectEveryRowIsFound({5});
  ExpectEveryRowIsFound({5, 5, 5, 5});
  ExpectEveryRowIsFound({5, 5, 5, 1});
  ExpectEveryRowIsFound({5, 5, 5, 6});
  ExpectEveryRowIsFound({5, 5, 4, 5});
  ExpectEveryRowIsFound({1, 1, 1});
}

TEST(RowLocator, EqualBlocksNeedNoTable) {
  const std::string section = SectionOfRows({5, 5, 5, 1});
  EXPECT_EQ(RowLocator(BlockIndex::Open(section, 16, 8, kDataEnd).ValueOrDie()).bytes(), 0);
}

}  // namespace
}  // namespace marble

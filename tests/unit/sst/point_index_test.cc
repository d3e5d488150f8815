// Tests of the point index and the bloom filter: no key is missed, strangers are rare, bad bytes
// are refused.
#include "sst/point_index.h"

#include <bit>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sst/bloom_filter.h"

namespace marble {
namespace {

/// All candidate rows of a hash.
std::vector<uint32_t> Candidates(const PointIndex& index, uint64_t hash) {
  std::vector<uint32_t> rows;
  uint64_t line = index.HomeLine(hash);
  for (uint64_t n = 0; n < index.line_count(); ++n, line = index.NextLine(line)) {
    for (uint32_t m = index.Match(line, hash); m != 0; m &= m - 1) {
      rows.push_back(index.Row(line, std::countr_zero(m)));
    }
    if (!index.Overflowed(line)) break;
  }
  return rows;
}

bool Contains(const std::vector<uint32_t>& rows, uint32_t row) {
  return std::find(rows.begin(), rows.end(), row) != rows.end();
}

struct Built {
  std::string section;
  std::vector<uint64_t> hashes;
  PointIndex index;
};

/// `n` random hashes; the i-th key begins at row i * rows_a_key.
void Build(uint64_t n, uint32_t rows_a_key, Built* out) {
  std::mt19937_64 random(n);
  PointIndexBuilder builder;
  for (uint64_t i = 0; i < n; ++i) {
    out->hashes.push_back(random());
    builder.Add(out->hashes.back(), static_cast<uint32_t>(i * rows_a_key));
  }
  out->section = builder.Finish(n * rows_a_key);
  out->index = PointIndex::Open(out->section, n * rows_a_key).ValueOrDie();
}

TEST(PointIndex, EveryKeyIsFoundAtItsRow) {
  for (const uint64_t n : {1, 2, 10, 11, 12, 13, 100, 1000, 100000}) {
    for (const uint32_t rows_a_key : {1u, 3u}) {
      Built built;
      Build(n, rows_a_key, &built);
      for (uint64_t i = 0; i < n; ++i) {
        ASSERT_TRUE(Contains(Candidates(built.index, built.hashes[i]), i * rows_a_key))
            << n << " keys, key " << i;
      }
    }
  }
}

TEST(PointIndex, ALineThatSaysItHasMoreEntriesThanItCanNamesNoneBehindThem) {
  Built built;
  Build(1, 1, &built);
  std::string section = built.section;
  char* line = section.data() + PointIndex::LineOffset(0);
  line[PointIndex::kLineEntries] = '\xff';
  const PointIndex index = PointIndex::Open(section, 1).ValueOrDie();
  for (uint64_t hash = 0; hash < 256; ++hash) {
    EXPECT_EQ(index.Match(0, hash) >> PointIndex::kLineEntries, 0u) << hash;
  }
}

TEST(PointIndex, KeysOfTheLastLineWrapToTheFirst) {
  // 40 keys want the last of four lines.
  PointIndexBuilder builder;
  std::vector<uint64_t> hashes;
  for (uint32_t i = 0; i < 40; ++i) {
    hashes.push_back(~uint64_t{0} - (uint64_t{i} << 32));
    builder.Add(hashes.back(), i);
  }
  const std::string section = builder.Finish(40);
  const PointIndex index = PointIndex::Open(section, 40).ValueOrDie();
  ASSERT_EQ(index.line_count(), 4u);
  for (uint32_t i = 0; i < 40; ++i) {
    ASSERT_EQ(index.HomeLine(hashes[i]), 3u);
    EXPECT_TRUE(Contains(Candidates(index, hashes[i]), i));
  }
}

TEST(PointIndex, EqualHashesAreBothCandidates) {
  PointIndexBuilder builder;
  builder.Add(77, 0);
  builder.Add(77, 1);
  const std::string section = builder.Finish(2);
  const PointIndex index = PointIndex::Open(section, 2).ValueOrDie();
  EXPECT_EQ(Candidates(index, 77), (std::vector<uint32_t>{0, 1}));
}

TEST(PointIndex, FewerThanOneStrangerInTenThousandIsACandidate) {
  Built built;
  Build(500000, 1, &built);
  std::mt19937_64 random(99);
  int64_t candidates = 0;
  constexpr int64_t kAsked = 1000000;
  for (int64_t i = 0; i < kAsked; ++i) candidates += Candidates(built.index, random()).size();
  EXPECT_LT(candidates, kAsked / 10000);
}

TEST(PointIndex, TakesLessThanSevenBytesAKey) {
  Built built;
  Build(100000, 1, &built);
  EXPECT_LT(built.section.size(), 700000u);
}

TEST(PointIndex, BytesOfAnotherShapeAreRefused) {
  Built built;
  Build(1000, 1, &built);
  EXPECT_TRUE(PointIndex::Open("", 1000).status().IsInvalid());
  EXPECT_TRUE(PointIndex::Open(built.section, 999).status().IsInvalid());
  const std::string_view whole = built.section;
  EXPECT_FALSE(PointIndex::Open(whole.substr(0, whole.size() - 1), 1000).ok());
  EXPECT_FALSE(PointIndex::Open(whole.substr(0, whole.size() - 64), 1000).ok());
  std::string bad_bits = built.section;
  bad_bits[16] = 33;
  EXPECT_FALSE(PointIndex::Open(bad_bits, 1000).ok());
  std::string no_lines = built.section.substr(0, PointIndex::kHeaderBytes);
  std::memset(no_lines.data(), 0, 8);  // as many as its bytes have
  EXPECT_FALSE(PointIndex::Open(no_lines, 1000).ok());
}

TEST(PointIndex, MoreRowsThanItsEntriesCanNameAreRefused) {
  Built built;
  Build(1000, 1, &built);
  for (const uint64_t rows : {(uint64_t{1} << 32) - 1, uint64_t{1} << 32, ~uint64_t{0}}) {
    StoreLittle<uint64_t>(built.section.data() + 8, rows);
    EXPECT_EQ(PointIndex::Open(built.section, rows).ok(), rows >> 32 == 0) << rows;
  }
}

TEST(PointIndex, RandomBytesDoNotCrashIt) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 300; ++round) {
    std::string section(64 + 64 * (1 + random() % 8), '\0');
    for (char& c : section) c = static_cast<char>(random());
    StoreLittle<uint64_t>(section.data(), (section.size() - 64) / 64);
    StoreLittle<uint64_t>(section.data() + 8, 5);
    StoreLittle<uint32_t>(section.data() + 16, random() % 34);
    const auto index = PointIndex::Open(section, 5);
    if (!index.ok()) continue;
    for (int i = 0; i < 100; ++i) Candidates(*index, random());
  }
}

TEST(BloomFilter, EveryKeyMayBeContained) {
  std::mt19937_64 random(1);
  for (const int n : {0, 1, 10, 100, 10000}) {
    std::vector<uint64_t> hashes;
    for (int i = 0; i < n; ++i) hashes.push_back(random());
    const std::string section = BuildBloomFilter(hashes);
    const BloomFilter filter = BloomFilter::Open(section).ValueOrDie();
    for (const uint64_t hash : hashes) EXPECT_TRUE(filter.MayContain(hash));
  }
}

TEST(BloomFilter, AboutOneStrangerInAHundredMayBeContained) {
  std::mt19937_64 random(2);
  std::vector<uint64_t> hashes;
  for (int i = 0; i < 100000; ++i) hashes.push_back(random());
  const std::string section = BuildBloomFilter(hashes);
  EXPECT_LT(section.size(), 126000u);
  const BloomFilter filter = BloomFilter::Open(section).ValueOrDie();
  int strangers = 0;
  for (int i = 0; i < 100000; ++i) strangers += filter.MayContain(random());
  EXPECT_GT(strangers, 300);
  EXPECT_LT(strangers, 2000);
}

TEST(BloomFilter, BytesOfAnotherShapeAreRefused) {
  const std::string section = BuildBloomFilter({1, 2, 3});
  const std::string_view whole = section;
  EXPECT_FALSE(BloomFilter::Open("").ok());
  EXPECT_FALSE(BloomFilter::Open(whole.substr(0, whole.size() - 1)).ok());
  EXPECT_FALSE(BloomFilter::Open(whole.substr(0, 64)).ok());
  EXPECT_FALSE(BloomFilter::Open(std::string(96, '\xff')).ok());
}

}  // namespace
}  // namespace marble

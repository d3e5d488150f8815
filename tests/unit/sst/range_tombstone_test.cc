// Tests of range tombstones: fragments, questions, clipping, and bytes.
#include "sst/range_tombstone.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "row/row_kind.h"

namespace marble {
namespace {

using Tombstones = std::vector<RangeTombstone>;

/// Highest sequence <= snapshot over `key`, by asking every tombstone.
uint64_t NaiveCover(const Tombstones& tombstones, std::string_view key, uint64_t snapshot) {
  uint64_t cover = 0;
  for (const RangeTombstone& t : tombstones) {
    const bool covers = key >= t.begin && (!t.end.has_value() || key < *t.end);
    if (covers && t.sequence <= snapshot) cover = std::max(cover, t.sequence);
  }
  return cover;
}

/// Every string of up to three letters of "abc": dense enough to stand for all keys between random
/// bounds.
std::vector<std::string> AllKeys() {
  std::vector<std::string> keys = {""};
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].size() == 3) continue;
    for (char c : {'a', 'b', 'c'}) keys.push_back(keys[i] + c);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

Tombstones RandomTombstones(std::mt19937* random, const std::vector<std::string>& keys, int count) {
  Tombstones tombstones;
  for (int i = 0; i < count; ++i) {
    RangeTombstone t;
    t.begin = keys[(*random)() % keys.size()];
    if ((*random)() % 8 != 0) t.end = keys[(*random)() % keys.size()];
    t.sequence = 1 + (*random)() % 20;
    tombstones.push_back(t);
  }
  return tombstones;
}

TEST(RangeTombstoneSet, CoversBeginButNotEnd) {
  const RangeTombstoneSet set(Tombstones{{"b", "d", 7}});
  EXPECT_EQ(set.CoveringSequence("a", 100), 0u);
  EXPECT_EQ(set.CoveringSequence("b", 100), 7u);
  EXPECT_EQ(set.CoveringSequence("czzz", 100), 7u);
  EXPECT_EQ(set.CoveringSequence("d", 100), 0u);
}

TEST(RangeTombstoneSet, EmptyBeginCoversTheEmptyKey) {
  const RangeTombstoneSet set(Tombstones{{"", "b", 3}});
  EXPECT_EQ(set.CoveringSequence("", 100), 3u);
  EXPECT_EQ(set.CoveringSequence("a", 100), 3u);
  EXPECT_EQ(set.CoveringSequence("b", 100), 0u);
}

TEST(RangeTombstoneSet, AbsentEndIsUnboundedAndEmptyEndHoldsNothing) {
  const RangeTombstoneSet unbounded(Tombstones{{"b", std::nullopt, 3}});
  EXPECT_EQ(unbounded.CoveringSequence("\xff\xff\xff", 100), 3u);
  EXPECT_EQ(unbounded.CoveringSequence("a", 100), 0u);
  EXPECT_TRUE(RangeTombstoneSet(Tombstones{{"", "", 3}}).empty());
}

TEST(RangeTombstoneSet, BeginAtOrBehindEndIsIgnored) {
  EXPECT_TRUE(RangeTombstoneSet(Tombstones{{"b", "b", 3}, {"c", "b", 4}}).empty());
}

TEST(RangeTombstoneSet, TombstonesBeyondTheSnapshotDoNotCount) {
  const RangeTombstoneSet set(Tombstones{{"a", "z", 5}, {"a", "z", 9}});
  EXPECT_EQ(set.CoveringSequence("m", 4), 0u);
  EXPECT_EQ(set.CoveringSequence("m", 8), 5u);
  EXPECT_EQ(set.CoveringSequence("m", 9), 9u);
  EXPECT_FALSE(set.Overlaps("m", "n", 4));
  EXPECT_TRUE(set.Overlaps("m", "n", 5));
}

TEST(RangeTombstoneSet, NeighboursWithTheSameCoverAreOneFragment) {
  const RangeTombstoneSet set(Tombstones{{"a", "c", 5}, {"c", "e", 5}, {"b", "d", 5}});
  ASSERT_EQ(set.fragments().size(), 1u);
  EXPECT_EQ(set.fragments()[0].begin, "a");
  EXPECT_EQ(set.fragments()[0].end, "e");
}

TEST(RangeTombstoneSet, CoversAllNeedsTouchingFragments) {
  const RangeTombstoneSet touching(Tombstones{{"a", "c", 5}, {"c", "e", 6}});
  EXPECT_TRUE(touching.CoversAll("a", "dzz", 4, 100));
  EXPECT_FALSE(touching.CoversAll("a", "e", 4, 100));
  EXPECT_FALSE(touching.CoversAll("a", "d", 5, 100)) << "a row of sequence 5 is not older than 5";
  EXPECT_FALSE(touching.CoversAll("a", "d", 4, 5)) << "the second half is beyond the snapshot";
  const RangeTombstoneSet apart(Tombstones{{"a", "c", 5}, {"d", "e", 6}});
  EXPECT_FALSE(apart.CoversAll("a", "d", 4, 100));
}

TEST(RangeTombstoneSet, AgreesWithAskingEveryTombstone) {
  const std::vector<std::string> keys = AllKeys();
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    const Tombstones tombstones = RandomTombstones(&random, keys, static_cast<int>(random() % 12));
    const RangeTombstoneSet set(tombstones);
    const uint64_t snapshot = random() % 22;
    for (const std::string& key : keys) {
      ASSERT_EQ(set.CoveringSequence(key, snapshot), NaiveCover(tombstones, key, snapshot));
    }
    size_t first = random() % keys.size();
    size_t last = random() % keys.size();
    if (first > last) std::swap(first, last);
    bool any = false;
    for (size_t i = first; i <= last; ++i) any |= NaiveCover(tombstones, keys[i], snapshot) > 0;
    ASSERT_EQ(set.Overlaps(keys[first], keys[last], snapshot), any);
    const uint64_t row = random() % 20;
    bool all = true;
    for (size_t i = first; i <= last; ++i) all &= NaiveCover(tombstones, keys[i], snapshot) > row;
    ASSERT_EQ(set.CoversAll(keys[first], keys[last], row, snapshot), all);
  }
}

TEST(RangeTombstoneSet, WhatSnapshotsNeedCoversForThemAsAllDo) {
  const std::vector<std::string> keys = AllKeys();
  std::mt19937 random(4);
  for (int round = 0; round < 400; ++round) {
    const Tombstones tombstones = RandomTombstones(&random, keys, static_cast<int>(random() % 12));
    std::vector<uint64_t> snapshots;
    for (uint64_t snapshot = 1; snapshot < 20; ++snapshot) {
      if (random() % 6 == 0) snapshots.push_back(snapshot);
    }
    const Tombstones needed = RangeTombstoneSet(tombstones).NeededBy(snapshots);
    snapshots.push_back(kSequenceMax);
    for (const std::string& key : keys) {
      uint64_t before = 0;
      for (const uint64_t snapshot : snapshots) {
        // A row that a snapshot sees is hidden from it by the same tombstones, unless an older
        // snapshot saw it as well.
        const uint64_t cover = NaiveCover(tombstones, key, snapshot);
        ASSERT_EQ(NaiveCover(needed, key, snapshot), cover);
        size_t between = 0;
        for (const RangeTombstone& t : needed) {
          const bool covers = key >= t.begin && (!t.end.has_value() || key < *t.end);
          if (covers && t.sequence > before && t.sequence <= snapshot) ++between;
        }
        ASSERT_LE(between, 1u);
        before = snapshot;
      }
    }
  }
}

TEST(RangeTombstoneSet, NestedTombstonesTakeLittleMoreMemoryThanThemselves) {
  // "Delete all that is older" again and again: the first of n fragments is covered by n of them.
  constexpr uint64_t kTombstones = 50'000;
  const auto key = [](uint64_t i) { return std::to_string(1'000'000 + i); };
  Tombstones tombstones;
  for (uint64_t i = 1; i <= kTombstones; ++i) tombstones.push_back({"", key(i), i});
  const RangeTombstoneSet set(std::move(tombstones));
  EXPECT_EQ(set.fragments().size(), kTombstones);
  EXPECT_EQ(set.CoveringSequence(key(700), kSequenceMax), kTombstones);
  EXPECT_EQ(set.CoveringSequence(key(700), 1000), 1000u);
  EXPECT_EQ(set.CoveringSequence(key(700), 701), 701u);
  EXPECT_EQ(set.CoveringSequence(key(700), 700), 0u);
  EXPECT_EQ(set.Clip(key(10), key(20)).size(), kTombstones - 10);
  const RangeTombstoneSet now(set.NeededBy({}));
  EXPECT_EQ(now.tombstones(), (Tombstones{{"", key(kTombstones), kTombstones}}));
  const RangeTombstoneSet two(set.NeededBy({1000}));
  EXPECT_EQ(two.tombstones(),
            (Tombstones{{"", key(kTombstones), kTombstones}, {"", key(1000), 1000}}));
}

TEST(RangeTombstoneSet, ClipKeepsTheCoverInsideAndNothingOutside) {
  const std::vector<std::string> keys = AllKeys();
  std::mt19937 random(2);
  for (int round = 0; round < 400; ++round) {
    const Tombstones tombstones = RandomTombstones(&random, keys, static_cast<int>(random() % 12));
    const RangeTombstoneSet set(tombstones);
    const std::string lower = keys[random() % keys.size()];
    std::optional<std::string> upper;
    if (random() % 4 != 0) upper = keys[random() % keys.size()];
    const RangeTombstoneSet clipped(set.Clip(lower, upper));
    for (const std::string& key : keys) {
      const bool inside = key >= lower && (!upper.has_value() || key < *upper);
      for (uint64_t snapshot : {5, 12, 30}) {
        ASSERT_EQ(clipped.CoveringSequence(key, snapshot),
                  inside ? NaiveCover(tombstones, key, snapshot) : 0u);
      }
    }
  }
}

TEST(RangeTombstoneBytes, RoundTrip) {
  const Tombstones tombstones = {
      {"", std::nullopt, 1}, {std::string("a\0b", 3), "\xff", kSequenceMax}, {"x", "", 3}};
  auto decoded = DecodeRangeTombstones(EncodeRangeTombstones(tombstones));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(*decoded, tombstones);
  for (const RangeTombstone& other : Tombstones{{"y", "", 3}, {"x", "z", 3}, {"x", "", 4}}) {
    EXPECT_NE(decoded->back(), other);
  }
  EXPECT_TRUE(DecodeRangeTombstones(EncodeRangeTombstones({})).ok());
}

TEST(RangeTombstoneBytes, EveryTruncationAndTrailingBytesAreInvalid) {
  const std::string bytes = EncodeRangeTombstones({{"begin", "end", 300}, {"k", std::nullopt, 2}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_TRUE(DecodeRangeTombstones(bytes.substr(0, size)).status().IsInvalid()) << size;
  }
  EXPECT_TRUE(DecodeRangeTombstones(bytes + "x").status().IsInvalid());
}

TEST(RangeTombstoneBytes, HugeCountsFlagsAndSequencesAreInvalid) {
  EXPECT_TRUE(DecodeRangeTombstones("\xff\xff\xff\xff\xff\xff\xff\xff\x01").status().IsInvalid());
  const std::string bad_flag("\x01\x01z\x02\x05", 5);
  EXPECT_TRUE(DecodeRangeTombstones(bad_flag).status().IsInvalid());
  EXPECT_TRUE(DecodeRangeTombstones(EncodeRangeTombstones({{"a", "b", kSequenceMax + 1}}))
                  .status()
                  .IsInvalid());
}

TEST(RangeTombstoneBytes, RandomBytesNeverCrash) {
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 24, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % (round % 2 == 0 ? 256 : 4));
    auto decoded = DecodeRangeTombstones(bytes);
    if (decoded.ok()) RangeTombstoneSet(*decoded).CoveringSequence("a", 10);
  }
}

}  // namespace
}  // namespace marble

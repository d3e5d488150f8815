#include "tree/version.h"

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/memory_file_system.h"

namespace marble {
namespace {

std::shared_ptr<const TableFile> FileOf(FileSystem* fs, FileMeta meta) {
  SstReaderOptions options;
  options.fs = fs;
  options.path = "/db/" + meta.smallest;
  return std::make_shared<const TableFile>(std::move(meta), options);
}

TEST(SortedRun, FindsTheFilesOfEveryKeyAsTheFilesThemselvesSay) {
  MemoryFileSystem fs;
  std::mt19937 random(11);
  const auto key = [&](size_t size_max) {
    // Prefixes of eight bytes are often equal, bounds often met.
    std::string made = "common";
    for (size_t size = random() % size_max; size > 0; --size) made.push_back("ab\0"[random() % 3]);
    return made;
  };
  for (int round = 0; round < 300; ++round) {
    std::set<std::string> bounds;
    while (bounds.size() < 2 * (round % 9)) bounds.insert(key(14));
    std::vector<std::shared_ptr<const TableFile>> files;
    for (auto bound = bounds.begin(); bound != bounds.end();) {
      FileMeta meta;
      meta.smallest = *bound++;
      meta.largest = *bound++;
      // The end of one that is cut at a tombstone may be the beginning of the next.
      meta.largest_exclusive = random() % 3 == 0;
      if (meta.largest_exclusive && random() % 2 == 0 && bound != bounds.end())
        meta.largest = *bound;
      meta.unbounded_end = bound == bounds.end() && random() % 4 == 0;
      if (meta.unbounded_end) meta.largest.clear();
      files.push_back(FileOf(&fs, std::move(meta)));
    }
    const marble::Run run(files);
    std::vector<std::string> wanted(bounds.begin(), bounds.end());
    for (int i = 0; i < 100; ++i) wanted.push_back(key(i % 2 == 0 ? 14 : 3));
    wanted.insert(wanted.end(), {"", "commo", "common", "d"});
    for (const std::string& k : wanted) {
      const TableFile* expected = nullptr;
      size_t before = 0;
      for (const auto& file : files) {
        if (file->MayContain(k)) expected = file.get();
        if (file->EndsBefore(k)) ++before;
      }
      ASSERT_EQ(run.Find(k), expected) << "round " << round << ", key " << k;
      ASSERT_EQ(run.FirstFrom(k), before) << "round " << round << ", key " << k;
    }
  }
}

TEST(SortedRun, FilesWithoutBoundsMayReachEverything) {
  MemoryFileSystem fs;
  const marble::Run run({FileOf(&fs, {}), FileOf(&fs, {})});
  EXPECT_EQ(run.FirstFrom("key"), 0u);
}

TEST(VersionTest, LevelsThatAnEditDoesNotTouchKeepTheirRuns) {
  MemoryFileSystem fs;
  const auto placed = [&](int level, uint64_t number, const std::string& smallest) {
    FileMeta meta;
    meta.number = number;
    meta.smallest = smallest;
    meta.largest = smallest + "z";
    return PlacedFile{level, level == 0 ? number : 0, FileOf(&fs, std::move(meta))};
  };
  const auto base = MakeVersion(
      Version(), {}, {placed(0, 1, "a"), placed(1, 2, "a"), placed(1, 3, "b"), placed(2, 4, "a")});
  const auto version = MakeVersion(*base, {1}, {placed(2, 5, "c")});
  EXPECT_TRUE(version->levels[0].empty());
  ASSERT_EQ(version->levels[1].size(), 1u);
  EXPECT_EQ(version->levels[1].front(), base->levels[1].front());
  ASSERT_EQ(version->levels[2].size(), 1u);
  EXPECT_EQ(version->levels[2].front()->files.size(), 2u);
}

TEST(VersionTest, FindsTheOverlapsBelowThatTheFilesThemselvesTell) {
  MemoryFileSystem fs;
  const std::string keys = "abcdefghijkl";
  std::vector<PlacedFile> files;
  for (size_t i = 0; i + 2 < keys.size(); i += 3) {
    FileMeta meta;
    meta.number = i + 1;
    meta.smallest = keys.substr(i, 1);
    meta.largest = keys.substr(i + 1, 1);
    meta.largest_exclusive = i % 2 == 1;
    files.push_back({1, 0, FileOf(&fs, std::move(meta))});
  }
  const auto version = MakeVersion(Version(), {}, files);
  for (size_t from = 0; from < keys.size(); ++from) {
    for (size_t to = from; to < keys.size(); ++to) {
      const EncodedRange range{keys.substr(from, 1), keys.substr(to, 1)};
      const bool expected =
          std::ranges::any_of(files, [&](const auto& f) { return f.file->Overlaps(range); });
      EXPECT_EQ(version->HasOverlapBelow(0, range), expected) << from << " to " << to;
    }
  }
}

TEST(SortedRun, KnowsWhetherAFileHasRangeTombstones) {
  MemoryFileSystem fs;
  FileMeta plain;
  FileMeta with;
  with.range_tombstones = 1;
  EXPECT_FALSE(marble::Run({FileOf(&fs, plain)}).has_range_tombstones());
  EXPECT_TRUE(marble::Run({FileOf(&fs, plain), FileOf(&fs, with)}).has_range_tombstones());
}

}  // namespace
}  // namespace marble

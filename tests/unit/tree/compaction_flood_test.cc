// What the picker's decisions come to in the long run, by simulation: files exist only as metadata,
// and a compaction takes as long as its bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tree/compaction_picker.h"

namespace marble {
namespace {

constexpr int kKeys = 100'000'000;
constexpr uint64_t kFileBytes = uint64_t{4} << 20;
constexpr int64_t kBaseBytes = int64_t{64} << 20;
constexpr size_t kStopRuns = 28;  // writers stop here

std::string Key(int number) {
  std::string digits = std::to_string(number);
  return std::string(9 - digits.size(), '0') + digits;
}

class Table {
 public:
  void Flush(int smallest, int largest, uint64_t bytes) {
    Place({MakeFile(0, smallest, largest, bytes)}, {});
    flushed_ += bytes;
  }

  /// Files over all keys that have come into a level by themselves.
  void Fill(int level, uint64_t bytes) {
    const int step = static_cast<int>(kKeys / (bytes / kFileBytes));
    std::vector<PlacedFile> files;
    for (int begin = 0; begin + step <= kKeys; begin += step) {
      files.push_back(MakeFile(level, begin, begin + step - 1, kFileBytes));
    }
    Place(files, {});
  }

  /// Carries one compaction out. Bytes that it reads: 0 if none is wanted or files only move.
  uint64_t Compact(bool* is_due) {
    CompactionLimits limits;
    limits.level_base_bytes = kBaseBytes;
    limits.target_file_bytes = kFileBytes;
    const auto plan = PickCompaction(*version_, limits);
    *is_due = plan.has_value();
    if (!*is_due) return 0;
    std::vector<uint64_t> removed;
    std::vector<PlacedFile> added;
    uint64_t bytes = 0;
    int smallest = kKeys;
    int largest = 0;
    for (const auto& file : plan->InputFiles()) {
      removed.push_back(file->meta().number);
      bytes += file->meta().size;
      smallest = std::min(smallest, std::stoi(file->meta().smallest));
      largest = std::max(largest, std::stoi(file->meta().largest));
      if (plan->trivial_move) added.push_back({plan->output_level, 0, file});
    }
    if (plan->trivial_move) {
      Place(added, removed);
      return 0;
    }
    const uint64_t pieces = plan->output_level == 0 ? 1 : (bytes + kFileBytes - 1) / kFileBytes;
    const int step = static_cast<int>(static_cast<uint64_t>(largest - smallest) / pieces);
    for (uint64_t i = 0; i < pieces; ++i) {
      const int begin = smallest + static_cast<int>(i) * step;
      const int end = i + 1 == pieces ? largest : begin + step - 1;
      added.push_back(MakeFile(plan->output_level, begin, end, bytes / pieces));
    }
    Place(added, removed);
    rewritten_ += bytes;
    return bytes;
  }

  const Version& version() const { return *version_; }
  double RewrittenPerByte() const {
    return static_cast<double>(rewritten_) / static_cast<double>(flushed_);
  }

 private:
  PlacedFile MakeFile(int level, int smallest, int largest, uint64_t bytes) {
    FileMeta meta;
    meta.number = next_number_++;
    meta.size = bytes;
    meta.rows = 1000;
    meta.smallest = Key(smallest);
    meta.largest = Key(largest);
    meta.sequence_min = meta.sequence_max = meta.number;
    return {level, level == 0 ? meta.number : 0,
            std::make_shared<TableFile>(meta, SstReaderOptions())};
  }
  void Place(const std::vector<PlacedFile>& added, const std::vector<uint64_t>& removed) {
    version_ = MakeVersion(*version_, removed, added);
  }

  std::shared_ptr<const Version> version_ = std::make_shared<const Version>();
  uint64_t next_number_ = 1;
  uint64_t flushed_ = 0;
  uint64_t rewritten_ = 0;
};

TEST(CompactionFloodTest, LevelsStayNearTheirSizesHoweverFastIsWritten) {
  // Random keys come in at a third of the speed of compactions until level 0 stops them.
  Table table;
  constexpr uint64_t kTotal = 100 * kBaseBytes;
  uint64_t waiting = 0;
  double fullest = 0;
  for (uint64_t flushed = 0; flushed < kTotal;) {
    bool is_due = false;
    waiting += table.Compact(&is_due) / 3;
    if (!is_due) waiting += kFileBytes;
    for (; waiting >= kFileBytes && table.version().levels[0].size() < kStopRuns;
         waiting -= kFileBytes, flushed += kFileBytes) {
      table.Flush(0, kKeys - 1, kFileBytes);
    }
    if (table.version().levels[0].size() >= kStopRuns) waiting = 0;
    fullest = std::max(fullest, static_cast<double>(table.version().LevelBytes(1)) / kBaseBytes);
  }
  EXPECT_LT(fullest, 10);
  EXPECT_LT(table.RewrittenPerByte(), 16);
}

TEST(CompactionFloodTest, WritesAreNotStoppedUntilALargeLoadHasGoneDown) {
  Table table;
  table.Fill(2, 10 * kBaseBytes);
  table.Fill(1, 15 * kBaseBytes);
  uint64_t waiting = 0;
  size_t most = 0;
  for (uint64_t flushed = 0; flushed < 30 * kBaseBytes;) {
    bool is_due = false;
    waiting += table.Compact(&is_due) / 8;
    if (!is_due) waiting += kFileBytes;
    for (; waiting >= kFileBytes; waiting -= kFileBytes, flushed += kFileBytes) {
      table.Flush(0, kKeys - 1, kFileBytes);
      most = std::max(most, table.version().levels[0].size());
    }
  }
  EXPECT_LT(most, kStopRuns);
}

TEST(CompactionFloodTest, SmallOrderedFlushesLeaveFewFilesAndRewriteLittle) {
  Table table;
  constexpr int kFlushes = 20'000;
  int64_t most = 0;
  for (int i = 0; i < kFlushes; ++i) {
    table.Flush(i * 1000, i * 1000 + 999, 2048);
    for (bool is_due = true; is_due;) table.Compact(&is_due);
    most = std::max(most, table.version().FileCount());
  }
  // Ten files of the target size would hold it all.
  EXPECT_LT(most, 80);
  EXPECT_LT(table.RewrittenPerByte(), 8);
}

}  // namespace
}  // namespace marble

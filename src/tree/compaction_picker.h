// Decides what to compact: pure functions from a version to a plan. Leveled, after LevelDB and
// RocksDB: level 0 is merged into level 1 when it has kLevel0Trigger runs that hold enough for what
// is written again with them; if they do not, runs of like size become one run of level 0, so that
// reads look into few; a deeper level that is over its size gives its cheapest file to the next
// one, before costly merges of level 0 if it needs that more; files that are mostly deletes go
// first. Small neighbours, as ordered loads leave them, become one file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <marble/options.h>

#include "tree/version.h"

namespace marble {

/// Runs from which level 0 is merged if it holds a kLevel0Worth-th of what it meets in level 1, and
/// runs from which it is merged even if not, because every one of them is looked into by reads.
inline constexpr int kLevel0Trigger = 4;
inline constexpr uint64_t kLevel0Worth = 2;
inline constexpr int kLevel0RunsMax = 8;
/// Runs of level 0 are merged among themselves up to a kSmallRun-th of level 1's size, larger ones
/// with runs that are at least half as large.
inline constexpr int64_t kSmallRun = 8;
inline constexpr int64_t kLevelRatio = 10;
/// Fewer runs of level 0 are merged if deletes of single keys in them are a kDeletesShare-th of all
/// rows that are then read: scans would walk over them, and over what they hide, until more is
/// written.
inline constexpr uint64_t kDeletesShare = 4;
/// A deeper level that has so many times its size, and more times its size than level 0 has times
/// kLevel0Trigger runs, goes before a merge of level 0 that is not worth it. If level 0 were always
/// first, a flood of writes would let level 1, which it meets all of, grow without end. Before one
/// that is worth it, which may meet nothing, from many times its size on. Level 0 is merged among
/// itself then, if it is no more than a kLittleLevel0-th of that level: too many runs stop writers.
inline constexpr double kFarOverSize = 2.0;
inline constexpr double kTooFarOverSize = 20.0;
inline constexpr int64_t kLittleLevel0 = 6;
/// Neighbours that become one file: at least so many, none of them more than a kJoinedShare-th.
inline constexpr size_t kJoinedMin = 8;
inline constexpr uint64_t kJoinedShare = 4;

struct CompactionLimits {
  int64_t level_base_bytes = 0;
  /// What compactions cut files at.
  int64_t target_file_bytes = 0;
  /// Runs of level 0 that are newer than this must stay: an older memtable of the table is not
  /// flushed yet.
  uint64_t flushed_sequence = kSequenceMax;
  /// Not where that has left as many files.
  bool join_small_files = true;
  /// Codec of files at the bottom if it is another than the table's `compression`: files in that
  /// one are not moved there as they are.
  std::optional<Compression> bottom_compression;
};

struct CompactionPlan {
  /// Newest first: the picked files as runs; the last one may be of the output level.
  std::vector<std::shared_ptr<const Run>> inputs;
  /// 0: one run in the place of the inputs. It may be the inputs' own deeper level, too.
  int output_level = 1;
  /// Of the inputs, in files of the output level that the others meet there.
  uint64_t met_bytes = 0;
  /// Small neighbours that are to become fewer files.
  bool joins = false;
  /// The files only change their level: nothing is rewritten.
  bool trivial_move = false;
  /// No older rows of these keys lie below the output level.
  bool bottommost = false;
  std::string reason;

  std::vector<std::shared_ptr<const TableFile>> InputFiles() const;
};

/// The most urgent compaction, or nothing.
std::optional<CompactionPlan> PickCompaction(const Version& version,
                                             const CompactionLimits& limits);
/// Everything (that flushed_sequence allows) into one run; nothing if that would not change a
/// thing.
std::optional<CompactionPlan> PlanFullCompaction(const Version& version,
                                                 const CompactionLimits& limits);
/// Codec of the files that a compaction writes.
Compression OutputCompression(const CompactionPlan& plan, const TableOptions& table);
/// CompactionLimits::bottom_compression of a table.
std::optional<Compression> OtherBottomCompression(const TableOptions& table);
/// Bytes that a level may hold.
int64_t LevelBytesMax(int level, int64_t level_base_bytes);

}  // namespace marble

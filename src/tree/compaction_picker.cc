#include "tree/compaction_picker.h"

#include <algorithm>
#include <limits>

#include "tree/run_reader.h"

namespace marble {

namespace {

using Files = std::vector<std::shared_ptr<const TableFile>>;

bool HasDeletes(const TableFile& file) {
  return file.meta().deletes > 0 || file.meta().range_tombstones > 0;
}

bool MostlyDeletes(const TableFile& file) {
  return file.meta().deletes * 2 > file.meta().rows ||
         (file.meta().range_tombstones > 0 && file.meta().rows == 0);
}

Files OverlappingFiles(const Version& version, int level, const EncodedRange& range) {
  Files files;
  for (const auto& run : version.levels[level]) {
    const auto [begin, end] = FilesInRange(*run, range);
    for (size_t i = begin; i < end; ++i) {
      if (run->files[i]->Overlaps(range)) files.push_back(run->files[i]);
    }
  }
  return files;
}

/// Index of the newest run of level 0 that may be compacted: it and all behind it are flushed in
/// order.
size_t FirstEligibleRun(const Version& version, uint64_t flushed_sequence) {
  const auto& runs = version.levels[0];
  size_t first = runs.size();
  while (first > 0 && runs[first - 1]->sequence_max() <= flushed_sequence) --first;
  return first;
}

/// Files whose codec is not the bottom's.
bool HasOtherCodec(const Files& files, const CompactionLimits& limits) {
  return limits.bottom_compression.has_value() && std::ranges::any_of(files, [&](const auto& file) {
           return file->meta().compression != limits.bottom_compression;
         });
}

/// Adds the files of the output level that overlap and fills in the rest of the plan.
void Complete(const Version& version, int output_level, const CompactionLimits& limits,
              CompactionPlan* plan) {
  plan->output_level = output_level;
  const Files picked = plan->InputFiles();
  Files below = OverlappingFiles(version, output_level, RangeOf(picked));
  for (const auto& file : below) plan->met_bytes += file->meta().size;
  // What is met may reach further than what was picked: all of it is rewritten.
  Files all = picked;
  all.insert(all.end(), below.begin(), below.end());
  plan->bottommost = !version.HasOverlapBelow(output_level, RangeOf(all));
  const bool deletes =
      std::any_of(picked.begin(), picked.end(), [](const auto& file) { return HasDeletes(*file); });
  // Moving deletes to where nothing lies below would keep them for ever: rewrite instead.
  const bool must_change = deletes || HasOtherCodec(picked, limits);
  plan->trivial_move =
      below.empty() && plan->inputs.size() == 1 && !(must_change && plan->bottommost);
  if (!below.empty()) plan->inputs.push_back(std::make_shared<const Run>(std::move(below)));
}

/// What is met in the output level is written again: is that worth it?
bool IsWorthIt(const CompactionPlan& plan) {
  uint64_t bytes = 0;
  for (const auto& run : plan.inputs) bytes += run->bytes();
  return (bytes - plan.met_bytes) * kLevel0Worth >= plan.met_bytes;
}

bool OverlapsAnother(const Version& version, const Run& run) {
  const EncodedRange range = RangeOf(run.files);
  return std::ranges::any_of(version.levels[0], [&](const auto& other) {
    return other.get() != &run &&
           std::ranges::any_of(other->files, [&](const auto& f) { return f->Overlaps(range); });
  });
}

/// The youngest runs from `first` on that are of like size, as one run.
std::optional<CompactionPlan> MergeWithinLevel0(const Version& version, size_t first,
                                                int64_t level_base_bytes) {
  const auto& runs = version.levels[0];
  CompactionPlan plan;
  auto bytes_max = static_cast<uint64_t>(level_base_bytes / kSmallRun);
  for (size_t i = first; i < runs.size() && runs[i]->bytes() <= bytes_max; ++i) {
    plan.inputs.push_back(runs[i]);
    bytes_max = std::max(bytes_max, 2 * runs[i]->bytes());
  }
  if (plan.inputs.size() < kLevel0Trigger) return std::nullopt;
  plan.output_level = 0;
  plan.reason = "level 0 has " + std::to_string(runs.size()) + " runs, too small for level 1";
  return plan;
}

uint64_t RowsIn(const Run& run) {
  uint64_t rows = 0;
  for (const auto& file : run.files) rows += file->meta().rows;
  return rows;
}

uint64_t DeletesIn(const Run& run) {
  uint64_t deletes = 0;
  for (const auto& file : run.files) deletes += file->meta().deletes;
  return deletes;
}

/// Are deletes of level 0 so many of the rows that the plan reads that it is worth it for them?
bool HasManyDeletes(const CompactionPlan& plan) {
  const size_t picked = plan.inputs.size() - (plan.met_bytes > 0 ? 1 : 0);
  uint64_t deletes = 0;
  uint64_t rows = 0;
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    rows += RowsIn(*plan.inputs[i]);
    if (i < picked) deletes += DeletesIn(*plan.inputs[i]);
  }
  return deletes > 0 && deletes * kDeletesShare >= rows;
}

std::optional<CompactionPlan> PickLevel0(const Version& version, const CompactionLimits& limits) {
  const auto& runs = version.levels[0];
  const size_t first = FirstEligibleRun(version, limits.flushed_sequence);
  const auto eligible = static_cast<int>(runs.size() - first);
  if (eligible == 0) return std::nullopt;
  // Ordered loads: the oldest run moves down alone if it meets nothing there.
  CompactionPlan move;
  move.inputs = {runs.back()};
  Complete(version, 1, limits, &move);
  move.reason = "the oldest run of level 0 overlaps nothing in level 1";
  const bool alone = eligible >= kLevel0Trigger || !OverlapsAnother(version, *runs.back());
  if (move.trivial_move && alone) return move;

  CompactionPlan plan;
  plan.inputs.assign(runs.begin() + static_cast<std::ptrdiff_t>(first), runs.end());
  plan.reason = "level 0 has " + std::to_string(runs.size()) + " runs";
  const bool is_due = eligible >= kLevel0Trigger;
  // Before it is looked for what they meet, which takes longer.
  if (!is_due && !HasManyDeletes(plan)) return std::nullopt;
  Complete(version, 1, limits, &plan);
  if (is_due) {
    if (IsWorthIt(plan) || eligible >= kLevel0RunsMax) return plan;
    if (auto merged = MergeWithinLevel0(version, first, limits.level_base_bytes)) return merged;
  }
  if (plan.trivial_move || !HasManyDeletes(plan)) return std::nullopt;
  plan.reason += ", with many deletes";
  return plan;
}

/// Mostly deletes, and something below to delete?
bool HasUsefulDeletes(const Version& version, int level,
                      const std::shared_ptr<const TableFile>& file) {
  return MostlyDeletes(*file) && version.HasOverlapBelow(level, RangeOf({file}));
}

/// The file of a level that is cheapest to merge into the next one, files full of deletes first.
std::shared_ptr<const TableFile> CheapestFile(const Version& version, int level) {
  std::shared_ptr<const TableFile> best;
  double best_cost = 0;
  for (const auto& run : version.levels[level]) {
    for (const auto& file : run->files) {
      uint64_t overlap = 0;
      for (const auto& below : OverlappingFiles(version, level + 1, RangeOf({file}))) {
        overlap += below->meta().size;
      }
      double cost = static_cast<double>(overlap) / static_cast<double>(file->meta().size + 1);
      if (HasUsefulDeletes(version, level, file)) cost = -1;
      if (best == nullptr || cost < best_cost) {
        best = file;
        best_cost = cost;
      }
    }
  }
  return best;
}

CompactionPlan MoveDown(const Version& version, int level, std::shared_ptr<const TableFile> file,
                        const CompactionLimits& limits, const std::string& reason) {
  CompactionPlan plan;
  plan.inputs = {std::make_shared<const Run>(Files{std::move(file)})};
  plan.reason = reason;
  Complete(version, level + 1, limits, &plan);
  return plan;
}

/// Neighbours in a run that are small enough, and enough of them, to become one file (or a few, as
/// files are cut by an estimate). Beside none of them are the others next to nothing: each row is
/// written again few times until its file has the target size, and yet few small files stay.
Files SmallNeighbours(const Run& run, int64_t target_file_bytes) {
  const auto target = static_cast<uint64_t>(target_file_bytes);
  for (size_t begin = 0; begin + kJoinedMin <= run.files.size(); ++begin) {
    uint64_t total = 0;
    uint64_t largest = 0;
    size_t end = begin;  // of the most that will do
    for (size_t i = begin; i < run.files.size(); ++i) {
      const uint64_t size = run.files[i]->meta().size;
      total += size;
      largest = std::max(largest, size);
      if (total > target) break;
      if (i + 1 >= begin + kJoinedMin && largest * kJoinedShare <= total) end = i + 1;
    }
    if (end > begin) {
      return {run.files.begin() + static_cast<std::ptrdiff_t>(begin),
              run.files.begin() + static_cast<std::ptrdiff_t>(end)};
    }
  }
  return {};
}

std::optional<CompactionPlan> JoinSmallFiles(const Version& version,
                                             const CompactionLimits& limits) {
  if (!limits.join_small_files) return std::nullopt;
  for (int level = 1; level < kLevels; ++level) {
    for (const auto& run : version.levels[level]) {
      Files files = SmallNeighbours(*run, limits.target_file_bytes);
      if (files.empty()) continue;
      CompactionPlan plan;
      plan.joins = true;
      plan.output_level = level;
      plan.bottommost = !version.HasOverlapBelow(level, RangeOf(files));
      plan.reason = "level " + std::to_string(level) + " has many small files";
      plan.inputs = {std::make_shared<const Run>(std::move(files))};
      return plan;
    }
  }
  return std::nullopt;
}

/// The deeper level that is most over its size, and how many times its size it has.
struct FullestLevel {
  int level = 0;  // 0: none is over its size
  double times = 1.0;
};

FullestLevel FindFullest(const Version& version, int64_t level_base_bytes) {
  FullestLevel fullest;
  for (int level = 1; level + 1 < kLevels; ++level) {
    const double times = static_cast<double>(version.LevelBytes(level)) /
                         static_cast<double>(LevelBytesMax(level, level_base_bytes));
    if (times > fullest.times) fullest = {level, times};
  }
  return fullest;
}

std::shared_ptr<const TableFile> FindUsefulDeletes(const Version& version, int level) {
  for (const auto& run : version.levels[level]) {
    for (const auto& file : run->files) {
      if (HasUsefulDeletes(version, level, file)) return file;
    }
  }
  return nullptr;
}

}  // namespace

std::vector<std::shared_ptr<const TableFile>> CompactionPlan::InputFiles() const {
  Files files;
  for (const auto& run : inputs) files.insert(files.end(), run->files.begin(), run->files.end());
  return files;
}

Compression OutputCompression(const CompactionPlan& plan, const TableOptions& table) {
  // Runs of level 0 are rewritten soon, whatever lies below them.
  const bool is_bottom = plan.bottommost && plan.output_level > 0;
  return is_bottom ? table.bottom_compression.value_or(table.compression) : table.compression;
}

std::optional<Compression> OtherBottomCompression(const TableOptions& table) {
  if (table.bottom_compression == table.compression) return std::nullopt;
  return table.bottom_compression;
}

int64_t LevelBytesMax(int level, int64_t level_base_bytes) {
  int64_t bytes = level_base_bytes;
  for (int i = 1; i < level; ++i) {
    if (bytes > std::numeric_limits<int64_t>::max() / kLevelRatio) break;
    bytes *= kLevelRatio;
  }
  return bytes;
}

std::optional<CompactionPlan> PickCompaction(const Version& version,
                                             const CompactionLimits& limits) {
  const FullestLevel fullest = FindFullest(version, limits.level_base_bytes);
  const double level0 = static_cast<double>(version.levels[0].size()) / kLevel0Trigger;
  if (auto plan = PickLevel0(version, limits)) {
    const double far = IsWorthIt(*plan) ? kTooFarOverSize : kFarOverSize;
    const bool yields = plan->output_level > 0 && fullest.times >= far && fullest.times > level0;
    if (!yields) return plan;
    // That takes long if much was loaded: as few runs as can be, or writers stop meanwhile.
    if (version.LevelBytes(0) * kLittleLevel0 <= version.LevelBytes(fullest.level)) {
      const size_t first = FirstEligibleRun(version, limits.flushed_sequence);
      if (auto merged = MergeWithinLevel0(version, first, limits.level_base_bytes)) return merged;
    }
  }
  if (fullest.level > 0) {
    return MoveDown(version, fullest.level, CheapestFile(version, fullest.level), limits,
                    "level " + std::to_string(fullest.level) + " is over its size");
  }
  for (int level = 1; level + 1 < kLevels; ++level) {
    if (auto file = FindUsefulDeletes(version, level)) {
      return MoveDown(version, level, std::move(file), limits,
                      "a file of level " + std::to_string(level) + " is mostly deletes");
    }
  }
  return JoinSmallFiles(version, limits);
}

std::optional<CompactionPlan> PlanFullCompaction(const Version& version,
                                                 const CompactionLimits& limits) {
  CompactionPlan plan;
  const auto& level0 = version.levels[0];
  const size_t first = FirstEligibleRun(version, limits.flushed_sequence);
  plan.inputs.assign(level0.begin() + static_cast<std::ptrdiff_t>(first), level0.end());
  int deepest = 1;
  for (int level = 1; level < kLevels; ++level) {
    for (const auto& run : version.levels[level]) {
      plan.inputs.push_back(run);
      deepest = level;
    }
  }
  if (plan.inputs.empty()) return std::nullopt;
  const Files files = plan.InputFiles();
  int64_t bytes = 0;
  bool rewrite = plan.inputs.size() > 1 || first < level0.size() || HasOtherCodec(files, limits) ||
                 (limits.join_small_files &&
                  !SmallNeighbours(*plan.inputs.front(), limits.target_file_bytes).empty());
  for (const auto& file : files) {
    bytes += static_cast<int64_t>(file->meta().size);
    // Old versions (kept for a snapshot) show as a sequence column, deletes as counts.
    rewrite = rewrite || HasDeletes(*file) || !file->meta().constant_sequence.has_value() ||
              file->as_written() != nullptr;
  }
  if (!rewrite) return std::nullopt;
  while (deepest + 1 < kLevels && LevelBytesMax(deepest, limits.level_base_bytes) < bytes)
    ++deepest;
  plan.output_level = deepest;
  plan.bottommost = true;
  plan.reason = "asked for";
  return plan;
}

}  // namespace marble

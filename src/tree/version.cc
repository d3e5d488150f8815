#include "tree/version.h"

#include <algorithm>
#include <map>
#include <set>

#include "sst/evolved_reader.h"
#include "tree/run_reader.h"

namespace marble {

TableFile::TableFile(FileMeta meta, SstReaderOptions options)
    : meta_(std::move(meta)), options_(std::move(options)), pin_(options_.fs, options_.path) {}

TableFile::TableFile(std::shared_ptr<const TableFile> file,
                     std::shared_ptr<const StoredSchema> schema)
    : meta_(file->meta()),
      options_([&] {
        SstReaderOptions options = file->options_;
        options.schema = std::move(schema);
        return options;
      }()),
      as_written_(std::move(file)),
      pin_(options_.fs, options_.path) {}

TableFile::~TableFile() {
  if (obsolete_.load(std::memory_order_acquire) && options_.cache != nullptr) {
    options_.cache->EraseFile(meta_.number);
  }
}

void TableFile::MarkObsolete() const {
  obsolete_.store(true, std::memory_order_release);
  pin_.RemoveAtLast();
}

arrow::Result<SstReader*> TableFile::OpenReader() const {
  std::lock_guard<std::mutex> lock(open_mutex_);
  if (reader_ == nullptr) {
    if (as_written_ == nullptr) {
      ARROW_ASSIGN_OR_RAISE(reader_, SstReader::Open(options_, meta_));
    } else {
      ARROW_ASSIGN_OR_RAISE(auto written, as_written_->shared_reader());
      ARROW_ASSIGN_OR_RAISE(reader_,
                            NewEvolvedReader(std::move(written), *as_written_->options_.schema,
                                             options_.schema, options_.pool));
    }
    opened_.store(reader_.get(), std::memory_order_release);
  }
  return reader_.get();
}

arrow::Result<std::shared_ptr<SstReader>> TableFile::shared_reader() const {
  ARROW_ASSIGN_OR_RAISE(SstReader * opened, reader());
  return opened->shared_from_this();
}

bool TableFile::Overlaps(const EncodedRange& range) const {
  if (range.upper.has_value() && meta_.smallest >= *range.upper) return false;
  if (meta_.unbounded_end) return true;
  return meta_.largest_exclusive ? meta_.largest > range.lower : meta_.largest >= range.lower;
}

bool TableFile::EndsBefore(std::string_view key) const {
  if (meta_.unbounded_end || meta_.largest.empty()) return false;
  return meta_.largest_exclusive ? meta_.largest <= key : meta_.largest < key;
}

bool TableFile::MayContain(std::string_view key) const {
  if (key < meta_.smallest) return false;
  if (meta_.unbounded_end) return true;
  return meta_.largest_exclusive ? key < meta_.largest : key <= meta_.largest;
}

size_t Run::FirstFrom(std::string_view key) const {
  if (bounds_.size() != 0) {
    const auto [first, behind] = bounds_.Find(key);
    if (first == behind) return first / 2;  // each file has two bounds
  }
  const auto ends_before = [key](const auto& file) { return file->EndsBefore(key); };
  return static_cast<size_t>(std::ranges::partition_point(files, ends_before) - files.begin());
}

uint64_t Run::sequence_max() const {
  uint64_t sequence = 0;
  for (const auto& file : files) sequence = std::max(sequence, file->meta().sequence_max);
  return sequence;
}

uint64_t Run::sequence_min() const {
  uint64_t sequence = kSequenceMax;
  for (const auto& file : files) sequence = std::min(sequence, file->meta().sequence_min);
  return sequence;
}

uint64_t Run::bytes() const {
  uint64_t bytes = 0;
  for (const auto& file : files) bytes += file->meta().size;
  return bytes;
}

Run::Run(std::vector<std::shared_ptr<const TableFile>> of, uint64_t number)
    : files(std::move(of)), id(number) {
  has_range_tombstones_ = std::ranges::any_of(
      files, [](const auto& file) { return file->meta().range_tombstones != 0; });
  const auto has_no_largest = [](const auto& file) {
    return file->meta().unbounded_end || file->meta().largest.empty();
  };
  if (std::ranges::any_of(files, has_no_largest)) return;
  bounds_ = KeySearch(2 * files.size(), [this](size_t i) -> std::string_view {
    const FileMeta& meta = files[i / 2]->meta();
    return i % 2 == 0 ? meta.smallest : meta.largest;
  });
}

size_t Run::FindByKeys(std::string_view key) const {
  // The last file whose smallest key is <= key is the only one that can hold it.
  auto above = std::upper_bound(
      files.begin(), files.end(), key,
      [](std::string_view k, const auto& file) { return k < file->meta().smallest; });
  if (above == files.begin()) return files.size();
  const auto place = std::prev(above);
  return (*place)->MayContain(key) ? static_cast<size_t>(place - files.begin()) : files.size();
}

uint64_t Version::LevelBytes(int level) const {
  uint64_t bytes = 0;
  for (const auto& run : levels[level]) bytes += run->bytes();
  return bytes;
}

int64_t Version::FileCount() const {
  int64_t count = 0;
  for (const auto& level : levels) {
    for (const auto& run : level) count += static_cast<int64_t>(run->files.size());
  }
  return count;
}

std::vector<std::shared_ptr<const TableFile>> Version::Files() const {
  std::vector<std::shared_ptr<const TableFile>> files;
  for (const auto& level : levels) {
    for (const auto& run : level) files.insert(files.end(), run->files.begin(), run->files.end());
  }
  return files;
}

bool Version::HasOverlapBelow(int level, const EncodedRange& range) const {
  for (int below = level + 1; below < kLevels; ++below) {
    for (const auto& run : levels[below]) {
      const auto [begin, end] = FilesInRange(*run, range);
      for (size_t i = begin; i < end; ++i) {
        if (run->files[i]->Overlaps(range)) return true;
      }
    }
  }
  return false;
}

namespace {

/// Replaces the files of a level and sorts runs as the level demands.
void Assemble(int level, std::vector<PlacedFile> files,
              std::vector<std::shared_ptr<const Run>>* runs) {
  std::map<uint64_t, std::vector<std::shared_ptr<const TableFile>>> by_id;
  for (PlacedFile& placed : files) {
    by_id[level == 0 ? placed.run : 0].push_back(std::move(placed.file));
  }
  for (auto& [id, run] : by_id) {
    std::sort(run.begin(), run.end(),
              [](const auto& a, const auto& b) { return a->meta().smallest < b->meta().smallest; });
    runs->push_back(std::make_shared<const Run>(std::move(run), id));
  }
  std::sort(runs->begin(), runs->end(),
            [](const auto& a, const auto& b) { return a->sequence_max() > b->sequence_max(); });
}

}  // namespace

std::shared_ptr<const Version> MakeVersion(const Version& base,
                                           const std::vector<uint64_t>& removed,
                                           const std::vector<PlacedFile>& added) {
  const std::set<uint64_t> gone(removed.begin(), removed.end());
  auto version = std::make_shared<Version>();
  for (int level = 0; level < kLevels; ++level) {
    const auto has_gone = [&](const auto& file) { return gone.contains(file->meta().number); };
    const bool changed = std::ranges::find(added, level, &PlacedFile::level) != added.end() ||
                         std::ranges::any_of(base.levels[level], [&](const auto& run) {
                           return std::ranges::any_of(run->files, has_gone);
                         });
    if (!changed) {
      version->levels[level] = base.levels[level];
      continue;
    }
    std::vector<PlacedFile> files;
    for (const auto& run : base.levels[level]) {
      for (const auto& file : run->files) {
        if (!gone.contains(file->meta().number)) files.push_back({level, run->id, file});
      }
    }
    for (const PlacedFile& placed : added) {
      if (placed.level == level) files.push_back(placed);
    }
    Assemble(level, std::move(files), &version->levels[level]);
  }
  return version;
}

EncodedRange RangeOf(const FileMeta& meta) {
  if (meta.unbounded_end) return {meta.smallest, std::nullopt};
  return {meta.smallest, meta.largest_exclusive ? meta.largest : Successor(meta.largest)};
}

EncodedRange RangeOf(const std::vector<std::shared_ptr<const TableFile>>& files) {
  EncodedRange range;
  range.upper = "";
  bool first = true;
  for (const auto& file : files) {
    EncodedRange part = RangeOf(file->meta());
    if (first || part.lower < range.lower) range.lower = std::move(part.lower);
    first = false;
    if (EndsBehind(part, range)) range.upper = std::move(part.upper);
  }
  return range;
}

}  // namespace marble

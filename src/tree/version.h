// Which files a table has, as an immutable value: levels of sorted runs of files.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <arrow/result.h>

#include "row/key_search.h"
#include "sst/file_meta.h"
#include "sst/sst_reader.h"
#include "tree/file_pin.h"
#include "tree/sorted_reader.h"

namespace marble {

inline constexpr int kLevels = 7;

/// A live SSTable: its metadata, and its reader opened at first use. Shared by versions, views and
/// readers; when the last of them lets go of a file that was marked obsolete, the file is removed.
class TableFile {
 public:
  TableFile(FileMeta meta, SstReaderOptions options);
  /// `file`, written with an older schema of the table, as one of `schema`.
  TableFile(std::shared_ptr<const TableFile> file, std::shared_ptr<const StoredSchema> schema);
  ~TableFile();
  const FileMeta& meta() const { return meta_; }
  /// The file in the schema that it was written with; nullptr if that is the table's.
  const std::shared_ptr<const TableFile>& as_written() const { return as_written_; }
  const std::string& path() const { return options_.path; }
  /// Thread-safe; opens at the first call. Failures are not remembered.
  arrow::Result<SstReader*> reader() const {
    if (SstReader* opened = opened_.load(std::memory_order_acquire)) [[likely]] {
      return opened;
    }
    return OpenReader();
  }
  arrow::Result<std::shared_ptr<SstReader>> shared_reader() const;
  void MarkObsolete() const;

  /// May rows or tombstones of this file concern keys >= lower and < upper (nullopt = unbounded)?
  bool Overlaps(const EncodedRange& range) const;
  bool MayContain(std::string_view key) const;
  /// Neither rows nor tombstones reach `key`. Files that state no bounds may reach everything.
  bool EndsBefore(std::string_view key) const;

 private:
  arrow::Result<SstReader*> OpenReader() const;

  const FileMeta meta_;
  const SstReaderOptions options_;
  const std::shared_ptr<const TableFile> as_written_;
  // Before reader_, so that the reader has gone when the file is removed.
  const FilePin pin_;
  mutable std::atomic<SstReader*> opened_{nullptr};
  mutable std::mutex open_mutex_;
  mutable std::shared_ptr<SstReader> reader_;
  mutable std::atomic<bool> obsolete_{false};
};

/// Files that do not overlap, ascending by key. Immutable.
class Run {
 public:
  explicit Run(std::vector<std::shared_ptr<const TableFile>> files, uint64_t id = 0);

  const std::vector<std::shared_ptr<const TableFile>> files;
  /// Level 0: the number that the manifest groups its files by. 0 in deeper levels.
  const uint64_t id;

  uint64_t sequence_max() const;
  uint64_t sequence_min() const;
  uint64_t bytes() const;
  bool has_range_tombstones() const { return has_range_tombstones_; }
  /// The first file that does not end before `key`; files.size() if all do. O(log files).
  size_t FirstFrom(std::string_view key) const;
  /// The place in `files` of the one that may hold `key`; files.size() if none does. O(log files).
  size_t FindPlace(std::string_view key) const {
    if (bounds_.size() == 0) return FindByKeys(key);
    const auto [first, behind] = bounds_.Find(key);
    if (first != behind) return FindByKeys(key);
    // Behind a smallest key and before the largest one of the same file, or between two files.
    return first % 2 == 1 ? first / 2 : files.size();
  }
  /// That file, or nullptr.
  const TableFile* Find(std::string_view key) const {
    const size_t place = FindPlace(key);
    return place == files.size() ? nullptr : files[place].get();
  }

 private:
  size_t FindByKeys(std::string_view key) const;

  bool has_range_tombstones_ = false;
  // Smallest and largest key of each file in turn; empty if a file has no largest key.
  KeySearch bounds_;
};

/// Immutable. Level 0: any number of runs, newest first; deeper levels: usually one.
struct Version {
  std::vector<std::shared_ptr<const Run>> levels[kLevels];

  uint64_t LevelBytes(int level) const;
  int64_t FileCount() const;
  std::vector<std::shared_ptr<const TableFile>> Files() const;
  /// Is there a file below `level` that overlaps [smallest, largest]?
  bool HasOverlapBelow(int level, const EncodedRange& range) const;
};

/// A file that enters a version: where, and the file.
struct PlacedFile {
  int level = 0;
  uint64_t run = 0;
  std::shared_ptr<const TableFile> file;
};

/// `base` without the files numbered `removed` and with `added`. Level 0 is ordered by sequence,
/// newest first; each deeper level is one run ordered by key.
std::shared_ptr<const Version> MakeVersion(const Version& base,
                                           const std::vector<uint64_t>& removed,
                                           const std::vector<PlacedFile>& added);

/// The smallest range that holds every key and tombstone of a file.
EncodedRange RangeOf(const FileMeta& meta);
/// The same of `files`; empty range if there are none.
EncodedRange RangeOf(const std::vector<std::shared_ptr<const TableFile>>& files);

/// Rows of a run within a range, file after file, opened as they are reached.
std::unique_ptr<SortedReader> NewRunReader(std::shared_ptr<const Run> run, ReadRequest request);

}  // namespace marble

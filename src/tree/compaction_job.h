// Carries out a flush or a compaction: sorted sources in, new SSTables out. Holds no lock, changes
// nothing but the files it writes; the database installs the result.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include <marble/file_system.h>

#include "base/uuid.h"
#include "row/stored_schema.h"
#include "tree/compaction_picker.h"
#include "tree/memtable.h"

namespace marble {

/// What the files of a table are written with.
struct OutputContext {
  FileSystem* fs = nullptr;
  std::string directory;  // of the database
  Uuid uuid{};
  uint64_t hash_seed = 0;
  std::shared_ptr<const StoredSchema> schema;
  uint32_t table_id = 0;
  std::string table_name;
  arrow::MemoryPool* pool = nullptr;
  int64_t target_file_bytes = 0;
  /// The next free file number; shared with the database.
  std::atomic<uint64_t>* next_file_number = nullptr;
  /// Pinned sequences, ascending, at the start of the job.
  std::vector<uint64_t> snapshots;
  /// Set to stop early; the job then returns Cancelled and removes what it wrote.
  const std::atomic<bool>* cancelled = nullptr;
};

/// Writes a sealed memtable as one sorted run (several files if it is larger than twice the target
/// size). On return the files and their directory are synced. On error nothing is left behind.
/// `bottommost`: the table has no files, so deletes have nothing to hide.
arrow::Result<std::vector<FileMeta>> FlushMemtable(const Memtable& memtable,
                                                   const OutputContext& context, bool bottommost);

/// Cuts the keys of a plan's inputs into ranges of about the target file size each, which can be
/// compacted at the same time. Ascending, without gaps: the first begins at the lowest key, the
/// last has no end. Looks at the block indexes only.
arrow::Result<std::vector<EncodedRange>> SplitCompaction(const CompactionPlan& plan,
                                                         const OutputContext& context);

/// Merges what the inputs of a plan (that is no trivial move) have in `range` into files of a run
/// of the output level.
arrow::Result<std::vector<FileMeta>> RunCompaction(const CompactionPlan& plan,
                                                   const EncodedRange& range,
                                                   const OutputContext& context);

/// Removes files that a job has written and that nothing will name. A file that stays is an orphan,
/// which the next open removes.
void RemoveOutput(const std::vector<FileMeta>& files, FileSystem* fs, const std::string& directory);

/// Writes rows that are already sorted and unique as files without a `_sequence` column (bulk
/// insert); the commit gives them their sequence. Append tables: `first_row_id` is relative, the
/// commit shifts it.
arrow::Result<std::vector<FileMeta>> WriteBulk(const SortedRows& rows, const OutputContext& context,
                                               uint64_t first_row_id);

/// Merges runs that WriteBulk has written for a keyed table, newest first, into one of the same
/// kind: of equal keys the row of the newest run stays. The files' constant sequences must be the
/// higher the newer the run is. The inputs stay.
arrow::Result<std::vector<FileMeta>> MergeBulk(
    const std::vector<std::shared_ptr<const Run>>& newest_first, const OutputContext& context);

}  // namespace marble

// Runs of a bulk load: rows that are in synced files before the commit that attaches them. Until
// then nothing names the files, so whoever dies here leaves orphans, which the next open removes.
// No lock is held while files are written; Close waits for the call.

#include <algorithm>

#include <marble/error.h>

#include "db/open_database.h"

namespace marble {

arrow::Result<std::vector<FileMeta>> OpenDatabase::WriteBulkRun(const TableState& table,
                                                                const SortedRows& rows,
                                                                uint64_t first_row_id) {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  if (table.live == nullptr) return table.Gone();
  const CallInside inside(this);
  mutex_.unlock();
  const OutputContext context = environment_.MakeOutputContext(table, {});
  auto files = WriteBulk(rows, context, first_row_id);
  mutex_.lock();
  return files;
}

arrow::Result<std::vector<FileMeta>> OpenDatabase::MergeBulkRuns(
    const TableState& table, std::span<const std::vector<FileMeta>> runs) {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  if (table.live == nullptr) return table.Gone();
  const CallInside inside(this);
  mutex_.unlock();
  arrow::Result<std::vector<FileMeta>> merged;
  {
    std::vector<std::shared_ptr<const Run>> inputs;
    uint64_t sequence = 0;
    for (const std::vector<FileMeta>& run : runs) {
      ++sequence;
      std::vector<std::shared_ptr<const TableFile>> files;
      for (FileMeta meta : run) {
        meta.constant_sequence = meta.sequence_min = meta.sequence_max = sequence;
        auto reader = environment_.ReaderOptions(table.schema, meta.number);
        files.push_back(std::make_shared<TableFile>(std::move(meta), std::move(reader)));
      }
      inputs.push_back(std::make_shared<Run>(std::move(files)));
    }
    std::ranges::reverse(inputs);
    OutputContext context = environment_.MakeOutputContext(table, {});
    context.cancelled = &stop_jobs_;
    merged = MergeBulk(inputs, context);
    if (merged.ok()) {
      for (const auto& run : inputs) {
        for (const auto& file : run->files) file->MarkObsolete();
      }
    }
  }
  mutex_.lock();
  if (!merged.ok() && closing_) return ClosedError("the database was closed");
  return merged;
}

void OpenDatabase::RemoveBulkFiles(const std::vector<FileMeta>& files) {
  MutexLock lock(&mutex_);
  if (closing_) return;
  const CallInside inside(this);
  mutex_.unlock();
  RemoveOutput(files, environment_.fs, environment_.directory);
  mutex_.lock();
}

}  // namespace marble

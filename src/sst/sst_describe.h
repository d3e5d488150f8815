// What can be known of an SSTable from the file alone, for dumping it and for repairing a database
// whose manifest is lost.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <arrow/result.h>

#include <marble/file_system.h>

#include "row/stored_schema.h"
#include "sst/file_meta.h"
#include "sst/sst_tail.h"

namespace marble {

struct SstDescription {
  SstTail tail;
  /// As far as the file tells: its bounds, and an append file's first row id, are not among it. The
  /// number is the caller's.
  FileMeta meta;
  /// Stored columns and key; nullptr if the footer does not say which columns are the key.
  std::shared_ptr<const StoredSchema> schema;
  /// Damage of the block index: rows, sequences and tombstones are not known then.
  arrow::Status status;
};

/// Reads the tail and the block index, whose pages are checked. An error if the tail is damaged.
/// A file without a `_sequence` column is given the sequence of its block index, which is 1 for one
/// that was written in bulk, and the lowest of its rows where a compaction gave up their own ones.
arrow::Result<SstDescription> DescribeSst(FileSystem* fs, const std::string& path);

}  // namespace marble

// Replays the write-ahead log and judges how it ends.
//
// The records from the oldest segment needed are read in order; their sequence numbers are
// consecutive, across segments too. Where no valid commit follows, the log either ends (an
// untouched or torn tail of commits that were not synced: cut there, everything behind it dropped,
// so that what survives is a prefix) or is damaged: if any later valid record, or the manifest,
// says that the log was known to be synced beyond that place, it is corruption.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/file_system.h>

#include "log/log_reader.h"
#include "tree/manifest.h"

namespace marble {

struct LogRecoveryResult {
  uint64_t last_sequence = 0;  // of the last record accepted, or the manifest's
  uint64_t records = 0;
  int64_t bytes = 0;               // of their segments, up to the last record of each
  int64_t cut_bytes = 0;           // of the records behind the place where the log was cut
  bool may_only_read = false;      // a newer version asks this one not to write
  uint64_t highest_segment = 0;    // number of the newest segment present; 0 if none
  std::vector<uint64_t> segments;  // all segment numbers present, ascending
};

/// Calls `visit` for each accepted commit record. Reads only. Corruption names file and offset.
arrow::Result<LogRecoveryResult> RecoverLog(
    FileSystem* fs, const std::string& directory, const ManifestState& manifest,
    const std::function<arrow::Status(const LogRecord&)>& visit);

}  // namespace marble

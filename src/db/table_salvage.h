// Reads what can be read of one SSTable: block by block, each proven by its pages' checksums and in
// order. What cannot be read is told as stretches of keys. Owned by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/verify.h>

#include "sst/sst_reader.h"
#include "tree/sorted_reader.h"

namespace marble {

/// The rows of the blocks that can be read and go on where the ones before ended, with keys,
/// sequences and kinds. Each stretch of other blocks goes to `lost`, without the table's name.
std::unique_ptr<SortedReader> NewSalvageReader(std::shared_ptr<SstReader> file,
                                               const std::string& path,
                                               std::shared_ptr<const StoredSchema> schema,
                                               std::function<void(Finding)> lost);

/// A file opened for what can be read of it.
struct OpenedForSalvage {
  arrow::Status status;  // of opening it whole
  /// If that failed, of its rows alone (SstReaderOptions); nullptr if they cannot be read either.
  std::shared_ptr<SstReader> reader;
};
OpenedForSalvage OpenForSalvage(SstReaderOptions options, const FileMeta& meta);

/// Damage, told by `status`, to what a file has beside its rows.
Finding RowsOnlyFinding(const arrow::Status& status, const std::string& path,
                        const SstReader& rows_only);

/// Reads all blocks of a file for its `lost` alone.
arrow::Status FindLostBlocks(std::shared_ptr<SstReader> file, const std::string& path,
                             std::shared_ptr<const StoredSchema> schema,
                             std::function<void(Finding)> lost);

}  // namespace marble

// Reads the rows of one sorted run within a range: file after file, block after block, each opened
// when it is reached.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "sst/range_tombstone.h"
#include "tree/sorted_reader.h"
#include "tree/version.h"

namespace marble {

/// Indices [first, second) of the files of `run` that may hold rows or tombstones of `range`. O(log
/// files).
std::pair<size_t, size_t> FilesInRange(const Run& run, const EncodedRange& range);

/// As NewRunReader; files and blocks all of whose rows are covered by `tombstones` (of the
/// sequences that the request's snapshot sees; may be null) are not read. Batches with a key that
/// stands twice have keys even if the request does not want them.
std::unique_ptr<SortedReader> NewRunReader(std::shared_ptr<const Run> run, ReadRequest request,
                                           std::shared_ptr<const RangeTombstoneSet> tombstones);

}  // namespace marble

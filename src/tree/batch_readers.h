// The two ways to read the batches of a memtable in order: slice after slice where they do not
// overlap, and by the sorted index where they do.
#pragma once

#include <memory>
#include <vector>

#include "tree/batch_rows.h"
#include "tree/sorted_reader.h"
#include "tree/sorted_runs.h"

namespace marble {

/// `slices` ascend and do not overlap. Long ones are delivered without a copy, short neighbours
/// together.
std::unique_ptr<SortedReader> NewSliceReader(std::shared_ptr<const BatchStore> store,
                                             std::vector<RunSlice> slices,
                                             const ReadRequest& request, BatchRowBuilder builder);

/// Merges the runs of the index.
std::unique_ptr<SortedReader> NewIndexReader(std::shared_ptr<const BatchStore> store,
                                             std::shared_ptr<const RunList> runs,
                                             const ReadRequest& request, BatchRowBuilder builder);

}  // namespace marble

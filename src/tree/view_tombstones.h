// The range tombstones that concern a read, from all its sources.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <arrow/result.h>

#include "sst/range_tombstone.h"
#include "tree/table_view.h"

namespace marble {

/// The tombstones of all sources that `snapshot` sees and that concern the range as one set;
/// nullptr if there are none. Opens the files that have tombstones.
arrow::Result<std::shared_ptr<const RangeTombstoneSet>> CollectTombstones(
    std::span<const Source> sources, const EncodedRange& range, uint64_t snapshot);

}  // namespace marble

// Which blocks of a file can hold rows that a filter keeps, by their zone maps (zone_map.h).
#pragma once

#include <memory>
#include <vector>

#include <arrow/compute/expression.h>
#include <arrow/record_batch.h>

#include "row/stored_schema.h"

namespace marble {

/// Immutable, thread-safe.
class ZoneFilter {
 public:
  /// `filter` is bound to the schema's user schema. nullptr if zone maps cannot tell anything about
  /// it: it would keep every block.
  static std::shared_ptr<const ZoneFilter> Make(const StoredSchema& schema,
                                                const arrow::compute::Expression& filter);

  /// For each row of `zones` (as ParseZoneMaps gives them: the blocks, then the file): may there be
  /// a row that the filter keeps? Zone maps of another schema tell nothing.
  std::vector<bool> MayKeep(const std::shared_ptr<arrow::RecordBatch>& zones) const;

 private:
  std::shared_ptr<arrow::Schema> schema_;  // of the zone maps
  arrow::compute::Expression may_keep_;    // bound to it; null where nothing is known
};

}  // namespace marble

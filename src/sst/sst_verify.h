// The full check of an SSTable, beyond what reading checks on its way.
#pragma once

#include <memory>

#include <arrow/result.h>
#include <arrow/type_fwd.h>

#include "sst/sst_file.h"

namespace marble {

/// Reads and checks every byte, decodes and fully validates every block, and checks order, point
/// index or bloom filter, zone maps, counts and bounds against the manifest. Corruption names the
/// first damage.
arrow::Status VerifySst(const SstFile& file);

/// The zone map section, parsed, with the columns it must have; Corruption if it is not that.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> ReadZoneMapsOf(const SstFile& file);

}  // namespace marble

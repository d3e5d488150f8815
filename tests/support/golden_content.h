// The golden database: how it is made, and what it must hold whenever and by whatever version it is
// opened. tests/golden/README.md says when it may be made anew.
#pragma once

#include <map>
#include <memory>
#include <string>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/database.h>

#include "support/damage.h"

namespace marble::test {

/// The files of a golden database made now, with paths below "/db": of a process that died with
/// synced commits in the log.
arrow::Result<FileBytes> MakeGoldenDatabase();

/// What table `default` holds.
std::map<std::string, std::string> GoldenPairs();
/// The rows of the other tables, by name, in the order of a scan.
arrow::Result<std::map<std::string, std::shared_ptr<arrow::RecordBatch>>> GoldenRows();

}  // namespace marble::test

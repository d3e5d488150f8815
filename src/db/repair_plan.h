// What is to be saved of a damaged database: for each table its files, and what the log adds.
// Reads only. Values, used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/repair.h>

#include "db/commit_record.h"
#include "db/survey.h"
#include "tree/memtable.h"

namespace marble {

struct TablePlan {
  TableRecord record;
  TableSchemas schemas;
  std::shared_ptr<const StoredSchema> schema;  // the present one
  std::map<uint64_t, FileMeta> files;
  uint64_t flushed_sequence = 0;
  std::shared_ptr<Memtable> memtable;  // rows of the log; nullptr if there are none
};

struct RepairPlan {
  Uuid uuid{};
  uint64_t hash_seed = 0;
  std::map<uint32_t, TablePlan> tables;
};

/// A table that nothing can be made of: a finding about `file`, which tells of it.
Finding UnusableTable(const std::string& name, const std::string& file,
                      const arrow::Status& status);

/// Decides from the manifest, or without it from what the files say of themselves, and replays the
/// log. Findings, notes and counts go to `report`.
arrow::Result<RepairPlan> MakeRepairPlan(const Survey& survey, RepairReport* report);

}  // namespace marble

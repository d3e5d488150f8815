// Zone maps: minimum, maximum and null count of each column, per block and per file. Stored as one
// IPC stream of one record batch: a row per block and a last row for the file, and per user column
// i the columns
// "<i>.min", "<i>.max" (stored type, nullable) and "<i>.nulls" (int64). A null min means "no
// statistics": nested types, a block with NaN, types that min_max cannot order. Strings are cut to
// 64 bytes, maxima rounded up (a string of 64 0xFF bytes has no maximum).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/util/compression.h>

namespace marble {

class ZoneMapBuilder {
 public:
  /// `sorted_column`: one whose values ascend in every block (the first key column); -1 if none.
  explicit ZoneMapBuilder(std::shared_ptr<arrow::Schema> stored_schema, int sorted_column = -1);
  ~ZoneMapBuilder();
  /// One block (user columns only).
  arrow::Status AddBlock(const arrow::RecordBatch& block);
  /// What the section holds: a row per block and one of the file.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> FinishBatch();
  /// The section's bytes, compressed by `codec` if there is one.
  arrow::Result<std::string> Finish(std::shared_ptr<arrow::util::Codec> codec = nullptr);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Schema of the zone maps of files of a stored schema.
std::shared_ptr<arrow::Schema> ZoneMapSchema(const arrow::Schema& stored_schema);

/// Parses the section into its record batch (rows = blocks + 1). Hostile bytes give a Status.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> ParseZoneMaps(std::string_view section);

}  // namespace marble

// A lookup of many rows in files of a table, in steps that all keys take together, so that they
// wait for memory together and a block is decoded once for all its rows.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include <arrow/result.h>

#include "row/key_encoding.h"
#include "row/row_kind.h"
#include "sst/sst_reader.h"

namespace marble {

class SstFile;

/// What a reader shows of its file to a lookup of many rows.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual SstFile* file() const = 0;
  /// A block with its rows and key columns; valid as long as the reader.
  virtual arrow::Result<std::shared_ptr<const Block>> GetRows(int64_t block) = 0;
  /// The same if it is there and belongs to the reader; else nullptr. Does not look into it.
  virtual const Block* TryRows(int64_t block) const = 0;
  /// Checks stored columns (ascending) of what GetRows gave before they are looked at.
  virtual arrow::Status CheckBlock(int64_t block, const Block& rows,
                                   std::span<const int> columns) const = 0;
};

/// A lookup of many rows: those of keys[i], for each i that a file is asked for.
struct RowsQuery {
  const EncodedKeys* keys = nullptr;
  std::span<const uint64_t> hashes = {};  // HashKey of keys[i]
  uint64_t snapshot = kSequenceMax;
  /// Stored columns, ascending, that will be looked at in the rows found, beside the key's: the
  /// bytes of others may not have been checked.
  std::span<const int> columns = {};
  /// Is FoundRow::sequence needed? See PointQuery.
  bool want_sequences = true;
};

/// A file of a keyed table and the keys of a query that it is asked for, by their numbers.
struct AskedFile {
  SstReader* reader = nullptr;
  std::span<const int64_t> keys;
};

/// Takes what a lookup of many rows finds, in any order.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual arrow::Status Take(int64_t key, const FoundRow& row) = 0;
};

/// What GetRow of each file finds for each key that it is asked for goes to `sink`. No more than a
/// few MiB of blocks and keys are held beside what `sink` keeps. The files are of one keyed table
/// and present one schema.
arrow::Status LookUpRows(std::span<const AskedFile> files, const RowsQuery& query, RowSink* sink);

}  // namespace marble

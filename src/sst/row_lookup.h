// A lookup of many rows in one file, in steps that all keys take together, so that they wait for
// memory together: index lines, then the keys of the rows that these name (gathered column by
// column), block by block. What the steps leave open (a key that only looks like the one wanted)
// the file's reader answers with GetRow. A value on the stack of one lookup.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <arrow/result.h>

#include "sst/sst_file.h"
#include "sst/sst_reader.h"

namespace marble {

class RowLookup {
 public:
  /// How the reader gives its blocks, with key columns, and checks columns of one before they are
  /// looked at.
  struct Blocks {
    std::function<arrow::Result<std::shared_ptr<const Block>>(int64_t block)> get;
    std::function<arrow::Status(int64_t block, const Block& rows, std::span<const int> columns)>
        check;
  };

  /// All must outlive this. The file has rows, and its table keys.
  RowLookup(SstFile* file, SstReader* reader, Blocks blocks, const RowsQuery& query, RowSink* sink);

  arrow::Status Run();

 private:
  /// The row that is the key's first in the file, if it is there at all and no other key's hash
  /// looks like its own; without a point index a block and row -1.
  struct Candidate {
    int64_t key;
    uint32_t block;
    int32_t row;
  };
  struct OpenBlock {
    int64_t block;
    std::shared_ptr<const Block> rows;
    size_t end;  // of its candidates
  };

  /// Finds the candidates; keys that the file cannot have are done with.
  arrow::Status Locate();
  arrow::Status LocateByIndex(int64_t key);
  arrow::Status LocateByBounds(int64_t key);
  /// Rows that lie together are looked at together: their pages, too, have to be found.
  void SortByRow();
  /// Opens the blocks of the candidates from `begin` on until they keep a few MiB.
  arrow::Status OpenBlocks(size_t begin);
  /// Keys of the rows of the candidates [begin, end), which lie in the open blocks.
  arrow::Result<EncodedKeys> GatherKeys(size_t begin, size_t end) const;
  /// Gives out what is found among the candidates from `begin` on, in the open blocks.
  arrow::Status Deliver(size_t begin);
  arrow::Status DeliverFrom(const OpenBlock& block, const Candidate& candidate, bool is_key);
  arrow::Status AskReader(int64_t key);

  SstFile* const file_;
  SstReader* const reader_;
  const Blocks blocks_;
  const RowsQuery& query_;
  RowSink* const sink_;
  const uint64_t snapshot_;  // kSequenceMax if it sees the whole file
  std::vector<int> key_columns_;
  std::vector<Candidate> candidates_;
  std::vector<OpenBlock> open_;
};

}  // namespace marble

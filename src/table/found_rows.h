// Rows that a lookup finds, from the blocks that hold them to one batch. Rows of mapped files and
// of memtables stay where they are until they are gathered, column by column; of decoded blocks no
// more than some MiB are kept: then the rows found in them are copied and the blocks let go. Used
// by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/table.h>

#include "row/batch_ops.h"
#include "row/stored_schema.h"
#include "sst/row_lookup.h"
#include "sst/sst_reader.h"

namespace marble {

class FoundRows final : public RowSink {
 public:
  /// `columns`: those of the result, indices into the schema. `schema` must outlive this.
  FoundRows(const StoredSchema* schema, std::vector<int> columns, arrow::MemoryPool* pool);

  arrow::Status Take(int64_t key, const FoundRow& row) override;
  /// A batch of the user's types, and for each of its rows the key's number of `keys`, if that is
  /// wanted. What the rows were found in must still be there. Leaves nothing.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Finish(RowOrder order, int64_t keys,
                                                            std::vector<int64_t>* indices);

 private:
  struct Found {
    int64_t key;
    int64_t row;
    int32_t source;  // of sources_, or of decoded_ from kDecoded on
  };
  static constexpr int32_t kDecoded = int32_t{1} << 30;
  static constexpr int64_t kDecodedBytesMax = int64_t{16} << 20;

  std::shared_ptr<arrow::RecordBatch> Projected(const FoundRow& row) const;
  /// Copies the rows found in decoded blocks and lets go of these.
  arrow::Status CopyDecoded();
  void SortByKey(int64_t keys);

  const StoredSchema* const schema_;
  const std::vector<int> columns_;
  arrow::MemoryPool* const pool_;
  std::shared_ptr<arrow::Schema> stored_;
  bool is_whole_ = false;  // the columns are all of the table's, in its order
  std::vector<Found> found_;
  arrow::RecordBatchVector sources_;
  arrow::RecordBatchVector decoded_;
  size_t first_decoded_ = 0;  // rows found before this one are in sources_
  int64_t decoded_bytes_ = 0;
  // The blocks seen, and those of them that belong to nobody else, so that no other takes the
  // address of one.
  std::unordered_map<const Block*, int32_t> source_of_block_;
  std::vector<std::shared_ptr<const Block>> blocks_;
  const Block* last_block_ = nullptr;
  int32_t last_source_ = 0;
};

}  // namespace marble

// The ways in which a point lookup looks into a block: through the compact view of a mapped
// key-value block, through the columns of one in memory, or through a decoded table's block. Same
// functions, so that the search is written once as a template. Values on the stack of one lookup.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <arrow/status.h>

#include "sst/kv_blocks.h"
#include "sst/sst_file.h"
#include "sst/sst_reader.h"

namespace marble {

class KvBlockAccess {
 public:
  KvBlockAccess(const SstFile* file, const KvBlocks* blocks, int64_t block)
      : file_(file), blocks_(blocks), block_(block), layout_(blocks->LayoutOf(block)) {}

  int64_t num_rows() const { return file_->blocks().FirstRow(block_ + 1) - FirstRow(); }
  arrow::Status KeyAt(int64_t row, std::string_view* key) const {
    if (blocks_->Key(layout_, row, key)) [[likely]] {
      return arrow::Status::OK();
    }
    return file_->Damage("a row's offsets are out of range", MessageOffset());
  }
  uint64_t SequenceAt(int64_t row) const { return blocks_->Sequence(layout_, row); }
  RowKind KindAt(int64_t row) const { return blocks_->Kind(layout_, row); }
  arrow::Status ValueAt(int64_t row, std::string_view* value) const {
    if (blocks_->Value(layout_, row, value)) [[likely]] {
      return arrow::Status::OK();
    }
    return file_->Damage("a row's offsets are out of range", MessageOffset());
  }

 private:
  int64_t FirstRow() const { return file_->blocks().FirstRow(block_); }
  int64_t MessageOffset() const { return file_->blocks().Entry(block_).message_offset; }

  const SstFile* file_;
  const KvBlocks* blocks_;
  int64_t block_;
  KvBlocks::Layout layout_;
};

/// The columns of a key-value block in memory.
class KvColumnsAccess {
 public:
  KvColumnsAccess(const SstFile* file, const KvColumns* columns, int64_t block)
      : file_(file), columns_(columns), block_(block) {}

  int64_t num_rows() const { return columns_->rows; }
  arrow::Status KeyAt(int64_t row, std::string_view* key) const {
    return Checked(columns_->KeyAt(row, key));
  }
  uint64_t SequenceAt(int64_t row) const { return columns_->SequenceAt(row); }
  RowKind KindAt(int64_t row) const { return columns_->KindAt(row); }
  arrow::Status ValueAt(int64_t row, std::string_view* value) const {
    return Checked(columns_->ValueAt(row, value));
  }

 private:
  arrow::Status Checked(bool there) const {
    if (there) [[likely]] {
      return arrow::Status::OK();
    }
    return file_->Damage("a row's offsets are out of range",
                         file_->blocks().Entry(block_).message_offset);
  }

  const SstFile* file_;
  const KvColumns* columns_;
  int64_t block_;
};

class DecodedBlockAccess {
 public:
  DecodedBlockAccess(const SstFile* file, const Block* block) : file_(file), rows_(&block->rows) {}

  int64_t num_rows() const { return rows_->num_rows(); }
  /// The view is valid until the next call.
  arrow::Status KeyAt(int64_t row, std::string_view* key);
  uint64_t SequenceAt(int64_t row) const { return rows_->SequenceAt(row); }
  RowKind KindAt(int64_t row) const { return rows_->KindAt(row); }

 private:
  const SstFile* file_;
  const RowBatch* rows_;
  EncodedKeys one_key_;
};

}  // namespace marble

// The ways in which a point lookup looks into a block: through the compact view of a mapped
// key-value block, through the columns of one in memory, or through a decoded table's block. Same
// functions, so that the search is written once as a template. Values on the stack of one lookup.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
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
  std::string fixed_key_;
  EncodedKeys one_key_;
};

/// First row of the block whose key is >= `key`; num_rows() if none.
template <typename Access>
arrow::Status LowerBound(Access* access, std::string_view key, int64_t* row) {
  int64_t begin = 0;
  int64_t length = access->num_rows();
  while (length > 0) {
    const int64_t half = length / 2;
    std::string_view middle;
    ARROW_RETURN_NOT_OK(access->KeyAt(begin + half, &middle));
    if (middle < key) {
      begin += half + 1;
      length -= half + 1;
    } else {
      length = half;
    }
  }
  *row = begin;
  return arrow::Status::OK();
}

/// Row of the newest version of `key` with sequence <= `snapshot` in a block, -1 if none.
/// kSequenceMax looks at no sequence. Sets `*is_key` if the key is there at all. `row`: the first
/// row of a candidate, or -1 to search for it.
template <typename Access>
arrow::Status FindVersion(Access* access, std::string_view key, int64_t row, uint64_t snapshot,
                          bool* is_key, int64_t* version) {
  *is_key = false;
  *version = -1;
  if (row < 0) {
    ARROW_RETURN_NOT_OK(LowerBound(access, key, &row));
    if (row == access->num_rows()) return arrow::Status::OK();
  }
  // The number of rows is asked for only when the first row will not do: it costs a cache miss.
  do {
    std::string_view candidate;
    ARROW_RETURN_NOT_OK(access->KeyAt(row, &candidate));
    if (candidate != key) return arrow::Status::OK();
    *is_key = true;
    if (snapshot == kSequenceMax || access->SequenceAt(row) <= snapshot) {
      *version = row;
      return arrow::Status::OK();
    }
  } while (++row < access->num_rows());
  return arrow::Status::OK();
}

}  // namespace marble

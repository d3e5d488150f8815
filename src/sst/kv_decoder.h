// Blocks of key-value files as plain columns, decoded without Arrow objects: mapped uncompressed
// ones where they lie, others into one piece of memory. Arrow's reader would take several times as
// long as decompressing a small block does. And those columns as a RowBatch, zero-copy.
//
// Functions of an open file; nothing is cached here.
#pragma once

#include <memory>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/result.h>

#include "row/row_batch.h"
#include "sst/kv_columns.h"
#include "sst/sst_file.h"

namespace marble {

/// Decodes and checks a block of a key-value file: pages, lengths, offsets, kinds.
arrow::Result<KvBlock> DecodeKvBlock(const SstFile& file, int64_t block);

/// Its rows as a batch of the stored columns `columns` (in that order), with keys if `want_keys`.
/// The batch keeps the block's bytes.
RowBatch KvRows(const SstFile& file, const KvBlock& block, const std::vector<int>& columns,
                bool want_keys);

/// Does the stored column (0 = key, 1 = value) have offsets of 64 bits?
bool HasLargeOffsets(const SstFile& file, int column);

}  // namespace marble

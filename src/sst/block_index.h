// The block index section: where each block (record batch message) of an SSTable lies and which
// rows and keys it holds. Used in place from its bytes.
//
// Section: header of 64 bytes {block count u64, row count u64, key area length u64, reserved}, then
// an entry of 64 bytes a block, then the key area.
//   entry: message offset u64 | body length u64 | first row u64 (rows before the block) |
//          offset of the first key in the key area u64 | offset of the last key u64 |
//          highest sequence number u64 | metadata length u32 (with its 8-byte prefix) | flags u32 |
//          reserved u64
//   A key ends where the next one begins. Append tables have an empty key area.
// Flags: 1 = some key stands in more than one row, 2 = some row is no put. Others are refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "base/coding.h"
#include "base/prefetch.h"
#include "row/key_search.h"

namespace marble {

/// No block has more rows: of columns that hold nothing but nulls there are no bytes to end a block
/// by. Builds before 29 November 2026 knew no limit; of theirs no byte of a body stands for more
/// than `kRowsPerByteMax` rows, of a bit each, compressed.
inline constexpr int64_t kBlockRowsMax = int64_t{1} << 24;
inline constexpr uint64_t kRowsPerByteMax = uint64_t{8} * 32'768;

/// One block as the writer saw it.
struct BlockEntry {
  int64_t message_offset = 0;
  int64_t body_length = 0;
  int32_t metadata_length = 0;
  int64_t rows = 0;
  uint64_t sequence_max = 0;
  bool unique_keys = true;
  bool has_kinds = false;  // some row is no put

  int64_t message_length() const { return metadata_length + body_length; }
  int64_t message_end() const { return message_offset + message_length(); }
};

class BlockIndexBuilder {
 public:
  /// Blocks in file order; keys empty for append tables.
  void Add(const BlockEntry& block, std::string_view first_key, std::string_view last_key);
  std::string Finish() const;

 private:
  std::string entries_;
  std::string keys_;
  uint64_t blocks_ = 0;
  uint64_t rows_ = 0;
};

/// A view of a section; the bytes must outlive it. Immutable, thread-safe.
class BlockIndex {
 public:
  static constexpr int64_t kHeaderBytes = 64;
  static constexpr int64_t kEntryBytes = 64;

  BlockIndex() = default;
  /// Checks every entry: lengths, ascending offsets inside [data_begin, data_end) of the file,
  /// ascending rows that sum up to `rows` and have bytes to stand for them, keys inside the key
  /// area. Invalid otherwise.
  static arrow::Result<BlockIndex> Open(std::string_view section, uint64_t rows, int64_t data_begin,
                                        int64_t data_end);

  int64_t num_blocks() const { return block_count_; }
  /// Rows before block i; i may be num_blocks().
  int64_t FirstRow(int64_t block) const {
    return block == block_count_ ? row_count_ : static_cast<int64_t>(Field(block, 16));
  }
  BlockEntry Entry(int64_t block) const;
  /// Is each row a put, and the only one of its key? (All rows of a key are in one block.)
  bool HasOnePutAKey() const { return one_put_a_key_; }
  void PrefetchEntry(int64_t block) const {
    PrefetchLine(EntryAt(block));
    PrefetchLine(EntryAt(block + 1));  // where it ends
  }
  std::string_view FirstKey(int64_t block) const { return Key(Field(block, 24), Field(block, 32)); }
  std::string_view LastKey(int64_t block) const {
    return Key(Field(block, 32), block + 1 == block_count_ ? key_bytes_ : Field(block + 1, 24));
  }
  /// First block whose last key is >= `key`; num_blocks() if none.
  int64_t Find(std::string_view key) const;
  /// Memory beside the section.
  int64_t bytes() const { return last_keys_.bytes(); }

 private:
  const char* EntryAt(int64_t block) const { return entries_ + block * kEntryBytes; }
  uint64_t Field(int64_t block, int offset) const {
    return LoadLittle<uint64_t>(EntryAt(block) + offset);
  }
  uint32_t MetadataLength(int64_t block) const { return LoadLittle<uint32_t>(EntryAt(block) + 48); }
  uint32_t Flags(int64_t block) const { return LoadLittle<uint32_t>(EntryAt(block) + 52); }
  std::string_view Key(uint64_t begin, uint64_t end) const { return {keys_ + begin, end - begin}; }
  arrow::Status CheckEntry(int64_t block, int64_t data_end) const;

  const char* entries_ = nullptr;
  const char* keys_ = nullptr;
  uint64_t key_bytes_ = 0;
  int64_t block_count_ = 0;
  int64_t row_count_ = 0;
  bool one_put_a_key_ = true;
  KeySearch last_keys_;
};

}  // namespace marble

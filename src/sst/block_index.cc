#include "sst/block_index.h"

#include <algorithm>
#include <limits>

#include "row/key_encoding.h"

namespace marble {

namespace {

constexpr uint32_t kFlagRepeatedKeys = 1;
constexpr uint32_t kFlagKinds = 2;

arrow::Status Bad(int64_t block, const char* what) {
  return arrow::Status::Invalid("block index: entry ", block, ": ", what);
}

}  // namespace

void BlockIndexBuilder::Add(const BlockEntry& block, std::string_view first_key,
                            std::string_view last_key) {
  PutFixed<uint64_t>(&entries_, static_cast<uint64_t>(block.message_offset));
  PutFixed<uint64_t>(&entries_, static_cast<uint64_t>(block.body_length));
  PutFixed<uint64_t>(&entries_, rows_);
  PutFixed<uint64_t>(&entries_, keys_.size());
  keys_ += first_key;
  PutFixed<uint64_t>(&entries_, keys_.size());
  keys_ += last_key;
  PutFixed<uint64_t>(&entries_, block.sequence_max);
  PutFixed<uint32_t>(&entries_, static_cast<uint32_t>(block.metadata_length));
  PutFixed<uint32_t>(
      &entries_, (block.unique_keys ? 0 : kFlagRepeatedKeys) | (block.has_kinds ? kFlagKinds : 0));
  PutFixed<uint64_t>(&entries_, 0);
  rows_ += static_cast<uint64_t>(block.rows);
  ++blocks_;
}

std::string BlockIndexBuilder::Finish() const {
  std::string section;
  section.reserve(BlockIndex::kHeaderBytes + entries_.size() + keys_.size());
  PutFixed<uint64_t>(&section, blocks_);
  PutFixed<uint64_t>(&section, rows_);
  PutFixed<uint64_t>(&section, keys_.size());
  section.resize(BlockIndex::kHeaderBytes, '\0');
  section += entries_;
  section += keys_;
  return section;
}

arrow::Result<BlockIndex> BlockIndex::Open(std::string_view section, uint64_t rows,
                                           int64_t data_begin, int64_t data_end) {
  if (section.size() < kHeaderBytes) return arrow::Status::Invalid("block index too short");
  const auto blocks = LoadLittle<uint64_t>(section.data());
  const auto rows_said = LoadLittle<uint64_t>(section.data() + 8);
  const auto key_bytes = LoadLittle<uint64_t>(section.data() + 16);
  const uint64_t rest = section.size() - kHeaderBytes;
  if (blocks > rest / kEntryBytes || rest - blocks * kEntryBytes != key_bytes) {
    return arrow::Status::Invalid("block index of ", section.size(), " bytes says it has ", blocks,
                                  " blocks and ", key_bytes, " bytes of keys");
  }
  if (rows_said != rows || rows > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return arrow::Status::Invalid("block index of ", rows_said, " rows in a file of ", rows);
  }
  if ((blocks == 0) != (rows == 0))
    return arrow::Status::Invalid("block index: rows and no blocks");
  BlockIndex index;
  index.entries_ = section.data() + kHeaderBytes;
  index.keys_ = index.entries_ + blocks * kEntryBytes;
  index.key_bytes_ = key_bytes;
  index.block_count_ = static_cast<int64_t>(blocks);
  index.row_count_ = static_cast<int64_t>(rows);
  if (blocks > 0) {
    if (index.Field(0, 16) != 0) return Bad(0, "rows before the first block");
    if (index.Field(0, 24) != 0) return Bad(0, "its first key is not the first of the key area");
    if (index.Field(0, 0) < static_cast<uint64_t>(data_begin))
      return Bad(0, "lies before the data");
  }
  for (int64_t i = 0; i < index.block_count_; ++i) {
    ARROW_RETURN_NOT_OK(index.CheckEntry(i, data_end));
    index.one_put_a_key_ = index.one_put_a_key_ && index.Flags(i) == 0;
  }
  index.last_keys_ =
      KeySearch(blocks, [&index](size_t i) { return index.LastKey(static_cast<int64_t>(i)); });
  return index;
}

arrow::Status BlockIndex::CheckEntry(int64_t block, int64_t data_end) const {
  const bool is_last = block + 1 == block_count_;
  const uint64_t end = is_last ? static_cast<uint64_t>(data_end) : Field(block + 1, 0);
  const uint64_t offset = Field(block, 0);
  const uint64_t body = Field(block, 8);
  const uint32_t metadata = MetadataLength(block);
  // The body, and so every array, stands behind it.
  if (metadata <= 8 || metadata % 8 != 0 || metadata > std::numeric_limits<int32_t>::max()) {
    return Bad(block, "bad metadata length");
  }
  if (offset % 8 != 0 || offset > end || end - offset < metadata ||
      end - offset - metadata < body) {
    return Bad(block, "its message overlaps the next or leaves the data");
  }
  const uint64_t next_row = is_last ? static_cast<uint64_t>(row_count_) : Field(block + 1, 16);
  if (Field(block, 16) >= next_row) return Bad(block, "no rows");
  const uint64_t rows = next_row - Field(block, 16);
  if (rows > static_cast<uint64_t>(std::numeric_limits<int32_t>::max())) {
    return Bad(block, "more rows than a block may have");
  }
  if (rows > static_cast<uint64_t>(kBlockRowsMax) && rows / kRowsPerByteMax > body) {
    return Bad(block, "more rows than its bytes can stand for");
  }
  const uint64_t next_key = is_last ? key_bytes_ : Field(block + 1, 24);
  const uint64_t last_key = Field(block, 32);
  if (Field(block, 24) > last_key || last_key > next_key || next_key > key_bytes_) {
    return Bad(block, "keys outside the key area");
  }
  if ((Flags(block) & ~(kFlagRepeatedKeys | kFlagKinds)) != 0) return Bad(block, "unknown flags");
  return arrow::Status::OK();
}

BlockEntry BlockIndex::Entry(int64_t block) const {
  BlockEntry entry;
  entry.message_offset = static_cast<int64_t>(Field(block, 0));
  entry.body_length = static_cast<int64_t>(Field(block, 8));
  entry.metadata_length = static_cast<int32_t>(MetadataLength(block));
  entry.rows = FirstRow(block + 1) - FirstRow(block);
  entry.sequence_max = Field(block, 40);
  const uint32_t flags = Flags(block);
  entry.unique_keys = (flags & kFlagRepeatedKeys) == 0;
  entry.has_kinds = (flags & kFlagKinds) != 0;
  return entry;
}

int64_t BlockIndex::Find(std::string_view key) const {
  const KeySearch::Place place = last_keys_.Find(key);
  auto first = static_cast<int64_t>(place.first);
  auto behind = static_cast<int64_t>(place.behind);
  while (first < behind) {
    const int64_t middle = first + (behind - first) / 2;
    if (LastKey(middle) < key) {
      first = middle + 1;
    } else {
      behind = middle;
    }
  }
  return first;
}

}  // namespace marble

// An open SSTable: its bytes (mapped or read), its sections and the decoding of its blocks. Owned
// by the reader; immutable after Open except for what was checked, the guess about memory and where
// the point index lies; thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>

#include "sst/block_index.h"
#include "sst/bloom_filter.h"
#include "sst/body_compression.h"
#include "sst/page_verifier.h"
#include "sst/point_index.h"
#include "sst/row_locator.h"
#include "sst/scarce_memory.h"
#include "sst/sst_reader.h"
#include "sst/sst_tail.h"

namespace marble {

class SstFile {
 public:
  /// Columns from this one on are checked each time anew.
  static constexpr int kTrackedColumns = 63;

  static arrow::Result<std::unique_ptr<SstFile>> Open(SstReaderOptions options,
                                                      const FileMeta& meta);
  ~SstFile();

  const SstReaderOptions& options() const { return options_; }
  const std::string& path() const { return options_.path; }
  const FileMeta& meta() const { return meta_; }
  const StoredSchema& schema() const { return *options_.schema; }
  const BlockIndex& blocks() const { return blocks_; }
  /// Valid where the table asked for one and the file has rows.
  const PointIndex& point_index() const { return *lookup_index_.load(std::memory_order_acquire); }
  /// Fetches what the point index or bloom filter says of a key, from the device too if memory is
  /// scarce.
  void PrefetchLookup(uint64_t hash) {
    if (point_index().valid()) {
      if (memory_.ShouldAsk()) [[unlikely]] {
        AskForIndexLine(hash);
      }
      point_index().Prefetch(hash);
    } else if (bloom_filter_.valid()) {
      bloom_filter_.Prefetch(hash);
    }
  }
  const RowLocator& locator() const { return locator_; }
  const BloomFilter& bloom_filter() const { return bloom_filter_; }
  const RangeTombstoneSet& tombstones() const { return tombstones_; }

  /// Index of the column in the file's schema; -1 if the file has none.
  int sequence_column() const { return sequence_column_; }
  int kind_column() const { return kind_column_; }
  const std::shared_ptr<arrow::Schema>& file_schema() const { return file_schema_; }

  /// Blocks are zero-copy views of the mapping.
  bool zero_copy() const { return zero_copy_; }
  const std::shared_ptr<arrow::Buffer>& mapping() const { return mapping_; }

  /// Guesses whether the file's bytes are in memory; whoever touches many of them tells it.
  ScarceMemory* memory() const { return &memory_; }
  /// Asks for bytes of the mapping that will be touched soon: starts reading those that are not in
  /// memory. True if some are not. For those whom memory() tells to ask.
  bool AskFor(std::string_view mapped) const {
    const bool absent =
        file_->WillRead({reinterpret_cast<const uint8_t*>(mapped.data()), mapped.size()});
    memory_.Note(absent);
    return absent;
  }
  /// Hint that the bytes [begin, end) of the mapping will be read in order; false if they are in
  /// memory.
  bool WillRead(int64_t begin, int64_t end) const {
    return file_->WillRead({mapping_->data() + begin, static_cast<size_t>(end - begin)});
  }

  /// Checks the page of a line of the point index or a block of the bloom filter before it is used.
  arrow::Status TouchPointIndex(uint64_t line) const {
    if (mapping_ == nullptr) return arrow::Status::OK();
    return pages_->Verify(lookup_offset_ + PointIndex::LineOffset(line), PointIndex::kLineBytes);
  }
  arrow::Status TouchBloomFilter(uint64_t hash) const {
    if (mapping_ == nullptr) return arrow::Status::OK();
    return pages_->Verify(lookup_offset_ + bloom_filter_.BlockOffset(hash),
                          BloomFilter::kBlockBytes);
  }
  /// Has the page of this line of a mapped file been checked?
  bool PointIndexTouched(uint64_t line) const {
    return pages_->IsVerified((lookup_offset_ + PointIndex::LineOffset(line)) / kSstPageBytes);
  }

  /// The checked bytes of a section; empty if the file has none of that name.
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadSection(std::string_view name) const;

  /// A block's message: its bytes, and of them the metadata, a flatbuffer.
  struct BlockMessage {
    std::shared_ptr<arrow::Buffer> bytes;
    std::string_view metadata;
  };
  /// The bytes are checked, of zero-copy files only the metadata: for the parts of the body that
  /// are used CheckMapped does that.
  arrow::Result<BlockMessage> ReadMessage(int64_t block) const;
  arrow::Status CheckMapped(std::span<const uint8_t> part) const {
    return pages_->Verify(part.data() - mapping_->data(), static_cast<int64_t>(part.size()));
  }

  /// Corruption if a file that is not compressed has a compressed block: what comes out of one lies
  /// elsewhere, and where the file is mapped the pages it came from would not be checked.
  arrow::Status CheckCompression(BodyCompression compression, int64_t offset) const;

  /// Decodes a block with the columns (ascending indices into file_schema(), not empty) asked for.
  /// Columns of zero-copy files are addresses that have yet to go through CheckColumns; those of
  /// others are checked and valid. `memory` receives the bytes the batch keeps allocated.
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> DecodeBlock(int64_t block,
                                                                 std::span<const int> columns,
                                                                 int64_t* memory) const;
  /// Checks the bytes of columns of a zero-copy file's block and validates them, once: the bytes
  /// stay the same. `columns[i]` is the index into file_schema() of `arrays[i]`.
  arrow::Status CheckColumns(int64_t block, std::span<const int> columns,
                             std::span<const std::shared_ptr<arrow::Array>> arrays) const;

  /// Have all of these columns of a zero-copy file's block been checked before?
  bool IsChecked(int64_t block, std::span<const int> columns) const {
    const uint64_t wanted = ColumnBits(columns);
    return (checked_[block].load(std::memory_order_acquire) & wanted) == wanted;
  }

  /// Reads and checks every byte of the file anew.
  arrow::Status CheckAllBytes() const;

  /// An error as what it means in this file: memory and I/O stay what they are, the rest is damage.
  arrow::Status Damage(const arrow::Status& status, int64_t offset) const;
  arrow::Status Damage(const std::string& what, int64_t offset = -1) const;

 private:
  SstFile(SstReaderOptions options, const FileMeta& meta)
      : options_(std::move(options)), meta_(meta) {}
  arrow::Status Init();
  arrow::Status CheckSchema(const std::shared_ptr<arrow::Schema>& schema);
  arrow::Status OpenBlockIndex();
  arrow::Status OpenLookup();
  arrow::Status OpenTombstones();
  /// The bytes of a range; checked only if `check` (always if they are read and not mapped).
  arrow::Result<std::shared_ptr<arrow::Buffer>> Bytes(int64_t offset, int64_t length,
                                                      bool check) const;
  /// A section that stays in use while the file is open; mapped, it is not checked yet.
  arrow::Result<std::shared_ptr<arrow::Buffer>> PinSection(const SectionLocation& location);
  arrow::Status VerifyBuffers(const arrow::ArrayData& data) const;
  arrow::Status Validate(const arrow::Array& array, int64_t block) const;
  void Pin(int64_t bytes);
  void AskForIndexLine(uint64_t hash);
  /// Copies a mapped point index into memory of its own, if the cache has room for it: for files
  /// whose index is read from the device again and again. Tries it once.
  void CopyPointIndex();
  /// One bit a column. The last one stands for those from kTrackedColumns on and is never set.
  static uint64_t ColumnBits(std::span<const int> columns);

  const SstReaderOptions options_;
  const FileMeta meta_;
  std::shared_ptr<ReadableFile> file_;
  std::shared_ptr<arrow::Buffer> mapping_;  // nullptr if not mapped
  std::unique_ptr<PageVerifier> pages_;
  SectionDirectory sections_;
  std::shared_ptr<arrow::Schema> file_schema_;
  int sequence_column_ = -1;
  int kind_column_ = -1;
  bool may_be_compressed_ = false;
  bool zero_copy_ = false;
  int64_t record_batches_ = 0;
  int64_t pinned_bytes_ = 0;
  mutable ScarceMemory memory_;

  std::shared_ptr<arrow::Buffer> block_index_bytes_;
  BlockIndex blocks_;
  std::unique_ptr<std::atomic<uint64_t>[]> checked_;  // of zero-copy files: columns of each block
  std::shared_ptr<arrow::Buffer> lookup_bytes_;       // of the point index or bloom filter
  int64_t lookup_offset_ = 0;
  PointIndex point_index_;
  std::shared_ptr<arrow::Buffer> copied_bytes_;  // set by CopyPointIndex, with what follows
  PointIndex copied_index_;
  std::atomic<const PointIndex*> lookup_index_{&point_index_};
  std::atomic<bool> copying_{false};
  std::atomic<int64_t> index_reads_{0};  // from the device, about
  BloomFilter bloom_filter_;
  RowLocator locator_;
  RangeTombstoneSet tombstones_;
};

}  // namespace marble

#include "sst/sst_file.h"

#include <algorithm>
#include <utility>

#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/message.h>
#include <arrow/ipc/reader.h>
#include <arrow/util/byte_size.h>

#include <marble/error.h>

#include "sst/body_compression.h"
#include "sst/offsets.h"

namespace marble {

namespace {

arrow::Result<std::shared_ptr<arrow::RecordBatch>> Decode(
    std::shared_ptr<arrow::Buffer> metadata, std::shared_ptr<arrow::Buffer> body,
    const std::shared_ptr<arrow::Schema>& schema, std::span<const int> columns,
    arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(const auto message,
                        arrow::ipc::Message::Open(std::move(metadata), std::move(body)));
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  options.memory_pool = pool;
  options.included_fields.assign(columns.begin(), columns.end());
  const arrow::ipc::DictionaryMemo no_dictionaries;
  return arrow::ipc::ReadRecordBatch(*message, schema, &no_dictionaries, options);
}

constexpr uint64_t kColumnsBeyond = uint64_t{1} << SstFile::kTrackedColumns;

template <typename Offset>
bool ColumnAscends(const arrow::ArrayData& data) {
  return OffsetsAscend(data.GetValues<Offset>(1), data.length);
}

// Arrow's Validate looks at the first and the last offset only. With those in bounds, ascending
// offsets are all in bounds, so that not even a forged file leads out of its memory.
bool AllOffsetsAscend(const arrow::ArrayData& data) {
  bool ascend = true;
  switch (data.type->id()) {
    case arrow::Type::BINARY:
    case arrow::Type::STRING:
    case arrow::Type::LIST:
    case arrow::Type::MAP:
      ascend = ColumnAscends<int32_t>(data);
      break;
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_LIST:
      ascend = ColumnAscends<int64_t>(data);
      break;
    default:
      break;
  }
  for (const auto& child : data.child_data) ascend = ascend && AllOffsetsAscend(*child);
  return ascend;
}

}  // namespace

arrow::Result<std::unique_ptr<SstFile>> SstFile::Open(SstReaderOptions options,
                                                      const FileMeta& meta) {
  if (options.pool == nullptr) options.pool = arrow::default_memory_pool();
  std::unique_ptr<SstFile> file(new SstFile(std::move(options), meta));
  ARROW_RETURN_NOT_OK(file->Init());
  return file;
}

SstFile::~SstFile() {
  options_.cache->AddPinned(-pinned_bytes_);
  if (copied_bytes_ != nullptr) options_.cache->GiveBack(copied_bytes_->size());
}

void SstFile::Pin(int64_t bytes) {
  pinned_bytes_ += bytes;
  options_.cache->AddPinned(bytes);
}

arrow::Status SstFile::Damage(const std::string& what, int64_t offset) const {
  return CorruptionError(path(), offset, what);
}

arrow::Status SstFile::Damage(const arrow::Status& status, int64_t offset) const {
  if (status.IsOutOfMemory() || status.detail() != nullptr) return status;
  return CorruptionError(path(), offset, status.message());
}

arrow::Status SstFile::Init() {
  ARROW_ASSIGN_OR_RAISE(file_, options_.fs->OpenReadable(path()));
  const auto read_tail = options_.rows_only ? ReadUnprovenSstTail : ReadSstTail;
  ARROW_ASSIGN_OR_RAISE(SstTail tail, read_tail(file_.get(), path(), options_.uuid, meta_));
  if (options_.use_mappings) {
    ARROW_ASSIGN_OR_RAISE(mapping_, file_->Map());
    if (mapping_ != nullptr && mapping_->size() < static_cast<int64_t>(meta_.size)) {
      return Damage("the mapping is shorter than the file");
    }
  }
  const Compression codec = meta_.compression.value_or(schema().options().compression);
  may_be_compressed_ = options_.any_compression || codec != Compression::kNone;
  zero_copy_ = mapping_ != nullptr && !may_be_compressed_;
  Pin(static_cast<int64_t>(tail.page_checksums.size() * sizeof(uint64_t)));
  sections_ = std::move(tail.sections);
  record_batches_ = tail.record_batches;
  pages_ = std::make_unique<PageVerifier>(file_, mapping_, path(), tail.start,
                                          std::move(tail.page_checksums));
  ARROW_RETURN_NOT_OK(CheckSchema(tail.schema));
  ARROW_RETURN_NOT_OK(OpenBlockIndex());
  const arrow::Status lookup = OpenLookup();
  if (!lookup.ok() && !options_.rows_only) return lookup;
  const arrow::Status tombstones = OpenTombstones();
  return options_.rows_only ? arrow::Status::OK() : tombstones;
}

arrow::Status SstFile::CheckSchema(const std::shared_ptr<arrow::Schema>& schema) {
  const arrow::Schema& stored = *options_.schema->stored_schema();
  const bool with_sequence = !meta_.constant_sequence.has_value();
  for (const bool with_kind : {false, true}) {
    const auto wanted = SstFileSchema(stored, with_sequence, with_kind);
    if (!schema->Equals(*wanted, /*check_metadata=*/false)) continue;
    // The stored schema's own fields, so that batches carry the table's metadata.
    file_schema_ = wanted;
    sequence_column_ = with_sequence ? stored.num_fields() : -1;
    kind_column_ = with_kind ? stored.num_fields() + with_sequence : -1;
    return arrow::Status::OK();
  }
  return Damage("the schema is not that of the table");
}

arrow::Status SstFile::OpenBlockIndex() {
  const SectionLocation location = sections_.find(kSectionBlockIndex)->second;
  // In memory of its own: a search through it touches many pages, which must not be missing.
  ARROW_ASSIGN_OR_RAISE(block_index_bytes_,
                        pages_->Read(location.offset, location.length, options_.pool));
  Pin(location.length);
  int64_t data_end = pages_->covered_bytes();
  for (const auto& [name, section] : sections_) data_end = std::min(data_end, section.offset);
  auto index =
      BlockIndex::Open(std::string_view(*block_index_bytes_), meta_.rows, kIpcBeginBytes, data_end);
  if (!index.ok()) return Damage(index.status(), location.offset);
  blocks_ = std::move(*index);
  Pin(blocks_.bytes());
  if (blocks_.num_blocks() != record_batches_) {
    return Damage("the footer has another number of blocks than the index", location.offset);
  }
  if (zero_copy_) {
    checked_ = std::make_unique<std::atomic<uint64_t>[]>(blocks_.num_blocks());
    Pin(blocks_.num_blocks() * static_cast<int64_t>(sizeof(checked_[0])));
  }
  return arrow::Status::OK();
}

arrow::Status SstFile::OpenLookup() {
  if (const auto found = sections_.find(kSectionPointIndex); found != sections_.end()) {
    lookup_offset_ = found->second.offset;
    ARROW_ASSIGN_OR_RAISE(lookup_bytes_, PinSection(found->second));
    ARROW_RETURN_NOT_OK(
        pages_->Verify(lookup_offset_, std::min(found->second.length, PointIndex::kHeaderBytes)));
    auto index = PointIndex::Open(std::string_view(*lookup_bytes_), meta_.rows);
    if (!index.ok()) return Damage(index.status(), lookup_offset_);
    point_index_ = *index;
    locator_ = RowLocator(blocks_);
    Pin(locator_.bytes());
  } else if (const auto bloom = sections_.find(kSectionBloomFilter); bloom != sections_.end()) {
    lookup_offset_ = bloom->second.offset;
    ARROW_ASSIGN_OR_RAISE(lookup_bytes_, PinSection(bloom->second));
    ARROW_RETURN_NOT_OK(
        pages_->Verify(lookup_offset_, std::min(bloom->second.length, BloomFilter::kHeaderBytes)));
    auto filter = BloomFilter::Open(std::string_view(*lookup_bytes_));
    if (!filter.ok()) return Damage(filter.status(), lookup_offset_);
    bloom_filter_ = *filter;
  }
  return arrow::Status::OK();
}

void SstFile::AskForIndexLine(uint64_t hash) {
  // Read into memory, or copied there, it is not asked for.
  if (mapping_ == nullptr || &point_index() != &point_index_) return;
  if (!AskFor(point_index_.HomeLineBytes(hash))) return;
  // More often than there are pages: some were dropped after they had been read.
  if (++index_reads_ > lookup_bytes_->size() / kSstPageBytes + 1) CopyPointIndex();
}

void SstFile::CopyPointIndex() {
  if (copying_.exchange(true)) return;
  const int64_t length = lookup_bytes_->size();
  if (!options_.cache->TryTake(length)) return;
  // What fails here is met again, and told, by the lookups that go on as before.
  auto bytes = pages_->Read(lookup_offset_, length, options_.pool);
  const auto index =
      bytes.ok() ? PointIndex::Open(std::string_view(**bytes), meta_.rows) : bytes.status();
  if (!index.ok()) {
    options_.cache->GiveBack(length);
    return;
  }
  copied_bytes_ = *std::move(bytes);
  copied_index_ = *index;
  lookup_index_.store(&copied_index_, std::memory_order_release);
}

arrow::Status SstFile::OpenTombstones() {
  ARROW_ASSIGN_OR_RAISE(const auto bytes, ReadSection(kSectionRangeTombstones));
  std::vector<RangeTombstone> list;
  if (bytes->size() > 0) {
    auto tombstones = DecodeRangeTombstones(std::string_view(*bytes));
    if (!tombstones.ok()) {
      return Damage(tombstones.status(), sections_.find(kSectionRangeTombstones)->second.offset);
    }
    list = tombstones.MoveValueUnsafe();
  }
  if (list.size() != meta_.range_tombstones) {
    return Damage("the file has another number of range tombstones than the manifest says");
  }
  tombstones_ = RangeTombstoneSet(std::move(list));
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<arrow::Buffer>> SstFile::Bytes(int64_t offset, int64_t length,
                                                             bool check) const {
  if (mapping_ == nullptr) return pages_->Read(offset, length, options_.pool);
  if (check) ARROW_RETURN_NOT_OK(pages_->Verify(offset, length));
  return arrow::SliceBuffer(mapping_, offset, length);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> SstFile::PinSection(const SectionLocation& location) {
  ARROW_ASSIGN_OR_RAISE(auto bytes, Bytes(location.offset, location.length, /*check=*/false));
  if (mapping_ == nullptr) Pin(location.length);
  return bytes;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> SstFile::ReadSection(std::string_view name) const {
  const auto found = sections_.find(name);
  if (found == sections_.end()) return std::make_shared<arrow::Buffer>(nullptr, 0);
  return Bytes(found->second.offset, found->second.length, /*check=*/true);
}

arrow::Status SstFile::VerifyBuffers(const arrow::ArrayData& data) const {
  const uint8_t* base = mapping_->data();
  const auto covered = static_cast<uint64_t>(pages_->covered_bytes());
  for (const auto& buffer : data.buffers) {
    if (buffer == nullptr || buffer->size() == 0) continue;
    // Buffers that Arrow made itself (none today) are not the file's bytes and need no check.
    const auto offset = static_cast<uint64_t>(buffer->data() - base);
    if (offset >= covered) continue;
    ARROW_RETURN_NOT_OK(pages_->Verify(static_cast<int64_t>(offset), buffer->size()));
  }
  for (const auto& child : data.child_data) ARROW_RETURN_NOT_OK(VerifyBuffers(*child));
  return arrow::Status::OK();
}

arrow::Status SstFile::CheckCompression(BodyCompression compression, int64_t offset) const {
  if (may_be_compressed_ || compression == BodyCompression::kNone) return arrow::Status::OK();
  return Damage("the block is compressed, and the file's blocks are not", offset);
}

arrow::Result<SstFile::BlockMessage> SstFile::ReadMessage(int64_t block) const {
  const BlockEntry entry = blocks_.Entry(block);
  const int64_t at = entry.message_offset;
  BlockMessage message;
  ARROW_ASSIGN_OR_RAISE(message.bytes, Bytes(at, entry.message_length(), /*check=*/!zero_copy_));
  if (zero_copy_) ARROW_RETURN_NOT_OK(pages_->Verify(at, entry.metadata_length));
  const int64_t length = entry.metadata_length - kIpcPrefixBytes;
  if (LoadLittle<uint32_t>(message.bytes->data()) != 0xFFFFFFFFu ||
      LoadLittle<int32_t>(message.bytes->data() + 4) != length) {
    return Damage("no message starts where the block index says", at);
  }
  message.metadata =
      std::string_view(*message.bytes).substr(kIpcPrefixBytes, static_cast<size_t>(length));
  return message;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> SstFile::DecodeBlock(
    int64_t block, std::span<const int> columns, int64_t* memory) const {
  const BlockEntry entry = blocks_.Entry(block);
  const int64_t at = entry.message_offset;
  const int64_t length = entry.message_length();
  // Bytes of columns that nobody asked for are not looked at: of a mapped uncompressed block only
  // the metadata is checked before decoding, which only computes addresses, and then the buffers.
  ARROW_ASSIGN_OR_RAISE(const BlockMessage message, ReadMessage(block));
  const auto compression = CheckBodyClaims(
      message.metadata,
      {message.bytes->data() + entry.metadata_length, static_cast<size_t>(entry.body_length)});
  if (!compression.ok()) return Damage(compression.status(), at);
  ARROW_RETURN_NOT_OK(CheckCompression(*compression, at));
  const int64_t metadata_length = entry.metadata_length - kIpcPrefixBytes;
  auto decoded = Decode(arrow::SliceBuffer(message.bytes, kIpcPrefixBytes, metadata_length),
                        arrow::SliceBuffer(message.bytes, entry.metadata_length, entry.body_length),
                        file_schema_, columns, options_.pool);
  if (!decoded.ok()) return Damage(decoded.status(), at);
  std::shared_ptr<arrow::RecordBatch> batch = decoded.MoveValueUnsafe();
  if (batch->num_rows() != entry.rows) {
    return Damage("the block has another number of rows than the block index says", at);
  }
  *memory = 0;
  if (zero_copy_) return batch;
  // Slices of the read buffer, or decompressed buffers: the larger of the two bounds both.
  *memory =
      std::max(mapping_ == nullptr ? length + length / 8 : 0, arrow::util::TotalBufferSize(*batch));
  for (const auto& array : batch->columns()) ARROW_RETURN_NOT_OK(Validate(*array, block));
  return batch;
}

arrow::Status SstFile::Validate(const arrow::Array& array, int64_t block) const {
  const BlockEntry entry = blocks_.Entry(block);
  const arrow::Status valid = array.Validate();
  if (!valid.ok()) return Damage(valid, entry.message_offset);
  if (AllOffsetsAscend(*array.data())) return arrow::Status::OK();
  return Damage("offsets of a column descend", entry.message_offset);
}

arrow::Status SstFile::CheckColumns(int64_t block, std::span<const int> columns,
                                    std::span<const std::shared_ptr<arrow::Array>> arrays) const {
  if (IsChecked(block, columns)) return arrow::Status::OK();
  for (const auto& array : arrays) {
    ARROW_RETURN_NOT_OK(VerifyBuffers(*array->data()));
    ARROW_RETURN_NOT_OK(Validate(*array, block));
  }
  checked_[block].fetch_or(ColumnBits(columns) & ~kColumnsBeyond, std::memory_order_release);
  return arrow::Status::OK();
}

uint64_t SstFile::ColumnBits(std::span<const int> columns) {
  uint64_t bits = 0;
  for (const int column : columns) {
    bits |= column < kTrackedColumns ? uint64_t{1} << column : kColumnsBeyond;
  }
  return bits;
}

arrow::Status SstFile::CheckAllBytes() const {
  ARROW_RETURN_NOT_OK(ReadSstTail(file_.get(), path(), options_.uuid, meta_).status());
  return pages_->VerifyAll();
}

}  // namespace marble

#include "sst/sst_writer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <arrow/array/data.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/compression.h>
#include <arrow/util/key_value_metadata.h>

#include <marble/error.h>

#include "base/checksum.h"
#include "row/batch_ops.h"
#include "sst/aligned_payload.h"
#include "sst/block_index.h"
#include "sst/block_limits.h"
#include "sst/bloom_filter.h"
#include "sst/hidden_columns.h"
#include "sst/key_bounds.h"
#include "sst/point_index.h"
#include "sst/row_sizer.h"
#include "sst/sst_format.h"
#include "sst/sst_sink.h"
#include "sst/zone_map.h"

namespace marble {

namespace {

// What the point index costs a key, for estimating the file's size.
constexpr int64_t kIndexBytesPerKey = 7;

arrow::Result<arrow::ipc::IpcWriteOptions> IpcOptions(Compression compression,
                                                      arrow::MemoryPool* pool) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  // Compressed buffers are copied anyway: they need no place that memory could be mapped from.
  const bool mapped = compression == Compression::kNone;
  options.alignment = mapped ? static_cast<int32_t>(kSstSectionAlignment) : 8;
  options.use_threads = false;
  options.allow_64bit = true;  // elements of lists; the log has taken them
  options.memory_pool = pool;
  if (compression != Compression::kNone) {
    ARROW_ASSIGN_OR_RAISE(
        options.codec,
        arrow::util::Codec::Create(compression == Compression::kLz4 ? arrow::Compression::LZ4_FRAME
                                                                    : arrow::Compression::ZSTD));
  }
  return options;
}

int64_t BlockRowsMax(const TableOptions& table) {
  return table.block_rows_max > 0 ? std::min(table.block_rows_max, kBlockRowsMax) : kBlockRowsMax;
}

class SstWriterImpl final : public SstWriter {
 public:
  SstWriterImpl(FileSystem* fs, SstWriterOptions options, std::unique_ptr<WritableFile> file)
      : fs_(fs),
        options_(std::move(options)),
        file_(std::move(file)),
        sink_(std::make_unique<SstSink>(file_.get())),
        zone_maps_(options_.schema->stored_schema(),
                   options_.schema->is_append() ? -1 : options_.schema->codec()->columns().front()),
        metadata_(std::make_shared<arrow::KeyValueMetadata>()),
        keyed_(!options_.schema->is_append()),
        want_hashes_(keyed_ && options_.schema->options().point_lookup != PointLookup::kNone),
        unique_id_(RandomSeed()),
        limits_(options_.schema->block_bytes(codec()), BlockRowsMax(options_.schema->options())) {}

  arrow::Status Start();

  arrow::Status Add(const RowBatch& rows) override {
    if (status_.ok()) status_ = AddRows(rows);
    return status_;
  }
  void AddRangeTombstone(const RangeTombstone& tombstone) override {
    tombstones_.push_back(tombstone);
  }
  int64_t estimated_bytes() const override {
    return sink_->position() + pending_bytes_ +
           static_cast<int64_t>(index_.hashes().size()) * kIndexBytesPerKey;
  }
  int64_t rows() const override { return rows_; }
  arrow::Result<FileMeta> Finish() override;
  arrow::Status Abandon() override;

 private:
  Compression codec() const {
    return options_.compression.value_or(options_.schema->options().compression);
  }
  arrow::Status AddRows(const RowBatch& rows);
  arrow::Status CheckOrder(const RowBatch& rows) const;
  bool PendingIsFull() const { return limits_.IsFull(pending_rows_, pending_bytes_); }
  /// Takes rows [begin, end) of a batch into the pending block and their keys into the index.
  void Take(const RowBatch& rows, int64_t begin, int64_t end, int64_t bytes);
  void IndexKeys(const RowBatch& rows, int64_t begin, int64_t end);
  arrow::Status FlushBlock();
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> PendingColumns() const;
  arrow::Status WriteSections(SectionDirectory* directory);
  arrow::Status WriteSection(const char* name, const std::string& bytes,
                             SectionDirectory* directory);
  void AppendMetadata(const SectionDirectory& directory);
  FileMeta MakeMeta(uint64_t tail_checksum) const;

  FileSystem* const fs_;
  const SstWriterOptions options_;
  std::unique_ptr<WritableFile> file_;
  const std::unique_ptr<SstSink> sink_;
  ZoneMapBuilder zone_maps_;
  // Shared with Arrow's writer, which puts it into the footer when it is closed.
  const std::shared_ptr<arrow::KeyValueMetadata> metadata_;
  const bool keyed_;
  const bool want_hashes_;
  const uint64_t unique_id_;
  BlockLimits limits_;
  std::shared_ptr<arrow::Schema> file_schema_;
  arrow::ipc::IpcWriteOptions ipc_options_ = arrow::ipc::IpcWriteOptions::Defaults();
  std::unique_ptr<arrow::ipc::internal::IpcPayloadWriter> ipc_;
  arrow::Status status_;  // the first failure; nothing more is written after it

  // Rows of the block being collected: slices of the batches they came in.
  std::vector<RowBatch> pending_;
  int64_t pending_rows_ = 0;
  int64_t pending_bytes_ = 0;
  int64_t pending_keys_ = 0;  // distinct
  std::string pending_first_key_;

  std::string first_key_;
  std::string last_key_;
  int64_t rows_ = 0;
  int64_t data_begin_ = 0;
  int64_t data_end_ = 0;
  BlockIndexBuilder blocks_;
  PointIndexBuilder index_;
  HiddenStatistics statistics_;
  std::vector<RangeTombstone> tombstones_;
};

arrow::Status SstWriterImpl::Start() {
  const StoredSchema& schema = *options_.schema;
  file_schema_ = SstFileSchema(*schema.stored_schema(), !options_.constant_sequence.has_value(),
                               options_.with_kinds);
  ARROW_ASSIGN_OR_RAISE(ipc_options_, IpcOptions(codec(), options_.pool));
  // Payloads and not record batches are written, because their buffers have to be aligned first.
  ARROW_ASSIGN_OR_RAISE(ipc_, arrow::ipc::internal::MakePayloadFileWriter(sink_.get(), file_schema_,
                                                                          ipc_options_, metadata_));
  ARROW_RETURN_NOT_OK(ipc_->Start());
  arrow::ipc::IpcPayload payload;
  const arrow::ipc::DictionaryFieldMapper no_dictionaries(*file_schema_);
  ARROW_RETURN_NOT_OK(
      arrow::ipc::GetSchemaPayload(*file_schema_, ipc_options_, no_dictionaries, &payload));
  ARROW_RETURN_NOT_OK(ipc_->WritePayload(payload));
  if (!sink_->schema_written()) return arrow::Status::UnknownError("Arrow wrote no schema message");
  data_begin_ = sink_->position();
  return arrow::Status::OK();
}

arrow::Status SstWriterImpl::CheckOrder(const RowBatch& rows) const {
  // The batches' own order is their makers' promise (and SstReader::Verify's business); the seams
  // between batches are checked, because that costs nothing.
  if (keyed_ && rows.keys.size() != rows.num_rows()) {
    return arrow::Status::Invalid("rows without keys for ", options_.path);
  }
  if (keyed_ && rows_ > 0 && rows.keys[0] < last_key_) {
    return arrow::Status::Invalid("rows out of order for ", options_.path);
  }
  return arrow::Status::OK();
}

arrow::Status SstWriterImpl::AddRows(const RowBatch& rows) {
  const int64_t n = rows.num_rows();
  if (n == 0) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(CheckOrder(rows));
  const RowSizer sizer(*rows.columns, (options_.constant_sequence ? 0 : 8) + options_.with_kinds);
  int64_t at = 0;
  if (pending_rows_ > 0 && PendingIsFull()) {
    // The block waited for more versions of its last key.
    while (keyed_ && at < n && rows.keys[at] == last_key_) ++at;
    if (at > 0) Take(rows, 0, at, sizer.Bytes(0, at));
    if (at == n) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(FlushBlock());
  }
  while (at < n) {
    const int64_t room = limits_.rows() - pending_rows_;
    const int64_t limit = n - at > room ? at + room : n;
    int64_t end = sizer.FindEnd(at, limit, limits_.bytes() - pending_bytes_);
    const bool full = end <= limit || n - at >= room;
    end = std::min(end, limit);
    while (full && keyed_ && !rows.unique_keys && end < n && rows.keys[end] == rows.keys[end - 1]) {
      ++end;
    }
    Take(rows, at, end, sizer.Bytes(at, end));
    at = end;
    if (full && at < n) ARROW_RETURN_NOT_OK(FlushBlock());
  }
  return arrow::Status::OK();
}

void SstWriterImpl::Take(const RowBatch& rows, int64_t begin, int64_t end, int64_t bytes) {
  if (keyed_) {
    if (pending_rows_ == 0) pending_first_key_ = rows.keys[begin];
    if (rows_ == 0) first_key_ = rows.keys[begin];
    IndexKeys(rows, begin, end);
    last_key_ = rows.keys[end - 1];
  }
  pending_.push_back(begin == 0 && end == rows.num_rows() ? rows : rows.Slice(begin, end - begin));
  pending_rows_ += end - begin;
  pending_bytes_ += bytes;
  rows_ += end - begin;
}

void SstWriterImpl::IndexKeys(const RowBatch& rows, int64_t begin, int64_t end) {
  const int64_t first = rows_ - begin;
  const auto add = [&](int64_t i) {
    ++pending_keys_;
    if (!want_hashes_) return;
    index_.Add(HashKey(rows.keys[i], options_.hash_seed), static_cast<uint32_t>(first + i));
  };
  if (rows_ == 0 || rows.keys[begin] != last_key_) add(begin);
  if (rows.unique_keys) {
    for (int64_t i = begin + 1; i < end; ++i) add(i);
  } else {
    for (int64_t i = begin + 1; i < end; ++i) {
      if (rows.keys[i] != rows.keys[i - 1]) add(i);
    }
  }
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> SstWriterImpl::PendingColumns() const {
  if (pending_.size() == 1) return pending_[0].columns;
  std::vector<std::shared_ptr<arrow::RecordBatch>> sources;
  std::vector<RowSlice> slices;
  for (const RowBatch& rows : pending_) {
    slices.push_back({.source = static_cast<int32_t>(sources.size()), .length = rows.num_rows()});
    sources.push_back(rows.columns);
  }
  return Gather(options_.schema->stored_schema(), sources, slices, options_.pool);
}

arrow::Status SstWriterImpl::FlushBlock() {
  ARROW_ASSIGN_OR_RAISE(const auto columns, PendingColumns());
  ARROW_RETURN_NOT_OK(zone_maps_.AddBlock(*columns));
  HiddenColumns hidden(pending_, pending_rows_, options_.constant_sequence, options_.with_kinds);
  ARROW_RETURN_NOT_OK(hidden.status());
  std::vector<std::shared_ptr<arrow::ArrayData>> data = columns->column_data();
  hidden.AppendTo(&data);
  const auto batch = arrow::RecordBatch::Make(file_schema_, pending_rows_, std::move(data));

  BlockEntry entry;
  entry.message_offset = sink_->position();
  arrow::ipc::IpcPayload payload;
  ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(*batch, ipc_options_, &payload));
  if (ipc_options_.codec == nullptr) ARROW_RETURN_NOT_OK(AlignPayload(&payload));
  sink_->BeginMessage();
  ARROW_RETURN_NOT_OK(ipc_->WritePayload(payload));
  data_end_ = sink_->position();
  entry.metadata_length = sink_->MetadataLength();
  entry.body_length = payload.body_length;
  entry.rows = pending_rows_;
  entry.unique_keys = !keyed_ || pending_keys_ == pending_rows_;
  entry.has_kinds = hidden.statistics().non_puts > 0;
  entry.sequence_max = hidden.statistics().sequence_max;
  if (keyed_) {
    blocks_.Add(entry, pending_first_key_, last_key_);
  } else {
    blocks_.Add(entry, {}, {});
  }
  statistics_.Merge(hidden.statistics());
  limits_.Next(pending_rows_, pending_bytes_);
  pending_.clear();
  pending_rows_ = 0;
  pending_bytes_ = 0;
  pending_keys_ = 0;
  return arrow::Status::OK();
}

arrow::Status SstWriterImpl::WriteSection(const char* name, const std::string& bytes,
                                          SectionDirectory* directory) {
  ARROW_RETURN_NOT_OK(sink_->Align());
  const auto length = static_cast<int64_t>(bytes.size());
  directory->emplace(name, SectionLocation{sink_->position(), length});
  return sink_->Write(bytes.data(), length);
}

arrow::Status SstWriterImpl::WriteSections(SectionDirectory* directory) {
  static constexpr uint8_t kEndOfStream[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
  ARROW_RETURN_NOT_OK(sink_->Write(kEndOfStream, sizeof(kEndOfStream)));
  if (want_hashes_ && rows_ > 0) {
    const bool indexable = rows_ <= std::numeric_limits<uint32_t>::max();
    if (indexable && options_.schema->options().point_lookup == PointLookup::kPointIndex) {
      ARROW_RETURN_NOT_OK(WriteSection(kSectionPointIndex, index_.Finish(rows_), directory));
    } else {
      ARROW_RETURN_NOT_OK(
          WriteSection(kSectionBloomFilter, BuildBloomFilter(index_.hashes()), directory));
    }
  }
  ARROW_RETURN_NOT_OK(WriteSection(kSectionBlockIndex, blocks_.Finish(), directory));
  ARROW_ASSIGN_OR_RAISE(const std::string zones, zone_maps_.Finish(ipc_options_.codec));
  ARROW_RETURN_NOT_OK(WriteSection(kSectionZoneMaps, zones, directory));
  if (!tombstones_.empty()) {
    ARROW_RETURN_NOT_OK(
        WriteSection(kSectionRangeTombstones, EncodeRangeTombstones(tombstones_), directory));
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t offset, sink_->WritePageChecksums());
  directory->emplace(kSectionPageChecksums, SectionLocation{offset, sink_->position() - offset});
  return arrow::Status::OK();
}

std::string KeyColumnsText(const StoredSchema& schema) {
  std::string text;
  if (schema.is_append()) return text;
  for (const int column : schema.codec()->columns()) {
    text += (text.empty() ? "" : ",") + std::to_string(column);
  }
  return text;
}

void SstWriterImpl::AppendMetadata(const SectionDirectory& directory) {
  metadata_->Append(kMetadataVersion, std::to_string(kSstVersion));
  metadata_->Append(kMetadataFlags, "0,0,0");
  metadata_->Append(kMetadataUuid, ToHex(options_.uuid));
  metadata_->Append(kMetadataUniqueId, std::to_string(unique_id_));
  metadata_->Append(kMetadataSchemaVersion, std::to_string(options_.schema->version()));
  metadata_->Append(kMetadataTableId, std::to_string(options_.table_id));
  metadata_->Append(kMetadataTableName, options_.table_name);
  metadata_->Append(kMetadataKeyColumns, KeyColumnsText(*options_.schema));
  if (options_.newest_sequence.has_value()) {
    metadata_->Append(kMetadataNewestSequence, std::to_string(*options_.newest_sequence));
  }
  metadata_->Append(kMetadataSections, EncodeSectionDirectory(directory));
}

FileMeta SstWriterImpl::MakeMeta(uint64_t tail_checksum) const {
  FileMeta meta;
  meta.number = options_.number;
  meta.size = static_cast<uint64_t>(sink_->position());
  meta.tail_checksum = tail_checksum;
  meta.unique_id = unique_id_;
  meta.rows = static_cast<uint64_t>(rows_);
  meta.data_bytes = rows_ == 0 ? 0 : static_cast<uint64_t>(data_end_ - data_begin_);
  meta.constant_sequence = options_.constant_sequence;
  meta.first_row_id = options_.first_row_id;
  meta.deletes = statistics_.deletes;
  meta.range_tombstones = tombstones_.size();
  meta.schema_version = options_.schema->version();
  if (codec() != options_.schema->options().compression) meta.compression = codec();
  KeyBounds bounds;
  if (rows_ > 0) {
    meta.sequence_min = statistics_.sequence_min;
    meta.sequence_max = statistics_.sequence_max;
    if (keyed_) {
      bounds.AddRows(first_key_, last_key_);
    } else {
      bounds.AddRows(EncodeRowId(options_.first_row_id),
                     EncodeRowId(options_.first_row_id + static_cast<uint64_t>(rows_) - 1));
    }
  }
  bool any = rows_ > 0;
  for (const RangeTombstone& tombstone : tombstones_) {
    bounds.AddTombstone(tombstone);
    meta.sequence_min = any ? std::min(meta.sequence_min, tombstone.sequence) : tombstone.sequence;
    meta.sequence_max = std::max(meta.sequence_max, tombstone.sequence);
    any = true;
  }
  bounds.Store(&meta);
  return meta;
}

arrow::Result<FileMeta> SstWriterImpl::Finish() {
  ARROW_RETURN_NOT_OK(status_);
  status_ = ClosedError(options_.path + " was finished");
  if (pending_rows_ > 0) ARROW_RETURN_NOT_OK(FlushBlock());
  SectionDirectory directory;
  ARROW_RETURN_NOT_OK(WriteSections(&directory));
  AppendMetadata(directory);
  ARROW_RETURN_NOT_OK(ipc_->Close());
  ARROW_ASSIGN_OR_RAISE(const uint64_t tail_checksum, sink_->Finish());
  ARROW_RETURN_NOT_OK(file_->Sync());
  ARROW_RETURN_NOT_OK(file_->Close());
  file_ = nullptr;
  return MakeMeta(tail_checksum);
}

arrow::Status SstWriterImpl::Abandon() {
  if (file_ == nullptr) return arrow::Status::OK();  // finished, or abandoned before
  status_ = ClosedError(options_.path + " was abandoned");
  const arrow::Status closed = file_->Close();
  file_ = nullptr;
  ARROW_RETURN_NOT_OK(fs_->Remove(options_.path));
  return closed;
}

}  // namespace

arrow::Result<std::unique_ptr<SstWriter>> SstWriter::Create(FileSystem* fs,
                                                            SstWriterOptions options) {
  if (options.pool == nullptr) options.pool = arrow::default_memory_pool();
  ARROW_ASSIGN_OR_RAISE(auto file, fs->CreateWritable(options.path));
  auto writer = std::make_unique<SstWriterImpl>(fs, std::move(options), std::move(file));
  const arrow::Status status = writer->Start();
  if (!status.ok()) {
    ARROW_RETURN_NOT_OK(writer->Abandon());
    return status;
  }
  return writer;
}

}  // namespace marble

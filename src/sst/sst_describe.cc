#include "sst/sst_describe.h"

#include <algorithm>
#include <utility>

#include <arrow/util/key_value_metadata.h>

#include <marble/error.h>

#include "base/coding.h"
#include "sst/block_index.h"
#include "sst/page_verifier.h"

namespace marble {

namespace {

/// Offsets in a block index (block_index.h).
constexpr int64_t kRowsAt = 8;
constexpr int64_t kSequenceAt = 40;

/// Rows and the highest sequence. What else the index says is checked when the file is opened.
arrow::Status FillFromBlockIndex(PageVerifier* pages, const SectionLocation& index,
                                 bool has_sequences, FileMeta* meta) {
  ARROW_ASSIGN_OR_RAISE(auto bytes,
                        pages->Read(index.offset, index.length, arrow::default_memory_pool()));
  if (index.length < BlockIndex::kHeaderBytes) return arrow::Status::OK();
  const int64_t blocks_max = (index.length - BlockIndex::kHeaderBytes) / BlockIndex::kEntryBytes;
  const uint64_t blocks = std::min<uint64_t>(LoadLittle<uint64_t>(bytes->data()), blocks_max);
  meta->rows = LoadLittle<uint64_t>(bytes->data() + kRowsAt);
  for (uint64_t block = 0; block < blocks; ++block) {
    const uint8_t* entry =
        bytes->data() + BlockIndex::kHeaderBytes + block * BlockIndex::kEntryBytes;
    meta->sequence_max = std::max(meta->sequence_max, LoadLittle<uint64_t>(entry + kSequenceAt));
  }
  if (!has_sequences) meta->constant_sequence = meta->sequence_max;
  return arrow::Status::OK();
}

/// One at least, where the section is damaged: no file has one without any. Opening will tell.
arrow::Status CountTombstones(PageVerifier* pages, const SectionLocation& section, FileMeta* meta) {
  meta->range_tombstones = 1;
  const auto head = pages->Read(section.offset, std::min<int64_t>(section.length, kVarintBytesMax),
                                arrow::default_memory_pool());
  if (head.status().IsOutOfMemory()) return head.status();
  if (head.ok()) Decoder(std::string_view(**head)).Varint(&meta->range_tombstones);
  return arrow::Status::OK();
}

arrow::Result<std::shared_ptr<const StoredSchema>> SchemaOf(const SstTail& tail) {
  arrow::FieldVector fields;
  for (const auto& field : tail.schema->fields()) {
    const bool hidden = field->HasMetadata() && field->metadata()->Contains(kMetadataHidden);
    if (!hidden) fields.push_back(field->RemoveMetadata());
  }
  TableOptions options;
  for (const int column : *tail.identity.key_columns) {
    if (column >= static_cast<int>(fields.size())) {
      return arrow::Status::Invalid("the footer names a key column that is none");
    }
    options.primary_key.push_back(fields[column]->name());
  }
  return StoredSchema::Make(arrow::schema(std::move(fields)), std::move(options));
}

}  // namespace

arrow::Result<SstDescription> DescribeSst(FileSystem* fs, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path));
  SstDescription out;
  ARROW_ASSIGN_OR_RAISE(out.tail, ReadLoneSstTail(file.get(), path));
  out.meta.size = static_cast<uint64_t>(file->size());
  out.meta.tail_checksum = out.tail.checksum;
  out.meta.unique_id = out.tail.identity.unique_id;
  out.meta.schema_version = out.tail.identity.schema_version;
  PageVerifier pages(file, nullptr, path, out.tail.start, out.tail.page_checksums);
  const bool has_sequences = std::ranges::any_of(out.tail.schema->fields(), [](const auto& field) {
    return field->HasMetadata() &&
           field->metadata()->Get(kMetadataHidden).ValueOr("") == "sequence";
  });
  out.status = FillFromBlockIndex(&pages, out.tail.sections.find(kSectionBlockIndex)->second,
                                  has_sequences, &out.meta);
  out.meta.sequence_max = std::max(out.meta.sequence_max, out.tail.identity.newest_sequence);
  const auto tombstones = out.tail.sections.find(kSectionRangeTombstones);
  if (tombstones != out.tail.sections.end() && out.status.ok()) {
    out.status = CountTombstones(&pages, tombstones->second, &out.meta);
  }
  if (!out.tail.identity.key_columns.has_value()) return out;
  auto schema = SchemaOf(out.tail);
  if (!schema.ok()) return CorruptionError(path, out.tail.start, schema.status().message());
  out.schema = *schema;
  return out;
}

}  // namespace marble

#include "tree/version_edit.h"

#include <charconv>
#include <limits>

#include "base/coding.h"

namespace marble {

namespace {

// Tags are on disk and never reused.
enum EditTag : uint64_t {
  kCreated = 1,
  kDropped = 2,
  kTable = 3,
  kNextTableId = 4,
  kNextFileNumber = 5,
  kLastSequence = 6,
  kHashSeed = 7,
  kLogStart = 8,
  kDurableThrough = 9,
  kAltered = 10,
  kLogFirstSequence = 11,
};
enum TableTag : uint64_t {
  kTableId = 1,
  kRemoved = 2,
  kAdded = 3,
  kFlushedSequence = 4,
  kNextRowId = 5,
};
enum FileTag : uint64_t {
  kNumber = 1,
  kSize = 2,
  kTailChecksum = 3,
  kUniqueId = 4,
  kRows = 5,
  kDataBytes = 6,
  kSmallest = 7,
  kLargest = 8,
  kLargestExclusive = 9,
  kUnboundedEnd = 10,
  kSequenceMin = 11,
  kSequenceMax_ = 12,
  kConstantSequence = 13,
  kFirstRowId = 14,
  kDeletes = 15,
  kRangeTombstones = 16,
  kSchemaVersion = 17,
  kCompression = 18,
};

void PutField(std::string* out, uint64_t tag, std::string_view bytes) {
  PutVarint(out, tag);
  PutBytes(out, bytes);
}

void PutNumber(std::string* out, uint64_t tag, uint64_t value) {
  std::string bytes;
  PutVarint(&bytes, value);
  PutField(out, tag, bytes);
}

arrow::Status ReadNumber(uint64_t tag, std::string_view bytes, uint64_t* out) {
  Decoder decoder(bytes);
  if (decoder.Varint(out) && decoder.AtEnd()) return arrow::Status::OK();
  return arrow::Status::Invalid("bad value of field ", tag);
}

/// NotImplemented: a newer version wrote it, and what it says must not be lost.
arrow::Status UnknownField(uint64_t tag) {
  return arrow::Status::NotImplemented("unknown field ", tag);
}

/// Calls `field(tag, bytes)` for each field until one of the answers is an error.
template <typename Field>
arrow::Status ForEachField(std::string_view bytes, const char* what, Field field) {
  Decoder decoder(bytes);
  while (!decoder.AtEnd()) {
    uint64_t tag = 0;
    std::string_view value;
    if (!decoder.Varint(&tag) || !decoder.Bytes(&value)) {
      return arrow::Status::Invalid(what, ": cut short");
    }
    const arrow::Status status = field(tag, value);
    if (!status.ok()) return status.WithMessage(what, ": ", status.message());
  }
  return arrow::Status::OK();
}

std::map<std::string, std::string> NamedOptions(const TableRecord& record) {
  std::map<std::string, std::string> named = record.unknown_options;
  std::string key;
  for (const std::string& column : record.options.primary_key) PutBytes(&key, column);
  named["primary_key"] = key;
  named["compression"] = std::to_string(static_cast<int>(record.options.compression));
  if (record.options.bottom_compression) {
    named["bottom_compression"] =
        std::to_string(static_cast<int>(*record.options.bottom_compression));
  }
  named["point_lookup"] = std::to_string(static_cast<int>(record.options.point_lookup));
  named["block_bytes"] = std::to_string(record.options.block_bytes);
  named["block_rows_max"] = std::to_string(record.options.block_rows_max);
  return named;
}

bool ParseInt(const std::string& text, int64_t low, int64_t high, int64_t* out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out >= low && *out <= high;
}

bool SetOption(const std::string& name, const std::string& value, TableRecord* record) {
  TableOptions& options = record->options;
  int64_t number = 0;
  if (name == "primary_key") {
    Decoder decoder(value);
    while (!decoder.AtEnd()) {
      if (!decoder.Bytes(&options.primary_key.emplace_back())) return false;
    }
    return true;
  }
  if (name == "compression") {
    if (!ParseInt(value, 0, 2, &number)) return false;
    options.compression = static_cast<Compression>(number);
    return true;
  }
  if (name == "bottom_compression") {
    if (!ParseInt(value, 0, 2, &number)) return false;
    options.bottom_compression = static_cast<Compression>(number);
    return true;
  }
  if (name == "point_lookup") {
    if (!ParseInt(value, 0, 2, &number)) return false;
    options.point_lookup = static_cast<PointLookup>(number);
    return true;
  }
  if (name == "block_bytes") return ParseInt(value, 0, int64_t{1} << 40, &options.block_bytes);
  if (name == "block_rows_max") {
    return ParseInt(value, 0, std::numeric_limits<int64_t>::max(), &options.block_rows_max);
  }
  record->unknown_options[name] = value;
  return true;
}

std::string EncodeTableEdit(const TableEdit& edit) {
  std::string out;
  PutNumber(&out, kTableId, edit.table);
  for (uint64_t number : edit.removed) PutNumber(&out, kRemoved, number);
  for (const AddedFile& file : edit.added) {
    std::string bytes;
    PutVarint(&bytes, file.level);
    PutVarint(&bytes, file.run);
    PutBytes(&bytes, EncodeFileMeta(file.meta));
    PutField(&out, kAdded, bytes);
  }
  if (edit.flushed_sequence) PutNumber(&out, kFlushedSequence, *edit.flushed_sequence);
  if (edit.next_row_id) PutNumber(&out, kNextRowId, *edit.next_row_id);
  return out;
}

arrow::Result<AddedFile> DecodeAddedFile(std::string_view bytes) {
  Decoder decoder(bytes);
  uint64_t level = 0;
  AddedFile file;
  std::string_view meta;
  if (!decoder.Varint(&level) || !decoder.Varint(&file.run) || !decoder.Bytes(&meta) ||
      !decoder.AtEnd() || level >= 64) {
    return arrow::Status::Invalid("added file: bad bytes");
  }
  file.level = static_cast<uint32_t>(level);
  ARROW_ASSIGN_OR_RAISE(file.meta, DecodeFileMeta(meta));
  return file;
}

arrow::Result<TableEdit> DecodeTableEdit(std::string_view bytes) {
  TableEdit edit;
  auto field = [&](uint64_t tag, std::string_view value) -> arrow::Status {
    if (tag == kAdded) return DecodeAddedFile(value).Value(&edit.added.emplace_back());
    if (tag < kTableId || tag > kNextRowId) return UnknownField(tag);
    uint64_t number = 0;
    ARROW_RETURN_NOT_OK(ReadNumber(tag, value, &number));
    if (tag == kTableId) edit.table = static_cast<uint32_t>(number);
    if (tag == kRemoved) edit.removed.push_back(number);
    if (tag == kFlushedSequence) edit.flushed_sequence = number;
    if (tag == kNextRowId) edit.next_row_id = number;
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ForEachField(bytes, "table edit", field));
  return edit;
}

/// Which of the table's schemas it is, and its columns' ids.
void PutColumns(std::string* out, const SchemaRecord& schema) {
  PutVarint(out, schema.version);
  PutVarint(out, schema.column_ids.size());
  for (const uint32_t id : schema.column_ids) PutVarint(out, id);
}

void PutSchema(std::string* out, const SchemaRecord& schema) {
  PutBytes(out, schema.schema);
  PutColumns(out, schema);
}

bool ReadId(Decoder* decoder, uint32_t* id) {
  uint64_t number = 0;
  if (!decoder->Varint(&number)) return false;
  *id = static_cast<uint32_t>(number);
  return true;
}

void ReadColumns(Decoder* decoder, SchemaRecord* schema) {
  ReadId(decoder, &schema->version);
  uint64_t columns = 0;
  decoder->Varint(&columns);
  for (uint64_t i = 0; decoder->ok() && i < columns; ++i) {
    ReadId(decoder, &schema->column_ids.emplace_back());
  }
}

void ReadSchema(Decoder* decoder, SchemaRecord* schema) {
  decoder->Bytes(&schema->schema);
  ReadColumns(decoder, schema);
}

arrow::Result<LogPosition> DecodePosition(std::string_view bytes) {
  Decoder decoder(bytes);
  LogPosition position;
  if (decoder.Varint(&position.segment) && decoder.Varint(&position.offset) && decoder.AtEnd()) {
    return position;
  }
  return arrow::Status::Invalid("a bad log position");
}

}  // namespace

std::string EncodeTableRecord(const TableRecord& record) {
  std::string out;
  PutVarint(&out, record.id);
  PutBytes(&out, record.name);
  PutBytes(&out, record.schema.schema);
  const auto named = NamedOptions(record);
  PutVarint(&out, named.size());
  for (const auto& [name, value] : named) {
    PutBytes(&out, name);
    PutBytes(&out, value);
  }
  if (record.schema.version == 0) return out;
  PutColumns(&out, record.schema);
  PutVarint(&out, record.older_schemas.size());
  for (const SchemaRecord& schema : record.older_schemas) PutSchema(&out, schema);
  PutVarint(&out, record.defaults.size());
  for (const auto& [id, value] : record.defaults) {
    PutVarint(&out, id);
    PutBytes(&out, value);
  }
  PutVarint(&out, record.next_column_id);
  return out;
}

arrow::Result<TableRecord> DecodeTableRecord(std::string_view bytes) {
  Decoder decoder(bytes);
  TableRecord record;
  uint64_t id = 0;
  uint64_t options = 0;
  decoder.Varint(&id);
  decoder.Bytes(&record.name);
  decoder.Bytes(&record.schema.schema);
  decoder.Varint(&options);
  record.id = static_cast<uint32_t>(id);
  for (uint64_t i = 0; decoder.ok() && i < options; ++i) {
    std::string name;
    std::string value;
    if (decoder.Bytes(&name) && decoder.Bytes(&value) && !SetOption(name, value, &record)) {
      return arrow::Status::Invalid("table '", record.name, "': bad value of option ", name);
    }
  }
  if (decoder.ok() && decoder.AtEnd()) return record;  // as it was created
  ReadColumns(&decoder, &record.schema);
  uint64_t older = 0;
  decoder.Varint(&older);
  for (uint64_t i = 0; decoder.ok() && i < older; ++i) {
    ReadSchema(&decoder, &record.older_schemas.emplace_back());
  }
  uint64_t defaults = 0;
  decoder.Varint(&defaults);
  for (uint64_t i = 0; decoder.ok() && i < defaults; ++i) {
    uint32_t column = 0;
    if (ReadId(&decoder, &column)) decoder.Bytes(&record.defaults[column]);
  }
  ReadId(&decoder, &record.next_column_id);
  if (!decoder.ok() || !decoder.AtEnd()) return arrow::Status::Invalid("table record: bad bytes");
  return record;
}

std::string EncodeFileMeta(const FileMeta& meta) {
  std::string out;
  PutNumber(&out, kNumber, meta.number);
  PutNumber(&out, kSize, meta.size);
  PutNumber(&out, kTailChecksum, meta.tail_checksum);
  PutNumber(&out, kUniqueId, meta.unique_id);
  PutNumber(&out, kRows, meta.rows);
  PutNumber(&out, kDataBytes, meta.data_bytes);
  PutField(&out, kSmallest, meta.smallest);
  PutField(&out, kLargest, meta.largest);
  PutNumber(&out, kLargestExclusive, meta.largest_exclusive);
  PutNumber(&out, kUnboundedEnd, meta.unbounded_end);
  PutNumber(&out, kSequenceMin, meta.sequence_min);
  PutNumber(&out, kSequenceMax_, meta.sequence_max);
  if (meta.constant_sequence) PutNumber(&out, kConstantSequence, *meta.constant_sequence);
  PutNumber(&out, kFirstRowId, meta.first_row_id);
  PutNumber(&out, kDeletes, meta.deletes);
  PutNumber(&out, kRangeTombstones, meta.range_tombstones);
  PutNumber(&out, kSchemaVersion, meta.schema_version);
  // Unknown to versions that take a file's codec for its table's, which must not read it.
  if (meta.compression) PutNumber(&out, kCompression, static_cast<uint64_t>(*meta.compression));
  return out;
}

namespace {

/// Assigns a numeric field of `meta`; false if the tag is not one.
bool SetFileNumber(uint64_t tag, uint64_t number, FileMeta* meta) {
  switch (tag) {
    case kNumber:
      meta->number = number;
      return true;
    case kSize:
      meta->size = number;
      return true;
    case kTailChecksum:
      meta->tail_checksum = number;
      return true;
    case kUniqueId:
      meta->unique_id = number;
      return true;
    case kRows:
      meta->rows = number;
      return true;
    case kDataBytes:
      meta->data_bytes = number;
      return true;
    case kLargestExclusive:
      meta->largest_exclusive = number != 0;
      return true;
    case kUnboundedEnd:
      meta->unbounded_end = number != 0;
      return true;
    case kSequenceMin:
      meta->sequence_min = number;
      return true;
    case kSequenceMax_:
      meta->sequence_max = number;
      return true;
    case kConstantSequence:
      meta->constant_sequence = number;
      return true;
    case kFirstRowId:
      meta->first_row_id = number;
      return true;
    case kDeletes:
      meta->deletes = number;
      return true;
    case kRangeTombstones:
      meta->range_tombstones = number;
      return true;
    case kSchemaVersion:
      meta->schema_version = static_cast<uint32_t>(number);
      return true;
    case kCompression:
      meta->compression = static_cast<Compression>(number);
      return number <= static_cast<uint64_t>(Compression::kZstd);
    default:
      return false;
  }
}

}  // namespace

arrow::Result<FileMeta> DecodeFileMeta(std::string_view bytes) {
  FileMeta meta;
  auto field = [&](uint64_t tag, std::string_view value) -> arrow::Status {
    if (tag == kSmallest || tag == kLargest) {
      (tag == kSmallest ? meta.smallest : meta.largest) = value;
      return arrow::Status::OK();
    }
    uint64_t number = 0;
    ARROW_RETURN_NOT_OK(ReadNumber(tag, value, &number));
    return SetFileNumber(tag, number, &meta) ? arrow::Status::OK() : UnknownField(tag);
  };
  ARROW_RETURN_NOT_OK(ForEachField(bytes, "file record", field));
  return meta;
}

TableEdit* VersionEdit::For(uint32_t table) {
  for (TableEdit& edit : tables) {
    if (edit.table == table) return &edit;
  }
  TableEdit& edit = tables.emplace_back();
  edit.table = table;
  return &edit;
}

void VersionEdit::Append(VersionEdit other) {
  auto append = [](auto* to, auto&& from) {
    to->insert(to->end(), std::make_move_iterator(from.begin()),
               std::make_move_iterator(from.end()));
  };
  append(&created, other.created);
  append(&altered, other.altered);
  append(&dropped, other.dropped);
  for (TableEdit& from : other.tables) {
    TableEdit* to = For(from.table);
    for (const uint64_t number : from.removed) {
      // Removals of an edit come before its additions: a file that comes and goes cancels out.
      const auto is_it = [number](const AddedFile& file) { return file.meta.number == number; };
      if (std::erase_if(to->added, is_it) == 0) to->removed.push_back(number);
    }
    append(&to->added, from.added);
    if (from.flushed_sequence) to->flushed_sequence = from.flushed_sequence;
    if (from.next_row_id) to->next_row_id = from.next_row_id;
  }
  if (other.next_table_id) next_table_id = other.next_table_id;
  if (other.next_file_number) next_file_number = other.next_file_number;
  if (other.last_sequence) last_sequence = other.last_sequence;
  if (other.hash_seed) hash_seed = other.hash_seed;
  if (other.log_start) log_start = other.log_start;
  if (other.log_first_sequence) log_first_sequence = other.log_first_sequence;
  if (other.durable_through) durable_through = other.durable_through;
}

std::string EncodeVersionEdit(const VersionEdit& edit) {
  std::string out;
  for (const TableRecord& record : edit.created)
    PutField(&out, kCreated, EncodeTableRecord(record));
  for (const TableRecord& record : edit.altered)
    PutField(&out, kAltered, EncodeTableRecord(record));
  for (uint32_t id : edit.dropped) PutNumber(&out, kDropped, id);
  for (const TableEdit& table : edit.tables) PutField(&out, kTable, EncodeTableEdit(table));
  if (edit.next_table_id) PutNumber(&out, kNextTableId, *edit.next_table_id);
  if (edit.next_file_number) PutNumber(&out, kNextFileNumber, *edit.next_file_number);
  if (edit.last_sequence) PutNumber(&out, kLastSequence, *edit.last_sequence);
  if (edit.hash_seed) PutNumber(&out, kHashSeed, *edit.hash_seed);
  if (edit.log_start) PutNumber(&out, kLogStart, *edit.log_start);
  if (edit.log_first_sequence) PutNumber(&out, kLogFirstSequence, *edit.log_first_sequence);
  if (edit.durable_through) {
    std::string position;
    PutVarint(&position, edit.durable_through->segment);
    PutVarint(&position, edit.durable_through->offset);
    PutField(&out, kDurableThrough, position);
  }
  return out;
}

arrow::Result<VersionEdit> DecodeVersionEdit(std::string_view bytes) {
  VersionEdit edit;
  auto field = [&](uint64_t tag, std::string_view value) -> arrow::Status {
    if (tag == kCreated) return DecodeTableRecord(value).Value(&edit.created.emplace_back());
    if (tag == kAltered) return DecodeTableRecord(value).Value(&edit.altered.emplace_back());
    if (tag == kTable) return DecodeTableEdit(value).Value(&edit.tables.emplace_back());
    if (tag == kDurableThrough) return DecodePosition(value).Value(&edit.durable_through.emplace());
    if (tag < kCreated || tag > kLogFirstSequence) return UnknownField(tag);
    uint64_t number = 0;
    ARROW_RETURN_NOT_OK(ReadNumber(tag, value, &number));
    if (tag == kDropped) edit.dropped.push_back(static_cast<uint32_t>(number));
    if (tag == kNextTableId) edit.next_table_id = static_cast<uint32_t>(number);
    if (tag == kNextFileNumber) edit.next_file_number = number;
    if (tag == kLastSequence) edit.last_sequence = number;
    if (tag == kHashSeed) edit.hash_seed = number;
    if (tag == kLogStart) edit.log_start = number;
    if (tag == kLogFirstSequence) edit.log_first_sequence = number;
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ForEachField(bytes, "version edit", field));
  return edit;
}

}  // namespace marble

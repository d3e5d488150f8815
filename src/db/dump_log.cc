#include <algorithm>
#include <utility>

#include <marble/error.h>

#include "db/commit_record.h"
#include "db/dump_parts.h"
#include "db/logged_operation.h"
#include "db/survey.h"
#include "log/log_reader.h"
#include "tree/version_edit.h"

namespace marble {

namespace {

const char* NameOf(OperationKind kind) {
  static constexpr const char* kNames[] = {"?",           "put",         "delete", "delete range",
                                           "insert rows", "delete rows", "attach", "create table",
                                           "drop table"};
  const auto index = static_cast<size_t>(kind);
  return index < std::size(kNames) ? kNames[index] : kNames[0];
}

Document DumpTable(const TableRecord& record, DumpSchemas* schemas) {
  Document out = Document::Object();
  out.Add("id", record.id).Add("name", Printable(record.name, 255));
  std::string key;
  for (const std::string& column : record.options.primary_key) {
    key += (key.empty() ? "" : ", ") + Printable(column);
  }
  out.Add("primary_key", key);
  out.Add("compression", static_cast<int>(record.options.compression));
  out.Add("point_lookup", static_cast<int>(record.options.point_lookup));
  out.Add("block_bytes", record.options.block_bytes);
  out.Add("block_rows_max", record.options.block_rows_max);
  out.Add("schema_version", record.schema.version);
  out.Add("older_schemas", record.older_schemas.size());
  auto schema = SchemaOf(record);
  if (!schema.ok()) return std::move(out.Add("schema_damage", schema.status().message()));
  Document fields = Document::Array();
  for (const auto& field : (*schema)->user_schema()->fields()) {
    fields.Append(Document::Text(field->ToString()));
  }
  out.Add("columns", std::move(fields));
  (*schemas)[record.id] = *schema;
  return out;
}

/// Walks the records of one file.
class LogDumper {
 public:
  LogDumper(std::string path, bool rows, DumpSchemas schemas, Document* out)
      : path_(std::move(path)), rows_(rows), schemas_(std::move(schemas)), out_(out) {}

  arrow::Status Run(FileSystem* fs) {
    ARROW_ASSIGN_OR_RAISE(auto file, fs->OpenReadable(path_));
    ARROW_ASSIGN_OR_RAISE(const auto head, file->Read(0, std::min(file->size(), kLogHeaderBytes)));
    ARROW_ASSIGN_OR_RAISE(const LogFileHeader header,
                          DecodeLogFileHeader(std::string_view(*head), path_));
    is_manifest_ = header.kind == LogFileKind::kManifest;
    out_->Add("kind", is_manifest_ ? "manifest" : "log segment");
    out_->Add("format_version", kFormatVersion).Add("uuid", ToHex(header.uuid));
    out_->Add("number", header.number).Add("predecessor", header.predecessor);
    out_->Add("may_only_read", header.may_only_read);
    out_->Add("seeded_with_uuid", header.seeded_with_uuid);
    ARROW_ASSIGN_OR_RAISE(
        auto reader, LogReader::Open(std::move(file), path_, header.kind, nullptr, header.number));
    Document records = Document::Array();
    const arrow::Status status = DumpRecords(reader.get(), &records);
    out_->Add("end", end_).Add("records", std::move(records));
    return status;
  }

 private:
  arrow::Status DumpRecords(LogReader* reader, Document* records) {
    arrow::Status damage;
    while (true) {
      ARROW_ASSIGN_OR_RAISE(auto record, reader->FindAfter(end_));
      if (record != nullptr && record->begin.offset != end_) {
        // A process may have written it, and all before it, since the bytes here were read.
        reader->Refresh();
        ARROW_ASSIGN_OR_RAISE(record, reader->FindAfter(end_));
      }
      if (record == nullptr) {
        if (!damage.ok() || !reader->gave_up()) return damage;
        return CorruptionError(path_, static_cast<int64_t>(end_), kSearchGaveUp);
      }
      if (record->begin.offset != end_ && damage.ok()) {
        damage = CorruptionError(path_, static_cast<int64_t>(end_),
                                 "a record is damaged and valid ones follow it");
      }
      end_ = record->end.offset;
      arrow::Status status;
      records->Append(DumpRecord(*record, &status));
      if (damage.ok()) damage = status;
    }
  }

  Document DumpRecord(const LogRecord& record, arrow::Status* status) {
    static constexpr const char* kKinds[] = {"?", "commit", "edit", "clean end"};
    const LogRecordHeader& header = record.header;
    Document out = Document::Object();
    out.Add("offset", record.begin.offset).Add("kind", kKinds[static_cast<size_t>(header.kind)]);
    out.Add("payload_bytes", header.payload_bytes);
    out.Add("durable_segment", header.durable_through.segment);
    out.Add("durable_offset", header.durable_through.offset);
    if (header.kind == LogRecordKind::kCommit) {
      out.Add("first_sequence", header.first_sequence).Add("operations", header.count);
      Document operations = Document::Array();
      uint64_t sequence = header.first_sequence;
      *status = ReadCommitRecord(record.payload, header.count, [&](const LoggedOperation& op) {
        Document operation = DumpOperation(sequence++, op);
        if (rows_ || operations.size() < kDumpItems) operations.Append(std::move(operation));
        return arrow::Status::OK();
      });
      out.Add(rows_ || header.count <= kDumpItems ? "all" : "first", std::move(operations));
    } else if (header.kind == LogRecordKind::kEdit) {
      auto edit = DecodeVersionEdit(std::string_view(*record.payload));
      *status = edit.status();
      if (edit.ok()) DumpEdit(*edit, &out);
    }
    *status = StatusOfRecord(*status, path_, record.begin.offset);
    return out;
  }

  const StoredSchema* Schema(uint32_t table) const {
    const auto found = schemas_.find(table);
    return found == schemas_.end() ? nullptr : found->second.get();
  }

  Document DumpOperation(uint64_t sequence, const LoggedOperation& op) {
    const StoredSchema* schema = Schema(op.table);
    Document out = Document::Object();
    out.Add("sequence", sequence).Add("operation", NameOf(op.kind)).Add("table", op.table);
    switch (op.kind) {
      case OperationKind::kPut:
        out.Add("key", DumpKey(schema, op.key)).Add("value_bytes", op.value.size());
        break;
      case OperationKind::kDelete:
        out.Add("key", DumpKey(schema, op.key));
        break;
      case OperationKind::kDeleteRange:
        out.Add("begin", DumpKey(schema, op.key));
        out.Add("end", op.end_unbounded ? "(no end)" : DumpKey(schema, op.value));
        break;
      case OperationKind::kInsertRows:
      case OperationKind::kDeleteRows:
        DumpRows(op, schema, &out);
        break;
      case OperationKind::kAttach: {
        Document files = Document::Array();
        for (const FileMeta& file : op.files) files.Append(DumpFileMeta(file, schema));
        out.Add("files", std::move(files));
        break;
      }
      case OperationKind::kCreateTable:
        out.Add("record", DumpTable(op.record, &schemas_));
        break;
      case OperationKind::kDropTable:
        break;
    }
    return out;
  }

  static void DumpRows(const LoggedOperation& op, const StoredSchema* schema, Document* out) {
    out->Add("first_row_id", op.first_row_id).Add("bytes", op.message->size());
    if (schema == nullptr) return;
    const auto batch = LoggedBatch(op, *schema);
    if (!batch.ok()) {
      out->Add("rows_damage", batch.status().message());
      return;
    }
    const int64_t rows = (*batch)->num_rows();
    out->Add("rows", rows);
    if (schema->is_append() || rows == 0) return;
    const auto keys = schema->codec()->Encode(**batch);
    if (!keys.ok()) return;
    out->Add("first_key", KeyText(*schema, (*keys)[0]));
    out->Add("last_key", KeyText(*schema, (*keys)[rows - 1]));
  }

  void DumpEdit(const VersionEdit& edit, Document* out) {
    Document created = Document::Array();
    for (const TableRecord& record : edit.created) created.Append(DumpTable(record, &schemas_));
    if (!created.empty()) out->Add("created", std::move(created));
    Document altered = Document::Array();
    for (const TableRecord& record : edit.altered) altered.Append(DumpTable(record, &schemas_));
    if (!altered.empty()) out->Add("altered", std::move(altered));
    Document dropped = Document::Array();
    for (const uint32_t id : edit.dropped) dropped.Append(Document::Number(id));
    if (!dropped.empty()) out->Add("dropped", std::move(dropped));
    Document tables = Document::Array();
    for (const TableEdit& table : edit.tables) tables.Append(DumpTableEdit(table));
    if (!tables.empty()) out->Add("tables", std::move(tables));
    if (edit.next_table_id) out->Add("next_table_id", *edit.next_table_id);
    if (edit.next_file_number) out->Add("next_file_number", *edit.next_file_number);
    if (edit.last_sequence) out->Add("last_sequence", *edit.last_sequence);
    if (edit.hash_seed) out->Add("hash_seed", *edit.hash_seed);
    if (edit.log_start) out->Add("log_start", *edit.log_start);
    if (edit.log_first_sequence) out->Add("log_first_sequence", *edit.log_first_sequence);
    if (edit.durable_through) {
      out->Add("log_durable_segment", edit.durable_through->segment);
      out->Add("log_durable_offset", edit.durable_through->offset);
    }
  }

  Document DumpTableEdit(const TableEdit& table) {
    Document out = Document::Object();
    out.Add("table", table.table);
    Document removed = Document::Array();
    for (const uint64_t number : table.removed) removed.Append(Document::Number(number));
    if (!removed.empty()) out.Add("removed", std::move(removed));
    Document added = Document::Array();
    for (const AddedFile& file : table.added) {
      Document item = DumpFileMeta(file.meta, Schema(table.table));
      added.Append(std::move(item.Add("level", file.level).Add("run", file.run)));
    }
    if (!added.empty()) out.Add("added", std::move(added));
    if (table.flushed_sequence) out.Add("flushed_sequence", *table.flushed_sequence);
    if (table.next_row_id) out.Add("next_row_id", *table.next_row_id);
    return out;
  }

  const std::string path_;
  const bool rows_;
  DumpSchemas schemas_;
  Document* const out_;
  bool is_manifest_ = false;
  uint64_t end_ = kLogHeaderBytes;
};

}  // namespace

Document DumpFileMeta(const FileMeta& meta, const StoredSchema* schema) {
  Document out = Document::Object();
  out.Add("number", meta.number).Add("bytes", meta.size).Add("rows", meta.rows);
  out.Add("unique_id", meta.unique_id).Add("tail_checksum", meta.tail_checksum);
  out.Add("smallest", DumpKey(schema, meta.smallest));
  out.Add("largest", meta.unbounded_end ? "(no end)" : DumpKey(schema, meta.largest));
  out.Add("sequence_min", meta.sequence_min).Add("sequence_max", meta.sequence_max);
  if (meta.constant_sequence) out.Add("constant_sequence", *meta.constant_sequence);
  out.Add("first_row_id", meta.first_row_id).Add("deletes", meta.deletes);
  out.Add("range_tombstones", meta.range_tombstones).Add("schema_version", meta.schema_version);
  return out;
}

arrow::Status DumpLogFile(FileSystem* fs, const std::string& path, bool rows, DumpSchemas schemas,
                          Document* out) {
  return LogDumper(path, rows, std::move(schemas), out).Run(fs);
}

}  // namespace marble

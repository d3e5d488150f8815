#include "db/repair_plan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <arrow/util/key_value_metadata.h>

#include <marble/error.h>

#include "base/checksum.h"
#include "db/log_recovery.h"
#include "db/logged_operation.h"
#include "db/sequence_spans.h"
#include "sst/sst_describe.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Was the file written in bulk, by what DescribeSst says of it?
bool IsBulk(const FileMeta& meta) { return meta.constant_sequence == 1 && meta.sequence_max == 1; }

class Planner {
 public:
  Planner(const Survey& survey, RepairReport* report) : survey_(survey), report_(report) {}

  arrow::Result<RepairPlan> Run() {
    if (survey_.manifest.has_value()) {
      plan_.uuid = survey_.manifest->state.uuid;
      plan_.hash_seed = survey_.manifest->state.hash_seed;
    }
    if (survey_.manifest_is_whole()) {
      ARROW_RETURN_NOT_OK(TakeManifest());
    } else {
      ARROW_RETURN_NOT_OK(TakeFiles());
    }
    ARROW_RETURN_NOT_OK(ReplayLog());
    if (!survey_.manifest_is_whole()) {
      // After the log, which tells the sequences of files that do not know theirs.
      for (auto& [id, table] : plan_.tables) PlaceAppended(&table);
    }
    for (auto& [id, finding] : unknown_) Drop(std::move(finding));
    if (plan_.tables.empty()) {
      return CorruptionError(survey_.directory, -1,
                             "no manifest, SSTable or log record tells of a table that could be"
                             " saved");
    }
    return std::move(plan_);
  }

 private:
  void Note(std::string note) {
    if (std::ranges::find(report_->notes, note) == report_->notes.end()) {
      report_->notes.push_back(std::move(note));
    }
  }

  arrow::Result<TablePlan*> AddTable(const TableRecord& record) {
    auto schemas = TableSchemas::Make(record);
    if (!schemas.ok()) {
      return schemas.status().WithMessage("table '", record.name,
                                          "': ", schemas.status().message());
    }
    TablePlan& table = plan_.tables[record.id];
    table.record = record;
    table.schemas = *std::move(schemas);
    table.schema = table.schemas.current();
    return &table;
  }

  arrow::Status TakeManifest() {
    for (const auto& [id, known] : survey_.manifest->state.tables) {
      ARROW_RETURN_NOT_OK(TakeKnownTable(known.record));
      const auto table = plan_.tables.find(id);
      if (table == plan_.tables.end()) continue;
      table->second.flushed_sequence = known.flushed_sequence;
      for (const auto& [number, file] : known.files) table->second.files[number] = file.meta;
    }
    return arrow::Status::OK();
  }

  /// A table of the manifest; a finding if nothing can be made of it, as the others are saved.
  arrow::Status TakeKnownTable(const TableRecord& record) {
    const arrow::Status added = AddTable(record).status();
    if (added.ok() || added.IsOutOfMemory()) return added;
    Drop(UnusableTable(record.name, ManifestPath(survey_.directory, survey_.manifest_number),
                       added));
    return arrow::Status::OK();
  }

  // --- without a whole manifest: repair_plan's other source, the files' footers

  /// Files by number with what they say of themselves; those that say nothing are dropped.
  arrow::Status DescribeFiles(std::map<uint64_t, SstDescription>* described) {
    std::map<std::string, int64_t> databases;
    for (const auto& [number, size] : survey_.sst_sizes) {
      const std::string path = SstPath(survey_.directory, number);
      auto description = DescribeSst(survey_.fs, path);
      const arrow::Status status = description.ok() ? description->status : description.status();
      if (status.IsOutOfMemory()) return status;
      if (!status.ok()) {
        Finding finding = FindingOf(status, path);
        finding.what += "; nothing of this file was saved";
        if (description.ok()) finding.table = description->tail.identity.table_name;
        Drop(std::move(finding));
        continue;
      }
      description->meta.number = number;
      ++databases[description->tail.identity.uuid];
      described->emplace(number, *std::move(description));
    }
    std::string uuid = ToHex(plan_.uuid);
    if (!survey_.manifest.has_value()) {
      uuid = survey_.current.has_value() ? survey_.current->uuid_hex : MostFrequent(databases);
      if (!ParseHex(uuid, &plan_.uuid) && !described->empty()) {
        return CorruptionError(survey_.directory, -1, "no file tells the database's UUID");
      }
    }
    std::erase_if(*described, [&](const auto& item) {
      if (item.second.tail.identity.uuid == uuid) return false;
      const std::string path = SstPath(survey_.directory, item.first);
      Drop(FindingOf(CorruptionError(path, -1, "the file belongs to another database"), path));
      return true;
    });
    return arrow::Status::OK();
  }

  static std::string MostFrequent(const std::map<std::string, int64_t>& counts) {
    const auto most =
        std::ranges::max_element(counts, {}, [](const auto& item) { return item.second; });
    return most == counts.end() ? "" : most->first;
  }

  static bool ParseHex(const std::string& text, Uuid* uuid) {
    if (text.size() != 2 * uuid->size()) return false;
    for (size_t i = 0; i < uuid->size(); ++i) {
      int byte = 0;
      for (const char c : text.substr(2 * i, 2)) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f')) return false;
        byte = byte * 16 + (digit ? c - '0' : c - 'a' + 10);
      }
      (*uuid)[i] = static_cast<uint8_t>(byte);
    }
    return true;
  }

  void Drop(Finding finding) { report_->findings.push_back(std::move(finding)); }

  arrow::Status TakeFiles() {
    std::map<uint64_t, SstDescription> described;
    ARROW_RETURN_NOT_OK(DescribeFiles(&described));
    for (auto& [number, file] : described) {
      const SstIdentity& identity = file.tail.identity;
      const std::string path = SstPath(survey_.directory, number);
      if (!identity.table_id.has_value() || file.schema == nullptr) {
        Drop(FindingOf(CorruptionError(path, -1, "the footer does not say which table it is of"),
                       path));
        continue;
      }
      const auto planned = TableOf(*identity.table_id, described);
      if (planned.status().IsOutOfMemory()) return planned.status();
      if (!planned.ok()) {
        Drop(UnusableTable(identity.table_name, path, planned.status()));
        continue;
      }
      TablePlan* table = *planned;
      const FileMeta* known = KnownMeta(*identity.table_id, file.meta);
      table->files[number] = known != nullptr ? *known : file.meta;
      ARROW_RETURN_NOT_OK(AddSpan(*table, file.meta, known));
      const bool bulk = IsBulk(file.meta);
      if (known == nullptr && bulk && !table->schema->is_append()) {
        Note("table '" + table->record.name + "': which rows are newer, those of file " +
             SstFileName(number) +
             " or those of other files, is not known: others, and deletes in the log, were "
             "preferred");
      }
    }
    if (survey_.manifest.has_value()) {
      for (const auto& [id, known] : survey_.manifest->state.tables) {
        if (!plan_.tables.contains(id)) ARROW_RETURN_NOT_OK(TakeKnownTable(known.record));
      }
    }
    Note(
        "without a whole manifest every SSTable of the database counts: rows that were deleted, or"
        " replaced, may be back if the files that did it were merged away, are lost or damaged, and"
        " so may dropped tables");
    return arrow::Status::OK();
  }

  /// Which operations a file has, by the manifest's record of it, `known`, if there is one, and by
  /// what it tells itself. One that was written in bulk has its own alone, which ReplayAttach
  /// knows.
  arrow::Status AddSpan(const TablePlan& table, const FileMeta& meta, const FileMeta* known) {
    SequenceSpans& spans = spans_[table.record.id];
    // A compaction's output has one sequence, the lowest of its rows, and says in the footer how
    // far it goes (those of builds before 29 November 2026 do not).
    if (known != nullptr) {
      spans.Add(known->sequence_min, std::max(known->sequence_max, meta.sequence_max));
    } else if (!table.schema->is_append()) {
      spans.Add(meta.sequence_min, meta.sequence_max);
    } else if (!meta.constant_sequence.has_value()) {
      ARROW_ASSIGN_OR_RAISE(const auto lowest, LowestSequence(table, meta));
      if (lowest.has_value()) spans.Add(*lowest, meta.sequence_max);
    } else if (!IsBulk(meta)) {
      spans.Add(*meta.constant_sequence, meta.sequence_max);
    }
    return arrow::Status::OK();
  }

  /// Of the rows of an append table's file that can be read: they ascend with it. nullopt if none
  /// can.
  arrow::Result<std::optional<uint64_t>> LowestSequence(const TablePlan& table,
                                                        const FileMeta& meta) const {
    const auto schema = table.schemas.Find(meta.schema_version);
    if (schema == nullptr) return std::nullopt;
    SstReaderOptions options = survey_.ReaderOptions(schema, meta.number);
    options.uuid = plan_.uuid;
    options.hash_seed = plan_.hash_seed;
    options.any_compression = true;
    options.rows_only = true;
    const auto reader = SstReader::Open(options, meta);
    if (reader.status().IsOutOfMemory()) return reader.status();
    for (int64_t block = 0; reader.ok() && block < (*reader)->num_blocks(); ++block) {
      const auto rows = (*reader)->ReadBlock(block, {}, /*want_keys=*/false);
      if (rows.status().IsOutOfMemory()) return rows.status();
      if (rows.ok()) return rows->SequenceAt(0);
    }
    return std::nullopt;
  }

  /// The manifest's record of the file if its readable part has one.
  const FileMeta* KnownMeta(uint32_t table, const FileMeta& meta) const {
    if (!survey_.manifest.has_value()) return nullptr;
    const auto& tables = survey_.manifest->state.tables;
    const auto found = tables.find(table);
    if (found == tables.end()) return nullptr;
    const auto file = found->second.files.find(meta.number);
    if (file == found->second.files.end()) return nullptr;
    const bool same = file->second.meta.unique_id == meta.unique_id &&
                      file->second.meta.tail_checksum == meta.tail_checksum;
    return same ? &file->second.meta : nullptr;
  }

  /// The plan of a table, made of the manifest's record if that knows the schemas of all its files,
  /// else of what the newest of the files say.
  arrow::Result<TablePlan*> TableOf(uint32_t id, const std::map<uint64_t, SstDescription>& files) {
    if (const auto found = plan_.tables.find(id); found != plan_.tables.end()) {
      return &found->second;
    }
    std::map<uint32_t, const SstDescription*> versions;
    for (const auto& [number, file] : files) {
      if (file.tail.identity.table_id == id && file.schema != nullptr) {
        versions[file.tail.identity.schema_version] = &file;
      }
    }
    if (const TableRecord* known = KnownRecord(id); known != nullptr) {
      ARROW_ASSIGN_OR_RAISE(TablePlan * table, AddTable(*known));
      const bool knows_all = std::ranges::all_of(versions, [&](const auto& version) {
        return table->schemas.Find(version.first) != nullptr;
      });
      if (knows_all) return table;
    }
    ARROW_ASSIGN_OR_RAISE(const TableRecord record, RecordOf(id, versions));
    Note("table '" + record.name +
         "': its schema and key are those of its files; types that are stored as others"
         " (dictionaries, views, extension types) come as the stored ones, and options other than"
         " the key are the preset ones");
    if (versions.size() > 1) {
      Note("table '" + record.name +
           "': its schema had been changed; columns that older files lack are null in their rows");
    }
    return AddTable(record);
  }

  static std::vector<uint32_t> ColumnIds(const SstDescription& file) {
    std::vector<uint32_t> ids;
    for (int i = 0; i < file.schema->stored_schema()->num_fields(); ++i) {
      const auto& metadata = file.tail.schema->field(i)->metadata();
      const auto text = metadata == nullptr ? "" : metadata->Get(kColumnIdMetadata).ValueOr("");
      ids.push_back(static_cast<uint32_t>(ParseDecimal(text).value_or(static_cast<uint64_t>(i))));
    }
    return ids;
  }

  static arrow::Result<TableRecord> RecordOf(
      uint32_t id, const std::map<uint32_t, const SstDescription*>& versions) {
    const SstDescription& newest = *versions.rbegin()->second;
    TableRecord record;
    record.id = id;
    record.name = newest.tail.identity.table_name;
    record.options = newest.schema->options();
    record.schema.version = versions.rbegin()->first;
    record.schema.column_ids = ColumnIds(newest);
    arrow::FieldVector fields = newest.schema->user_schema()->fields();
    for (const auto& [version, file] : versions) {
      if (version == record.schema.version) break;
      SchemaRecord older{.version = version, .schema = "", .column_ids = ColumnIds(*file)};
      ARROW_ASSIGN_OR_RAISE(older.schema, SerializeSchema(*file->schema->user_schema()));
      for (size_t i = 0; i < fields.size(); ++i) {
        // What stood in for the column was in the manifest.
        const bool lacks = std::ranges::find(older.column_ids, record.schema.column_ids[i]) ==
                           older.column_ids.end();
        if (lacks) fields[i] = fields[i]->WithNullable(true);
      }
      record.older_schemas.push_back(std::move(older));
    }
    const arrow::Schema& exact = *newest.schema->user_schema();
    ARROW_ASSIGN_OR_RAISE(record.schema.schema, SerializeSchema(exact));
    if (arrow::Schema(fields).Equals(exact)) return record;
    // With nulls where there were none it is a schema of its own.
    record.older_schemas.push_back(record.schema);
    ++record.schema.version;
    ARROW_ASSIGN_OR_RAISE(record.schema.schema, SerializeSchema(arrow::Schema(fields)));
    return record;
  }

  /// Files of append tables whose first row is not known are put one behind the other, in the order
  /// of their sequences.
  void PlaceAppended(TablePlan* table) {
    if (!table->schema->is_append() || table->files.empty()) return;
    std::vector<FileMeta*> files;
    for (auto& [number, meta] : table->files) files.push_back(&meta);
    std::ranges::sort(files, {}, [](const FileMeta* meta) {
      return std::pair(meta->sequence_max, meta->number);
    });
    uint64_t next = 0;
    for (FileMeta* meta : files) {
      meta->first_row_id = next;
      next += meta->rows;
    }
    if (files.size() > 1) {
      Note("table '" + table->record.name +
           "': the order of rows of different files is a guess, and rows are there twice where a"
           " compaction was interrupted between writing its file and removing the old ones");
    }
  }

  // --- the log

  arrow::Status ReplayLog() {
    const auto visit = [this](const LogRecord& record) { return ReplayRecord(record); };
    if (survey_.manifest_is_whole()) {
      if (survey_.clean()) return arrow::Status::OK();  // what is left of the log is not needed
      // First without effect: whether the log is damaged decides how far it is read.
      const auto judge = [](const LogRecord&) { return arrow::Status::OK(); };
      const ManifestState& state = survey_.manifest->state;
      const auto judged = RecoverLog(survey_.fs, survey_.directory, state, judge);
      if (judged.ok()) {
        return RecoverLog(survey_.fs, survey_.directory, state, visit).status();
      }
      if (judged.status().IsOutOfMemory()) return judged.status();
      AddLogDamage(FindingOf(judged.status(), LogDirectory(survey_.directory)));
    }
    const uint64_t first = survey_.manifest_is_whole() ? survey_.manifest->state.log_start : 0;
    return WalkIntactLog(survey_, first, visit,
                         [this](Finding finding) { AddLogDamage(std::move(finding)); });
  }

  /// The first of each file.
  void AddLogDamage(Finding finding) {
    const bool known = std::ranges::any_of(
        report_->findings, [&](const Finding& other) { return other.file == finding.file; });
    if (!known) report_->findings.push_back(std::move(finding));
    Note(
        "the log is damaged: commits behind the damage were saved where they are intact, so that"
        " the result is not a state that the database ever had");
  }

  arrow::Status ReplayRecord(const LogRecord& record) {
    if (record.header.kind != LogRecordKind::kCommit) return arrow::Status::OK();
    uint64_t sequence = record.header.first_sequence;
    arrow::Status failed;  // of the first operation that means nothing: the others do
    const arrow::Status read = ReadCommitRecord(
        record.payload, record.header.count, [&](const LoggedOperation& op) -> arrow::Status {
          arrow::Status replayed = ReplayOperation(sequence++, op, record);
          if (replayed.IsOutOfMemory() || replayed.IsNotImplemented()) return replayed;
          if (failed.ok()) failed = std::move(replayed);
          return arrow::Status::OK();
        });
    ++report_->log_records;
    const std::string path = LogSegmentPath(survey_.directory, record.begin.segment);
    const arrow::Status status =
        StatusOfRecord(read.ok() ? failed : read, path, record.begin.offset);
    if (status.ok() || status.IsOutOfMemory() || IsIncompatibleFormat(status)) return status;
    report_->findings.push_back(FindingOf(status, path));
    return arrow::Status::OK();
  }

  arrow::Status ReplayOperation(uint64_t sequence, const LoggedOperation& op,
                                const LogRecord& record) {
    if (op.kind == OperationKind::kCreateTable) return ReplayCreate(op.record);
    if (op.kind == OperationKind::kDropTable) {
      plan_.tables.erase(op.table);
      unknown_.erase(op.table);
      return arrow::Status::OK();
    }
    const auto found = plan_.tables.find(op.table);
    if (found == plan_.tables.end() && !IsDropped(op.table)) {
      if (op.table != kDefaultTable) return NoteUnknown(op.table, record);
      ARROW_ASSIGN_OR_RAISE(const TableRecord created, DefaultTableRecord());
      ARROW_RETURN_NOT_OK(AddTable(created).status());
      return ReplayOperation(sequence, op, record);
    }
    if (found == plan_.tables.end()) return arrow::Status::OK();
    TablePlan* table = &found->second;
    if (op.kind == OperationKind::kAttach) return ReplayAttach(sequence, op, table);
    if (sequence <= table->flushed_sequence || IsInFiles(sequence, *table)) {
      return arrow::Status::OK();
    }
    if (table->memtable == nullptr) {
      table->memtable =
          Memtable::Make(table->schema, plan_.hash_seed, arrow::default_memory_pool());
    }
    return Replay(sequence, op, table);
  }

  /// Is a table that is not there one that the manifest knew, and was dropped?
  bool IsDropped(uint32_t table) const {
    return survey_.manifest.has_value() && table < survey_.manifest->state.next_table_id;
  }

  /// Rows of a table of which nothing else tells are lost, unless the log drops it later.
  arrow::Status NoteUnknown(uint32_t table, const LogRecord& record) {
    if (unknown_.contains(table)) return arrow::Status::OK();
    const std::string path = LogSegmentPath(survey_.directory, record.begin.segment);
    unknown_[table] = FindingOf(
        CorruptionError(path, static_cast<int64_t>(record.begin.offset),
                        "from here on it has operations on table " + std::to_string(table) +
                            ", whose name and schema are not known; none of them was saved"),
        path);
    return arrow::Status::OK();
  }

  /// Without the manifest nobody says what was flushed. For most keyed tables it does not matter;
  /// rows of append tables must not come twice, and rows from before a change of the schema, which
  /// flushes, cannot be read in the present one.
  bool IsInFiles(uint64_t sequence, const TablePlan& table) {
    const auto spans = spans_.find(table.record.id);
    if (spans == spans_.end() || sequence > spans->second.highest()) return false;
    const std::string name = "table '" + table.record.name + "': ";
    if (table.schema->version() > 0) {
      Note(name +
           "its schema had been changed; of the log only what is newer than all its files was"
           " taken, and what lost or damaged files had was not");
      return true;
    }
    if (!table.schema->is_append()) return false;
    const bool have = spans->second.Have(sequence);
    if (!have) {
      Note(name +
           "rows of lost or damaged files that were taken from the log stand behind those of other"
           " files");
    }
    return have;
  }

  arrow::Status ReplayCreate(const TableRecord& record) {
    const auto found = plan_.tables.find(record.id);
    if (found != plan_.tables.end()) {
      // A record of the log knows more than a footer does.
      const bool from_footer = !survey_.manifest_is_whole() && KnownRecord(record.id) == nullptr;
      if (!from_footer) return arrow::Status::OK();
      ARROW_ASSIGN_OR_RAISE(auto schemas, TableSchemas::Make(record));
      if (found->second.schema->version() != 0 ||
          !schemas.current()->stored_schema()->Equals(*found->second.schema->stored_schema(),
                                                      /*check_metadata=*/false)) {
        return arrow::Status::OK();
      }
      found->second.record = record;
      found->second.schema = schemas.current();
      found->second.schemas = std::move(schemas);
      return arrow::Status::OK();
    }
    if (survey_.manifest_is_whole() && IsDropped(record.id)) return arrow::Status::OK();
    return AddTable(record).status();
  }

  const TableRecord* KnownRecord(uint32_t id) const {
    if (!survey_.manifest.has_value()) return nullptr;
    const auto found = survey_.manifest->state.tables.find(id);
    return found == survey_.manifest->state.tables.end() ? nullptr : &found->second.record;
  }

  arrow::Status ReplayAttach(uint64_t sequence, const LoggedOperation& op, TablePlan* table) {
    for (const FileMeta& file : op.files) {
      const auto known = table->files.find(file.number);
      if (known == table->files.end()) {
        if (survey_.manifest_is_whole() && sequence > table->flushed_sequence) {
          ARROW_RETURN_NOT_OK(CheckAttached(file, sequence, table->schemas));
          table->files[file.number] = file;
        }
      } else if (known->second.unique_id == file.unique_id) {
        known->second = file;  // with its sequence, which the file itself does not know
      }
    }
    return arrow::Status::OK();
  }

  arrow::Status Replay(uint64_t sequence, const LoggedOperation& op, TablePlan* table) {
    const StoredSchema& schema = *table->schema;
    Memtable& memtable = *table->memtable;
    ARROW_RETURN_NOT_OK(CheckKind(op, schema));
    if (op.kind == OperationKind::kPut || op.kind == OperationKind::kDelete) {
      const uint64_t hash = HashKey(op.key, plan_.hash_seed);
      return op.kind == OperationKind::kPut ? memtable.Put(sequence, op.key, hash, op.value)
                                            : memtable.Delete(sequence, op.key, hash);
    }
    return ReplayRows(sequence, op, schema, &memtable).status();
  }

  const Survey& survey_;
  RepairReport* const report_;
  RepairPlan plan_;
  std::map<uint32_t, SequenceSpans> spans_;  // by table, without a whole manifest
  std::map<uint32_t, Finding> unknown_;  // by table: operations that belong to none that is known
};

}  // namespace

Finding UnusableTable(const std::string& name, const std::string& file,
                      const arrow::Status& status) {
  Finding finding = FindingOf(CorruptionError(file, -1, status.message()), file);
  finding.what += "; nothing of this table was saved";
  finding.table = name;
  return finding;
}

arrow::Result<RepairPlan> MakeRepairPlan(const Survey& survey, RepairReport* report) {
  return Planner(survey, report).Run();
}

}  // namespace marble

// Verification of a closed database: what the survey found, every SSTable, the log.

#include <marble/verify.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <marble/error.h>

#include "db/commit_record.h"
#include "db/finding_text.h"
#include "db/log_recovery.h"
#include "db/logged_operation.h"
#include "db/survey.h"
#include "db/table_salvage.h"
#include "tree/file_names.h"

namespace marble {

namespace {

class DatabaseVerifier {
 public:
  DatabaseVerifier(Survey survey, const VerifyOptions& options)
      : survey_(std::move(survey)), options_(options) {
    report_.findings = std::move(survey_.findings);
    report_.clean = survey_.clean();
  }

  arrow::Result<VerifyReport> Run() {
    CountFiles();
    if (survey_.manifest.has_value()) {
      state_ = survey_.manifest->state;
      report_.tables = static_cast<int64_t>(state_.tables.size());
    }
    ARROW_RETURN_NOT_OK(MakeSchemas());
    // What the log creates, attaches and drops belongs to the database as well.
    ARROW_RETURN_NOT_OK(CheckLog());
    for (const auto& [id, table] : state_.tables) {
      for (const auto& [number, file] : table.files) {
        ARROW_RETURN_NOT_OK(CheckFile(table, file.meta));
      }
    }
    NameOrphans();
    return std::move(report_);
  }

 private:
  void CountFiles() {
    for (const DirectoryEntry& entry : survey_.entries) {
      if (!entry.is_directory && entry.name != "LOCK") Count(entry.size);
    }
    for (const auto& [number, size] : survey_.sst_sizes) Count(size);
    for (const auto& [number, size] : survey_.log_sizes) Count(size);
    progress_.files = report_.files;
    progress_.bytes = report_.bytes;
  }
  void Count(int64_t size) {
    ++report_.files;
    report_.bytes += size;
  }

  arrow::Status Progress(const std::string& path, int64_t bytes) {
    progress_.file = path;
    if (options_.progress) ARROW_RETURN_NOT_OK(options_.progress(progress_));
    ++progress_.files_done;
    progress_.bytes_done += bytes;
    return arrow::Status::OK();
  }

  void Add(Finding finding, const std::string& table = "") {
    if (finding.table.empty()) finding.table = table;
    report_.findings.push_back(std::move(finding));
  }
  /// Is there damage of the file, or at that place in it?
  bool Has(const std::string& file, std::optional<int64_t> offset = std::nullopt) const {
    return std::ranges::any_of(report_.findings, [&](const Finding& finding) {
      return finding.is_damage() && finding.file == file &&
             (!offset.has_value() || finding.offset == *offset);
    });
  }
  /// Of the log, in which one place often makes others: the first of each file.
  void AddLogDamage(Finding finding) {
    log_is_whole_ = false;
    if (!Has(finding.file)) Add(std::move(finding));
  }

  arrow::Status MakeSchemas() {
    for (const auto& [id, table] : state_.tables) {
      auto schema = TableSchemas::Make(table.record);
      if (schema.ok()) {
        schemas_[id] = *std::move(schema);
      } else {
        Add(FindingOf(
                CorruptionError(ManifestPath(survey_.directory, survey_.manifest_number), -1,
                                "table '" + table.record.name + "': " + schema.status().message()),
                ""),
            table.record.name);
      }
    }
    return arrow::Status::OK();
  }

  /// Sizes and names of what a record refers to, and its bytes as operations.
  arrow::Status CheckRecord(const LogRecord& record) {
    ++report_.log_records;
    checked_ = record.end;
    uint64_t sequence = record.header.first_sequence;
    arrow::Status failed;  // of the first operation that means nothing: the others do
    const auto visit = [&](const LoggedOperation& op) {
      const arrow::Status checked = CheckOperation(sequence++, op);
      if (failed.ok() || checked.IsOutOfMemory()) failed = checked;
      return arrow::Status::OK();
    };
    const arrow::Status read = ReadCommitRecord(record.payload, record.header.count, visit);
    const arrow::Status& status = read.ok() ? failed : read;
    if (status.ok() || status.IsOutOfMemory()) return status;
    const std::string path = LogSegmentPath(survey_.directory, record.begin.segment);
    AddLogDamage(FindingOf(StatusOfRecord(status, path, record.begin.offset), path));
    return arrow::Status::OK();
  }

  arrow::Status CheckOperation(uint64_t sequence, const LoggedOperation& op) {
    if (op.kind == OperationKind::kCreateTable) {
      if (op.record.id < state_.next_table_id) return arrow::Status::OK();
      VersionEdit edit;
      edit.created.push_back(op.record);
      edit.next_table_id = op.record.id + 1;
      ARROW_RETURN_NOT_OK(state_.Apply(edit));
      ARROW_ASSIGN_OR_RAISE(schemas_[op.record.id], TableSchemas::Make(op.record));
      ++report_.tables;
      return arrow::Status::OK();
    }
    const auto table = state_.tables.find(op.table);
    if (table == state_.tables.end()) {
      if (op.table < state_.next_table_id) return arrow::Status::OK();  // dropped since
      if (!unknown_.insert(op.table).second) return arrow::Status::OK();
      return arrow::Status::Invalid("an operation on the unknown table ", op.table);
    }
    if (op.kind == OperationKind::kDropTable) {
      state_.tables.erase(table);
      return arrow::Status::OK();
    }
    // What is in files as well may be of an older schema.
    if (sequence <= table->second.flushed_sequence) return arrow::Status::OK();
    for (const FileMeta& file : op.files) {
      table->second.files.try_emplace(file.number, AddedFile{0, 0, file});
    }
    const auto schemas = schemas_.find(op.table);
    if (schemas == schemas_.end()) return arrow::Status::OK();
    for (const FileMeta& file : op.files) {
      ARROW_RETURN_NOT_OK(CheckAttached(file, sequence, schemas->second));
    }
    const StoredSchema& schema = *schemas->second.current();
    ARROW_RETURN_NOT_OK(CheckKind(op, schema));
    return op.message == nullptr ? arrow::Status::OK() : LoggedRows(op, schema).status();
  }

  /// After a proper close nothing of the log is needed: what is left of it was about to be removed.
  bool LogIsOver() const { return survey_.manifest_is_whole() && survey_.clean(); }

  arrow::Status CheckLog() {
    for (const auto& [number, size] : survey_.log_sizes) {
      const std::string path = LogSegmentPath(survey_.directory, number);
      ARROW_RETURN_NOT_OK(Progress(path, size));
      const bool needed = number >= state_.log_start && !LogIsOver();
      if (!survey_.manifest.has_value() || needed) continue;
      Finding stray;
      stray.kind = FindingKind::kStray;
      stray.file = path;
      stray.what = "a log segment that is no longer needed";
      Add(std::move(stray));
    }
    if (LogIsOver()) return arrow::Status::OK();
    const auto gap = [this](Finding finding) { AddLogDamage(std::move(finding)); };
    if (!survey_.manifest_is_whole()) {
      // What its records mean, the tables' schemas would tell.
      const auto pass = [](const LogRecord&) { return arrow::Status::OK(); };
      return WalkIntactLog(survey_, 0, pass, gap);
    }
    const ManifestState before = state_;
    const auto visit = [this](const LogRecord& record) { return CheckRecord(record); };
    auto log = RecoverLog(survey_.fs, survey_.directory, before, visit);
    if (log.ok()) {
      if (log->cut_bytes > 0) NoteCutTail(log->cut_bytes);
      return arrow::Status::OK();
    }
    if (log.status().IsOutOfMemory()) return log.status();
    AddLogDamage(FindingOf(log.status(), LogDirectory(survey_.directory)));
    SuspectManifest();
    // A repair saves what stands behind the damage, so that is checked as well.
    const auto go_on = [this](const LogRecord& record) {
      return record.begin < checked_ ? arrow::Status::OK() : CheckRecord(record);
    };
    return WalkIntactLog(survey_, before.log_start, go_on, gap);
  }

  /// A manifest that lost its last records asks for segments that were let go of long ago.
  void SuspectManifest() {
    const auto& sizes = survey_.log_sizes;
    if (sizes.contains(state_.log_start) || sizes.empty() ||
        sizes.rbegin()->first < state_.log_start) {
      return;
    }
    const std::string path = ManifestPath(survey_.directory, survey_.manifest_number);
    Add(FindingOf(
        CorruptionError(path, static_cast<int64_t>(survey_.manifest->end),
                        "it asks for log segment " + std::to_string(state_.log_start) +
                            ", and the log has later ones only: either that segment or the"
                            " manifest's last records are lost"),
        path));
  }

  void NoteCutTail(int64_t bytes) {
    Finding finding;
    finding.kind = FindingKind::kCutTail;
    finding.file = LogDirectory(survey_.directory);
    finding.what = std::to_string(bytes) +
                   " bytes of records at the end were not synced before a crash and are dropped by"
                   " the next open";
    Add(std::move(finding));
  }

  arrow::Status CheckFile(const ManifestTable& table, const FileMeta& meta) {
    const std::string path = SstPath(survey_.directory, meta.number);
    const std::string& name = table.record.name;
    named_.insert(meta.number);
    const auto schemas = schemas_.find(table.record.id);
    if (schemas == schemas_.end()) return arrow::Status::OK();
    // The schema that the file was written with.
    const auto schema = schemas->second.Find(meta.schema_version);
    if (schema == nullptr) {
      Add(FindingOf(CorruptionError(path, -1,
                                    "the manifest says that it has schema " +
                                        std::to_string(meta.schema_version) +
                                        ", which the table does not know"),
                    path),
          name);
      return arrow::Status::OK();
    }
    const auto size = survey_.sst_sizes.find(meta.number);
    ARROW_RETURN_NOT_OK(Progress(path, size == survey_.sst_sizes.end() ? 0 : size->second));
    Finding finding;
    finding.file = path;
    DescribeBounds(*schema, meta, &finding);
    if (size == survey_.sst_sizes.end()) {
      finding.kind = FindingKind::kMissing;
      finding.what = "the manifest or the log names this file, but it is missing";
      Add(std::move(finding), name);
      return arrow::Status::OK();
    }
    if (size->second != static_cast<int64_t>(meta.size)) {
      finding.kind = FindingKind::kWrongSize;
      finding.offset = std::min(size->second, static_cast<int64_t>(meta.size));
      finding.what = "the file has " + std::to_string(size->second) + " bytes, the manifest says " +
                     std::to_string(meta.size);
      Add(std::move(finding), name);
      return arrow::Status::OK();
    }
    const auto [opened, reader] = OpenForSalvage(survey_.ReaderOptions(schema, meta.number), meta);
    if (reader == nullptr) return AddStatus(opened, finding, name);
    const arrow::Status status = opened.ok() ? reader->Verify() : opened;
    if (status.ok()) {
      report_.rows += static_cast<int64_t>(meta.rows);
      return status;
    }
    if (status.IsOutOfMemory()) return status;
    ARROW_RETURN_NOT_OK(AddLost(reader, path, schema, name));
    // Of one place that keeps blocks from being read these tell more.
    Finding first = RowsOnlyFinding(status, path, *reader);
    if (!opened.ok() || !Has(path, first.offset)) Add(std::move(first), name);
    return arrow::Status::OK();
  }

  /// With the bounds of all that the file holds.
  arrow::Status AddStatus(const arrow::Status& status, const Finding& bounds,
                          const std::string& table) {
    if (status.IsOutOfMemory()) return status;
    Finding finding = FindingOf(status, bounds.file);
    finding.first_key = bounds.first_key;
    finding.last_key = bounds.last_key;
    finding.rows = bounds.rows;
    Add(std::move(finding), table);
    return arrow::Status::OK();
  }

  /// The stretches of rows that cannot be read.
  arrow::Status AddLost(const std::shared_ptr<SstReader>& reader, const std::string& path,
                        const std::shared_ptr<const StoredSchema>& schema,
                        const std::string& table) {
    int64_t lost_rows = 0;
    const auto lost = [&](Finding finding) {
      lost_rows += finding.rows;
      Add(std::move(finding), table);
    };
    ARROW_RETURN_NOT_OK(FindLostBlocks(reader, path, schema, lost));
    report_.rows += static_cast<int64_t>(reader->meta().rows) - lost_rows;
    return arrow::Status::OK();
  }

  void NameOrphans() {
    // Records that cannot be read may attach files.
    if (!survey_.manifest_is_whole() || !log_is_whole_) return;
    for (const auto& [number, size] : survey_.sst_sizes) {
      if (named_.contains(number)) continue;
      Finding finding;
      finding.kind = FindingKind::kStray;
      finding.file = SstPath(survey_.directory, number);
      finding.what = "the manifest does not name this file";
      Add(std::move(finding));
    }
  }

  Survey survey_;
  const VerifyOptions& options_;
  ManifestState state_;
  std::map<uint32_t, TableSchemas> schemas_;
  std::set<uint64_t> named_;
  std::set<uint32_t> unknown_;  // tables that the log has operations on, and nobody knows
  LogPosition checked_;         // behind the last record of the log that was looked at
  bool log_is_whole_ = true;
  VerifyProgress progress_;
  VerifyReport report_;
};

}  // namespace

bool VerifyReport::ok() const { return damages() == 0; }

int64_t VerifyReport::damages() const {
  return std::ranges::count_if(findings, [](const Finding& f) { return f.is_damage(); });
}

namespace {

Document ReportDocument(const VerifyReport& report) {
  Document out = Document::Object();
  out.Add("ok", report.ok());
  out.Add("damages", report.damages());
  out.Add("closed_properly", report.clean);
  out.Add("tables", report.tables);
  out.Add("files", report.files);
  out.Add("bytes", report.bytes);
  out.Add("rows", report.rows);
  out.Add("log_records", report.log_records);
  out.Add("findings", FindingsDocument(report.findings));
  return out;
}

}  // namespace

std::string VerifyReport::ToText() const { return ReportDocument(*this).ToText(); }
std::string VerifyReport::ToJson() const { return ReportDocument(*this).ToJson(); }

arrow::Result<VerifyReport> VerifyDatabase(const std::string& path, const VerifyOptions& options) {
  FileSystem* fs = options.file_system != nullptr ? options.file_system : DefaultFileSystem();
  ARROW_ASSIGN_OR_RAISE(Survey survey, SurveyDatabase(fs, path));
  return DatabaseVerifier(std::move(survey), options).Run();
}

}  // namespace marble

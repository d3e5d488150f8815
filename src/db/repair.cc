// Repair of a damaged database: what the plan names is merged as a read would merge it, and written
// to a new database through its ordinary commits.

#include <marble/repair.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <marble/error.h>

#include "db/finding_text.h"
#include "db/folders.h"
#include "db/open_database.h"
#include "db/registry.h"
#include "db/repair_plan.h"
#include "db/table_salvage.h"
#include "io/parent_directory.h"
#include "sst/evolved_reader.h"
#include "tree/file_names.h"
#include "tree/merge_reader.h"

namespace marble {

namespace {

/// Of a commit, about.
constexpr int64_t kCommitBytes = int64_t{8} << 20;

/// Gives the batches of several sources one after the other.
class Chain : public SortedReader {
 public:
  explicit Chain(std::vector<std::unique_ptr<SortedReader>> sources)
      : sources_(std::move(sources)) {}
  arrow::Result<std::optional<RowBatch>> Next() override {
    for (; at_ < sources_.size(); ++at_) {
      ARROW_ASSIGN_OR_RAISE(auto rows, sources_[at_]->Next());
      if (rows.has_value()) return rows;
    }
    return std::nullopt;
  }

 private:
  std::vector<std::unique_ptr<SortedReader>> sources_;
  size_t at_ = 0;
};

/// Counts the rows that a source gives.
class Counted : public SortedReader {
 public:
  Counted(std::unique_ptr<SortedReader> source, int64_t* rows)
      : source_(std::move(source)), rows_(rows) {}
  arrow::Result<std::optional<RowBatch>> Next() override {
    ARROW_ASSIGN_OR_RAISE(auto rows, source_->Next());
    if (rows.has_value()) *rows_ += rows->num_rows();
    return rows;
  }

 private:
  const std::unique_ptr<SortedReader> source_;
  int64_t* const rows_;
};

class Repairer {
 public:
  Repairer(Survey survey, std::string target, const RepairOptions& options, RepairReport* report)
      : survey_(std::move(survey)),
        target_(std::move(target)),
        options_(options),
        report_(report) {}

  arrow::Status Run() {
    report_->findings = survey_.findings;
    std::erase_if(report_->findings, [](const Finding& f) { return !f.is_damage(); });
    report_->manifest_was_whole = survey_.manifest_is_whole();
    ARROW_RETURN_NOT_OK(RefuseNewerVersions(report_->findings));
    ARROW_ASSIGN_OR_RAISE(plan_, MakeRepairPlan(survey_, report_));
    ARROW_RETURN_NOT_OK(RefuseNewerVersions(report_->findings));
    for (const auto& [id, table] : plan_.tables) progress_.rows += RowsOf(table);
    Options options;
    options.file_system = survey_.fs;
    ARROW_ASSIGN_OR_RAISE(database_, AcquireDatabase(target_, options));
    arrow::Status status = SaveTables();
    if (status.ok()) status = database_->Flush();
    const arrow::Status closed = ReleaseDatabase(database_);
    if (status.ok()) status = closed;
    if (status.ok()) return status;
    return status.WithMessage(status.message(), " (", target_, " is incomplete: remove it)");
  }

 private:
  /// What a newer version wrote is not damaged: only that version can tell what must be saved.
  static arrow::Status RefuseNewerVersions(const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      if (finding.kind == FindingKind::kIncompatible) {
        return IncompatibleFormatError(finding.file, finding.what);
      }
    }
    return arrow::Status::OK();
  }

  static int64_t RowsOf(const TablePlan& table) {
    int64_t rows = 0;
    if (table.memtable != nullptr) {
      const auto tombstones = table.memtable->range_tombstones().Set();
      rows = table.memtable->entries() - static_cast<int64_t>(tombstones->tombstones().size());
    }
    for (const auto& [number, meta] : table.files) rows += static_cast<int64_t>(meta.rows);
    return rows;
  }

  arrow::Status Progress() {
    return options_.progress ? options_.progress(progress_) : arrow::Status::OK();
  }

  arrow::Status SaveTables() {
    std::set<std::string> names;
    for (auto& [id, table] : plan_.tables) {
      RepairedTable result;
      const arrow::Status created = CreateTable(table, &names).Value(&result.name);
      if (IsOfTheTable(created)) {
        report_->findings.push_back(UnusableTable(table.record.name, survey_.directory, created));
        progress_.rows_done += RowsOf(table);
        continue;
      }
      ARROW_RETURN_NOT_OK(created);
      ARROW_RETURN_NOT_OK(SaveTable(table, &result));
      if (result.rows_lost > 0) NoteLoss(result.name);
      report_->tables.push_back(std::move(result));
    }
    std::ranges::sort(report_->tables, {}, &RepairedTable::name);
    return arrow::Status::OK();
  }

  void NoteLoss(const std::string& table) {
    report_->notes.push_back("table '" + table +
                             "': of the keys in the ranges that were lost older rows may be there"
                             " instead, also such as had been deleted");
  }

  /// Is it this table that the new database refuses?
  static bool IsOfTheTable(const arrow::Status& created) {
    return IsConflict(created) || created.IsInvalid() || created.IsTypeError();
  }

  /// Tables of names that are none, or are taken, get another one.
  arrow::Result<std::string> CreateTable(const TablePlan& table, std::set<std::string>* names) {
    std::string name = table.record.name;
    const auto create = [&] {
      return database_->CreateTable(name, table.schema->user_schema(), table.schema->options(),
                                    TableOrigin::kRepaired);
    };
    arrow::Status created = names->contains(name) ? ConflictError("taken") : create();
    if (IsConflict(created) || created.IsInvalid()) {
      name = "recovered_" + std::to_string(table.record.id);
      while (names->contains(name)) name += "_";
      created = create();
      ARROW_RETURN_NOT_OK(created);
      report_->notes.push_back("table '" + table.record.name + "' is named '" + name +
                               "' now: another one has its name, or it is none");
    }
    ARROW_RETURN_NOT_OK(created);
    names->insert(name);
    return name;
  }

  arrow::Status SaveTable(const TablePlan& table, RepairedTable* result) {
    progress_.table = table.record.name;
    ARROW_ASSIGN_OR_RAISE(auto reader, ReadTable(table, result));
    ARROW_ASSIGN_OR_RAISE(auto state, database_->FindTable(result->name));
    while (true) {
      ARROW_RETURN_NOT_OK(Progress());
      ARROW_ASSIGN_OR_RAISE(auto rows, reader->Next());
      ARROW_RETURN_NOT_OK(RefuseNewerVersions(lost_));
      if (!rows.has_value()) break;
      Operation operation;
      operation.kind = OperationKind::kInsertRows;
      operation.table = state.get();
      operation.rows = std::make_shared<SortedRows>();
      operation.rows->columns = rows->columns;
      if (!table.schema->is_append()) operation.rows->keys = rows->keys;
      ARROW_RETURN_NOT_OK(database_->Commit({&operation, 1}, WriteOptions()));
      result->rows += rows->num_rows();
    }
    for (Finding& finding : lost_) {
      result->rows_lost += finding.rows;
      report_->findings.push_back(std::move(finding));
    }
    lost_.clear();
    return arrow::Status::OK();
  }

  /// The rows that a read of the table would see.
  arrow::Result<std::unique_ptr<SortedReader>> ReadTable(const TablePlan& table,
                                                         RepairedTable* result) {
    std::vector<std::unique_ptr<SortedReader>> sources;
    std::vector<RangeTombstone> tombstones;
    const auto add_tombstones = [&](const RangeTombstoneSet& set) {
      tombstones.insert(tombstones.end(), set.tombstones().begin(), set.tombstones().end());
    };
    // Where sequences are not known, of equal ones the first source wins: the newest file.
    for (auto file = table.files.rbegin(); file != table.files.rend(); ++file) {
      ARROW_ASSIGN_OR_RAISE(auto reader, OpenFile(table, file->second, result));
      if (reader == nullptr) continue;
      add_tombstones(reader->range_tombstones());
      const std::string name = table.record.name;
      const std::string path = SstPath(survey_.directory, file->first);
      const auto lost = [this, name](Finding finding) {
        finding.table = name;
        progress_.rows_done += finding.rows;
        lost_.push_back(std::move(finding));
      };
      sources.push_back(std::make_unique<Counted>(
          NewSalvageReader(reader, path, table.schema, lost), &progress_.rows_done));
    }
    std::unique_ptr<SortedReader> logged;
    if (table.memtable != nullptr) {
      ReadRequest request;
      for (int i = 0; i < table.schema->stored_schema()->num_fields(); ++i) {
        request.columns.push_back(i);
      }
      ARROW_ASSIGN_OR_RAISE(logged, table.memtable->NewReader(request));
      logged = std::make_unique<Counted>(std::move(logged), &progress_.rows_done);
      add_tombstones(*table.memtable->range_tombstones().Set());
    }
    // Without the manifest the row ids of an append table's files are not those of its log.
    const bool behind = table.schema->is_append() && !report_->manifest_was_whole;
    if (logged != nullptr && !behind) sources.insert(sources.begin(), std::move(logged));
    MergeReadOptions options;
    options.schema = table.schema->stored_schema();
    options.batch_bytes_max = kCommitBytes;
    options.tombstones = std::make_shared<const RangeTombstoneSet>(std::move(tombstones));
    options.pool = arrow::default_memory_pool();
    ARROW_ASSIGN_OR_RAISE(auto merged, MergeForRead(std::move(sources), std::move(options)));
    if (logged == nullptr) return merged;
    std::vector<std::unique_ptr<SortedReader>> parts;
    parts.push_back(std::move(merged));
    parts.push_back(std::move(logged));
    return std::make_unique<Chain>(std::move(parts));
  }

  static arrow::Result<std::shared_ptr<SstReader>> InPresentSchema(
      std::shared_ptr<SstReader> reader, const TablePlan& table, const StoredSchema& written) {
    if (&written == table.schema.get()) return reader;
    return NewEvolvedReader(std::move(reader), written, table.schema, arrow::default_memory_pool());
  }

  /// nullptr, with a finding, if nothing of it can be read.
  arrow::Result<std::shared_ptr<SstReader>> OpenFile(const TablePlan& table, const FileMeta& meta,
                                                     RepairedTable* result) {
    // The schema that the file was written with.
    const auto schema = table.schemas.Find(meta.schema_version);
    SstReaderOptions options =
        survey_.ReaderOptions(schema != nullptr ? schema : table.schema, meta.number);
    options.uuid = plan_.uuid;
    options.hash_seed = plan_.hash_seed;
    options.any_compression = true;
    OpenedForSalvage file{CorruptionError(options.path, -1, "its schema is not known"), nullptr};
    if (schema != nullptr) file = OpenForSalvage(options, meta);
    if (file.status.IsOutOfMemory() || IsIncompatibleFormat(file.status)) return file.status;
    if (file.reader != nullptr) {
      ++result->files;
      if (!file.status.ok()) {
        report_->findings.push_back(RowsOnlyFinding(file.status, options.path, *file.reader));
        report_->findings.back().table = table.record.name;
      }
      return InPresentSchema(std::move(file.reader), table, *schema);
    }
    Finding finding = FindingOf(file.status, options.path);
    finding.table = table.record.name;
    DescribeBounds(*table.schema, meta, &finding);
    if (!survey_.sst_sizes.contains(meta.number)) finding.kind = FindingKind::kMissing;
    finding.what += "; nothing of this file was saved";
    if (meta.deletes + meta.range_tombstones > 0) {
      finding.what += ", and what its " + std::to_string(meta.deletes + meta.range_tombstones) +
                      " deletes had hidden may be back";
    }
    ++result->files_dropped;
    result->rows_lost += finding.rows;
    progress_.rows_done += finding.rows;
    report_->findings.push_back(std::move(finding));
    return nullptr;
  }

  Survey survey_;
  const std::string target_;
  const RepairOptions& options_;
  RepairReport* const report_;
  RepairProgress progress_;
  RepairPlan plan_;
  std::shared_ptr<OpenDatabase> database_;
  std::vector<Finding> lost_;  // of the table being read
};

/// Is `path`, which need not exist yet, the directory `outer` or within it? Asks the file system
/// which directories are the same, since letters do not tell: of links, of relative paths.
arrow::Result<bool> LiesWithin(FileSystem* fs, const std::string& path, const std::string& outer) {
  ARROW_ASSIGN_OR_RAISE(const std::string forbidden, fs->Identity(outer));
  std::string at = path;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool exists, fs->Exists(at));
    const std::string parent = ParentDirectory(at);
    if (exists || parent == at) break;
    at = parent;
  }
  ARROW_ASSIGN_OR_RAISE(std::string identity, fs->Identity(at));
  // File systems without ".." have no links either.
  const bool has_up = fs->Identity(at + "/..").ok();
  while (identity != forbidden) {
    std::string up = has_up ? at + "/.." : ParentDirectory(at);
    ARROW_ASSIGN_OR_RAISE(std::string above, fs->Identity(up));
    const bool is_root = has_up ? above == identity : up == at;
    if (is_root) return false;
    at = std::move(up);
    identity = std::move(above);
  }
  return true;
}

arrow::Status CheckTarget(FileSystem* fs, const std::string& damaged, const std::string& target) {
  ARROW_ASSIGN_OR_RAISE(const bool exists, fs->Exists(target));
  if (exists) {
    ARROW_ASSIGN_OR_RAISE(const auto entries, fs->List(target));
    if (!std::ranges::all_of(entries, IsVolumesOwn)) {
      return arrow::Status::Invalid(target, " is not empty: a repair makes a new database");
    }
  }
  ARROW_ASSIGN_OR_RAISE(const bool there, fs->Exists(damaged));
  if (!there) return arrow::Status::OK();  // which the survey tells
  ARROW_ASSIGN_OR_RAISE(const bool within, LiesWithin(fs, target, damaged));
  if (within) {
    return arrow::Status::Invalid(target, " lies within the database to be repaired");
  }
  return arrow::Status::OK();
}

Document ReportDocument(const RepairReport& report) {
  Document out = Document::Object();
  out.Add("lossless", report.lossless());
  out.Add("manifest_was_whole", report.manifest_was_whole);
  out.Add("log_records", report.log_records);
  Document tables = Document::Array();
  for (const RepairedTable& table : report.tables) {
    tables.Append(Document::Object()
                      .Add("name", table.name)
                      .Add("rows", table.rows)
                      .Add("files", table.files)
                      .Add("files_dropped", table.files_dropped)
                      .Add("rows_lost", table.rows_lost));
  }
  out.Add("tables", std::move(tables));
  out.Add("findings", FindingsDocument(report.findings));
  Document notes = Document::Array();
  for (const std::string& note : report.notes) notes.Append(Document::Text(note));
  out.Add("notes", std::move(notes));
  return out;
}

}  // namespace

bool RepairReport::lossless() const {
  // Notes tell of what cannot be known, which may be a loss.
  return notes.empty() && std::ranges::none_of(findings, &Finding::is_damage);
}

std::string RepairReport::ToText() const { return ReportDocument(*this).ToText(); }
std::string RepairReport::ToJson() const { return ReportDocument(*this).ToJson(); }

arrow::Result<RepairReport> RepairDatabase(const std::string& damaged, const std::string& target,
                                           const RepairOptions& options) {
  FileSystem* fs = options.file_system != nullptr ? options.file_system : DefaultFileSystem();
  ARROW_RETURN_NOT_OK(CheckTarget(fs, damaged, target));
  ARROW_ASSIGN_OR_RAISE(Survey survey, SurveyDatabase(fs, damaged));
  RepairReport report;
  ARROW_RETURN_NOT_OK(Repairer(std::move(survey), target, options, &report).Run());
  return report;
}

}  // namespace marble

#include "db/survey.h"

#include <algorithm>
#include <utility>

#include <marble/error.h>

#include "base/document.h"
#include "db/folders.h"
#include "io/posix_util.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Verifying reads each block once: the cache need not keep any.
constexpr int64_t kCacheBytes = 1 << 20;
constexpr size_t kKeyTextMax = 120;

Finding Stray(const std::string& path, const std::string& what) {
  Finding finding;
  finding.kind = FindingKind::kStray;
  finding.file = path;
  finding.what = what;
  return finding;
}

/// One pass over the directory.
class Surveyor {
 public:
  explicit Surveyor(Survey* survey) : survey_(survey), fs_(survey->fs) {}

  arrow::Status Run() {
    ARROW_ASSIGN_OR_RAISE(const bool there, fs_->Exists(directory()));
    if (!there) return arrow::Status::Invalid("there is no database at ", directory());
    ARROW_ASSIGN_OR_RAISE(survey_->entries, fs_->List(directory()));
    std::ranges::sort(survey_->entries, {}, &DirectoryEntry::name);
    const bool ours = std::ranges::any_of(survey_->entries, [](const DirectoryEntry& entry) {
      return entry.name == "CURRENT" || entry.name == "sst" || entry.name == "wal" ||
             ParseManifestName(entry.name).has_value();
    });
    if (!ours) {
      return arrow::Status::Invalid(directory(), " is not a Marble database");
    }
    ARROW_ASSIGN_OR_RAISE(survey_->lock, fs_->LockUnchanged(LockPath(directory())));
    // Listed again: it may have been opened and closed before the lock was ours.
    ARROW_ASSIGN_OR_RAISE(survey_->entries, fs_->List(directory()));
    std::ranges::sort(survey_->entries, {}, &DirectoryEntry::name);
    ARROW_RETURN_NOT_OK(CheckFolders(directory(), survey_->entries));
    ARROW_RETURN_NOT_OK(ListFiles());
    ARROW_RETURN_NOT_OK(ReadManifests());
    NameStrays();
    return arrow::Status::OK();
  }

 private:
  const std::string& directory() const { return survey_->directory; }

  arrow::Status ListFiles() {
    for (const bool log : {false, true}) {
      const std::string folder = log ? LogDirectory(directory()) : SstDirectory(directory());
      ARROW_ASSIGN_OR_RAISE(auto files, ListFolder(fs_, folder));
      std::ranges::sort(files, {}, &DirectoryEntry::name);
      for (const DirectoryEntry& file : files) {
        const auto number = log ? ParseLogSegmentName(file.name) : ParseSstName(file.name);
        if (number.has_value() && !file.is_directory) {
          (log ? survey_->log_sizes : survey_->sst_sizes)[*number] = file.size;
        } else if (!log || !ParseSpareSegmentName(file.name).has_value()) {
          survey_->findings.push_back(
              Stray(folder + "/" + file.name, "the name is none of a database's files"));
        }
      }
    }
    return arrow::Status::OK();
  }

  arrow::Status ReadManifests() {
    auto current = ReadCurrent(fs_, directory());
    if (current.ok()) {
      survey_->current = *current;
    } else {
      ARROW_RETURN_NOT_OK(Note(current.status(), CurrentPath(directory())));
    }
    if (survey_->current.has_value()) {
      return TryManifest(survey_->current->manifest, &*survey_->current);
    }
    std::vector<uint64_t> numbers;
    for (const DirectoryEntry& entry : survey_->entries) {
      if (const auto number = ParseManifestName(entry.name)) numbers.push_back(*number);
    }
    std::ranges::sort(numbers, std::greater<>());
    // Without CURRENT nobody says which manifest is in use: the newest that is whole, else the
    // newest that can be read at all.
    for (const uint64_t number : numbers) {
      ARROW_RETURN_NOT_OK(TryManifest(number, nullptr));
      if (survey_->manifest_is_whole()) return arrow::Status::OK();
    }
    return arrow::Status::OK();
  }

  arrow::Status TryManifest(uint64_t number, const CurrentContents* current) {
    const std::string path = ManifestPath(directory(), number);
    auto contents = ReadManifest(fs_, directory(), number, current);
    if (!contents.ok()) return Note(contents.status(), path);
    if (!contents->status.ok()) ARROW_RETURN_NOT_OK(Note(contents->status, path));
    if (contents->status.ok() || !survey_->manifest.has_value()) {
      survey_->manifest = std::move(*contents);
      survey_->manifest_number = number;
    }
    return arrow::Status::OK();
  }

  arrow::Status Note(const arrow::Status& status, const std::string& path) {
    if (status.IsOutOfMemory()) return status;
    survey_->findings.push_back(FindingOf(status, path));
    return arrow::Status::OK();
  }

  void NameStrays() {
    for (const DirectoryEntry& entry : survey_->entries) {
      const std::string path = directory() + "/" + entry.name;
      if (entry.name == "LOCK" || entry.name == "CURRENT" || entry.name == "wal" ||
          entry.name == "sst" || IsVolumesOwn(entry)) {
        continue;
      }
      const auto number = ParseManifestName(entry.name);
      if (number.has_value() && *number == survey_->manifest_number) continue;
      // The others were read, or noted.
      if (number.has_value() && !survey_->current.has_value()) continue;
      if (number.has_value() && *number == survey_->current->manifest) continue;
      const bool left = number.has_value() || entry.name == "CURRENT.tmp";
      survey_->findings.push_back(Stray(path, left ? "left behind; CURRENT does not name it"
                                                   : "the name is none of a database's files"));
    }
  }

  Survey* const survey_;
  FileSystem* const fs_;
};

/// One pass over the segments of a damaged log.
class IntactLogWalk {
 public:
  IntactLogWalk(const Survey& survey, const std::function<arrow::Status(const LogRecord&)>& visit,
                const std::function<void(Finding)>& gap)
      : survey_(survey), visit_(visit), gap_(gap) {}

  arrow::Status Run(uint64_t first) {
    const auto& segments = survey_.log_sizes;
    // Without the manifest nobody says which segments before those that are there were let go of.
    oldest_ = first == 0 && !segments.empty() ? segments.begin()->first : first;
    for (auto segment = segments.lower_bound(first); segment != segments.end(); ++segment) {
      ARROW_RETURN_NOT_OK(WalkSegment(segment->first));
    }
    if (survey_.manifest_is_whole()) CheckSynced(survey_.manifest->state.durable_through);
    return arrow::Status::OK();
  }

 private:
  arrow::Status WalkSegment(uint64_t number) {
    const std::string path = Path(number);
    auto reader = Open(number);
    if (reader.status().IsOutOfMemory()) return reader.status();
    if (!reader.ok()) {
      Lose(FindingOf(reader.status(), path));
      return arrow::Status::OK();
    }
    const uint64_t predecessor = (*reader)->header().predecessor;
    if (predecessor >= oldest_ && !survey_.log_sizes.contains(predecessor)) {
      Lose(FindingOf(CorruptionError(Path(predecessor), -1,
                                     "segment " + std::to_string(number) +
                                         " follows this log segment, but it is missing"),
                     Path(predecessor)));
    }
    uint64_t end = kLogHeaderBytes;
    while (true) {
      auto found = (*reader)->FindAfter(end);
      if (found.status().IsOutOfMemory()) return found.status();
      if (!found.ok()) {
        Lose(FindingOf(found.status(), path));
        return arrow::Status::OK();
      }
      if (*found == nullptr) {
        if ((*reader)->gave_up()) Lose(DamageAt({number, end}, kSearchGaveUp));
        break;
      }
      const LogRecord& record = **found;
      if (record.begin.offset != end) {
        Lose(DamageAt({number, end}, "a log record is damaged and valid ones follow it"));
      }
      CheckSequence(record);
      ARROW_RETURN_NOT_OK(visit_(record));
      end = record.end.offset;
    }
    ends_[number] = end;
    return arrow::Status::OK();
  }

  /// Every record's sequence follows the one before. If not, and nothing in its segment tells what
  /// is missing, that was the end of the segment before.
  void CheckSequence(const LogRecord& record) {
    const uint64_t sequence = record.header.first_sequence;
    if (next_sequence_ != 0 && sequence > next_sequence_ && !ends_.empty()) {
      Lose(DamageAt({ends_.rbegin()->first, ends_.rbegin()->second},
                    "log records behind this place are damaged or missing: sequence " +
                        std::to_string(sequence) + " follows " +
                        std::to_string(next_sequence_ - 1)));
    }
    next_sequence_ = sequence + record.header.count;
  }

  /// No later record vouches for the last one, but the manifest may.
  void CheckSynced(const LogPosition& durable) {
    const auto end = ends_.find(durable.segment);
    if (end != ends_.end() && end->second < durable.offset) {
      Lose(DamageAt({end->first, end->second}, "a log record that was synced is damaged"));
    } else if (durable.segment >= oldest_ && !survey_.log_sizes.contains(durable.segment)) {
      Lose(FindingOf(CorruptionError(Path(durable.segment), -1,
                                     "this log segment was synced, but it is missing"),
                     Path(durable.segment)));
    }
  }

  /// Tells of damage. What is missing up to the next record is told by that.
  void Lose(Finding finding) {
    gap_(std::move(finding));
    next_sequence_ = 0;
  }

  Finding DamageAt(const LogPosition& at, const std::string& what) const {
    const std::string path = Path(at.segment);
    return FindingOf(CorruptionError(path, static_cast<int64_t>(at.offset), what), path);
  }

  std::string Path(uint64_t number) const { return LogSegmentPath(survey_.directory, number); }

  arrow::Result<std::unique_ptr<LogReader>> Open(uint64_t number) const {
    ARROW_ASSIGN_OR_RAISE(auto file, survey_.fs->OpenReadable(Path(number)));
    const Uuid* uuid = survey_.manifest.has_value() ? &survey_.manifest->state.uuid : nullptr;
    return LogReader::Open(std::move(file), Path(number), LogFileKind::kSegment, uuid, number);
  }

  const Survey& survey_;
  const std::function<arrow::Status(const LogRecord&)>& visit_;
  const std::function<void(Finding)>& gap_;
  uint64_t oldest_ = 0;                // the first segment that should be there
  std::map<uint64_t, uint64_t> ends_;  // by segment: where its last good record ends
  uint64_t next_sequence_ = 0;         // of the record that must come next; 0: not known
};

}  // namespace

bool Survey::clean() const {
  if (current.has_value()) return current->clean;
  if (!manifest_is_whole() || !manifest->ended_clean) return false;
  // An older manifest than the last one does not know what was written since.
  return std::ranges::none_of(entries, [this](const DirectoryEntry& entry) {
    return ParseManifestName(entry.name).value_or(0) > manifest_number;
  });
}

SstReaderOptions Survey::ReaderOptions(const std::shared_ptr<const StoredSchema>& schema,
                                       uint64_t number) const {
  SstReaderOptions options;
  options.fs = fs;
  options.path = SstPath(directory, number);
  if (manifest.has_value()) {
    options.uuid = manifest->state.uuid;
    options.hash_seed = manifest->state.hash_seed;
  }
  options.schema = schema;
  options.cache = cache;
  // Every block is read by a system call, so that a failing device is a Status and no signal.
  options.use_mappings = false;
  return options;
}

arrow::Result<Survey> SurveyDatabase(FileSystem* fs, const std::string& directory) {
  Survey survey;
  survey.fs = fs;
  survey.directory = directory;
  survey.cache = std::make_shared<BlockCache>(kCacheBytes);
  ARROW_RETURN_NOT_OK(Surveyor(&survey).Run());
  return survey;
}

Finding FindingOf(const arrow::Status& status, const std::string& file) {
  Finding finding;
  finding.file = file;
  finding.what = status.message();
  const ErrorDetail* detail = DetailOf(status);
  if (detail != nullptr && !detail->file().empty()) finding.file = detail->file();
  if (detail != nullptr) finding.offset = detail->offset();
  // The message without what stands in fields of its own.
  const std::string corruption =
      "corruption in " + finding.file +
      (finding.offset >= 0 ? " at offset " + std::to_string(finding.offset) : "") + ": ";
  for (const std::string& prefix : {corruption, finding.file + ": "}) {
    if (finding.what.starts_with(prefix)) finding.what.erase(0, prefix.size());
  }
  if (IsIncompatibleFormat(status)) {
    finding.kind = FindingKind::kIncompatible;
  } else if (IsMissing(status)) {
    finding.kind = FindingKind::kMissing;
  } else if (detail == nullptr && status.IsIOError()) {
    finding.kind = FindingKind::kUnreadable;
  } else if (finding.offset < 0 && finding.what.ends_with("it is missing")) {
    finding.kind = FindingKind::kMissing;
  }
  return finding;
}

arrow::Result<std::shared_ptr<const StoredSchema>> SchemaOf(const TableRecord& record) {
  ARROW_ASSIGN_OR_RAISE(const TableSchemas schemas, TableSchemas::Make(record));
  return schemas.current();
}

std::string KeyText(const StoredSchema& schema, std::string_view key) {
  if (schema.is_append()) {
    return key.size() == 8 ? "row " + std::to_string(DecodeRowId(key)) : "row ?";
  }
  std::string text = schema.codec()->ToString(key);
  if (text.size() > kKeyTextMax) {
    text = text.substr(0, kKeyTextMax) + "... (" + std::to_string(key.size()) + " bytes)";
  }
  return text;
}

void DescribeBounds(const StoredSchema& schema, const FileMeta& meta, Finding* finding) {
  finding->rows = static_cast<int64_t>(meta.rows);
  finding->first_key = KeyText(schema, meta.smallest);
  finding->last_key = meta.unbounded_end ? "(no end)" : KeyText(schema, meta.largest);
}

arrow::Status WalkIntactLog(const Survey& survey, uint64_t first,
                            const std::function<arrow::Status(const LogRecord&)>& visit,
                            const std::function<void(Finding)>& gap) {
  return IntactLogWalk(survey, visit, gap).Run(first);
}

}  // namespace marble

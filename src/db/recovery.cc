// Opening a database: lock, manifest, replay of the log, a fresh log and manifest, orphans.
//
// Until the new manifest is in place, recovery only reads and adds files that nothing names: it may
// be interrupted and repeated. (On a full disk it begins by removing such files.) Replayed rows are
// flushed to SSTables rather than left to the old segments, whose pages may not be what the device
// holds (a failed or missing fsync before the crash).

#include <marble/error.h>

#include "base/checksum.h"
#include "db/creation.h"
#include "db/folders.h"
#include "db/leftovers.h"
#include "db/logged_operation.h"
#include "db/open_database.h"
#include "io/posix_util.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Memtables are flushed at this size or less while the log is read on: so many pieces keep the
/// processors busy however large memtables may otherwise get.
constexpr int64_t kRecoveredBytesMax = int64_t{64} << 20;
/// Puts and deletes whose place in the memtable is fetched before they are applied.
constexpr size_t kReplayAhead = 16;
/// Memtables that are flushed at the same time.
constexpr size_t kRecoveredFlushesMax = 2;
/// Reading while the owner changes the directory: how often a read-only open starts again.
constexpr int kReadOnlyAttempts = 20;

arrow::Status CheckOptions(const Options& options) {
  auto positive = [](int64_t value, const char* name) {
    return value > 0 ? arrow::Status::OK()
                     : arrow::Status::Invalid("option ", name, " must be positive, not ", value);
  };
  // They are multiplied by small numbers.
  constexpr int64_t kBytesMax = int64_t{1} << 50;
  auto sensible = [&](int64_t value, const char* name) {
    if (value <= kBytesMax) return positive(value, name);
    return arrow::Status::Invalid("option ", name, " must be at most ", kBytesMax, ", not ", value);
  };
  ARROW_RETURN_NOT_OK(sensible(options.memory_budget, "memory_budget"));
  ARROW_RETURN_NOT_OK(positive(options.memtable_bytes, "memtable_bytes"));
  ARROW_RETURN_NOT_OK(positive(options.log_bytes_max, "log_bytes_max"));
  ARROW_RETURN_NOT_OK(sensible(options.target_file_bytes, "target_file_bytes"));
  ARROW_RETURN_NOT_OK(positive(options.level_base_bytes, "level_base_bytes"));
  ARROW_RETURN_NOT_OK(positive(options.background_threads, "background_threads"));
  if (options.log_segment_bytes < 64 * 1024) {
    return arrow::Status::Invalid("option log_segment_bytes must be at least 65536, not ",
                                  options.log_segment_bytes);
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<std::shared_ptr<OpenDatabase>> OpenDatabase::Open(const std::string& directory,
                                                                const Options& options) {
  ARROW_RETURN_NOT_OK(CheckOptions(options));
  auto opened = TryOpen(directory, options);
  if (opened.ok() || options.read_only || !IsDiskFull(opened.status())) return opened;
  // What work that was cut short has left may be what fills the disk.
  FileSystem* fs = options.file_system != nullptr ? options.file_system : DefaultFileSystem();
  return RemoveLeftovers(fs, directory).ok() ? TryOpen(directory, options) : opened;
}

arrow::Result<std::shared_ptr<OpenDatabase>> OpenDatabase::TryOpen(const std::string& directory,
                                                                   const Options& options) {
  arrow::Status status;
  const int attempts = options.read_only ? kReadOnlyAttempts : 1;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    std::shared_ptr<OpenDatabase> database(new OpenDatabase());
    status = database->OpenFiles(directory, options);
    if (status.ok()) return database;
    // A writer may have replaced what CURRENT named between two reads: that is no damage. Look
    // again.
    if (IsIncompatibleFormat(status) || status.IsInvalid()) break;
  }
  return status;
}

arrow::Status OpenDatabase::OpenFiles(const std::string& given, const Options& options) {
  environment_.directory = given;
  environment_.options = options;
  environment_.fs = options.file_system != nullptr ? options.file_system : DefaultFileSystem();
  helpers_ = std::make_unique<HelperThreads>(options.background_threads);
  // Spares take an eighth of the budget, memtables up to half, the block cache what they leave.
  environment_.pool = AcquireMemoryPool(options.memory_budget / 8);
  memtable_room_ = environment_.memtables_max();
  environment_.cache =
      std::make_shared<BlockCache>(CacheCapacity(memtable_room_), CacheCapacity(0));
  FileSystem* fs = environment_.fs;
  const bool may_create = options.create_if_missing && !options.read_only;
  ARROW_ASSIGN_OR_RAISE(bool there, fs->Exists(given));
  if (!there) return arrow::Status::Invalid("there is no database at ", given);
  // The process may change its working directory, and links may be led elsewhere.
  ARROW_ASSIGN_OR_RAISE(environment_.directory, fs->Canonical(given));
  const std::string& directory = environment_.directory;
  ARROW_ASSIGN_OR_RAISE(const auto entries, fs->List(directory));
  ARROW_RETURN_NOT_OK(CheckFolders(directory, entries));
  ARROW_ASSIGN_OR_RAISE(exists_, fs->Exists(CurrentPath(directory)));
  if (!exists_ && !may_create) {
    return arrow::Status::Invalid(directory, " is not a Marble database (it has no CURRENT)");
  }
  if (!exists_) ARROW_RETURN_NOT_OK(CheckDirectoryIsFree(fs, directory));
  if (!options.read_only) {
    ARROW_ASSIGN_OR_RAISE(lock_, fs->Lock(LockPath(directory)));
    // Another process may have created or changed the database before the lock was ours.
    ARROW_ASSIGN_OR_RAISE(exists_, fs->Exists(CurrentPath(directory)));
  }
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(exists_ ? LoadExisting() : CreateFresh());
  if (options.read_only) {
    environment_.cache->SetCapacity(CacheCapacity(memtable_bytes_));
  } else {
    ARROW_RETURN_NOT_OK(StartWriting());
    ARROW_RETURN_NOT_OK(StartThreads());
  }
  opened_ = true;
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::CreateFresh() {
  FileSystem* fs = environment_.fs;
  ARROW_RETURN_NOT_OK(RemoveInterruptedCreation(fs, environment_.directory));
  ARROW_RETURN_NOT_OK(fs->CreateDirectory(LogDirectory(environment_.directory)));
  ARROW_RETURN_NOT_OK(fs->CreateDirectory(SstDirectory(environment_.directory)));
  ARROW_RETURN_NOT_OK(fs->SyncDirectory(environment_.directory));
  manifest_state_.uuid = RandomUuid();
  manifest_state_.hash_seed = RandomSeed();
  environment_.uuid = manifest_state_.uuid;
  environment_.hash_seed = manifest_state_.hash_seed;
  // Exists from the first moment, so that no crash leaves a database without it.
  ARROW_ASSIGN_OR_RAISE(manifest_state_.tables[kDefaultTable].record, DefaultTableRecord());
  next_table_id_ = manifest_state_.next_table_id = kDefaultTable + 1;
  return AddTables();
}

arrow::Status OpenDatabase::LoadExisting() {
  ARROW_ASSIGN_OR_RAISE(LoadedManifest loaded,
                        Manifest::Load(environment_.fs, environment_.directory));
  manifest_state_ = std::move(loaded.state);
  manifest_number_ = loaded.number;
  environment_.uuid = manifest_state_.uuid;
  environment_.hash_seed = manifest_state_.hash_seed;
  next_table_id_ = manifest_state_.next_table_id;
  last_sequence_.store(manifest_state_.last_sequence);
  ARROW_RETURN_NOT_OK(AddTables());
  if (!environment_.options.read_only && !loaded.may_only_read) {
    ARROW_RETURN_NOT_OK(MakeMissingFolders(environment_.fs, environment_.directory));
  }
  if (!loaded.clean) ARROW_RETURN_NOT_OK(Replay());
  if ((loaded.may_only_read || recovered_.may_only_read) && !environment_.options.read_only) {
    return IncompatibleFormatError(ManifestPath(environment_.directory, manifest_number_),
                                   "written by a newer version, which lets this one only read the"
                                   " database: open it read-only");
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::AddTables() {
  std::map<uint64_t, int64_t> on_disk;
  ARROW_ASSIGN_OR_RAISE(const auto entries,
                        ListFolder(environment_.fs, SstDirectory(environment_.directory)));
  uint64_t highest = 0;
  for (const DirectoryEntry& entry : entries) {
    const auto number = ParseSstName(entry.name);
    if (!number.has_value()) continue;
    highest = std::max(highest, *number);  // also of a folder: no file can have its name
    if (!entry.is_directory) on_disk[*number] = entry.size;
  }
  environment_.next_file_number.store(std::max(manifest_state_.next_file_number, highest + 1));
  for (const auto& [id, table] : manifest_state_.tables) {
    for (const auto& [number, file] : table.files) {
      const std::string path = SstPath(environment_.directory, number);
      auto found = on_disk.find(number);
      if (found == on_disk.end()) {
        // There may be a folder in its place: then that is the error.
        ARROW_ASSIGN_OR_RAISE(const bool exists, environment_.fs->Exists(path));
        if (exists) ARROW_RETURN_NOT_OK(environment_.fs->OpenReadable(path).status());
        return CorruptionError(
            path, -1,
            "the manifest names this file of table '" + table.record.name + "', but it is missing");
      }
      if (found->second != static_cast<int64_t>(file.meta.size)) {
        // It may be no file at all, such as a link: then that is the error.
        ARROW_RETURN_NOT_OK(environment_.fs->OpenReadable(path).status());
        return CorruptionError(path, found->second,
                               "the file has " + std::to_string(found->second) +
                                   " bytes, the manifest says " + std::to_string(file.meta.size));
      }
    }
    arrow::Status added = tables_.Add(table.record, &table).status();
    if (!added.ok()) {
      return CorruptionError(ManifestPath(environment_.directory, manifest_number_), -1,
                             "table '" + table.record.name + "': " + added.message());
    }
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::Replay() {
  auto visit = [this](const LogRecord& record) -> arrow::Status {
    uint64_t sequence = record.header.first_sequence;
    arrow::Status status = ReadCommitRecord(
        record.payload, record.header.count,
        [&](const LoggedOperation& op) { return ReplayOperation(sequence++, op, record); });
    if (status.ok()) return status;
    const std::string path = LogSegmentPath(environment_.directory, record.begin.segment);
    return StatusOfRecord(status, path, record.begin.offset);
  };
  ARROW_ASSIGN_OR_RAISE(
      recovered_, RecoverLog(environment_.fs, environment_.directory, manifest_state_, visit));
  ARROW_RETURN_NOT_OK(ApplyReplayedPoints(0));
  last_sequence_.store(recovered_.last_sequence);
  return environment_.options.read_only ? CheckSchemasAreStill() : arrow::Status::OK();
}

arrow::Status OpenDatabase::CheckSchemasAreStill() {
  ARROW_ASSIGN_OR_RAISE(const LoadedManifest now,
                        Manifest::Load(environment_.fs, environment_.directory));
  for (const auto& [id, table] : manifest_state_.tables) {
    const auto still = now.state.tables.find(id);
    const bool is_there = still != now.state.tables.end();
    // Of one that was dropped nothing tells whether it was altered before; but it may be that no
    // row of it was in the log, or that it was created there.
    LiveTable* live = tables_.Find(id);
    const bool is_same = is_there
                             ? still->second.record.schema.version == table.record.schema.version
                             : id >= now.state.next_table_id ||
                                   (!live->has_sealed() && live->active().memtable->empty());
    if (is_same) continue;
    return arrow::Status::IOError(is_there ? "the schema of table '" : "table '", table.record.name,
                                  is_there ? "' was changed" : "' was dropped", " while ",
                                  environment_.directory,
                                  " was being opened read-only: open it again");
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::ReplayOperation(uint64_t sequence, const LoggedOperation& op,
                                            const LogRecord& record) {
  last_sequence_.store(std::max(last_sequence_.load(), sequence));
  if (op.kind != OperationKind::kPut && op.kind != OperationKind::kDelete) {
    ARROW_RETURN_NOT_OK(ApplyReplayedPoints(0));
  }
  if (op.kind == OperationKind::kCreateTable) {
    if (op.record.id < next_table_id_) return arrow::Status::OK();  // the manifest knows of it
    ARROW_RETURN_NOT_OK(tables_.Add(op.record, nullptr).status());
    next_table_id_ = op.record.id + 1;
    VersionEdit edit;
    edit.created.push_back(op.record);
    edit.next_table_id = next_table_id_;
    return manifest_state_.Apply(edit);
  }
  LiveTable* table = tables_.Find(op.table);
  if (table == nullptr) {
    // Dropped later, and the manifest knows that already.
    if (op.table < next_table_id_) return arrow::Status::OK();
    return arrow::Status::Invalid("an operation on the unknown table ", op.table);
  }
  if (op.kind == OperationKind::kDropTable) {
    ARROW_RETURN_NOT_OK(FinishRecoveredFlushes(0));
    // The manifest on disk still names its files: they are orphans once the new one is in place.
    VersionEdit edit;
    edit.dropped.push_back(op.table);
    ARROW_RETURN_NOT_OK(manifest_state_.Apply(edit));
    tables_.Remove(op.table);
    return arrow::Status::OK();
  }
  if (sequence <= table->recovered_sequence) return arrow::Status::OK();
  if (op.kind == OperationKind::kAttach) return ReplayAttach(sequence, op, table);
  ARROW_RETURN_NOT_OK(CheckKind(op, *table->state->schema));
  if (op.kind == OperationKind::kPut || op.kind == OperationKind::kDelete) {
    return ReplayPoint(sequence, op, record, table);
  }
  if (table->active().first_segment == 0) table->active().first_segment = record.begin.segment;
  const StoredSchema& schema = *table->state->schema;
  ARROW_ASSIGN_OR_RAISE(const int64_t rows,
                        ReplayRows(sequence, op, schema, table->active().memtable.get()));
  if (schema.is_append()) table->next_row_id = op.first_row_id + static_cast<uint64_t>(rows);
  return FlushIfFull(table);
}

arrow::Status OpenDatabase::FlushIfFull(LiveTable* table) {
  CountMemtableBytes(table);
  if (environment_.options.read_only) return arrow::Status::OK();
  if (table->active().memtable->bytes() >=
      std::min(environment_.memtable_bytes_max(), kRecoveredBytesMax)) {
    return StartRecoveredFlush(table);
  }
  if (memtable_bytes_ <= environment_.memtables_max()) return arrow::Status::OK();
  LiveTable* largest = table;
  for (auto& [id, other] : tables_.all()) {
    if (other->counted_bytes > largest->counted_bytes) largest = other.get();
  }
  return FlushRecovered(largest);
}

arrow::Status OpenDatabase::ReplayPoint(uint64_t sequence, const LoggedOperation& op,
                                        const LogRecord& record, LiveTable* table) {
  const uint64_t hash = HashKey(op.key, environment_.hash_seed);
  table->active().memtable->Prefetch(hash);
  replayed_points_.push_back(
      {op.kind, op.key, op.value, sequence, hash, record.begin.segment, table, record.payload});
  return ApplyReplayedPoints(kReplayAhead);
}

arrow::Status OpenDatabase::ApplyReplayedPoints(size_t leave) {
  while (replayed_points_.size() > leave) {
    const ReplayedPoint& point = replayed_points_.front();
    LiveTable* table = point.table;
    if (table->active().first_segment == 0) table->active().first_segment = point.segment;
    Memtable& memtable = *table->active().memtable;
    ARROW_RETURN_NOT_OK(point.kind == OperationKind::kPut
                            ? memtable.Put(point.sequence, point.key, point.hash, point.value)
                            : memtable.Delete(point.sequence, point.key, point.hash));
    replayed_points_.pop_front();
    ARROW_RETURN_NOT_OK(FlushIfFull(table));
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::ReplayAttach(uint64_t sequence, const LoggedOperation& op,
                                         LiveTable* table) {
  const auto& known = manifest_state_.tables.at(op.table).files;
  const bool installed = !op.files.empty() && known.contains(op.files.front().number);
  for (const FileMeta& file : op.files) {
    ARROW_RETURN_NOT_OK(CheckAttached(file, sequence, table->schemas));
    const std::string path = SstPath(environment_.directory, file.number);
    ARROW_ASSIGN_OR_RAISE(bool exists, environment_.fs->Exists(path));
    if (!exists) return CorruptionError(path, -1, "the log names this file, but it is missing");
    ARROW_ASSIGN_OR_RAISE(int64_t size, environment_.fs->FileSize(path));
    if (size != static_cast<int64_t>(file.size)) {
      return CorruptionError(
          path, size, "the log says that this file has " + std::to_string(file.size) + " bytes");
    }
    environment_.next_file_number.store(
        std::max(environment_.next_file_number.load(), file.number + 1));
    table->next_row_id = std::max(table->next_row_id, file.first_row_id + file.rows);
  }
  // What came before the files must not share a memtable with what came after them, whether or not
  // the manifest knows the files: the memtable as a whole would count as newer than they are.
  if (environment_.options.read_only) {
    tables_.Seal(table);
  } else {
    ARROW_RETURN_NOT_OK(FlushRecovered(table));
  }
  if (installed) return arrow::Status::OK();
  VersionEdit edit;
  const uint64_t run = table->next_run;
  for (const FileMeta& file : op.files) edit.For(op.table)->added.push_back({0, run, file});
  ARROW_RETURN_NOT_OK(manifest_state_.Apply(edit));
  tables_.Attach(table, op.files);
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::StartRecoveredFlush(LiveTable* table) {
  const bool empty = table->active().memtable->empty();
  tables_.Seal(table);
  if (empty) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(FinishRecoveredFlushes(kRecoveredFlushesMax - 1));
  RecoveredFlush flush;
  flush.table = table;
  flush.memtable = table->memtables[table->memtables.size() - 2].memtable;
  // What is being flushed lies below.
  const bool bottommost = table->version->FileCount() == 0 && table->memtables.size() == 2;
  flush.context = environment_.MakeOutputContext(*table->state, {});
  // Deferred if the process may have no more threads.
  flush.files = std::async(std::launch::async | std::launch::deferred,
                           [memtable = flush.memtable, context = flush.context, bottommost] {
                             return FlushMemtable(*memtable, context, bottommost);
                           });
  recovered_flushes_.push_back(std::move(flush));
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::FinishRecoveredFlushes(size_t leave) {
  while (recovered_flushes_.size() > leave) {
    RecoveredFlush flush = std::move(recovered_flushes_.front());
    recovered_flushes_.pop_front();
    ARROW_ASSIGN_OR_RAISE(auto files, flush.files.get());
    VersionEdit edit;
    TableEdit* change = edit.For(flush.table->record.id);
    const uint64_t run = flush.table->next_run++;
    for (FileMeta& file : files) change->added.push_back({0, run, std::move(file)});
    ARROW_RETURN_NOT_OK(manifest_state_.Apply(edit));
    tables_.Apply(flush.table, *change, flush.memtable.get());
    ++counters_.flushes;
    memtable_bytes_ = tables_.MemtableBytes();
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::FlushRecovered(LiveTable* table) {
  ARROW_RETURN_NOT_OK(StartRecoveredFlush(table));
  return FinishRecoveredFlushes(0);
}

arrow::Status OpenDatabase::StartWriting() {
  for (auto& [id, table] : tables_.all()) ARROW_RETURN_NOT_OK(StartRecoveredFlush(table.get()));
  ARROW_RETURN_NOT_OK(FinishRecoveredFlushes(0));
  uint64_t highest = std::max(recovered_.highest_segment, manifest_state_.log_start);
  ARROW_ASSIGN_OR_RAISE(auto segments, environment_.fs->List(LogDirectory(environment_.directory)));
  for (const DirectoryEntry& entry : segments) {
    if (auto number = ParseLogSegmentName(entry.name)) highest = std::max(highest, *number);
  }
  ARROW_RETURN_NOT_OK(RemoveSpareSegments(environment_.fs, environment_.directory));
  ARROW_ASSIGN_OR_RAISE(
      log_, WriteAheadLog::Start(environment_.fs, environment_.directory, environment_.uuid,
                                 environment_.options.log_segment_bytes, highest + 1,
                                 last_sequence_.load() + 1));
  // The manifest must not name a segment that a power cut could take away.
  ARROW_RETURN_NOT_OK(log_->Sync(log_->PrepareSync()));
  manifest_state_.log_start = log_->current_segment();
  manifest_state_.log_first_sequence = log_->FirstSequenceFrom(log_->current_segment());
  manifest_state_.durable_through = log_->position();
  manifest_state_.last_sequence = last_sequence_.load();
  manifest_state_.next_table_id = next_table_id_;
  manifest_state_.next_file_number = environment_.next_file_number.load();
  for (auto& [id, table] : tables_.all()) {
    ManifestTable& known = manifest_state_.tables.at(id);
    known.flushed_sequence = last_sequence_.load();
    known.next_row_id = table->next_row_id;
  }
  ARROW_ASSIGN_OR_RAISE(auto entries, environment_.fs->List(environment_.directory));
  for (const DirectoryEntry& entry : entries) {
    // A manifest of an attempt that died before CURRENT named it has a higher number.
    if (auto number = ParseManifestName(entry.name)) {
      manifest_number_ = std::max(manifest_number_, *number);
    }
  }
  ++manifest_number_;
  ARROW_ASSIGN_OR_RAISE(manifest_, Manifest::Create(environment_.fs, environment_.directory,
                                                    manifest_number_, manifest_state_));
  named_manifest_ = manifest_number_;
  return RemoveUnnamed(environment_.fs, environment_.directory, manifest_state_, manifest_number_);
}

}  // namespace marble

// The catalog, reads, snapshots, statistics and closing of an open database.

#include "db/open_database.h"

#include <arrow/util/utf8.h>

#include <marble/error.h>

#include "base/warn.h"
#include "row/type_conversion.h"
#include "tree/file_names.h"

namespace marble {

namespace {

constexpr size_t kTableNameBytesMax = 255;

/// Names are data and never paths, but a name that looks like one is a mistake worth refusing.
arrow::Status CheckTableName(const std::string& name) {
  auto refuse = [&](const char* why) {
    return arrow::Status::Invalid("table name '", name.substr(0, 64), "' ", why);
  };
  if (name.empty()) return arrow::Status::Invalid("a table name must not be empty");
  if (name.size() > kTableNameBytesMax) return refuse("(shortened) is longer than 255 bytes");
  arrow::util::InitializeUTF8();
  if (!arrow::util::ValidateUTF8(reinterpret_cast<const uint8_t*>(name.data()),
                                 static_cast<int64_t>(name.size()))) {
    return arrow::Status::Invalid("a table name must be valid UTF-8");
  }
  if (name.find('/') != std::string::npos) return refuse("contains '/'");
  if (name == "." || name.find("..") != std::string::npos) return refuse("contains '..'");
  for (unsigned char c : name) {
    if (c < 0x20 || c == 0x7f) return refuse("contains a control character");
  }
  return arrow::Status::OK();
}

/// What the log and the manifest hold has to be read at every opening. Arrow writes schemas that it
/// cannot read.
arrow::Status CheckReadable(const TableRecord& record) {
  ARROW_ASSIGN_OR_RAISE(const TableRecord read, DecodeTableRecord(EncodeTableRecord(record)));
  return TableSchemas::Make(read).status();
}

}  // namespace

OpenDatabase::~OpenDatabase() {
  WarnIfError(Close());
  ReleaseMemoryPool(environment_.pool);
}

arrow::Status OpenDatabase::CreateTable(const std::string& name,
                                        const std::shared_ptr<arrow::Schema>& schema,
                                        const TableOptions& options, TableOrigin origin) {
  ARROW_RETURN_NOT_OK(CheckTableName(name));
  ARROW_ASSIGN_OR_RAISE(const auto stored, InTable(name, StoredSchema::Make(schema, options)));
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  const CallInside inside(this);
  const LiveTable* found = tables_.Find(name);
  for (; found != nullptr && found->dropping; found = tables_.Find(name)) {
    // No table any more, but its name is not free yet.
    progress_.wait(mutex_);
    ARROW_RETURN_NOT_OK(CheckWritable());
  }
  if (found != nullptr) {
    const StoredSchema& old = *found->state->schema;
    if (old.user_schema()->Equals(*stored->user_schema()) &&
        old.options().primary_key == stored->options().primary_key) {
      // Another thread may just be creating it; and a third one may drop it meanwhile.
      const LogPosition created = found->created;
      return WaitDurable(created);
    }
    return ConflictError("table '" + name + "' exists with another schema or key");
  }
  for (const auto& field : schema->fields()) {
    if (origin == TableOrigin::kRepaired) break;
    const arrow::Status status = CheckNewColumn(*field);
    if (!status.ok()) return status.WithMessage("table '", name, "': ", status.message());
  }
  TableRecord record;
  record.id = next_table_id_;
  record.name = name;
  record.options = stored->options();
  ARROW_ASSIGN_OR_RAISE(record.schema.schema, SerializeSchema(*schema));
  const arrow::Status readable = CheckReadable(record);
  if (!readable.ok()) return readable.WithMessage("table '", name, "': ", readable.message());
  record_.Clear();
  record_.AddCreate(record);
  const uint64_t sequence = last_sequence_.load() + 1;
  ARROW_ASSIGN_OR_RAISE(LogPosition end, AppendToLog(WriteVia::kSystemCall, sequence));
  const auto added = tables_.Add(record, nullptr);
  if (!added.ok()) {
    FailWrites(added.status());
    return write_error_;
  }
  (*added)->created = end;
  ++next_table_id_;
  last_sequence_.store(sequence, std::memory_order_release);
  pending_.created.push_back(std::move(record));
  if (pending_segment_ == 0) pending_segment_ = end.segment;
  ARROW_RETURN_NOT_OK(WaitDurable(end));
  return InstallPending();
}

arrow::Status OpenDatabase::DropTable(const std::string& name) {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  const CallInside inside(this);
  LiveTable* table = tables_.Find(name);
  if (table == nullptr)
    return NotFoundError("no table '" + name + "' in " + environment_.directory);
  if (name == "default") return arrow::Status::Invalid("the table 'default' cannot be dropped");
  const uint32_t id = table->record.id;
  // Jobs on the table hold pointers to it; new ones are not started while this holds the table
  // busy.
  ++table->drops_waiting;
  const auto alone = WaitUntil(id, [](const LiveTable& t) {
    return t.flushes == 0 && !t.compacting && !t.dropping && !t.altering;
  });
  table = tables_.Find(id);
  if (table != nullptr) --table->drops_waiting;
  progress_.notify_all();  // Compact makes way for a drop
  ARROW_RETURN_NOT_OK(alone.status());
  if (table == nullptr)
    return NotFoundError("no table '" + name + "' in " + environment_.directory);
  record_.Clear();
  record_.AddDrop(id);
  const uint64_t sequence = last_sequence_.load() + 1;
  ARROW_ASSIGN_OR_RAISE(LogPosition end, AppendToLog(WriteVia::kSystemCall, sequence));
  last_sequence_.store(sequence, std::memory_order_release);
  table->dropping = true;
  table->state->dropped.store(true);
  table->state->live = nullptr;
  pending_.dropped.push_back(id);
  if (pending_segment_ == 0) pending_segment_ = end.segment;
  // The files go when the manifest does not name them any more.
  for (auto& file : table->version->Files()) pending_files_.push_back(std::move(file));
  arrow::Status status = WaitDurable(end);
  if (status.ok()) status = InstallPending();
  std::unique_ptr<LiveTable> gone = tables_.Remove(id);
  memtable_bytes_ = tables_.MemtableBytes();
  progress_.notify_all();
  // With it go its memtables, and its files, each of which takes a while to be removed.
  const MutexUnlock unlock(&mutex_);
  gone.reset();
  return status;
}

std::vector<std::string> OpenDatabase::ListTables() const {
  MutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const auto& [id, table] : tables_.all()) names.push_back(table->record.name);
  std::sort(names.begin(), names.end());
  return names;
}

arrow::Result<std::shared_ptr<TableState>> OpenDatabase::FindTable(const std::string& name) const {
  MutexLock lock(&mutex_);
  const LiveTable* table = tables_.Find(name);
  if (table == nullptr)
    return NotFoundError("no table '" + name + "' in " + environment_.directory);
  return table->state;
}

arrow::Result<ReadPoint> OpenDatabase::BeginRead(const TableState& table,
                                                 const Snapshot* snapshot) const {
  if (snapshot != nullptr && snapshot->core() != this) {
    return arrow::Status::Invalid("the snapshot belongs to another database");
  }
  // The view first: a sequence read later covers everything in it, while a view taken after the
  // sequence could already have lost versions that the sequence should see. If the view is still
  // current after that, all of every commit up to the sequence is in it; otherwise a commit that
  // attached files may be in the old view with its other rows only.
  ReadPoint point;
  if (snapshot != nullptr) {
    point.view = table.view.Load();
    point.sequence = snapshot->sequence();
  } else {
    do {
      point.view = table.view.Load();
      point.sequence = last_sequence_.load(std::memory_order_acquire);
    } while (!table.view.IsCurrent(point.view.get()));
  }
  if (point.view == nullptr) return table.Gone();
  return point;
}

arrow::Result<std::shared_ptr<const Snapshot>> OpenDatabase::TakeSnapshot() {
  MutexLock lock(&mutex_);
  if (closing_) return ClosedError("the database is closed");
  const uint64_t sequence = last_sequence_.load();
  snapshots_.insert(sequence);
  auto self = std::static_pointer_cast<DatabaseCore>(shared_from_this());
  return std::make_shared<const Snapshot>(std::move(self), sequence);
}

void OpenDatabase::ReleaseSnapshot(uint64_t sequence) {
  MutexLock lock(&mutex_);
  auto found = snapshots_.find(sequence);
  if (found != snapshots_.end()) snapshots_.erase(found);
  const auto has_error = [](const auto& entry) { return !entry.second->compaction_error.ok(); };
  if (std::ranges::any_of(tables_.all(), has_error)) work_.notify_all();
}

arrow::Status TableState::Gone() const {
  if (successor() == nullptr) return NotFoundError("table '" + info.name + "' was dropped");
  return ConflictError("the schema of table '" + info.name + "' was changed meanwhile");
}

Snapshot::Snapshot(std::shared_ptr<DatabaseCore> core, uint64_t sequence)
    : core_(std::move(core)), sequence_(sequence) {}

Snapshot::~Snapshot() { core_->ReleaseSnapshot(sequence_); }

arrow::Status OpenDatabase::Flush() {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  const CallInside inside(this);
  const LogPosition end = log_->PrepareSync().position;
  ARROW_RETURN_NOT_OK(FlushAll(nullptr));
  // An edit syncs the log first, but that of attached files, which are in no memtable, may wait for
  // room.
  return WaitDurable(end);
}

arrow::Status OpenDatabase::SyncLog() {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  const CallInside inside(this);
  return WaitDurable(log_->PrepareSync().position);
}

arrow::Status OpenDatabase::Compact(const std::string& name) {
  std::vector<uint32_t> ids;
  {
    MutexLock lock(&mutex_);
    ARROW_RETURN_NOT_OK(CheckWritable());
    if (!name.empty() && tables_.Find(name) == nullptr) {
      return NotFoundError("no table '" + name + "' in " + environment_.directory);
    }
    for (const auto& [id, table] : tables_.all()) {
      if (name.empty() || table->record.name == name) ids.push_back(id);
    }
  }
  for (uint32_t id : ids) ARROW_RETURN_NOT_OK(CompactTable(id));
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::WaitForBackground() {
  MutexLock lock(&mutex_);
  if (environment_.options.read_only) return arrow::Status::OK();
  while (!closing_ && (running_jobs_ > 0 || WorkIsDue())) {
    ARROW_RETURN_NOT_OK(write_error_);
    ARROW_RETURN_NOT_OK(room_error_);
    work_.notify_all();
    progress_.wait(mutex_);
  }
  return write_error_;
}

TableStats OpenDatabase::StatsOf(const LiveTable& table) const {
  TableStats stats;
  stats.name = table.record.name;
  for (int level = 0; level < kLevels; ++level) {
    LevelStats sums;
    sums.level = level;
    for (const auto& run : table.version->levels[level]) {
      ++sums.runs;
      sums.files += static_cast<int64_t>(run->files.size());
      sums.bytes += static_cast<int64_t>(run->bytes());
      for (const auto& file : run->files) sums.rows += static_cast<int64_t>(file->meta().rows);
    }
    stats.rows_in_files += sums.rows;
    stats.bytes_in_files += sums.bytes;
    if (sums.runs > 0) stats.levels.push_back(sums);
  }
  stats.memtable_bytes = table.memtable_bytes();
  stats.memtables = static_cast<int64_t>(table.memtables.size());
  return stats;
}

Stats OpenDatabase::GetStats() const {
  MutexLock lock(&mutex_);
  Stats stats = counters_;
  stats.last_sequence = last_sequence_.load();
  stats.log_bytes = recovered_.bytes;
  if (log_ != nullptr) {
    stats.log_bytes_written = log_->bytes_appended();
    stats.log_bytes = log_->bytes();
  }
  stats.log_tail_cut_bytes = recovered_.cut_bytes;
  stats.snapshots = static_cast<int64_t>(snapshots_.size());
  stats.memory_budget = environment_.options.memory_budget;
  stats.spare_bytes = environment_.pool->spare_bytes();
  stats.block_cache_bytes = environment_.cache->bytes();
  stats.block_cache_hits = environment_.cache->hits();
  stats.block_cache_misses = environment_.cache->misses();
  stats.row_cache_bytes = environment_.cache->row_bytes();
  stats.row_cache_hits = environment_.cache->row_hits();
  stats.pinned_index_bytes = environment_.cache->pinned_bytes();
  for (const auto& [id, table] : tables_.all()) {
    stats.tables.push_back(StatsOf(*table));
    stats.memtable_bytes += stats.tables.back().memtable_bytes;
    stats.files += table->version->FileCount();
    stats.file_bytes += stats.tables.back().bytes_in_files;
    const arrow::Status error = WhyNotCompacted(*table);
    if (!error.ok()) stats.background_error = error.message();
  }
  std::sort(stats.tables.begin(), stats.tables.end(),
            [](const TableStats& a, const TableStats& b) { return a.name < b.name; });
  if (!room_error_.ok()) stats.background_error = room_error_.message();
  if (!write_error_.ok()) stats.background_error = write_error_.message();
  return stats;
}

void OpenDatabase::StopThreads() {
  helpers_->Stop();
  {
    MutexLock lock(&mutex_);
    stop_jobs_.store(true);
    work_.notify_all();
    progress_.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

arrow::Status OpenDatabase::FlushForClose() {
  ARROW_RETURN_NOT_OK(write_error_);
  // What is flushed could not be named before there is a manifest again.
  if (ManifestWaits()) ARROW_RETURN_NOT_OK(Install({}, nullptr, nullptr));
  for (auto& [id, table] : tables_.all()) {
    tables_.Seal(table.get());
    while (table->has_sealed()) ARROW_RETURN_NOT_OK(FlushNext(table.get()));
  }
  return Install({}, nullptr, nullptr);
}

arrow::Status OpenDatabase::Close() {
  {
    MutexLock lock(&mutex_);
    if (closing_) return arrow::Status::OK();
    closing_ = true;
  }
  StopThreads();
  MutexLock lock(&mutex_);
  // Writes and compactions asked for by callers run on their threads.
  while (calls_ > 0 || running_jobs_ > 0 || manifest_busy_ || sync_running_) {
    progress_.wait(mutex_);
  }
  arrow::Status status;
  if (opened_ && log_ != nullptr) {
    status = FlushForClose();
    // CURRENT says "clean" only when nothing in the log is needed any more; then the log goes.
    if (status.ok()) status = manifest_->CloseClean();
    arrow::Status closed = log_->Close(status.ok());
    if (status.ok()) status = closed;
  }
  environment_.pool->SetSpareBytesMax(0);
  progress_.notify_all();
  recovered_flushes_.clear();  // of an open that failed: waits for the threads that write
  lock_.reset();
  return status;
}

}  // namespace marble

// Flush, compaction, and Install, the one place where an edit becomes true.

#include <pthread.h>

#include <chrono>

#include <arrow/util/logging.h>

#include <marble/error.h>

#include "base/check.h"
#include "base/warn.h"
#include "db/open_database.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// How long to wait before a job that found no room is tried again.
constexpr std::chrono::milliseconds kRoomRetry(100);
/// A manifest that grew beyond this is rewritten as one edit.
constexpr int64_t kManifestBytesMax = 4 << 20;

}  // namespace

void OpenDatabase::StartThreads() {
  const int count = std::max(1, environment_.options.background_threads);
  for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { ThreadLoop(i); });
}

void OpenDatabase::ThreadLoop(int thread) {
  // For people who look at a process from outside; a name that is not set is no loss.
  static_cast<void>(
      pthread_setname_np(pthread_self(), thread == 0 ? "marble-flush" : "marble-work"));
  MutexLock lock(&mutex_);
  while (!stop_jobs_.load()) {
    // A job that fails wakes the other threads: without the pause they would try in turn, and
    // without end, while there is no room.
    const bool due = room_error_.ok() || std::chrono::steady_clock::now() >= room_retry_;
    if (due && write_error_.ok() && RunOneJob(thread)) continue;
    if (room_error_.ok()) {
      work_.wait(mutex_);
    } else {
      work_.wait_for(mutex_, kRoomRetry);
    }
  }
}

bool OpenDatabase::RunOneJob(int thread) {
  auto run = [&](LiveTable* table, bool LiveTable::* busy, const char* what, auto job) {
    table->*busy = true;
    ++running_jobs_;
    NoteJobResult(job(), what);
    table->*busy = false;
    --running_jobs_;
    work_.notify_all();
    progress_.notify_all();
    // After a failure for want of room the thread pauses before it tries again.
    return room_error_.ok();
  };
  for (auto& [id, table] : tables_.all()) {
    if (!table->has_sealed() || table->flushing) continue;
    LiveTable* t = table.get();
    return run(t, &LiveTable::flushing, "flush", [&] { return FlushOldest(t); });
  }
  const bool flush_only = thread == 0 && environment_.options.background_threads > 1;
  if (flush_only || !environment_.options.auto_compaction) return false;
  for (auto& [id, table] : tables_.all()) {
    if (table->compacting) continue;
    auto plan = PickCompaction(*table->version, LimitsFor(*table));
    if (!plan.has_value()) continue;
    LiveTable* t = table.get();
    return run(t, &LiveTable::compacting, "compaction", [&] { return RunPlan(t, *plan); });
  }
  return false;
}

void OpenDatabase::NoteJobResult(const arrow::Status& status, const char* what) {
  if (status.ok()) {
    room_error_ = arrow::Status::OK();
    return;
  }
  if (status.IsCancelled()) return;
  if (IsRoomError(status)) {
    room_retry_ = std::chrono::steady_clock::now() + kRoomRetry;
    room_error_ =
        arrow::Status(status.code(), std::string("no room for a ") + what + ": " + status.message(),
                      status.detail());
    return;
  }
  FailWrites(status);
}

CompactionLimits OpenDatabase::LimitsFor(const LiveTable& table) const {
  CompactionLimits limits;
  limits.level_base_bytes = environment_.options.level_base_bytes;
  limits.flushed_sequence = TableSet::FlushedSequence(table, last_sequence_.load());
  return limits;
}

std::vector<uint64_t> OpenDatabase::PinnedSequences() const {
  std::vector<uint64_t> pinned(snapshots_.begin(), snapshots_.end());
  pinned.erase(std::unique(pinned.begin(), pinned.end()), pinned.end());
  return pinned;
}

arrow::Status OpenDatabase::FlushOldest(LiveTable* table) {
  const std::shared_ptr<Memtable> memtable = table->memtables.front().memtable;
  const bool bottommost = table->version->FileCount() == 0;
  OutputContext context = environment_.MakeOutputContext(table->state->schema, PinnedSequences());
  mutex_.unlock();
  auto files = FlushMemtable(*memtable, context, bottommost);
  mutex_.lock();
  ARROW_RETURN_NOT_OK(files.status());
  VersionEdit edit;
  TableEdit* change = edit.For(table->record.id);
  const uint64_t run = table->next_run++;
  for (FileMeta& file : *files) {
    counters_.bytes_flushed += static_cast<int64_t>(file.size);
    change->added.push_back({0, run, std::move(file)});
  }
  ++counters_.flushes;
  return Install(std::move(edit), table, memtable.get());
}

arrow::Status OpenDatabase::RunPlan(LiveTable* table, const CompactionPlan& plan) {
  VersionEdit edit;
  TableEdit* change = edit.For(table->record.id);
  for (const auto& file : plan.InputFiles()) change->removed.push_back(file->meta().number);
  const auto level = static_cast<uint32_t>(plan.output_level);
  if (plan.trivial_move) {
    for (const auto& file : plan.InputFiles()) change->added.push_back({level, 0, file->meta()});
    ++counters_.trivial_moves;
    return Install(std::move(edit), table, nullptr);
  }
  OutputContext context = environment_.MakeOutputContext(table->state->schema, PinnedSequences());
  context.cancelled = &stop_jobs_;
  mutex_.unlock();
  auto files = RunCompaction(plan, context);
  mutex_.lock();
  ARROW_RETURN_NOT_OK(files.status());
  for (FileMeta& file : *files) {
    counters_.bytes_compacted += static_cast<int64_t>(file.size);
    change->added.push_back({level, 0, std::move(file)});
  }
  ++counters_.compactions;
  return Install(std::move(edit), table, nullptr);
}

arrow::Status OpenDatabase::Install(VersionEdit edit, LiveTable* table, const Memtable* flushed) {
  while (manifest_busy_) progress_.wait(mutex_);
  ARROW_RETURN_NOT_OK(write_error_);
  manifest_busy_ = true;
  const VersionEdit pending = std::move(pending_);
  const uint64_t pending_segment = pending_segment_;
  pending_ = {};
  pending_segment_ = 0;
  VersionEdit record = pending;
  record.Append(edit);
  const uint64_t last_sequence = last_sequence_.load();
  for (TableEdit& change : record.tables) {
    const LiveTable* changed = tables_.Find(change.table);
    if (changed == nullptr) continue;
    change.flushed_sequence = TableSet::FlushedSequence(*changed, last_sequence, flushed);
    change.next_row_id = changed->next_row_id;
    for (const MemtableSlot& slot : changed->memtables) {
      if (slot.memtable->empty() || slot.memtable.get() == flushed) continue;
      change.next_row_id = slot.memtable->first_row_id();
      break;
    }
  }
  record.last_sequence = last_sequence;
  record.next_table_id = next_table_id_;
  record.next_file_number = environment_.next_file_number.load();
  const uint64_t log_start = tables_.OldestSegmentNeeded(log_->current_segment(), flushed);
  record.log_start = log_start;
  arrow::Status status = WriteEdit(&record);
  manifest_busy_ = false;
  if (status.ok()) {
    if (table != nullptr) {
      for (const TableEdit& change : edit.tables) tables_.Apply(table, change, flushed);
      if (flushed != nullptr) memtable_bytes_ = tables_.MemtableBytes();
    }
    status = log_->Retire(log_start);
    if (!status.ok() && !IsRoomError(status)) FailWrites(status);
  } else {
    VersionEdit restored = pending;
    restored.Append(std::move(pending_));
    pending_ = std::move(restored);
    pending_segment_ = pending_segment != 0 ? pending_segment : pending_segment_;
  }
  progress_.notify_all();
  work_.notify_all();
  return status;
}

arrow::Status OpenDatabase::WriteEdit(VersionEdit* record) {
  // What the edit says of the log must be true of the device first: a power cut could otherwise
  // keep one table's half of a commit.
  ARROW_RETURN_NOT_OK(WaitDurable(log_->PrepareSync().position));
  record->durable_through = log_->durable_through();
  ManifestState next = manifest_state_;
  ARROW_RETURN_NOT_OK(next.Apply(*record));
  const bool fresh = manifest_ == nullptr || manifest_->bytes() > kManifestBytesMax;
  const uint64_t old_number = manifest_number_;
  const uint64_t number = fresh ? manifest_number_ + 1 : manifest_number_;
  std::unique_ptr<Manifest> manifest = std::move(manifest_);
  mutex_.unlock();
  arrow::Status status;
  if (fresh) {
    auto created = Manifest::Create(environment_.fs, environment_.directory, number, next);
    status = created.status();
    manifest = created.ok() ? *std::move(created) : nullptr;
    if (status.ok()) {
      WarnIfError(environment_.fs->Remove(ManifestPath(environment_.directory, old_number)));
    }
  } else {
    status = manifest->Append(*record);
  }
  mutex_.lock();
  manifest_number_ = number;
  if (!status.ok()) {
    // Its end is unknown now: the next edit starts a new manifest. What the failed edit would have
    // added stays on disk as orphans, because this manifest may name it.
    if (!IsRoomError(status)) FailWrites(status);
    return status;
  }
  manifest_ = std::move(manifest);
  manifest_state_ = std::move(next);
  return status;
}

arrow::Status OpenDatabase::FlushAll(LiveTable* only) {
  std::vector<std::pair<uint32_t, std::shared_ptr<Memtable>>> waiting;
  for (auto& [id, table] : tables_.all()) {
    if (only != nullptr && table.get() != only) continue;
    tables_.Seal(table.get());
    table->counted_bytes = 0;
    if (table->has_sealed()) {
      waiting.emplace_back(id, table->memtables[table->memtables.size() - 2].memtable);
    }
  }
  work_.notify_all();
  for (const auto& [id, memtable] : waiting) {
    auto unflushed = [&, id = id, m = memtable.get()] {
      const LiveTable* table = tables_.Find(id);
      if (table == nullptr) return false;
      for (const MemtableSlot& slot : table->memtables) {
        if (slot.memtable.get() == m) return true;
      }
      return false;
    };
    while (unflushed()) {
      ARROW_RETURN_NOT_OK(write_error_);
      ARROW_RETURN_NOT_OK(room_error_);
      if (closed_) return ClosedError("the database is closed");
      progress_.wait(mutex_);
    }
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::CompactTable(uint32_t id) {
  MutexLock lock(&mutex_);
  LiveTable* table = tables_.Find(id);
  if (table == nullptr) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(FlushAll(table));
  while ((table = tables_.Find(id)) != nullptr && table->compacting) {
    ARROW_RETURN_NOT_OK(CheckWritable());
    progress_.wait(mutex_);
  }
  if (table == nullptr) return arrow::Status::OK();
  auto plan = PlanFullCompaction(*table->version, LimitsFor(*table));
  if (!plan.has_value()) return arrow::Status::OK();
  table->compacting = true;
  ++running_jobs_;
  arrow::Status status = RunPlan(table, *plan);
  table->compacting = false;
  --running_jobs_;
  work_.notify_all();
  progress_.notify_all();
  return status;
}

}  // namespace marble

// The background threads and what they do: flush, compaction, and the log made shorter.

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cfenv>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include <arrow/util/logging.h>

#include <marble/error.h>

#include "base/check.h"
#include "base/warn.h"
#include "db/open_database.h"
#include "tree/file_names.h"

namespace marble {

namespace {

using Clock = std::chrono::steady_clock;

/// A log that was not written for so long need not keep segments for use.
constexpr std::chrono::seconds kLogIdle(5);
/// So many sealed memtables of a table are worth a second thread, unless its level 0 has so many
/// runs that compaction needs it more.
constexpr size_t kSealedMany = 4;
constexpr size_t kRunsMany = 10;
/// No compaction of a table is begun for so many times as long as one took that found no room, or
/// for the longest rest: it may never fit, and while it runs it fills the disk for all others.
constexpr int kRestTimes = 10;
constexpr std::chrono::seconds kRestMax(30);

arrow::Status NoRoomFor(const std::string& what, const arrow::Status& status) {
  return {status.code(), "no room for a " + what + ": " + status.message(), status.detail()};
}

}  // namespace

arrow::Status OpenDatabase::StartThreads() {
  const int count = std::max(1, environment_.options.background_threads);
  try {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { ThreadLoop(i); });
  } catch (const std::system_error& error) {
    return arrow::Status::OutOfMemory(environment_.directory, " needs ", count,
                                      " background threads, and no more than ", threads_.size(),
                                      " could be started: ", error.what());
  }
  return arrow::Status::OK();
}

void OpenDatabase::ThreadLoop(int thread) {
  // For people who look at a process from outside; a name that is not set is no loss.
  static_cast<void>(
      pthread_setname_np(pthread_self(), thread == 0 ? "marble-flush" : "marble-work"));
  // Not that of the thread it was started from, which may treat denormal numbers as zero.
  static_cast<void>(std::fesetenv(FE_DFL_ENV));
  MutexLock lock(&mutex_);
  while (!stop_jobs_.load()) {
    // That lets go of the mutex, so that what is waited for below may have come.
    if (FitCache()) continue;
    // A job that fails wakes the other threads: without the pause they would try in turn, and
    // without end, while there is no room.
    const bool due = room_error_.ok() || Clock::now() >= room_retry_;
    if (due && write_error_.ok() && RunOneJob(thread)) continue;
    // The job that found no room may be gone with its table.
    if (!room_error_.ok() && !WorkIsDue()) ForgetRoomError();
    WaitForJob(thread);
  }
}

void OpenDatabase::WaitForJob(int thread) {
  if (stop_jobs_.load()) return;  // since the last job, which nobody tells of again
  const auto rest = MayCompact(thread) && write_error_.ok() ? UntilRetry() : std::nullopt;
  if (!room_error_.ok() || ManifestWaits()) {
    work_.wait_for(mutex_, kRoomRetry);
  } else if (rest.has_value()) {
    work_.wait_for(mutex_, std::max<Clock::duration>(*rest, kRoomRetry));
  } else if (thread > 0 || !write_error_.ok() || !(log_->HasSpares() || LogCanShrink())) {
    work_.wait(mutex_);
  } else {
    const int64_t appended = log_->bytes_appended();
    const bool woken = work_.wait_for(mutex_, kLogIdle) == std::cv_status::no_timeout;
    if (woken || log_->bytes_appended() != appended || stop_jobs_.load()) return;
    writers_rest_ = true;
    ShrinkLog();
  }
}

bool OpenDatabase::LogCanShrink() const {
  return log_->oldest_segment() < tables_.OldestSegmentNeeded(log_->current_segment(), nullptr);
}

void OpenDatabase::ShrinkLog() {
  if (LogCanShrink()) {
    while (sync_running_) progress_.wait(mutex_);
    // The kernel tells of a failed sync once: the next one says nothing.
    if (!write_error_.ok()) return;
    RunSync(log_->PrepareSync());
    WarnIfError(Install({}, nullptr, nullptr));
  }
  auto spares = log_->TakeSpares();
  WarnIfError(spares.status());
  if (!spares.ok()) return;
  mutex_.unlock();
  WarnIfError(log_->Recycle(&*spares));
  mutex_.lock();
  log_->PutAway(*std::move(spares));
}

int64_t OpenDatabase::MemtableRoom() const {
  // In steps, because fitting the cache frees blocks.
  const int64_t step = std::max<int64_t>(environment_.options.memory_budget / 32, 1);
  const int64_t bytes =
      memtable_bytes_ + (writers_rest_ ? step : environment_.memtable_bytes_max());
  return std::min((bytes + step - 1) / step * step, environment_.memtables_max());
}

bool OpenDatabase::FitCache() {
  const int64_t room = MemtableRoom();
  if (room == memtable_room_ || fitting_cache_) return false;
  fitting_cache_ = true;
  memtable_room_ = room;
  mutex_.unlock();
  environment_.cache->SetCapacity(CacheCapacity(room));
  mutex_.lock();
  fitting_cache_ = false;
  return true;
}

bool OpenDatabase::ShouldFlush(const LiveTable& table, int thread) const {
  const auto flushes = static_cast<size_t>(table.flushes);
  if (table.dropping || flushes >= table.sealed()) return false;
  // Who drops the table would wait for ever if one flush followed the other. But who alters it, and
  // is waited for, waits for a flush; and a compaction may take long.
  if (table.drops_waiting > 0 && !table.altering && !table.compacting) return false;
  // Flushes are the first thread's; the others help while it is busy with one.
  if (thread > 0 && !first_thread_busy_) return false;
  if (flushes == 0) return true;
  // A second one of a table takes the processor from writers, and from compactions: it has to be
  // worth it.
  const bool wanted = flush_waiters_ > 0 || table.sealed() >= kSealedMany;
  return wanted && flushes < 2 && table.version->levels[0].size() < kRunsMany;
}

LiveTable* OpenDatabase::NextToFlush(int thread) const {
  for (LiveTable* table : tables_.Behind(last_flushed_)) {
    if (ShouldFlush(*table, thread)) return table;
  }
  return nullptr;
}

bool OpenDatabase::RunFlush(LiveTable* table) {
  last_flushed_ = table->record.id;
  return RunJob(Job::kFlush, [&] { return FlushNext(table); });
}

bool OpenDatabase::RunJob(Job kind, const std::function<arrow::Status()>& job) {
  ++running_jobs_;
  const arrow::Status status = job();
  NoteJobResult(kind, status);
  --running_jobs_;
  work_.notify_all();
  progress_.notify_all();
  // After a failure for want of room the thread pauses before it tries again.
  return !IsRoomError(status);
}

bool OpenDatabase::MayCompact(int thread) const {
  // The first of several threads is there for flushes.
  return environment_.options.auto_compaction &&
         (thread > 0 || environment_.options.background_threads <= 1);
}

std::optional<Clock::duration> OpenDatabase::UntilRetry() const {
  std::optional<Clock::duration> least;
  const auto now = Clock::now();
  for (const auto& [id, table] : tables_.all()) {
    if (table->compaction_retry == Clock::time_point()) continue;
    const auto rest = table->compaction_retry - now;
    if (!least.has_value() || rest < *least) least = rest;
  }
  return least;
}

void OpenDatabase::NoteCompaction(LiveTable* table, const arrow::Status& status,
                                  Clock::duration time) {
  table->no_room = arrow::Status::OK();
  if (!IsRoomError(status)) return;
  table->no_room = NoRoomFor("compaction", status);
  table->compaction_retry = Clock::now() + std::min<Clock::duration>(kRestTimes * time, kRestMax);
}

bool OpenDatabase::RunOneJob(int thread) {
  // What a job makes could not be named before there is a manifest again.
  if (ManifestWaits()) return RetryManifest();
  if (LiveTable* table = NextToFlush(thread); table != nullptr) {
    if (thread == 0) first_thread_busy_ = true;
    const bool go_on = RunFlush(table);
    if (thread == 0) first_thread_busy_ = false;
    // Without room for a flush a compaction may fit, and make some.
    if (go_on || !MayCompact(thread) || ManifestWaits() || !write_error_.ok()) return go_on;
  }
  for (CompactionParts* parts : shared_compactions_) {
    if (thread == 0) first_thread_busy_ = true;
    const bool worked = RunPart(parts);
    if (thread == 0) first_thread_busy_ = false;
    if (worked) return true;
  }
  if (!MayCompact(thread)) return false;
  const auto start = Clock::now();
  for (LiveTable* t : tables_.Behind(last_compacted_)) {
    if (start < t->compaction_retry) continue;
    t->compaction_retry = {};
    t->no_room = arrow::Status::OK();
    if (t->compacting || t->dropping || t->wanted_alone > 0) continue;
    if (!CompactionErrorOf(*t).ok()) continue;
    auto plan = PickCompaction(*t->version, LimitsFor(*t));
    if (!plan.has_value()) continue;
    last_compacted_ = t->record.id;
    t->compacting = true;
    return RunJob(Job::kCompaction, [&] {
      std::vector<uint64_t> pinned = PinnedSequences();  // what RunPlan sees, too
      const std::shared_ptr<TableState> state = t->state;
      const arrow::Status status = RunPlan(t, *std::move(plan));
      NoteCompaction(t, status, Clock::now() - start);
      t->compacting = false;
      t->compaction_error = arrow::Status::OK();
      if (status.IsCapacityError() && t->state == state) {
        t->compaction_error =
            status.WithMessage("table '", t->record.name, "' is not compacted: ", status.message());
        t->compaction_pins = std::move(pinned);
      }
      return status;
    });
  }
  return false;
}

bool OpenDatabase::RetryManifest() {
  if (manifest_busy_ || Clock::now() < manifest_retry_) return false;
  ++running_jobs_;
  const arrow::Status status = Install({}, nullptr, nullptr);
  --running_jobs_;
  // Success says nothing of jobs that found no room.
  if (!status.ok()) NoteJobResult(Job::kManifestEdit, status);
  progress_.notify_all();
  return status.ok();
}

bool OpenDatabase::WorkIsDue() const {
  for (const auto& [id, table] : tables_.all()) {
    if (table->has_sealed()) return true;
    if (environment_.options.auto_compaction && CompactionErrorOf(*table).ok() &&
        PickCompaction(*table->version, LimitsFor(*table)).has_value()) {
      return true;
    }
  }
  return false;
}

void OpenDatabase::ForgetRoomError() {
  room_error_ = arrow::Status::OK();
  flushes_lack_room_ = false;
}

void OpenDatabase::NoteJobResult(Job job, const arrow::Status& status) {
  constexpr std::array kNames = {"flush", "compaction", "manifest edit"};
  if (status.ok()) return ForgetRoomError();
  if (status.IsCancelled()) return;
  // Rows are too long for a batch, which is no fault of the disk: the table has it noted.
  if (job == Job::kCompaction && status.IsCapacityError()) return;
  if (IsRoomError(status)) {
    room_retry_ = Clock::now() + kRoomRetry;
    flushes_lack_room_ |= job != Job::kCompaction;
    room_error_ = NoRoomFor(kNames[static_cast<size_t>(job)], status);
    return;
  }
  FailWrites(status);
}

CompactionLimits OpenDatabase::LimitsFor(const LiveTable& table) const {
  CompactionLimits limits;
  limits.level_base_bytes = environment_.options.level_base_bytes;
  limits.target_file_bytes = environment_.options.target_file_bytes;
  limits.join_small_files = !table.joins_are_futile;
  limits.flushed_sequence = TableSet::FlushedSequence(table, last_sequence_.load());
  limits.bottom_compression = OtherBottomCompression(table.state->schema->options());
  return limits;
}

arrow::Status OpenDatabase::WhyNotCompacted(const LiveTable& table) const {
  return table.no_room.ok() ? CompactionErrorOf(table) : table.no_room;
}

arrow::Status OpenDatabase::CompactionErrorOf(const LiveTable& table) const {
  const bool all_there = std::ranges::all_of(
      table.compaction_pins, [this](uint64_t pin) { return snapshots_.contains(pin); });
  return all_there ? table.compaction_error : arrow::Status::OK();
}

std::vector<uint64_t> OpenDatabase::PinnedSequences() const {
  std::vector<uint64_t> pinned(snapshots_.begin(), snapshots_.end());
  pinned.erase(std::unique(pinned.begin(), pinned.end()), pinned.end());
  return pinned;
}

arrow::Status OpenDatabase::FlushNext(LiveTable* table) {
  const auto slot = std::ranges::find(table->memtables, false, &MemtableSlot::flushing);
  MARBLE_CHECK(static_cast<size_t>(slot - table->memtables.begin()) < table->sealed());
  std::shared_ptr<Memtable> memtable = slot->memtable;
  slot->flushing = true;
  ++table->flushes;
  arrow::Status status = FlushMarked(table, memtable);
  --table->flushes;
  if (!status.ok()) {
    // Unless the edit became true in spite of an error that came after it.
    const auto kept = std::ranges::find(table->memtables, memtable, &MemtableSlot::memtable);
    if (kept != table->memtables.end()) kept->flushing = false;
    return status;
  }
  // Freeing that much memory takes a while.
  progress_.notify_all();
  const MutexUnlock unlock(&mutex_);
  memtable.reset();
  return status;
}

arrow::Status OpenDatabase::WaitForOlder(const LiveTable& table, const Memtable& memtable) {
  while (table.memtables.front().memtable.get() != &memtable) {
    if (!table.memtables.front().flushing) return arrow::Status::Cancelled("an older flush failed");
    progress_.wait(mutex_);
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::FlushMarked(LiveTable* table,
                                        const std::shared_ptr<Memtable>& memtable) {
  // What deletes hide may be in older memtables that are being written.
  const bool bottommost =
      table->memtables.front().memtable == memtable && table->version->FileCount() == 0;
  const auto start = Clock::now();
  OutputContext context = environment_.MakeOutputContext(*table->state, PinnedSequences());
  mutex_.unlock();
  auto files = FlushMemtable(*memtable, context, bottommost);
  mutex_.lock();
  ARROW_RETURN_NOT_OK(files.status());
  const arrow::Status in_order = WaitForOlder(*table, *memtable);
  if (!in_order.ok()) {
    RemoveUnlocked(*files);
    return in_order;
  }
  VersionEdit edit;
  TableEdit* change = edit.For(table->record.id);
  const uint64_t run = table->next_run++;
  for (FileMeta& file : *files) {
    counters_.bytes_flushed += static_cast<int64_t>(file.size);
    change->added.push_back({0, run, std::move(file)});
  }
  ++counters_.flushes;
  ARROW_RETURN_NOT_OK(Install(std::move(edit), table, memtable.get()));
  const std::chrono::duration<double> time = Clock::now() - start;
  const auto rate =
      static_cast<int64_t>(static_cast<double>(memtable->bytes()) / (time.count() + 1e-6));
  if (memtable->bytes() >= environment_.memtable_bytes_max() / 2) {  // small ones say little
    flush_rate_ = flush_rate_ == 0 ? rate : (flush_rate_ + rate) / 2;
  }
  return arrow::Status::OK();
}

void OpenDatabase::RemoveUnlocked(const std::vector<FileMeta>& files) {
  const MutexUnlock unlock(&mutex_);
  RemoveOutput(files, environment_.fs, environment_.directory);
}

arrow::Status OpenDatabase::RunPlan(LiveTable* table, CompactionPlan plan) {
  arrow::Status status = CarryOut(table, plan);
  // The last reference to the inputs may be the plan's, and removing files takes a while.
  const MutexUnlock unlock(&mutex_);
  plan = CompactionPlan();
  return status;
}

arrow::Status OpenDatabase::CarryOut(LiveTable* table, const CompactionPlan& plan) {
  VersionEdit edit;
  TableEdit* change = edit.For(table->record.id);
  for (const auto& file : plan.InputFiles()) change->removed.push_back(file->meta().number);
  const auto level = static_cast<uint32_t>(plan.output_level);
  if (plan.trivial_move) {
    for (const auto& file : plan.InputFiles()) change->added.push_back({level, 0, file->meta()});
    ++counters_.trivial_moves;
    return Install(std::move(edit), table, nullptr);
  }
  ARROW_ASSIGN_OR_RAISE(std::vector<FileMeta> files, RunParts(table, plan));
  const bool are_fewer = files.size() < change->removed.size();
  const uint64_t run = level == 0 ? table->next_run++ : 0;
  for (FileMeta& file : files) {
    counters_.bytes_compacted += static_cast<int64_t>(file.size);
    change->added.push_back({level, run, std::move(file)});
  }
  ++counters_.compactions;
  ARROW_RETURN_NOT_OK(Install(std::move(edit), table, nullptr));
  // Where blocks are as large as files and compress well, files are cut by what they would have.
  if (plan.joins && !are_fewer) table->joins_are_futile = true;
  return arrow::Status::OK();
}

arrow::Result<std::vector<FileMeta>> OpenDatabase::RunParts(LiveTable* table,
                                                            const CompactionPlan& plan) {
  CompactionParts parts;
  parts.plan = &plan;
  parts.context = environment_.MakeOutputContext(*table->state, PinnedSequences());
  parts.context.cancelled = &stop_jobs_;
  mutex_.unlock();
  auto ranges = SplitCompaction(plan, parts.context);
  mutex_.lock();
  ARROW_ASSIGN_OR_RAISE(parts.ranges, std::move(ranges));
  parts.files.resize(parts.ranges.size());
  shared_compactions_.push_back(&parts);
  work_.notify_all();
  while (RunPart(&parts)) {
    if (parts.next < parts.ranges.size()) FlushBetweenParts();
  }
  while (parts.running > 0) progress_.wait(mutex_);
  std::erase(shared_compactions_, &parts);
  std::vector<FileMeta> files;
  for (auto& some : parts.files) {
    files.insert(files.end(), std::make_move_iterator(some.begin()),
                 std::make_move_iterator(some.end()));
  }
  if (parts.status.ok()) return files;
  RemoveUnlocked(files);
  return parts.status;
}

void OpenDatabase::FlushBetweenParts() {
  if (environment_.options.background_threads > 1) return;
  // Nobody else would, and writers soon wait for it.
  if (stop_jobs_.load() || !write_error_.ok() || ManifestWaits()) return;
  if (flushes_lack_room_ && Clock::now() < room_retry_) return;
  if (LiveTable* table = NextToFlush(/*thread=*/0); table != nullptr) RunFlush(table);
}

bool OpenDatabase::RunPart(CompactionParts* parts) {
  if (!parts->status.ok() || parts->next == parts->ranges.size()) return false;
  const size_t part = parts->next++;
  ++parts->running;
  mutex_.unlock();
  auto files = RunCompaction(*parts->plan, parts->ranges[part], parts->context);
  mutex_.lock();
  --parts->running;
  if (files.ok()) {
    parts->files[part] = *std::move(files);
  } else if (parts->status.ok()) {
    parts->status = files.status();
  }
  progress_.notify_all();
  return true;
}

arrow::Status OpenDatabase::FlushAll(LiveTable* only) {
  std::vector<SealedMemtable> waiting;
  for (auto& [id, table] : tables_.all()) {
    if (only != nullptr && table.get() != only) continue;
    tables_.Seal(table.get());
    if (table->has_sealed()) {
      waiting.emplace_back(id, table->memtables[table->memtables.size() - 2].memtable);
    }
  }
  work_.notify_all();
  ++flush_waiters_;
  const arrow::Status status = WaitUntilFlushed(waiting);
  --flush_waiters_;
  if (waiting.empty()) return status;
  // These may be the last references, and freeing that much memory takes a while.
  const MutexUnlock unlock(&mutex_);
  waiting.clear();
  return status;
}

arrow::Status OpenDatabase::WaitUntilFlushed(const std::vector<SealedMemtable>& waiting) {
  const auto start = Clock::now();
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
      ARROW_RETURN_NOT_OK(CheckWritable());
      // What a job met before there was room again is tried anew.
      if (flushes_lack_room_ && Clock::now() - start >= kRoomPatience) {
        return room_error_;
      }
      if (flushes_lack_room_) {
        progress_.wait_for(mutex_, kRoomPatience / 8);
      } else {
        progress_.wait(mutex_);
      }
    }
  }
  return arrow::Status::OK();
}

arrow::Result<LiveTable*> OpenDatabase::WaitUntil(
    uint32_t id, const std::function<bool(const LiveTable&)>& holds) {
  LiveTable* table = tables_.Find(id);
  // Else one compaction could follow the other for ever.
  if (table != nullptr) ++table->wanted_alone;
  arrow::Status status;
  while (table != nullptr && !holds(*table)) {
    progress_.wait(mutex_);
    table = tables_.Find(id);
    status = CheckWritable();
    if (!status.ok()) break;
  }
  if (table != nullptr) --table->wanted_alone;
  work_.notify_all();
  if (!status.ok()) return status;
  return table;
}

arrow::Status OpenDatabase::CompactTable(uint32_t id) {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  const CallInside inside(this);
  LiveTable* table = tables_.Find(id);
  if (table == nullptr) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(FlushAll(table));
  // What it writes could not be named before there is a manifest again.
  if (ManifestWaits()) ARROW_RETURN_NOT_OK(Install({}, nullptr, nullptr));
  ARROW_ASSIGN_OR_RAISE(table, WaitUntil(id, [](const LiveTable& t) {
                          return !t.compacting && !t.dropping && t.drops_waiting == 0;
                        }));
  if (table == nullptr) return arrow::Status::OK();
  auto plan = PlanFullCompaction(*table->version, LimitsFor(*table));
  if (!plan.has_value()) return arrow::Status::OK();
  table->compacting = true;
  ++running_jobs_;
  arrow::Status status = RunPlan(table, *std::move(plan));
  table->compacting = false;
  if (status.ok()) {
    table->compaction_error = status;
    table->no_room = status;
    table->compaction_retry = {};
  }
  --running_jobs_;
  work_.notify_all();
  progress_.notify_all();
  return status;
}

}  // namespace marble

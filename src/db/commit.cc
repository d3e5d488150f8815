// Writes: one log record a commit, then the memtables, then the sequence is published. The whole
// step runs under the database's mutex (a put holds it for some 300 ns); waiting for the device
// does not.

#include <chrono>
#include <thread>

#include <arrow/util/io_util.h>

#include <marble/error.h>

#include "base/check.h"
#include "base/warn.h"
#include "db/open_database.h"
#include "io/posix_util.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Sealed memtables of a table that may wait for their flush before writers wait for it, whatever
/// the memory budget: all that is in them is replayed after a crash.
constexpr size_t kSealedMax = 6;
/// Runs of level 0 from which writes are slowed down, and at which they stop.
constexpr size_t kSlowRuns = 12;
constexpr size_t kStopRuns = 28;

/// An operation that changes nothing: it gets no sequence and no place in the log.
bool IsEmpty(const Operation& op) {
  if (op.kind == OperationKind::kDeleteRange) return op.IsEmptyRange();
  return op.rows != nullptr && op.rows->columns->num_rows() == 0;
}

arrow::Status CheckTables(std::span<const Operation> operations) {
  for (const Operation& op : operations) {
    if (op.table->live == nullptr) return op.table->Gone();
  }
  return arrow::Status::OK();
}

/// Its rows lie beside the record, or are a part of it, as a RowsPayload says.
bool HasRows(const Operation& op) {
  return op.rows != nullptr || op.kind == OperationKind::kAttach;
}

/// Commits are limited to 4 GiB.
constexpr uint64_t kCommitBytesMax = uint64_t{4} << 30;
/// Range tombstones of a memtable from which it is sealed, between commits and, at the latter,
/// within one: reads after new ones index all of them anew.
constexpr int64_t kRangeTombstonesMany = 4096;
constexpr int64_t kRangeTombstonesMost = 65'536;
/// Point operations whose place in the memtable is fetched while earlier ones are carried out.
constexpr size_t kPrefetchAhead = 12;

/// Is the memtable to be sealed before the commit is through? `op` was the last that it took;
/// `is_long` of commits that can fill one by themselves.
bool IsOverfull(const Operation& op, bool is_long, const Memtable& memtable) {
  if (op.kind == OperationKind::kDeleteRange) {
    return memtable.range_tombstones().size() >= kRangeTombstonesMost;
  }
  return is_long && memtable.bytes() >= Environment::kMemtableBytesMost;
}

/// Asks for the cache line of the memtable's index that a point operation will look at.
void PrefetchPlace(const Operation& op) {
  if (op.kind != OperationKind::kPut && op.kind != OperationKind::kDelete) return;
  if (!op.pairs.empty()) return;  // the memtable looks ahead
  op.table->live->active().memtable->Prefetch(op.hash);
}

}  // namespace

bool IsRoomError(const arrow::Status& status) {
  if (status.ok()) return false;  // asked at each commit: spares looking for an errno
  return status.IsOutOfMemory() || IsDiskFull(status) || IsOutOfDescriptors(status) ||
         arrow::internal::ErrnoFromStatus(status) == ENOMEM;
}

arrow::Status OpenDatabase::Commit(std::span<Operation> operations, const WriteOptions& options) {
  std::vector<RowsPayload> payloads;
  std::chrono::nanoseconds delay(0);
  arrow::Status status;
  const bool rows = std::ranges::any_of(operations, HasRows);
  if (rows) {
    status = CommitRows(operations, &payloads, options, &delay);
  } else {
    MutexLock lock(&mutex_);
    const CallInside inside(this);
    bool reached_log = false;
    status = CommitAndWait(operations, &payloads, options, &reached_log, &delay);
  }
  if (delay.count() > 0) std::this_thread::sleep_for(delay);
  return status;
}

arrow::Status OpenDatabase::CommitRows(std::span<Operation> operations,
                                       std::vector<RowsPayload>* payloads,
                                       const WriteOptions& options,
                                       std::chrono::nanoseconds* delay) {
  MutexLock lock(&mutex_);
  ARROW_RETURN_NOT_OK(CheckWritable());
  const CallInside inside(this);
  mutex_.unlock();
  bool reached_log = false;
  arrow::Status status = PrepareRows(operations, payloads);
  mutex_.lock();
  if (status.ok()) status = CommitAndWait(operations, payloads, options, &reached_log, delay);
  // Once the record may be in the log, the files are left to recovery: it knows whether they are
  // needed.
  if (status.ok() || reached_log) return status;
  for (const RowsPayload& payload : *payloads) RemoveUnlocked(payload.files);
  return status;
}

arrow::Status OpenDatabase::CommitAndWait(std::span<Operation> operations,
                                          std::vector<RowsPayload>* payloads,
                                          const WriteOptions& options, bool* reached_log,
                                          std::chrono::nanoseconds* delay) {
  if (std::ranges::all_of(operations, IsEmpty)) return CommitNothing(operations, options);
  LogPosition end;
  ARROW_RETURN_NOT_OK(CommitLocked(operations, payloads, options, &end, reached_log));
  // What others have left pending is theirs to write, or, without room, the background threads'.
  const auto attaches = [](const RowsPayload& payload) { return !payload.files.empty(); };
  if (std::ranges::any_of(*payloads, attaches)) ARROW_RETURN_NOT_OK(InstallPending());
  if (options.sync) return WaitDurable(end);
  *delay = WriteDelay(operations);
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::CommitNothing(std::span<Operation> operations,
                                          const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckWritable());
  ARROW_RETURN_NOT_OK(CheckTables(operations));
  return options.sync ? WaitDurable(log_->PrepareSync().position) : arrow::Status::OK();
}

arrow::Status OpenDatabase::PrepareRows(std::span<Operation> operations,
                                        std::vector<RowsPayload>* payloads) {
  for (size_t i = 0; i < operations.size(); ++i) {
    Operation& op = operations[i];
    if (!HasRows(op) || IsEmpty(op)) continue;
    payloads->resize(operations.size());
    RowsPayload& payload = (*payloads)[i];
    if (op.kind == OperationKind::kAttach) {
      payload.files = op.files;
      continue;
    }
    const int64_t rows = op.rows->columns->num_rows();
    const int64_t bytes = BatchBytes(*op.rows->columns);
    const bool large = bytes > environment_.memtable_bytes_max() || rows > kMemtableRowsMax;
    if (op.kind != OperationKind::kInsertRows || !large) {
      ARROW_ASSIGN_OR_RAISE(payload.message, SerializeBatch(*op.rows->columns, environment_.pool));
      continue;
    }
    ARROW_ASSIGN_OR_RAISE(payload.files, WriteBulkRun(*op.table, *op.rows, /*first_row_id=*/0));
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::CheckWritable() const {
  if (closing_) return ClosedError("the database is closed");
  if (environment_.options.read_only) {
    return ReadOnlyError("the database " + environment_.directory + " is open read-only");
  }
  return write_error_;
}

arrow::Status OpenDatabase::CommitLocked(std::span<Operation> operations,
                                         std::vector<RowsPayload>* payloads,
                                         const WriteOptions& options, LogPosition* end,
                                         bool* reached_log) {
  ARROW_RETURN_NOT_OK(CheckWritable());
  ARROW_RETURN_NOT_OK(MakeRoom(operations, options));
  ARROW_RETURN_NOT_OK(CheckTables(operations));
  for (const Operation& op : operations.first(std::min(operations.size(), kPrefetchAhead))) {
    PrefetchPlace(op);  // while the log record is written
  }
  const uint64_t sequence = last_sequence_.load(std::memory_order_relaxed) + 1;
  EncodeOperations(operations, payloads, sequence);
  if (record_.payload_bytes() > kCommitBytesMax) {
    TakeBackRowIds(operations);
    return arrow::Status::CapacityError("a commit of ", record_.payload_bytes(),
                                        " bytes is over the limit of ", kCommitBytesMax);
  }
  const WriteVia via = options.sync ? WriteVia::kSystemCall : WriteVia::kMapping;
  auto appended = AppendToLog(via, sequence);
  // Without room nothing of it counts as appended.
  *reached_log = !IsRoomError(appended.status());
  if (!appended.ok()) {
    TakeBackRowIds(operations);
    return appended.status();
  }
  *end = *appended;
  arrow::Status applied = ApplyOperations(operations, *payloads, sequence, end->segment);
  if (!applied.ok()) {
    // The record is in the log and may be replayed: memory and disk disagree from here on.
    FailWrites(applied);
    return write_error_;
  }
  ++counters_.commits;
  last_sequence_.store(sequence + record_.count() - 1, std::memory_order_release);
  SealFullMemtables(operations);
  return arrow::Status::OK();
}

void OpenDatabase::EncodeOperations(std::span<Operation> operations,
                                    std::vector<RowsPayload>* payloads, uint64_t sequence) {
  record_.Clear();
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& op = operations[i];
    if (IsEmpty(op)) continue;
    const uint32_t table = op.table->info.id;
    switch (op.kind) {
      case OperationKind::kPut:
        for (const PutPair& pair : op.pairs) record_.AddPut(table, pair.key, pair.value);
        if (op.pairs.empty()) record_.AddPut(table, op.key, op.value);
        continue;
      case OperationKind::kDelete:
        record_.AddDelete(table, op.key);
        continue;
      case OperationKind::kDeleteRange:
        record_.AddDeleteRange(table, op.key, op.value, op.end_unbounded);
        continue;
      default:
        break;
    }
    RowsPayload& payload = (*payloads)[i];
    const bool append = op.table->schema->is_append();
    if (append) {
      payload.first_row_id = op.table->live->next_row_id;
      op.table->live->next_row_id += op.row_count();
    }
    if (payload.files.empty()) {
      record_.AddRows(op.kind, table, payload.first_row_id, payload.message);
      continue;
    }
    for (FileMeta& file : payload.files) {
      file.constant_sequence = sequence + record_.count();
      file.sequence_min = file.sequence_max = *file.constant_sequence;
      if (!append) continue;
      file.first_row_id += payload.first_row_id;
      file.smallest = EncodeRowId(file.first_row_id);
      file.largest = EncodeRowId(file.first_row_id + file.rows - 1);
    }
    record_.AddAttach(table, payload.first_row_id, payload.files);
  }
}

void OpenDatabase::TakeBackRowIds(std::span<Operation> operations) {
  for (const Operation& op : operations) {
    if (!HasRows(op) || !op.table->schema->is_append()) continue;
    op.table->live->next_row_id -= op.row_count();
  }
}

arrow::Result<LogPosition> OpenDatabase::AppendToLog(WriteVia via, uint64_t sequence) {
  LogRecordHeader header;
  header.kind = LogRecordKind::kCommit;
  header.first_sequence = sequence;
  header.count = record_.count();
  const bool asked_before = log_->asked_ahead();
  auto end = log_->Append(header, record_.Parts(), record_.payload_bytes(), via);
  // The first thread is to give back what was asked for if nobody writes on.
  if (log_->asked_ahead() && !asked_before) work_.notify_all();
  if (!end.ok() && !IsRoomError(end.status())) FailWrites(end.status());
  return end;
}

arrow::Status OpenDatabase::ApplyOperations(std::span<Operation> operations,
                                            const std::vector<RowsPayload>& payloads,
                                            uint64_t sequence, uint64_t segment) {
  const bool is_long =
      static_cast<int64_t>(record_.payload_bytes()) > Environment::kMemtableBytesMost / 4;
  bool sealed = false;
  for (size_t i = 0; i < operations.size(); ++i) {
    const Operation& op = operations[i];
    if (IsEmpty(op)) continue;
    if (i + kPrefetchAhead < operations.size()) PrefetchPlace(operations[i + kPrefetchAhead]);
    LiveTable* table = op.table->live;
    if (!payloads.empty() && !payloads[i].files.empty()) {
      tables_.Seal(table);
      tables_.Attach(table, payloads[i].files);
      const uint64_t run = table->next_run - 1;
      for (const FileMeta& file : payloads[i].files) {
        pending_.For(table->record.id)->added.push_back({0, run, file});
      }
      if (pending_segment_ == 0) pending_segment_ = segment;
      work_.notify_all();
    } else {
      if (table->active().first_segment == 0) table->active().first_segment = segment;
      const uint64_t first_row_id = op.rows != nullptr ? payloads[i].first_row_id : 0;
      ARROW_RETURN_NOT_OK(ApplyOperation(op, sequence, first_row_id, table));
      if (IsOverfull(op, is_long, *table->active().memtable)) {
        tables_.Seal(table);
        sealed = true;
      }
    }
    sequence += std::max<uint64_t>(op.pairs.size(), 1);
  }
  for (size_t i = 0; i < operations.size(); ++i) {
    const bool last = i + 1 == operations.size() || operations[i + 1].table != operations[i].table;
    if (last) CountMemtableBytes(operations[i].table->live);
  }
  if (sealed) {
    memtable_bytes_ = tables_.MemtableBytes();
    work_.notify_all();
  }
  return arrow::Status::OK();
}

arrow::Status OpenDatabase::ApplyOperation(const Operation& op, uint64_t sequence,
                                           uint64_t first_row_id, LiveTable* table) {
  Memtable& memtable = *table->active().memtable;
  switch (op.kind) {
    case OperationKind::kPut:
      if (!op.pairs.empty()) return memtable.PutMany(sequence, op.pairs);
      return memtable.Put(sequence, op.key, op.hash, op.value);
    case OperationKind::kDelete:
      return memtable.Delete(sequence, op.key, op.hash);
    case OperationKind::kDeleteRange: {
      RangeTombstone tombstone{std::string(op.key), std::nullopt, sequence};
      if (!op.end_unbounded) tombstone.end = std::string(op.value);
      return memtable.DeleteRange(std::move(tombstone));
    }
    case OperationKind::kInsertRows:
    case OperationKind::kDeleteRows: {
      const RowKind kind = op.kind == OperationKind::kInsertRows ? RowKind::kPut : RowKind::kDelete;
      return memtable.InsertRows(sequence, *op.rows, kind, first_row_id);
    }
    default:
      return arrow::Status::Invalid("not an operation on rows");
  }
}

void OpenDatabase::CountMemtableBytes(LiveTable* table) {
  const int64_t bytes = table->active().memtable->bytes();
  memtable_bytes_ += bytes - table->counted_bytes;
  table->counted_bytes = bytes;
  if (memtable_bytes_ <= memtable_room_) return;
  writers_rest_ = false;
  if (MemtableRoom() > memtable_room_) work_.notify_all();
}

void OpenDatabase::Seal(LiveTable* table) {
  tables_.Seal(table);
  memtable_bytes_ = tables_.MemtableBytes();
  work_.notify_all();
}

void OpenDatabase::SealFullMemtables(std::span<Operation> operations) {
  for (const Operation& op : operations) {
    LiveTable* table = op.table->live;
    const bool many = op.kind == OperationKind::kDeleteRange &&
                      table->active().memtable->range_tombstones().size() >= kRangeTombstonesMany;
    if (many || table->counted_bytes >= environment_.memtable_bytes_max()) Seal(table);
  }
  SealForMemory();
  SealForLog();
}

void OpenDatabase::SealForLog() {
  if (log_->bytes() <= environment_.options.log_bytes_max) return;
  const uint64_t oldest = log_->oldest_segment();
  // Memtables that were begun since do not hold the segment.
  if (oldest == log_->current_segment() || oldest == sealed_for_segment_) return;
  sealed_for_segment_ = oldest;
  for (auto& [id, table] : tables_.all()) {
    if (table->active().first_segment == oldest) tables_.Seal(table.get());
  }
  memtable_bytes_ = tables_.MemtableBytes();
  work_.notify_all();
}

void OpenDatabase::SealForMemory() {
  if (memtable_bytes_ <= environment_.memtables_scarce()) return;
  LiveTable* largest = nullptr;
  for (auto& [id, table] : tables_.all()) {
    if (table->has_sealed()) return;
    if (largest == nullptr ||
        table->active().memtable->bytes() > largest->active().memtable->bytes()) {
      largest = table.get();
    }
  }
  if (largest != nullptr) Seal(largest);
}

OpenDatabase::WaitReason OpenDatabase::ReasonToWait(std::span<Operation> operations) const {
  const auto no_flush = [&] { return flushes_lack_room_ ? room_error_ : arrow::Status::OK(); };
  for (const Operation& op : operations) {
    const LiveTable* table = op.table->live;
    if (table == nullptr) continue;
    const auto name = [&] { return "table '" + table->record.name + "'"; };
    if (table->altering) return {"the schema of " + name() + " is being changed", no_flush()};
    if (table->memtables.size() > kSealedMax + 1) {
      return {
          name() + " has " + std::to_string(table->sealed()) + " memtables waiting to be flushed",
          no_flush()};
    }
    const size_t runs = table->version->levels[0].size();
    if (environment_.options.auto_compaction && runs >= kStopRuns) {
      return {"level 0 of " + name() + " has " + std::to_string(runs) + " runs",
              ReasonForRuns(*table)};
    }
  }
  if (memtable_bytes_ > environment_.memtables_max()) {
    return {"memtables hold " + std::to_string(memtable_bytes_) + " bytes of a budget of " +
                std::to_string(environment_.options.memory_budget),
            no_flush()};
  }
  return {};
}

arrow::Status OpenDatabase::ReasonForRuns(const LiveTable& table) const {
  if (table.compacting) return arrow::Status::OK();  // this one may have room
  // Hardly a compaction will do better then. But that another table's found no room says nothing of
  // this one's.
  if (flushes_lack_room_) return room_error_;
  return WhyNotCompacted(table);
}

arrow::Status OpenDatabase::MakeRoom(std::span<Operation> operations, const WriteOptions& options) {
  using Clock = std::chrono::steady_clock;
  WaitReason reason = ReasonToWait(operations);
  if (reason.text.empty()) [[likely]]
    return arrow::Status::OK();
  const auto start = Clock::now();
  auto hopeless_since = Clock::time_point::max();
  // A year is for ever, and adding more might overflow.
  const bool patient = options.timeout.count() < 0 || options.timeout > std::chrono::hours(8760);
  ++counters_.write_stops;
  counters_.write_delay_reason = reason.text;
  arrow::Status status;
  while (!reason.text.empty() && status.ok()) {
    // What was being flushed when the memory ran short may not have been enough.
    SealForMemory();
    work_.notify_all();
    status = CheckWritable();
    // If the disk is full, waiting would be for ever, so the write is refused with the cause. But a
    // job may report late what it met before there was room again: it is tried anew meanwhile.
    const bool hopeless = !reason.error.ok();
    if (hopeless) hopeless_since = std::min(hopeless_since, Clock::now());
    const auto end = std::min(hopeless ? hopeless_since + kRoomPatience : Clock::time_point::max(),
                              patient ? Clock::time_point::max() : start + options.timeout);
    if (status.ok() && Clock::now() >= end) {
      status = hopeless ? reason.error
                        : BusyError("nothing was written within the timeout: " + reason.text);
    }
    if (!status.ok()) break;
    if (end == Clock::time_point::max()) {
      progress_.wait(mutex_);
    } else {
      progress_.wait_until(mutex_, end);
    }
    reason = ReasonToWait(operations);
  }
  counters_.write_delay_micros +=
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
  return reason.text.empty() ? CheckWritable() : status;
}

WriteDebt OpenDatabase::DebtOf(const LiveTable& table) const {
  WriteDebt debt;
  const int64_t memtable = environment_.memtable_bytes_max();
  const auto sealed_max = static_cast<int64_t>(kSealedMax);
  if (table.has_sealed()) {
    debt.table_bytes = {table.memtable_bytes(), sealed_max * memtable, (sealed_max + 1) * memtable};
    debt.all_bytes = {memtable_bytes_, environment_.memtables_scarce(),
                      environment_.memtables_max()};
  }
  debt.flush_rate = flush_rate_;
  if (!environment_.options.auto_compaction) return debt;
  debt.runs = {static_cast<int64_t>(table.version->levels[0].size()), kSlowRuns, kStopRuns};
  return debt;
}

std::chrono::nanoseconds OpenDatabase::WriteDelay(std::span<Operation> operations) {
  int64_t rate = kUnlimited;
  for (const Operation& op : operations) {
    const LiveTable* table = op.table->live;
    if (table == nullptr) continue;
    const bool flushes_keep_up =
        !table->has_sealed() || (table->memtables.size() <= kSealedMax &&
                                 memtable_bytes_ <= environment_.memtables_scarce());
    if (flushes_keep_up && table->version->levels[0].size() < kSlowRuns) continue;
    rate = std::min(rate, AllowedWriteRate(DebtOf(*table)));
    break;  // the operations of a commit are mostly on one table
  }
  if (rate == kUnlimited) return std::chrono::nanoseconds(0);
  const auto bytes = static_cast<int64_t>(record_.payload_bytes());
  const auto delay = pacer_.Charge(bytes, rate, WritePacer::Clock::now());
  if (delay.count() == 0) return delay;
  ++counters_.write_delays;
  counters_.write_delay_micros += delay.count() / 1000;
  counters_.write_delay_reason = "flush and compaction lag behind: writes go at " +
                                 std::to_string(rate >> 20) + " MiB a second";
  return delay;
}

arrow::Status OpenDatabase::WaitDurable(const LogPosition& position, SyncScope scope) {
  // A flush is no commit: it neither waits for others nor makes them wait for it.
  const bool grouped = scope == SyncScope::kAll;
  const uint64_t entered = grouped ? sync_group_.Enter() : 0;
  arrow::Status status;
  while (log_->durable_through() < position) {
    status = write_error_;
    if (!status.ok()) break;
    if (sync_running_) {
      progress_.wait(mutex_);
    } else if (grouped) {
      SyncTogether();
    } else {
      RunSync(log_->PrepareSync(position.segment));
    }
  }
  if (grouped) sync_group_.Leave(entered);
  return status;
}

void OpenDatabase::SyncTogether() {
  using Clock = std::chrono::steady_clock;
  sync_running_ = true;
  if (!sync_group_.IsComplete()) {
    const Clock::time_point deadline = Clock::now() + sync_group_.patience();
    mutex_.unlock();
    while (!sync_group_.IsComplete() && Clock::now() < deadline) std::this_thread::yield();
    mutex_.lock();
  }
  sync_group_.Begin();
  sync_group_.End(RunSync(log_->PrepareSync()));
}

SyncGroup::Duration OpenDatabase::RunSync(const WriteAheadLog::SyncTarget& target) {
  using Clock = std::chrono::steady_clock;
  sync_running_ = true;
  mutex_.unlock();
  const Clock::time_point start = Clock::now();
  const arrow::Status status = log_->Sync(target);
  mutex_.lock();
  const SyncGroup::Duration took = Clock::now() - start;
  sync_running_ = false;
  if (status.ok()) {
    ++counters_.log_syncs;
    log_->MarkSynced(target);
  } else {
    // The kernel may have dropped the pages it could not write: a retry would succeed and lie.
    FailWrites(status);
  }
  progress_.notify_all();
  return took;
}

arrow::Status OpenDatabase::InstallPending() {
  // The edits that come first may take it along, or find that there is no room.
  while (manifest_busy_) progress_.wait(mutex_);
  ARROW_RETURN_NOT_OK(write_error_);
  if (pending_segment_ == 0) return arrow::Status::OK();
  if (std::chrono::steady_clock::now() < manifest_retry_) return arrow::Status::OK();
  const arrow::Status status = Install({}, nullptr, nullptr);
  return IsRoomError(status) ? arrow::Status::OK() : status;
}

void OpenDatabase::FailWrites(const arrow::Status& cause) {
  if (!write_error_.ok()) return;
  write_error_ = ReadOnlyError(
      "writes to " + environment_.directory +
      " are refused after an error; reopen the database. The error was: " + cause.message());
  progress_.notify_all();
}

}  // namespace marble

// An open database: the catalog, the log, the manifest and the background threads, under one mutex.
//
// Commit point of a write: its log record (with sync: the return of fdatasync). Commit point of a
// flush or compaction: its manifest edit. Of a bulk insert: the log record with the attach
// operation, after its files were synced.
//
// The members are defined in seven files: open_database.cc (catalog, reads, close), alter_table.cc
// (changes of schemas), recovery.cc (open), commit.cc (writes), bulk_runs.cc (rows written before
// their commit), background.cc (flush, compaction) and install.cc (edits).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/helper_threads.h"
#include "base/mutex.h"
#include "db/commit_record.h"
#include "db/core.h"
#include "db/environment.h"
#include "db/log_recovery.h"
#include "db/sync_group.h"
#include "db/table_set.h"
#include "db/write_ahead_log.h"
#include "db/write_pace.h"
#include "tree/compaction_picker.h"
#include "tree/manifest.h"

namespace marble {

/// What a sync of the log that somebody waits for takes along.
enum class SyncScope : uint8_t {
  kAll,      // all that was appended, for others who wait too
  kSegment,  // the segment that was asked for, so that writers of the next are not held up
};

/// Whose schema a new table has: tables of older versions may have columns that are refused now.
enum class TableOrigin : uint8_t { kNew, kRepaired };

class OpenDatabase : public DatabaseCore {
 public:
  static arrow::Result<std::shared_ptr<OpenDatabase>> Open(const std::string& directory,
                                                           const Options& options);
  ~OpenDatabase() override;

  /// Flushes, stops the threads, marks the database clean and releases the lock. Idempotent. After
  /// an error the log is left for the next open to replay.
  arrow::Status Close();

  arrow::Status CreateTable(const std::string& name, const std::shared_ptr<arrow::Schema>& schema,
                            const TableOptions& options, TableOrigin origin = TableOrigin::kNew);
  arrow::Status DropTable(const std::string& name);
  arrow::Status AlterTable(const std::string& name, const SchemaChange& change);
  std::vector<std::string> ListTables() const;
  arrow::Status Flush();
  arrow::Status SyncLog();
  arrow::Status Compact(const std::string& name);
  arrow::Status WaitForBackground();
  Stats GetStats() const;
  const Options& options() const { return environment_.options; }

  arrow::Result<std::shared_ptr<TableState>> FindTable(const std::string& name) const override;
  arrow::Result<ReadPoint> BeginRead(const TableState& table,
                                     const Snapshot* snapshot) const override;
  arrow::Status Commit(std::span<Operation> operations, const WriteOptions& options) override;
  arrow::Result<std::vector<FileMeta>> WriteBulkRun(const TableState& table, const SortedRows& rows,
                                                    uint64_t first_row_id) override;
  arrow::Result<std::vector<FileMeta>> MergeBulkRuns(
      const TableState& table, std::span<const std::vector<FileMeta>> runs) override;
  void RemoveBulkFiles(const std::vector<FileMeta>& files) override;
  arrow::Result<std::shared_ptr<const Snapshot>> TakeSnapshot() override;
  void ReleaseSnapshot(uint64_t sequence) override;
  uint64_t hash_seed() const override { return environment_.hash_seed; }
  arrow::MemoryPool* pool() const override { return environment_.pool; }
  Helpers* helpers() const override { return helpers_.get(); }

 private:
  OpenDatabase() : tables_(&environment_) {}

  // --- alter_table.cc
  arrow::Result<TableRecord> RecordAfter(const LiveTable& table, const SchemaChange& change) const
      MARBLE_REQUIRES(mutex_);
  arrow::Status FlushAndAlter(LiveTable* table, TableRecord record) MARBLE_REQUIRES(mutex_);

  // --- recovery.cc
  static arrow::Result<std::shared_ptr<OpenDatabase>> TryOpen(const std::string& directory,
                                                              const Options& options);
  arrow::Status OpenFiles(const std::string& given, const Options& options);
  arrow::Status CreateFresh() MARBLE_REQUIRES(mutex_);
  arrow::Status LoadExisting() MARBLE_REQUIRES(mutex_);
  /// Of a read-only open beside a writer: the log may have rows of schemas that were not known.
  arrow::Status CheckSchemasAreStill() MARBLE_REQUIRES(mutex_);
  arrow::Status AddTables() MARBLE_REQUIRES(mutex_);
  arrow::Status Replay() MARBLE_REQUIRES(mutex_);
  /// A put or delete of the log that waits for its place in the memtable to be fetched.
  struct ReplayedPoint {
    OperationKind kind;
    std::string_view key;
    std::string_view value;
    uint64_t sequence;
    uint64_t hash;
    uint64_t segment;
    LiveTable* table;
    std::shared_ptr<arrow::Buffer> payload;  // holds key and value
  };
  arrow::Status ReplayOperation(uint64_t sequence, const LoggedOperation& op,
                                const LogRecord& record) MARBLE_REQUIRES(mutex_);
  arrow::Status ReplayPoint(uint64_t sequence, const LoggedOperation& op, const LogRecord& record,
                            LiveTable* table) MARBLE_REQUIRES(mutex_);
  /// Applies the points that wait, in order, but for the last `leave`.
  arrow::Status ApplyReplayedPoints(size_t leave) MARBLE_REQUIRES(mutex_);
  arrow::Status FlushIfFull(LiveTable* table) MARBLE_REQUIRES(mutex_);
  arrow::Status ReplayAttach(uint64_t sequence, const LoggedOperation& op, LiveTable* table)
      MARBLE_REQUIRES(mutex_);
  /// A replayed memtable that is being written by a thread of its own while the replay goes on.
  struct RecoveredFlush {
    LiveTable* table = nullptr;
    std::shared_ptr<Memtable> memtable;
    OutputContext context;
    std::future<arrow::Result<std::vector<FileMeta>>> files;
  };
  arrow::Status StartRecoveredFlush(LiveTable* table) MARBLE_REQUIRES(mutex_);
  /// Waits, oldest first, until no more than `leave` are being written, and applies them.
  arrow::Status FinishRecoveredFlushes(size_t leave) MARBLE_REQUIRES(mutex_);
  arrow::Status FlushRecovered(LiveTable* table) MARBLE_REQUIRES(mutex_);
  arrow::Status StartWriting() MARBLE_REQUIRES(mutex_);

  // --- commit.cc
  struct RowsPayload {
    arrow::BufferVector message;  // in the log record
    std::vector<FileMeta> files;  // or already in files: attach
    uint64_t first_row_id = 0;    // append tables
  };
  /// A call that Close waits for, because it lets go of the mutex in between; the mutex is held
  /// when it begins and ends.
  class CallInside {
   public:
    explicit CallInside(OpenDatabase* database) : database_(database) { ++database_->calls_; }
    CallInside(const CallInside&) = delete;
    CallInside& operator=(const CallInside&) = delete;
    ~CallInside() {
      if (--database_->calls_ == 0 && database_->closing_) database_->progress_.notify_all();
    }

   private:
    OpenDatabase* const database_;
  };
  arrow::Status CommitRows(std::span<Operation> operations, std::vector<RowsPayload>* payloads,
                           const WriteOptions& options, std::chrono::nanoseconds* delay)
      MARBLE_EXCLUDES(mutex_);
  arrow::Status CommitAndWait(std::span<Operation> operations, std::vector<RowsPayload>* payloads,
                              const WriteOptions& options, bool* reached_log,
                              std::chrono::nanoseconds* delay) MARBLE_REQUIRES(mutex_);
  /// Nothing is written, so nothing waits for room; but a sync makes durable what came before.
  arrow::Status CommitNothing(std::span<Operation> operations, const WriteOptions& options)
      MARBLE_REQUIRES(mutex_);
  arrow::Status PrepareRows(std::span<Operation> operations, std::vector<RowsPayload>* payloads);
  arrow::Status CheckWritable() const MARBLE_REQUIRES(mutex_);
  arrow::Status MakeRoom(std::span<Operation> operations, const WriteOptions& options)
      MARBLE_REQUIRES(mutex_);
  arrow::Status CommitLocked(std::span<Operation> operations, std::vector<RowsPayload>* payloads,
                             const WriteOptions& options, LogPosition* end, bool* reached_log)
      MARBLE_REQUIRES(mutex_);
  void TakeBackRowIds(std::span<Operation> operations) MARBLE_REQUIRES(mutex_);
  void EncodeOperations(std::span<Operation> operations, std::vector<RowsPayload>* payloads,
                        uint64_t sequence) MARBLE_REQUIRES(mutex_);
  arrow::Status ApplyOperations(std::span<Operation> operations,
                                const std::vector<RowsPayload>& payloads, uint64_t sequence,
                                uint64_t segment) MARBLE_REQUIRES(mutex_);
  arrow::Status ApplyOperation(const Operation& op, uint64_t sequence, uint64_t first_row_id,
                               LiveTable* table) MARBLE_REQUIRES(mutex_);
  arrow::Result<LogPosition> AppendToLog(WriteVia via, uint64_t sequence) MARBLE_REQUIRES(mutex_);
  void Seal(LiveTable* table) MARBLE_REQUIRES(mutex_);
  void SealFullMemtables(std::span<Operation> operations) MARBLE_REQUIRES(mutex_);
  /// Seals the largest memtable if all of them take too much and none is being flushed.
  void SealForMemory() MARBLE_REQUIRES(mutex_);
  /// Why a table's level 0 stays full; OK if that will pass.
  arrow::Status ReasonForRuns(const LiveTable& table) const MARBLE_REQUIRES(mutex_);
  /// Seals what holds the oldest segment of a log that is too long.
  void SealForLog() MARBLE_REQUIRES(mutex_);
  /// Writes what is pending to the manifest, unless another edit does it meanwhile. What was
  /// committed stands whatever becomes of this: without room it goes with the next edit, and is not
  /// tried again at once.
  arrow::Status InstallPending() MARBLE_REQUIRES(mutex_);
  /// Why a write has to wait; no text if it need not. An error if what it waits for cannot come.
  struct WaitReason {
    std::string text;
    arrow::Status error;
  };
  WaitReason ReasonToWait(std::span<Operation> operations) const MARBLE_REQUIRES(mutex_);
  WriteDebt DebtOf(const LiveTable& table) const MARBLE_REQUIRES(mutex_);
  std::chrono::nanoseconds WriteDelay(std::span<Operation> operations) MARBLE_REQUIRES(mutex_);
  void CountMemtableBytes(LiveTable* table) MARBLE_REQUIRES(mutex_);
  /// What memtables may grow to until the block cache is fitted to them again, and what that leaves
  /// to the cache. Bytes.
  int64_t MemtableRoom() const MARBLE_REQUIRES(mutex_);
  int64_t CacheCapacity(int64_t memtable_room) const {
    return environment_.options.memory_budget * 7 / 8 -
           std::min(memtable_room, environment_.memtables_max());
  }
  /// Gives the block cache what memtables leave of their half of the budget, or takes it back.
  /// False if nothing has changed; else the mutex was let go meanwhile.
  bool FitCache() MARBLE_REQUIRES(mutex_);
  arrow::Status WaitDurable(const LogPosition& position, SyncScope scope = SyncScope::kAll)
      MARBLE_REQUIRES(mutex_);
  /// Syncs the log for all commits that wait for it.
  void SyncTogether() MARBLE_REQUIRES(mutex_);
  /// Syncs what the target says, without the mutex meanwhile. An error stops writes.
  SyncGroup::Duration RunSync(const WriteAheadLog::SyncTarget& target) MARBLE_REQUIRES(mutex_);
  void FailWrites(const arrow::Status& cause) MARBLE_REQUIRES(mutex_);

  // --- background.cc
  arrow::Status StartThreads() MARBLE_REQUIRES(mutex_);
  void ThreadLoop(int thread);
  /// Runs the job that is most urgent; false if there is none, or it found no room.
  bool RunOneJob(int thread) MARBLE_REQUIRES(mutex_);
  bool MayCompact(int thread) const;
  /// How long until one of the compactions that rest may begin; nullopt if none rests.
  std::optional<std::chrono::steady_clock::duration> UntilRetry() const MARBLE_REQUIRES(mutex_);
  void NoteCompaction(LiveTable* table, const arrow::Status& status,
                      std::chrono::steady_clock::duration time) MARBLE_REQUIRES(mutex_);
  /// Waits for a job. The first thread shrinks the log if nobody writes it.
  void WaitForJob(int thread) MARBLE_REQUIRES(mutex_);
  /// Does the log have segments that no memtable needs?
  bool LogCanShrink() const MARBLE_REQUIRES(mutex_);
  /// Removes these and the spares.
  void ShrinkLog() MARBLE_REQUIRES(mutex_);
  /// Flushes the oldest memtable that nobody flushes yet: there must be one. Several may be written
  /// at once, but they become part of the version in their order.
  arrow::Status FlushNext(LiveTable* table) MARBLE_REQUIRES(mutex_);
  /// Its work on the memtable that it has marked.
  arrow::Status FlushMarked(LiveTable* table, const std::shared_ptr<Memtable>& memtable)
      MARBLE_REQUIRES(mutex_);
  /// Waits until `memtable` is the oldest of its table. Cancelled if the one before it failed.
  arrow::Status WaitForOlder(const LiveTable& table, const Memtable& memtable)
      MARBLE_REQUIRES(mutex_);
  /// Should this thread flush a memtable of the table?
  bool ShouldFlush(const LiveTable& table, int thread) const MARBLE_REQUIRES(mutex_);
  /// The first table, behind the one flushed last, of which it should; nullptr if there is none.
  LiveTable* NextToFlush(int thread) const MARBLE_REQUIRES(mutex_);
  /// Like RunJob.
  bool RunFlush(LiveTable* table) MARBLE_REQUIRES(mutex_);
  /// Removes files that nothing names, without the mutex meanwhile.
  void RemoveUnlocked(const std::vector<FileMeta>& files) MARBLE_REQUIRES(mutex_);
  arrow::Status RunPlan(LiveTable* table, CompactionPlan plan) MARBLE_REQUIRES(mutex_);
  arrow::Status CarryOut(LiveTable* table, const CompactionPlan& plan) MARBLE_REQUIRES(mutex_);
  /// A compaction in parts by key: the thread that runs it and those that have nothing else to do
  /// work them off.
  struct CompactionParts {
    const CompactionPlan* plan = nullptr;
    OutputContext context;
    std::vector<EncodedRange> ranges;
    std::vector<std::vector<FileMeta>> files;  // in step with ranges
    size_t next = 0;                           // the first part that nobody has taken
    size_t running = 0;
    arrow::Status status;  // of the first part that failed
  };
  arrow::Result<std::vector<FileMeta>> RunParts(LiveTable* table, const CompactionPlan& plan)
      MARBLE_REQUIRES(mutex_);
  /// Takes a part and carries it out; false if there is none left.
  bool RunPart(CompactionParts* parts) MARBLE_REQUIRES(mutex_);
  /// If the database has a single thread, flushes what is due.
  void FlushBetweenParts() MARBLE_REQUIRES(mutex_);
  /// Is there a memtable to flush, or a compaction to do?
  bool WorkIsDue() const MARBLE_REQUIRES(mutex_);
  enum class Job : uint8_t { kFlush, kCompaction, kManifestEdit };
  /// Carries the job out and notes its result; false if there is no room for another one now.
  bool RunJob(Job kind, const std::function<arrow::Status()>& job) MARBLE_REQUIRES(mutex_);
  void NoteJobResult(Job job, const arrow::Status& status) MARBLE_REQUIRES(mutex_);
  void ForgetRoomError() MARBLE_REQUIRES(mutex_);
  /// Did the last edit find no room?
  bool ManifestWaits() const MARBLE_REQUIRES(mutex_) {
    return write_error_.ok() && manifest_retry_ != std::chrono::steady_clock::time_point();
  }
  /// Writes what is pending to the manifest if it is time to; true if there is a manifest again.
  bool RetryManifest() MARBLE_REQUIRES(mutex_);
  CompactionLimits LimitsFor(const LiveTable& table) const MARBLE_REQUIRES(mutex_);
  /// The table's error that keeps compactions from being begun; OK if there is none, or what it was
  /// for has gone.
  arrow::Status CompactionErrorOf(const LiveTable& table) const MARBLE_REQUIRES(mutex_);
  /// The same, or that there was no room for the last one.
  arrow::Status WhyNotCompacted(const LiveTable& table) const MARBLE_REQUIRES(mutex_);
  std::vector<uint64_t> PinnedSequences() const MARBLE_REQUIRES(mutex_);
  arrow::Status FlushAll(LiveTable* only) MARBLE_REQUIRES(mutex_);
  /// A table and one of its memtables.
  using SealedMemtable = std::pair<uint32_t, std::shared_ptr<Memtable>>;
  arrow::Status WaitUntilFlushed(const std::vector<SealedMemtable>& waiting)
      MARBLE_REQUIRES(mutex_);
  arrow::Status CompactTable(uint32_t id) MARBLE_EXCLUDES(mutex_);
  /// Waits until that holds of a table, of which no compaction is begun meanwhile. nullptr if it is
  /// gone.
  arrow::Result<LiveTable*> WaitUntil(uint32_t id,
                                      const std::function<bool(const LiveTable&)>& holds)
      MARBLE_REQUIRES(mutex_);

  // --- install.cc
  /// Writes the edit, and everything pending, to the manifest; then applies it. The one place that
  /// changes versions.
  arrow::Status Install(VersionEdit edit, LiveTable* table, const Memtable* flushed)
      MARBLE_REQUIRES(mutex_);
  arrow::Status WriteEdit(VersionEdit* record) MARBLE_REQUIRES(mutex_);
  /// After an edit that failed: what it would have added goes with the next one that succeeds.
  void KeepUnnamedFiles(const VersionEdit& edit) MARBLE_REQUIRES(mutex_);

  // --- open_database.cc
  void StopThreads() MARBLE_EXCLUDES(mutex_);
  arrow::Status FlushForClose() MARBLE_REQUIRES(mutex_);
  TableStats StatsOf(const LiveTable& table) const MARBLE_REQUIRES(mutex_);

  // Constant after open.
  Environment environment_;
  std::unique_ptr<FileLock> lock_;
  bool exists_ = false;
  bool opened_ = false;  // OpenFiles succeeded; before that Close must not write

  mutable Mutex mutex_;
  mutable CondVar work_;      // background threads wait for jobs
  mutable CondVar progress_;  // writers and waiters wait for the threads

  TableSet tables_ MARBLE_GUARDED_BY(mutex_);
  std::unique_ptr<WriteAheadLog> log_ MARBLE_GUARDED_BY(mutex_);
  std::unique_ptr<Manifest> manifest_ MARBLE_GUARDED_BY(mutex_);
  ManifestState manifest_state_ MARBLE_GUARDED_BY(mutex_);  // what the manifest says
  uint64_t manifest_number_ MARBLE_GUARDED_BY(mutex_) = 0;  // the last one begun
  uint64_t named_manifest_ MARBLE_GUARDED_BY(mutex_) = 0;   // by CURRENT
  bool manifest_busy_ MARBLE_GUARDED_BY(mutex_) = false;
  VersionEdit pending_ MARBLE_GUARDED_BY(mutex_);  // committed, applied, not in the manifest yet
  uint64_t pending_segment_ MARBLE_GUARDED_BY(mutex_) =
      0;  // first log segment of pending_; 0 if empty
  // Written for edits that failed: the manifest on disk may name them, or it may not. Its successor
  // does not, and then they are removed.
  std::vector<FileMeta> unnamed_files_ MARBLE_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point manifest_retry_
      MARBLE_GUARDED_BY(mutex_);  // not before this; unset unless the last edit found no room
  // Files of the tables that pending_ drops.
  std::vector<std::shared_ptr<const TableFile>> pending_files_ MARBLE_GUARDED_BY(mutex_);
  uint32_t next_table_id_ MARBLE_GUARDED_BY(mutex_) = 1;
  CommitRecordBuilder record_ MARBLE_GUARDED_BY(mutex_);
  bool sync_running_ MARBLE_GUARDED_BY(mutex_) = false;
  SyncGroup sync_group_;  // under mutex_ but for IsComplete
  std::multiset<uint64_t> snapshots_ MARBLE_GUARDED_BY(mutex_);
  arrow::Status write_error_ MARBLE_GUARDED_BY(mutex_);       // final: writes are refused with it
  arrow::Status room_error_ MARBLE_GUARDED_BY(mutex_);        // passing: no room or no descriptors
  bool flushes_lack_room_ MARBLE_GUARDED_BY(mutex_) = false;  // not compactions alone: room_error_
  std::chrono::steady_clock::time_point room_retry_ MARBLE_GUARDED_BY(mutex_);  // not before this
  bool closing_ MARBLE_GUARDED_BY(mutex_) = false;
  int calls_ MARBLE_GUARDED_BY(mutex_) = 0;  // CallInside
  int running_jobs_ MARBLE_GUARDED_BY(mutex_) = 0;
  bool first_thread_busy_ MARBLE_GUARDED_BY(mutex_) = false;
  int flush_waiters_ MARBLE_GUARDED_BY(mutex_) = 0;
  // The table that a job was begun for last: the others come first, so that none waits for ever.
  uint32_t last_flushed_ MARBLE_GUARDED_BY(mutex_) = 0;
  uint32_t last_compacted_ MARBLE_GUARDED_BY(mutex_) = 0;
  std::vector<CompactionParts*> shared_compactions_ MARBLE_GUARDED_BY(mutex_);
  int64_t memtable_bytes_ MARBLE_GUARDED_BY(mutex_) = 0;
  uint64_t sealed_for_segment_ MARBLE_GUARDED_BY(mutex_) = 0;  // by SealForLog, the last time
  bool fitting_cache_ MARBLE_GUARDED_BY(mutex_) = false;
  bool writers_rest_ MARBLE_GUARDED_BY(mutex_) = true;   // nobody has filled memtables for a while
  int64_t memtable_room_ MARBLE_GUARDED_BY(mutex_) = 0;  // what the block cache leaves to memtables
  int64_t flush_rate_ MARBLE_GUARDED_BY(mutex_) = 0;     // memtable bytes a second, of late
  WritePacer pacer_ MARBLE_GUARDED_BY(mutex_);
  Stats counters_ MARBLE_GUARDED_BY(mutex_);  // the counting fields only
  LogRecoveryResult recovered_;
  std::deque<ReplayedPoint> replayed_points_ MARBLE_GUARDED_BY(mutex_);
  std::deque<RecoveredFlush> recovered_flushes_ MARBLE_GUARDED_BY(mutex_);  // oldest first

  std::atomic<uint64_t> last_sequence_{0};
  std::atomic<bool> stop_jobs_{false};
  std::vector<std::thread> threads_;
  std::unique_ptr<HelperThreads> helpers_;
};

/// How long to wait before a job or a manifest edit that found no room is tried again.
inline constexpr std::chrono::milliseconds kRoomRetry(100);
/// How long a call that has to wait puts up with a full disk: jobs are tried again twice in it.
inline constexpr std::chrono::milliseconds kRoomPatience(250);

/// Is this an error that passes when there is room or when descriptors are free again?
bool IsRoomError(const arrow::Status& status);

}  // namespace marble

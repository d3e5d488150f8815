// Install, the one place where an edit becomes true.

#include <chrono>
#include <thread>
#include <utility>

#include "base/warn.h"
#include "db/open_database.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Lets go of a view that was replaced, and of the memory and files that go with it. Whoever is the
/// last to let go of a file removes it, which takes milliseconds: a get should not be that one, and
/// a short wait makes sure of it. Those who hold a view for long bear it.
void Release(std::shared_ptr<const TableView> view) {
  constexpr std::chrono::microseconds kPause(100);
  for (int i = 0; i < 100 && view.use_count() > 1; ++i) std::this_thread::sleep_for(kPause);
}

}  // namespace

arrow::Status OpenDatabase::Install(VersionEdit edit, LiveTable* table, const Memtable* flushed) {
  while (manifest_busy_) progress_.wait(mutex_);
  ARROW_RETURN_NOT_OK(write_error_);
  manifest_busy_ = true;
  const VersionEdit pending = std::move(pending_);
  const uint64_t pending_segment = pending_segment_;
  auto pending_files = std::move(pending_files_);
  pending_ = {};
  pending_files_ = {};
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
  const uint64_t log_start = tables_.OldestSegmentNeeded(log_->last_nameable(), flushed);
  record.log_start = log_start;
  record.log_first_sequence = log_->FirstSequenceFrom(log_start);
  arrow::Status status = WriteEdit(&record);
  if (status.ok()) {
    std::shared_ptr<const TableView> replaced;
    if (table != nullptr) {
      replaced = table->state->view.stored();
      for (const TableEdit& change : edit.tables) tables_.Apply(table, change, flushed);
      if (flushed != nullptr) memtable_bytes_ = tables_.MemtableBytes();
    }
    for (const auto& file : pending_files) file->MarkObsolete();
    const std::vector<FileMeta> unnamed = std::exchange(unnamed_files_, {});
    manifest_retry_ = {};
    progress_.notify_all();
    std::vector<WriteAheadLog::Retired> retired = log_->TakeRetired(log_start);
    if (replaced != nullptr || !retired.empty() || !pending_files.empty() || !unnamed.empty()) {
      const MutexUnlock unlock(&mutex_);
      pending_files.clear();
      RemoveOutput(unnamed, environment_.fs, environment_.directory);
      if (replaced != nullptr) Release(std::move(replaced));
      status = log_->Recycle(&retired);
    }
    log_->PutAway(std::move(retired));
    if (IsRoomError(status)) {
      // The edit is true, and what could not be put away is tried again.
      WarnIfError(std::exchange(status, arrow::Status::OK()));
    }
    if (!status.ok()) FailWrites(status);
  } else {
    VersionEdit restored = pending;
    restored.Append(std::move(pending_));
    pending_ = std::move(restored);
    pending_files_.insert(pending_files_.end(), pending_files.begin(), pending_files.end());
    pending_segment_ = pending_segment != 0 ? pending_segment : pending_segment_;
    KeepUnnamedFiles(edit);
    if (IsRoomError(status)) manifest_retry_ = std::chrono::steady_clock::now() + kRoomRetry;
  }
  manifest_busy_ = false;
  progress_.notify_all();
  work_.notify_all();
  return status;
}

void OpenDatabase::KeepUnnamedFiles(const VersionEdit& edit) {
  for (const TableEdit& change : edit.tables) {
    for (const AddedFile& added : change.added) {
      // One that only changes its level is named already.
      const bool moved = std::ranges::count(change.removed, added.meta.number) > 0;
      if (!moved) unnamed_files_.push_back(added.meta);
    }
  }
}

arrow::Status OpenDatabase::WriteEdit(VersionEdit* record) {
  // What the edit says of the log must be true of the device first: a power cut could otherwise
  // keep one table's half of a commit.
  const LogPosition end = log_->PrepareSync().position;
  ARROW_RETURN_NOT_OK(log_->RollIfReady());
  ARROW_RETURN_NOT_OK(WaitDurable(end, SyncScope::kSegment));
  record->durable_through = log_->durable_through();
  ManifestState next = manifest_state_;
  ARROW_RETURN_NOT_OK(next.Apply(*record));
  const bool fresh = manifest_ == nullptr || manifest_->IsWorthRewriting();
  const uint64_t named = named_manifest_;
  const uint64_t number = fresh ? manifest_number_ + 1 : manifest_number_;
  std::unique_ptr<Manifest> manifest = std::move(manifest_);
  mutex_.unlock();
  arrow::Status status;
  if (fresh) {
    auto created = Manifest::Create(environment_.fs, environment_.directory, number, next);
    status = created.status();
    manifest = created.ok() ? *std::move(created) : nullptr;
    if (status.ok()) {
      WarnIfError(environment_.fs->Remove(ManifestPath(environment_.directory, named)));
    }
  } else {
    status = manifest->Append(*record);
  }
  mutex_.lock();
  manifest_number_ = number;
  if (!status.ok()) {
    // Its end is unknown now, and it may name what the edit would have added: the next edit starts
    // a new manifest, and until that is there the files stay.
    if (!IsRoomError(status)) FailWrites(status);
    return status;
  }
  manifest_ = std::move(manifest);
  manifest_state_ = std::move(next);
  named_manifest_ = number;
  return status;
}

}  // namespace marble

// The tables of an open database: memtables, versions, and the views that readers load. Decides
// nothing and touches no disk; externally synchronised (the database's mutex), except that readers
// load TableState::view at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <arrow/result.h>

#include "db/core.h"
#include "db/environment.h"
#include "tree/manifest.h"
#include "tree/table_schemas.h"
#include "tree/version.h"

namespace marble {

/// A memtable and the first log segment that holds one of its rows.
struct MemtableSlot {
  std::shared_ptr<Memtable> memtable;
  uint64_t first_segment = 0;  // 0 while empty
  bool flushing = false;
};

struct LiveTable {
  TableRecord record;
  TableSchemas schemas;
  std::shared_ptr<TableState> state;
  /// Oldest first; the last one is active, the others are sealed and wait to be flushed in this
  /// order.
  std::deque<MemtableSlot> memtables;
  std::shared_ptr<const Version> version;
  uint64_t next_row_id = 0;
  uint64_t next_run = 1;
  LogPosition created;  // behind the record of its creation, if that was after the open
  /// Sequence up to which recovery found everything in files.
  uint64_t recovered_sequence = 0;
  int64_t counted_bytes = 0;  // of the active memtable, in the database's sum
  /// What the index of a new memtable is sized for: the entries of the last one that was sealed at
  /// least half full, or more if another had more.
  int64_t keys_expected = 0;
  int flushes = 0;  // under way
  bool compacting = false;
  int wanted_alone = 0;   // calls that wait for compactions to end: no other one is begun
  int drops_waiting = 0;  // those of them that drop the table
  /// Of the last compaction if it met versions of one key, held by snapshots of these sequences,
  /// that are too long for a batch: no other one is begun while all of them are there.
  arrow::Status compaction_error;
  std::vector<uint64_t> compaction_pins;
  /// Of the last compaction if it found no room, and when the next one may begin (unset once it
  /// may).
  arrow::Status no_room;
  std::chrono::steady_clock::time_point compaction_retry;
  bool joins_are_futile = false;  // joining small files left as many
  bool dropping = false;          // no job is started on it any more
  bool altering = false;          // writers wait

  MemtableSlot& active() { return memtables.back(); }
  size_t sealed() const { return memtables.size() - 1; }
  bool has_sealed() const { return sealed() > 0; }
  int64_t memtable_bytes() const {
    int64_t bytes = 0;
    for (const MemtableSlot& slot : memtables) bytes += slot.memtable->bytes();
    return bytes;
  }
};

class TableSet {
 public:
  explicit TableSet(Environment* environment) : environment_(environment) {}

  /// A table with what the manifest knows of its files (nullptr: none).
  arrow::Result<LiveTable*> Add(TableRecord record, const ManifestTable* files);
  /// Takes the table out of the catalog. Its files stay unless they are marked obsolete; these are
  /// removed when the table is destroyed, if nobody reads them, which is better not done under the
  /// mutex.
  std::unique_ptr<LiveTable> Remove(uint32_t id);

  LiveTable* Find(const std::string& name);
  LiveTable* Find(uint32_t id);
  const LiveTable* Find(const std::string& name) const {
    return const_cast<TableSet*>(this)->Find(name);
  }
  std::map<uint32_t, std::unique_ptr<LiveTable>>& all() { return tables_; }
  /// All tables, those with a higher number than `id` first.
  std::vector<LiveTable*> Behind(uint32_t id) const;
  const std::map<uint32_t, std::unique_ptr<LiveTable>>& all() const { return tables_; }

  /// The table with the schemas of `record`, which are `schemas`; its memtables must be empty. Of
  /// the state that it had until now only a successor is left.
  void Alter(LiveTable* table, TableRecord record, TableSchemas schemas);

  /// Seals the active memtable (if it holds something) and starts a new one.
  void Seal(LiveTable* table);
  /// Adds freshly written files as one run of level 0; the active memtable must be empty.
  void Attach(LiveTable* table, const std::vector<FileMeta>& files);
  /// Applies a flush or a compaction; `flushed` (may be null) is the memtable that is now in files.
  void Apply(LiveTable* table, const TableEdit& edit, const Memtable* flushed);

  /// Every operation of the table up to this sequence is in its files.
  static uint64_t FlushedSequence(const LiveTable& table, uint64_t last_sequence,
                                  const Memtable* flushed = nullptr);
  /// The oldest log segment that holds a row of a memtable; `current` if none does.
  uint64_t OldestSegmentNeeded(uint64_t current, const Memtable* flushed) const;
  int64_t MemtableBytes() const;

 private:
  std::shared_ptr<Memtable> NewMemtable(const LiveTable& table) const;
  std::shared_ptr<const TableFile> MakeFile(const TableSchemas& schemas,
                                            const FileMeta& meta) const;
  void RefreshView(LiveTable* table);

  Environment* environment_;
  std::map<uint32_t, std::unique_ptr<LiveTable>> tables_;
  std::map<std::string, uint32_t, std::less<>> ids_;
};

}  // namespace marble

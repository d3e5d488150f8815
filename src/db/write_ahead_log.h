// The write-ahead log: a chain of preallocated, recycled segments (segment_maker.h makes them).
// Appending, rolling over, retiring; and what has to be synced to make a position durable.
//
// Externally synchronised (the database's mutex), except what says that it needs no lock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include <arrow/result.h>

#include <marble/file_system.h>

#include "base/uuid.h"
#include "db/segment_maker.h"
#include "log/log_writer.h"

namespace marble {

class WriteAheadLog {
 public:
  /// Starts with a new segment `first_number`, whose first record will be `next_sequence`. Older
  /// segments are recovery's to remove.
  static arrow::Result<std::unique_ptr<WriteAheadLog>> Start(FileSystem* fs, std::string directory,
                                                             const Uuid& uuid,
                                                             int64_t segment_bytes,
                                                             uint64_t first_number,
                                                             uint64_t next_sequence);

  /// Appends one record; rolls over to a new segment when it does not fit (an oversized record gets
  /// a segment of its own). On error nothing counts as appended. Large payloads go by system call
  /// whatever `via` says.
  arrow::Result<LogPosition> Append(LogRecordHeader header,
                                    const std::vector<std::string_view>& parts,
                                    uint64_t payload_bytes, WriteVia via);

  /// Goes on in a new segment if that costs nothing and the current one is in good use: what was
  /// appended so far can then be synced without holding up what follows.
  arrow::Status RollIfReady();

  /// What has to reach the device for a position to be durable.
  struct SyncTarget {
    std::vector<std::shared_ptr<SegmentWriter>> segments;  // oldest first
    std::shared_ptr<SegmentWriter> written;                // the log's last one
    LogPosition position;
    bool directory = false;  // segments were created or renamed since the last sync
  };
  /// Everything appended so far.
  SyncTarget PrepareSync() const { return PrepareSync(current()->number()); }
  /// Everything appended up to the end of `segment`.
  SyncTarget PrepareSync(uint64_t segment) const;
  /// Needs no lock. Old segments are synced before their successors.
  arrow::Status Sync(const SyncTarget& target) const;
  void MarkSynced(const SyncTarget& target);

  /// A file that the log does not need any more. It is kept as `spare` for recycling, or removed if
  /// that is empty.
  struct Retired {
    std::string path;
    std::string spare;
    std::shared_ptr<SegmentWriter> segment;  // open yet; nullptr if it is closed
  };
  /// Takes the segments below `log_start` out of the log; with them comes what could not be removed
  /// before. In three steps, because files should not be removed under the mutex: Recycle needs no
  /// lock, and PutAway follows whatever that returned.
  std::vector<Retired> TakeRetired(uint64_t log_start);
  /// Goes on after an error; returns the first one.
  arrow::Status Recycle(std::vector<Retired>* retired) const;
  void PutAway(std::vector<Retired> retired);
  /// Were the segments behind the current one asked for?
  bool asked_ahead() const { return asked_ahead_; }
  /// Files beyond the live segments. To give them up takes the same three steps: they are removed.
  bool HasSpares() const { return maker_.HasSpares() || !unremoved_.empty(); }
  arrow::Result<std::vector<Retired>> TakeSpares();
  /// Closes all segments and, if `remove`, removes them: after a clean close nothing is left to
  /// replay.
  arrow::Status Close(bool remove);

  /// Sequence number of the first record in `segment` or behind it, or of the next one to come.
  uint64_t FirstSequenceFrom(uint64_t segment) const;

  LogPosition position() const { return current()->position(); }
  const LogPosition& durable_through() const { return durable_through_; }
  uint64_t current_segment() const { return current()->number(); }
  /// The last segment that the manifest may name as the first to be replayed: one without a record
  /// may not have reached the device, unless it was synced.
  uint64_t last_nameable() const {
    return std::max(PrepareSync().position.segment, synced_segment_);
  }
  uint64_t oldest_segment() const { return segments_.front()->number(); }
  /// Bytes of all live segments.
  int64_t bytes() const { return full_bytes_ + static_cast<int64_t>(current()->position().offset); }
  int64_t bytes_appended() const { return bytes_appended_; }

 private:
  WriteAheadLog(FileSystem* fs, std::string directory, const Uuid& uuid, int64_t segment_bytes)
      : fs_(fs), directory_(directory), maker_(fs, std::move(directory), uuid, segment_bytes) {}
  const std::shared_ptr<SegmentWriter>& current() const { return segments_.back(); }
  arrow::Status Roll(uint64_t payload_bytes);
  void MakeAhead();

  FileSystem* fs_;
  const std::string directory_;
  SegmentMaker maker_;
  std::deque<std::shared_ptr<SegmentWriter>> segments_;  // live, oldest first; the last is written
  std::vector<Retired> unremoved_;                       // to be tried again
  bool asked_ahead_ = false;                             // since the current one was started
  uint64_t next_sequence_ = 0;                           // of the next record
  int rolls_ = 0;                                        // as many as matter
  LogPosition durable_through_;
  uint64_t synced_segment_ = 0;  // the last one that a sync included
  bool directory_dirty_ = false;
  int64_t bytes_appended_ = 0;
  int64_t recent_bytes_ = 0;  // appended lately,
  int64_t large_bytes_ = 0;   // and what of it came in large payloads
  int64_t full_bytes_ = 0;    // capacity of the live segments before the current one
};

}  // namespace marble

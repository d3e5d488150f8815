// A pinned moment: reads through it see exactly the commits before it, for as long as it lives.
#pragma once

#include <cstdint>
#include <memory>

namespace marble {

class DatabaseCore;

/// Neither movable nor copyable; released by the destructor. Keeps old row versions from being
/// dropped by compaction, so hold it no longer than needed. May outlive Database::Close; reads are
/// then refused. Thread-safe for reading.
class Snapshot {
 public:
  Snapshot(std::shared_ptr<DatabaseCore> core, uint64_t sequence);
  ~Snapshot();
  Snapshot(Snapshot&&) = delete;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  /// The last sequence number that is visible.
  uint64_t sequence() const { return sequence_; }
  const DatabaseCore* core() const { return core_.get(); }

 private:
  std::shared_ptr<DatabaseCore> core_;
  uint64_t sequence_;
};

}  // namespace marble

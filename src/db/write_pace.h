// How fast writes may go when flush and compaction lag behind: a pure function of the debt, and the
// clock that spreads it over the writers. Before writes ever have to stop they are slowed down,
// more and more as the debt grows, so that they settle where the background work keeps up.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace marble {

inline constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

/// Something that grows while flush or compaction lag behind, and what may be of it.
struct Backlog {
  int64_t size = 0;
  int64_t slow = kUnlimited;  // from here on writes are slowed down
  int64_t stop = kUnlimited;  // here they stop
};

/// What flush and compaction have not done yet for the writes into a table.
struct WriteDebt {
  Backlog table_bytes;  // in its memtables
  Backlog all_bytes;    // in those of all tables
  Backlog runs;         // of its level 0
  /// Memtable bytes a second that the last flushes wrote; 0 if there was none yet.
  int64_t flush_rate = 0;
};

/// Bytes a second that writers may add together; kUnlimited without debt. Falls from twice the rate
/// of flushes where writes begin to be slowed down, in proportion to what is left until they stop.
int64_t AllowedWriteRate(const WriteDebt& debt);

/// Makes writers wait so that they keep to a rate. They wait rarely and then for some milliseconds:
/// one write in thousands, not every write a little, because no sleep is as short as a write.
/// Externally synchronised.
class WritePacer {
 public:
  using Clock = std::chrono::steady_clock;

  /// `bytes` were written. How long the writer should sleep before it returns; mostly zero.
  std::chrono::nanoseconds Charge(int64_t bytes, int64_t rate, Clock::time_point now);

 private:
  Clock::time_point paid_until_{};  // what was written so far is in time if it is this late
};

}  // namespace marble

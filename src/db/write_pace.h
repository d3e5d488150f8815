// How fast writes may go when flush and compaction lag behind: a pure function of the debt, and the
// clock that spreads it over the writers. Before writes ever have to stop they are slowed down,
// more and more as the debt grows, so that they settle where the background work keeps up.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace marble {

/// What flush and compaction have not done yet, of one table or of all.
struct WriteDebt {
  int64_t memtable_bytes = 0;
  int64_t memtable_bytes_slow = 0;  // from here on writes are slowed down
  int64_t memtable_bytes_stop = 0;  // here they stop
  size_t runs = 0;                  // of level 0
  size_t runs_slow = 0;
  size_t runs_stop = 0;
  /// Memtable bytes a second that the last flushes wrote; 0 if there was none yet.
  int64_t flush_rate = 0;
};

inline constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

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

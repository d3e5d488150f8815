#include "db/write_pace.h"

#include <algorithm>

namespace marble {

namespace {

/// The rate to start from while no flush has ended yet.
constexpr int64_t kFirstFlushRate = int64_t{128} << 20;
/// Writes never get slower than this before they stop.
constexpr int64_t kSlowestRate = int64_t{1} << 20;
/// A writer sleeps when so much has come together, and never longer than the maximum.
constexpr std::chrono::milliseconds kSleepMin(2);
constexpr std::chrono::milliseconds kSleepMax(20);
/// What a large batch owes beyond this is forgiven: the small writes after it would have to pay.
constexpr std::chrono::milliseconds kOwedMax(200);

/// Which part of the way from `slow` to `stop` is gone: below 0 before it, at most 1.
double Gone(const Backlog& backlog) {
  if (backlog.stop <= backlog.slow) return -1.0;
  const auto slow = static_cast<double>(backlog.slow);
  return std::min(
      (static_cast<double>(backlog.size) - slow) / (static_cast<double>(backlog.stop) - slow), 1.0);
}

}  // namespace

int64_t AllowedWriteRate(const WriteDebt& debt) {
  const double gone = std::max({Gone(debt.table_bytes), Gone(debt.all_bytes), Gone(debt.runs)});
  if (gone < 0) return kUnlimited;
  const int64_t flush_rate = debt.flush_rate > 0 ? debt.flush_rate : kFirstFlushRate;
  return std::max(static_cast<int64_t>(2.0 * static_cast<double>(flush_rate) * (1.0 - gone)),
                  kSlowestRate);
}

std::chrono::nanoseconds WritePacer::Charge(int64_t bytes, int64_t rate, Clock::time_point now) {
  if (rate == kUnlimited) {
    paid_until_ = {};
    return std::chrono::nanoseconds(0);
  }
  const double seconds = static_cast<double>(bytes) / static_cast<double>(rate);
  const auto time =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  // Time in which nothing was written is not saved up.
  paid_until_ = std::min(std::max(paid_until_, now) + time, now + kOwedMax);
  const auto ahead = paid_until_ - now;
  if (ahead < kSleepMin) return std::chrono::nanoseconds(0);
  return std::min<std::chrono::nanoseconds>(ahead, kSleepMax);
}

}  // namespace marble

#include "db/write_pace.h"

#include <gtest/gtest.h>

namespace marble {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

WriteDebt Debt(int64_t table_mib, int64_t runs, int64_t all_mib = 0) {
  WriteDebt debt;
  debt.table_bytes = {table_mib * kMiB, 200 * kMiB, 300 * kMiB};
  debt.all_bytes = {all_mib * kMiB, 400 * kMiB, 600 * kMiB};
  debt.runs = {runs, 12, 28};
  debt.flush_rate = 100 * kMiB;
  return debt;
}

TEST(AllowedWriteRate, IsUnlimitedWithoutDebt) {
  EXPECT_EQ(AllowedWriteRate(Debt(199, 11, 399)), kUnlimited);
  EXPECT_EQ(AllowedWriteRate(WriteDebt()), kUnlimited);
}

TEST(AllowedWriteRate, FallsSmoothlyToNearlyNothing) {
  int64_t last = AllowedWriteRate(Debt(200, 0));
  EXPECT_EQ(last, 200 * kMiB);
  EXPECT_EQ(AllowedWriteRate(Debt(250, 0)), 100 * kMiB) << "half-way it is the rate of flushes";
  for (int64_t mib = 201; mib <= 400; ++mib) {
    const int64_t rate = AllowedWriteRate(Debt(mib, 0));
    EXPECT_LE(rate, last);
    EXPECT_GT(rate, 0);
    last = rate;
  }
  EXPECT_LE(last, kMiB);
}

TEST(AllowedWriteRate, TheLargerDebtCounts) {
  EXPECT_EQ(AllowedWriteRate(Debt(0, 20)), 100 * kMiB);
  EXPECT_EQ(AllowedWriteRate(Debt(275, 20)), 50 * kMiB);
  EXPECT_EQ(AllowedWriteRate(Debt(225, 24)), 50 * kMiB);
  EXPECT_EQ(AllowedWriteRate(Debt(225, 0, 550)), 50 * kMiB);
}

TEST(WritePacer, KeepsToTheRateInFewSleeps) {
  using std::chrono::microseconds;
  WritePacer pacer;
  const WritePacer::Clock::time_point start{std::chrono::hours(1)};
  auto now = start;
  int sleeps = 0;
  constexpr int kWrites = 100'000;
  for (int i = 0; i < kWrites; ++i) {
    now += std::chrono::nanoseconds(300);
    const auto sleep = pacer.Charge(200, 100'000'000, now);  // 2 us a write
    if (sleep.count() > 0) ++sleeps;
    EXPECT_LE(sleep, std::chrono::milliseconds(20));
    now += sleep;
  }
  EXPECT_NEAR(std::chrono::duration<double>(now - start).count(), 0.2, 0.01);
  EXPECT_LT(sleeps, kWrites / 500);
}

TEST(WritePacer, AHugeBatchSlowsSmallWritesForAMomentOnly) {
  WritePacer pacer;
  WritePacer::Clock::time_point now{std::chrono::hours(1)};
  EXPECT_GT(pacer.Charge(int64_t{1} << 30, 1 << 20, now).count(), 0);
  now += std::chrono::milliseconds(300);
  EXPECT_EQ(pacer.Charge(100, 1 << 20, now).count(), 0);
}

TEST(WritePacer, SavesUpNoTimeAndForgetsDebtThatIsPaid) {
  WritePacer pacer;
  WritePacer::Clock::time_point now{std::chrono::hours(1)};
  EXPECT_GT(pacer.Charge(10'000'000, 100'000'000, now).count(), 0);
  EXPECT_EQ(pacer.Charge(10'000'000, kUnlimited, now).count(), 0);
  now += std::chrono::hours(1);
  EXPECT_GT(pacer.Charge(10'000'000, 100'000'000, now).count(), 0) << "an idle hour buys nothing";
}

}  // namespace
}  // namespace marble

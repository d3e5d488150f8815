// Durations in nanoseconds, counted in buckets of at most 3 percent width.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace marble::benchmark {

/// Of one thread; add several up.
class Histogram {
 public:
  void Record(uint64_t nanoseconds) {
    ++counts_[BucketOf(nanoseconds)];
    ++count_;
    max_ = std::max(max_, nanoseconds);
  }

  void Add(const Histogram& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  /// The least duration that at least `fraction` of all do not exceed, to a bucket's width.
  double Quantile(double fraction) const {
    const auto wanted = static_cast<uint64_t>(fraction * static_cast<double>(count_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return static_cast<double>(std::min(UpperEnd(i), max_));
    }
    return static_cast<double>(max_);
  }

  uint64_t count() const { return count_; }
  uint64_t max() const { return max_; }

 private:
  static constexpr int kSubBits = 5;  // 32 buckets for each power of two
  static constexpr uint64_t kSub = uint64_t{1} << kSubBits;

  static size_t BucketOf(uint64_t value) {
    if (value < kSub) return value;
    const int shift = std::bit_width(value) - 1 - kSubBits;
    return (static_cast<size_t>(shift) << kSubBits) + (value >> shift);
  }
  static uint64_t UpperEnd(size_t bucket) {
    if (bucket < kSub) return bucket;
    const size_t shift = (bucket >> kSubBits) - 1;
    return (((bucket & (kSub - 1)) + kSub + 1) << shift) - 1;
  }

  std::array<uint64_t, (64 - kSubBits + 1) * kSub> counts_{};
  uint64_t count_ = 0;
  uint64_t max_ = 0;
};

}  // namespace marble::benchmark

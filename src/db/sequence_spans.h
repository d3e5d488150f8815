// Which of the log's operations on a table stand in its files, where no manifest tells how far it
// was flushed: by what the files that can be read say of their sequence numbers. A value, used by
// one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

namespace marble {

class SequenceSpans {
 public:
  enum class Answer : uint8_t { kNo, kPerhaps, kYes };

  /// A file with the operations from `lowest` to `highest`.
  void Add(uint64_t lowest, uint64_t highest) {
    spans_.push_back({lowest, highest});
    highest_ = std::max(highest_, highest);
  }

  /// A file whose rows have no sequence numbers, and which does not say how far it goes: it is from
  /// a flush of the operation `highest` alone, or from a compaction by an older build and goes
  /// further back than anybody knows.
  void AddWithoutLowest(uint64_t highest, uint64_t rows) {
    unsure_[highest] += rows;
    highest_ = std::max(highest_, highest);
  }
  bool IsUnsureOf(uint64_t sequence) const { return unsure_.contains(sequence); }
  /// The operation has as many rows: if its files have no others, they have no other operation.
  void Tell(uint64_t sequence, uint64_t rows) {
    const auto files = unsure_.find(sequence);
    if (files == unsure_.end() || files->second != rows) return;
    unsure_.erase(files);
    spans_.push_back({sequence, sequence});
  }

  Answer Has(uint64_t sequence) const {
    const bool known = std::ranges::any_of(spans_, [sequence](const Span& span) {
      return span.lowest <= sequence && sequence <= span.highest;
    });
    if (known) return Answer::kYes;
    return unsure_.lower_bound(sequence) == unsure_.end() ? Answer::kNo : Answer::kPerhaps;
  }
  bool has_unsure() const { return !unsure_.empty(); }
  uint64_t highest() const { return highest_; }

 private:
  struct Span {
    uint64_t lowest;
    uint64_t highest;
  };
  std::vector<Span> spans_;
  std::map<uint64_t, uint64_t> unsure_;  // rows by highest sequence
  uint64_t highest_ = 0;
};

}  // namespace marble

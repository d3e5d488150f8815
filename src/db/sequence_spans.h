// Which of the log's operations on a table stand in its files, where no manifest tells how far it
// was flushed: by what the files that can be read say of their sequence numbers. A value, used by
// one thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace marble {

class SequenceSpans {
 public:
  /// A file with the operations from `lowest` to `highest`.
  void Add(uint64_t lowest, uint64_t highest) {
    spans_.push_back({lowest, highest});
    highest_ = std::max(highest_, highest);
  }

  bool Have(uint64_t sequence) const {
    return std::ranges::any_of(spans_, [sequence](const Span& span) {
      return span.lowest <= sequence && sequence <= span.highest;
    });
  }
  uint64_t highest() const { return highest_; }

 private:
  struct Span {
    uint64_t lowest;
    uint64_t highest;
  };
  std::vector<Span> spans_;
  uint64_t highest_ = 0;
};

}  // namespace marble

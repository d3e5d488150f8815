// Limits the memory, page cache included, of the processes that join.
#pragma once

#include <cstdint>
#include <string>

namespace marble::benchmark {

/// By a control group of its own, version 1 or 2, where this user may make one. Elsewhere by
/// locking so much memory that only the limit is left on the machine: cruder, as it hits everybody.
class MemoryLimit {
 public:
  explicit MemoryLimit(int64_t bytes);
  ~MemoryLimit();
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

  /// The calling process, with what it takes from now on.
  void Join() const;
  const std::string& how() const { return how_; }

 private:
  bool MakeGroup(const std::string& parent, const std::string& limit_file, int64_t bytes);
  void LockTheRest(int64_t bytes);

  std::string group_;  // its directory; empty if there is none
  std::string how_;
  void* locked_ = nullptr;
  size_t locked_bytes_ = 0;
};

}  // namespace marble::benchmark

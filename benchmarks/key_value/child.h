// A process for each engine, so that they share no heap, no caches and no fate: one is killed in
// the middle of its work, and memory is measured of it alone. It runs one workload at a time, when
// told.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <string>

#include "engine.h"
#include "memory_limit.h"
#include "options.h"
#include "result.h"

namespace marble::benchmark {

/// The driver's side. The driver has one thread when it makes one.
class Child {
 public:
  /// `limit` may be nullptr.
  Child(const RunOptions& options, const EngineKind& kind, const EngineSettings& settings,
        const MemoryLimit* limit);
  /// Closes the database, if the process still lives, and waits for its end.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Result Run(const std::string& workload);
  /// The process ends at once, without a chance to write or close anything.
  void Kill();

 private:
  std::string name_;
  pid_t process_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace marble::benchmark

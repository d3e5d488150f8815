// Opens a disk that a crash left and compares it with what was promised.
#pragma once

#include <cstdint>
#include <map>

#include "io/memory_file_system.h"
#include "support/crash_script.h"

namespace marble::test {

/// Not thread-safe. Keeps the states it has made, so one object serves all images of a script.
class CrashChecker {
 public:
  explicit CrashChecker(const CrashSetting& setting) : setting_(setting) {}

  /// An error unless the database opens, holds a prefix of the commits that is not shorter than
  /// promised, is whole in all tables, closes, and verifies without a finding. With `go_on` it also
  /// takes a commit, and replays with the script's own options.
  arrow::Status Check(MemoryFileSystem* disk, const CrashPromise& promise, Survives survives,
                      bool go_on);
  /// The same without verifying at the end.
  arrow::Status CheckContent(MemoryFileSystem* disk, const CrashPromise& promise, Survives survives,
                             bool go_on);

 private:
  arrow::Status CheckDatabase(const std::shared_ptr<Database>& database,
                              const CrashPromise& promise, Survives survives, bool go_on);
  arrow::Status CheckLoads(const std::shared_ptr<Database>& database, const CrashPromise& promise,
                           uint64_t floor, uint64_t last) const;
  arrow::Result<const CrashState*> StateAfter(const CrashWorkload& workload, uint64_t commit);

  const CrashSetting setting_;
  std::map<uint64_t, CrashState> states_;  // by the number of the last commit
};

}  // namespace marble::test

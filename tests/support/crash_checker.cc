#include "support/crash_checker.h"

#include <algorithm>

#include <marble/verify.h>

#include "support/schema_steps.h"

namespace marble::test {

arrow::Status CrashChecker::Check(MemoryFileSystem* disk, const CrashPromise& promise,
                                  Survives survives, bool go_on) {
  ARROW_RETURN_NOT_OK(CheckContent(disk, promise, survives, go_on));
  VerifyOptions verify;
  verify.file_system = disk;
  ARROW_ASSIGN_OR_RAISE(const VerifyReport report, VerifyDatabase(kCrashPath, verify));
  if (report.findings.empty() && report.clean) return arrow::Status::OK();
  return arrow::Status::Invalid("after opening and closing, verify found: ", report.ToText());
}

arrow::Status CrashChecker::CheckContent(MemoryFileSystem* disk, const CrashPromise& promise,
                                         Survives survives, bool go_on) {
  Options options = setting_.options;
  options.file_system = disk;
  // Most images are opened with one memtable for all that is replayed: much less to write.
  if (!go_on) options.memtable_bytes = std::max(options.memtable_bytes, int64_t{1} << 20);
  ARROW_ASSIGN_OR_RAISE(auto database, Database::Open(kCrashPath, options));
  ARROW_RETURN_NOT_OK(CheckDatabase(database, promise, survives, go_on));
  return database->Close();
}

arrow::Status CrashChecker::CheckDatabase(const std::shared_ptr<Database>& database,
                                          const CrashPromise& promise, Survives survives,
                                          bool go_on) {
  CrashWorkload workload(database, setting_.seed, setting_.mix);
  ARROW_RETURN_NOT_OK(workload.Prepare());
  ARROW_ASSIGN_OR_RAISE(const uint64_t last, workload.LastCommit());
  const bool power_lost = survives == Survives::kPowerLoss;
  const uint64_t floor = power_lost ? promise.durable : promise.acknowledged;
  if (last < floor || last > promise.begun) {
    return arrow::Status::Invalid("the last commit is ", last, ", but ", floor,
                                  " was promised and ", promise.begun, " begun");
  }
  ARROW_ASSIGN_OR_RAISE(const CrashState* state, StateAfter(workload, last));
  ARROW_RETURN_NOT_OK(workload.Compare(*state));
  if (setting_.with_loads) {
    ARROW_RETURN_NOT_OK(CheckLoads(
        database, promise, power_lost ? promise.durable_loads : promise.acknowledged_loads, last));
  }
  ARROW_ASSIGN_OR_RAISE(const bool earlier, HoldsSchemaSteps(database, promise.schema_steps));
  ARROW_ASSIGN_OR_RAISE(const bool later, HoldsSchemaSteps(database, promise.begun_schema_steps));
  if (!earlier && !later) {
    return arrow::Status::Invalid("the altered table is not as after ", promise.schema_steps,
                                  " or ", promise.begun_schema_steps, " steps");
  }
  if (!go_on) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(workload.Commit(last + 1));
  ARROW_ASSIGN_OR_RAISE(state, StateAfter(workload, last + 1));
  return workload.Compare(*state);
}

arrow::Status CrashChecker::CheckLoads(const std::shared_ptr<Database>& database,
                                       const CrashPromise& promise, uint64_t floor,
                                       uint64_t last) const {
  ARROW_ASSIGN_OR_RAISE(const uint64_t loads, CountLoads(database));
  const uint64_t due = last / kCommitsPerLoad;
  // A load that is due may be missing only if no commit came after it.
  const bool in_order = loads == due || (last % kCommitsPerLoad == 0 && loads + 1 == due);
  if (in_order && loads >= floor && loads <= promise.begun_loads) return arrow::Status::OK();
  return arrow::Status::Invalid(loads, " loads are there with commit ", last, ", but ", floor,
                                " were promised and ", promise.begun_loads, " begun");
}

arrow::Result<const CrashState*> CrashChecker::StateAfter(const CrashWorkload& workload,
                                                          uint64_t commit) {
  auto next = states_.upper_bound(commit);
  CrashState state;
  if (next != states_.begin()) {
    const auto before = std::prev(next);
    if (before->first == commit) return &before->second;
    state = before->second;
  }
  ARROW_RETURN_NOT_OK(workload.Advance(commit, &state));
  return &states_.insert_or_assign(commit, std::move(state)).first->second;
}

}  // namespace marble::test

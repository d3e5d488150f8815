// A disk that runs full and is given room again, over and over, under one database that stays open:
// what is refused is refused whole and for want of room, readers see all that was acknowledged, and
// writes resume without reopening. Room comes from outside (ballast that is removed) or from the
// database itself (rows deleted, and compacted away). Every tenth cycle ends with a clean close or
// with a loss of power, some of these while the disk is full.
//
// MARBLE_FULL_DISK_CYCLES sets the number of cycles, MARBLE_SEED the seed.
#include <cerrno>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <arrow/util/io_util.h>
#include <gtest/gtest.h>

#include <marble/verify.h>

#include "io/memory_file_system.h"
#include "support/crash_script.h"
#include "support/crash_workload.h"
#include "support/test_database.h"

namespace marble::test {
namespace {

constexpr int64_t kCycles = 5;
constexpr int kCyclesPerLife = 10;
constexpr int kLastCycle = 3;  // of a life; the first one is shorter
constexpr int64_t kCapacity = int64_t{96} << 20;
constexpr int64_t kReserve = int64_t{2} << 20;  // for deletes and the compaction that frees room
constexpr int kWritesMax = 100'000;             // after which a disk should have been full
constexpr int kAttempts = 4000;                 // to write again when there is room
constexpr char kBallast[] = "/ballast";
constexpr char kFillers[] = "fillers";
constexpr size_t kFillerBytes = 3000;

bool IsWantOfRoom(const arrow::Status& status) {
  return !IsReadOnly(status) && !IsCorruption(status) &&
         arrow::internal::ErrnoFromStatus(status) == ENOSPC;
}

std::string FillerKey(size_t index) { return "f" + std::to_string(10'000'000 + index); }

std::string FillerValue(size_t index) {
  std::string value = std::to_string(Mix(index));
  value.resize(kFillerBytes, 'f');
  return value;
}

/// What was refused for want of room, and how often; printed at the end.
struct Refusals {
  int64_t commits = 0;
  int64_t puts = 0;
  int64_t loads = 0;
  int64_t flushes = 0;
  int64_t compactions = 0;
  int64_t deletes = 0;
  int64_t openings = 0;
};

/// One disk and the database on it. Beside the commits of CrashWorkload, which change the same rows
/// again and again, puts of fillers take up room, and bulk loads come now and then.
class FillingDisk {
 public:
  explicit FillingDisk(uint64_t seed) : seed_(seed), random_(seed) {
    options_ = CrashOptions();
    options_.file_system = &disk_;
    options_.use_mappings = random_.OneIn(2);
    mix_.bulk_weight = 8;
    mix_.tail_bytes = 2000;
    disk_.set_capacity_bytes(kCapacity);
  }

  uint64_t commits() const { return number_; }
  uint64_t loads() const { return loads_; }
  uint64_t fillers_written() const { return written_; }
  const Refusals& refusals() const { return refusals_; }
  int64_t longest_wait() const { return longest_wait_; }

  arrow::Status Open() {
    ARROW_ASSIGN_OR_RAISE(database_, Database::Open(kCrashPath, options_));
    workload_ = std::make_unique<CrashWorkload>(database_, seed_, mix_);
    ARROW_RETURN_NOT_OK(workload_->Prepare());
    return KeyValue::Open(database_, kFillers, /*create_if_missing=*/true).Value(&fillers_);
  }

  /// The disk runs full and is given room again. `last`: of the database's life.
  arrow::Status Cycle(bool last) {
    ARROW_ASSIGN_OR_RAISE(auto snapshot, database_->GetSnapshot());
    const uint64_t taken_at = number_;
    ARROW_RETURN_NOT_OK(TakeRoom(200'000 + static_cast<int64_t>(random_.Uniform(1'000'000))));
    ARROW_RETURN_NOT_OK(FillUp());
    ARROW_RETURN_NOT_OK(TryAllWhileFull());
    if (last && random_.OneIn(2)) {
      ARROW_RETURN_NOT_OK(LosePower());
    } else {
      ARROW_RETURN_NOT_OK(Compare());
      ARROW_ASSIGN_OR_RAISE(const uint64_t seen, workload_->LastCommit(snapshot));
      if (seen != taken_at) return arrow::Status::Invalid("the snapshot shows commit ", seen);
      snapshot.reset();  // or what is deleted would stay for its sake
      ARROW_RETURN_NOT_OK(random_.OneIn(3) ? FreeRoomByDeleting() : disk_.Remove(kBallast));
    }
    ARROW_RETURN_NOT_OK(GoOn());
    return last ? CloseAndOpen() : arrow::Status::OK();
  }

  /// Closes, and reads every byte.
  arrow::Status Finish() {
    ARROW_RETURN_NOT_OK(CloseAndOpen());
    ARROW_RETURN_NOT_OK(Release());
    VerifyOptions options;
    options.file_system = &disk_;
    ARROW_ASSIGN_OR_RAISE(const VerifyReport report, VerifyDatabase(kCrashPath, options));
    if (report.findings.empty() && report.clean) return arrow::Status::OK();
    return arrow::Status::Invalid(report.ToText());
  }

 private:
  /// Ballast takes all room but `left` bytes.
  arrow::Status TakeRoom(int64_t left) {
    ARROW_RETURN_NOT_OK(database_->WaitForBackground());
    ARROW_ASSIGN_OR_RAISE(const bool there, disk_.Exists(kBallast));
    if (there) ARROW_RETURN_NOT_OK(disk_.Remove(kBallast));
    return disk_.CreateSegment(kBallast, kCapacity - disk_.used_bytes() - left).status();
  }

  /// OK if it succeeded or found no room; then `*count` says so.
  static arrow::Status Count(const arrow::Status& status, int64_t* count) {
    if (status.ok()) return status;
    if (!IsWantOfRoom(status)) return status.WithMessage("full disk: ", status.message());
    ++*count;
    return arrow::Status::OK();
  }

  arrow::Status Commit() {
    ARROW_RETURN_NOT_OK(workload_->Commit(number_ + 1));
    ++number_;
    if (workload_->IsSynced(number_)) PromiseAll();
    return arrow::Status::OK();
  }

  arrow::Status PutFiller() {
    const size_t index = first_filler_ + filler_commits_.size();
    ARROW_RETURN_NOT_OK(fillers_->Put(FillerKey(index), FillerValue(index)));
    filler_commits_.push_back(number_);
    ++written_;
    return arrow::Status::OK();
  }

  arrow::Status Load() {
    ARROW_RETURN_NOT_OK(CarryOutLoad(database_, loads_ + 1, /*sync=*/true));
    ++loads_;
    PromiseAll();
    return arrow::Status::OK();
  }

  arrow::Status Flush() {
    ARROW_RETURN_NOT_OK(database_->Flush());
    PromiseAll();
    return arrow::Status::OK();
  }

  void PromiseAll() {
    durable_ = number_;
    durable_fillers_ = filler_commits_.size();
  }

  /// One operation of whatever kind.
  arrow::Status Work() {
    switch (random_.Uniform(100)) {
      case 0:
        return Count(Flush(), &refusals_.flushes);
      case 1:
        return Count(database_->Compact(random_.OneIn(2) ? "" : "left"), &refusals_.compactions);
      case 2:
      case 3:
        return Count(Load(), &refusals_.loads);
      case 4:
        return database_->SyncLog();
      default:
        return random_.OneIn(2) ? Count(PutFiller(), &refusals_.puts)
                                : Count(Commit(), &refusals_.commits);
    }
  }

  /// Until a put or a commit is refused.
  arrow::Status FillUp() {
    const int64_t before = refusals_.commits + refusals_.puts;
    for (int writes = 0; refusals_.commits + refusals_.puts == before; ++writes) {
      if (writes == kWritesMax) return arrow::Status::Invalid("the disk never ran full");
      ARROW_RETURN_NOT_OK(Work());
    }
    return arrow::Status::OK();
  }

  /// What is small may still find room, and counts then.
  arrow::Status TryAllWhileFull() {
    for (int i = 0; i < 5; ++i) ARROW_RETURN_NOT_OK(Work());
    ARROW_RETURN_NOT_OK(Count(Flush(), &refusals_.flushes));
    ARROW_RETURN_NOT_OK(Count(database_->Compact(), &refusals_.compactions));
    return Count(Load(), &refusals_.loads);
  }

  /// `write` until it finds room.
  template <typename Write>
  arrow::Status Retry(Write write) {
    arrow::Status status = write();
    int64_t attempts = 0;
    for (; attempts < kAttempts && !status.ok() && IsWantOfRoom(status); ++attempts) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      status = write();
    }
    longest_wait_ = std::max(longest_wait_, attempts);
    return status;
  }

  /// The ballast keeps all room but a reserve, without which nothing can be written at all.
  arrow::Status FreeRoomByDeleting() {
    const auto delete_fillers = [this] { return fillers_->DeleteRange("f", "g"); };
    arrow::Status status = delete_fillers();
    ARROW_RETURN_NOT_OK(Count(status, &refusals_.deletes));
    ARROW_RETURN_NOT_OK(disk_.Remove(kBallast));
    const int64_t room = kCapacity - disk_.used_bytes();
    if (room > kReserve) {
      ARROW_RETURN_NOT_OK(disk_.CreateSegment(kBallast, room - kReserve).status());
    }
    if (!status.ok()) ARROW_RETURN_NOT_OK(Retry(delete_fillers));
    const size_t deleted = filler_commits_.size();
    first_filler_ += deleted;
    filler_commits_.clear();
    const int64_t used = disk_.used_bytes();
    ARROW_RETURN_NOT_OK(Retry([this] { return Flush(); }));
    ARROW_RETURN_NOT_OK(Retry([this] { return database_->Compact(kFillers); }));
    ARROW_ASSIGN_OR_RAISE(const Stats stats, database_->GetStats());
    for (const TableStats& table : stats.tables) {
      if (table.name == kFillers && table.rows_in_files > 0) {
        return arrow::Status::Invalid(table.rows_in_files, " fillers are left in files");
      }
    }
    // Of these some were in memory only; the log and other tables grew meanwhile.
    const auto least = static_cast<int64_t>(deleted * kFillerBytes / 2) - kReserve;
    if (used - disk_.used_bytes() >= least) return arrow::Status::OK();
    return arrow::Status::Invalid(deleted, " fillers were deleted, but only ",
                                  used - disk_.used_bytes(), " bytes freed");
  }

  /// Writes resume by themselves, and nothing is left of the error.
  arrow::Status GoOn() {
    ARROW_RETURN_NOT_OK(Retry([this] { return Commit(); }));
    for (int i = 0; i < 20; ++i) ARROW_RETURN_NOT_OK(Commit());
    for (int i = 0; i < 5; ++i) ARROW_RETURN_NOT_OK(PutFiller());
    ARROW_RETURN_NOT_OK(Retry([this] { return Flush(); }));
    ARROW_RETURN_NOT_OK(database_->WaitForBackground());
    ARROW_ASSIGN_OR_RAISE(const Stats stats, database_->GetStats());
    if (!stats.background_error.empty()) return arrow::Status::Invalid(stats.background_error);
    return Compare();
  }

  arrow::Status Release() {
    fillers_.reset();
    workload_.reset();
    const arrow::Status closed = database_->Close();
    database_.reset();
    return closed;
  }

  arrow::Status CloseAndOpen() {
    ARROW_RETURN_NOT_OK(Release());
    ARROW_RETURN_NOT_OK(Open());
    return Compare();
  }

  /// Power fails on the full disk. Opening may find no room, and then does when there is.
  arrow::Status LosePower() {
    disk_.FailNth(FileOp::kChange, 1, EIO, /*sticky=*/true);
    (void)Release();
    disk_.ClearFaults();
    disk_.LoseUnsynced(kLossPolicies[random_.Uniform(kLossPolicies.size())], random_.Next());
    ARROW_RETURN_NOT_OK(Count(Open(), &refusals_.openings));
    ARROW_ASSIGN_OR_RAISE(const bool there, disk_.Exists(kBallast));
    if (there) ARROW_RETURN_NOT_OK(disk_.Remove(kBallast));
    if (fillers_ == nullptr) ARROW_RETURN_NOT_OK(Open());
    return CheckPrefix();
  }

  /// What is there are all commits, fillers among them, up to some moment.
  arrow::Status CheckPrefix() {
    ARROW_ASSIGN_OR_RAISE(const uint64_t last, workload_->LastCommit());
    if (last < durable_ || last > number_) {
      return arrow::Status::Invalid("commit ", last, " is the last, ", durable_, " was promised");
    }
    size_t fillers = 0;
    while (fillers < filler_commits_.size()) {
      ARROW_ASSIGN_OR_RAISE(const bool there, fillers_->Exists(FillerKey(first_filler_ + fillers)));
      if (!there) break;
      ++fillers;
    }
    const auto written_by = [&](size_t index) { return filler_commits_[index]; };
    if (fillers < durable_fillers_ || (fillers > 0 && written_by(fillers - 1) > last) ||
        (fillers < filler_commits_.size() && written_by(fillers) < last)) {
      return arrow::Status::Invalid(fillers, " fillers are there with commit ", last, ", ",
                                    durable_fillers_, " were promised");
    }
    number_ = last;
    filler_commits_.resize(fillers);
    PromiseAll();
    return Compare();
  }

  arrow::Status Compare() {
    ARROW_RETURN_NOT_OK(workload_->Advance(number_, &state_));
    ARROW_RETURN_NOT_OK(workload_->Compare(state_));
    ARROW_ASSIGN_OR_RAISE(const uint64_t loads, CountLoads(database_));
    if (loads != loads_) return arrow::Status::Invalid(loads, " loads are there, not ", loads_);
    ARROW_ASSIGN_OR_RAISE(auto iterator, fillers_->NewIterator());
    iterator->SeekToFirst();
    for (size_t i = 0; i < filler_commits_.size(); ++i, iterator->Next()) {
      const size_t index = first_filler_ + i;
      if (!iterator->Valid() || iterator->key() != FillerKey(index) ||
          iterator->value() != FillerValue(index)) {
        return arrow::Status::Invalid("filler ", index,
                                      " is not there: ", iterator->status().ToString());
      }
    }
    if (iterator->Valid()) return arrow::Status::Invalid("a filler too many: ", iterator->key());
    return iterator->status();
  }

  const uint64_t seed_;
  Random random_;
  MemoryFileSystem disk_;
  Options options_;
  CrashMix mix_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<CrashWorkload> workload_;
  std::shared_ptr<KeyValue> fillers_;

  CrashState state_;
  uint64_t number_ = 0;  // the last commit acknowledged
  uint64_t durable_ = 0;
  uint64_t loads_ = 0;  // all of them durable
  /// Of each filler that is there the commit that was the last one before it.
  std::vector<uint64_t> filler_commits_;
  size_t first_filler_ = 0;
  size_t durable_fillers_ = 0;
  uint64_t written_ = 0;
  Refusals refusals_;
  int64_t longest_wait_ = 0;  // attempts
};

TEST(FullDiskTest, RefusesWholeCommitsAndGoesOnWithoutReopeningWheneverThereIsRoom) {
  const uint64_t seed = SeedOfThisRun() + 2;
  const int64_t cycles = NumberFromEnvironment("MARBLE_FULL_DISK_CYCLES", kCycles);
  FillingDisk disk(seed);
  ASSERT_OK(disk.Open());
  for (int64_t cycle = 0; cycle < cycles; ++cycle) {
    SCOPED_TRACE("cycle " + std::to_string(cycle) + ", MARBLE_SEED=" + std::to_string(seed - 2));
    ASSERT_OK(disk.Cycle(/*last=*/cycle % kCyclesPerLife == kLastCycle));
  }
  ASSERT_OK(disk.Finish());
  const Refusals& refused = disk.refusals();
  std::cout << "MARBLE_SEED=" << seed - 2 << ": " << cycles << " times full, " << disk.commits()
            << " commits, " << disk.fillers_written() << " puts, " << disk.loads()
            << " loads taken; refused " << refused.commits << " commits, " << refused.puts
            << " puts, " << refused.loads << " loads, " << refused.flushes << " flushes, "
            << refused.compactions << " compactions, " << refused.deletes << " deletes, "
            << refused.openings << " openings; at most " << disk.longest_wait()
            << " attempts until writes resumed" << std::endl;
}

}  // namespace
}  // namespace marble::test

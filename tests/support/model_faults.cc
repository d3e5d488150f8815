// The model on a disk whose operations fail now and then, and what must be true after an error:
//
// - What was read is right, or there was an error.
// - A commit that failed is not there, and never will be, while writes go on. If they are refused
//   until the database is opened again, it is there then wholly or not at all.
// - Whatever was acknowledged before is there, in every table, for reads at once and after opening.
// - After want of room (ENOSPC, EDQUOT, EMFILE) writes go on, unless it was a sync that failed.
#include <array>
#include <cerrno>

#include <arrow/util/io_util.h>

#include "io/memory_file_system.h"
#include "support/model_runner.h"
#include "support/wait_until.h"

namespace marble::test {
namespace {

struct Fault {
  FileOp kind;
  int error;  // 0: fewer bytes than asked for

  /// May it end writing? Want of room does so only in a sync.
  bool IsFinal() const {
    return error == 0 || error == EIO || kind == FileOp::kSync || kind == FileOp::kSyncDirectory;
  }
};
constexpr std::array kFaults = {
    Fault{FileOp::kAny, EIO},       Fault{FileOp::kInspect, EIO},
    Fault{FileOp::kRead, EIO},      Fault{FileOp::kRead, 0},
    Fault{FileOp::kMap, EIO},       Fault{FileOp::kWrite, EIO},
    Fault{FileOp::kSync, EIO},      Fault{FileOp::kRemove, EIO},
    Fault{FileOp::kWrite, ENOSPC},  Fault{FileOp::kWrite, EDQUOT},
    Fault{FileOp::kCreate, ENOSPC}, Fault{FileOp::kCreate, EMFILE},
    Fault{FileOp::kOpen, EMFILE},   Fault{FileOp::kSync, ENOSPC},
    Fault{FileOp::kRename, EIO},    Fault{FileOp::kSyncDirectory, EIO},
};
constexpr char kShortRead[] = "fewer bytes than asked for";

/// Of the disk, or a refusal that has one as its cause; anything else is a difference.
bool ComesFromAFault(const arrow::Status& status) {
  return IsReadOnly(status) || arrow::internal::ErrnoFromStatus(status) != 0 ||
         status.message().find(kShortRead) != std::string::npos;
}

}  // namespace

void ModelRunner::ArmFault() {
  if (!random_.OneIn(config_.steps_per_fault)) return;
  const Fault& fault = kFaults[random_.Uniform(kFaults.size())];
  const uint64_t n = 1 + random_.Uniform(random_.OneIn(2) ? 3 : 40);
  MemoryFileSystem* disk = config_.faulty_disk;
  if (fault.error != 0) {
    disk->FailNth(fault.kind, n, fault.error);
  } else {
    disk->FailNth(fault.kind, n, arrow::Status::IOError(kShortRead));
  }
  ++faults_.armed;
  writes_may_end_ |= fault.IsFinal();
}

arrow::Status ModelRunner::GoOnAfter(const arrow::Status& error) {
  config_.faulty_disk->ClearFaults();
  if (!ComesFromAFault(error)) return error;
  ++faults_.steps_failed;
  // Some of them have met the fault and will say so.
  readers_.clear();
  iterators_.clear();
  const bool usable = database_ != nullptr && !database_->closed() && pairs_ != nullptr;
  if (!usable) return OpenAfterFault();
  ARROW_ASSIGN_OR_RAISE(const bool ended, WritesHaveEnded());
  if (!ended) {
    failed_commit_ = nullptr;
    writes_may_end_ = false;
    return CheckAll();
  }
  MODEL_CHECK(writes_may_end_, "writes have ended for want of room: ", error.ToString());
  ++faults_.writes_ended;
  ARROW_RETURN_NOT_OK(ExpectStateBeforeOrAfter());
  const arrow::Status refused = pairs_->Put("k", "v");
  MODEL_CHECK(IsReadOnly(refused), "writes have ended, but a put says: ", refused.ToString());
  return OpenAfterFault();
}

/// Until the database is opened again. Else they go on by themselves, or that is the error.
arrow::Result<bool> ModelRunner::WritesHaveEnded() {
  arrow::Status status;
  WaitUntil([&] {
    status = database_->Flush();
    if (status.ok()) status = database_->WaitForBackground();
    return status.ok() || IsReadOnly(status) || !ComesFromAFault(status);
  });
  if (IsReadOnly(status)) return true;
  ARROW_RETURN_NOT_OK(status);
  return false;
}

/// The state with the commit that failed, or that without it. Which of the two may change only when
/// the database is opened.
arrow::Status ModelRunner::ExpectStateBeforeOrAfter() {
  const arrow::Status before = CheckAll();
  if (before.ok() || failed_commit_ == nullptr) return before;
  ModelState state = state_;
  failed_commit_(&state);
  std::swap(state, state_);
  const arrow::Status after = CheckAll();
  std::swap(state, state_);
  if (after.ok()) return after;
  return before.WithMessage(before.message(),
                            "; and with the commit that failed: ", after.message());
}

arrow::Status ModelRunner::OpenAfterFault() {
  config_.faulty_disk->ClearFaults();
  snapshots_.clear();
  pairs_.reset();
  tables_.clear();
  if (database_ != nullptr) (void)database_->Close();  // refused after a final error
  database_.reset();
  ARROW_RETURN_NOT_OK(Open());
  if (failed_commit_ != nullptr && !CheckAll().ok()) {
    failed_commit_(&state_);
    ++faults_.commits_kept;
  }
  failed_commit_ = nullptr;
  writes_may_end_ = false;
  return CheckAll();
}

}  // namespace marble::test

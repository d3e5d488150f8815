#include "io/memory_file_system.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include <arrow/util/io_util.h>

#include <marble/error.h>

#include "base/mutex.h"
#include "io/lock_owner.h"
#include "io/posix_util.h"

namespace marble {

namespace {

bool IsChange(FileOp op) {
  return op != FileOp::kInspect && op != FileOp::kRead && op != FileOp::kMap && op != FileOp::kOpen;
}

struct Fault {
  uint64_t at = 0;  // the number of the operation that fails
  arrow::Status status;
  bool sticky = false;
};

}  // namespace

struct MemoryFileSystem::State {
  State(std::unique_ptr<MemoryDisk> content, bool mappings, uint64_t number)
      : with_mappings(mappings), id(number), disk(std::move(content)) {}

  const bool with_mappings;
  std::atomic<bool> memory_is_scarce{false};
  const uint64_t id;  // tells the file systems of this process apart
  mutable Mutex mutex;
  const std::unique_ptr<MemoryDisk> disk MARBLE_GUARDED_BY(mutex);
  uint64_t epoch MARBLE_GUARDED_BY(mutex) = 0;  // power failures so far
  int64_t capacity MARBLE_GUARDED_BY(mutex) = -1;
  std::map<uint64_t, std::string> lock_owners MARBLE_GUARDED_BY(mutex);  // by inode
  std::array<uint64_t, kFileOpKinds> counts MARBLE_GUARDED_BY(mutex) = {};
  std::array<std::optional<Fault>, kFileOpKinds> faults MARBLE_GUARDED_BY(mutex);

  ChangeObserver observer MARBLE_GUARDED_BY(mutex);
  std::optional<PowerLoss> chance_of_failed_sync MARBLE_GUARDED_BY(mutex);

  /// Counts an operation, shows it to the observer and fails it if it was chosen to.
  arrow::Status Begin(FileOp op, const std::string& path) MARBLE_REQUIRES(mutex);
  /// ENOSPC if `more` bytes are more than there is room for.
  arrow::Status CheckRoom(int64_t more, const std::string& path) MARBLE_REQUIRES(mutex);
  void FinishSync(const arrow::Status& status, MemoryNode* node) MARBLE_REQUIRES(mutex);

 private:
  arrow::Status Count(FileOp kind) MARBLE_REQUIRES(mutex);
};

arrow::Status MemoryFileSystem::State::Count(FileOp kind) {
  const auto index = static_cast<size_t>(kind);
  const uint64_t number = ++counts[index];
  const std::optional<Fault>& fault = faults[index];
  if (!fault.has_value()) return arrow::Status::OK();
  const bool fails = fault->sticky ? number >= fault->at : number == fault->at;
  return fails ? fault->status : arrow::Status::OK();
}

arrow::Status MemoryFileSystem::State::Begin(FileOp op, const std::string& path) {
  // All three are counted whichever of them fails.
  arrow::Status status = Count(op);
  if (IsChange(op)) {
    if (observer) observer(disk.get(), op, path);
    const arrow::Status change = Count(FileOp::kChange);
    if (status.ok()) status = change;
  }
  const arrow::Status any = Count(FileOp::kAny);
  if (status.ok()) status = any;
  if (status.ok()) return status;
  return status.WithMessage(path, ": ", status.message());
}

arrow::Status MemoryFileSystem::State::CheckRoom(int64_t more, const std::string& path) {
  if (capacity < 0 || more <= capacity - disk->used_bytes()) return arrow::Status::OK();
  return PosixError(ENOSPC, "write", path);
}

void MemoryFileSystem::State::FinishSync(const arrow::Status& status, MemoryNode* node) {
  if (status.ok()) {
    node->MarkSynced();
  } else {
    node->MarkSyncFailed(chance_of_failed_sync ? &*chance_of_failed_sync : nullptr);
  }
}

namespace {

using State = MemoryFileSystem::State;

/// What every open file has: the node, and the power failure count at its opening.
class Handle {
 protected:
  Handle(std::shared_ptr<State> state, std::string path, MemoryDisk::NodePointer node,
         uint64_t epoch)
      : state_(std::move(state)), path_(std::move(path)), node_(std::move(node)), epoch_(epoch) {}

  arrow::Status CheckAlive() const MARBLE_REQUIRES(state_->mutex) {
    if (epoch_ == state_->epoch) return arrow::Status::OK();
    return arrow::Status::IOError(path_, ": the file was open when power failed");
  }

  const std::shared_ptr<State> state_;
  const std::string path_;
  const MemoryDisk::NodePointer node_;

 private:
  const uint64_t epoch_;
};

class MemoryReadableFile : public ReadableFile, private Handle {
 public:
  MemoryReadableFile(std::shared_ptr<State> state, std::string path, MemoryDisk::NodePointer node,
                     uint64_t epoch)
      : Handle(std::move(state), std::move(path), std::move(node), epoch), size_(node_->size()) {}

  int64_t size() const override { return size_; }

  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t offset, int64_t length) override {
    ARROW_RETURN_NOT_OK(CheckRange(offset, length));
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(length));
    ARROW_RETURN_NOT_OK(ReadInto(offset, length, buffer->mutable_data()));
    return buffer;
  }

  arrow::Status ReadInto(int64_t offset, int64_t length, void* out) override {
    ARROW_RETURN_NOT_OK(CheckRange(offset, length));
    MutexLock lock(&state_->mutex);
    ARROW_RETURN_NOT_OK(CheckAlive());
    ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kRead, path_));
    return Copy(offset, length, out);
  }

  arrow::Result<std::shared_ptr<arrow::Buffer>> Map() override {
    if (!state_->with_mappings) return nullptr;
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, arrow::AllocateBuffer(size_));
    MutexLock lock(&state_->mutex);
    ARROW_RETURN_NOT_OK(CheckAlive());
    ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kMap, path_));
    ARROW_RETURN_NOT_OK(Copy(0, size_, buffer->mutable_data()));
    return arrow::SliceBuffer(buffer, 0, size_);  // read-only, as a mapping is
  }

  bool WillRead(std::span<const uint8_t> /*mapped*/) override { return state_->memory_is_scarce; }

 private:
  arrow::Status CheckRange(int64_t offset, int64_t length) const {
    if (offset < 0 || length < 0) {
      return arrow::Status::Invalid(path_, ": cannot read ", length, " bytes at ", offset);
    }
    if (offset > size_ || length > size_ - offset) {
      return arrow::Status::IOError(path_, ": cannot read ", length, " bytes at offset ", offset,
                                    ": the file has ", size_);
    }
    return arrow::Status::OK();
  }

  arrow::Status Copy(int64_t offset, int64_t length, void* out) MARBLE_REQUIRES(state_->mutex) {
    if (length > node_->size() - offset) {
      return arrow::Status::IOError(path_, ": the file was cut to ", node_->size(), " bytes");
    }
    node_->Read(offset, length, static_cast<char*>(out));
    return arrow::Status::OK();
  }

  const int64_t size_;
};

class MemoryWritableFile : public WritableFile, private Handle {
 public:
  using Handle::Handle;
  MemoryWritableFile(std::shared_ptr<State> state, std::string path, MemoryDisk::NodePointer node,
                     uint64_t epoch)
      : Handle(std::move(state), std::move(path), std::move(node), epoch) {}

  arrow::Status Append(std::string_view bytes) override {
    MutexLock lock(&state_->mutex);
    ARROW_RETURN_NOT_OK(CheckUsable());
    if (bytes.empty()) return arrow::Status::OK();
    failure_ = state_->Begin(FileOp::kWrite, path_);
    if (failure_.ok()) {
      failure_ = state_->CheckRoom(static_cast<int64_t>(bytes.size()), path_);
      if (failure_.ok()) AppendToNode(bytes);
    } else {
      AppendToNode(bytes.substr(0, bytes.size() / 2));
    }
    return failure_;
  }

  arrow::Status Sync() override {
    MutexLock lock(&state_->mutex);
    ARROW_RETURN_NOT_OK(CheckUsable());
    failure_ = state_->Begin(FileOp::kSync, path_);
    state_->FinishSync(failure_, node_.get());
    return failure_;
  }

  arrow::Status Close() override {
    MutexLock lock(&state_->mutex);
    if (closed_) return arrow::Status::OK();
    closed_ = true;
    ARROW_RETURN_NOT_OK(CheckAlive());
    return failure_;
  }

 private:
  arrow::Status CheckUsable() const MARBLE_REQUIRES(state_->mutex) {
    if (closed_) return ClosedError(path_ + ": the file was closed");
    ARROW_RETURN_NOT_OK(CheckAlive());
    return failure_;
  }

  void AppendToNode(std::string_view bytes) MARBLE_REQUIRES(state_->mutex) {
    const int64_t offset = node_->size();
    node_->Resize(offset + static_cast<int64_t>(bytes.size()));
    node_->Write(offset, bytes);
  }

  bool closed_ = false;
  arrow::Status failure_;  // the first one stays, as for the POSIX file
};

class MemorySegmentFile : public SegmentFile, private Handle {
 public:
  MemorySegmentFile(std::shared_ptr<State> state, std::string path, MemoryDisk::NodePointer node,
                    uint64_t epoch)
      : Handle(std::move(state), std::move(path), std::move(node), epoch),
        capacity_(node_->size()) {}

  int64_t capacity() const override { return capacity_; }

  arrow::Status Write(int64_t offset, std::span<const std::string_view> parts, WriteVia) override {
    size_t total = 0;
    for (const std::string_view part : parts) total += part.size();
    if (offset < 0 || offset > capacity_ || total > static_cast<size_t>(capacity_ - offset)) {
      return arrow::Status::Invalid(path_, ": ", total, " bytes at offset ", offset,
                                    " do not fit a capacity of ", capacity_);
    }
    MutexLock lock(&state_->mutex);
    ARROW_RETURN_NOT_OK(CheckUsable());
    const arrow::Status status = state_->Begin(FileOp::kWrite, path_);
    size_t left = status.ok() ? total : total / 2;
    for (const std::string_view part : parts) {
      const std::string_view bytes = part.substr(0, left);
      node_->Write(offset, bytes);
      offset += static_cast<int64_t>(bytes.size());
      left -= bytes.size();
    }
    return status;
  }

  arrow::Status Sync() override {
    MutexLock lock(&state_->mutex);
    ARROW_RETURN_NOT_OK(CheckUsable());
    ARROW_RETURN_NOT_OK(sync_failure_);
    sync_failure_ = state_->Begin(FileOp::kSync, path_);
    state_->FinishSync(sync_failure_, node_.get());
    return sync_failure_;
  }

  arrow::Status Close() override {
    MutexLock lock(&state_->mutex);
    if (closed_) return arrow::Status::OK();
    closed_ = true;
    return CheckAlive();
  }

 private:
  arrow::Status CheckUsable() const MARBLE_REQUIRES(state_->mutex) {
    if (closed_) return ClosedError(path_ + ": the file was closed");
    return CheckAlive();
  }

  const int64_t capacity_;
  bool closed_ = false;
  arrow::Status sync_failure_;
};

class MemoryFileLock : public FileLock {
 public:
  MemoryFileLock(std::shared_ptr<State> state, uint64_t inode, uint64_t epoch)
      : state_(std::move(state)), inode_(inode), epoch_(epoch) {}
  ~MemoryFileLock() override {
    MutexLock lock(&state_->mutex);
    if (epoch_ == state_->epoch) state_->lock_owners.erase(inode_);
  }

 private:
  const std::shared_ptr<State> state_;
  const uint64_t inode_;
  const uint64_t epoch_;
};

uint64_t NextFileSystemId() {
  static std::atomic<uint64_t> next = 1;
  return next.fetch_add(1);
}

}  // namespace

MemoryFileSystem::MemoryFileSystem(bool with_mappings)
    : MemoryFileSystem(std::make_unique<MemoryDisk>(), with_mappings) {}

MemoryFileSystem::MemoryFileSystem(std::unique_ptr<MemoryDisk> disk, bool with_mappings)
    : state_(std::make_shared<State>(std::move(disk), with_mappings, NextFileSystemId())) {}

MemoryFileSystem::~MemoryFileSystem() = default;

arrow::Result<std::shared_ptr<ReadableFile>> MemoryFileSystem::OpenReadable(
    const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kOpen, path));
  ARROW_ASSIGN_OR_RAISE(auto node, state_->disk->FindFile(path));
  return std::make_shared<MemoryReadableFile>(state_, path, std::move(node), state_->epoch);
}

arrow::Result<std::unique_ptr<WritableFile>> MemoryFileSystem::CreateWritable(
    const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kCreate, path));
  ARROW_ASSIGN_OR_RAISE(auto node, state_->disk->Create(path, /*is_directory=*/false));
  return std::make_unique<MemoryWritableFile>(state_, path, std::move(node), state_->epoch);
}

arrow::Result<std::unique_ptr<WritableFile>> MemoryFileSystem::OpenAppend(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kOpen, path));
  ARROW_ASSIGN_OR_RAISE(auto node, state_->disk->FindFile(path));
  return std::make_unique<MemoryWritableFile>(state_, path, std::move(node), state_->epoch);
}

arrow::Result<std::unique_ptr<SegmentFile>> MemoryFileSystem::CreateSegment(const std::string& path,
                                                                            int64_t capacity) {
  if (capacity <= 0) return arrow::Status::Invalid(path, ": capacity ", capacity);
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kCreate, path));
  ARROW_RETURN_NOT_OK(state_->CheckRoom(capacity, path));
  ARROW_ASSIGN_OR_RAISE(auto node, state_->disk->Create(path, /*is_directory=*/false));
  node->Resize(capacity);
  return std::make_unique<MemorySegmentFile>(state_, path, std::move(node), state_->epoch);
}

arrow::Result<std::unique_ptr<SegmentFile>> MemoryFileSystem::OpenSegment(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kOpen, path));
  ARROW_ASSIGN_OR_RAISE(auto node, state_->disk->FindFile(path));
  return std::make_unique<MemorySegmentFile>(state_, path, std::move(node), state_->epoch);
}

arrow::Result<bool> MemoryFileSystem::Exists(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kInspect, path));
  const auto node = state_->disk->Find(path);
  if (node.ok()) return true;
  const int errnum = arrow::internal::ErrnoFromStatus(node.status());
  if (errnum == ENOENT || errnum == ENOTDIR) return false;
  return node.status();
}

arrow::Result<int64_t> MemoryFileSystem::FileSize(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kInspect, path));
  ARROW_ASSIGN_OR_RAISE(const auto node, state_->disk->FindFile(path));
  return node->size();
}

arrow::Result<std::vector<DirectoryEntry>> MemoryFileSystem::List(const std::string& directory) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kInspect, directory));
  ARROW_ASSIGN_OR_RAISE(const auto node, state_->disk->FindDirectory(directory));
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, child] : node->entries) {
    entries.push_back({name, child->size(), child->is_directory()});
  }
  return entries;
}

arrow::Status MemoryFileSystem::CreateDirectory(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kCreate, path));
  const auto existing = state_->disk->FindDirectory(path);
  if (existing.ok()) return arrow::Status::OK();
  if (!IsMissing(existing.status())) return existing.status();
  return state_->disk->Create(path, /*is_directory=*/true).status();
}

arrow::Status MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kRename, from));
  return state_->disk->Rename(from, to);
}

arrow::Status MemoryFileSystem::Remove(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kRemove, path));
  return state_->disk->Remove(path);
}

arrow::Status MemoryFileSystem::SyncDirectory(const std::string& directory) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kSyncDirectory, directory));
  ARROW_ASSIGN_OR_RAISE(const auto node, state_->disk->FindDirectory(directory));
  state_->disk->SyncDirectory(node);
  return arrow::Status::OK();
}

arrow::Result<std::unique_ptr<FileLock>> MemoryFileSystem::Lock(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kCreate, path));
  auto found = state_->disk->FindFile(path);
  if (IsMissing(found.status())) {
    found = state_->disk->Create(path, /*is_directory=*/false);
  }
  ARROW_ASSIGN_OR_RAISE(const auto node, found);
  const auto [owner, is_free] = state_->lock_owners.emplace(node->inode(), LockOwnerText());
  if (!is_free) return LockedBy(path, owner->second);
  return std::make_unique<MemoryFileLock>(state_, node->inode(), state_->epoch);
}

arrow::Result<std::unique_ptr<FileLock>> MemoryFileSystem::LockUnchanged(const std::string& path) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kOpen, path));
  auto found = state_->disk->FindFile(path);
  if (IsMissing(found.status())) return nullptr;
  ARROW_ASSIGN_OR_RAISE(const auto node, found);
  const auto [owner, is_free] = state_->lock_owners.emplace(node->inode(), LockOwnerText());
  if (!is_free) return LockedBy(path, owner->second);
  return std::make_unique<MemoryFileLock>(state_, node->inode(), state_->epoch);
}

arrow::Result<std::string> MemoryFileSystem::Identity(const std::string& directory) {
  MutexLock lock(&state_->mutex);
  ARROW_RETURN_NOT_OK(state_->Begin(FileOp::kInspect, directory));
  ARROW_ASSIGN_OR_RAISE(const auto node, state_->disk->FindDirectory(directory));
  return "memory " + std::to_string(state_->id) + ":" + std::to_string(node->inode());
}

void MemoryFileSystem::LoseUnsynced(LossPolicy policy, uint64_t seed) {
  MutexLock lock(&state_->mutex);
  state_->disk->LoseUnsynced(policy, seed);
  state_->lock_owners.clear();
  ++state_->epoch;
}

std::unique_ptr<MemoryDisk> MemoryFileSystem::CloneDisk() {
  MutexLock lock(&state_->mutex);
  return state_->disk->Clone();
}

void MemoryFileSystem::set_observer(ChangeObserver observer) {
  MutexLock lock(&state_->mutex);
  state_->observer = std::move(observer);
}

void MemoryFileSystem::ScrambleFailedSyncs(uint64_t seed) {
  MutexLock lock(&state_->mutex);
  state_->chance_of_failed_sync.emplace(LossPolicy::kRandomPages, seed);
}

void MemoryFileSystem::FailNth(FileOp kind, uint64_t n, arrow::Status status, bool sticky) {
  MutexLock lock(&state_->mutex);
  const auto index = static_cast<size_t>(kind);
  state_->faults[index] = Fault{state_->counts[index] + n, std::move(status), sticky};
}

void MemoryFileSystem::FailNth(FileOp kind, uint64_t n, int errnum, bool sticky) {
  FailNth(kind, n,
          arrow::internal::IOErrorFromErrno(
              errnum, "injected fault: ", arrow::internal::ErrnoMessage(errnum)),
          sticky);
}

void MemoryFileSystem::ClearFaults() {
  MutexLock lock(&state_->mutex);
  state_->faults.fill(std::nullopt);
}

uint64_t MemoryFileSystem::operations(FileOp kind) const {
  MutexLock lock(&state_->mutex);
  return state_->counts[static_cast<size_t>(kind)];
}

void MemoryFileSystem::set_capacity_bytes(int64_t bytes) {
  MutexLock lock(&state_->mutex);
  state_->capacity = bytes;
}

void MemoryFileSystem::set_memory_is_scarce(bool scarce) { state_->memory_is_scarce = scarce; }

int64_t MemoryFileSystem::used_bytes() const {
  MutexLock lock(&state_->mutex);
  return state_->disk->used_bytes();
}

arrow::Status MemoryFileSystem::Damage(const std::string& path, int64_t offset, uint8_t xor_mask) {
  char byte;
  {
    MutexLock lock(&state_->mutex);
    ARROW_ASSIGN_OR_RAISE(const auto node, state_->disk->FindFile(path));
    if (offset < 0 || offset >= node->size()) {
      return arrow::Status::Invalid(path, ": no byte at ", offset);
    }
    node->Read(offset, 1, &byte);
  }
  byte = static_cast<char>(static_cast<uint8_t>(byte) ^ xor_mask);
  return Overwrite(path, offset, std::string_view(&byte, 1));
}

arrow::Status MemoryFileSystem::Overwrite(const std::string& path, int64_t offset,
                                          std::string_view bytes) {
  MutexLock lock(&state_->mutex);
  ARROW_ASSIGN_OR_RAISE(const auto node, state_->disk->FindFile(path));
  if (offset < 0 || offset > node->size() ||
      static_cast<int64_t>(bytes.size()) > node->size() - offset) {
    return arrow::Status::Invalid(path, ": no ", bytes.size(), " bytes at ", offset);
  }
  node->WriteBoth(offset, bytes);
  return arrow::Status::OK();
}

arrow::Status MemoryFileSystem::Truncate(const std::string& path, int64_t size) {
  MutexLock lock(&state_->mutex);
  ARROW_ASSIGN_OR_RAISE(const auto node, state_->disk->FindFile(path));
  if (size < 0 || size > node->size()) {
    return arrow::Status::Invalid(path, ": cannot cut to ", size, " bytes");
  }
  node->Resize(size);
  node->MarkSynced();
  return arrow::Status::OK();
}

}  // namespace marble

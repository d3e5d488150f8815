#include "support/recording_file_system.h"

#include <span>
#include <utility>

namespace marble::test {

namespace {

class CountingWritable : public WritableFile {
 public:
  CountingWritable(std::unique_ptr<WritableFile> base, RecordingFileSystem* fs)
      : base_(std::move(base)), fs_(fs) {}
  arrow::Status Append(std::string_view bytes) override { return base_->Append(bytes); }
  arrow::Status Sync() override {
    fs_->Note("sync");
    return base_->Sync();
  }
  arrow::Status Close() override { return base_->Close(); }

 private:
  const std::unique_ptr<WritableFile> base_;
  RecordingFileSystem* const fs_;
};

class CountingSegment : public SegmentFile {
 public:
  CountingSegment(std::unique_ptr<SegmentFile> base, RecordingFileSystem* fs)
      : base_(std::move(base)), fs_(fs) {}
  int64_t capacity() const override { return base_->capacity(); }
  arrow::Status Write(int64_t offset, std::span<const std::string_view> parts,
                      WriteVia via) override {
    return base_->Write(offset, parts, via);
  }
  arrow::Status Sync() override {
    fs_->Note("sync");
    return base_->Sync();
  }
  void WillWrite() override { base_->WillWrite(); }
  void EndWrites() override { base_->EndWrites(); }
  arrow::Status Close() override { return base_->Close(); }

 private:
  const std::unique_ptr<SegmentFile> base_;
  RecordingFileSystem* const fs_;
};

arrow::Result<std::unique_ptr<WritableFile>> Counting(
    arrow::Result<std::unique_ptr<WritableFile>> file, RecordingFileSystem* fs) {
  if (!file.ok()) return file;
  return std::make_unique<CountingWritable>(*std::move(file), fs);
}

arrow::Result<std::unique_ptr<SegmentFile>> Counting(
    arrow::Result<std::unique_ptr<SegmentFile>> file, RecordingFileSystem* fs) {
  if (!file.ok()) return file;
  return std::make_unique<CountingSegment>(*std::move(file), fs);
}

}  // namespace

Operations RecordingFileSystem::operations() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return operations_;
}

void RecordingFileSystem::Note(const std::string& operation) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++operations_[operation];
}

template <typename Result>
Result RecordingFileSystem::Noted(const std::string& operation, Result result) {
  if (result.ok()) Note(operation);
  return result;
}

arrow::Result<std::shared_ptr<ReadableFile>> RecordingFileSystem::OpenReadable(
    const std::string& path) {
  return Noted("read " + path, base_->OpenReadable(path));
}
arrow::Result<std::unique_ptr<WritableFile>> RecordingFileSystem::CreateWritable(
    const std::string& path) {
  return Counting(Noted("create " + path, base_->CreateWritable(path)), this);
}
arrow::Result<std::unique_ptr<WritableFile>> RecordingFileSystem::OpenAppend(
    const std::string& path) {
  return Counting(Noted("append " + path, base_->OpenAppend(path)), this);
}
arrow::Result<std::unique_ptr<SegmentFile>> RecordingFileSystem::CreateSegment(
    const std::string& path, int64_t capacity) {
  return Counting(Noted("create " + path, base_->CreateSegment(path, capacity)), this);
}
arrow::Result<std::unique_ptr<SegmentFile>> RecordingFileSystem::OpenSegment(
    const std::string& path) {
  return Counting(Noted("reopen " + path, base_->OpenSegment(path)), this);
}
arrow::Result<bool> RecordingFileSystem::Exists(const std::string& path) {
  return base_->Exists(path);
}
arrow::Result<int64_t> RecordingFileSystem::FileSize(const std::string& path) {
  return base_->FileSize(path);
}
arrow::Result<std::vector<DirectoryEntry>> RecordingFileSystem::List(const std::string& directory) {
  return Noted("directory " + directory, base_->List(directory));
}
arrow::Status RecordingFileSystem::CreateDirectory(const std::string& path) {
  // Not of one that is there.
  ARROW_ASSIGN_OR_RAISE(const bool there, base_->Exists(path));
  const arrow::Status made = base_->CreateDirectory(path);
  return there ? made : Noted("mkdir " + path, made);
}
arrow::Status RecordingFileSystem::Rename(const std::string& from, const std::string& to) {
  return Noted("rename " + from + " to " + to, base_->Rename(from, to));
}
arrow::Status RecordingFileSystem::Remove(const std::string& path) {
  return Noted("remove " + path, base_->Remove(path));
}
arrow::Status RecordingFileSystem::SyncDirectory(const std::string& directory) {
  Note("sync");
  return Noted("directory " + directory, base_->SyncDirectory(directory));
}
arrow::Result<std::unique_ptr<FileLock>> RecordingFileSystem::Lock(const std::string& path) {
  return Noted("lock " + path, base_->Lock(path));
}
arrow::Result<std::unique_ptr<FileLock>> RecordingFileSystem::LockUnchanged(
    const std::string& path) {
  auto lock = base_->LockUnchanged(path);
  if (lock.ok() && *lock != nullptr) Note("lock " + path);
  return lock;
}
arrow::Result<std::string> RecordingFileSystem::Identity(const std::string& directory) {
  return base_->Identity(directory);
}

}  // namespace marble::test

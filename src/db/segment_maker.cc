#include "db/segment_maker.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "io/posix_util.h"
#include "tree/file_names.h"

namespace marble {

namespace {

/// Bytes of segments kept for recycling: what flushing three memtables of the preset size, or a
/// larger one, sets free.
constexpr int64_t kSparesBytesMax = int64_t{192} << 20;

}  // namespace

SegmentMaker::SegmentMaker(FileSystem* fs, std::string directory, const Uuid& uuid,
                           int64_t segment_bytes)
    : fs_(fs), directory_(std::move(directory)), uuid_(uuid), segment_bytes_(segment_bytes) {}

SegmentMaker::~SegmentMaker() { Stop(); }

arrow::Result<std::unique_ptr<SegmentWriter>> SegmentMaker::First(uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    last_ = number;
  }
  return Make(number, /*predecessor=*/0, segment_bytes_);
}

arrow::Result<std::unique_ptr<SegmentWriter>> SegmentMaker::Next(uint64_t predecessor,
                                                                 int64_t capacity) {
  {
    std::unique_lock lock(mutex_);
    if (capacity == segment_bytes_) {
      // The one being made is ready before another could be.
      changed_.wait(lock, [this] { return !ready_.empty() || !making_; });
    } else {
      wanted_ = 0;
      changed_.wait(lock, [this] { return !making_; });
      ARROW_RETURN_NOT_OK(TakeBack());
    }
    if (!ready_.empty()) {
      std::unique_ptr<SegmentWriter> next = std::move(ready_.front());
      ready_.pop_front();
      last_ = next->number();
      wanted_ = std::max(wanted_ - 1, 0);
      return next;
    }
    last_ = predecessor;
    wanted_ = 0;  // nothing is made beside what follows
  }
  auto made = Make(predecessor + 1, predecessor, capacity);
  // Only now: what is made beforehand after a failure takes the number that was not given.
  const std::lock_guard lock(mutex_);
  if (made.ok()) last_ = predecessor + 1;
  return made;
}

void SegmentMaker::MakeAhead(int count, bool pages) {
  const std::lock_guard lock(mutex_);
  wanted_ = count;
  pages_ = pages;
  try {
    if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  } catch (const std::system_error&) {
    wanted_ = 0;  // the process may have no more threads: segments are made when they are needed
  }
  changed_.notify_all();
}

bool SegmentMaker::IsReady() const {
  const std::lock_guard lock(mutex_);
  return !ready_.empty();
}

void SegmentMaker::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || static_cast<int>(ready_.size()) < wanted_; });
    if (stopping_) return;
    // Stays the same while segments are taken.
    const uint64_t number = last_ + ready_.size() + 1;
    const bool pages = pages_;
    making_ = true;
    lock.unlock();
    auto made = Make(number, number - 1, segment_bytes_);
    if (made.ok() && pages) (*made)->WillAppend();
    lock.lock();
    making_ = false;
    if (made.ok()) {
      ready_.push_back(*std::move(made));
    } else {
      wanted_ = 0;  // whoever needs it tries again, and is told the error
    }
    changed_.notify_all();
  }
}

arrow::Result<std::unique_ptr<SegmentWriter>> SegmentMaker::Make(uint64_t number,
                                                                 uint64_t predecessor,
                                                                 int64_t capacity) {
  const std::string path = LogSegmentPath(directory_, number);
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<SegmentFile> file, MakeFile(path, capacity));
  LogFileHeader header;
  header.kind = LogFileKind::kSegment;
  header.uuid = uuid_;
  header.number = number;
  header.predecessor = predecessor;
  auto writer = SegmentWriter::Start(std::move(file), header);
  // Leave no segment behind that the next attempt would stumble over.
  if (!writer.ok()) ARROW_RETURN_NOT_OK(fs_->Remove(path));
  return writer;
}

arrow::Result<std::unique_ptr<SegmentFile>> SegmentMaker::MakeFile(const std::string& path,
                                                                   int64_t capacity) {
  std::string spare;
  if (capacity == segment_bytes_) {
    const std::lock_guard lock(mutex_);
    if (!spares_.empty()) {
      spare = std::move(spares_.back());
      spares_.pop_back();
    }
  }
  if (!spare.empty()) {
    const arrow::Status renamed = fs_->Rename(spare, path);
    if (renamed.ok()) {
      auto opened = fs_->OpenSegment(path);
      if (!opened.ok()) ARROW_RETURN_NOT_OK(fs_->Remove(path));
      return opened;
    }
    // Without anything of the database in it, it may have been cleared away by hand.
    if (!IsMissing(renamed)) {
      AddSpare(std::move(spare));
      return renamed;
    }
  }
  // What a full disk stopped from being made, it may have stopped from being removed, too.
  ARROW_ASSIGN_OR_RAISE(const bool left_behind, fs_->Exists(path));
  if (left_behind) ARROW_RETURN_NOT_OK(fs_->Remove(path));
  return fs_->CreateSegment(path, capacity);
}

arrow::Status SegmentMaker::TakeBack() {
  while (!ready_.empty()) {
    // The last first: what an error leaves has no gap.
    const uint64_t number = ready_.back()->number();
    std::string spare = SpareSegmentPath(directory_, next_spare_++);
    // One that keeps its name stays ready, so it must not be closed before.
    ARROW_RETURN_NOT_OK(fs_->Rename(LogSegmentPath(directory_, number), spare));
    const std::unique_ptr<SegmentWriter> segment = std::move(ready_.back());
    ready_.pop_back();
    spares_.push_back(std::move(spare));
    ARROW_RETURN_NOT_OK(segment->Close());
  }
  return arrow::Status::OK();
}

std::string SegmentMaker::SparePath(int64_t others) {
  const std::lock_guard lock(mutex_);
  const int64_t files = static_cast<int64_t>(spares_.size()) + others + 1;
  if (files * segment_bytes_ > std::max(kSparesBytesMax, segment_bytes_)) return {};
  return SpareSegmentPath(directory_, next_spare_++);
}

void SegmentMaker::AddSpare(std::string path) {
  const std::lock_guard lock(mutex_);
  spares_.push_back(std::move(path));
}

bool SegmentMaker::HasSpares() const {
  const std::lock_guard lock(mutex_);
  return !spares_.empty() || !ready_.empty() || making_ || wanted_ > 0;
}

arrow::Result<std::vector<std::string>> SegmentMaker::TakeSpares() {
  std::unique_lock lock(mutex_);
  wanted_ = 0;
  changed_.wait(lock, [this] { return !making_; });
  ARROW_RETURN_NOT_OK(TakeBack());
  return std::exchange(spares_, {});
}

void SegmentMaker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

arrow::Status SegmentMaker::Close(bool remove) {
  Stop();
  for (const auto& segment : ready_) ARROW_RETURN_NOT_OK(segment->Close());
  if (remove) {
    for (const auto& segment : ready_) {
      ARROW_RETURN_NOT_OK(fs_->Remove(LogSegmentPath(directory_, segment->number())));
    }
    for (const std::string& spare : spares_) ARROW_RETURN_NOT_OK(RemoveIfThere(fs_, spare));
  }
  ready_.clear();
  spares_.clear();
  return arrow::Status::OK();
}

}  // namespace marble

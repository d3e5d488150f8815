#include "io/descriptor_cache.h"

#include <fcntl.h>

#include <iterator>
#include <utility>

namespace marble {

arrow::Result<UniqueFd> DescriptorCache::OpenForRead(const std::string& path) {
  const std::shared_lock lock(opening_);
  arrow::Result<UniqueFd> fd = OpenFile(path, O_RDONLY);
  if (fd.ok() || !IsOutOfDescriptors(fd.status())) return fd;
  Clear();
  return OpenFile(path, O_RDONLY);
}

arrow::Result<DescriptorCache::Opened> DescriptorCache::Open(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(UniqueFd fd, OpenForRead(path));
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDescriptor(fd, path));
  Opened opened{0, {info.st_dev, info.st_ino}, static_cast<int64_t>(info.st_size)};
  {
    MutexLock lock(&mutex_);
    opened.key = next_key_++;
  }
  Insert(opened.key, std::make_shared<UniqueFd>(std::move(fd)));
  return opened;
}

arrow::Result<std::shared_ptr<UniqueFd>> DescriptorCache::Get(uint64_t key, const std::string& path,
                                                              const FileIdentity& identity) {
  if (std::shared_ptr<UniqueFd> found = Find(key)) return found;
  ARROW_ASSIGN_OR_RAISE(UniqueFd fd, OpenForRead(path));
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatDescriptor(fd, path));
  if (FileIdentity{info.st_dev, info.st_ino} != identity) {
    return arrow::Status::IOError(path, ": another file has taken the place of the one opened");
  }
  return Insert(key, std::make_shared<UniqueFd>(std::move(fd)));
}

std::shared_ptr<UniqueFd> DescriptorCache::Find(uint64_t key) {
  MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->fd;
}

std::shared_ptr<UniqueFd> DescriptorCache::Insert(uint64_t key, std::shared_ptr<UniqueFd> fd) {
  std::list<Entry> dropped;  // closed after the mutex is released
  MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) return found->second->fd;  // another thread was faster
  entries_.push_front({key, fd});
  by_key_.emplace(key, entries_.begin());
  while (entries_.size() > limit_) {
    by_key_.erase(entries_.back().key);
    dropped.splice(dropped.begin(), entries_, std::prev(entries_.end()));
  }
  return fd;
}

void DescriptorCache::Forget(uint64_t key) {
  std::list<Entry> dropped;
  MutexLock lock(&mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  dropped.splice(dropped.begin(), entries_, found->second);
  by_key_.erase(found);
}

void DescriptorCache::Clear() {
  std::list<Entry> dropped;
  MutexLock lock(&mutex_);
  dropped.swap(entries_);
  by_key_.clear();
}

}  // namespace marble

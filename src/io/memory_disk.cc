#include "io/memory_disk.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/posix_util.h"

namespace marble {

namespace {

/// Of all disks of the process, so that clones of clones do not take each other's pages for theirs.
uint64_t NextGeneration() {
  static std::atomic<uint64_t> next = 1;
  return next.fetch_add(1);
}

}  // namespace

void MemoryNode::SetCounted(bool counted) {
  if (counted != counted_) disk_->used_bytes += counted ? size_ : -size_;
  counted_ = counted;
}

void MemoryNode::Resize(int64_t size) {
  if (counted_) disk_->used_bytes += size - size_;
  pages_.resize(PagesFor(size));
  dirty_.erase(dirty_.lower_bound(pages_.size()), dirty_.end());
  const int64_t in_last_page = size % kPageBytes;
  if (size < size_ && in_last_page != 0 && pages_.back() != nullptr) {
    Page* last = Own(&pages_, pages_.size() - 1);
    std::memset(last->data() + in_last_page, 0, static_cast<size_t>(kPageBytes - in_last_page));
    dirty_.insert(pages_.size() - 1);
  }
  size_ = size;
  size_is_dirty_ = true;
}

void MemoryNode::Read(int64_t offset, int64_t length, char* out) const {
  while (length > 0) {
    const int64_t begin = offset % kPageBytes;
    const int64_t n = std::min(length, kPageBytes - begin);
    const PagePointer& page = pages_[static_cast<size_t>(offset / kPageBytes)];
    if (page == nullptr) {
      std::memset(out, 0, static_cast<size_t>(n));
    } else {
      std::memcpy(out, page->data() + begin, static_cast<size_t>(n));
    }
    out += n;
    offset += n;
    length -= n;
  }
}

MemoryNode::Page* MemoryNode::Own(std::vector<PagePointer>* pages, size_t index) {
  if (pages->size() <= index) pages->resize(index + 1);
  PagePointer& page = (*pages)[index];
  if (page == nullptr) {
    page = std::make_shared<Page>();
  } else if (page->generation != disk_->generation || page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  page->generation = disk_->generation;
  return page.get();
}

void MemoryNode::WritePages(std::vector<PagePointer>* pages, int64_t offset,
                            std::string_view bytes) {
  while (!bytes.empty()) {
    const int64_t begin = offset % kPageBytes;
    const size_t n = std::min(bytes.size(), static_cast<size_t>(kPageBytes - begin));
    Page* page = Own(pages, static_cast<size_t>(offset / kPageBytes));
    std::memcpy(page->data() + begin, bytes.data(), n);
    bytes.remove_prefix(n);
    offset += static_cast<int64_t>(n);
  }
}

void MemoryNode::Write(int64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  WritePages(&pages_, offset, bytes);
  const auto last =
      static_cast<size_t>((offset + static_cast<int64_t>(bytes.size()) - 1) / kPageBytes);
  for (auto page = static_cast<size_t>(offset / kPageBytes); page <= last; ++page) {
    dirty_.insert(page);
  }
}

void MemoryNode::WriteBoth(int64_t offset, std::string_view bytes) {
  WritePages(&pages_, offset, bytes);
  WritePages(&durable_pages_, offset, bytes);
}

void MemoryNode::MarkSynced() {
  durable_pages_.resize(pages_.size());
  for (const size_t index : dirty_) durable_pages_[index] = pages_[index];
  dirty_.clear();
  durable_size_ = size_;
  size_is_dirty_ = false;
}

void MemoryNode::MarkSyncFailed(PowerLoss* chance) {
  if (chance != nullptr) {
    durable_pages_.resize(std::max(pages_.size(), durable_pages_.size()));
    for (const size_t index : dirty_) {
      const PagePointer old_page = durable_pages_[index];
      if (chance->Coin()) durable_pages_[index] = pages_[index];
      if (chance->Coin()) pages_[index] = old_page;
    }
    if (chance->Coin()) durable_size_ = size_;
  }
  dirty_.clear();
  size_is_dirty_ = false;
}

MemoryNode::PagePointer MemoryNode::DurablePage(size_t index) const {
  return index < durable_pages_.size() ? durable_pages_[index] : nullptr;
}

MemoryNode::PagePointer MemoryNode::Torn(size_t index, PowerLoss* loss) const {
  const PagePointer old_page = DurablePage(index);
  auto page = old_page == nullptr ? std::make_shared<Page>() : std::make_shared<Page>(*old_page);
  const PagePointer& new_page = pages_[index];
  for (int64_t at = 0; at < kPageBytes; at += kSectorBytes) {
    if (!loss->Coin()) continue;
    if (new_page == nullptr) {
      std::memset(page->data() + at, 0, kSectorBytes);
    } else {
      std::memcpy(page->data() + at, new_page->data() + at, kSectorBytes);
    }
  }
  return page;
}

MemoryNode::PagePointer MemoryNode::Garbage(
    size_t index, PowerLoss* loss, std::span<const std::shared_ptr<MemoryNode>> others) const {
  auto page = std::make_shared<Page>();
  // Most dangerous is what looks like ours; but it may be anything.
  PagePointer stale;
  if (!others.empty() && loss->Coin()) {
    const std::vector<PagePointer>& pages = others[loss->Random() % others.size()]->pages_;
    if (!pages.empty()) stale = pages[loss->Random() % pages.size()];
  }
  if (stale != nullptr) {
    page->bytes = stale->bytes;
  } else {
    for (size_t at = 0; at < page->bytes.size(); at += sizeof(uint64_t)) {
      const uint64_t word = loss->Random();
      std::memcpy(page->data() + at, &word, sizeof(word));
    }
  }
  const int64_t synced = durable_size_ - static_cast<int64_t>(index) * kPageBytes;
  const PagePointer old_page = DurablePage(index);
  if (synced > 0 && old_page != nullptr) {
    std::memcpy(page->data(), old_page->data(), static_cast<size_t>(synced));
  } else if (synced > 0) {
    std::memset(page->data(), 0, static_cast<size_t>(synced));
  }
  return page;
}

void MemoryNode::LoseUnsynced(PowerLoss* loss,
                              std::span<const std::shared_ptr<MemoryNode>> others) {
  // A size that grew without its pages gives zeros, as file systems with delayed allocation do.
  const bool keep_size = size_is_dirty_ && loss->KeepsSize();
  const int64_t size = keep_size ? size_ : durable_size_;
  std::vector<PagePointer> pages = durable_pages_;
  pages.resize(PagesFor(size));
  for (const size_t index : dirty_) {
    if (index >= pages.size()) continue;
    const bool grown = static_cast<int64_t>(index + 1) * kPageBytes > durable_size_;
    switch (loss->FateOfPage(grown)) {
      case PowerLoss::PageFate::kOld:
        break;
      case PowerLoss::PageFate::kNew:
        pages[index] = pages_[index];
        break;
      case PowerLoss::PageFate::kTorn:
        pages[index] = Torn(index, loss);
        break;
      case PowerLoss::PageFate::kGarbage:
        pages[index] = Garbage(index, loss, others);
        break;
    }
  }
  pages_ = std::move(pages);
  dirty_.clear();
  Resize(size);  // cuts what the last page holds behind the end
  MarkSynced();
  durable_pages_ = pages_;  // also the pages that were kept
}

std::shared_ptr<MemoryNode> MemoryNode::CloneFile(MemoryDiskTotals* disk) const {
  auto clone = std::make_shared<MemoryNode>(inode_, is_directory_, disk);
  clone->size_ = size_;
  clone->durable_size_ = durable_size_;
  clone->size_is_dirty_ = size_is_dirty_;
  clone->pages_ = pages_;
  clone->durable_pages_ = durable_pages_;
  clone->dirty_ = dirty_;
  clone->SetCounted(counted_);
  return clone;
}

MemoryDisk::MemoryDisk() : root_(std::make_shared<MemoryNode>(next_inode_++, true, &totals_)) {
  totals_.generation = NextGeneration();
}

arrow::Result<std::vector<std::string>> MemoryDisk::Split(const std::string& path) {
  ARROW_RETURN_NOT_OK(CheckPath(path));
  if (path.empty()) return PosixError(ENOENT, "find", path);
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") return arrow::Status::Invalid(path, ": \"..\" is not offered in memory");
    names.push_back(std::move(name));
  }
  return names;
}

arrow::Result<MemoryDisk::NodePointer> MemoryDisk::Find(const std::string& path) const {
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> names, Split(path));
  NodePointer node = root_;
  for (const std::string& name : names) {
    if (!node->is_directory()) return PosixError(ENOTDIR, "find", path);
    const auto found = node->entries.find(name);
    if (found == node->entries.end()) return PosixError(ENOENT, "find", path);
    node = found->second;
  }
  return node;
}

arrow::Result<MemoryDisk::NodePointer> MemoryDisk::FindFile(const std::string& path) const {
  ARROW_ASSIGN_OR_RAISE(NodePointer node, Find(path));
  if (node->is_directory()) return PosixError(EISDIR, "open as a regular file", path);
  return node;
}

arrow::Result<MemoryDisk::NodePointer> MemoryDisk::FindDirectory(const std::string& path) const {
  ARROW_ASSIGN_OR_RAISE(NodePointer node, Find(path));
  if (!node->is_directory()) return PosixError(ENOTDIR, "use as a directory", path);
  return node;
}

arrow::Result<MemoryDisk::Place> MemoryDisk::Locate(const std::string& path) const {
  ARROW_ASSIGN_OR_RAISE(std::vector<std::string> names, Split(path));
  if (names.empty()) return PosixError(EBUSY, "change the root", path);
  Place place;
  place.name = std::move(names.back());
  names.pop_back();
  place.directory = root_;
  for (const std::string& name : names) {
    const auto found = place.directory->entries.find(name);
    if (found == place.directory->entries.end()) return PosixError(ENOENT, "find", path);
    place.directory = found->second;
    if (!place.directory->is_directory()) return PosixError(ENOTDIR, "find", path);
  }
  return place;
}

arrow::Result<MemoryDisk::NodePointer> MemoryDisk::Create(const std::string& path,
                                                          bool is_directory) {
  ARROW_ASSIGN_OR_RAISE(const Place place, Locate(path));
  auto node = std::make_shared<MemoryNode>(next_inode_, is_directory, &totals_);
  if (!place.directory->entries.emplace(place.name, node).second) {
    return PosixError(EEXIST, "create", path);
  }
  ++next_inode_;
  node->SetCounted(true);
  unsynced_.push_back({PowerLoss::EntryChange::kCreate, {}, place, node});
  return node;
}

arrow::Status MemoryDisk::Rename(const std::string& from, const std::string& to) {
  ARROW_ASSIGN_OR_RAISE(const Place source, Locate(from));
  ARROW_ASSIGN_OR_RAISE(const Place target, Locate(to));
  const auto found = source.directory->entries.find(source.name);
  if (found == source.directory->entries.end()) return PosixError(ENOENT, "rename", from);
  const NodePointer node = found->second;
  const auto replaced = target.directory->entries.find(target.name);
  if (replaced != target.directory->entries.end()) {
    if (replaced->second == node) return arrow::Status::OK();
    if (node->is_directory() != replaced->second->is_directory()) {
      return PosixError(node->is_directory() ? ENOTDIR : EISDIR, "rename to " + to, from);
    }
    if (!replaced->second->entries.empty()) return PosixError(ENOTEMPTY, "rename to " + to, from);
    replaced->second->SetCounted(false);
  }
  source.directory->entries.erase(found);
  target.directory->entries[target.name] = node;
  unsynced_.push_back({PowerLoss::EntryChange::kRename, source, target, node});
  return arrow::Status::OK();
}

arrow::Status MemoryDisk::Remove(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const Place place, Locate(path));
  const auto found = place.directory->entries.find(place.name);
  if (found == place.directory->entries.end()) return PosixError(ENOENT, "remove", path);
  if (!found->second->entries.empty()) return PosixError(ENOTEMPTY, "remove", path);
  unsynced_.push_back({PowerLoss::EntryChange::kRemove, place, {}, found->second});
  found->second->SetCounted(false);
  place.directory->entries.erase(found);
  return arrow::Status::OK();
}

void MemoryDisk::ApplyDurably(const Change& change) {
  if (change.removed.directory != nullptr) {
    // Only the entry that the change was about: a lost earlier change may have left another there.
    auto& entries = change.removed.directory->durable_entries;
    const auto found = entries.find(change.removed.name);
    if (found != entries.end() && found->second == change.node) entries.erase(found);
  }
  if (change.added.directory != nullptr) {
    change.added.directory->durable_entries[change.added.name] = change.node;
  }
}

void MemoryDisk::SyncDirectory(const NodePointer& directory) {
  // A node's changes reach the device in their order, or it would get two names. So the ones before
  // a change of this directory go with it, wherever they were.
  std::map<const MemoryNode*, const Change*> last;
  for (const Change& change : unsynced_) {
    if (change.removed.directory == directory || change.added.directory == directory) {
      last[change.node.get()] = &change;
    }
  }
  for (auto change = unsynced_.begin(); change != unsynced_.end();) {
    const auto found = last.find(change->node.get());
    if (found == last.end()) {
      ++change;
      continue;
    }
    ApplyDurably(*change);
    if (found->second == &*change) last.erase(found);
    change = unsynced_.erase(change);
  }
}

void MemoryDisk::LoseUnsynced(LossPolicy policy, uint64_t seed) {
  PowerLoss loss(policy, seed);
  const std::vector<NodePointer> files = AllFiles();
  LoseEntries(&loss);
  // Counted anew by LoseIn; nodes that no path leads to are never counted again.
  UncountAll(root_.get());
  LoseIn(root_.get(), &loss, files);
}

void MemoryDisk::LoseEntries(PowerLoss* loss) {
  // The durable place of a node of which a change was lost.
  std::map<const MemoryNode*, Place> left_at;
  for (Change& change : unsynced_) {
    const MemoryNode* node = change.node.get();
    const auto left = left_at.find(node);
    const bool earlier_lost = left != left_at.end();
    if (!loss->KeepsEntry(change.kind) || (earlier_lost && loss->EntriesAreOrdered())) {
      left_at.emplace(node, change.removed);
      continue;
    }
    // It leaves the place where it is, or it would have two names.
    if (earlier_lost) {
      change.removed = left->second;
      left_at.erase(left);
    }
    ApplyDurably(change);
  }
  unsynced_.clear();
}

std::vector<MemoryDisk::NodePointer> MemoryDisk::AllFiles() const {
  std::vector<NodePointer> files;
  std::vector<NodePointer> directories = {root_};
  while (!directories.empty()) {
    const NodePointer directory = std::move(directories.back());
    directories.pop_back();
    for (const auto& [name, child] : directory->entries) {
      (child->is_directory() ? directories : files).push_back(child);
    }
  }
  return files;
}

void MemoryDisk::UncountAll(MemoryNode* node) {
  node->SetCounted(false);
  for (const auto& [name, child] : node->entries) UncountAll(child.get());
}

void MemoryDisk::LoseIn(MemoryNode* node, PowerLoss* loss, const std::vector<NodePointer>& files) {
  if (!node->is_directory()) {
    node->LoseUnsynced(loss, files);
    node->SetCounted(true);
    return;
  }
  node->entries = node->durable_entries;
  for (const auto& [name, child] : node->entries) LoseIn(child.get(), loss, files);
}

std::unique_ptr<MemoryDisk> MemoryDisk::Clone() {
  auto clone = std::make_unique<MemoryDisk>();
  std::map<const MemoryNode*, NodePointer> made;
  const auto copy = [&](const NodePointer& node) {
    if (node == nullptr) return node;
    NodePointer& other = made[node.get()];
    if (other == nullptr) other = node->CloneFile(&clone->totals_);
    return other;
  };
  clone->root_ = copy(root_);
  for (const Change& change : unsynced_) {
    clone->unsynced_.push_back({change.kind,
                                {copy(change.removed.directory), change.removed.name},
                                {copy(change.added.directory), change.added.name},
                                copy(change.node)});
  }
  // Copying entries makes further nodes, whose entries then follow. Map iterators stay valid.
  std::set<const MemoryNode*> done;
  while (done.size() < made.size()) {
    const auto nodes = made;
    for (const auto& [node, other] : nodes) {
      if (!done.insert(node).second) continue;
      for (const auto& [name, child] : node->entries) other->entries[name] = copy(child);
      for (const auto& [name, child] : node->durable_entries) {
        other->durable_entries[name] = copy(child);
      }
    }
  }
  clone->next_inode_ = next_inode_;
  totals_.generation = NextGeneration();
  return clone;
}

}  // namespace marble

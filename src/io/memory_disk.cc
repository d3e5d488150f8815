#include "io/memory_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/posix_util.h"

namespace marble {

void MemoryNode::SetCounted(bool counted) {
  if (counted != counted_) *used_bytes_ += counted ? size_ : -size_;
  counted_ = counted;
}

void MemoryNode::Resize(int64_t size) {
  if (counted_) *used_bytes_ += size - size_;
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
    page = std::make_shared<Page>(Page{});
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
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

void MemoryNode::MarkSyncFailed() {
  dirty_.clear();
  size_is_dirty_ = false;
}

MemoryNode::PagePointer MemoryNode::DurablePage(size_t index) const {
  return index < durable_pages_.size() ? durable_pages_[index] : nullptr;
}

MemoryNode::PagePointer MemoryNode::Torn(size_t index, std::mt19937_64* random) const {
  const PagePointer old_page = DurablePage(index);
  auto page = std::make_shared<Page>(old_page == nullptr ? Page{} : *old_page);
  for (int64_t at = 0; at < kPageBytes; at += kSectorBytes) {
    if ((*random)() & 1) std::memcpy(page->data() + at, pages_[index]->data() + at, kSectorBytes);
  }
  return page;
}

void MemoryNode::LoseUnsynced(LossPolicy policy, std::mt19937_64* random) {
  // A size that grew without its pages gives zeros, as file systems with delayed allocation do.
  const bool by_chance = policy == LossPolicy::kRandomPages || policy == LossPolicy::kTorn;
  const bool keep_size = policy == LossPolicy::kKeepAll || (by_chance && ((*random)() & 1));
  const int64_t size = size_is_dirty_ && keep_size ? size_ : durable_size_;
  std::vector<PagePointer> pages = durable_pages_;
  pages.resize(PagesFor(size));
  for (const size_t index : dirty_) {
    if (index >= pages.size()) continue;
    if (policy == LossPolicy::kTorn) {
      pages[index] = Torn(index, random);
    } else if (policy == LossPolicy::kKeepAll || (by_chance && ((*random)() & 1))) {
      pages[index] = pages_[index];
    }
  }
  pages_ = std::move(pages);
  dirty_.clear();
  Resize(size);  // cuts what the last page holds behind the end
  MarkSynced();
  durable_pages_ = pages_;  // also the pages that were kept
}

MemoryDisk::MemoryDisk() : root_(std::make_shared<MemoryNode>(next_inode_++, true, &used_bytes_)) {}

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
  auto node = std::make_shared<MemoryNode>(next_inode_, is_directory, &used_bytes_);
  if (!place.directory->entries.emplace(place.name, node).second) {
    return PosixError(EEXIST, "create", path);
  }
  ++next_inode_;
  node->SetCounted(true);
  unsynced_.push_back({{}, place, node});
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
  unsynced_.push_back({source, target, node});
  return arrow::Status::OK();
}

arrow::Status MemoryDisk::Remove(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const Place place, Locate(path));
  const auto found = place.directory->entries.find(place.name);
  if (found == place.directory->entries.end()) return PosixError(ENOENT, "remove", path);
  if (!found->second->entries.empty()) return PosixError(ENOTEMPTY, "remove", path);
  unsynced_.push_back({place, {}, found->second});
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

void MemoryDisk::LoseUnsynced(LossPolicy policy, std::mt19937_64* random) {
  const bool by_chance = policy == LossPolicy::kRandomPages || policy == LossPolicy::kTorn;
  std::set<const MemoryNode*> stopped;  // a node's later changes need its earlier ones
  for (const Change& change : unsynced_) {
    const bool keep = policy == LossPolicy::kKeepAll || (by_chance && ((*random)() & 1));
    if (!keep) stopped.insert(change.node.get());
    if (!stopped.contains(change.node.get())) ApplyDurably(change);
  }
  unsynced_.clear();
  // Counted anew by LoseIn; nodes that no path leads to are never counted again.
  UncountAll(root_.get());
  LoseIn(root_.get(), policy, random);
}

void MemoryDisk::UncountAll(MemoryNode* node) {
  node->SetCounted(false);
  for (const auto& [name, child] : node->entries) UncountAll(child.get());
}

void MemoryDisk::LoseIn(MemoryNode* node, LossPolicy policy, std::mt19937_64* random) {
  if (!node->is_directory()) {
    node->LoseUnsynced(policy, random);
    node->SetCounted(true);
    return;
  }
  node->entries = node->durable_entries;
  for (const auto& [name, child] : node->entries) LoseIn(child.get(), policy, random);
}

}  // namespace marble

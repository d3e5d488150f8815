// Point lookups over a view: sources newest first, the first hit ends it. Range tombstones of the
// sources asked so far decide whether the hit is still there; older ones cannot concern it.
#include "tree/table_view.h"

#include <algorithm>
#include <array>

#include "base/checksum.h"

namespace marble {
namespace {

/// Sources whose index lines are prefetched together; more are asked without.
constexpr size_t kPrefetchSources = 64;
/// Keys of a batch lookup that are in flight together: their index lines fit the first-level cache.
constexpr size_t kKeysTogether = 128;

bool IsVisible(const FoundRow& found, uint64_t covering) {
  return found.kind != RowKind::kDelete && found.sequence >= covering;
}

/// The file of `run` that has to be asked for `key`, or nullptr.
const TableFile* FileToAsk(const Run& run, std::string_view key, uint64_t snapshot) {
  const TableFile* file = run.Find(key);
  if (file == nullptr) return nullptr;
  const FileMeta& meta = file->meta();
  return meta.sequence_min > snapshot && meta.range_tombstones == 0 ? nullptr : file;
}

uint64_t CoveringIn(const Memtable& memtable, std::string_view key, uint64_t snapshot) {
  const std::shared_ptr<const RangeTombstoneSet> tombstones = memtable.range_tombstones();
  return tombstones->empty() ? 0 : tombstones->CoveringSequence(key, snapshot);
}

uint64_t CoveringIn(const TableFile& file, const SstReader& reader, std::string_view key,
                    uint64_t snapshot) {
  if (file.meta().range_tombstones == 0) return 0;
  return reader.range_tombstones().CoveringSequence(key, snapshot);
}

/// Nothing that `file` has can be the answer: all of it is older than a tombstone over the key.
bool IsOutdated(const TableFile& file, uint64_t covering) {
  return covering > file.meta().sequence_max && file.meta().range_tombstones == 0;
}

const arrow::Status& NotInMemory() {
  static const arrow::Status status = arrow::Status::Cancelled("the lookup has to read a file");
  return status;
}

/// The files of a view's runs for one key, found and prefetched together at the first file that is
/// asked.
class Candidates {
 public:
  Candidates(const TableView& view, std::string_view key, uint64_t hash, uint64_t snapshot)
      : view_(view), key_(key), hash_(hash), snapshot_(snapshot) {}

  const TableFile* At(size_t source) {
    if (source >= kPrefetchSources) return FileToAsk(*view_.sources[source].run, key_, snapshot_);
    if (source >= known_) Prefetch(source);
    return files_[source];
  }

 private:
  void Prefetch(size_t from) {
    known_ = std::min(view_.sources.size(), kPrefetchSources);
    for (size_t i = from; i < known_; ++i) {
      files_[i] = nullptr;
      if (view_.sources[i].run == nullptr) continue;
      files_[i] = FileToAsk(*view_.sources[i].run, key_, snapshot_);
      if (files_[i] == nullptr) continue;
      // A file that does not open is an error only if it has to be asked: then it is opened again.
      const arrow::Result<SstReader*> reader = files_[i]->reader();
      if (reader.ok()) (*reader)->Prefetch(hash_);
    }
  }

  const TableView& view_;
  const std::string_view key_;
  const uint64_t hash_;
  const uint64_t snapshot_;
  size_t known_ = 0;
  std::array<const TableFile*, kPrefetchSources> files_;  // set from the first asked one to known_
};

struct LookupOptions {
  uint64_t snapshot = kSequenceMax;
  bool memory_only = false;
};

/// `ask_memtable(const Source&, hash)` and `ask_file(const TableFile&, SstReader*, hash)` look a
/// key up in one source.
template <typename AskMemtable, typename AskFile>
arrow::Result<std::optional<FoundRow>> Find(const TableView& view, std::string_view key,
                                            LookupOptions options, AskMemtable ask_memtable,
                                            AskFile ask_file) {
  const uint64_t hash = HashKey(key, view.hash_seed);
  for (const Source& source : view.sources) {
    if (source.memtable != nullptr) source.memtable->Prefetch(hash);
  }
  Candidates candidates(view, key, hash, options.snapshot);
  uint64_t covering = 0;
  std::optional<FoundRow> found;
  for (size_t i = 0; i < view.sources.size(); ++i) {
    const Source& source = view.sources[i];
    if (source.memtable != nullptr) {
      if (source.memtable->sequence_min() > options.snapshot) continue;
      covering = std::max(covering, CoveringIn(*source.memtable, key, options.snapshot));
      ARROW_ASSIGN_OR_RAISE(found, ask_memtable(source, hash));
    } else {
      if (options.memory_only) {
        const TableFile* file = FileToAsk(*source.run, key, options.snapshot);
        if (file == nullptr || IsOutdated(*file, covering)) continue;
        return NotInMemory();
      }
      const TableFile* file = candidates.At(i);
      if (file == nullptr || IsOutdated(*file, covering)) continue;
      ARROW_ASSIGN_OR_RAISE(SstReader * reader, file->reader());
      covering = std::max(covering, CoveringIn(*file, *reader, key, options.snapshot));
      ARROW_ASSIGN_OR_RAISE(found, ask_file(*file, reader, hash));
    }
    if (!found.has_value()) continue;
    if (!IsVisible(*found, covering)) found.reset();
    return found;
  }
  return std::nullopt;
}

/// A batch lookup's keys that are still looked for.
class ManyLookups {
 public:
  ManyLookups(const TableView& view, std::span<const std::string_view> keys, uint64_t snapshot,
              std::span<std::optional<FoundRow>> out)
      : view_(view), keys_(keys), snapshot_(snapshot), out_(out), size_(keys.size()) {
    for (size_t i = 0; i < size_; ++i) {
      pending_[i] = static_cast<uint8_t>(i);
      hashes_[i] = HashKey(keys_[i], view.hash_seed);
      covering_[i] = 0;
    }
  }

  arrow::Status Run() {
    for (const Source& source : view_.sources) {
      if (size_ == 0) break;
      ARROW_RETURN_NOT_OK(source.memtable != nullptr ? Ask(*source.memtable) : Ask(*source.run));
    }
    return arrow::Status::OK();
  }

 private:
  static_assert(kKeysTogether <= 256, "pending_ and asked_ hold bytes");

  arrow::Status Ask(const Memtable& memtable) {
    if (memtable.sequence_min() > snapshot_) return arrow::Status::OK();
    for (size_t p = 0; p < size_; ++p) memtable.Prefetch(hashes_[pending_[p]]);
    const std::shared_ptr<const RangeTombstoneSet> tombstones = memtable.range_tombstones();
    size_t left = 0;
    for (size_t p = 0; p < size_; ++p) {
      const size_t i = pending_[p];
      if (!tombstones->empty()) Cover(i, tombstones->CoveringSequence(keys_[i], snapshot_));
      ARROW_ASSIGN_OR_RAISE(out_[i], memtable.GetValue(keys_[i], hashes_[i], snapshot_));
      if (!Settled(i)) pending_[left++] = static_cast<uint8_t>(i);
    }
    size_ = left;
    return arrow::Status::OK();
  }

  arrow::Status Ask(const marble::Run& run) {
    size_t asked = 0;  // of asked_: the keys that some file of the run may hold
    for (size_t p = 0; p < size_; ++p) {
      const size_t i = pending_[p];
      files_[i] = FileToAsk(run, keys_[i], snapshot_);
      if (files_[i] == nullptr || IsOutdated(*files_[i], covering_[i])) continue;
      ARROW_ASSIGN_OR_RAISE(readers_[i], files_[i]->reader());
      readers_[i]->Prefetch(hashes_[i]);
      asked_[asked++] = pending_[p];
    }
    // Each stage waits for the memory of all keys together, not of one key after the other.
    for (size_t a = 0; a < asked; ++a) readers_[asked_[a]]->PrefetchRow(hashes_[asked_[a]]);
    for (size_t a = 0; a < asked; ++a) readers_[asked_[a]]->PrefetchValue(hashes_[asked_[a]]);
    for (size_t a = 0; a < asked; ++a) {
      const size_t i = asked_[a];
      Cover(i, CoveringIn(*files_[i], *readers_[i], keys_[i], snapshot_));
      ARROW_ASSIGN_OR_RAISE(out_[i],
                            readers_[i]->GetValue(keys_[i], hashes_[i], snapshot_, /*pin=*/false));
    }
    size_t left = 0;
    for (size_t p = 0; p < size_; ++p) {
      if (!Settled(pending_[p])) pending_[left++] = pending_[p];
    }
    size_ = left;
    return arrow::Status::OK();
  }

  void Cover(size_t i, uint64_t sequence) { covering_[i] = std::max(covering_[i], sequence); }

  bool Settled(size_t i) {
    if (!out_[i].has_value()) return false;
    if (!IsVisible(*out_[i], covering_[i])) out_[i].reset();
    return true;
  }

  const TableView& view_;
  const std::span<const std::string_view> keys_;
  const uint64_t snapshot_;
  const std::span<std::optional<FoundRow>> out_;
  size_t size_;  // of pending_
  std::array<uint8_t, kKeysTogether> pending_;
  std::array<uint64_t, kKeysTogether> hashes_;
  std::array<uint64_t, kKeysTogether> covering_;
  std::array<uint8_t, kKeysTogether> asked_;
  std::array<const TableFile*, kKeysTogether> files_;
  std::array<SstReader*, kKeysTogether> readers_;
};

}  // namespace

arrow::Result<std::optional<FoundRow>> FindValue(const TableView& view, std::string_view key,
                                                 uint64_t snapshot, bool pin, bool memory_only) {
  using Found = arrow::Result<std::optional<FoundRow>>;
  return Find(
      view, key, {snapshot, memory_only},
      [&](const Source& source, uint64_t hash) -> Found {
        Found found = source.memtable->GetValue(key, hash, snapshot);
        if (pin && found.ok() && found->has_value()) (*found)->owner = source.memtable;
        return found;
      },
      [&](const TableFile& file, SstReader* reader, uint64_t hash) -> Found {
        ARROW_ASSIGN_OR_RAISE(std::optional<FoundRow> found,
                              reader->GetValue(key, hash, snapshot, pin));
        if (pin && found.has_value() && found->owner == nullptr) {
          ARROW_ASSIGN_OR_RAISE(found->owner, file.shared_reader());
        }
        return found;
      });
}

arrow::Result<std::optional<FoundRow>> FindRow(const TableView& view, std::string_view key,
                                               uint64_t snapshot) {
  return Find(
      view, key, {snapshot, /*memory_only=*/false},
      [&](const Source& source, uint64_t hash) {
        return source.memtable->GetRow(key, hash, snapshot);
      },
      [&](const TableFile&, SstReader* reader, uint64_t hash) {
        return reader->GetRow(key, hash, snapshot);
      });
}

arrow::Status FindValues(const TableView& view, std::span<const std::string_view> keys,
                         uint64_t snapshot, std::vector<std::optional<FoundRow>>* out) {
  out->assign(keys.size(), std::nullopt);
  const std::span<std::optional<FoundRow>> found(*out);
  for (size_t begin = 0; begin < keys.size(); begin += kKeysTogether) {
    const size_t count = std::min(kKeysTogether, keys.size() - begin);
    ManyLookups lookups(view, keys.subspan(begin, count), snapshot, found.subspan(begin, count));
    ARROW_RETURN_NOT_OK(lookups.Run());
  }
  return arrow::Status::OK();
}

}  // namespace marble

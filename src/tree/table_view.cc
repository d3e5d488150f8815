// Point lookups over a view: sources newest first, the first hit ends it. Range tombstones of the
// sources asked so far decide whether the hit is still there; older ones cannot concern it.
#include "tree/table_view.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <vector>

#include "base/checksum.h"
#include "sst/kv_lookup.h"
#include "sst/row_lookup.h"

namespace marble {
namespace {

/// Sources whose index lines are prefetched together; more are asked without.
constexpr size_t kPrefetchSources = 64;
/// Keys of a batch lookup that are in flight together: their index lines fit the first-level cache.
constexpr size_t kKeysTogether = 64;

/// A found row is there unless it is a delete or older than a range tombstone over it.
template <typename Found>
bool IsVisible(const Found& found, uint64_t covering) {
  return found.kind != RowKind::kDelete && found.sequence >= covering;
}

/// All that `file` has, rows and tombstones, is newer than the snapshot.
bool IsBehind(const TableFile& file, uint64_t snapshot) {
  return file.meta().sequence_min > snapshot && file.meta().range_tombstones == 0;
}

/// The file of `run` that has to be asked for `key`, or nullptr.
const TableFile* FileToAsk(const Run& run, std::string_view key, uint64_t snapshot) {
  const TableFile* file = run.Find(key);
  return file == nullptr || IsBehind(*file, snapshot) ? nullptr : file;
}

uint64_t CoveringIn(const Memtable& memtable, std::string_view key, uint64_t snapshot) {
  return memtable.range_tombstones().CoveringSequence(key, snapshot);
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

/// Looks a key up in one source after the other. `Lookup` asks one source and keeps what it finds:
/// Status AskMemtable(const Source&, hash), Status AskFile(const TableFile&, SstReader*, hash,
/// covering), bool found(), bool IsVisible(covering), void Drop().
template <typename Lookup>
arrow::Status Find(const TableView& view, std::string_view key, const ValueLookupOptions& options,
                   Lookup* lookup) {
  const uint64_t snapshot = options.snapshot;
  const uint64_t hash = HashKey(key, view.hash_seed);
  for (const Source& source : view.sources) {
    if (source.memtable == nullptr) break;
    if (source.memtable->Concerns(snapshot)) source.memtable->Prefetch(hash);
  }
  Candidates candidates(view, key, hash, snapshot);
  uint64_t covering = 0;
  for (size_t i = 0; i < view.sources.size(); ++i) {
    const Source& source = view.sources[i];
    if (source.memtable != nullptr) {
      if (!source.memtable->Concerns(snapshot)) continue;
      covering = std::max(covering, CoveringIn(*source.memtable, key, snapshot));
      ARROW_RETURN_NOT_OK(lookup->AskMemtable(source, hash));
    } else if (options.memory_only) {
      const TableFile* file = FileToAsk(*source.run, key, snapshot);
      if (file == nullptr || IsOutdated(*file, covering)) continue;
      return NotInMemory();
    } else {
      const TableFile* file = candidates.At(i);
      if (file == nullptr || IsOutdated(*file, covering)) continue;
      ARROW_ASSIGN_OR_RAISE(SstReader * reader, file->reader());
      covering = std::max(covering, CoveringIn(*file, *reader, key, snapshot));
      ARROW_RETURN_NOT_OK(lookup->AskFile(*file, reader, hash, covering));
    }
    if (!lookup->found()) continue;
    if (!lookup->IsVisible(covering)) lookup->Drop();
    break;
  }
  return arrow::Status::OK();
}

/// Keeps a value.
struct ValueLookup {
  std::string_view key;
  const ValueLookupOptions& options;
  FoundValue* out;

  arrow::Status AskMemtable(const Source& source, uint64_t hash) {
    ARROW_RETURN_NOT_OK(source.memtable->FindValue(key, hash, options.snapshot, out));
    if (options.pin && out->found) out->owner = source.memtable;
    return arrow::Status::OK();
  }
  arrow::Status AskFile(const TableFile& file, SstReader* reader, uint64_t hash,
                        uint64_t covering) {
    const PointQuery query{.key = key,
                           .hash = hash,
                           .snapshot = options.snapshot,
                           .pin = options.pin,
                           .want_sequence = covering > 0};
    ARROW_RETURN_NOT_OK(reader->FindValue(query, out));
    if (options.pin && out->found && out->owner == nullptr) {
      ARROW_ASSIGN_OR_RAISE(out->owner, file.shared_reader());
    }
    return arrow::Status::OK();
  }
  bool found() const { return out->found; }
  bool IsVisible(uint64_t covering) const { return marble::IsVisible(*out, covering); }
  void Drop() { *out = {}; }
};

/// Keeps a row.
struct RowLookup {
  std::string_view key;
  uint64_t snapshot;
  std::optional<FoundRow> row;

  arrow::Status AskMemtable(const Source& source, uint64_t hash) {
    return source.memtable->GetRow(key, hash, snapshot).Value(&row);
  }
  arrow::Status AskFile(const TableFile&, SstReader* reader, uint64_t hash, uint64_t) {
    return reader->GetRow(key, hash, snapshot).Value(&row);
  }
  bool found() const { return row.has_value(); }
  bool IsVisible(uint64_t covering) const { return marble::IsVisible(*row, covering); }
  void Drop() { row.reset(); }
};

/// A batch lookup of rows: asks the sources, newest first, for the keys that are still open. Of
/// what a source finds it passes on what is visible.
class ManyRows final : public RowSink {
 public:
  ManyRows(const TableView& view, const EncodedKeys& keys, uint64_t snapshot,
           std::span<const int> columns, RowSink* sink)
      : view_(view),
        keys_(keys),
        snapshot_(snapshot),
        columns_(columns),
        sink_(sink),
        hashes_(static_cast<size_t>(keys.size())),
        open_(hashes_.size()),
        is_settled_(hashes_.size()) {
    for (size_t i = 0; i < hashes_.size(); ++i) {
      hashes_[i] = HashKey(keys[static_cast<int64_t>(i)], view.hash_seed);
    }
    std::iota(open_.begin(), open_.end(), int64_t{0});
  }

  arrow::Status Run() {
    for (const Source& source : view_.sources) {
      if (open_.empty()) break;
      ARROW_RETURN_NOT_OK(source.memtable != nullptr ? Ask(*source.memtable) : Ask(*source.run));
      std::erase_if(open_, [this](int64_t key) { return is_settled_[static_cast<size_t>(key)]; });
    }
    return arrow::Status::OK();
  }

  arrow::Status Take(int64_t key, const FoundRow& row) override {
    is_settled_[static_cast<size_t>(key)] = true;
    return IsVisible(row, Covering(key)) ? sink_->Take(key, row) : arrow::Status::OK();
  }

 private:
  /// The keys that a file is asked for.
  struct Asked {
    const TableFile* file;
    std::vector<int64_t> keys;
  };

  arrow::Status Ask(const Memtable& memtable) {
    if (!memtable.Concerns(snapshot_)) return arrow::Status::OK();
    constexpr size_t kAhead = 16;
    for (size_t i = 0; i < open_.size(); ++i) {
      if (i + kAhead < open_.size()) memtable.Prefetch(HashOf(open_[i + kAhead]));
      const int64_t key = open_[i];
      Cover(key, CoveringIn(memtable, keys_[key], snapshot_));
      ARROW_ASSIGN_OR_RAISE(const auto found, memtable.GetRow(keys_[key], HashOf(key), snapshot_));
      if (found.has_value()) ARROW_RETURN_NOT_OK(Take(key, *found));
    }
    return arrow::Status::OK();
  }

  arrow::Status Ask(const marble::Run& run) {
    const std::vector<Asked> asked = FilesToAsk(run);
    std::vector<AskedFile> files;
    files.reserve(asked.size());
    for (const auto& [file, keys] : asked) {
      ARROW_ASSIGN_OR_RAISE(SstReader * reader, file->reader());
      files.push_back({reader, keys});
      if (file->meta().range_tombstones == 0) continue;
      for (const int64_t key : keys) Cover(key, CoveringIn(*file, *reader, keys_[key], snapshot_));
    }
    const RowsQuery query{.keys = &keys_,
                          .hashes = hashes_,
                          .snapshot = snapshot_,
                          .columns = columns_,
                          .want_sequences = !covering_.empty()};
    return LookUpRows(files, query, this);
  }

  /// The open keys by the file of the run that may have them.
  std::vector<Asked> FilesToAsk(const marble::Run& run) const {
    constexpr uint32_t kNowhere = ~uint32_t{0};
    std::vector<Asked> asked;
    std::vector<uint32_t> asked_of_file(run.files.size(), kNowhere);
    for (const int64_t key : open_) {
      const size_t place = run.FindPlace(keys_[key]);
      if (place == run.files.size()) continue;
      const TableFile* const file = run.files[place].get();
      if (IsBehind(*file, snapshot_) || IsOutdated(*file, Covering(key))) continue;
      uint32_t& number = asked_of_file[place];
      if (number == kNowhere) {
        number = static_cast<uint32_t>(asked.size());
        asked.push_back({file, {}});
        asked.back().keys.reserve(open_.size() / run.files.size() + 1);
      }
      asked[number].keys.push_back(key);
    }
    return asked;
  }

  uint64_t HashOf(int64_t key) const { return hashes_[static_cast<size_t>(key)]; }
  uint64_t Covering(int64_t key) const {
    return covering_.empty() ? 0 : covering_[static_cast<size_t>(key)];
  }
  void Cover(int64_t key, uint64_t sequence) {
    if (sequence == 0) return;
    if (covering_.empty()) covering_.resize(hashes_.size());
    uint64_t& covering = covering_[static_cast<size_t>(key)];
    covering = std::max(covering, sequence);
  }

  const TableView& view_;
  const EncodedKeys& keys_;
  const uint64_t snapshot_;
  const std::span<const int> columns_;
  RowSink* const sink_;
  std::vector<uint64_t> hashes_;
  std::vector<int64_t> open_;       // keys that no source asked so far has
  std::vector<bool> is_settled_;    // by key
  std::vector<uint64_t> covering_;  // by key: the newest range tombstone over it; empty without any
};

/// A batch lookup's keys that are still looked for.
class ManyLookups {
 public:
  ManyLookups(const TableView& view, std::span<const std::string_view> keys, uint64_t snapshot,
              std::span<FoundValue> out)
      : view_(view), snapshot_(snapshot), out_(out.data()), size_(keys.size()) {
    for (size_t i = 0; i < size_; ++i) {
      pending_[i] = static_cast<uint8_t>(i);
      covering_[i] = 0;
      queries_[i] = {.key = keys[i],
                     .hash = HashKey(keys[i], view.hash_seed),
                     .snapshot = snapshot,
                     .pin = false,
                     .want_sequence = false};
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
  static_assert(kKeysTogether <= 256, "pending_ holds bytes");

  /// A key that a file is asked for.
  struct Asked {
    size_t key;
    SstReader* reader;
    KvLookup* lookup;  // the reader's, or nullptr
    KvLookup::Place place;
  };

  arrow::Status Ask(const Memtable& memtable) {
    if (!memtable.Concerns(snapshot_)) return arrow::Status::OK();
    for (size_t p = 0; p < size_; ++p) memtable.Prefetch(queries_[pending_[p]].hash);
    for (size_t p = 0; p < size_; ++p) {
      const size_t i = pending_[p];
      const PointQuery& query = queries_[i];
      Cover(i, CoveringIn(memtable, query.key, snapshot_));
      ARROW_RETURN_NOT_OK(memtable.FindValue(query.key, query.hash, snapshot_, &out_[i]));
    }
    DropSettled();
    return arrow::Status::OK();
  }

  arrow::Status Ask(const marble::Run& run) {
    asked_size_ = 0;
    for (size_t p = 0; p < size_; ++p) {
      const size_t i = pending_[p];
      const TableFile* file = FileToAsk(run, queries_[i].key, snapshot_);
      if (file == nullptr || IsOutdated(*file, covering_[i])) continue;
      ARROW_ASSIGN_OR_RAISE(SstReader * reader, file->reader());
      Cover(i, CoveringIn(*file, *reader, queries_[i].key, snapshot_));
      KvLookup* lookup = reader->kv_lookup();
      if (lookup == nullptr) {
        reader->Prefetch(queries_[i].hash);
      } else {
        if (lookup->FindCopied(queries_[i], &out_[i])) continue;
        lookup->Prefetch(queries_[i].hash);
      }
      Asked& asked = asked_[asked_size_++];
      asked.key = i;
      asked.reader = reader;
      asked.lookup = lookup;
    }
    FetchRows();
    for (size_t a = 0; a < asked_size_; ++a) {
      const auto& [i, reader, lookup, place] = asked_[a];
      if (lookup != nullptr && lookup->Find(queries_[i], place, &out_[i])) [[likely]] {
        continue;
      }
      ARROW_RETURN_NOT_OK(reader->FindValue(queries_[i], &out_[i]));
    }
    DropSettled();
    return arrow::Status::OK();
  }

  /// Each step waits for the memory of all keys together, not of one key after the other.
  void FetchRows() {
    for (Asked& asked : AllAsked()) {
      if (asked.lookup != nullptr) asked.place = asked.lookup->Locate(queries_[asked.key].hash);
    }
    bool is_more = false;
    for (const Asked& asked : AllAsked()) {
      if (asked.lookup == nullptr) continue;
      is_more |= asked.lookup->PrefetchRow(queries_[asked.key], asked.place);
    }
    if (!is_more) return;
    for (const Asked& asked : AllAsked()) {
      if (asked.lookup != nullptr) asked.lookup->PrefetchValue(asked.place);
    }
  }
  std::span<Asked> AllAsked() { return {asked_.data(), asked_size_}; }

  void Cover(size_t i, uint64_t sequence) {
    if (sequence <= covering_[i]) return;
    covering_[i] = sequence;
    queries_[i].want_sequence = true;
  }

  /// Keys whose row was found need no older source.
  void DropSettled() {
    size_t left = 0;
    for (size_t p = 0; p < size_; ++p) {
      const size_t i = pending_[p];
      pending_[left] = static_cast<uint8_t>(i);
      left += out_[i].found ? 0 : 1;
      if (out_[i].found && !IsVisible(out_[i], covering_[i])) out_[i] = {};
    }
    size_ = left;
  }

  const TableView& view_;
  const uint64_t snapshot_;
  FoundValue* const out_;
  size_t size_;  // of pending_
  size_t asked_size_ = 0;
  std::array<uint8_t, kKeysTogether> pending_;
  std::array<PointQuery, kKeysTogether> queries_;
  std::array<uint64_t, kKeysTogether> covering_;
  std::array<Asked, kKeysTogether> asked_;
};

}  // namespace

arrow::Status FindValue(const TableView& view, std::string_view key,
                        const ValueLookupOptions& options, FoundValue* out) {
  ValueLookup lookup{key, options, out};
  return Find(view, key, options, &lookup);
}

arrow::Result<std::optional<FoundRow>> FindRow(const TableView& view, std::string_view key,
                                               uint64_t snapshot) {
  RowLookup lookup{key, snapshot, std::nullopt};
  ARROW_RETURN_NOT_OK(Find(view, key, {.snapshot = snapshot}, &lookup));
  return std::move(lookup.row);
}

arrow::Status FindRows(const TableView& view, const EncodedKeys& keys, uint64_t snapshot,
                       std::span<const int> columns, RowSink* sink) {
  return ManyRows(view, keys, snapshot, columns, sink).Run();
}

arrow::Status FindValues(const TableView& view, std::span<const std::string_view> keys,
                         uint64_t snapshot, std::span<FoundValue> out) {
  for (size_t begin = 0; begin < keys.size(); begin += kKeysTogether) {
    const size_t count = std::min(kKeysTogether, keys.size() - begin);
    ManyLookups lookups(view, keys.subspan(begin, count), snapshot, out.subspan(begin, count));
    ARROW_RETURN_NOT_OK(lookups.Run());
  }
  return arrow::Status::OK();
}

}  // namespace marble

// Point lookups in a mapped, uncompressed key-value file, as far as bytes do that were checked
// before: plain loads, in steps, so that many lookups wait for memory together. What is left open
// (a line or block that nobody has looked into yet, an older version, a key that only looks like
// the one wanted, damage) the file's reader answers in the general way, and names the error.
//
// Owned by the file's reader. Thread-safe.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "row/key_encoding.h"
#include "sst/kv_blocks.h"
#include "sst/point_query.h"
#include "sst/scarce_memory.h"
#include "sst/sst_file.h"

namespace marble {

class KvLookup {
 public:
  /// Where the row is that may be the key's, if that can be told. If the file has the key it nearly
  /// always is.
  struct Place {
    enum class State : uint8_t { kUnknown = 0, kAbsent, kRow };
    State state;
    uint32_t row;  // of the block
    KvBlocks::Layout at;
  };

  /// `file` must be zero-copy and of a key-value table, and outlive this.
  explicit KvLookup(SstFile* file);

  KvBlocks& blocks() { return blocks_; }

  /// All steps for one key: what Find below gives, but that a copied row has an owner.
  bool Find(const PointQuery& query, FoundValue* out) {
    if (FindCopied(query, out)) return true;
    const ScarceMemory::Watch watch(file_->memory(), IsWatched(query));
    const Place place = Locate(query.hash);
    PrefetchRow(query, place);
    return Take(query, place, out);
  }

  /// True if memory was scarce of late, so that the row was copied when it was asked for before.
  bool FindCopied(const PointQuery& query, FoundValue* out) {
    return KeepsCopies(query) && file_->options().cache->FindRow(id_, query, out);
  }
  /// Keeps a copy of the row that was found, if memory is scarce.
  void OfferCopy(const PointQuery& query, const FoundValue& row) const {
    if (KeepsCopies(query)) file_->options().cache->OfferRow(id_, query, row);
  }

  // The steps, each after the one before for all keys. Queries have no pin.

  /// Fetches what Locate looks at.
  void Prefetch(uint64_t hash) { file_->PrefetchLookup(hash); }
  Place Locate(uint64_t hash) const;
  /// Fetches what leads to the row's key and value, from the device too if memory is scarce; true
  /// if PrefetchValue has more to fetch.
  bool PrefetchRow(const PointQuery& query, const Place& place) const {
    if (place.state != Place::State::kRow) return false;
    if (file_->memory()->ShouldAsk()) [[unlikely]] {
      AskForRow(query, place);
    }
    return blocks_.PrefetchRow(place.at, place.row, NeedsSequence(query));
  }
  void PrefetchValue(const Place& place) const {
    if (place.state == Place::State::kRow) blocks_.PrefetchValue(place.at, place.row);
  }
  /// True if `out` is what SstReader::FindValue finds, without an owner; else `out` is as before.
  bool Find(const PointQuery& query, const Place& place, FoundValue* out) const {
    const ScarceMemory::Watch watch(file_->memory(), IsWatched(query));
    return Take(query, place, out);
  }

 private:
  static bool IsWatched(const PointQuery& query) { return query.hash % 16 == 0; }
  bool NeedsSequence(const PointQuery& query) const {
    return query.want_sequence || sequence_max_ > query.snapshot;
  }
  /// Copies of rows are the newest of their keys, and do not know their sequences.
  bool KeepsCopies(const PointQuery& query) const {
    return file_->memory()->IsScarce() && !NeedsSequence(query);
  }
  bool Take(const PointQuery& query, const Place& place, FoundValue* out) const;
  void AskForRow(const PointQuery& query, const Place& place) const;

  SstFile* const file_;
  const uint64_t sequence_max_;
  const uint64_t id_;
  KvBlocks blocks_;
};

inline KvLookup::Place KvLookup::Locate(uint64_t hash) const {
  const PointIndex& index = file_->point_index();
  if (!index.valid()) return {};
  uint64_t line = index.HomeLine(hash);
  uint32_t matches = 0;
  while (true) {
    if (!file_->PointIndexTouched(line)) return {};
    matches = index.Match(line, hash);
    if (matches != 0) break;
    if (!index.Overflowed(line)) return {.state = Place::State::kAbsent, .row = 0, .at = {}};
    line = index.NextLine(line);
    if (line == index.HomeLine(hash)) return {};
  }
  const uint32_t row = index.Row(line, std::countr_zero(matches));
  if (row >= index.row_count()) return {};
  const uint32_t block = file_->locator().Find(row);
  if (!blocks_.IsReady(block)) return {};
  blocks_.PrefetchSlot(block);
  return {.state = Place::State::kRow,
          .row = row - file_->locator().FirstRow(block),
          .at = blocks_.LayoutOf(block)};
}

inline bool KvLookup::Take(const PointQuery& query, const Place& place, FoundValue* out) const {
  if (place.state != Place::State::kRow) return place.state == Place::State::kAbsent;
  std::string_view key;
  if (!blocks_.Key(place.at, place.row, &key) || !IsSameKey(key, query.key)) return false;
  uint64_t sequence = 0;
  if (NeedsSequence(query)) {
    sequence = blocks_.Sequence(place.at, place.row);
    if (sequence > query.snapshot) return false;
  }
  if (!blocks_.Value(place.at, place.row, &out->value)) return false;
  out->found = true;
  out->kind = blocks_.Kind(place.at, place.row);
  if (query.want_sequence) out->sequence = sequence;
  OfferCopy(query, *out);
  return true;
}

}  // namespace marble

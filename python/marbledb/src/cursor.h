// A cursor that stands in a gap between two keys, over a marble::Iterator. It fetches entries in
// chunks, so that the GIL is released once per chunk and not once per entry. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <marble/key_value.h>

namespace marble_python {

class Cursor {
 public:
  Cursor(std::unique_ptr<marble::Iterator> iterator, std::optional<std::string> lower,
         std::optional<std::string> upper)
      : iterator_(std::move(iterator)), lower_(std::move(lower)), upper_(std::move(upper)) {}

  /// Moves to the gap before the first key, after the last one, or before the first key >= `key`.
  void SeekToStart() { SetGap(Gap::kStart, {}); }
  void SeekToStop() { SetGap(Gap::kStop, {}); }
  void Seek(std::string_view key) {
    if (lower_ && key < *lower_) {
      SetGap(Gap::kStart, {});
    } else if (upper_ && key >= *upper_) {
      SetGap(Gap::kStop, {});
    } else {
      SetGap(Gap::kBefore, key);
    }
  }

  /// True if Take in this direction needs no Fill: entries are there, or it is known that none
  /// follow.
  bool Ready(bool forward) const {
    return filled_ && forward == forward_ && (next_ < entries_.size() || ended_);
  }

  /// Fetches the next entries in a direction. May read from disk.
  arrow::Status Fill(bool forward);

  /// Steps over one entry; false at the end of the range. The views hold until the next call.
  bool Take(std::string_view* key, std::string_view* value) {
    if (next_ == entries_.size()) return false;
    const Entry& entry = entries_[next_++];
    *key = KeyOf(entry);
    *value = std::string_view(arena_).substr(entry.offset + entry.key_size, entry.value_size);
    return true;
  }

 private:
  enum class Gap : uint8_t { kStart, kStop, kBefore, kAfter };
  struct Entry {
    size_t offset;
    size_t key_size;
    size_t value_size;
  };
  static constexpr size_t kFirstChunk = 8;
  static constexpr size_t kChunkMax = 1024;
  static constexpr size_t kChunkBytesMax = 128 * 1024;

  std::string_view KeyOf(const Entry& entry) const {
    return std::string_view(arena_).substr(entry.offset, entry.key_size);
  }

  void SetGap(Gap gap, std::string_view anchor) {
    anchor_.assign(anchor);
    gap_ = gap;
    Forget();
    chunk_ = kFirstChunk;
  }

  void Forget() {
    entries_.clear();
    arena_.clear();
    next_ = 0;
    filled_ = false;
    ended_ = false;
    at_last_ = false;
  }

  // Writes the gap that stands behind the entries already taken into gap_ and anchor_.
  void RememberGap() {
    if (next_ == 0) return;
    anchor_.assign(KeyOf(entries_[next_ - 1]));
    gap_ = forward_ ? Gap::kAfter : Gap::kBefore;
  }

  void Position(bool forward);

  std::unique_ptr<marble::Iterator> iterator_;
  std::optional<std::string> lower_;
  std::optional<std::string> upper_;
  Gap gap_ = Gap::kStart;
  std::string anchor_;
  std::string arena_;
  std::vector<Entry> entries_;
  size_t next_ = 0;  // entries_ before it were taken
  size_t chunk_ = kFirstChunk;
  bool forward_ = true;  // the direction of entries_
  bool filled_ = false;
  bool ended_ = false;    // nothing follows the entries
  bool at_last_ = false;  // the iterator stands on the last of entries_
};

inline void Cursor::Position(bool forward) {
  switch (gap_) {
    case Gap::kStart:
      if (forward) iterator_->SeekToFirst();
      break;
    case Gap::kStop:
      if (!forward) iterator_->SeekToLast();
      break;
    case Gap::kBefore:
      if (forward) {
        iterator_->Seek(anchor_);
      } else {
        iterator_->SeekForPrev(anchor_);
        if (iterator_->Valid() && iterator_->key() == anchor_) iterator_->Prev();
      }
      break;
    case Gap::kAfter:
      if (forward) {
        iterator_->Seek(anchor_);
        if (iterator_->Valid() && iterator_->key() == anchor_) iterator_->Next();
      } else {
        iterator_->SeekForPrev(anchor_);
      }
      break;
  }
}

inline arrow::Status Cursor::Fill(bool forward) {
  const bool goes_on =
      filled_ && forward == forward_ && at_last_ && next_ == entries_.size() && !entries_.empty();
  RememberGap();
  Forget();
  forward_ = forward;
  const bool nowhere = (gap_ == Gap::kStop && forward) || (gap_ == Gap::kStart && !forward);
  if (nowhere) {
    filled_ = ended_ = true;
    return arrow::Status::OK();
  }
  if (!goes_on) {
    Position(forward);
  } else if (forward) {
    iterator_->Next();
  } else {
    iterator_->Prev();
  }
  while (iterator_->Valid()) {
    const std::string_view key = iterator_->key();
    const std::string_view value = iterator_->value();
    entries_.push_back({arena_.size(), key.size(), value.size()});
    arena_.append(key).append(value);
    if (entries_.size() >= chunk_ || arena_.size() >= kChunkBytesMax) break;
    forward ? iterator_->Next() : iterator_->Prev();
  }
  if (!iterator_->Valid()) {
    const arrow::Status status = iterator_->status();
    if (!status.ok()) {
      // The gap stays where it was, so the caller may try again.
      const Gap gap = gap_;
      const std::string anchor = anchor_;
      SetGap(gap, anchor);
      return status;
    }
    ended_ = true;
  }
  at_last_ = iterator_->Valid();
  filled_ = true;
  chunk_ = std::min(chunk_ * 2, kChunkMax);
  return arrow::Status::OK();
}

}  // namespace marble_python

// The key-value face: what people use RocksDB or LMDB for, over a table {key, value}.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/result.h>

#include <marble/database.h>

namespace marble {

/// A value that stays where it is (memtable, mapped file or cached block) for as long as this
/// object lives. Movable. Empty-handed until filled by GetPinned.
class PinnedValue {
 public:
  std::string_view view() const { return view_; }
  void Set(std::string_view view, std::shared_ptr<const void> owner) {
    view_ = view;
    owner_ = std::move(owner);
  }
  void Reset() {
    view_ = {};
    owner_.reset();
  }

 private:
  std::string_view view_;
  std::shared_ptr<const void> owner_;
};

/// The answers of a MultiGetPinned, which stay where they are for as long as this object lives.
/// Movable. Reuse it: its memory is kept.
class PinnedValues {
 public:
  size_t size() const { return values_.size(); }
  /// The value of the i-th key; nullopt if it is absent.
  std::optional<std::string_view> operator[](size_t i) const { return values_[i]; }

  void Reset(size_t keys = 0) {
    values_.assign(keys, std::nullopt);
    owners_.clear();
  }
  void Set(size_t i, std::string_view value) { values_[i] = value; }
  void Keep(std::shared_ptr<const void> owner) { owners_.push_back(std::move(owner)); }

 private:
  std::vector<std::optional<std::string_view>> values_;
  std::vector<std::shared_ptr<const void>> owners_;
};

struct ReadOptions {
  /// nullptr reads the latest state.
  std::shared_ptr<const Snapshot> snapshot = nullptr;
};

/// A range of keys, bytewise ordered. Unbounded unless set.
struct IteratorOptions {
  std::optional<std::string> lower = std::nullopt;  // inclusive
  std::optional<std::string> upper = std::nullopt;  // exclusive
  /// nullptr reads the state at the time of the call.
  std::shared_ptr<const Snapshot> snapshot = nullptr;
};

/// Walks keys in order over one consistent snapshot. Not thread-safe; starts invalid: seek first.
/// key() and value() stay valid until the next move. After an error Valid() is false and status()
/// tells. Survives Database::Close.
///
/// Rows come from the engine in windows; moves inside a window are a step of a pointer.
class Iterator {
 public:
  virtual ~Iterator() = default;

  bool Valid() const { return at_ != nullptr; }
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  /// To the first key >= `key`.
  virtual void Seek(std::string_view key) = 0;
  /// To the last key <= `key`.
  virtual void SeekForPrev(std::string_view key) = 0;
  /// Nothing happens if the iterator is not valid.
  void Next() { Move(/*onwards=*/forward_); }
  void Prev() { Move(/*onwards=*/!forward_); }
  /// These need a valid iterator.
  std::string_view key() const { return at_->first; }
  std::string_view value() const { return at_->second; }
  virtual const arrow::Status& status() const = 0;

 protected:
  using Row = std::pair<std::string_view, std::string_view>;

  /// Leaves the window: makes the next one, or invalidates.
  virtual void LeaveWindow(bool onwards) = 0;

  // The window, in the order in which it is walked: ascending if `forward_`, else descending. `at_`
  // is nullptr if the iterator is not valid.
  const Row* begin_ = nullptr;
  const Row* at_ = nullptr;
  const Row* end_ = nullptr;
  bool forward_ = true;

 private:
  void Move(bool onwards) {
    if (at_ == nullptr) return;
    if (onwards && at_ + 1 < end_) {
      ++at_;
    } else if (!onwards && at_ > begin_) {
      --at_;
    } else {
      LeaveWindow(onwards);
    }
  }
};

/// Thread-safe. Keys up to 64 KiB, values up to 1 GiB; where the key column is utf8, keys must be
/// valid UTF-8 (and values where the value column is).
class KeyValue {
 public:
  /// `table` must be a key-value table (TableInfo::is_key_value); it is created as {key: utf8,
  /// value: binary} if it does not exist and `create_if_missing`.
  static arrow::Result<std::shared_ptr<KeyValue>> Open(std::shared_ptr<Database> database,
                                                       const std::string& table = "default",
                                                       bool create_if_missing = false);
  virtual ~KeyValue() = default;

  virtual arrow::Status Put(std::string_view key, std::string_view value,
                            const WriteOptions& options = {}) = 0;
  /// Puts rows of two equally long binary-like arrays without nulls in one commit: faster than one
  /// by one. Of equal keys the last wins.
  virtual arrow::Status PutMany(const arrow::Array& keys, const arrow::Array& values,
                                const WriteOptions& options = {}) = 0;
  /// The same of keys and values in memory of the caller's, which is read until the call returns.
  virtual arrow::Status PutMany(std::span<const std::string_view> keys,
                                std::span<const std::string_view> values,
                                const WriteOptions& options = {}) = 0;
  /// Deleting an absent key is OK.
  virtual arrow::Status Delete(std::string_view key, const WriteOptions& options = {}) = 0;
  /// Deletes [begin, end) in constant time; `end` nullopt means unbounded; begin >= end deletes
  /// nothing.
  virtual arrow::Status DeleteRange(std::string_view begin, std::optional<std::string_view> end,
                                    const WriteOptions& options = {}) = 0;

  virtual arrow::Result<std::optional<std::string>> Get(std::string_view key,
                                                        const ReadOptions& options = {}) const = 0;
  /// True and `value` set if there is one; reuses the string's capacity.
  virtual arrow::Result<bool> Get(std::string_view key, std::string* value,
                                  const ReadOptions& options = {}) const = 0;
  /// Like Get without the copy.
  virtual arrow::Result<bool> GetPinned(std::string_view key, PinnedValue* value,
                                        const ReadOptions& options = {}) const = 0;
  virtual arrow::Result<bool> Exists(std::string_view key,
                                     const ReadOptions& options = {}) const = 0;
  /// One answer per key, in order, all from the same moment.
  virtual arrow::Result<std::vector<std::optional<std::string>>> MultiGet(
      std::span<const std::string_view> keys, const ReadOptions& options = {}) const = 0;
  /// Like MultiGet without the copies.
  virtual arrow::Status MultiGetPinned(std::span<const std::string_view> keys, PinnedValues* values,
                                       const ReadOptions& options = {}) const = 0;
  /// Like Get if the answer is in memory: true and `*found` and `value` set; false if the disk
  /// might have to be touched. Never waits. (For callers that hold a lock, such as Python's.)
  virtual arrow::Result<bool> TryGetFromMemory(std::string_view key, std::string* value,
                                               bool* found) const = 0;

  virtual arrow::Result<std::unique_ptr<Iterator>> NewIterator(
      const IteratorOptions& options = {}) const = 0;

  virtual const TableInfo& info() const = 0;
  virtual const std::shared_ptr<Database>& database() const = 0;
};

}  // namespace marble

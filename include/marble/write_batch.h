// A group of operations on any number of tables that becomes visible, and survives, as a whole.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/status.h>

#include <marble/scan.h>

namespace marble {

/// Operations are applied in the order they were added; a later one wins on the same key. Tables
/// are resolved and batches checked by Database::Write, so a mistake in any operation writes
/// nothing. Point operations need a key-value table (TableInfo::is_key_value), as `default` is.
/// Keys and values are copied; record batches are referenced until Write returns. Not thread-safe.
/// Reusable after Clear.
class WriteBatch {
 public:
  void Put(std::string_view table, std::string_view key, std::string_view value);
  void Delete(std::string_view table, std::string_view key);
  /// Deletes keys in [begin, end); an unbounded end is `end_unbounded`.
  void DeleteRange(std::string_view table, std::string_view begin, std::string_view end,
                   bool end_unbounded = false);
  /// Upsert into a keyed table, append to an append table.
  void Insert(std::string_view table, std::shared_ptr<arrow::RecordBatch> batch);
  /// Deletes rows by key: `keys` has the key columns, by name.
  void DeleteKeys(std::string_view table, std::shared_ptr<arrow::RecordBatch> keys);
  /// Deletes the rows of a keyed table in [lower, upper).
  void DeleteRange(std::string_view table, KeyRange range);

  void Clear();
  bool empty() const { return operations_.empty(); }
  int64_t count() const { return static_cast<int64_t>(operations_.size()); }

  enum class Kind : uint8_t { kPut, kDelete, kDeleteRange, kInsert, kDeleteKeys, kDeleteKeyRange };
  struct Operation {
    Kind kind = Kind::kPut;
    bool end_unbounded = false;
    uint32_t table = 0;       // index in tables()
    uint64_t key_offset = 0;  // in arena()
    uint32_t key_size = 0;
    uint64_t value_size = 0;  // value, or end of the range, follows the key in arena()
    std::shared_ptr<arrow::RecordBatch> batch;
    std::shared_ptr<KeyRange> range;
  };
  const std::vector<Operation>& operations() const { return operations_; }
  const std::vector<std::string>& tables() const { return tables_; }
  std::string_view key(const Operation& op) const {
    return std::string_view(arena_).substr(op.key_offset, op.key_size);
  }
  std::string_view value(const Operation& op) const {
    return std::string_view(arena_).substr(op.key_offset + op.key_size, op.value_size);
  }

 private:
  uint32_t TableIndex(std::string_view table);
  void AddPoint(Kind kind, std::string_view table, std::string_view key, std::string_view value,
                bool end_unbounded);

  std::vector<Operation> operations_;
  std::vector<std::string> tables_;
  std::string arena_;
};

}  // namespace marble

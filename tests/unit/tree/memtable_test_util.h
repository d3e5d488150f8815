// What the memtable tests share: schemas, a model of rows with versions, a pool that fails, and a
// reader of everything that checks what every SortedReader promises.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/util/string.h>
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "row/batch_ops.h"
#include "row/stored_schema.h"
#include "tree/memtable.h"

namespace marble::test {

inline constexpr uint64_t kHashSeed = 42;

#define MARBLE_ASSERT_OK(expression)                 \
  do {                                               \
    const arrow::Status status_ = (expression);      \
    ASSERT_TRUE(status_.ok()) << status_.ToString(); \
  } while (false)

/// One version of a row. A null value is nullopt.
struct ModelRow {
  std::string key;
  uint64_t sequence = 0;
  RowKind kind = RowKind::kPut;
  std::optional<std::string> value;

  bool operator==(const ModelRow&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const ModelRow& row) {
  return out << arrow::HexEncode(row.key) << "@" << row.sequence
             << (row.kind == RowKind::kDelete ? " deleted" : "") << " = "
             << row.value.value_or("(null)");
}

/// All versions ever written, in (key, sequence descending) order.
class Model {
 public:
  void Write(const ModelRow& row) { rows_[{row.key, ~row.sequence}] = row; }

  std::optional<ModelRow> Get(const std::string& key, uint64_t snapshot) const {
    const auto it = rows_.lower_bound({key, ~snapshot});
    if (it == rows_.end() || it->first.first != key) return std::nullopt;
    return it->second;
  }

  /// Ascending, whatever the direction of the request.
  std::vector<ModelRow> Read(const EncodedRange& range, uint64_t snapshot) const {
    std::vector<ModelRow> found;
    for (const auto& [place, row] : rows_) {
      if (row.sequence <= snapshot && range.Contains(row.key)) found.push_back(row);
    }
    return found;
  }

 private:
  std::map<std::pair<std::string, uint64_t>, ModelRow> rows_;
};

inline std::shared_ptr<const StoredSchema> MakeSchema(const arrow::FieldVector& fields,
                                                      const std::vector<std::string>& primary_key) {
  TableOptions options;
  options.primary_key = primary_key;
  return StoredSchema::Make(arrow::schema(fields), options).ValueOrDie();
}

inline std::shared_ptr<const StoredSchema> KeyValueSchema(
    const std::shared_ptr<arrow::DataType>& key = arrow::utf8(),
    const std::shared_ptr<arrow::DataType>& value = arrow::binary()) {
  return MakeSchema({arrow::field("key", key, false), arrow::field("value", value)}, {"key"});
}

/// The value of a binary-like array; nullopt if null.
inline std::optional<std::string> ValueAt(const arrow::Array& array, int64_t row) {
  if (array.IsNull(row)) return std::nullopt;
  if (arrow::is_large_binary_like(array.type_id())) {
    return std::string(static_cast<const arrow::LargeBinaryArray&>(array).GetView(row));
  }
  return std::string(static_cast<const arrow::BinaryArray&>(array).GetView(row));
}

/// Passes requests on until `allowed` of them were granted, then refuses all.
class FailingPool final : public arrow::MemoryPool {
 public:
  using MemoryPool::Allocate;
  using MemoryPool::Free;
  using MemoryPool::Reallocate;

  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    if (allowed_ == 0) return arrow::Status::OutOfMemory("refused by the test");
    --allowed_;
    return pool_->Allocate(size, alignment, out);
  }
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                           uint8_t** ptr) override {
    if (allowed_ == 0) return arrow::Status::OutOfMemory("refused by the test");
    --allowed_;
    return pool_->Reallocate(old_size, new_size, alignment, ptr);
  }
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override {
    pool_->Free(buffer, size, alignment);
  }
  int64_t bytes_allocated() const override { return pool_->bytes_allocated(); }
  int64_t total_bytes_allocated() const override { return pool_->total_bytes_allocated(); }
  int64_t num_allocations() const override { return pool_->num_allocations(); }
  int64_t max_memory() const override { return pool_->max_memory(); }
  std::string backend_name() const override { return "failing"; }

  void Allow(int64_t requests) { allowed_ = requests; }

 private:
  arrow::MemoryPool* const pool_ = arrow::default_memory_pool();
  int64_t allowed_ = INT64_MAX;
};

/// Rows of all batches of one reader in ascending order. Checks on the way that batches are not
/// empty, keep to the order and the request, hold all versions of a key, and tell the truth about
/// themselves. The value is taken from the column of the batch at `value_column`, if there is one.
template <typename ValueOf>
std::vector<ModelRow> ReadAllWith(const Memtable& memtable, const ReadRequest& request,
                                  const ValueOf& value_of) {
  std::vector<ModelRow> all;
  auto reader = memtable.NewReader(request);
  EXPECT_TRUE(reader.ok()) << reader.status();
  if (!reader.ok()) return all;
  while (true) {
    auto next = (*reader)->Next();
    EXPECT_TRUE(next.ok()) << next.status();
    if (!next.ok() || !next->has_value()) break;
    const RowBatch& batch = **next;
    EXPECT_GT(batch.num_rows(), 0);
    EXPECT_EQ(batch.columns->num_columns(), static_cast<int>(request.columns.size()));
    EXPECT_TRUE(batch.columns->ValidateFull().ok()) << batch.columns->ValidateFull();
    EXPECT_EQ(batch.keys.size(), batch.num_rows());
    std::vector<ModelRow> rows;
    bool unique = true;
    bool any_delete = false;
    for (int64_t i = 0; i < batch.num_rows(); ++i) {
      rows.push_back(
          {std::string(batch.keys[i]), batch.SequenceAt(i), batch.KindAt(i), value_of(batch, i)});
      unique = unique && (i == 0 || rows[i - 1].key != rows[i].key);
      any_delete = any_delete || rows[i].kind == RowKind::kDelete;
      EXPECT_LE(batch.SequenceAt(i), std::min(batch.sequence_max, request.snapshot));
      EXPECT_TRUE(request.range.Contains(batch.keys[i]));
    }
    EXPECT_EQ(batch.unique_keys, unique);
    EXPECT_EQ(batch.kinds != nullptr, any_delete);
    if (!all.empty()) {
      EXPECT_NE(request.direction == Direction::kForward ? all.back().key : all.front().key,
                request.direction == Direction::kForward ? rows.front().key : rows.back().key)
          << "versions of a key in two batches";
    }
    all.insert(request.direction == Direction::kForward ? all.end() : all.begin(), rows.begin(),
               rows.end());
  }
  return all;
}

/// Rows of a key-value memtable; checks that the key column agrees with the keys. Both columns must
/// be asked for.
inline std::vector<ModelRow> ReadAll(const Memtable& memtable, const ReadRequest& request) {
  return ReadAllWith(memtable, request, [](const RowBatch& batch, int64_t row) {
    EXPECT_EQ(ValueAt(*batch.columns->column(0), row), std::string(batch.keys[row]));
    return ValueAt(*batch.columns->column(1), row);
  });
}

}  // namespace marble::test

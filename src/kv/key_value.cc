// The key-value face over one table. A handle holds the table and the core of the database; point
// calls allocate nothing but the caller's string. Thread-safe: all members are fixed after Open.
#include <marble/key_value.h>

#include <algorithm>
#include <array>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/compute/cast.h>

#include "db/core.h"
#include "kv/iterator.h"
#include "row/row_kind.h"

namespace marble {
namespace {

/// Keys of a multi_get that are looked up together.
constexpr size_t kKeysAtOnce = 128;

class TableKeyValue final : public KeyValue {
 public:
  TableKeyValue(std::shared_ptr<Database> database, std::shared_ptr<DatabaseCore> core,
                std::shared_ptr<TableState> table)
      : database_(std::move(database)),
        core_(std::move(core)),
        table_(std::move(table)),
        hash_seed_(core_->hash_seed()) {}

  arrow::Status Put(std::string_view key, std::string_view value,
                    const WriteOptions& options) override;
  arrow::Status PutMany(const arrow::Array& keys, const arrow::Array& values,
                        const WriteOptions& options) override;
  arrow::Status PutMany(std::span<const std::string_view> keys,
                        std::span<const std::string_view> values,
                        const WriteOptions& options) override;
  arrow::Status Delete(std::string_view key, const WriteOptions& options) override;
  arrow::Status DeleteRange(std::string_view begin, std::optional<std::string_view> end,
                            const WriteOptions& options) override;
  arrow::Result<std::optional<std::string>> Get(std::string_view key,
                                                const ReadOptions& options) const override;
  arrow::Result<bool> Get(std::string_view key, std::string* value,
                          const ReadOptions& options) const override;
  arrow::Result<bool> GetPinned(std::string_view key, PinnedValue* value,
                                const ReadOptions& options) const override;
  arrow::Result<bool> Exists(std::string_view key, const ReadOptions& options) const override;
  arrow::Result<std::vector<std::optional<std::string>>> MultiGet(
      std::span<const std::string_view> keys, const ReadOptions& options) const override;
  arrow::Status MultiGetPinned(std::span<const std::string_view> keys, PinnedValues* values,
                               const ReadOptions& options) const override;
  arrow::Result<bool> TryGetFromMemory(std::string_view key, std::string* value,
                                       bool* found) const override;
  arrow::Result<std::unique_ptr<Iterator>> NewIterator(
      const IteratorOptions& options) const override;

  const TableInfo& info() const override { return table_->info; }
  const std::shared_ptr<Database>& database() const override { return database_; }

 private:
  arrow::Status CheckOpen() const {
    if (!database_->closed()) [[likely]] {
      return arrow::Status::OK();
    }
    return ClosedError("the database '" + database_->path() + "' was closed");
  }
  arrow::Result<ReadPoint> BeginRead(const Snapshot* snapshot) const {
    ARROW_RETURN_NOT_OK(CheckOpen());
    return core_->BeginRead(*table_, snapshot);
  }
  /// The value is valid while `point` is held, if it was not pinned.
  arrow::Status Find(std::string_view key, const ReadOptions& options, bool pin, ReadPoint* point,
                     FoundValue* found) const {
    ARROW_ASSIGN_OR_RAISE(*point, BeginRead(options.snapshot.get()));
    return FindValue(*point->view, key, {.snapshot = point->sequence, .pin = pin}, found);
  }
  arrow::Status CheckCounts(size_t keys, size_t values) const {
    if (keys == values) return arrow::Status::OK();
    return arrow::Status::Invalid("table '", table_->info.name, "': ", keys, " keys and ", values,
                                  " values were given");
  }
  // Before anything of an array from outside is looked at.
  arrow::Status CheckValid(const arrow::Array& array, const char* what) const {
    const arrow::Status valid = array.ValidateFull();
    if (valid.ok()) return valid;
    return arrow::Status::Invalid("table '", table_->info.name, "': the array of ", what,
                                  " is not valid: ", valid.message());
  }
  // The pairs as puts; false if they are to be written as rows (many bytes, or arrays whose
  // mistakes that way names).
  arrow::Result<bool> PreparePairs(const arrow::Array& keys, const arrow::Array& values,
                                   std::vector<PutPair>* pairs) const;
  // key_of(i) and value_of(i) are views of what stays until the pairs were committed.
  template <typename KeyOf, typename ValueOf>
  arrow::Result<bool> PreparePairs(size_t rows, const KeyOf& key_of, const ValueOf& value_of,
                                   std::vector<PutPair>* pairs) const;
  arrow::Status CommitPairs(std::span<const PutPair> pairs, const WriteOptions& options);
  // The array as the type of column `column`, values unchanged.
  arrow::Result<std::shared_ptr<arrow::Array>> AsColumn(const arrow::Array& array,
                                                        int column) const;

  const std::shared_ptr<Database> database_;
  const std::shared_ptr<DatabaseCore> core_;
  const std::shared_ptr<TableState> table_;
  const uint64_t hash_seed_;
};

arrow::Status TableKeyValue::Put(std::string_view key, std::string_view value,
                                 const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  Operation op;
  ARROW_RETURN_NOT_OK(PreparePut(table_.get(), hash_seed_, key, value, &op));
  return core_->Commit({&op, 1}, options);
}

/// Batches up to this many bytes of keys and values are written as puts, which needs no order;
/// larger ones as rows, which may become a file at once.
constexpr size_t kPutsBytesMax = size_t{16} << 20;

/// Calls `visit(view)`, where view(i) is the string_view of row i, unless the array is of another
/// type.
template <typename Visit>
void VisitBinary(const arrow::Array& array, const Visit& visit) {
  const auto of = [&](const auto& typed) {
    visit([&typed](size_t i) { return typed.GetView(static_cast<int64_t>(i)); });
  };
  switch (array.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return of(static_cast<const arrow::BinaryArray&>(array));
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return of(static_cast<const arrow::LargeBinaryArray&>(array));
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      return of(static_cast<const arrow::BinaryViewArray&>(array));
    default:
      return;
  }
}

template <typename KeyOf, typename ValueOf>
arrow::Result<bool> TableKeyValue::PreparePairs(size_t rows, const KeyOf& key_of,
                                                const ValueOf& value_of,
                                                std::vector<PutPair>* pairs) const {
  size_t bytes = 0;
  for (size_t i = 0; i < rows; ++i) bytes += key_of(i).size() + value_of(i).size();
  if (bytes > kPutsBytesMax) return false;
  pairs->resize(rows);
  for (size_t i = 0; i < rows; ++i) {
    ARROW_RETURN_NOT_OK(PreparePair(*table_, hash_seed_, key_of(i), value_of(i), &(*pairs)[i]));
  }
  return true;
}

arrow::Result<bool> TableKeyValue::PreparePairs(const arrow::Array& keys,
                                                const arrow::Array& values,
                                                std::vector<PutPair>* pairs) const {
  if (keys.null_count() != 0) return false;
  arrow::Result<bool> prepared = false;
  VisitBinary(keys, [&](const auto& key_of) {
    VisitBinary(values, [&](const auto& value_of) {
      prepared = PreparePairs(static_cast<size_t>(keys.length()), key_of, value_of, pairs);
    });
  });
  return prepared;
}

arrow::Status TableKeyValue::CommitPairs(std::span<const PutPair> pairs,
                                         const WriteOptions& options) {
  Operation puts;
  puts.table = table_.get();
  puts.pairs = pairs;
  return core_->Commit({&puts, 1}, options);
}

/// A copy of the strings.
arrow::Result<std::shared_ptr<arrow::Array>> ArrayOf(std::span<const std::string_view> strings) {
  arrow::LargeBinaryBuilder builder;
  int64_t bytes = 0;
  for (const std::string_view string : strings) bytes += static_cast<int64_t>(string.size());
  ARROW_RETURN_NOT_OK(builder.Reserve(static_cast<int64_t>(strings.size())));
  ARROW_RETURN_NOT_OK(builder.ReserveData(bytes));
  for (const std::string_view string : strings) builder.UnsafeAppend(string);
  return builder.Finish();
}

arrow::Result<std::shared_ptr<arrow::Array>> TableKeyValue::AsColumn(const arrow::Array& array,
                                                                     int column) const {
  const std::shared_ptr<arrow::Field>& field = table_->schema->user_schema()->field(column);
  if (array.type()->Equals(*field->type())) return arrow::MakeArray(array.data());
  if (!arrow::is_base_binary_like(array.type_id()) &&
      !arrow::is_binary_view_like(array.type_id())) {
    return arrow::Status::Invalid("column '", field->name(), "' of table '", table_->info.name,
                                  "' is ", field->type()->ToString(), ", and the array given is ",
                                  array.type()->ToString());
  }
  return arrow::compute::Cast(array, field->type());
}

arrow::Status TableKeyValue::PutMany(const arrow::Array& keys, const arrow::Array& values,
                                     const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  ARROW_RETURN_NOT_OK(
      CheckCounts(static_cast<size_t>(keys.length()), static_cast<size_t>(values.length())));
  if (keys.length() == 0) return core_->Commit({}, options);
  ARROW_RETURN_NOT_OK(CheckValid(keys, "keys"));
  ARROW_RETURN_NOT_OK(CheckValid(values, "values"));
  if (values.null_count() != 0) {
    return arrow::Status::Invalid("table '", table_->info.name,
                                  "': a value of a key-value pair cannot be null");
  }
  std::vector<PutPair> pairs;
  ARROW_ASSIGN_OR_RAISE(const bool as_puts, PreparePairs(keys, values, &pairs));
  if (as_puts) return CommitPairs(pairs, options);
  ARROW_ASSIGN_OR_RAISE(auto key_column, AsColumn(keys, 0));
  ARROW_ASSIGN_OR_RAISE(auto value_column, AsColumn(values, 1));
  auto batch = arrow::RecordBatch::Make(table_->schema->user_schema(), keys.length(),
                                        {std::move(key_column), std::move(value_column)});
  ARROW_ASSIGN_OR_RAISE(Operation op,
                        PrepareInsert(table_.get(), batch, core_->pool(), core_->helpers()));
  return core_->Commit({&op, 1}, options);
}

arrow::Status TableKeyValue::PutMany(std::span<const std::string_view> keys,
                                     std::span<const std::string_view> values,
                                     const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  ARROW_RETURN_NOT_OK(CheckCounts(keys.size(), values.size()));
  if (keys.empty()) return core_->Commit({}, options);
  const auto key_of = [keys](size_t i) { return keys[i]; };
  const auto value_of = [values](size_t i) { return values[i]; };
  std::vector<PutPair> pairs;
  ARROW_ASSIGN_OR_RAISE(const bool as_puts, PreparePairs(keys.size(), key_of, value_of, &pairs));
  if (as_puts) return CommitPairs(pairs, options);
  ARROW_ASSIGN_OR_RAISE(auto key_array, ArrayOf(keys));
  ARROW_ASSIGN_OR_RAISE(auto value_array, ArrayOf(values));
  return PutMany(*key_array, *value_array, options);
}

arrow::Status TableKeyValue::Delete(std::string_view key, const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  Operation op;
  ARROW_RETURN_NOT_OK(PrepareDelete(table_.get(), hash_seed_, key, &op));
  return core_->Commit({&op, 1}, options);
}

arrow::Status TableKeyValue::DeleteRange(std::string_view begin,
                                         std::optional<std::string_view> end,
                                         const WriteOptions& options) {
  ARROW_RETURN_NOT_OK(CheckOpen());
  Operation op;
  ARROW_RETURN_NOT_OK(PreparePointDeleteRange(table_.get(), begin, end.value_or(""),
                                              /*end_unbounded=*/!end.has_value(), &op));
  return core_->Commit({&op, 1}, options);
}

arrow::Result<std::optional<std::string>> TableKeyValue::Get(std::string_view key,
                                                             const ReadOptions& options) const {
  ReadPoint point;
  FoundValue found;
  ARROW_RETURN_NOT_OK(Find(key, options, /*pin=*/false, &point, &found));
  std::optional<std::string> value;
  if (found.found) value.emplace(found.value);
  return value;
}

arrow::Result<bool> TableKeyValue::Get(std::string_view key, std::string* value,
                                       const ReadOptions& options) const {
  ReadPoint point;
  FoundValue found;
  ARROW_RETURN_NOT_OK(Find(key, options, /*pin=*/false, &point, &found));
  if (found.found) value->assign(found.value);
  return found.found;
}

arrow::Result<bool> TableKeyValue::GetPinned(std::string_view key, PinnedValue* value,
                                             const ReadOptions& options) const {
  value->Reset();
  ReadPoint point;
  FoundValue found;
  ARROW_RETURN_NOT_OK(Find(key, options, /*pin=*/true, &point, &found));
  if (found.found) value->Set(found.value, std::move(found.owner));
  return found.found;
}

arrow::Result<bool> TableKeyValue::Exists(std::string_view key, const ReadOptions& options) const {
  ReadPoint point;
  FoundValue found;
  ARROW_RETURN_NOT_OK(Find(key, options, /*pin=*/false, &point, &found));
  return found.found;
}

arrow::Result<std::vector<std::optional<std::string>>> TableKeyValue::MultiGet(
    std::span<const std::string_view> keys, const ReadOptions& options) const {
  PinnedValues found;
  ARROW_RETURN_NOT_OK(MultiGetPinned(keys, &found, options));
  std::vector<std::optional<std::string>> values(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (found[i].has_value()) values[i].emplace(*found[i]);
  }
  return values;
}

arrow::Status TableKeyValue::MultiGetPinned(std::span<const std::string_view> keys,
                                            PinnedValues* values,
                                            const ReadOptions& options) const {
  values->Reset(keys.size());
  ARROW_ASSIGN_OR_RAISE(ReadPoint point, BeginRead(options.snapshot.get()));
  std::array<FoundValue, kKeysAtOnce> found;
  for (size_t begin = 0; begin < keys.size(); begin += kKeysAtOnce) {
    const size_t count = std::min(kKeysAtOnce, keys.size() - begin);
    const std::span<FoundValue> part(found.data(), count);
    if (begin > 0) std::ranges::fill(part, FoundValue{});
    const arrow::Status status =
        FindValues(*point.view, keys.subspan(begin, count), point.sequence, part);
    if (!status.ok()) {
      values->Reset(keys.size());  // nothing keeps what the earlier ones found
      return status;
    }
    for (size_t i = 0; i < count; ++i) {
      if (!found[i].found) continue;
      values->Set(begin + i, found[i].value);
      // Values of mapped files and memtables live as long as the view.
      if (found[i].owner != nullptr) values->Keep(std::move(found[i].owner));
    }
  }
  values->Keep(std::move(point.view));
  return arrow::Status::OK();
}

arrow::Result<bool> TableKeyValue::TryGetFromMemory(std::string_view key, std::string* value,
                                                    bool* found) const {
  *found = false;
  ARROW_ASSIGN_OR_RAISE(ReadPoint point, BeginRead(/*snapshot=*/nullptr));
  FoundValue row;
  const arrow::Status status =
      FindValue(*point.view, key, {.snapshot = point.sequence, .memory_only = true}, &row);
  if (status.IsCancelled()) return false;
  ARROW_RETURN_NOT_OK(status);
  if (row.found) value->assign(row.value);
  *found = row.found;
  return true;
}

arrow::Result<std::unique_ptr<Iterator>> TableKeyValue::NewIterator(
    const IteratorOptions& options) const {
  ARROW_ASSIGN_OR_RAISE(ReadPoint point, BeginRead(options.snapshot.get()));
  return std::make_unique<TableIterator>(core_, std::move(point), options);
}

arrow::Result<std::shared_ptr<TableState>> FindOrCreate(Database* database,
                                                        const DatabaseCore& core,
                                                        const std::string& table,
                                                        bool create_if_missing) {
  auto found = core.FindTable(table);
  if (found.ok() || !create_if_missing || !IsNotFound(found.status())) return found;
  auto schema = arrow::schema({arrow::field("key", arrow::utf8(), /*nullable=*/false),
                               arrow::field("value", arrow::binary())});
  ARROW_RETURN_NOT_OK(database->CreateTable(table, schema, {.primary_key = {"key"}}));
  return core.FindTable(table);
}

}  // namespace

arrow::Result<std::shared_ptr<KeyValue>> KeyValue::Open(std::shared_ptr<Database> database,
                                                        const std::string& table,
                                                        bool create_if_missing) {
  if (database == nullptr) {
    return arrow::Status::Invalid("KeyValue::Open needs a database, not null");
  }
  ARROW_ASSIGN_OR_RAISE(auto core, database->core());
  ARROW_ASSIGN_OR_RAISE(auto state, FindOrCreate(database.get(), *core, table, create_if_missing));
  if (!state->schema->is_key_value()) {
    return arrow::Status::Invalid("table '", table,
                                  "' is no key-value table: one is created with one binary-like "
                                  "key column and one binary-like value column, and never altered; "
                                  "its columns are ",
                                  state->schema->user_schema()->ToString());
  }
  return std::make_shared<TableKeyValue>(std::move(database), std::move(core), std::move(state));
}

}  // namespace marble

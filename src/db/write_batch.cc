// Collects operations in one arena; nothing is checked here (Database::Write does, for all tables
// of the batch at once). Owned by its caller, used by one thread.
#include <marble/write_batch.h>

#include <algorithm>
#include <utility>

namespace marble {

void WriteBatch::Put(std::string_view table, std::string_view key, std::string_view value) {
  AddPoint(Kind::kPut, table, key, value, /*end_unbounded=*/false);
}

void WriteBatch::Delete(std::string_view table, std::string_view key) {
  AddPoint(Kind::kDelete, table, key, {}, /*end_unbounded=*/false);
}

void WriteBatch::DeleteRange(std::string_view table, std::string_view begin, std::string_view end,
                             bool end_unbounded) {
  AddPoint(Kind::kDeleteRange, table, begin, end_unbounded ? std::string_view() : end,
           end_unbounded);
}

void WriteBatch::Insert(std::string_view table, std::shared_ptr<arrow::RecordBatch> batch) {
  Operation op;
  op.kind = Kind::kInsert;
  op.table = TableIndex(table);
  op.batch = std::move(batch);
  operations_.push_back(std::move(op));
}

void WriteBatch::DeleteKeys(std::string_view table, std::shared_ptr<arrow::RecordBatch> keys) {
  Operation op;
  op.kind = Kind::kDeleteKeys;
  op.table = TableIndex(table);
  op.batch = std::move(keys);
  operations_.push_back(std::move(op));
}

void WriteBatch::DeleteRange(std::string_view table, KeyRange range) {
  Operation op;
  op.kind = Kind::kDeleteKeyRange;
  op.table = TableIndex(table);
  op.range = std::make_shared<KeyRange>(std::move(range));
  operations_.push_back(std::move(op));
}

void WriteBatch::Clear() {
  operations_.clear();
  tables_.clear();
  arena_.clear();
}

// A batch touches few tables, mostly the same one as just before, so a search from the back beats a
// hash map.
uint32_t WriteBatch::TableIndex(std::string_view table) {
  if (!operations_.empty()) {
    const uint32_t last = operations_.back().table;
    if (tables_[last] == table) return last;
  }
  for (size_t i = tables_.size(); i > 0; --i) {
    if (tables_[i - 1] == table) return static_cast<uint32_t>(i - 1);
  }
  tables_.emplace_back(table);
  return static_cast<uint32_t>(tables_.size() - 1);
}

void WriteBatch::AddPoint(Kind kind, std::string_view table, std::string_view key,
                          std::string_view value, bool end_unbounded) {
  Operation op;
  op.kind = kind;
  op.end_unbounded = end_unbounded;
  op.table = TableIndex(table);
  op.key_offset = arena_.size();
  // A key of 4 GiB or more keeps a size that is still far over the limit, so that it is refused.
  op.key_size = static_cast<uint32_t>(std::min<uint64_t>(key.size(), UINT32_MAX));
  op.value_size = value.size();
  arena_.append(key.substr(0, op.key_size));
  arena_.append(value);
  operations_.push_back(std::move(op));
}

}  // namespace marble

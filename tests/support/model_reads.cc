// The model's reads: what the database says is compared with the oracle at the same moment.
#include <algorithm>

#include <arrow/table.h>

#include "support/model_runner.h"

namespace marble::test {
namespace {

constexpr size_t kHeldMax = 6;

std::vector<ModelRow> RowsIn(const ModelRows& rows, const ModelRange& range) {
  std::vector<ModelRow> out;
  for (auto it = range.Begin(rows), end = range.End(rows); it != end; ++it) {
    out.push_back({it->first, it->second});
  }
  return out;
}

std::vector<ModelRow> RowsOf(const ModelState& state, Shape shape, const ModelRange& range) {
  if (shape == Shape::kAppend) return state.appended;
  return RowsIn(state.keyed[static_cast<size_t>(shape)], range);
}

// Each row must be that of `ordered`, rows in the order of `keys`, that its index says.
arrow::Status CheckRowsInAnyOrder(const Table& table,
                                  const std::shared_ptr<arrow::RecordBatch>& keys,
                                  const std::optional<std::vector<std::string>>& columns,
                                  const std::shared_ptr<const Snapshot>& snapshot,
                                  const arrow::RecordBatch& ordered,
                                  const std::vector<int64_t>& ordered_indices) {
  std::vector<int64_t> indices;
  ARROW_ASSIGN_OR_RAISE(const auto rows,
                        table.Get(keys, columns, &indices, snapshot, RowOrder::kAny));
  MODEL_CHECK(indices.size() == ordered_indices.size(), indices.size(), " rows in any order");
  for (size_t i = 0; i < indices.size(); ++i) {
    const auto at = std::lower_bound(ordered_indices.begin(), ordered_indices.end(), indices[i]);
    MODEL_CHECK(at != ordered_indices.end() && *at == indices[i], "a row of no key");
    const auto wanted = ordered.Slice(at - ordered_indices.begin(), 1);
    MODEL_CHECK(rows->Slice(static_cast<int64_t>(i), 1)->Equals(*wanted), "row ", i,
                " in any order");
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Status ModelRunner::Get() {
  const Moment moment = RandomMoment();
  const ModelKey key = RandomKey(Shape::kKeyValue);
  const ModelRows& rows = moment.state->keyed[0];
  const auto found = rows.find(key);
  const bool there = found != rows.end();
  const std::string expected = there ? ValueOf(found->second) : "";
  const ReadOptions options{moment.snapshot};
  switch (random_.Uniform(5)) {
    case 0: {
      PinnedValue pinned;
      ARROW_ASSIGN_OR_RAISE(const bool got, pairs_->GetPinned(key.text, &pinned, options));
      MODEL_CHECK(got == there, "pinned get of ", Describe(key), " found: ", got);
      MODEL_CHECK(!got || pinned.view() == expected, "pinned value of ", Describe(key));
      return arrow::Status::OK();
    }
    case 1: {
      ARROW_ASSIGN_OR_RAISE(const bool got, pairs_->Exists(key.text, options));
      MODEL_CHECK(got == there, "existence of ", Describe(key), ": ", got);
      return arrow::Status::OK();
    }
    case 2: {
      if (moment.snapshot != nullptr) return arrow::Status::OK();
      std::string value;
      bool got = false;
      ARROW_ASSIGN_OR_RAISE(const bool in_memory, pairs_->TryGetFromMemory(key.text, &value, &got));
      if (!in_memory) return arrow::Status::OK();
      MODEL_CHECK(got == there, "get from memory of ", Describe(key), " found: ", got);
      MODEL_CHECK(!got || value == expected, "value from memory of ", Describe(key));
      return arrow::Status::OK();
    }
    case 3: {
      std::string value = "left from before";
      ARROW_ASSIGN_OR_RAISE(const bool got, pairs_->Get(key.text, &value, options));
      MODEL_CHECK(got == there, "get of ", Describe(key), " found: ", got);
      MODEL_CHECK(!got || value == expected, "value of ", Describe(key));
      return arrow::Status::OK();
    }
    default: {
      ARROW_ASSIGN_OR_RAISE(const auto got, pairs_->Get(key.text, options));
      MODEL_CHECK(got.has_value() == there, "get of ", Describe(key), " found: ", got.has_value());
      MODEL_CHECK(!there || *got == expected, "value of ", Describe(key));
      return arrow::Status::OK();
    }
  }
}

arrow::Status ModelRunner::MultiGet() {
  const Moment moment = RandomMoment();
  const ModelRows& rows = moment.state->keyed[0];
  const auto asked = RandomRows(Shape::kKeyValue, random_.Uniform(40));
  std::vector<std::string_view> keys;
  for (const ModelRow& row : asked) keys.push_back(row.key.text);
  ARROW_ASSIGN_OR_RAISE(const auto got, pairs_->MultiGet(keys, {moment.snapshot}));
  MODEL_CHECK(got.size() == keys.size(), got.size(), " answers for ", keys.size(), " keys");
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto found = rows.find(asked[i].key);
    MODEL_CHECK(got[i].has_value() == (found != rows.end()), "multi_get of ",
                Describe(asked[i].key), " found: ", got[i].has_value());
    MODEL_CHECK(!got[i] || *got[i] == ValueOf(found->second), "multi_get's value of ",
                Describe(asked[i].key));
  }
  return arrow::Status::OK();
}

arrow::Status ModelRunner::GetRows() {
  const ModelTable& table = RandomKeyedTable();
  const Moment moment = RandomMoment();
  const ModelRows& rows = moment.state->keyed[static_cast<size_t>(table.shape)];
  auto asked = RandomRows(table.shape, random_.Uniform(random_.OneIn(4) ? 300 : 20));
  // Keys may stand several times.
  if (!asked.empty() && random_.OneIn(3)) asked.push_back(asked[random_.Uniform(asked.size())]);
  std::vector<ModelRow> expected;
  std::vector<int64_t> expected_indices;
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto found = rows.find(asked[i].key);
    if (found == rows.end()) continue;
    expected.push_back({found->first, found->second});
    expected_indices.push_back(static_cast<int64_t>(i));
  }
  ARROW_ASSIGN_OR_RAISE(auto keys, KeysBatch(table, asked));
  std::optional<std::vector<std::string>> columns;
  auto schema = table.schema;
  if (random_.OneIn(3)) {
    columns = {table.schema->fields().back()->name(), table.schema->field(0)->name()};
    schema = Project(*table.schema, *columns);
  }
  std::vector<int64_t> indices;
  ARROW_ASSIGN_OR_RAISE(const auto got, table.table->Get(keys, columns, &indices, moment.snapshot));
  MODEL_CHECK(indices == expected_indices, "indices of ", table.name, ": ", indices.size(),
              " rows, expected ", expected_indices.size());
  ARROW_RETURN_NOT_OK(got->ValidateFull());
  ARROW_ASSIGN_OR_RAISE(const auto built, BuildBatch(schema, expected));
  MODEL_CHECK(got->Equals(*built), "rows of ", table.name, "\n", got->ToString(), "\nexpected\n",
              built->ToString());
  ARROW_ASSIGN_OR_RAISE(const auto contained, table.table->Contains(keys, moment.snapshot));
  std::vector<int64_t> there;
  for (int64_t i = 0; i < contained->length(); ++i) {
    if (contained->Value(i)) there.push_back(i);
  }
  MODEL_CHECK(there == expected_indices, "keys contained in ", table.name, ": ", there.size(),
              ", expected ", expected_indices.size());
  return CheckRowsInAnyOrder(*table.table, keys, columns, moment.snapshot, *got, indices);
}

ModelRunner::ModelScan ModelRunner::RandomScan(const ModelTable& table, const Moment& moment) {
  ModelScan scan;
  scan.options.snapshot = moment.snapshot;
  scan.what = "scan of " + table.name;
  ModelRange range;
  if (table.shape != Shape::kAppend && !random_.OneIn(5)) {
    const ModelRows& rows = moment.state->keyed[static_cast<size_t>(table.shape)];
    range = RandomRange(table.shape, rows, /*narrow=*/random_.OneIn(2));
    scan.options.range = range.ToKeyRange(table.shape, config_.binary_keys);
    if (range.lower) scan.what += " from " + Describe(*range.lower);
    if (range.upper) scan.what += " to " + Describe(*range.upper);
  }
  const Shape shape = table.shape;
  const ModelKey key =
      shape == Shape::kAppend
          ? ModelKey{"",
                     static_cast<int64_t>(random_.Uniform(static_cast<uint64_t>(next_event_) + 1))}
          : RandomKey(shape);
  const ModelFilter filter = RandomFilter(shape, &random_, key);
  scan.options.filter = filter.ToExpression(shape, config_.binary_keys);
  for (ModelRow& row : RowsOf(*moment.state, shape, range)) {
    if (filter.Keeps(row)) scan.rows.push_back(std::move(row));
  }
  if (random_.OneIn(3)) {
    scan.options.reverse = true;
    std::reverse(scan.rows.begin(), scan.rows.end());
  }
  if (random_.OneIn(3)) {
    scan.options.limit = static_cast<int64_t>(random_.Uniform(30));
    if (scan.rows.size() > static_cast<size_t>(scan.options.limit)) {
      scan.rows.resize(static_cast<size_t>(scan.options.limit));
    }
  }
  if (random_.OneIn(3)) scan.options.batch_rows_max = random_.Between(1, 50);
  scan.schema = table.schema;
  if (random_.OneIn(3)) {
    std::vector<std::string> columns;
    for (const auto& field : table.schema->fields()) {
      if (random_.OneIn(2)) columns.insert(columns.begin(), field->name());
    }
    scan.schema = Project(*table.schema, columns);
    scan.options.columns = std::move(columns);
  }
  scan.what += ", filter " + scan.options.filter.ToString() + ", limit " +
               std::to_string(scan.options.limit) + (scan.options.reverse ? ", reverse" : "") +
               ", columns " + scan.schema->ToString();
  return scan;
}

arrow::Status ModelRunner::CheckReader(arrow::RecordBatchReader* reader,
                                       const std::shared_ptr<arrow::RecordBatch>& expected,
                                       const std::string& what) {
  MODEL_CHECK(reader->schema()->Equals(*expected->schema()), what, ": schema ",
              reader->schema()->ToString());
  int64_t first = 0;
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    MODEL_CHECK(first + batch->num_rows() <= expected->num_rows(), what, ": more than the ",
                expected->num_rows(), " rows expected");
    const auto part = expected->Slice(first, batch->num_rows());
    MODEL_CHECK(batch->Equals(*part), what, ": rows from ", first, "\n", batch->ToString(),
                "\nexpected\n", part->ToString());
    first += batch->num_rows();
  }
  MODEL_CHECK(first == expected->num_rows(), what, ": ", first, " rows, expected ",
              expected->num_rows());
  return arrow::Status::OK();
}

arrow::Status ModelRunner::Scan() {
  const ModelTable& table = RandomTable();
  ModelScan scan = RandomScan(table, RandomMoment());
  ARROW_ASSIGN_OR_RAISE(auto reader, table.table->Scan(scan.options));
  ARROW_ASSIGN_OR_RAISE(auto expected, BuildBatch(scan.schema, scan.rows));
  return CheckReader(reader.get(), expected, scan.what);
}

arrow::Status ModelRunner::Count() {
  const ModelTable& table = RandomTable();
  const ModelScan scan = RandomScan(table, RandomMoment());
  ARROW_ASSIGN_OR_RAISE(const int64_t count, table.table->Count(scan.options));
  MODEL_CHECK(count == static_cast<int64_t>(scan.rows.size()), "count by ", scan.what, ": ", count,
              ", expected ", scan.rows.size());
  return arrow::Status::OK();
}

arrow::Status ModelRunner::CheckWalk(Iterator* iterator, const std::vector<ModelRow>& rows,
                                     int moves) {
  const auto size = static_cast<int64_t>(rows.size());
  const auto key_below = [](const ModelRow& row, const ModelKey& key) { return row.key < key; };
  int64_t at = -1;
  for (int i = 0; i < moves; ++i) {
    const bool valid = at >= 0 && at < size;
    switch (valid ? random_.Uniform(12) : random_.Uniform(4)) {
      case 0: {
        const ModelKey key = RandomKey(Shape::kKeyValue);
        iterator->Seek(key.text);
        at = std::lower_bound(rows.begin(), rows.end(), key, key_below) - rows.begin();
        break;
      }
      case 1: {
        const ModelKey key = RandomKey(Shape::kKeyValue);
        iterator->SeekForPrev(key.text);
        at = std::lower_bound(rows.begin(), rows.end(), key, key_below) - rows.begin();
        if (at == size || rows[static_cast<size_t>(at)].key != key) --at;
        break;
      }
      case 2:
        iterator->SeekToFirst();
        at = 0;
        break;
      case 3:
        iterator->SeekToLast();
        at = size - 1;
        break;
      case 4:
      case 5:
      case 6:
        iterator->Prev();
        --at;
        break;
      default:
        iterator->Next();
        ++at;
        break;
    }
    ARROW_RETURN_NOT_OK(iterator->status());
    const bool expected = at >= 0 && at < size;
    MODEL_CHECK(iterator->Valid() == expected, "iterator at ", at, " of ", size,
                " is valid: ", iterator->Valid());
    if (!expected) continue;
    const ModelRow& row = rows[static_cast<size_t>(at)];
    MODEL_CHECK(iterator->key() == row.key.text, "iterator's key ",
                Describe({std::string(iterator->key()), 0}), ", expected ", Describe(row.key));
    MODEL_CHECK(iterator->value() == ValueOf(row.payload), "iterator's value at ",
                Describe(row.key));
  }
  return arrow::Status::OK();
}

arrow::Status ModelRunner::WalkIterator() {
  const Moment moment = RandomMoment();
  IteratorOptions options;
  options.snapshot = moment.snapshot;
  const ModelRange range =
      RandomRange(Shape::kKeyValue, moment.state->keyed[0], /*narrow=*/random_.OneIn(2));
  if (range.lower) options.lower = range.lower->text;
  if (range.upper) options.upper = range.upper->text;
  ARROW_ASSIGN_OR_RAISE(auto iterator, pairs_->NewIterator(options));
  MODEL_CHECK(!iterator->Valid(), "a new iterator is valid before it is told where to go");
  return CheckWalk(iterator.get(), RowsIn(moment.state->keyed[0], range),
                   static_cast<int>(random_.Uniform(30)));
}

arrow::Status ModelRunner::HoldReader() {
  if (readers_.size() >= kHeldMax) return DrainHeld();
  const ModelTable& table = RandomTable();
  ModelScan scan = RandomScan(table, RandomMoment());
  ARROW_ASSIGN_OR_RAISE(auto reader, table.table->Scan(scan.options));
  ARROW_ASSIGN_OR_RAISE(auto expected, BuildBatch(scan.schema, scan.rows));
  readers_.push_back({std::move(reader), std::move(expected), "held " + scan.what});
  return arrow::Status::OK();
}

arrow::Status ModelRunner::HoldIterator() {
  if (iterators_.size() >= kHeldMax) return DrainHeld();
  ARROW_ASSIGN_OR_RAISE(auto iterator, pairs_->NewIterator());
  iterators_.push_back({std::move(iterator), RowsIn(state_.keyed[0], {})});
  return arrow::Status::OK();
}

arrow::Status ModelRunner::DrainHeld() {
  if (random_.OneIn(2) && !readers_.empty()) {
    const auto at = readers_.begin() + static_cast<int64_t>(random_.Uniform(readers_.size()));
    HeldReader held = std::move(*at);
    readers_.erase(at);
    return CheckReader(held.reader.get(), held.expected, held.what);
  }
  if (iterators_.empty()) return arrow::Status::OK();
  const auto at = iterators_.begin() + static_cast<int64_t>(random_.Uniform(iterators_.size()));
  HeldIterator held = std::move(*at);
  iterators_.erase(at);
  return CheckWalk(held.iterator.get(), held.rows, 100);
}

arrow::Status ModelRunner::CheckTable(const ModelTable& table, const Moment& moment, bool reverse) {
  ScanOptions options;
  options.snapshot = moment.snapshot;
  options.reverse = reverse;
  std::vector<ModelRow> rows = RowsOf(*moment.state, table.shape, {});
  if (reverse) std::reverse(rows.begin(), rows.end());
  ARROW_ASSIGN_OR_RAISE(auto reader, table.table->Scan(options));
  ARROW_ASSIGN_OR_RAISE(auto expected, BuildBatch(table.schema, rows));
  return CheckReader(reader.get(), expected, "whole of " + table.name);
}

arrow::Status ModelRunner::CheckAll() {
  for (const ModelTable& table : tables_) {
    for (const bool reverse : {false, true}) {
      ARROW_RETURN_NOT_OK(CheckTable(table, {nullptr, &state_}, reverse));
    }
    for (const HeldSnapshot& held : snapshots_) {
      ARROW_RETURN_NOT_OK(CheckTable(table, {held.snapshot, &held.state}, false));
    }
  }
  return arrow::Status::OK();
}

}  // namespace marble::test

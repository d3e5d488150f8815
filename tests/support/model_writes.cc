// The model's writes: each goes to the database and then, if it was accepted, to the oracle.
#include <arrow/api.h>

#include "support/model_runner.h"

namespace marble::test {
namespace {

constexpr uint64_t kSmallBatchRows = 12;

void ApplyTo(ModelState* state, Shape shape, std::span<const ModelRow> rows) {
  if (shape == Shape::kAppend) {
    state->appended.insert(state->appended.end(), rows.begin(), rows.end());
    return;
  }
  for (const ModelRow& row : rows) state->keyed[static_cast<size_t>(shape)][row.key] = row.payload;
}

void EraseFrom(ModelState* state, Shape shape, std::span<const ModelRow> rows) {
  for (const ModelRow& row : rows) state->keyed[static_cast<size_t>(shape)].erase(row.key);
}

void EraseRangeFrom(ModelState* state, Shape shape, const ModelRange& range) {
  ModelRows& there = state->keyed[static_cast<size_t>(shape)];
  there.erase(range.Begin(there), range.End(there));
}

}  // namespace

arrow::Result<std::shared_ptr<arrow::RecordBatch>> ModelRunner::KeysBatch(
    const ModelTable& table, std::span<const ModelRow> rows) {
  return BuildBatch(Project(*table.schema, PrimaryKeyOf(table.shape)), rows);
}

arrow::Status ModelRunner::Put() {
  const ModelRow row = RandomRow(Shape::kKeyValue);
  return Settle(pairs_->Put(row.key.text, ValueOf(row.payload), RandomWriteOptions()),
                [row](ModelState* state) { ApplyTo(state, Shape::kKeyValue, {&row, 1}); });
}

arrow::Status ModelRunner::PutMany() {
  const ModelTable& table = TableOf(Shape::kKeyValue);
  const auto rows = RandomRows(table.shape, random_.Uniform(40));
  const auto apply = [rows](ModelState* state) { ApplyTo(state, Shape::kKeyValue, rows); };
  if (random_.Uniform(2) == 0) {
    ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(table.schema, rows));
    return Settle(pairs_->PutMany(*batch->column(0), *batch->column(1), RandomWriteOptions()),
                  apply);
  }
  std::vector<std::string> values;
  for (const ModelRow& row : rows) values.emplace_back(ValueOf(row.payload));
  std::vector<std::string_view> keys;
  for (const ModelRow& row : rows) keys.push_back(row.key.text);
  return Settle(pairs_->PutMany(keys, std::vector<std::string_view>(values.begin(), values.end()),
                                RandomWriteOptions()),
                apply);
}

arrow::Status ModelRunner::DeleteOne() {
  const ModelRow row = RandomRow(Shape::kKeyValue);
  return Settle(pairs_->Delete(row.key.text, RandomWriteOptions()),
                [row](ModelState* state) { EraseFrom(state, Shape::kKeyValue, {&row, 1}); });
}

arrow::Status ModelRunner::DeletePairs() {
  ModelRange range = RandomRange(Shape::kKeyValue, state_.keyed[0], /*narrow=*/true);
  if (!range.lower) range.lower = ModelKey{};
  std::optional<std::string_view> end;
  if (range.upper) end = range.upper->text;
  return Settle(pairs_->DeleteRange(range.lower->text, end, RandomWriteOptions()),
                [range](ModelState* state) { EraseRangeFrom(state, Shape::kKeyValue, range); });
}

arrow::Status ModelRunner::InsertRows() {
  const ModelTable& table = RandomTable();
  const auto rows = RandomRows(table.shape, random_.Uniform(kSmallBatchRows));
  ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(table.schema, rows));
  return Settle(table.table->Insert(batch, RandomWriteOptions()),
                [shape = table.shape, rows](ModelState* state) { ApplyTo(state, shape, rows); });
}

arrow::Status ModelRunner::InsertBatches() {
  const ModelTable& table = RandomTable();
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  std::vector<ModelRow> all;
  for (uint64_t i = random_.Uniform(4); i > 0; --i) {
    // A slice of a longer batch: offsets must be honoured.
    const auto rows = RandomRows(table.shape, 2 + random_.Uniform(kSmallBatchRows));
    ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(table.schema, rows));
    const auto first = static_cast<int64_t>(random_.Uniform(rows.size()));
    batches.push_back(batch->Slice(first));
    all.insert(all.end(), rows.begin() + first, rows.end());
  }
  return Settle(table.table->Insert(batches, RandomWriteOptions()),
                [shape = table.shape, all](ModelState* state) { ApplyTo(state, shape, all); });
}

arrow::Status ModelRunner::InsertBulk() {
  if (config_.bulk_rows == 0) return arrow::Status::OK();
  const ModelTable& table = RandomTable();
  const auto rows = RandomRows(table.shape, config_.bulk_rows);
  ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(table.schema, rows));
  if (random_.OneIn(2)) {
    return Settle(table.table->Insert(batch, RandomWriteOptions()),
                  [shape = table.shape, rows](ModelState* state) { ApplyTo(state, shape, rows); });
  }
  // The bulk between small operations of the same commit: order within it counts.
  WriteBatch commit;
  ModelState after = state_;
  for (int i = 0; i < 2; ++i) ARROW_RETURN_NOT_OK(AddRandomOperation(&commit, &after));
  commit.Insert(table.name, batch);
  ApplyTo(&after, table.shape, rows);
  for (int i = 0; i < 2; ++i) ARROW_RETURN_NOT_OK(AddRandomOperation(&commit, &after));
  return Settle(database_->Write(commit, RandomWriteOptions()),
                [after = std::move(after)](ModelState* state) { *state = after; });
}

arrow::Status ModelRunner::DeleteRows() {
  const ModelTable& table = RandomKeyedTable();
  const auto rows = RandomRows(table.shape, random_.Uniform(kSmallBatchRows));
  ARROW_ASSIGN_OR_RAISE(auto keys, KeysBatch(table, rows));
  return Settle(table.table->Delete(keys, RandomWriteOptions()),
                [shape = table.shape, rows](ModelState* state) { EraseFrom(state, shape, rows); });
}

arrow::Status ModelRunner::DeleteRangeOfRows() {
  const ModelTable& table = RandomKeyedTable();
  const ModelRange range =
      RandomRange(table.shape, state_.keyed[static_cast<size_t>(table.shape)], /*narrow=*/true);
  return Settle(
      table.table->DeleteRange(range.ToKeyRange(table.shape, config_.binary_keys),
                               RandomWriteOptions()),
      [shape = table.shape, range](ModelState* state) { EraseRangeFrom(state, shape, range); });
}

arrow::Status ModelRunner::AddRandomOperation(WriteBatch* batch, ModelState* state) {
  const ModelTable& pairs = TableOf(Shape::kKeyValue);
  const ModelTable& any = RandomTable();
  const ModelTable& keyed = RandomKeyedTable();
  const ModelRows& keyed_rows = state->keyed[static_cast<size_t>(keyed.shape)];
  const auto rows = RandomRows(any.shape, 1 + random_.Uniform(kSmallBatchRows));
  switch (random_.Uniform(8)) {
    case 0: {
      const ModelRow row = RandomRow(pairs.shape);
      batch->Delete(pairs.name, row.key.text);
      EraseFrom(state, pairs.shape, {&row, 1});
      break;
    }
    case 1: {
      ModelRange range = RandomRange(pairs.shape, state->keyed[0], /*narrow=*/true);
      if (!range.lower) range.lower = ModelKey{};
      batch->DeleteRange(pairs.name, range.lower->text, range.upper ? range.upper->text : "",
                         /*end_unbounded=*/!range.upper);
      EraseRangeFrom(state, pairs.shape, range);
      break;
    }
    case 2:
    case 3: {
      ARROW_ASSIGN_OR_RAISE(auto inserted, BuildBatch(any.schema, rows));
      batch->Insert(any.name, std::move(inserted));
      ApplyTo(state, any.shape, rows);
      break;
    }
    case 4: {
      const auto gone = RandomRows(keyed.shape, 1 + random_.Uniform(4));
      ARROW_ASSIGN_OR_RAISE(auto keys, KeysBatch(keyed, gone));
      batch->DeleteKeys(keyed.name, std::move(keys));
      EraseFrom(state, keyed.shape, gone);
      break;
    }
    case 5: {
      const ModelRange range = RandomRange(keyed.shape, keyed_rows, /*narrow=*/true);
      batch->DeleteRange(keyed.name, range.ToKeyRange(keyed.shape, config_.binary_keys));
      EraseRangeFrom(state, keyed.shape, range);
      break;
    }
    default: {
      const ModelRow row = RandomRow(pairs.shape);
      batch->Put(pairs.name, row.key.text, ValueOf(row.payload));
      ApplyTo(state, pairs.shape, {&row, 1});
      break;
    }
  }
  return arrow::Status::OK();
}

arrow::Status ModelRunner::WriteAcrossTables() {
  WriteBatch batch;
  if (config_.faulty_disk == nullptr) {
    // The oracle is changed in place: Write must not fail, and a failure ends the run anyway.
    for (uint64_t i = random_.Uniform(6); i > 0; --i) {
      ARROW_RETURN_NOT_OK(AddRandomOperation(&batch, &state_));
    }
    return database_->Write(batch, RandomWriteOptions());
  }
  ModelState after = state_;
  for (uint64_t i = random_.Uniform(6); i > 0; --i) {
    ARROW_RETURN_NOT_OK(AddRandomOperation(&batch, &after));
  }
  return Settle(database_->Write(batch, RandomWriteOptions()),
                [after = std::move(after)](ModelState* state) { *state = after; });
}

arrow::Status ModelRunner::RefusedWrites() {
  const ModelTable& table = RandomKeyedTable();
  const auto rows = RandomRows(table.shape, 3);
  ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(table.schema, rows));
  // A mistake in the last operation of a commit: nothing of the commit may be written.
  WriteBatch commit;
  ModelState unused = state_;
  ARROW_RETURN_NOT_OK(AddRandomOperation(&commit, &unused));
  switch (random_.Uniform(4)) {
    case 0:
      commit.Insert("no such table", batch);
      break;
    case 1: {
      ARROW_ASSIGN_OR_RAISE(auto narrower, batch->RemoveColumn(batch->num_columns() - 1));
      commit.Insert(table.name, narrower);
      break;
    }
    case 2: {
      ARROW_ASSIGN_OR_RAISE(auto nulls, arrow::MakeArrayOfNull(batch->column(0)->type(), 3));
      ARROW_ASSIGN_OR_RAISE(auto with_nulls,
                            batch->SetColumn(0, table.schema->field(0)->WithNullable(true), nulls));
      commit.Insert(table.name, with_nulls);
      break;
    }
    default:
      commit.Delete(TableOf(Shape::kNumber).name, "not a key-value table");
      break;
  }
  const arrow::Status status = database_->Write(commit);
  MODEL_CHECK(!status.ok(), "a commit with a mistake was accepted");
  return CheckTable(RandomTable(), {nullptr, &state_}, false);
}

}  // namespace marble::test

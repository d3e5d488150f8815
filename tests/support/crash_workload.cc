#include "support/crash_workload.h"

#include <array>

namespace marble::test {
namespace {

constexpr char kCounter[] = "counter";

struct TableSpec {
  const char* name;
  Shape shape;
};
constexpr std::array<TableSpec, 4> kTables = {{{"pairs", Shape::kKeyValue},
                                               {"left", Shape::kNumber},
                                               {"right", Shape::kNumber},
                                               {"journal", Shape::kAppend}}};

std::vector<ModelRow> NumberRows(Random* random, uint64_t keys, uint64_t count) {
  std::vector<ModelRow> rows;
  for (uint64_t i = 0; i < count; ++i) {
    rows.push_back({{"", static_cast<int64_t>(random->Uniform(2 * keys))}, random->Next() >> 1});
  }
  return rows;
}

std::vector<ModelRow> ToRows(const ModelRows& rows) {
  std::vector<ModelRow> out;
  out.reserve(rows.size());
  for (const auto& [key, payload] : rows) out.push_back({key, payload});
  return out;
}

arrow::Status InsertBoth(const std::vector<ModelRow>& rows, WriteBatch* batch, CrashState* state) {
  if (batch != nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto built, BuildBatch(SchemaOf(Shape::kNumber, false), rows));
    batch->Insert("left", built);
    batch->Insert("right", built);
  }
  if (state != nullptr) {
    for (const ModelRow& row : rows) {
      state->left[row.key] = row.payload;
      state->right[row.key] = row.payload;
    }
  }
  return arrow::Status::OK();
}

arrow::Status DeleteBoth(int64_t lower, int64_t upper, WriteBatch* batch, CrashState* state) {
  ModelRange range;
  range.lower = ModelKey{"", lower};
  range.upper = ModelKey{"", upper};
  if (batch != nullptr) {
    batch->DeleteRange("left", range.ToKeyRange(Shape::kNumber, false));
    batch->DeleteRange("right", range.ToKeyRange(Shape::kNumber, false));
  }
  if (state != nullptr) {
    state->left.erase(range.Begin(state->left), range.End(state->left));
    state->right.erase(range.Begin(state->right), range.End(state->right));
  }
  return arrow::Status::OK();
}

arrow::Status AppendJournal(uint64_t number, uint64_t count, WriteBatch* batch, CrashState* state) {
  std::vector<ModelRow> rows;
  for (uint64_t i = 0; i < count; ++i) {
    rows.push_back({{"", static_cast<int64_t>(number)}, Mix(number + i) >> 1});
  }
  if (batch != nullptr) {
    ARROW_ASSIGN_OR_RAISE(auto built, BuildBatch(SchemaOf(Shape::kAppend, false), rows));
    batch->Insert("journal", built);
  }
  if (state != nullptr) {
    state->journal.insert(state->journal.end(), rows.begin(), rows.end());
  }
  return arrow::Status::OK();
}

}  // namespace

Options CrashOptions() {
  Options options;
  options.memory_budget = int64_t{16} << 20;
  options.memtable_bytes = int64_t{64} << 10;
  options.log_bytes_max = int64_t{1} << 20;
  options.log_segment_bytes = int64_t{256} << 10;
  options.target_file_bytes = int64_t{64} << 10;
  options.level_base_bytes = int64_t{256} << 10;
  return options;
}

/// The number, and a tail of varying length behind it.
std::string CrashWorkload::CounterValue(uint64_t number) const {
  return std::to_string(number) + ":" + std::string(Mix(number) % mix_.tail_bytes, 'x');
}

arrow::Status CrashWorkload::Prepare() {
  for (const TableSpec& spec : kTables) {
    TableOptions options;
    options.primary_key = PrimaryKeyOf(spec.shape);
    ARROW_RETURN_NOT_OK(database_->CreateTable(spec.name, SchemaOf(spec.shape, false), options));
  }
  return KeyValue::Open(database_, "pairs").Value(&pairs_);
}

arrow::Result<uint64_t> CrashWorkload::LastCommit(std::shared_ptr<const Snapshot> snapshot) const {
  ReadOptions options;
  options.snapshot = std::move(snapshot);
  ARROW_ASSIGN_OR_RAISE(const auto value, pairs_->Get(kCounter, options));
  return value ? std::strtoull(value->c_str(), nullptr, 10) : 0;
}

bool CrashWorkload::IsSynced(uint64_t number) const { return Mix(seed_ ^ ~number) % 16 == 0; }

arrow::Status CrashWorkload::Make(uint64_t number, WriteBatch* batch, CrashState* state) const {
  Random random(seed_ + number * 0x10001);
  const auto put = [&](const std::string& key, const std::string& value) {
    if (batch != nullptr) batch->Put("pairs", key, value);
    if (state != nullptr) state->pairs[key] = value;
  };
  const uint64_t kind = random.Uniform(200);
  if (kind < 80) {
    // The counter alone, below: the plain put.
  } else if (kind < 110) {
    for (uint64_t i = 1 + random.Uniform(5); i > 0; --i) {
      put("p" + std::to_string(random.Uniform(mix_.keys)), ValueOf(random.Next() >> 1));
    }
  } else if (kind < 130) {
    const std::string key = "p" + std::to_string(random.Uniform(mix_.keys));
    if (batch != nullptr) batch->Delete("pairs", key);
    if (state != nullptr) state->pairs.erase(key);
  } else if (kind < 160) {
    ARROW_RETURN_NOT_OK(
        InsertBoth(NumberRows(&random, mix_.keys, 1 + random.Uniform(20)), batch, state));
  } else if (kind < 170) {
    const auto lower = static_cast<int64_t>(random.Uniform(2 * mix_.keys));
    ARROW_RETURN_NOT_OK(
        DeleteBoth(lower, lower + static_cast<int64_t>(random.Uniform(40)), batch, state));
    ARROW_RETURN_NOT_OK(InsertBoth(NumberRows(&random, mix_.keys, 3), batch, state));
  } else if (kind < 200 - mix_.bulk_weight) {
    ARROW_RETURN_NOT_OK(AppendJournal(number, 1 + random.Uniform(3), batch, state));
  } else {
    ARROW_RETURN_NOT_OK(InsertBoth(NumberRows(&random, mix_.keys, mix_.bulk_rows), batch, state));
  }
  put(kCounter, CounterValue(number));
  return arrow::Status::OK();
}

arrow::Status CrashWorkload::Commit(uint64_t number) {
  return Commit(number, {.sync = IsSynced(number)});
}

arrow::Status CrashWorkload::Commit(uint64_t number, const WriteOptions& options) {
  WriteBatch batch;
  ARROW_RETURN_NOT_OK(Make(number, &batch, nullptr));
  // A commit of one put goes the shortest way.
  if (batch.count() == 1) return pairs_->Put(kCounter, CounterValue(number), options);
  return database_->Write(batch, options);
}

arrow::Status CrashWorkload::Advance(uint64_t number, CrashState* state) const {
  if (number < state->commit) {
    return arrow::Status::Invalid("commit ", number, " is the last one, but ", state->commit,
                                  " was there before");
  }
  while (state->commit < number) {
    ++state->commit;
    ARROW_RETURN_NOT_OK(Make(state->commit, nullptr, state));
  }
  return arrow::Status::OK();
}

arrow::Status CrashWorkload::CompareRows(const std::string& table,
                                         const std::vector<ModelRow>& rows) const {
  ARROW_ASSIGN_OR_RAISE(auto opened, Table::Open(database_, table));
  ARROW_ASSIGN_OR_RAISE(auto reader, opened->Scan());
  ARROW_ASSIGN_OR_RAISE(auto got, reader->ToTable());
  ARROW_RETURN_NOT_OK(got->ValidateFull());
  ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(opened->info().schema, rows));
  ARROW_ASSIGN_OR_RAISE(auto expected, arrow::Table::FromRecordBatches({batch}));
  if (got->Equals(*expected)) return arrow::Status::OK();
  return arrow::Status::Invalid("table '", table, "' has ", got->num_rows(), " rows, expected ",
                                expected->num_rows(), ", or they differ");
}

arrow::Status CrashWorkload::Compare(const CrashState& state) const {
  ARROW_RETURN_NOT_OK(CompareRows("left", ToRows(state.left)));
  ARROW_RETURN_NOT_OK(CompareRows("right", ToRows(state.right)));
  ARROW_RETURN_NOT_OK(CompareRows("journal", state.journal));
  ARROW_ASSIGN_OR_RAISE(auto iterator, pairs_->NewIterator());
  iterator->SeekToFirst();
  for (const auto& [key, value] : state.pairs) {
    ARROW_RETURN_NOT_OK(iterator->status());
    if (!iterator->Valid() || iterator->key() != key || iterator->value() != value) {
      return arrow::Status::Invalid("key '", key, "' is not there with its value; found ",
                                    iterator->Valid() ? iterator->key() : "nothing");
    }
    iterator->Next();
  }
  ARROW_RETURN_NOT_OK(iterator->status());
  if (iterator->Valid()) {
    return arrow::Status::Invalid("key '", iterator->key(), "' should not be there");
  }
  return arrow::Status::OK();
}

}  // namespace marble::test

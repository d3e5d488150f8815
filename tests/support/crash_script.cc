#include "support/crash_script.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include <marble/transfer.h>

#include "support/schema_steps.h"

namespace marble::test {
namespace {

constexpr char kLoaded[] = "loaded";
constexpr uint64_t kRowsPerLoad = 40;

std::vector<std::string> SplitWords(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::vector<ModelRow> RowsOfLoad(uint64_t load) {
  std::vector<ModelRow> rows;
  for (uint64_t i = 0; i < kRowsPerLoad; ++i) {
    const uint64_t key = load * kRowsPerLoad + i;
    rows.push_back({{"", static_cast<int64_t>(key)}, Mix(key) >> 1});
  }
  return rows;
}

}  // namespace

CrashSetting::CrashSetting(const std::string& words, uint64_t seed_of_script)
    : seed(seed_of_script) {
  mix.keys = 40;
  options.memory_budget = int64_t{4} << 20;
  options.memtable_bytes = int64_t{64} << 10;
  options.log_bytes_max = int64_t{192} << 10;
  options.log_segment_bytes = int64_t{64} << 10;
  options.target_file_bytes = int64_t{32} << 10;
  options.level_base_bytes = int64_t{64} << 10;
  options.use_mappings = seed % 2 == 0;
  options.background_threads = seed % 3 == 0 ? 2 : 1;
  for (const std::string& word : SplitWords(words)) {
    if (word == "tiny") {
      options.memtable_bytes = int64_t{4} << 10;
      options.target_file_bytes = int64_t{8} << 10;
      options.level_base_bytes = int64_t{16} << 10;
    } else if (word == "wide") {
      mix.tail_bytes = 8000;
    } else if (word == "bulk") {
      options.memtable_bytes = int64_t{16} << 10;
      mix.bulk_weight = 20;
      mix.bulk_rows = 400;
    } else if (word == "loads") {
      with_loads = true;
    }
  }
}

arrow::Status CarryOutLoad(const std::shared_ptr<Database>& database, uint64_t load, bool sync) {
  TableOptions options;
  options.primary_key = PrimaryKeyOf(Shape::kNumber);
  const auto schema = SchemaOf(Shape::kNumber, false);
  ARROW_RETURN_NOT_OK(database->CreateTable(kLoaded, schema, options));
  ARROW_ASSIGN_OR_RAISE(auto table, Table::Open(database, kLoaded));
  ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(schema, RowsOfLoad(load)));
  ARROW_ASSIGN_OR_RAISE(auto reader, arrow::RecordBatchReader::Make({batch}, schema));
  return BulkLoad(table, reader.get(), {.sync = sync}).status();
}

arrow::Result<uint64_t> CountLoads(const std::shared_ptr<Database>& database) {
  auto table = Table::Open(database, kLoaded);
  if (!table.ok()) return 0;
  ARROW_ASSIGN_OR_RAISE(auto reader, (*table)->Scan());
  ARROW_ASSIGN_OR_RAISE(auto got, reader->ToTable());
  const uint64_t loads = static_cast<uint64_t>(got->num_rows()) / kRowsPerLoad;
  std::vector<ModelRow> rows;
  for (uint64_t load = 1; load <= loads; ++load) {
    const std::vector<ModelRow> more = RowsOfLoad(load);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch((*table)->info().schema, rows));
  ARROW_ASSIGN_OR_RAISE(auto expected, arrow::Table::FromRecordBatches({batch}));
  if (got->Equals(*expected)) return loads;
  return arrow::Status::Invalid("table '", kLoaded, "' has ", got->num_rows(),
                                " rows, which are not the first loads");
}

CrashScript::CrashScript(std::string words, uint64_t seed, MemoryFileSystem* disk)
    : setting_(words, seed), words_(SplitWords(words)), disk_(disk), random_(seed) {}

CrashPromise CrashScript::promise() const {
  const std::lock_guard lock(mutex_);
  return promise_;
}

void CrashScript::PromiseAll() {
  Promise([](CrashPromise* promise) {
    promise->durable = promise->acknowledged;
    promise->durable_loads = promise->acknowledged_loads;
  });
}

arrow::Status CrashScript::Run() {
  ARROW_RETURN_NOT_OK(Open(Survives::kPowerLoss));
  for (const std::string& word : words_) ARROW_RETURN_NOT_OK(Take(word));
  return Close(/*cleanly=*/true);
}

arrow::Status CrashScript::Open(Survives survives) {
  Options options = setting_.options;
  options.file_system = disk_;
  ARROW_ASSIGN_OR_RAISE(database_, Database::Open(kCrashPath, options));
  workload_ = std::make_unique<CrashWorkload>(database_, setting_.seed, setting_.mix);
  prepared_ = false;
  ARROW_RETURN_NOT_OK(Prepare());
  ARROW_ASSIGN_OR_RAISE(const uint64_t last, workload_->LastCommit());
  ARROW_ASSIGN_OR_RAISE(const uint64_t loads, CountLoads(database_));
  const CrashPromise before = promise();
  ARROW_ASSIGN_OR_RAISE(const bool earlier, HoldsSchemaSteps(database_, before.schema_steps));
  ARROW_ASSIGN_OR_RAISE(const bool later, HoldsSchemaSteps(database_, before.begun_schema_steps));
  const bool power_lost = survives == Survives::kPowerLoss;
  if (last < (power_lost ? before.durable : before.acknowledged) || last > before.begun ||
      loads < (power_lost ? before.durable_loads : before.acknowledged_loads) ||
      loads > before.begun_loads || !(later || earlier)) {
    return arrow::Status::Invalid("opened with commit ", last, ", load ", loads,
                                  ", which is not what was promised");
  }
  // Recovery has made durable what it found.
  Promise([&](CrashPromise* promise) {
    promise->durable = promise->acknowledged = promise->begun = last;
    promise->durable_loads = promise->acknowledged_loads = promise->begun_loads = loads;
    if (later) promise->schema_steps = promise->begun_schema_steps;
    promise->begun_schema_steps = promise->schema_steps;
  });
  return arrow::Status::OK();
}

arrow::Status CrashScript::Prepare() {
  if (prepared_) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(workload_->Prepare());
  prepared_ = true;
  return arrow::Status::OK();
}

arrow::Status CrashScript::Close(bool cleanly) {
  snapshots_.clear();
  workload_.reset();
  if (database_ == nullptr) return arrow::Status::OK();
  if (!cleanly) disk_->FailNth(FileOp::kChange, 1, EIO, /*sticky=*/true);
  arrow::Status status = database_->Close();
  database_.reset();
  if (!cleanly) {
    disk_->ClearFaults();
    return arrow::Status::OK();
  }
  if (status.ok()) PromiseAll();
  return status;
}

arrow::Status CrashScript::Take(const std::string& word) {
  if (word == "schema") return TakeSchemaStep();
  if (word == "power") return FailPower();
  if (word == "release") return ReleaseSnapshot();
  if (word == "snapshot") {
    ARROW_ASSIGN_OR_RAISE(auto snapshot, database_->GetSnapshot());
    snapshots_.emplace_back(std::move(snapshot), promise().acknowledged);
    return arrow::Status::OK();
  }
  if (word == "reopen") {
    ARROW_RETURN_NOT_OK(Close(/*cleanly=*/true));
    return Open(Survives::kProcessEnd);
  }
  if (word == "stop") {
    ARROW_RETURN_NOT_OK(Close(/*cleanly=*/false));
    return Open(Survives::kProcessEnd);
  }
  if (word == "sync" || word == "flush" || word == "compact") {
    ARROW_RETURN_NOT_OK(word == "sync"    ? database_->SyncLog()
                        : word == "flush" ? database_->Flush()
                                          : database_->Compact());
    if (word != "compact") PromiseAll();
    // So that the order of operations is the same in every run, as far as one thread makes them.
    return database_->WaitForBackground();
  }
  for (int i = std::atoi(word.c_str()); i > 0; --i) ARROW_RETURN_NOT_OK(Commit());
  return arrow::Status::OK();
}

arrow::Status CrashScript::Commit() {
  ARROW_RETURN_NOT_OK(Prepare());
  const uint64_t number = promise().acknowledged + 1;
  if (setting_.with_loads && promise().acknowledged_loads < (number - 1) / kCommitsPerLoad) {
    ARROW_RETURN_NOT_OK(Load());
  }
  Promise([&](CrashPromise* promise) { promise->begun = number; });
  ARROW_RETURN_NOT_OK(workload_->Commit(number));
  Promise([&](CrashPromise* promise) { promise->acknowledged = number; });
  if (workload_->IsSynced(number)) PromiseAll();
  return arrow::Status::OK();
}

arrow::Status CrashScript::Load() {
  const uint64_t load = promise().acknowledged_loads + 1;
  Promise([&](CrashPromise* promise) { promise->begun_loads = load; });
  const bool sync = load % 2 == 0;
  ARROW_RETURN_NOT_OK(CarryOutLoad(database_, load, sync));
  Promise([&](CrashPromise* promise) { promise->acknowledged_loads = load; });
  if (sync) PromiseAll();
  return arrow::Status::OK();
}

arrow::Status CrashScript::TakeSchemaStep() {
  const int step = promise().schema_steps;
  Promise([&](CrashPromise* promise) { promise->begun_schema_steps = step + 1; });
  ARROW_RETURN_NOT_OK(marble::test::TakeSchemaStep(database_, step));
  Promise([&](CrashPromise* promise) { promise->schema_steps = step + 1; });
  // Steps are synced writes or as good as that, so they take all before them with them.
  PromiseAll();
  return arrow::Status::OK();
}

arrow::Status CrashScript::FailPower() {
  ARROW_RETURN_NOT_OK(Close(/*cleanly=*/false));
  disk_->LoseUnsynced(kLossPolicies[random_.Uniform(kLossPolicies.size())], random_.Next());
  return Open(Survives::kPowerLoss);
}

arrow::Status CrashScript::ReleaseSnapshot() {
  if (snapshots_.empty()) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const uint64_t seen, workload_->LastCommit(snapshots_.front().first));
  const uint64_t taken_at = snapshots_.front().second;
  snapshots_.erase(snapshots_.begin());
  if (seen == taken_at) return arrow::Status::OK();
  return arrow::Status::Invalid("a snapshot of commit ", taken_at, " shows commit ", seen);
}

}  // namespace marble::test

#include "support/model_runner.h"

#include <cstdio>
#include <filesystem>
#include <ostream>

#include <arrow/io/file.h>
#include <arrow/ipc/writer.h>

#include "io/memory_file_system.h"

namespace marble::test {
namespace {

constexpr size_t kSnapshotsHeld = 4;
constexpr size_t kAppendedRowsMax = 4000;

/// `status` with where it happened.
arrow::Status At(const arrow::Status& status, const std::string& where) {
  return status.ok() ? status : status.WithMessage(where, ": ", status.message());
}

}  // namespace

void PrintTo(const ModelConfig& config, std::ostream* out) { *out << config.name; }

std::string Describe(const ModelKey& key) {
  std::string out = "('";
  for (const char c : key.text.substr(0, 40)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      char hex[8];
      std::snprintf(hex, sizeof(hex), "\\x%02x", static_cast<unsigned char>(c));
      out += hex;
    }
  }
  return out + "', " + std::to_string(key.number) + ")";
}

const std::vector<ModelRunner::Step>& ModelRunner::Steps() {
  static const std::vector<Step> steps = {
      {2400, "put", &ModelRunner::Put},
      {60, "put many", &ModelRunner::PutMany},
      {700, "delete", &ModelRunner::DeleteOne},
      {60, "delete range of pairs", &ModelRunner::DeletePairs},
      {500, "insert", &ModelRunner::InsertRows},
      {40, "insert batches", &ModelRunner::InsertBatches},
      {6, "insert bulk", &ModelRunner::InsertBulk},
      {200, "delete rows", &ModelRunner::DeleteRows},
      {40, "delete range of rows", &ModelRunner::DeleteRangeOfRows},
      {300, "write across tables", &ModelRunner::WriteAcrossTables},
      {20, "refused writes", &ModelRunner::RefusedWrites},
      {3800, "get", &ModelRunner::Get},
      {300, "multi_get", &ModelRunner::MultiGet},
      {300, "get rows", &ModelRunner::GetRows},
      {250, "scan", &ModelRunner::Scan},
      {60, "count", &ModelRunner::Count},
      {250, "walk an iterator", &ModelRunner::WalkIterator},
      {30, "hold a reader", &ModelRunner::HoldReader},
      {30, "hold an iterator", &ModelRunner::HoldIterator},
      {40, "drain a held reader or iterator", &ModelRunner::DrainHeld},
      {20, "take a snapshot", &ModelRunner::TakeSnapshot},
      {6, "check a snapshot", &ModelRunner::CheckSnapshot},
      {20, "drop a snapshot", &ModelRunner::DropSnapshot},
      {8, "flush", &ModelRunner::Flush},
      {2, "compact", &ModelRunner::Compact},
      {2, "reopen", &ModelRunner::Reopen},
      {4, "recreate the append table", &ModelRunner::RecreateAppendTable},
  };
  return steps;
}

arrow::Status ModelRunner::Run(int64_t operations) {
  const std::string where = "model '" + config_.name + "', MARBLE_SEED=" + std::to_string(seed_);
  ARROW_RETURN_NOT_OK(At(Open(), where + ", first open"));
  uint64_t total = 0;
  for (const Step& step : Steps()) total += static_cast<uint64_t>(step.weight);
  for (int64_t i = 0; i < operations; ++i) {
    int64_t choice = static_cast<int64_t>(random_.Uniform(total));
    size_t chosen = 0;
    while ((choice -= Steps()[chosen].weight) >= 0) ++chosen;
    const Step& step = Steps()[chosen];
    if (config_.faulty_disk != nullptr) ArmFault();
    arrow::Status status = (this->*step.run)();
    if (!status.ok() && config_.faulty_disk != nullptr) status = GoOnAfter(status);
    ARROW_RETURN_NOT_OK(At(status, where + ", step " + std::to_string(i) + " (" + step.name + ")"));
  }
  if (config_.faulty_disk != nullptr) ARROW_RETURN_NOT_OK(At(OpenAfterFault(), where));
  ARROW_RETURN_NOT_OK(At(CheckAll(), where + ", at the end"));
  ARROW_RETURN_NOT_OK(At(Reopen(), where + ", last reopen"));
  return At(CheckAll(), where + ", after the last reopen");
}

arrow::Status ModelRunner::Open() {
  ARROW_ASSIGN_OR_RAISE(database_, Database::Open(path_, config_.options));
  static const std::array<const char*, kShapeCount> names = {"pairs", "numbers", "läufe", "events"};
  tables_.clear();
  for (int i = 0; i < kShapeCount; ++i) {
    ModelTable table{static_cast<Shape>(i), names[static_cast<size_t>(i)], nullptr, nullptr};
    table.schema = SchemaOf(table.shape, config_.binary_keys);
    TableOptions options = config_.table;
    options.primary_key = PrimaryKeyOf(table.shape);
    ARROW_RETURN_NOT_OK(database_->CreateTable(table.name, table.schema, options));
    ARROW_ASSIGN_OR_RAISE(table.table, Table::Open(database_, table.name));
    tables_.push_back(std::move(table));
  }
  ARROW_ASSIGN_OR_RAISE(pairs_, KeyValue::Open(database_, tables_[0].name));
  return arrow::Status::OK();
}

arrow::Status ModelRunner::Reopen() {
  // Readers and iterators are kept: they outlive the database they were made from.
  snapshots_.clear();
  pairs_.reset();
  for (ModelTable& table : tables_) table.table.reset();
  ARROW_RETURN_NOT_OK(database_->Close());
  database_.reset();
  ARROW_RETURN_NOT_OK(Open());
  return CheckAll();
}

arrow::Status ModelRunner::Flush() { return database_->Flush(); }

arrow::Status ModelRunner::Compact() {
  ARROW_RETURN_NOT_OK(database_->Compact(random_.OneIn(3) ? "" : RandomTable().name));
  return CheckTable(RandomTable(), {nullptr, &state_}, random_.OneIn(2));
}

arrow::Status ModelRunner::TakeSnapshot() {
  if (snapshots_.size() >= kSnapshotsHeld) return DropSnapshot();
  ARROW_ASSIGN_OR_RAISE(auto snapshot, database_->GetSnapshot());
  snapshots_.push_back({std::move(snapshot), state_});
  return arrow::Status::OK();
}

arrow::Status ModelRunner::CheckSnapshot() {
  if (snapshots_.empty()) return arrow::Status::OK();
  const HeldSnapshot& held = snapshots_[random_.Uniform(snapshots_.size())];
  return CheckTable(RandomTable(), {held.snapshot, &held.state}, random_.OneIn(2));
}

arrow::Status ModelRunner::DropSnapshot() {
  if (snapshots_.empty()) return arrow::Status::OK();
  snapshots_.erase(snapshots_.begin() + static_cast<int64_t>(random_.Uniform(snapshots_.size())));
  return arrow::Status::OK();
}

arrow::Status ModelRunner::RecreateAppendTable() {
  if (state_.appended.size() < kAppendedRowsMax) return arrow::Status::OK();
  // The oracle does not know a database without the table.
  if (config_.faulty_disk != nullptr) config_.faulty_disk->ClearFaults();
  ModelTable& events = tables_[static_cast<size_t>(Shape::kAppend)];
  // A snapshot of the dropped table would have to read a table that is no more.
  snapshots_.clear();
  ARROW_RETURN_NOT_OK(database_->DropTable(events.name));
  MODEL_CHECK(KindOf(events.table->Count().status()) == ErrorKind::kNotFound,
              "a read of a dropped table is not refused as not found");
  TableOptions options = config_.table;
  options.primary_key.clear();
  ARROW_RETURN_NOT_OK(database_->CreateTable(events.name, events.schema, options));
  ARROW_ASSIGN_OR_RAISE(events.table, Table::Open(database_, events.name));
  state_.appended.clear();
  return CheckTable(events, {nullptr, &state_}, false);
}

arrow::Status ModelRunner::CloseForInspection() {
  snapshots_.clear();
  readers_.clear();
  iterators_.clear();
  ARROW_RETURN_NOT_OK(database_->Compact());
  const std::filesystem::path folder = path_ + ".expected";
  std::filesystem::create_directories(folder);
  for (const ModelTable& table : tables_) {
    const auto file = folder / (table.name + ".arrow");
    ARROW_ASSIGN_OR_RAISE(auto out, arrow::io::FileOutputStream::Open(file.string()));
    ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeFileWriter(out, table.schema));
    std::vector<ModelRow> rows = state_.appended;
    if (table.shape != Shape::kAppend) {
      rows.clear();
      for (const auto& [key, payload] : state_.keyed[static_cast<size_t>(table.shape)]) {
        rows.push_back({key, payload});
      }
    }
    ARROW_ASSIGN_OR_RAISE(auto batch, BuildBatch(table.schema, rows));
    ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
    ARROW_RETURN_NOT_OK(writer->Close());
    ARROW_RETURN_NOT_OK(out->Close());
  }
  pairs_.reset();
  tables_.clear();
  return database_->Close();
}

ModelKey ModelRunner::RandomKey(Shape shape) {
  const uint64_t bound =
      random_.OneIn(2) ? std::min<uint64_t>(64, config_.key_count) : config_.key_count;
  return KeyOf(shape, random_.Uniform(bound), config_.binary_keys);
}

ModelRow ModelRunner::RandomRow(Shape shape) {
  if (shape == Shape::kAppend) return {{"", next_event_++}, random_.Next() >> 1};
  return {RandomKey(shape), random_.Next() >> 1};
}

std::vector<ModelRow> ModelRunner::RandomRows(Shape shape, uint64_t count) {
  std::vector<ModelRow> rows;
  rows.reserve(count);
  for (uint64_t i = 0; i < count; ++i) rows.push_back(RandomRow(shape));
  return rows;
}

ModelRange ModelRunner::RandomRange(Shape shape, const ModelRows& rows, bool narrow) {
  ModelRange range;
  if (!random_.OneIn(narrow ? 200 : 5)) {
    range.lower = RandomKey(shape);
    range.lower_is_prefix = shape == Shape::kComposite && random_.OneIn(narrow ? 100 : 4);
  }
  if (random_.OneIn(narrow ? 200 : 5)) return range;
  if (narrow && range.lower) {
    auto end = range.Begin(rows);
    for (uint64_t steps = random_.Uniform(30); steps > 0 && end != rows.end(); --steps) ++end;
    if (end != rows.end()) range.upper = end->first;
  }
  if (!range.upper) {
    if (narrow && range.lower) return range.upper = range.lower, range;
    range.upper = RandomKey(shape);
    range.upper_is_prefix = shape == Shape::kComposite && random_.OneIn(4);
  }
  return range;
}

ModelRunner::Moment ModelRunner::RandomMoment() {
  if (snapshots_.empty() || !random_.OneIn(6)) return {nullptr, &state_};
  const HeldSnapshot& held = snapshots_[random_.Uniform(snapshots_.size())];
  return {held.snapshot, &held.state};
}

WriteOptions ModelRunner::RandomWriteOptions() {
  WriteOptions options;
  // Where syncs fail, more of them: what becomes of a commit after it is what is to be seen.
  options.sync = random_.OneIn(config_.faulty_disk == nullptr ? 1000 : 20);
  return options;
}

}  // namespace marble::test

// Ways of getting many rows into a table, in one run: inserts of batches, an import of a Parquet
// file in pieces and at once, bulk loads of rows in random and in key order; and the export.
// Prints rows a second up to the return, and until everything is in files and compacted.
//
//   load_benchmark [ROWS]

#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>

#include <arrow/api.h>

#include <marble/transfer.h>

#include "support.h"

namespace marble::benchmark {
namespace {

constexpr int64_t kBatchRows = 64 * 1024;
const char kDirectory[] = "load_benchmark.tmp";
const std::string kFile = std::string(kDirectory) + "/rows.parquet";

void Check(const arrow::Status& status) {
  if (!status.ok()) Die(status.ToString());
}
template <typename T>
T Check(arrow::Result<T> result) {
  Check(result.status());
  return std::move(result).ValueUnsafe();
}

std::shared_ptr<arrow::Schema> EventSchema() {
  return arrow::schema({arrow::field("id", arrow::int64(), false),
                        arrow::field("ts", arrow::int64()), arrow::field("user", arrow::int64()),
                        arrow::field("amount", arrow::float64()),
                        arrow::field("note", arrow::utf8())});
}

/// Rows [first, first + rows), their keys ascending or scattered.
std::shared_ptr<arrow::RecordBatch> MakeBatch(int64_t first, int64_t rows, bool ascending) {
  arrow::Int64Builder id;
  arrow::Int64Builder ts;
  arrow::Int64Builder user;
  arrow::DoubleBuilder amount;
  arrow::StringBuilder note;
  for (int64_t i = first; i < first + rows; ++i) {
    const uint64_t bits = Scatter(static_cast<uint64_t>(i) + 1);
    Check(id.Append(ascending ? i : static_cast<int64_t>(bits >> 1)));
    Check(ts.Append(i));
    Check(user.Append(static_cast<int64_t>(bits % 100'000)));
    Check(amount.Append(static_cast<double>(bits % 10'000) / 100));
    Check(note.Append(KeyOf(static_cast<uint64_t>(i)) + "--------"));
  }
  return arrow::RecordBatch::Make(EventSchema(), rows,
                                  {Check(id.Finish()), Check(ts.Finish()), Check(user.Finish()),
                                   Check(amount.Finish()), Check(note.Finish())});
}

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

Batches MakeBatches(int64_t rows, bool ascending) {
  Batches batches;
  for (int64_t first = 0; first < rows; first += kBatchRows) {
    batches.push_back(MakeBatch(first, std::min(kBatchRows, rows - first), ascending));
  }
  return batches;
}

/// Times `load` into a new table.
void Measure(const std::string& name, int64_t rows,
             const std::function<void(const std::shared_ptr<Table>&)>& load) {
  const std::string path = std::string(kDirectory) + "/db";
  std::filesystem::remove_all(path);
  auto database = Check(Database::Open(path));
  Check(database->CreateTable("events", EventSchema(), {.primary_key = {"id"}}));
  auto table = Check(Table::Open(database, "events"));
  const double start = Now();
  load(table);
  const double returned = Now() - start;
  Check(database->Flush());
  Check(database->WaitForBackground());
  const double settled = Now() - start;
  if (Check(table->Count()) != rows) Die(name + ": rows are missing");
  const auto millions = static_cast<double>(rows) / 1e6;
  if (!std::filesystem::exists(kFile)) {
    const double begun = Now();
    Check(ExportFile(table, kFile).status());
    std::printf("%-34s %10.2f\n", "export to Parquet", millions / (Now() - begun));
  }
  std::printf("%-34s %10.2f %10.2f\n", name.c_str(), millions / returned, millions / settled);
}

void BulkLoadOf(const std::shared_ptr<Table>& table, const Batches& batches) {
  auto reader = Check(arrow::RecordBatchReader::Make(batches, EventSchema()));
  Check(BulkLoad(table, reader.get()).status());
}

void Run(int64_t rows) {
  std::filesystem::create_directory(kDirectory);
  std::printf("%-34s %10s %10s   (%lld rows)\n", "M rows/s", "returned", "settled",
              static_cast<long long>(rows));
  {
    const Batches batches = MakeBatches(rows, /*ascending=*/false);
    Measure("insert, batches of 64 Ki rows", rows, [&](const std::shared_ptr<Table>& table) {
      for (const auto& batch : batches) Check(table->Insert(batch));
    });
    Measure("bulk load, random order", rows,
            [&](const std::shared_ptr<Table>& table) { BulkLoadOf(table, batches); });
  }
  {
    const Batches batches = MakeBatches(rows, /*ascending=*/true);
    Measure("bulk load, key order", rows, [&](const std::shared_ptr<Table>& table) {  //
      BulkLoadOf(table, batches);
    });
  }
  for (const bool atomic : {false, true}) {
    Measure(atomic ? "import of Parquet, atomic" : "import of Parquet, in pieces", rows,
            [&](const std::shared_ptr<Table>& table) {
              Check(ImportFile(table, kFile, {.atomic = atomic}));
            });
  }
  std::filesystem::remove_all(kDirectory);
}

}  // namespace
}  // namespace marble::benchmark

int main(int argc, char** argv) {
  marble::benchmark::Run(argc > 1 ? std::stoll(argv[1]) : 5'000'000);
  return 0;
}

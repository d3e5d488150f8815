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

#include "events.h"
#include "support.h"

namespace marble::benchmark {
namespace {

constexpr int64_t kBatchRows = 64 * 1024;
const char kDirectory[] = "load_benchmark.tmp";
const std::string kFile = std::string(kDirectory) + "/rows.parquet";

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

Batches MakeBatches(int64_t rows, bool ascending) {
  Batches batches;
  for (int64_t first = 0; first < rows; first += kBatchRows) {
    batches.push_back(MakeEvents(first, std::min(kBatchRows, rows - first), ascending));
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

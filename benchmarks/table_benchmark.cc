// Marble's tables beside a memory-mapped Feather (Arrow IPC) file of the same rows, in one run:
// insert by batches in random key order, scan with every value touched, as loaded and compacted.
// Prints medians.
//
//   table_benchmark [ROWS] [ROUNDS]

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <arrow/io/api.h>
#include <arrow/ipc/api.h>

#include <marble/table.h>

#include "events.h"
#include "support.h"

namespace marble::benchmark {
namespace {

constexpr int64_t kBatchRows = 64 * 1024;
const char kDirectory[] = "table_benchmark.tmp";

/// Reads every byte of every buffer.
uint64_t Touch(const arrow::RecordBatch& batch) {
  uint64_t sum = 0;
  for (const auto& column : batch.column_data()) {
    for (const auto& buffer : column->buffers) {
      if (buffer == nullptr) continue;
      const auto* words = reinterpret_cast<const uint64_t*>(buffer->data());
      for (int64_t i = 0; i < buffer->size() / 8; ++i) sum += words[i];
    }
  }
  return sum;
}

/// Rows read; the sum keeps the compiler from leaving out the reading.
int64_t Drain(arrow::RecordBatchReader* reader, uint64_t* sum) {
  int64_t rows = 0;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    Check(reader->ReadNext(&batch));
    if (batch == nullptr) return rows;
    *sum += Touch(*batch);
    rows += batch->num_rows();
  }
}

class Run {
 public:
  explicit Run(int64_t rows) : rows_(rows) {}

  void Once() {
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    for (int64_t first = 0; first < rows_; first += kBatchRows) {
      batches.push_back(
          MakeEvents(first, std::min(kBatchRows, rows_ - first), /*ascending=*/false));
    }
    Feather(batches);
    MarbleTable(batches);
    if (sum_ == 1) std::printf("\n");
  }

  void Print() {
    std::printf("%-34s %14s\n", "workload", "M rows/s");
    for (const std::string& name : order_) {
      auto& values = figures_[name];
      std::sort(values.begin(), values.end());
      std::printf("%-34s %14.1f\n", name.c_str(), values[values.size() / 2]);
    }
  }

 private:
  void Note(const std::string& name, double seconds) {
    if (!figures_.contains(name)) order_.push_back(name);
    figures_[name].push_back(static_cast<double>(rows_) / seconds / 1e6);
  }

  void Feather(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
    const std::string path = std::string(kDirectory) + "/events.arrow";
    double start = Now();
    auto out = Check(arrow::io::FileOutputStream::Open(path));
    auto writer = Check(arrow::ipc::MakeFileWriter(out, EventSchema()));
    for (const auto& batch : batches) Check(writer->WriteRecordBatch(*batch));
    Check(writer->Close());
    Check(out->Close());
    Note("feather: write (no sync)", Now() - start);
    start = Now();
    auto file = Check(arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ));
    auto reader = Check(arrow::ipc::RecordBatchFileReader::Open(file));
    for (const char* name : {"feather: scan, mapped, first", "feather: scan, mapped"}) {
      for (int i = 0; i < reader->num_record_batches(); ++i) {
        sum_ += Touch(*Check(reader->ReadRecordBatch(i)));
      }
      Note(name, Now() - start);
      start = Now();
    }
  }

  void MarbleTable(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
    const std::string path = std::string(kDirectory) + "/db";
    std::filesystem::remove_all(path);
    auto database = Check(Database::Open(path));
    TableOptions options;
    options.primary_key = {"id"};
    Check(database->CreateTable("events", EventSchema(), options));
    auto table = Check(Table::Open(database, "events"));
    double start = Now();
    for (const auto& batch : batches) Check(table->Insert(batch));
    Check(database->Flush());
    Note("marble: insert_batch until durable", Now() - start);
    Check(database->WaitForBackground());
    Scan(table.get(), "marble: scan, as loaded");
    Check(database->Compact("events"));
    Scan(table.get(), "marble: scan, compacted, first");
    Scan(table.get(), "marble: scan, compacted");
    table.reset();
    Check(database->Close());
  }

  void Scan(Table* table, const std::string& name) {
    const double start = Now();
    if (Drain(Check(table->Scan()).get(), &sum_) != rows_) Die("a scan did not see every row once");
    Note(name, Now() - start);
  }

  const int64_t rows_;
  uint64_t sum_ = 0;
  std::vector<std::string> order_;
  std::map<std::string, std::vector<double>> figures_;
};

}  // namespace
}  // namespace marble::benchmark

int main(int argc, char** argv) {
  using marble::benchmark::Run;
  const int64_t rows = argc > 1 ? std::stoll(argv[1]) : 2'000'000;
  const int rounds = argc > 2 ? std::stoi(argv[2]) : 3;
  std::filesystem::create_directories(marble::benchmark::kDirectory);
  Run run(rows);
  for (int round = 0; round < rounds; ++round) run.Once();
  run.Print();
  std::filesystem::remove_all(marble::benchmark::kDirectory);
  return 0;
}

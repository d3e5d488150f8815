// Arrow IPC from outside, streams and files: imported, and read by Arrow and inserted as it is.

#include <memory>
#include <string>
#include <vector>

#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/memory_pool.h>

#include <marble/database.h>
#include <marble/table.h>
#include <marble/transfer.h>

#include "fuzz/archive.h"
#include "fuzz/fuzz_target.h"
#include "io/memory_file_system.h"

namespace marble::fuzz {

namespace {

constexpr char kPath[] = "/input.arrow";
constexpr char kName[] = "foreign";
constexpr int kInputsPerDatabase = 500;
/// What this program lets Arrow have where it reads without Marble: what the driver allows.
constexpr int64_t kArrowBytesMax = int64_t{48} << 20;

/// A database that is made anew now and then, so that dropped tables do not add up.
class Host {
 public:
  Host() {
    Options options;
    options.file_system = &fs_;
    options.memory_budget = 16 << 20;
    options.memtable_bytes = 256 << 10;
    options.log_segment_bytes = 256 << 10;
    options.background_threads = 1;
    auto opened = Database::Open("/db", options);
    FailUnlessOk(opened.status(), "opening");
    database_ = *std::move(opened);
  }
  ~Host() { FailUnlessOk(database_->Close(), "closing"); }

  static Host* Next() {
    static std::unique_ptr<Host> host;
    static int inputs = 0;
    if (inputs++ % kInputsPerDatabase == 0) {
      host.reset();
      host = std::make_unique<Host>();
    }
    return host.get();
  }

  void Import(std::string_view bytes) {
    static_cast<void>(fs_.Remove(kPath).ok());
    WriteFile(kPath, bytes, &fs_);
    const auto schema = ReadFileSchema(database_, kPath);
    if (!schema.ok()) return;
    for (const bool keyed : {false, true}) {
      if (!MakeTable(*schema, keyed)) continue;
      ImportOptions options;
      options.atomic = keyed;
      ImportResult result;
      static_cast<void>(ImportFile(table_, kPath, options, &result).ok());
      CheckRows(result.rows, /*exactly=*/!keyed);
      DropTable();
    }
  }

  void Insert(std::string_view bytes) {
    arrow::CappedMemoryPool pool(arrow::default_memory_pool(), kArrowBytesMax);
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.memory_pool = &pool;
    options.use_threads = false;
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(
        std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::string(bytes))),
        options);
    if (!reader.ok() || !MakeTable((*reader)->schema(), /*keyed=*/false)) return;
    int64_t rows = 0;
    while (true) {
      auto batch = (*reader)->Next();
      if (!batch.ok() || *batch == nullptr) break;
      if (table_->Insert(*batch).ok()) rows += (*batch)->num_rows();
    }
    CheckRows(rows, /*exactly=*/true);
    DropTable();
  }

 private:
  bool MakeTable(const std::shared_ptr<arrow::Schema>& schema, bool keyed) {
    TableOptions options;
    if (keyed && schema->num_fields() > 0) options.primary_key = {schema->field(0)->name()};
    if (!database_->CreateTable(kName, schema->RemoveMetadata(), options).ok()) return false;
    auto table = Table::Open(database_, kName);
    FailUnlessOk(table.status(), "opening a table that was created");
    table_ = *std::move(table);
    return true;
  }

  /// What was taken can be read, and is valid.
  void CheckRows(int64_t rows, bool exactly) {
    auto reader = table_->Scan();
    FailUnlessOk(reader.status(), "scanning");
    int64_t read = 0;
    while (true) {
      auto batch = (*reader)->Next();
      FailUnlessOk(batch.status(), "reading what was inserted");
      if (*batch == nullptr) break;
      FailUnlessOk((*batch)->ValidateFull(), "rows that were inserted");
      read += (*batch)->num_rows();
    }
    FailUnless(exactly ? read == rows : read <= rows, "another number of rows than was inserted");
  }

  void DropTable() {
    table_.reset();
    FailUnlessOk(database_->DropTable(kName), "dropping");
  }

  MemoryFileSystem fs_;
  std::shared_ptr<Database> database_;
  std::shared_ptr<Table> table_;
};

}  // namespace

const int kSecondsMax = 1;

/// No checksums in it.
void Reseal(std::string*) {}

}  // namespace marble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  marble::fuzz::Host* host = marble::fuzz::Host::Next();
  host->Import(bytes);
  host->Insert(bytes);
  return 0;
}

// All files of a database at once: dumped, verified, opened for reading and for writing, read to
// the last row, and repaired.

#include <charconv>
#include <map>
#include <memory>
#include <string>

#include <marble/database.h>
#include <marble/dump.h>
#include <marble/key_value.h>
#include <marble/repair.h>
#include <marble/table.h>
#include <marble/verify.h>

#include "fuzz/archive.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/seal.h"
#include "io/memory_file_system.h"
#include "tree/file_names.h"

namespace marble::fuzz {

namespace {

constexpr char kDirectory[] = "/db";
constexpr char kRepaired[] = "/repaired";

Options SmallOptions(FileSystem* fs, bool read_only) {
  Options options;
  options.file_system = fs;
  options.read_only = read_only;
  options.create_if_missing = false;
  options.memory_budget = 16 << 20;
  options.memtable_bytes = 64 << 10;
  options.log_segment_bytes = 64 << 10;
  options.background_threads = 1;
  return options;
}

void DumpAll(const Archive& files, FileSystem* fs) {
  for (const auto& [path, bytes] : files) {
    for (const bool json : {false, true}) {
      DumpOptions options;
      options.json = json;
      options.rows = json;
      options.file_system = fs;
      static_cast<void>(DumpFile(std::string(kDirectory) + "/" + path, options).ok());
    }
  }
}

/// Every row of every table; OK if all could be read.
arrow::Status ReadTable(const std::shared_ptr<Database>& database, const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(database, name));
  ARROW_ASSIGN_OR_RAISE(const auto reader, table->Scan());
  std::shared_ptr<arrow::RecordBatch> first;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto batch, reader->Next());
    if (batch == nullptr) break;
    ReadValues(*batch);
    if (first == nullptr && batch->num_rows() > 0) first = batch->Slice(0, 8);
  }
  // Forged keys need not be text, and what is none is not looked up.
  if (first != nullptr && !table->info().options.primary_key.empty() &&
      first->ValidateFull().ok()) {
    ARROW_RETURN_NOT_OK(table->Get(first).status());
  }
  if (!table->info().is_key_value) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto kv, KeyValue::Open(database, name));
  ARROW_ASSIGN_OR_RAISE(const auto iterator, kv->NewIterator());
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    ARROW_RETURN_NOT_OK(kv->Get(iterator->key()).status());
  }
  return iterator->status();
}

arrow::Status ReadAll(const std::shared_ptr<Database>& database) {
  ARROW_ASSIGN_OR_RAISE(const auto names, database->ListTables());
  arrow::Status first;
  for (const std::string& name : names) {
    const arrow::Status status = ReadTable(database, name);
    if (first.ok()) first = status;
  }
  return first;
}

arrow::Status OpenAndRead(FileSystem* fs, const std::string& directory, bool read_only) {
  ARROW_ASSIGN_OR_RAISE(const auto database,
                        Database::Open(directory, SmallOptions(fs, read_only)));
  const arrow::Status read = ReadAll(database);
  if (!read_only) {
    static_cast<void>(database->Compact().ok());
    static_cast<void>(ReadAll(database).ok());
  }
  static_cast<void>(database->Close().ok());
  return read;
}

}  // namespace

const int kSecondsMax = 1;

void Reseal(std::string* input) {
  Archive files = Unpack(*input);
  std::map<uint64_t, std::string> ssts;
  for (auto& [path, bytes] : files) {
    if (path.starts_with("wal/")) SealLog(&bytes);
    if (!path.starts_with("sst/")) continue;
    SealSst(&bytes);
    if (const auto number = ParseSstName(path.substr(4))) ssts[*number] = bytes;
  }
  size_t manifest_bytes = 0;
  for (auto& [path, bytes] : files) {
    if (!path.starts_with("MANIFEST")) continue;
    SealManifest(ssts, &bytes);
    manifest_bytes = bytes.size();
  }
  if (files.contains("CURRENT")) SealCurrent(manifest_bytes, &files["CURRENT"]);
  *input = Pack(files);
}

}  // namespace marble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace marble;        // NOLINT: extern "C" stands outside
  using namespace marble::fuzz;  // NOLINT
  const Archive files = Unpack({reinterpret_cast<const char*>(data), size});
  MemoryFileSystem fs;
  WriteFiles(files, kDirectory, &fs);
  DumpAll(files, &fs);
  VerifyOptions verify;
  verify.file_system = &fs;
  const auto report = VerifyDatabase(kDirectory, verify);
  const bool sound = report.ok() && report->ok();
  const arrow::Status read = OpenAndRead(&fs, kDirectory, /*read_only=*/true);
  if (sound && !IsIncompatibleFormat(read)) FailUnlessOk(read, "a database that is sound");
  RepairOptions repair;
  repair.file_system = &fs;
  if (RepairDatabase(kDirectory, kRepaired, repair).ok()) {
    FailUnlessOk(OpenAndRead(&fs, kRepaired, /*read_only=*/true), "a database that was repaired");
  }
  static_cast<void>(OpenAndRead(&fs, kDirectory, /*read_only=*/false).ok());
  return 0;
}

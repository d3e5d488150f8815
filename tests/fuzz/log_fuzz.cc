// Bytes of a log segment: the reader, the search behind damage, and the operations of its commits.

#include <memory>
#include <vector>

#include "base/coding.h"
#include "db/commit_record.h"
#include "fuzz/archive.h"
#include "fuzz/fuzz_tables.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/seal.h"
#include "io/memory_file_system.h"
#include "log/log_reader.h"
#include "row/batch_ops.h"
#include "row/stored_schema.h"
#include "tree/table_schemas.h"

namespace marble::fuzz {

namespace {

constexpr size_t kNumberAt = 32;
constexpr char kPath[] = "/000001.wal";

/// Those that rows in the log may be of.
const std::vector<std::shared_ptr<const StoredSchema>>& Schemas() {
  static const auto schemas = [] {
    std::vector<std::shared_ptr<const StoredSchema>> made;
    for (const Family family : kFamilies) {
      TableOptions options;
      options.primary_key = KeyOf(family);
      auto schema = StoredSchema::Make(SchemaOf(family), options);
      FailUnlessOk(schema.status(), "a schema of ours");
      made.push_back(*std::move(schema));
    }
    return made;
  }();
  return schemas;
}

void ReadOperation(const LoggedOperation& op) {
  if (op.kind == OperationKind::kCreateTable) {
    static_cast<void>(TableSchemas::Make(op.record).ok());
  }
  if (op.message == nullptr) return;
  for (const auto& schema : Schemas()) {
    const auto batch = DeserializeBatch(op.message, schema->stored_schema());
    if (!batch.ok()) continue;
    FailUnlessOk((*batch)->ValidateFull(), "rows that were taken for valid");
    static_cast<void>(schema->codec()->Encode(**batch).ok());
  }
}

void ReadRecord(const LogRecord& record, uint64_t size) {
  FailUnless(record.begin.offset < record.end.offset && record.end.offset <= size,
             "a record leaves the file");
  if (record.header.kind != LogRecordKind::kCommit) return;
  static_cast<void>(
      ReadCommitRecord(record.payload, record.header.count, [](const LoggedOperation& op) {
        ReadOperation(op);
        return arrow::Status::OK();
      }).ok());
}

}  // namespace

const int kSecondsMax = 1;

void Reseal(std::string* input) { SealLog(input); }

}  // namespace marble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace marble;        // NOLINT: extern "C" stands outside
  using namespace marble::fuzz;  // NOLINT
  MemoryFileSystem fs;
  WriteFile(kPath, {reinterpret_cast<const char*>(data), size}, &fs);
  const uint64_t number = size < 64 ? 1 : LoadLittle<uint64_t>(data + kNumberAt);
  auto file = fs.OpenReadable(kPath);
  FailUnlessOk(file.status(), "opening the input");
  auto reader = LogReader::Open(*file, kPath, LogFileKind::kSegment, nullptr, number);
  if (!reader.ok()) return 0;
  while (true) {
    auto record = (*reader)->Next();
    FailUnlessOk(record.status(), "reading on");
    if (*record == nullptr) break;
    ReadRecord(**record, size);
  }
  const uint64_t stop = (*reader)->stopped_at().offset;
  FailUnlessOk((*reader)->TornBytes(stop, 0).status(), "measuring the torn record");
  uint64_t offset = stop + 1;
  while (true) {
    auto record = (*reader)->FindAfter(offset);
    if (!record.ok() || *record == nullptr) break;
    FailUnless((*record)->begin.offset >= offset, "found in front of where it was looked for");
    ReadRecord(**record, size);
    offset = (*record)->end.offset;
  }
  return 0;
}

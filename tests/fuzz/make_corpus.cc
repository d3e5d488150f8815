// Writes the seeds of all targets, made from real files: make_corpus FOLDER. Run by
// tools/make_corpus.sh; docs/testing.md says when.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/compression.h>

#include <marble/database.h>
#include <marble/key_value.h>
#include <marble/table.h>

#include "base/coding.h"
#include "fuzz/archive.h"
#include "fuzz/fuzz_tables.h"
#include "io/memory_file_system.h"
#include "log/log_reader.h"
#include "support/damage.h"

namespace marble::fuzz {

namespace {

constexpr int kRows = 10;

/// Where seeds go.
class Corpus {
 public:
  explicit Corpus(std::filesystem::path root) : root_(std::move(root)) {}

  void Add(const std::string& target, const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(root_ / target);
    std::ofstream(root_ / target / name, std::ios::binary) << bytes;
    ++files_;
    bytes_ += bytes.size();
  }
  size_t files() const { return files_; }
  size_t bytes() const { return bytes_; }

 private:
  const std::filesystem::path root_;
  size_t files_ = 0;
  size_t bytes_ = 0;
};

Options SmallOptions(FileSystem* fs) {
  Options options;
  options.file_system = fs;
  options.log_segment_bytes = 64 << 10;
  options.auto_compaction = false;
  return options;
}

/// A log segment without the zeros behind its records.
std::string Trimmed(const std::string& bytes) {
  const size_t last = bytes.find_last_not_of('\0');
  const size_t end = last == std::string::npos ? 0 : last + 1;
  return bytes.substr(
      0, std::min(bytes.size(),
                  (end + kLogAlignment - 1) / kLogAlignment * kLogAlignment + kLogAlignment));
}

bool IsEmptyLog(const std::string& path, const std::string& bytes) {
  return path.starts_with("wal/") && bytes.find_first_not_of('\0', 64) == std::string::npos;
}

/// The files of a database, with paths below it; spare and empty log segments left out.
Archive FilesOf(FileSystem* fs) {
  Archive files;
  for (const auto& [path, bytes] : test::ReadDatabase(fs, "/db")) {
    const std::string below = path.substr(4);
    if (IsEmptyLog(below, bytes) || below.find("spare") != std::string::npos) continue;
    files[below] = below.starts_with("wal/") ? Trimmed(bytes) : bytes;
  }
  return files;
}

arrow::Status WriteRows(const std::shared_ptr<Database>& db, Family family, const std::string& name,
                        bool flush) {
  ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(db, name));
  ARROW_ASSIGN_OR_RAISE(const auto rows, RowsOf(family, 0, kRows));
  ARROW_RETURN_NOT_OK(table->Insert(rows));
  if (flush) ARROW_RETURN_NOT_OK(db->Flush());
  if (table->info().options.primary_key.empty()) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(const auto again, RowsOf(family, 3, 2));
  ARROW_RETURN_NOT_OK(table->Insert(again));
  ARROW_ASSIGN_OR_RAISE(const auto gone, RowsOf(family, 5, 1));
  ARROW_RETURN_NOT_OK(table->Delete(gone));
  ARROW_ASSIGN_OR_RAISE(const auto bound, again->column(0)->GetScalar(0));
  KeyRange range;
  range.upper = {bound};
  return table->DeleteRange(range);
}

TableOptions OptionsOf(Family family, Compression codec, bool keyed) {
  TableOptions options;
  if (keyed) options.primary_key = KeyOf(family);
  options.compression = codec;
  // Each codec with another way of looking up.
  options.point_lookup = static_cast<PointLookup>(2 - static_cast<int>(codec));
  options.block_rows_max = 4;
  return options;
}

/// SSTables of each family and codec.
arrow::Status AddSsts(Corpus* corpus) {
  for (const Family family : kFamilies) {
    for (const Compression codec : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
      MemoryFileSystem fs;
      ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open("/db", SmallOptions(&fs)));
      const bool keyed = family != Family::kNested || codec != Compression::kLz4;
      ARROW_RETURN_NOT_OK(
          db->CreateTable("table", SchemaOf(family), OptionsOf(family, codec, keyed)));
      ARROW_RETURN_NOT_OK(WriteRows(db, family, "table", /*flush=*/true));
      ARROW_RETURN_NOT_OK(db->Close());
      for (const auto& [path, bytes] : FilesOf(&fs)) {
        if (!path.starts_with("sst/")) continue;
        corpus->Add("sst",
                    std::string(NameOf(family)) + std::to_string(static_cast<int>(codec)) + "-" +
                        path.substr(path.size() - 8, 2),
                    bytes);
      }
    }
  }
  return arrow::Status::OK();
}

/// Each payload of a manifest's records by itself.
arrow::Status AddEdits(const std::string& manifest, const std::string& name, Corpus* corpus) {
  MemoryFileSystem fs;
  WriteFile("/m", manifest, &fs);
  ARROW_ASSIGN_OR_RAISE(auto file, fs.OpenReadable("/m"));
  const auto number = LoadLittle<uint64_t>(manifest.data() + 32);
  ARROW_ASSIGN_OR_RAISE(auto reader,
                        LogReader::Open(file, "/m", LogFileKind::kManifest, nullptr, number));
  for (int i = 0;; ++i) {
    ARROW_ASSIGN_OR_RAISE(const auto record, reader->Next());
    if (record == nullptr) return arrow::Status::OK();
    if (record->payload->size() > 0) {
      corpus->Add("manifest", name + "-edit" + std::to_string(i), record->payload->ToString());
    }
  }
}

/// One database of all that log and manifest know: closed, or of a process that died.
arrow::Status AddDatabase(bool clean, Corpus* corpus) {
  MemoryFileSystem fs;
  ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open("/db", SmallOptions(&fs)));
  ARROW_ASSIGN_OR_RAISE(const auto kv, KeyValue::Open(db));
  for (const Family family : kFamilies) {
    ARROW_RETURN_NOT_OK(
        db->CreateTable(NameOf(family), SchemaOf(family),
                        OptionsOf(family, static_cast<Compression>(static_cast<int>(family) % 3),
                                  family != Family::kConverted || clean)));
    if (family == Family::kNumbers || family == Family::kTexts || !clean) {
      ARROW_RETURN_NOT_OK(WriteRows(db, family, NameOf(family), /*flush=*/false));
    }
    if (family == Family::kNumbers) {
      ARROW_RETURN_NOT_OK(db->Flush());
      SchemaChange change;
      change.Add(arrow::field("added", arrow::int16())).Drop("ratio");
      ARROW_RETURN_NOT_OK(db->AlterTable(NameOf(family), change));
    }
  }
  ARROW_RETURN_NOT_OK(kv->Put("key", "value"));
  ARROW_RETURN_NOT_OK(kv->Delete("absent"));
  ARROW_RETURN_NOT_OK(kv->DeleteRange("a", "b"));
  ARROW_RETURN_NOT_OK(db->DropTable(NameOf(Family::kNested)));
  ARROW_RETURN_NOT_OK(clean ? db->Close() : db->SyncLog());
  if (!clean) fs.LoseUnsynced(LossPolicy::kKeepAll, 1);
  const Archive files = FilesOf(&fs);
  const std::string name = clean ? "closed" : "died";
  corpus->Add("database", name, Pack(files));
  for (const auto& [path, bytes] : files) {
    if (path.starts_with("wal/")) corpus->Add("log", name + path.substr(4), bytes);
    if (path.starts_with("sst/")) continue;
    if (path == "CURRENT") corpus->Add("manifest", name + "-CURRENT", bytes);
    if (!path.starts_with("MANIFEST")) continue;
    corpus->Add("manifest", name, bytes);
    ARROW_RETURN_NOT_OK(AddEdits(bytes, name, corpus));
  }
  return arrow::Status::OK();
}

/// A log segment for each family, so that mutations meet each kind of column near its front.
arrow::Status AddLogs(Corpus* corpus) {
  for (const Family family : kFamilies) {
    MemoryFileSystem fs;
    ARROW_ASSIGN_OR_RAISE(const auto db, Database::Open("/db", SmallOptions(&fs)));
    const std::string name = NameOf(family);
    ARROW_RETURN_NOT_OK(
        db->CreateTable(name, SchemaOf(family), OptionsOf(family, Compression::kNone, true)));
    ARROW_RETURN_NOT_OK(WriteRows(db, family, name, /*flush=*/false));
    ARROW_RETURN_NOT_OK(db->SyncLog());
    for (const auto& [path, bytes] : FilesOf(&fs)) {
      if (path.starts_with("wal/")) corpus->Add("log", name, bytes);
    }
    ARROW_RETURN_NOT_OK(db->Close());
  }
  return arrow::Status::OK();
}

arrow::Result<std::string> IpcBytes(const std::shared_ptr<arrow::RecordBatch>& batch, bool stream,
                                    arrow::Compression::type codec) {
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create());
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  if (codec != arrow::Compression::UNCOMPRESSED) {
    ARROW_ASSIGN_OR_RAISE(options.codec, arrow::util::Codec::Create(codec));
  }
  ARROW_ASSIGN_OR_RAISE(auto writer,
                        stream ? arrow::ipc::MakeStreamWriter(sink, batch->schema(), options)
                               : arrow::ipc::MakeFileWriter(sink, batch->schema(), options));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch->Slice(2, 3)));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(const auto bytes, sink->Finish());
  return bytes->ToString();
}

arrow::Status AddIpc(Corpus* corpus) {
  for (const Family family : kFamilies) {
    ARROW_ASSIGN_OR_RAISE(const auto rows, RowsOf(family, 0, kRows));
    for (const bool stream : {true, false}) {
      for (const auto codec : {arrow::Compression::UNCOMPRESSED, arrow::Compression::LZ4_FRAME,
                               arrow::Compression::ZSTD}) {
        ARROW_ASSIGN_OR_RAISE(const std::string bytes, IpcBytes(rows, stream, codec));
        corpus->Add("ipc",
                    std::string(NameOf(family)) + (stream ? "-stream-" : "-file-") +
                        arrow::util::Codec::GetCodecAsString(codec),
                    bytes);
      }
    }
  }
  return arrow::Status::OK();
}

/// Keys as wide as those of the ten schemas in key_fuzz.cc, with bytes of every kind.
void AddKeys(Corpus* corpus) {
  constexpr size_t kWidths[] = {12, 12, 10, 10, 14, 48, 12, 9, 5, 36};
  std::mt19937_64 random(1);
  for (size_t schema = 0; schema < std::size(kWidths); ++schema) {
    std::string bytes(1, static_cast<char>(schema));
    for (int key = 0; key < 8; ++key) {
      std::string text(kWidths[schema], '\0');
      for (char& c : text) c = static_cast<char>(key == 0 ? 0 : random() % 256);
      // The end of a string that other columns follow.
      if (schema == 1 || schema == 2) text.replace(2, 2, std::string("\0\1", 2));
      if (key == 1 && schema == 2) text.replace(0, 2, std::string("\0\xFF", 2));
      bytes += static_cast<char>(text.size());
      bytes += text;
    }
    corpus->Add("key", "schema" + std::to_string(schema), bytes);
  }
}

void AddPrograms(Corpus* corpus) {
  std::mt19937_64 random(2);
  for (int program = 0; program < 16; ++program) {
    std::string bytes(1, static_cast<char>(11 * program));
    for (int i = 0; i < 60 + 16 * program; ++i) bytes += static_cast<char>(random() % 256);
    corpus->Add("operations", "program" + std::to_string(program), bytes);
  }
}

arrow::Status Make(const std::filesystem::path& root) {
  Corpus corpus(root);
  ARROW_RETURN_NOT_OK(AddSsts(&corpus));
  for (const bool clean : {false, true}) ARROW_RETURN_NOT_OK(AddDatabase(clean, &corpus));
  ARROW_RETURN_NOT_OK(AddLogs(&corpus));
  ARROW_RETURN_NOT_OK(AddIpc(&corpus));
  AddKeys(&corpus);
  AddPrograms(&corpus);
  std::printf("%zu files of %zu bytes in %s\n", corpus.files(), corpus.bytes(),
              root.string().c_str());
  return arrow::Status::OK();
}

}  // namespace

}  // namespace marble::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  const arrow::Status status = marble::fuzz::Make(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

#include "support/golden_content.h"

#include <algorithm>

#include <marble/key_value.h>
#include <marble/table.h>

#include "support/test_database.h"

namespace marble::test {

namespace {

constexpr int kRows = 400;

/// Every family of types, stored as themselves and as others.
std::shared_ptr<arrow::Schema> WideSchema() {
  using namespace arrow;  // NOLINT: names of types only
  return schema({
      field("region", int32(), false),
      field("name", utf8(), false),
      field("flag", boolean()),
      field("small", uint8()),
      field("ratio", float64()),
      field("price", decimal128(12, 2)),
      field("day", date32()),
      field("moment", timestamp(TimeUnit::MICRO, "UTC")),
      field("raw", binary()),
      field("fixed", fixed_size_binary(3)),
      field("view", utf8_view()),
      field("color", dictionary(int8(), utf8())),
      field("list", list(int16())),
      field("pair", struct_({field("x", int64()), field("y", utf8())})),
      field("map", map(utf8(), int32())),
  });
}

std::string Text(const std::string& text) { return "\"" + text + "\""; }

/// Row i of the wide tables, one JSON value a column; `version` changes what is no key.
std::vector<std::string> WideRow(int i, int version) {
  const int n = i + 1000 * version;
  const bool null = i % 11 == 5;
  const auto or_null = [&](const std::string& text) { return null ? "null" : text; };
  return {
      std::to_string(i / 40 - 3),
      Text("name " + std::to_string(1000 + i % 40)),
      or_null(n % 2 == 0 ? "true" : "false"),
      or_null(std::to_string(n % 256)),
      or_null(std::to_string(n) + ".25"),
      or_null(Text(std::to_string(n) + ".50")),
      or_null(std::to_string(n)),
      or_null(std::to_string(int64_t{n} * 1000003)),
      or_null(Text("raw" + std::to_string(n))),
      or_null(Text(std::to_string(100 + n % 900))),
      or_null(Text("a view that is longer than its inline bytes " + std::to_string(n))),
      or_null(Text(n % 3 == 0   ? "red"
                   : n % 3 == 1 ? "green"
                                : "blue")),
      or_null("[" + std::to_string(n % 100) + ", null, 7]"),
      or_null("{\"x\": " + std::to_string(n) + ", \"y\": null}"),
      or_null("[[\"k\", " + std::to_string(n) + "]]"),
  };
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> WideBatch(
    const std::vector<std::pair<int, int>>& rows) {
  const auto schema = WideSchema();
  std::vector<std::string> columns(static_cast<size_t>(schema->num_fields()), "[");
  for (const auto& [i, version] : rows) {
    const auto values = WideRow(i, version);
    for (size_t c = 0; c < columns.size(); ++c) {
      columns[c] += (columns[c].size() > 1 ? "," : "") + values[c];
    }
  }
  for (std::string& column : columns) column += "]";
  return BatchFromJson(schema, columns);
}

std::vector<std::pair<int, int>> Range(int begin, int end, int version) {
  std::vector<std::pair<int, int>> rows;
  for (int i = begin; i < end; ++i) rows.emplace_back(i, version);
  return rows;
}

std::string PairKey(int i) { return "key" + std::to_string(10000 + i); }

arrow::Status WritePairs(KeyValue* kv, Database* db) {
  for (int i = 0; i < kRows; ++i) {
    ARROW_RETURN_NOT_OK(kv->Put(PairKey(i), "first " + std::to_string(i)));
  }
  ARROW_RETURN_NOT_OK(db->Flush());
  ARROW_RETURN_NOT_OK(kv->DeleteRange(PairKey(100), PairKey(150)));
  for (int i = 90; i < 110; ++i) ARROW_RETURN_NOT_OK(kv->Put(PairKey(i), "second"));
  ARROW_RETURN_NOT_OK(kv->Delete(PairKey(3)));
  return db->Flush();
}

struct WideTable {
  const char* name;
  Compression compression;
  PointLookup lookup;
};
constexpr WideTable kWideTables[] = {
    {"keyed_none", Compression::kNone, PointLookup::kPointIndex},
    {"keyed_lz4", Compression::kLz4, PointLookup::kBloomFilter},
    {"keyed_zstd", Compression::kZstd, PointLookup::kNone},
};

arrow::Status WriteWide(Table* table, Database* db) {
  ARROW_ASSIGN_OR_RAISE(const auto first, WideBatch(Range(0, kRows, 0)));
  ARROW_RETURN_NOT_OK(table->Insert(first));
  ARROW_RETURN_NOT_OK(db->Flush());
  ARROW_ASSIGN_OR_RAISE(const auto second, WideBatch(Range(100, 120, 1)));
  ARROW_RETURN_NOT_OK(table->Insert(second));
  ARROW_ASSIGN_OR_RAISE(const auto deleted, WideBatch(Range(110, 115, 0)));
  ARROW_RETURN_NOT_OK(table->Delete(deleted));
  // Region -1 and what follows in it: rows 80 to 119.
  KeyRange range;
  range.lower = {arrow::MakeScalar(int32_t{-1})};
  range.upper = {arrow::MakeScalar(int32_t{-1}), arrow::MakeScalar("name 1010")};
  ARROW_RETURN_NOT_OK(table->DeleteRange(range));
  return db->Flush();
}

/// What stays in the log alone.
arrow::Status WriteLog(KeyValue* kv, Database* db) {
  ARROW_RETURN_NOT_OK(kv->Put("logged", "put"));
  ARROW_RETURN_NOT_OK(kv->Delete(PairKey(5)));
  ARROW_RETURN_NOT_OK(kv->DeleteRange(PairKey(200), PairKey(210)));
  ARROW_ASSIGN_OR_RAISE(const auto keyed, Table::Open(db->shared_from_this(), "keyed_none"));
  ARROW_ASSIGN_OR_RAISE(const auto rows, WideBatch(Range(kRows, kRows + 5, 2)));
  ARROW_RETURN_NOT_OK(keyed->Insert(rows));
  ARROW_ASSIGN_OR_RAISE(const auto deleted, WideBatch(Range(0, 3, 0)));
  ARROW_RETURN_NOT_OK(keyed->Delete(deleted));
  ARROW_RETURN_NOT_OK(db->CreateTable("logged_table", WideSchema()));
  ARROW_ASSIGN_OR_RAISE(const auto logged, Table::Open(db->shared_from_this(), "logged_table"));
  ARROW_RETURN_NOT_OK(logged->Insert(rows));
  return db->SyncLog();
}

arrow::Status Write(const std::shared_ptr<Database>& db) {
  ARROW_ASSIGN_OR_RAISE(const auto kv, KeyValue::Open(db));
  ARROW_RETURN_NOT_OK(WritePairs(kv.get(), db.get()));
  for (const WideTable& wide : kWideTables) {
    TableOptions options;
    options.primary_key = {"region", "name"};
    options.compression = wide.compression;
    options.point_lookup = wide.lookup;
    options.block_rows_max = 100;
    ARROW_RETURN_NOT_OK(db->CreateTable(wide.name, WideSchema(), options));
    ARROW_ASSIGN_OR_RAISE(const auto table, Table::Open(db, wide.name));
    ARROW_RETURN_NOT_OK(WriteWide(table.get(), db.get()));
  }
  // One table in the deepest form: one run, no deletes, no sequences.
  ARROW_RETURN_NOT_OK(db->Compact("keyed_zstd"));
  ARROW_RETURN_NOT_OK(db->CreateTable("journal", WideSchema()));
  ARROW_ASSIGN_OR_RAISE(const auto journal, Table::Open(db, "journal"));
  ARROW_ASSIGN_OR_RAISE(const auto rows, WideBatch(Range(0, 50, 3)));
  ARROW_RETURN_NOT_OK(journal->Insert(rows));
  ARROW_RETURN_NOT_OK(db->Flush());
  // Larger than a memtable: written as a file that the log attaches.
  ARROW_ASSIGN_OR_RAISE(const auto many, WideBatch(Range(0, 300, 4)));
  ARROW_RETURN_NOT_OK(journal->Insert(many));
  ARROW_RETURN_NOT_OK(db->CreateTable("dropped", WideSchema()));
  ARROW_RETURN_NOT_OK(db->DropTable("dropped"));
  return WriteLog(kv.get(), db.get());
}

}  // namespace

arrow::Result<FileBytes> MakeGoldenDatabase() {
  MemoryFileSystem fs;
  Options options;
  options.file_system = &fs;
  options.log_segment_bytes = 64 * 1024;
  options.memtable_bytes = 32 * 1024;
  options.auto_compaction = false;
  ARROW_ASSIGN_OR_RAISE(auto db, Database::Open("/db", options));
  ARROW_RETURN_NOT_OK(Write(db));
  ARROW_RETURN_NOT_OK(db->WaitForBackground());
  fs.FailNth(FileOp::kChange, 1, arrow::Status::IOError("the process is dead"), /*sticky=*/true);
  const arrow::Status dead = db->Close();
  if (dead.ok()) return arrow::Status::Invalid("the process has closed its database");
  db.reset();
  fs.ClearFaults();
  FileBytes files = ReadDatabase(&fs, "/db");
  std::erase_if(files, [](const auto& file) {
    const auto& [path, bytes] = file;
    // Segments made ahead hold nothing but a header; spare ones are never read.
    const bool empty_log = path.find("/wal/") != std::string::npos &&
                           bytes.find_first_not_of('\0', 64) == std::string::npos;
    const bool spare = path.find("/wal/spare-") != std::string::npos;
    return spare || empty_log;
  });
  return files;
}

std::map<std::string, std::string> GoldenPairs() {
  std::map<std::string, std::string> pairs;
  for (int i = 0; i < kRows; ++i) {
    if (i == 3 || i == 5 || (i >= 110 && i < 150) || (i >= 200 && i < 210)) continue;
    pairs[PairKey(i)] = i >= 90 && i < 110 ? "second" : "first " + std::to_string(i);
  }
  pairs["logged"] = "put";
  return pairs;
}

arrow::Result<std::map<std::string, std::shared_ptr<arrow::RecordBatch>>> GoldenRows() {
  std::map<std::string, std::shared_ptr<arrow::RecordBatch>> tables;
  // Region -1 is rows 80 to 119; its first ten names, rows 80 to 89, are deleted.
  std::vector<std::pair<int, int>> keyed = Range(0, 80, 0);
  const auto add = [&keyed](int begin, int end, int version) {
    const auto rows = Range(begin, end, version);
    keyed.insert(keyed.end(), rows.begin(), rows.end());
  };
  add(90, 100, 0);
  add(100, 110, 1);
  add(115, 120, 1);
  add(120, kRows, 0);
  ARROW_ASSIGN_OR_RAISE(tables["keyed_lz4"], WideBatch(keyed));
  tables["keyed_zstd"] = tables["keyed_lz4"];
  keyed.erase(keyed.begin(), keyed.begin() + 3);
  add(kRows, kRows + 5, 2);
  ARROW_ASSIGN_OR_RAISE(tables["keyed_none"], WideBatch(keyed));
  std::vector<std::pair<int, int>> journal = Range(0, 50, 3);
  const auto many = Range(0, 300, 4);
  journal.insert(journal.end(), many.begin(), many.end());
  ARROW_ASSIGN_OR_RAISE(tables["journal"], WideBatch(journal));
  ARROW_ASSIGN_OR_RAISE(tables["logged_table"], WideBatch(Range(kRows, kRows + 5, 2)));
  return tables;
}

}  // namespace marble::test

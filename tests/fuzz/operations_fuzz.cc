// A program of calls, one or a few bytes each, on a database and on maps beside it: every answer
// must be the same. Flushes, compactions, reopenings and deaths of the process are among the calls.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/api.h>

#include <marble/database.h>
#include <marble/key_value.h>
#include <marble/table.h>
#include <marble/write_batch.h>

#include "fuzz/fuzz_target.h"
#include "io/memory_file_system.h"

namespace marble::fuzz {

namespace {

constexpr size_t kCallsMax = 150;
constexpr int kBulkRows = 200;

/// The bytes of the program; zeros behind its end.
class Program {
 public:
  Program(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool ended() const { return at_ == end_; }
  uint8_t Byte() { return at_ == end_ ? 0 : *at_++; }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

using Pairs = std::map<std::string, std::string>;
using Rows = std::map<int64_t, std::string>;

class Machine {
 public:
  explicit Machine(Program* program) : program_(program) {
    const uint8_t shape = program->Byte();
    table_options_.compression = static_cast<Compression>(shape % 3);
    table_options_.point_lookup = static_cast<PointLookup>(shape / 3 % 3);
    table_options_.block_rows_max = 4 + shape % 7;
    options_.file_system = &fs_;
    options_.memory_budget = 8 << 20;
    options_.memtable_bytes = 32 << 10;
    options_.log_segment_bytes = 64 << 10;
    options_.target_file_bytes = 16 << 10;
    options_.level_base_bytes = 32 << 10;
    options_.background_threads = 1;
    options_.use_mappings = shape % 2 == 0;
    options_.auto_compaction = shape < 128;
    Open();
  }
  ~Machine() { FailUnlessOk(database_->Close(), "closing"); }

  void Run() {
    for (size_t calls = 0; calls < kCallsMax && !program_->ended(); ++calls) Step();
    Compare();
    Reopen();
    Compare();
  }

 private:
  void Open() {
    auto opened = Database::Open("/db", options_);
    FailUnlessOk(opened.status(), "opening");
    database_ = *std::move(opened);
    TableOptions pairs = table_options_;
    pairs.primary_key = {"key"};
    FailUnlessOk(database_->CreateTable("pairs",
                                        arrow::schema({arrow::field("key", arrow::binary(), false),
                                                       arrow::field("value", arrow::binary())}),
                                        pairs),
                 "creating");
    TableOptions rows = table_options_;
    rows.primary_key = {"id"};
    FailUnlessOk(database_->CreateTable("rows", RowSchema(), rows), "creating");
    auto kv = KeyValue::Open(database_, "pairs");
    auto table = Table::Open(database_, "rows");
    FailUnlessOk(kv.status(), "opening a table");
    FailUnlessOk(table.status(), "opening a table");
    kv_ = *std::move(kv);
    table_ = *std::move(table);
  }

  void Reopen() {
    Release();
    FailUnlessOk(database_->Close(), "closing");
    database_.reset();
    Open();
  }

  /// The process dies: everything that was written is on the device.
  void Die() {
    fs_.LoseUnsynced(LossPolicy::kKeepAll, 1);
    Release();
    static_cast<void>(database_->Close().ok());
    database_.reset();
    Open();
  }

  void Release() {
    snapshot_.reset();
    kv_.reset();
    table_.reset();
  }

  static std::shared_ptr<arrow::Schema> RowSchema() {
    return arrow::schema({arrow::field("id", arrow::int64(), false),
                          arrow::field("text", arrow::utf8()),
                          arrow::field("id_again", arrow::int64())});
  }

  static std::shared_ptr<arrow::RecordBatch> Batch(
      const std::vector<std::pair<int64_t, std::string>>& rows) {
    arrow::Int64Builder ids;
    arrow::StringBuilder texts;
    for (const auto& [id, text] : rows) {
      FailUnlessOk(ids.Append(id), "building");
      FailUnlessOk(texts.Append(text), "building");
    }
    const auto id_array = ids.Finish().ValueOrDie();
    return arrow::RecordBatch::Make(RowSchema(), static_cast<int64_t>(rows.size()),
                                    {id_array, texts.Finish().ValueOrDie(), id_array});
  }

  std::string Key() {
    const uint8_t byte = program_->Byte();
    return std::string(byte % 3, 'k') + static_cast<char>(byte);
  }
  int64_t Id() { return static_cast<int8_t>(program_->Byte()); }
  std::string Value() {
    const uint8_t byte = program_->Byte();
    return std::string(byte < 250 ? byte % 16 : 5000, static_cast<char>('a' + byte % 26));
  }

  void Step() {
    switch (program_->Byte() % 16) {
      case 0:
      case 1: {
        const std::string key = Key();
        pairs_[key] = Value();
        FailUnlessOk(kv_->Put(key, pairs_[key]), "put");
        break;
      }
      case 2: {
        const std::string key = Key();
        pairs_.erase(key);
        FailUnlessOk(kv_->Delete(key), "delete");
        break;
      }
      case 3:
        DeletePairs();
        break;
      case 4:
        GetPair();
        break;
      case 5:
        FailUnlessOk(database_->Flush(), "flush");
        break;
      case 6:
        FailUnlessOk(database_->Compact(), "compact");
        break;
      case 7:
        Reopen();
        break;
      case 8:
        WriteBoth();
        break;
      case 9:
      case 10:
        InsertRows();
        break;
      case 11:
        DeleteRows();
        break;
      case 12:
        ScanPart();
        break;
      case 13:
        TakeOrCheckSnapshot();
        break;
      case 14:
        PutBulk();
        break;
      default:
        program_->Byte() % 4 == 0 ? Die() : Compare();
        break;
    }
  }

  void DeletePairs() {
    std::string begin = Key();
    std::string end = Key();
    if (end < begin) std::swap(begin, end);
    pairs_.erase(pairs_.lower_bound(begin), pairs_.lower_bound(end));
    FailUnlessOk(kv_->DeleteRange(begin, end), "delete range");
  }

  void GetPair() {
    const std::string key = Key();
    const auto got = kv_->Get(key);
    FailUnlessOk(got.status(), "get");
    const auto found = pairs_.find(key);
    const auto expected =
        found == pairs_.end() ? std::nullopt : std::optional<std::string>(found->second);
    FailUnless(*got == expected, "get gives another value");
  }

  void WriteBoth() {
    WriteBatch batch;
    const std::string key = Key();
    const int64_t id = Id();
    const std::string value = Value();
    batch.Put("pairs", key, value);
    batch.Insert("rows", Batch({{id, value}}));
    pairs_[key] = value;
    rows_[id] = value;
    FailUnlessOk(database_->Write(batch), "write");
  }

  void InsertRows() {
    std::vector<std::pair<int64_t, std::string>> rows;
    for (int count = 1 + program_->Byte() % 8; count > 0; --count) {
      rows.emplace_back(Id(), Value());
      rows_[rows.back().first] = rows.back().second;
    }
    FailUnlessOk(table_->Insert(Batch(rows)), "insert");
  }

  void DeleteRows() {
    int64_t begin = Id();
    int64_t end = Id();
    if (end < begin) std::swap(begin, end);
    rows_.erase(rows_.lower_bound(begin), rows_.lower_bound(end));
    KeyRange range;
    range.lower = {arrow::MakeScalar(begin)};
    range.upper = {arrow::MakeScalar(end)};
    FailUnlessOk(table_->DeleteRange(range), "delete rows");
  }

  void ScanPart() {
    const int64_t begin = Id();
    ScanOptions options;
    options.range.lower = {arrow::MakeScalar(begin)};
    options.columns = std::vector<std::string>{"id_again", "text"};
    CompareScan(options, Rows(rows_.lower_bound(begin), rows_.end()));
  }

  void CompareScan(const ScanOptions& options, const Rows& expected) {
    auto reader = table_->Scan(options);
    FailUnlessOk(reader.status(), "scan");
    Rows found;
    int64_t count = 0;
    while (true) {
      const auto batch = (*reader)->Next();
      FailUnlessOk(batch.status(), "scan");
      if (*batch == nullptr) break;
      const auto& ids =
          static_cast<const arrow::Int64Array&>(*(*batch)->GetColumnByName("id_again"));
      const auto& texts =
          static_cast<const arrow::StringArray&>(*(*batch)->GetColumnByName("text"));
      for (int64_t i = 0; i < ids.length(); ++i) found[ids.Value(i)] = texts.GetString(i);
      count += ids.length();
    }
    FailUnless(found == expected && count == static_cast<int64_t>(expected.size()),
               "a scan gives other rows");
  }

  void ComparePairs(const IteratorOptions& options, const Pairs& expected) {
    auto iterator = kv_->NewIterator(options);
    FailUnlessOk(iterator.status(), "iterator");
    auto at = expected.begin();
    for ((*iterator)->SeekToFirst(); (*iterator)->Valid(); (*iterator)->Next(), ++at) {
      FailUnless(at != expected.end() && (*iterator)->key() == at->first &&
                     (*iterator)->value() == at->second,
                 "an iterator gives another pair");
    }
    FailUnlessOk((*iterator)->status(), "iterator");
    FailUnless(at == expected.end(), "an iterator ends too early");
    auto last = expected.rbegin();
    for ((*iterator)->SeekToLast(); (*iterator)->Valid(); (*iterator)->Prev(), ++last) {
      FailUnless(last != expected.rend() && (*iterator)->key() == last->first,
                 "an iterator gives another pair backwards");
    }
    FailUnless(last == expected.rend(), "an iterator ends too early backwards");
  }

  void Compare() {
    ComparePairs({}, pairs_);
    CompareScan({}, rows_);
  }

  void TakeOrCheckSnapshot() {
    if (snapshot_ == nullptr) {
      auto snapshot = database_->GetSnapshot();
      FailUnlessOk(snapshot.status(), "snapshot");
      snapshot_ = *snapshot;
      old_pairs_ = pairs_;
      old_rows_ = rows_;
      return;
    }
    IteratorOptions pairs;
    pairs.snapshot = snapshot_;
    ComparePairs(pairs, old_pairs_);
    ScanOptions rows;
    rows.snapshot = snapshot_;
    CompareScan(rows, old_rows_);
    snapshot_.reset();
  }

  void PutBulk() {
    const int64_t first = Id() * 4;
    std::vector<std::pair<int64_t, std::string>> rows;
    for (int64_t id = first; id < first + kBulkRows; ++id) {
      rows.emplace_back(id, "bulk " + std::to_string(id));
      rows_[id] = rows.back().second;
    }
    FailUnlessOk(table_->Insert(Batch(rows)), "insert many");
  }

  Program* const program_;
  MemoryFileSystem fs_;
  Options options_;
  TableOptions table_options_;
  std::shared_ptr<Database> database_;
  std::shared_ptr<KeyValue> kv_;
  std::shared_ptr<Table> table_;
  Pairs pairs_;
  Rows rows_;
  std::shared_ptr<const Snapshot> snapshot_;
  Pairs old_pairs_;
  Rows old_rows_;
};

}  // namespace

// A program may well make and merge thousands of blocks, each of a few rows and compressed.
const int kSecondsMax = 10;

void Reseal(std::string*) {}

}  // namespace marble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  marble::fuzz::Program program(data, size);
  marble::fuzz::Machine(&program).Run();
  return 0;
}

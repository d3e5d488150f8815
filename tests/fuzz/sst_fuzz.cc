// Bytes of an SSTable, as its own footer describes it: every way of reading it, mapped and not.

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "base/checksum.h"
#include "fuzz/archive.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/seal.h"
#include "io/memory_file_system.h"
#include "sst/block_cache.h"
#include "sst/row_lookup.h"
#include "sst/sst_describe.h"
#include "sst/sst_reader.h"

namespace marble::fuzz {

namespace {

constexpr char kPath[] = "/000001.arrow";
constexpr int64_t kCacheBytes = 4 << 20;
constexpr int64_t kKeysMax = 64;    // that are looked up
constexpr int64_t kRowsMax = 4096;  // of a block that are looked at

class Ignore : public RowSink {
 public:
  arrow::Status Take(int64_t, const FoundRow& row) override {
    FailUnless(row.row >= 0 && row.block != nullptr, "a row that is nowhere");
    return arrow::Status::OK();
  }
};

Uuid UuidOf(const std::string& hex) {
  Uuid uuid{};
  for (size_t i = 0; i < uuid.size() && 2 * i + 1 < hex.size(); ++i) {
    uuid[i] = static_cast<uint8_t>(std::strtoul(hex.substr(2 * i, 2).c_str(), nullptr, 16));
  }
  return uuid;
}

class Reading {
 public:
  Reading(std::shared_ptr<SstReader> reader, std::shared_ptr<const StoredSchema> schema)
      : reader_(std::move(reader)), schema_(std::move(schema)) {}

  void Run() {
    for (int64_t block = 0; block < reader_->num_blocks(); ++block) {
      ReadRows(block);
      if (schema_->is_key_value()) ReadPairs(block);
    }
    static_cast<void>(reader_->ReadZoneMaps().ok());
    static_cast<void>(reader_->range_tombstones().Clip("", std::nullopt));
    if (!schema_->is_append()) LookUp();
    static_cast<void>(reader_->Verify().ok());
  }

 private:
  void ReadRows(int64_t block) {
    std::vector<int> columns(static_cast<size_t>(schema_->stored_schema()->num_fields()));
    std::iota(columns.begin(), columns.end(), 0);
    BlockWalk walk;
    reader_->ReadAhead(block, &walk);
    const auto rows = reader_->ReadBlock(block, columns, /*want_keys=*/true);
    if (!rows.ok()) return;
    ReadValues(*rows->columns);
    for (int64_t i = 0; i < std::min(rows->num_rows(), kRowsMax); ++i) {
      bytes_ += rows->keys[i].size() + rows->SequenceAt(i) + static_cast<size_t>(rows->KindAt(i));
      if (static_cast<int64_t>(keys_.size()) < kKeysMax) keys_.emplace_back(rows->keys[i]);
    }
  }

  void ReadPairs(int64_t block) {
    KvColumns columns;
    std::shared_ptr<const void> owner;
    reader_->PrefetchKvBlock(block);
    if (!reader_->ReadKvBlock(block, &columns, &owner).ok()) return;
    for (int64_t row = 0; row < std::min(columns.rows, kRowsMax); ++row) {
      std::string_view key;
      std::string_view value;
      if (!columns.KeyAt(row, &key) || !columns.ValueAt(row, &value)) {
        FailUnless(!reader_->DamagedRow(block).ok(), "a row that cannot be read is no damage");
        continue;
      }
      for (const char c : key) bytes_ += static_cast<uint8_t>(c);
      for (const char c : value) bytes_ += static_cast<uint8_t>(c);
      bytes_ += columns.SequenceAt(row);
    }
    static_cast<void>(reader_->BlockFirstKey(block).ok());
    static_cast<void>(reader_->BlockLastKey(block).ok());
  }

  void LookUp() {
    keys_.emplace_back("absent");
    keys_.emplace_back("");
    for (const std::string& key : keys_) {
      static_cast<void>(reader_->FindBlock(key).ok());
      const uint64_t hash = HashKey(key, 0);
      reader_->Prefetch(hash);
      static_cast<void>(reader_->GetRow(key, hash, kSequenceMax).ok());
      if (!schema_->is_key_value()) continue;
      PointQuery query;
      query.key = key;
      query.hash = hash;
      FoundValue value;
      if (reader_->FindValue(query, &value).ok() && value.found) {
        for (const char c : value.value) bytes_ += static_cast<uint8_t>(c);
      }
    }
    FindMany();
  }

  void FindMany() {
    std::string all;
    std::vector<int64_t> offsets = {0};
    std::vector<uint64_t> hashes;
    std::vector<int64_t> asked;
    for (const std::string& key : keys_) {
      all += key;
      offsets.push_back(static_cast<int64_t>(all.size()));
      hashes.push_back(HashKey(key, 0));
      asked.push_back(static_cast<int64_t>(asked.size()));
    }
    const EncodedKeys keys =
        EncodedKeys::Offsets64(reinterpret_cast<const uint8_t*>(all.data()), offsets.data(),
                               static_cast<int64_t>(keys_.size()), nullptr);
    RowsQuery query;
    query.keys = &keys;
    query.hashes = hashes;
    Ignore sink;
    // Twice, as if it were two files.
    const AskedFile files[] = {{reader_.get(), asked}, {reader_.get(), asked}};
    static_cast<void>(LookUpRows(files, query, &sink).ok());
  }

  const std::shared_ptr<SstReader> reader_;
  const std::shared_ptr<const StoredSchema> schema_;
  std::vector<std::string> keys_;
  size_t bytes_ = 0;  // so that reading is not left out
};

}  // namespace

const int kSecondsMax = 1;

void Reseal(std::string* input) { SealSst(input); }

}  // namespace marble::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace marble;        // NOLINT: extern "C" stands outside
  using namespace marble::fuzz;  // NOLINT
  MemoryFileSystem fs;
  WriteFile(kPath, {reinterpret_cast<const char*>(data), size}, &fs);
  const auto file = DescribeSst(&fs, kPath);
  if (!file.ok() || file->schema == nullptr) return 0;
  for (const bool mapped : {true, false}) {
    SstReaderOptions options;
    options.fs = &fs;
    options.path = kPath;
    options.uuid = UuidOf(file->tail.identity.uuid);
    options.schema = file->schema;
    options.cache = std::make_shared<BlockCache>(kCacheBytes);
    options.use_mappings = mapped;
    options.pool = arrow::default_memory_pool();
    for (const bool rows_only : {false, true}) {
      options.rows_only = rows_only;
      auto reader = SstReader::Open(options, file->meta);
      if (!reader.ok()) continue;
      Reading(*reader, file->schema).Run();
      break;
    }
  }
  return 0;
}

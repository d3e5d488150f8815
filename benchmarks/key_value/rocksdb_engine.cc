// RocksDB in three configurations: as it comes; tuned for this work; mapped and uncompressed, for
// reading. CMakeLists.txt says which RocksDB is built in.
#include "engine.h"

#ifdef MARBLE_HAVE_ROCKSDB

#include <chrono>
#include <fstream>
#include <thread>

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>

#include "../support.h"

namespace marble::benchmark {
namespace {

enum class Setup { kDefault, kTuned, kMapped };

void Check(const rocksdb::Status& status) {
  if (!status.ok()) Die("rocksdb: " + status.ToString());
}

rocksdb::Slice Slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

void ReadRows(rocksdb::Iterator* iterator, std::string_view begin, int64_t rows_max,
              Digest* digest) {
  iterator->Seek(Slice(begin));
  for (int64_t i = 0; i < rows_max && iterator->Valid(); ++i, iterator->Next()) {
    digest->Add(View(iterator->key()), View(iterator->value()));
  }
  Check(iterator->status());
}

rocksdb::Options MakeOptions(const EngineSettings& settings, Setup setup) {
  rocksdb::Options options;
  options.create_if_missing = true;
  // Two cores: one flush and one compaction beside the caller.
  options.max_background_jobs = 2;
  if (settings.write_buffer_bytes > static_cast<int64_t>(options.write_buffer_size)) {
    options.write_buffer_size = static_cast<size_t>(settings.write_buffer_bytes);
  }
  if (setup == Setup::kDefault) return options;
  options.write_buffer_size = static_cast<size_t>(settings.write_buffer_bytes);
  options.max_write_buffer_number = 4;
  options.recycle_log_file_num = 4;
  options.compression = setup == Setup::kTuned ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  if (setup == Setup::kMapped) {
    // Blocks are read where they are mapped, which a block cache would only slow down.
    options.allow_mmap_reads = true;
    table.no_block_cache = true;
  } else {
    table.block_cache = rocksdb::NewLRUCache(static_cast<size_t>(settings.cache_bytes));
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

/// DB::Open takes a raw pointer in RocksDB 7 and an owning one in RocksDB 11.
template <typename Database>
std::unique_ptr<Database> OpenDatabase(const rocksdb::Options& options,
                                       const std::string& directory) {
  if constexpr (requires(std::unique_ptr<Database>* db) {
                  Database::Open(options, directory, db);
                }) {
    std::unique_ptr<Database> db;
    Check(Database::Open(options, directory, &db));
    return db;
  } else {
    Database* db = nullptr;
    Check(Database::Open(options, directory, &db));
    return std::unique_ptr<Database>(db);
  }
}

class RocksDbCursor : public Cursor {
 public:
  explicit RocksDbCursor(rocksdb::Iterator* iterator) : iterator_(iterator) {}
  void Read(std::string_view key, int64_t rows_max, Digest* digest) override {
    ReadRows(iterator_.get(), key, rows_max, digest);
  }

 private:
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksDbEngine : public Engine {
 public:
  RocksDbEngine(const EngineSettings& settings, Setup setup)
      : directory_(settings.directory),
        db_(OpenDatabase<rocksdb::DB>(MakeOptions(settings, setup), directory_)) {}

  void Put(std::string_view key, std::string_view value) override {
    Check(db_->Put(rocksdb::WriteOptions(), Slice(key), Slice(value)));
  }
  void PutSynced(std::string_view key, std::string_view value) override {
    rocksdb::WriteOptions options;
    options.sync = true;
    Check(db_->Put(options, Slice(key), Slice(value)));
  }
  void PutBatch(std::span<const std::string_view> keys,
                std::span<const std::string_view> values) override {
    rocksdb::WriteBatch batch;
    for (size_t i = 0; i < keys.size(); ++i) Check(batch.Put(Slice(keys[i]), Slice(values[i])));
    Check(db_->Write(rocksdb::WriteOptions(), &batch));
  }
  void DeleteRange(std::string_view begin, std::string_view end) override {
    Check(db_->DeleteRange(rocksdb::WriteOptions(), db_->DefaultColumnFamily(), Slice(begin),
                           Slice(end)));
  }

  bool Get(std::string_view key, Digest* digest) override {
    thread_local rocksdb::PinnableSlice value;
    const rocksdb::Status status =
        db_->Get(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), Slice(key), &value);
    if (status.IsNotFound()) return false;
    Check(status);
    digest->AddValue(View(value));
    value.Reset();
    return true;
  }
  void MultiGet(std::span<const std::string_view> keys, Digest* digest) override {
    thread_local std::vector<rocksdb::Slice> slices;
    thread_local std::vector<rocksdb::PinnableSlice> values;
    thread_local std::vector<rocksdb::Status> statuses;
    slices.clear();
    for (std::string_view key : keys) slices.push_back(Slice(key));
    values.resize(keys.size());
    statuses.resize(keys.size());
    db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), keys.size(), slices.data(),
                  values.data(), statuses.data());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      Check(statuses[i]);
      digest->AddValue(View(values[i]));
      values[i].Reset();
    }
  }
  void Scan(bool reverse, Digest* digest) override {
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(rocksdb::ReadOptions()));
    if (reverse) {
      for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) {
        digest->Add(View(iterator->key()), View(iterator->value()));
      }
    } else {
      for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
        digest->Add(View(iterator->key()), View(iterator->value()));
      }
    }
    Check(iterator->status());
  }
  void ReadRange(std::string_view begin, std::string_view end, int64_t rows_max,
                 Digest* digest) override {
    const rocksdb::Slice upper = Slice(end);
    rocksdb::ReadOptions options;
    if (!end.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options));
    ReadRows(iterator.get(), begin, rows_max, digest);
  }
  std::unique_ptr<Cursor> NewCursor() override {
    return std::make_unique<RocksDbCursor>(db_->NewIterator(rocksdb::ReadOptions()));
  }

  double Settle() override {
    Check(db_->Flush(rocksdb::FlushOptions()));
    while (Property("rocksdb.compaction-pending") + Property("rocksdb.num-running-compactions") +
               Property("rocksdb.num-running-flushes") >
           0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return 0;
  }
  void Compact() override {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    Check(db_->CompactRange(options, nullptr, nullptr));
    Settle();
  }

  std::string Describe() override {
    const rocksdb::Options options = db_->GetOptions();
    std::string compression;
    Check(rocksdb::GetStringFromCompressionType(&compression, options.compression));
    return std::to_string(options.max_write_buffer_number) + " memtables of " +
           std::to_string(options.write_buffer_size >> 20) + " MiB, " + compression +
           (options.allow_mmap_reads ? ", mapped reads" : "") + ", recycled logs " +
           std::to_string(options.recycle_log_file_num) + ", background jobs " +
           std::to_string(options.max_background_jobs) + "; " + ChecksumNote();
  }
  std::string Statistics() override {
    std::string text;
    return db_->GetProperty("rocksdb.cfstats", &text) ? text : std::string();
  }

 private:
  uint64_t Property(const char* name) {
    uint64_t value = 0;
    if (!db_->GetIntProperty(name, &value)) Die(std::string("rocksdb has no property ") + name);
    return value;
  }
  /// The line of its own log that says whether checksums are computed by the processor.
  std::string ChecksumNote() const {
    std::ifstream log(directory_ + "/LOG");
    std::string line;
    while (std::getline(log, line)) {
      const size_t at = line.find("Fast CRC32 supported");
      if (at != std::string::npos) return line.substr(at);
    }
    return "it does not say how it computes checksums";
  }

  const std::string directory_;
  std::unique_ptr<rocksdb::DB> db_;
};

template <Setup kSetup>
std::unique_ptr<Engine> Open(const EngineSettings& settings) {
  return std::make_unique<RocksDbEngine>(settings, kSetup);
}

}  // namespace

std::vector<EngineKind> RocksDbEngines() {
  const std::string version = "RocksDB " + std::to_string(ROCKSDB_MAJOR) + "." +
                              std::to_string(ROCKSDB_MINOR) + "." + std::to_string(ROCKSDB_PATCH) +
                              (ROCKSDB_MAJOR < 11 ? " (Debian's, checksums in software)" : "");
  // An old RocksDB goes by its version, lest its figures be taken for those of a new one.
  const std::string name =
      ROCKSDB_MAJOR < 11 ? "rocksdb" + std::to_string(ROCKSDB_MAJOR) + std::to_string(ROCKSDB_MINOR)
                         : "rocksdb";
  return {{name + "-default", "rocksdb", Open<Setup::kDefault>, version},
          {name + "-tuned", "rocksdb", Open<Setup::kTuned>, version},
          {name + "-mmap", "rocksdb", Open<Setup::kMapped>, version}};
}

}  // namespace marble::benchmark

#else

namespace marble::benchmark {

std::vector<EngineKind> RocksDbEngines() { return {}; }

}  // namespace marble::benchmark

#endif

#include "key_value_engine.h"

#ifdef MARBLE_HAVE_ROCKSDB

#include <chrono>
#include <thread>

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

namespace marble::benchmark {

namespace {

void Check(const rocksdb::Status& status) {
  if (!status.ok()) Die("rocksdb: " + status.ToString());
}

class RocksDbEngine : public KeyValueEngine {
 public:
  explicit RocksDbEngine(const std::string& directory) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = size_t{64} << 20;
    options.max_write_buffer_number = 4;
    options.compression = rocksdb::kLZ4Compression;
    options.max_background_jobs = 2;
    options.recycle_log_file_num = 4;
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.block_cache = rocksdb::NewLRUCache(size_t{1} << 30);
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    Check(rocksdb::DB::Open(options, directory, &db));
    db_.reset(db);
  }

  std::string name() const override { return "rocksdb"; }
  void Put(std::string_view key, std::string_view value) override {
    Check(db_->Put(rocksdb::WriteOptions(), Slice(key), Slice(value)));
  }
  bool Get(std::string_view key, std::string* value) override {
    const rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), Slice(key), value);
    if (!status.ok() && !status.IsNotFound()) Check(status);
    return status.ok();
  }
  int64_t MultiGet(const std::vector<std::string_view>& keys) override {
    std::vector<rocksdb::Slice> slices;
    for (std::string_view key : keys) slices.push_back(Slice(key));
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), keys.size(), slices.data(),
                  values.data(), statuses.data());
    int64_t found = 0;
    for (const rocksdb::Status& status : statuses) found += status.ok() ? 1 : 0;
    return found;
  }
  int64_t Scan() override {
    std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(rocksdb::ReadOptions()));
    int64_t bytes = 0;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      bytes += static_cast<int64_t>(iterator->key().size() + iterator->value().size());
    }
    Check(iterator->status());
    return bytes;
  }
  void Settle() override {
    Check(db_->Flush(rocksdb::FlushOptions()));
    while (Property("rocksdb.compaction-pending") + Property("rocksdb.num-running-compactions") >
           0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  void Compact() override {
    Check(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  }

 private:
  uint64_t Property(const char* name) {
    uint64_t value = 0;
    if (!db_->GetIntProperty(name, &value)) Die(std::string("rocksdb has no property ") + name);
    return value;
  }
  static rocksdb::Slice Slice(std::string_view text) { return {text.data(), text.size()}; }
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

std::unique_ptr<KeyValueEngine> OpenRocksDb(const std::string& directory) {
  return std::make_unique<RocksDbEngine>(directory);
}

}  // namespace marble::benchmark

#else

namespace marble::benchmark {

std::unique_ptr<KeyValueEngine> OpenRocksDb(const std::string&) { return nullptr; }

}  // namespace marble::benchmark

#endif

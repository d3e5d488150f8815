// LevelDB with a 64 MiB write buffer, a bloom filter of 10 bits a key and a cache.
#include "engine.h"

#ifdef MARBLE_HAVE_LEVELDB

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include "../support.h"
#include "measure.h"

namespace marble::benchmark {
namespace {

void Check(const leveldb::Status& status) {
  if (!status.ok()) Die("leveldb: " + status.ToString());
}

leveldb::Slice Slice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view View(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

void ReadRows(leveldb::Iterator* iterator, std::string_view begin, std::string_view end,
              int64_t rows_max, Digest* digest) {
  iterator->Seek(Slice(begin));
  for (int64_t i = 0; i < rows_max && iterator->Valid(); ++i, iterator->Next()) {
    const std::string_view key = View(iterator->key());
    if (!end.empty() && key >= end) break;
    digest->Add(key, View(iterator->value()));
  }
  Check(iterator->status());
}

class LevelDbCursor : public Cursor {
 public:
  explicit LevelDbCursor(leveldb::Iterator* iterator) : iterator_(iterator) {}
  void Read(std::string_view key, int64_t rows_max, Digest* digest) override {
    ReadRows(iterator_.get(), key, {}, rows_max, digest);
  }

 private:
  std::unique_ptr<leveldb::Iterator> iterator_;
};

class LevelDbEngine : public Engine {
 public:
  explicit LevelDbEngine(const EngineSettings& settings)
      : cache_(leveldb::NewLRUCache(static_cast<size_t>(settings.cache_bytes))),
        filter_(leveldb::NewBloomFilterPolicy(10)) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = static_cast<size_t>(settings.write_buffer_bytes);
    options.block_cache = cache_.get();
    options.filter_policy = filter_.get();
    options.max_open_files = 20'000;
    leveldb::DB* db = nullptr;
    Check(leveldb::DB::Open(options, settings.directory, &db));
    db_.reset(db);
  }

  void Put(std::string_view key, std::string_view value) override {
    Check(db_->Put(leveldb::WriteOptions(), Slice(key), Slice(value)));
  }
  void PutSynced(std::string_view key, std::string_view value) override {
    leveldb::WriteOptions options;
    options.sync = true;
    Check(db_->Put(options, Slice(key), Slice(value)));
  }
  void PutBatch(std::span<const std::string_view> keys,
                std::span<const std::string_view> values) override {
    leveldb::WriteBatch batch;
    for (size_t i = 0; i < keys.size(); ++i) batch.Put(Slice(keys[i]), Slice(values[i]));
    Check(db_->Write(leveldb::WriteOptions(), &batch));
  }
  /// It has no such operation: an iterator walks, batches delete.
  void DeleteRange(std::string_view begin, std::string_view end) override {
    const auto iterator = NewIterator();
    leveldb::WriteBatch batch;
    int64_t deletes = 0;
    for (iterator->Seek(Slice(begin)); iterator->Valid() && View(iterator->key()) < end;
         iterator->Next()) {
      batch.Delete(iterator->key());
      if (++deletes % 1'000 != 0) continue;
      Check(db_->Write(leveldb::WriteOptions(), &batch));
      batch.Clear();
    }
    Check(iterator->status());
    Check(db_->Write(leveldb::WriteOptions(), &batch));
  }

  bool Get(std::string_view key, Digest* digest) override {
    thread_local std::string value;
    const leveldb::Status status = db_->Get(leveldb::ReadOptions(), Slice(key), &value);
    if (status.IsNotFound()) return false;
    Check(status);
    digest->AddValue(value);
    return true;
  }
  /// It has no such operation.
  void MultiGet(std::span<const std::string_view> keys, Digest* digest) override {
    for (std::string_view key : keys) Get(key, digest);
  }
  void Scan(bool reverse, Digest* digest) override {
    const auto iterator = NewIterator();
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
    ReadRows(NewIterator().get(), begin, end, rows_max, digest);
  }
  std::unique_ptr<Cursor> NewCursor() override {
    return std::make_unique<LevelDbCursor>(db_->NewIterator(leveldb::ReadOptions()));
  }

  /// An empty range behind all keys makes it flush its write buffer and compact nothing. It does
  /// not say when it is done, but then it writes nothing more.
  double Settle() override {
    const leveldb::Slice begin("\xff\xff\xff\xff");
    db_->CompactRange(&begin, &begin);
    return WaitUntilNothingIsWritten();
  }
  void Compact() override {
    db_->CompactRange(nullptr, nullptr);
    Settle();
  }

  std::string Describe() override {
    return "64 MiB write buffer, Snappy, 10-bit bloom filter, block cache; one background thread";
  }
  std::string Statistics() override {
    std::string text;
    return db_->GetProperty("leveldb.stats", &text) ? text : std::string();
  }

 private:
  std::unique_ptr<leveldb::Iterator> NewIterator() {
    return std::unique_ptr<leveldb::Iterator>(db_->NewIterator(leveldb::ReadOptions()));
  }

  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb::DB> db_;
};

std::unique_ptr<Engine> Open(const EngineSettings& settings) {
  return std::make_unique<LevelDbEngine>(settings);
}

}  // namespace

std::vector<EngineKind> LevelDbEngines() {
  const std::string version = "LevelDB " + std::to_string(leveldb::kMajorVersion) + "." +
                              std::to_string(leveldb::kMinorVersion);
  return {{"leveldb", "leveldb", Open, version}};
}

}  // namespace marble::benchmark

#else

namespace marble::benchmark {

std::vector<EngineKind> LevelDbEngines() { return {}; }

}  // namespace marble::benchmark

#endif

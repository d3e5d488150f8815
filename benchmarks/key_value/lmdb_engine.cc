// LMDB: "lmdb" writes into its map and never syncs, the fastest it can be; "lmdb-sync" is as it
// comes, each commit durable.
#include "engine.h"

#ifdef MARBLE_HAVE_LMDB

#include <lmdb.h>

#include <filesystem>

#include "../support.h"

namespace marble::benchmark {
namespace {

void Check(int code) {
  if (code != MDB_SUCCESS) Die(std::string("lmdb: ") + mdb_strerror(code));
}

MDB_val Val(std::string_view text) {
  // LMDB takes what it only reads as void* too.
  return {text.size(), const_cast<char*>(text.data())};
}
std::string_view View(const MDB_val& val) {
  return {static_cast<const char*>(val.mv_data), val.mv_size};
}

/// A read transaction and a cursor in it, kept by a thread and renewed for each operation, so that
/// each sees the latest state; making new ones costs several times as much.
class Reader {
 public:
  ~Reader() { Release(); }

  /// Ready to read the latest state of `environment`.
  void Renew(MDB_env* environment, MDB_dbi table) {
    if (environment_ != environment) {
      Release();
      Check(mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction_));
      Check(mdb_cursor_open(transaction_, table, &cursor_));
      environment_ = environment;
      return;
    }
    Check(mdb_txn_renew(transaction_));
    Check(mdb_cursor_renew(transaction_, cursor_));
  }
  /// Lets go of the state, whose pages may then be used again.
  void Reset() { mdb_txn_reset(transaction_); }
  void Release() {
    if (environment_ == nullptr) return;
    mdb_cursor_close(cursor_);
    mdb_txn_abort(transaction_);
    environment_ = nullptr;
  }

  MDB_txn* transaction() const { return transaction_; }
  MDB_cursor* cursor() const { return cursor_; }

 private:
  MDB_env* environment_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
};

/// The calling thread's.
Reader& ThreadReader() {
  thread_local Reader reader;
  return reader;
}

/// True at a row, false past the last.
bool Move(MDB_cursor* cursor, MDB_cursor_op operation, MDB_val* key, MDB_val* value) {
  const int code = mdb_cursor_get(cursor, key, value, operation);
  if (code == MDB_NOTFOUND) return false;
  Check(code);
  return true;
}

void ReadRows(MDB_cursor* cursor, std::string_view begin, std::string_view end, int64_t rows_max,
              Digest* digest) {
  MDB_val key = Val(begin);
  MDB_val value;
  bool valid = Move(cursor, MDB_SET_RANGE, &key, &value);
  for (int64_t i = 0; i < rows_max && valid; ++i) {
    if (!end.empty() && View(key) >= end) break;
    digest->Add(View(key), View(value));
    valid = i + 1 < rows_max && Move(cursor, MDB_NEXT, &key, &value);
  }
}

class LmdbCursor : public Cursor {
 public:
  LmdbCursor(MDB_env* environment, MDB_dbi table) { reader_.Renew(environment, table); }
  void Read(std::string_view key, int64_t rows_max, Digest* digest) override {
    ReadRows(reader_.cursor(), key, {}, rows_max, digest);
  }

 private:
  Reader reader_;
};

class LmdbEngine : public Engine {
 public:
  LmdbEngine(const EngineSettings& settings, bool synced) : synced_(synced) {
    std::filesystem::create_directories(settings.directory);
    Check(mdb_env_create(&environment_));
    Check(mdb_env_set_mapsize(environment_, static_cast<size_t>(settings.disk_bytes_max)));
    unsigned flags = MDB_NOTLS;
    if (!synced) flags |= MDB_WRITEMAP | MDB_NOSYNC;
    if (settings.larger_than_memory) flags |= MDB_NORDAHEAD;
    Check(mdb_env_open(environment_, settings.directory.c_str(), flags, 0644));
    MDB_txn* transaction = nullptr;
    Check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    Check(mdb_dbi_open(transaction, nullptr, 0, &table_));
    Check(mdb_txn_commit(transaction));
  }
  ~LmdbEngine() override {
    ThreadReader().Release();
    mdb_env_close(environment_);
  }

  void Put(std::string_view key, std::string_view value) override {
    PutBatch(std::span(&key, 1), std::span(&value, 1));
  }
  void PutSynced(std::string_view key, std::string_view value) override {
    Put(key, value);
    if (!synced_) Check(mdb_env_sync(environment_, 1));
  }
  void PutBatch(std::span<const std::string_view> keys,
                std::span<const std::string_view> values) override {
    MDB_txn* transaction = nullptr;
    Check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    for (size_t i = 0; i < keys.size(); ++i) {
      MDB_val key = Val(keys[i]);
      MDB_val value = Val(values[i]);
      Check(mdb_put(transaction, table_, &key, &value, 0));
    }
    Check(mdb_txn_commit(transaction));
  }
  /// It has no such operation: a cursor walks and deletes.
  void DeleteRange(std::string_view begin, std::string_view end) override {
    MDB_txn* transaction = nullptr;
    MDB_cursor* cursor = nullptr;
    Check(mdb_txn_begin(environment_, nullptr, 0, &transaction));
    Check(mdb_cursor_open(transaction, table_, &cursor));
    MDB_val key = Val(begin);
    MDB_val value;
    bool valid = Move(cursor, MDB_SET_RANGE, &key, &value);
    while (valid && View(key) < end) {
      Check(mdb_cursor_del(cursor, 0));
      // The cursor stands on the row after the deleted one, which MDB_NEXT knows.
      valid = Move(cursor, MDB_NEXT, &key, &value);
    }
    mdb_cursor_close(cursor);
    Check(mdb_txn_commit(transaction));
  }

  bool Get(std::string_view key, Digest* digest) override {
    Reader& reader = Renewed();
    const bool found = GetOne(reader.transaction(), key, digest);
    reader.Reset();
    return found;
  }
  void MultiGet(std::span<const std::string_view> keys, Digest* digest) override {
    Reader& reader = Renewed();
    for (std::string_view key : keys) GetOne(reader.transaction(), key, digest);
    reader.Reset();
  }
  void Scan(bool reverse, Digest* digest) override {
    Reader& reader = Renewed();
    MDB_val key;
    MDB_val value;
    bool valid = Move(reader.cursor(), reverse ? MDB_LAST : MDB_FIRST, &key, &value);
    while (valid) {
      digest->Add(View(key), View(value));
      valid = Move(reader.cursor(), reverse ? MDB_PREV : MDB_NEXT, &key, &value);
    }
    reader.Reset();
  }
  void ReadRange(std::string_view begin, std::string_view end, int64_t rows_max,
                 Digest* digest) override {
    Reader& reader = Renewed();
    ReadRows(reader.cursor(), begin, end, rows_max, digest);
    reader.Reset();
  }
  std::unique_ptr<Cursor> NewCursor() override {
    return std::make_unique<LmdbCursor>(environment_, table_);
  }

  double Settle() override {
    Check(mdb_env_sync(environment_, 1));
    return 0;
  }
  void Compact() override { Settle(); }

  std::string Describe() override {
    return synced_ ? "as it comes: each commit is synced"
                   : "MDB_WRITEMAP, MDB_NOSYNC, read transactions renewed for each operation";
  }

 private:
  Reader& Renewed() {
    Reader& reader = ThreadReader();
    reader.Renew(environment_, table_);
    return reader;
  }
  bool GetOne(MDB_txn* transaction, std::string_view key, Digest* digest) {
    MDB_val wanted = Val(key);
    MDB_val value;
    const int code = mdb_get(transaction, table_, &wanted, &value);
    if (code == MDB_NOTFOUND) return false;
    Check(code);
    digest->AddValue(View(value));
    return true;
  }

  const bool synced_;
  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
};

template <bool kSynced>
std::unique_ptr<Engine> Open(const EngineSettings& settings) {
  return std::make_unique<LmdbEngine>(settings, kSynced);
}

}  // namespace

std::vector<EngineKind> LmdbEngines() {
  const std::string version = mdb_version(nullptr, nullptr, nullptr);
  return {{"lmdb", "lmdb", Open<false>, version}, {"lmdb-sync", "lmdb", Open<true>, version, true}};
}

}  // namespace marble::benchmark

#else

namespace marble::benchmark {

std::vector<EngineKind> LmdbEngines() { return {}; }

}  // namespace marble::benchmark

#endif

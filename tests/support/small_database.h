// What the tests of failing and full disks share: a small database on a disk in memory, with its
// key-value table, that can be opened again and lose power.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/memory_file_system.h"
#include "support/test_database.h"

namespace marble::test {

class SmallDatabaseTest : public testing::Test {
 protected:
  SmallDatabaseTest() {
    options_.log_segment_bytes = 64 * 1024;
    options_.memtable_bytes = 256 * 1024;
    options_.memory_budget = 8 << 20;
  }
  Options SmallOptions() const {
    Options options = options_;
    options.file_system = fs_.get();
    return options;
  }
  arrow::Status Open() {
    Release();
    ARROW_ASSIGN_OR_RAISE(db_, Database::Open("/db", SmallOptions()));
    return KeyValue::Open(db_).Value(&kv_);
  }
  void Release() {
    kv_.reset();
    db_.reset();
  }
  /// The process "dies": what it did not sync is lost as `policy` has it, its handles are useless.
  /// The disk is sound afterwards.
  void LosePower(uint64_t seed = 1, LossPolicy policy = LossPolicy::kDropAll) {
    fs_->LoseUnsynced(policy, seed);
    Release();
    fs_->ClearFaults();
  }

  static std::string Key(int i) { return "key" + std::to_string(100000 + i); }
  static std::string Value(int i) { return std::string(100, static_cast<char>('a' + i % 26)); }
  arrow::Status Put(int i, bool sync = false) {
    WriteOptions options;
    options.sync = sync;
    return kv_->Put(Key(i), Value(i), options);
  }
  bool Has(int i) const {
    auto value = kv_->Get(Key(i));
    EXPECT_TRUE(value.ok()) << value.status().ToString();
    return value.ok() && value->has_value() && **value == Value(i);
  }
  void ExpectKeys(int count) const {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(Has(i)) << i;
  }

  /// Schema and rows {id from `first` on, text} of a table: some thousand are more than a memtable.
  static std::shared_ptr<arrow::Schema> RowSchema() {
    return arrow::schema({arrow::field("id", arrow::int64(), /*nullable=*/false),
                          arrow::field("text", arrow::utf8())});
  }
  static std::shared_ptr<arrow::RecordBatch> Rows(int64_t first, int64_t count,
                                                  const std::string& text) {
    std::string ids = "[";
    std::string texts = "[";
    for (int64_t i = 0; i < count; ++i) {
      ids += (i > 0 ? "," : "") + std::to_string(first + i);
      texts += (i > 0 ? ",\"" : "\"") + text + std::string(60, '.') + "\"";
    }
    return *BatchFromJson(RowSchema(), {ids + "]", texts + "]"});
  }

  /// Paths of the directory's files whose names begin with `prefix`.
  std::vector<std::string> Files(const std::string& directory,
                                 const std::string& prefix = "") const {
    std::vector<std::string> paths;
    for (const DirectoryEntry& entry : *fs_->List(directory)) {
      if (entry.is_directory || !entry.name.starts_with(prefix)) continue;
      paths.push_back(directory + "/" + entry.name);
    }
    return paths;
  }

  Options options_;
  std::unique_ptr<MemoryFileSystem> fs_ = std::make_unique<MemoryFileSystem>();
  std::shared_ptr<Database> db_;
  std::shared_ptr<KeyValue> kv_;
};

}  // namespace marble::test

#include "tree/compaction_job.h"

#include <atomic>
#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "io/memory_file_system.h"
#include "sst/block_cache.h"
#include "tree/file_names.h"
#include "tree/run_reader.h"
#include "unit/tree/memtable_test_util.h"

namespace marble {
namespace {

using test::kHashSeed;

/// Flushed memtables of a key-value table, and compactions of them.
class CompactionJobTest : public ::testing::Test {
 protected:
  CompactionJobTest() {
    TableOptions options;
    options.primary_key = {"key"};
    options.block_bytes = 256;
    context_.schema = StoredSchema::Make(arrow::schema({arrow::field("key", arrow::binary(), false),
                                                        arrow::field("value", arrow::binary())}),
                                         options)
                          .ValueOrDie();
    context_.fs = &fs_;
    context_.directory = "/db";
    context_.hash_seed = kHashSeed;
    context_.pool = arrow::default_memory_pool();
    context_.target_file_bytes = 8 * 1024;
    context_.next_file_number = &next_number_;
    EXPECT_TRUE(fs_.CreateDirectory("/db").ok());
    EXPECT_TRUE(fs_.CreateDirectory(SstDirectory("/db")).ok());
  }

  std::shared_ptr<const marble::Run> RunOf(const std::vector<FileMeta>& files) {
    std::vector<std::shared_ptr<const TableFile>> opened;
    for (const FileMeta& meta : files) {
      SstReaderOptions options;
      options.fs = &fs_;
      options.path = SstPath("/db", meta.number);
      options.hash_seed = kHashSeed;
      options.schema = context_.schema;
      options.cache = cache_;
      opened.push_back(std::make_shared<TableFile>(meta, options));
    }
    return std::make_shared<const marble::Run>(std::move(opened));
  }

  /// A run of random puts and deletes, and perhaps a deleted range.
  std::shared_ptr<const marble::Run> Flush(int rows, bool with_range) {
    const auto memtable = Memtable::Make(context_.schema, kHashSeed, context_.pool);
    for (int i = 0; i < rows; ++i) {
      const std::string key = "key" + std::to_string(100'000 + random_() % 2000);
      const uint64_t hash = HashKey(key, kHashSeed);
      ++sequence_;
      if (random_() % 8 == 0) {
        EXPECT_TRUE(memtable->Delete(sequence_, key, hash).ok());
        model_.erase(key);
      } else {
        const std::string value = "value" + std::to_string(sequence_);
        EXPECT_TRUE(memtable->Put(sequence_, key, hash, value).ok());
        model_[key] = value;
      }
    }
    if (with_range) {
      EXPECT_TRUE(memtable->DeleteRange({"key100400", "key101100", ++sequence_}).ok());
      model_.erase(model_.lower_bound("key100400"), model_.lower_bound("key101100"));
    }
    return RunOf(FlushMemtable(*memtable, context_, /*bottommost=*/false).ValueOrDie());
  }

  static std::map<std::string, std::string> RowsOf(const marble::Run& run,
                                                   const EncodedRange& range) {
    std::map<std::string, std::string> rows;
    ReadRequest request;
    request.columns = {0, 1};
    request.range = range;
    const auto reader = NewRunReader(std::make_shared<marble::Run>(run), request);
    while (true) {
      const auto batch = reader->Next().ValueOrDie();
      if (!batch.has_value()) return rows;
      const auto& values = static_cast<const arrow::BinaryArray&>(*batch->columns->column(1));
      for (int64_t i = 0; i < batch->num_rows(); ++i) {
        EXPECT_EQ(batch->KindAt(i), RowKind::kPut);
        EXPECT_TRUE(rows.emplace(batch->keys[i], values.GetView(i)).second);
      }
    }
  }

  MemoryFileSystem fs_;
  std::shared_ptr<BlockCache> cache_ = std::make_shared<BlockCache>(int64_t{1} << 20);
  std::atomic<uint64_t> next_number_{1};
  OutputContext context_;
  std::mt19937 random_{7};
  uint64_t sequence_ = 0;
  std::map<std::string, std::string> model_;
};

TEST_F(CompactionJobTest, PartsTogetherAreTheWhole) {
  CompactionPlan plan;
  const auto oldest = Flush(1500, false);
  const auto middle = Flush(1500, true);
  const auto newest = Flush(1500, false);
  plan.inputs = {newest, middle, oldest};
  plan.bottommost = true;
  const auto ranges = SplitCompaction(plan, context_).ValueOrDie();
  ASSERT_GT(ranges.size(), 3u);
  EXPECT_EQ(ranges.front().lower, "");
  EXPECT_FALSE(ranges.back().upper.has_value());
  std::vector<FileMeta> files;
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0) {
      EXPECT_EQ(ranges[i - 1].upper, ranges[i].lower);
      EXPECT_LT(ranges[i - 1].lower, ranges[i].lower);
    }
    for (FileMeta& file : RunCompaction(plan, ranges[i], context_).ValueOrDie()) {
      EXPECT_TRUE(ranges[i].Contains(file.smallest)) << file.smallest;
      EXPECT_TRUE(ranges[i].Contains(file.largest)) << file.largest;
      files.push_back(std::move(file));
    }
  }
  EXPECT_EQ(RowsOf(*RunOf(files), EncodedRange()), model_);
  EXPECT_EQ(std::ranges::count_if(files, [](const FileMeta& f) { return f.range_tombstones > 0; }),
            0);
}

TEST_F(CompactionJobTest, PartsKeepTombstonesWithinTheirRanges) {
  CompactionPlan plan;
  const auto older = Flush(1500, false);
  const auto newer = Flush(1500, true);
  plan.inputs = {newer, older};
  plan.bottommost = false;
  std::vector<FileMeta> files;
  for (const EncodedRange& range : SplitCompaction(plan, context_).ValueOrDie()) {
    for (FileMeta& file : RunCompaction(plan, range, context_).ValueOrDie()) {
      EXPECT_GE(file.smallest, range.lower);
      if (range.upper.has_value()) {
        EXPECT_TRUE(file.largest_exclusive ? file.largest <= *range.upper
                                           : file.largest < *range.upper);
      }
      files.push_back(std::move(file));
    }
  }
  // Every key of the deleted range is covered by the tombstone of exactly one file.
  const auto run = RunOf(files);
  for (const char* key : {"key100400", "key100777", "key101099"}) {
    const TableFile* file = run->Find(key);
    ASSERT_NE(file, nullptr) << key;
    EXPECT_GT(file->reader().ValueOrDie()->range_tombstones().CoveringSequence(key, kSequenceMax),
              0u);
  }
}

TEST_F(CompactionJobTest, AFullyDeletedRangeIsNotRead) {
  CompactionPlan plan;
  const auto older = Flush(1500, false);
  const auto memtable = Memtable::Make(context_.schema, kHashSeed, context_.pool);
  ASSERT_TRUE(memtable->DeleteRange({"", std::nullopt, ++sequence_}).ok());
  const auto newer = RunOf(FlushMemtable(*memtable, context_, false).ValueOrDie());
  plan.inputs = {newer, older};
  plan.bottommost = true;
  const uint64_t before = fs_.operations(FileOp::kOpen);
  ASSERT_TRUE(newer->files[0]->reader().ok());
  const uint64_t opening = fs_.operations(FileOp::kOpen) - before;
  EXPECT_TRUE(RunCompaction(plan, EncodedRange(), context_).ValueOrDie().empty());
  EXPECT_EQ(fs_.operations(FileOp::kOpen) - before, opening) << "the covered file was opened";
}

}  // namespace
}  // namespace marble

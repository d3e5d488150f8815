// The merge against a naive one, with every combination of sources, versions, deletes, tombstones
// and batch sizes that chance comes up with; and what must not be copied.
#include "tree/merge_reader.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "row/batch_ops.h"
#include "unit/tree/merge_test_support.h"

namespace marble {
namespace {

using merge_test::Drain;
using merge_test::MakeBatch;
using merge_test::NaiveRead;
using merge_test::RandomData;
using merge_test::Row;
using merge_test::RowsOf;
using merge_test::TestSchema;
using merge_test::VectorReader;
using Sources = std::vector<std::unique_ptr<SortedReader>>;

std::vector<Row> WithoutHidden(std::vector<Row> rows) {
  for (Row& row : rows) row.sequence = 0;
  return rows;
}

/// Rows numbered from `first`, `step` apart, with ten-digit keys.
std::vector<Row> Numbered(int64_t first, int64_t count, int64_t step, uint64_t sequence) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < count; ++i) {
    std::string key = std::to_string(first + i * step);
    key.insert(0, 10 - key.size(), '0');
    rows.push_back({std::move(key), sequence, false, first + i * step});
  }
  return rows;
}

Sources ReadersOf(const std::vector<std::vector<RowBatch>>& sources, bool reverse = false) {
  Sources readers;
  for (const auto& batches : sources) {
    readers.push_back(std::make_unique<VectorReader>(batches, reverse));
  }
  return readers;
}

std::unique_ptr<SortedReader> Read(Sources sources, MergeReadOptions options) {
  options.schema = TestSchema();
  return MergeForRead(std::move(sources), std::move(options)).ValueOrDie();
}

std::unique_ptr<SortedReader> Compact(Sources sources, CompactOptions options) {
  options.schema = TestSchema();
  return MergeForCompaction(std::move(sources), std::move(options)).ValueOrDie();
}

const uint8_t* ValuesOf(const RowBatch& batch) {
  const auto& array = static_cast<const arrow::Int64Array&>(*batch.columns->column(1));
  return reinterpret_cast<const uint8_t*>(array.raw_values());
}

/// Do the two batches share the memory of row `row` of `source` and row 0 of `batch`?
bool IsSliceOf(const RowBatch& batch, const RowBatch& source, int64_t row) {
  return ValuesOf(batch) == ValuesOf(source) + row * 8;
}

TEST(MergeForRead, NoSourcesDeliverNothing) {
  auto reader = Read({}, {});
  EXPECT_FALSE(reader->Next().ValueOrDie().has_value());
  EXPECT_FALSE(reader->Next().ValueOrDie().has_value());
}

TEST(MergeForRead, AgreesWithTheNaiveMerge) {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    const RandomData data = RandomData::Make(&random);
    MergeReadOptions options;
    options.tombstones = data.tombstones.empty() && random() % 2 ? nullptr : data.TombstoneSet();
    options.snapshot = random() % 3 == 0 ? kSequenceMax : random() % (data.sequence_max + 2);
    options.batch_rows_max = 1 + static_cast<int64_t>(random() % (random() % 2 ? 8 : 300));
    options.batch_rows_first = static_cast<int64_t>(random() % 4);
    if (random() % 2 == 0) options.batch_bytes_max = 1 + static_cast<int64_t>(random() % 200);
    const bool reverse = random() % 2 == 0;
    options.direction = reverse ? Direction::kReverse : Direction::kForward;
    std::vector<Row> expected =
        WithoutHidden(NaiveRead(data.all, data.tombstones, options.snapshot));
    if (reverse) std::reverse(expected.begin(), expected.end());
    auto reader = Read(data.Readers(&random, reverse), options);
    std::vector<RowBatch> batches;
    auto rows = Drain(reader.get(), &batches);
    ASSERT_TRUE(rows.ok()) << rows.status();
    ASSERT_EQ(*rows, expected) << "round " << round;
    for (const RowBatch& batch : batches) {
      ASSERT_LE(batch.num_rows(), options.batch_rows_max);
      ASSERT_EQ(batch.keys.size(), reverse ? 0 : batch.num_rows());
      ASSERT_TRUE(batch.unique_keys);
    }
  }
}

TEST(MergeForRead, ManyInterleavedSourcesComeOutInOrder) {
  for (const bool reverse : {false, true}) {
    for (const int64_t sources : {2, 5, 8, 9, 40}) {
      std::vector<std::vector<RowBatch>> batches(static_cast<size_t>(sources));
      std::vector<Row> expected = Numbered(0, sources * 3000, 1, 0);
      if (reverse) std::reverse(expected.begin(), expected.end());
      for (int64_t s = 0; s < sources; ++s) {
        // Three batches a source, so that sources change batches in the middle of the merge.
        for (int64_t part = 0; part < 3; ++part) {
          batches[static_cast<size_t>(s)].push_back(MakeBatch(
              Numbered(s + part * 1000 * sources, 1000, sources, static_cast<uint64_t>(s + 1))));
        }
      }
      MergeReadOptions options;
      options.direction = reverse ? Direction::kReverse : Direction::kForward;
      options.batch_rows_max = 777;
      auto reader = Read(ReadersOf(batches, reverse), options);
      EXPECT_EQ(*Drain(reader.get()), expected);
    }
  }
}

TEST(MergeForRead, ALoneSourcePassesThroughUntouched) {
  const RowBatch first = MakeBatch(Numbered(0, 5000, 1, 4));
  const RowBatch second = MakeBatch(Numbered(5000, 200, 1, 5));
  auto reader = Read(ReadersOf({{first, second}}), {});
  std::vector<RowBatch> batches;
  ASSERT_TRUE(Drain(reader.get(), &batches).ok());
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].columns.get(), first.columns.get());
  EXPECT_EQ(batches[1].columns.get(), second.columns.get());
}

TEST(MergeForRead, ALoneSourceIsCutToTheBatchSizeWithoutACopy) {
  const RowBatch source = MakeBatch(Numbered(0, 5000, 1, 4));
  MergeReadOptions options;
  options.batch_rows_max = 2000;
  options.batch_rows_first = 100;
  auto reader = Read(ReadersOf({{source}}), options);
  std::vector<RowBatch> batches;
  ASSERT_TRUE(Drain(reader.get(), &batches).ok());
  int64_t row = 0;
  std::vector<int64_t> sizes;
  for (const RowBatch& batch : batches) {
    EXPECT_TRUE(IsSliceOf(batch, source, row));
    EXPECT_EQ(batch.keys[0], source.keys[row]);
    sizes.push_back(batch.num_rows());
    row += batch.num_rows();
  }
  EXPECT_EQ(sizes, (std::vector<int64_t>{100, 200, 400, 800, 1600, 1900}));
}

TEST(MergeForRead, ALoneSourceNeedsNoKeys) {
  RowBatch source = MakeBatch(Numbered(0, 5000, 1, 4));
  source.keys = EncodedKeys();
  MergeReadOptions options;
  options.want_keys = false;
  for (const bool reverse : {false, true}) {
    options.direction = reverse ? Direction::kReverse : Direction::kForward;
    auto reader = Read(ReadersOf({{source}}, reverse), options);
    std::vector<Row> expected = Numbered(0, 5000, 1, 0);
    if (reverse) std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(*Drain(reader.get()), expected);
  }
}

TEST(MergeForRead, SourcesWithoutKeysAreRefusedIfThereAreSeveral) {
  RowBatch source = MakeBatch(Numbered(0, 10, 1, 4));
  source.keys = EncodedKeys();
  auto reader = Read(ReadersOf({{source}, {source}}), {});
  EXPECT_TRUE(reader->Next().status().IsInvalid());
}

TEST(MergeForRead, LongStretchesOfOneSourceAreNotCopied) {
  const RowBatch large = MakeBatch(Numbered(0, 20000, 1, 4));
  // One newer version in the middle of it: row 9000 comes from elsewhere, all others are slices.
  const RowBatch small = MakeBatch(Numbered(9000, 1, 1, 9));
  auto reader = Read(ReadersOf({{small}, {large}}), {});
  std::vector<RowBatch> batches;
  EXPECT_EQ(*Drain(reader.get(), &batches), Numbered(0, 20000, 1, 0));
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_TRUE(IsSliceOf(batches[0], large, 0));
  EXPECT_EQ(batches[0].num_rows(), 9000);
  EXPECT_EQ(batches[1].num_rows(), 1);
  EXPECT_TRUE(IsSliceOf(batches[2], large, 9001));
}

TEST(MergeForRead, AStretchBetweenTombstonesIsNotCopied) {
  const RowBatch source = MakeBatch(Numbered(0, 20000, 1, 4));
  MergeReadOptions options;
  options.tombstones = std::make_shared<const RangeTombstoneSet>(
      std::vector<RangeTombstone>{{"0000005000", "0000006000", 8}});
  auto reader = Read(ReadersOf({{source}}), options);
  std::vector<RowBatch> batches;
  EXPECT_EQ(Drain(reader.get(), &batches)->size(), 19000u);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_TRUE(IsSliceOf(batches[0], source, 0));
  EXPECT_TRUE(IsSliceOf(batches[1], source, 6000));
}

TEST(MergeForRead, AGatheredBatchEndsWhenItHasItsBytes) {
  auto reader = [](int64_t bytes) {
    MergeReadOptions options;
    options.batch_bytes_max = bytes;
    return Read(
        ReadersOf({{MakeBatch(Numbered(0, 1000, 2, 1))}, {MakeBatch(Numbered(1, 1000, 2, 2))}}),
        options);
  };
  std::vector<RowBatch> batches;
  EXPECT_EQ(*Drain(reader(1 << 20).get(), &batches), Numbered(0, 2000, 1, 0));
  EXPECT_EQ(batches.size(), 1u);
  batches.clear();
  // A row has 22 bytes. These limits make every source batch a heavy one, whose rows are counted
  // exactly.
  EXPECT_EQ(*Drain(reader(100).get(), &batches), Numbered(0, 2000, 1, 0));
  for (const RowBatch& batch : batches) EXPECT_LE(BatchBytes(*batch.columns), 100 + 8 * 22);
  EXPECT_LT(batches.size(), 1000u);
}

TEST(MergeForRead, DeliveredBatchesOutliveReaderAndSources) {
  std::optional<RowBatch> batch;
  {
    auto reader = Read(
        ReadersOf({{MakeBatch(Numbered(0, 50, 2, 1))}, {MakeBatch(Numbered(1, 50, 2, 2))}}), {});
    batch = reader->Next().ValueOrDie();
  }
  EXPECT_EQ(RowsOf(*batch), Numbered(0, 100, 1, 0));
}

class FailingReader : public SortedReader {
 public:
  explicit FailingReader(RowBatch batch) : batch_(std::move(batch)) {}
  arrow::Result<std::optional<RowBatch>> Next() override {
    if (!batch_.has_value()) return arrow::Status::IOError("a bad disk");
    return std::exchange(batch_, std::nullopt);
  }

 private:
  std::optional<RowBatch> batch_;
};

TEST(MergeForRead, AnErrorOfASourceIsReturnedAndStays) {
  Sources sources = ReadersOf({{MakeBatch(Numbered(1, 50, 2, 1))}});
  sources.push_back(std::make_unique<FailingReader>(MakeBatch(Numbered(0, 50, 2, 2))));
  auto reader = Read(std::move(sources), {});
  EXPECT_TRUE(reader->Next().status().IsIOError());
  EXPECT_TRUE(reader->Next().status().IsIOError());
}

/// The rows that a compaction has to keep, asked of every snapshot by itself.
std::vector<Row> NaiveCompact(const RandomData& data, const CompactOptions& options) {
  std::vector<uint64_t> moments = options.snapshots;
  moments.push_back(kSequenceMax);
  std::map<std::pair<std::string, uint64_t>, Row> kept;
  for (const Row& row : data.all) {
    for (const uint64_t moment : moments) {
      if (row.sequence > moment) continue;
      bool hidden = false;
      for (const Row& other : data.all) {
        hidden = hidden || (other.key == row.key && other.sequence > row.sequence &&
                            other.sequence <= moment);
      }
      for (const RangeTombstone& t : data.tombstones) {
        const bool covers = row.key >= t.begin && (!t.end.has_value() || row.key < *t.end);
        hidden = hidden || (covers && t.sequence > row.sequence && t.sequence <= moment);
      }
      if (!hidden) kept[{row.key, kSequenceMax - row.sequence}] = row;
    }
  }
  std::vector<Row> rows;
  for (const auto& [key, row] : kept) {
    const bool drop = options.bottommost && row.is_delete &&
                      (options.snapshots.empty() || row.sequence <= options.snapshots.front());
    if (!drop) rows.push_back(row);
  }
  return rows;
}

TEST(MergeForCompaction, AgreesWithTheRulesAskedOfEverySnapshot) {
  std::mt19937 random(12);
  for (int round = 0; round < 3000; ++round) {
    const RandomData data = RandomData::Make(&random);
    CompactOptions options;
    options.tombstones = data.TombstoneSet();
    options.bottommost = random() % 2 == 0;
    options.batch_rows_max = 1 + static_cast<int64_t>(random() % (random() % 2 ? 8 : 300));
    if (random() % 2 == 0) options.batch_bytes_max = 1 + static_cast<int64_t>(random() % 200);
    const size_t snapshots = random() % 4;
    for (size_t i = 0; i < snapshots; ++i) {
      options.snapshots.push_back(random() % (data.sequence_max + 2));
    }
    std::sort(options.snapshots.begin(), options.snapshots.end());
    options.snapshots.erase(std::unique(options.snapshots.begin(), options.snapshots.end()),
                            options.snapshots.end());
    auto reader = Compact(data.Readers(&random, false), options);
    std::vector<RowBatch> batches;
    auto rows = Drain(reader.get(), &batches);
    ASSERT_TRUE(rows.ok()) << rows.status();
    const std::vector<Row> expected = NaiveCompact(data, options);
    for (size_t i = 0; i < std::min(rows->size(), expected.size()); ++i) {
      ASSERT_EQ((*rows)[i], expected[i]) << "round " << round << " row " << i;
    }
    ASSERT_EQ(rows->size(), expected.size()) << "round " << round;

    std::string last_key = "(none)";
    for (const RowBatch& batch : batches) {
      ASSERT_EQ(batch.keys.size(), batch.num_rows());
      bool twice = false;
      uint64_t sequence_max = 0;
      bool deletes = false;
      for (int64_t i = 0; i < batch.num_rows(); ++i) {
        if (i > 0) twice = twice || batch.keys[i] == batch.keys[i - 1];
        sequence_max = std::max(sequence_max, batch.SequenceAt(i));
        deletes = deletes || batch.KindAt(i) == RowKind::kDelete;
      }
      ASSERT_EQ(batch.unique_keys, !twice);
      ASSERT_EQ(batch.kinds != nullptr, deletes);
      ASSERT_EQ(batch.sequence_max, sequence_max);
      ASSERT_NE(batch.keys[0], last_key) << "the versions of a key were torn apart";
      last_key = batch.keys[batch.num_rows() - 1];
    }
    // What is left reads as before at every moment that may be looked at.
    for (uint64_t s : options.snapshots) {
      ASSERT_EQ(NaiveRead(*rows, data.tombstones, s), NaiveRead(data.all, data.tombstones, s));
    }
    ASSERT_EQ(NaiveRead(*rows, data.tombstones, kSequenceMax),
              NaiveRead(data.all, data.tombstones, kSequenceMax));
  }
}

TEST(MergeForCompaction, SourcesThatDoNotOverlapAreNotCopied) {
  const RowBatch low = MakeBatch(Numbered(0, 5000, 1, 4), /*hidden_columns=*/true);
  const RowBatch high = MakeBatch(Numbered(5000, 5000, 1, 6));
  auto reader = Compact(ReadersOf({{high}, {low}}), {});
  std::vector<RowBatch> batches;
  ASSERT_TRUE(Drain(reader.get(), &batches).ok());
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].columns.get(), low.columns.get());
  EXPECT_EQ(batches[0].sequences, nullptr) << "one sequence needs no column";
  EXPECT_EQ(batches[0].sequence, 4u);
  EXPECT_EQ(batches[0].kinds, nullptr) << "puts need no column";
  EXPECT_EQ(batches[1].columns.get(), high.columns.get());
}

TEST(MergeForCompaction, ManyVersionsOfAKeyMayExceedTheBatchSizeButStayTogether) {
  std::vector<Row> versions;
  CompactOptions options;
  options.batch_rows_max = 2;
  for (uint64_t s = 20; s > 0; --s) versions.push_back({"k", s, false, static_cast<int64_t>(s)});
  for (uint64_t s = 1; s < 20; ++s) options.snapshots.push_back(s);
  auto reader =
      Compact(ReadersOf({{MakeBatch({{"a", 1, false, 0}})}, {MakeBatch(versions)}}), options);
  std::vector<RowBatch> batches;
  ASSERT_TRUE(Drain(reader.get(), &batches).ok());
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].num_rows(), 21);
  EXPECT_FALSE(batches[0].unique_keys);
}

}  // namespace
}  // namespace marble

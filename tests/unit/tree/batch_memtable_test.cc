// The memtable of tables that are not key-value tables: keyed by other columns, and append tables.
#include <algorithm>
#include <string>

#include "memtable_test_util.h"
#include "support/random.h"
#include "tree/memtable.h"

namespace marble::test {
namespace {

/// A table {id int64, name utf8, amount int64} keyed by (id) or (name, id).
class BatchMemtableTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& primary_key = {"id"},
             arrow::MemoryPool* pool = arrow::default_memory_pool()) {
    schema_ = MakeSchema(
        {arrow::field("id", arrow::int64(), false), arrow::field("name", arrow::utf8(), false),
         arrow::field("amount", arrow::int64())},
        primary_key);
    memtable_ = Memtable::Make(schema_, kHashSeed, pool);
    request_.columns = {0, 1, 2};
    model_ = Model();
    sequence_ = 0;
  }

  static std::string NameOf(int64_t id) { return "name" + std::to_string(id % 7); }

  std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<int64_t>& ids, int64_t amount) {
    arrow::Int64Builder id;
    arrow::StringBuilder name;
    arrow::Int64Builder amounts;
    for (const int64_t i : ids) {
      EXPECT_TRUE(id.Append(i).ok());
      EXPECT_TRUE(name.Append(NameOf(i)).ok());
      EXPECT_TRUE((amount % 5 == 0 ? amounts.AppendNull() : amounts.Append(amount)).ok());
    }
    return arrow::RecordBatch::Make(
        schema_->stored_schema(), static_cast<int64_t>(ids.size()),
        {id.Finish().ValueOrDie(), name.Finish().ValueOrDie(), amounts.Finish().ValueOrDie()});
  }

  /// Inserts rows of these ids; the sequence stands in their amount.
  arrow::Status Insert(const std::vector<int64_t>& ids, RowKind kind = RowKind::kPut) {
    const uint64_t sequence = sequence_ + 1;
    const auto batch = Batch(ids, static_cast<int64_t>(sequence));
    SortedRows sorted{batch, {}};
    if (!schema_->is_append()) {
      ARROW_ASSIGN_OR_RAISE(auto keys, schema_->codec()->Encode(*batch));
      ARROW_ASSIGN_OR_RAISE(
          sorted, SortByKey(batch, keys, *schema_->codec(), arrow::default_memory_pool()));
    }
    ARROW_RETURN_NOT_OK(memtable_->InsertRows(sequence, sorted, kind, next_row_id_));
    ++sequence_;
    for (int64_t i = 0; i < sorted.columns->num_rows(); ++i) {
      const std::string key(schema_->is_append() ? EncodeRowId(next_row_id_ + i) : sorted.keys[i]);
      model_.Write({key, sequence, kind, Describe(*sorted.columns, i)});
    }
    next_row_id_ += ids.size();
    return arrow::Status::OK();
  }

  static std::string Describe(const arrow::RecordBatch& batch, int64_t row) {
    std::string text;
    for (const auto& column : batch.columns()) {
      text += column->GetScalar(row).ValueOrDie()->ToString() + " ";
    }
    return text;
  }

  std::vector<ModelRow> Read() {
    return ReadAllWith(*memtable_, request_, [](const RowBatch& batch, int64_t row) {
      return std::optional<std::string>(Describe(*batch.columns, row));
    });
  }

  void ExpectReadsLikeModel() {
    for (const Direction direction : {Direction::kForward, Direction::kReverse}) {
      request_.direction = direction;
      ASSERT_EQ(Read(), model_.Read(request_.range, request_.snapshot));
    }
  }

  std::string KeyOf(int64_t id) {
    return std::string(schema_->codec()->Encode(*Batch({id}, 1)).ValueOrDie()[0]);
  }

  std::optional<ModelRow> Get(const std::string& key, uint64_t snapshot = kSequenceMax) {
    auto found = memtable_->GetRow(key, HashKey(key, kHashSeed), snapshot);
    EXPECT_TRUE(found.ok()) << found.status();
    if (!found.ok() || !found->has_value()) return std::nullopt;
    const FoundRow& row = **found;
    EXPECT_EQ(row.block->rows.keys[row.row], key);
    EXPECT_EQ(row.block->rows.SequenceAt(row.row), row.sequence);
    EXPECT_EQ(row.block->rows.KindAt(row.row), row.kind);
    return ModelRow{key, row.sequence, row.kind, Describe(*row.block->rows.columns, row.row)};
  }

  FailingPool pool_;  // outlives the memtable; refuses nothing unless told to
  std::shared_ptr<const StoredSchema> schema_;
  std::shared_ptr<Memtable> memtable_;
  Model model_;
  ReadRequest request_;
  uint64_t sequence_ = 0;
  uint64_t next_row_id_ = 1000;
};

TEST_F(BatchMemtableTest, StartsEmpty) {
  Start();
  EXPECT_TRUE(memtable_->empty());
  EXPECT_EQ(memtable_->bytes(), 0);
  EXPECT_EQ(Get(KeyOf(1)), std::nullopt);
  ExpectReadsLikeModel();
}

TEST_F(BatchMemtableTest, KeyValueCallsAreRefused) {
  Start();
  EXPECT_TRUE(memtable_->Put(1, "k", 0, "v").IsInvalid());
  EXPECT_TRUE(memtable_->Delete(1, "k", 0).IsInvalid());
  FoundValue found;
  EXPECT_TRUE(memtable_->FindValue("k", 0, 1, &found).IsInvalid());
  EXPECT_TRUE(memtable_->empty());
}

TEST_F(BatchMemtableTest, AnEmptyBatchLeavesNoTrace) {
  Start();
  MARBLE_ASSERT_OK(Insert({}));
  EXPECT_TRUE(memtable_->empty());
  ExpectReadsLikeModel();
}

TEST_F(BatchMemtableTest, OneBatchIsDeliveredWithoutACopy) {
  Start();
  MARBLE_ASSERT_OK(Insert({5, 3, 4}));
  const auto found = memtable_->GetRow(KeyOf(3), 0, kSequenceMax).ValueOrDie();
  const auto batch = memtable_->NewReader(request_).ValueOrDie()->Next().ValueOrDie();
  EXPECT_EQ(batch->columns->column_data(0)->buffers[1],
            found->block->rows.columns->column_data(0)->buffers[1]);
  EXPECT_EQ(batch->sequences, nullptr);
  EXPECT_EQ(batch->sequence, 1u);
}

TEST_F(BatchMemtableTest, VersionsOfARowAreTakenBySnapshot) {
  Start();
  MARBLE_ASSERT_OK(Insert({1, 2, 3}));
  MARBLE_ASSERT_OK(Insert({2}));
  MARBLE_ASSERT_OK(Insert({2, 3}, RowKind::kDelete));
  EXPECT_EQ(Get(KeyOf(2), 0), std::nullopt);
  EXPECT_EQ(Get(KeyOf(2), 1)->sequence, 1u);
  EXPECT_EQ(Get(KeyOf(2), 2)->sequence, 2u);
  EXPECT_EQ(Get(KeyOf(2))->kind, RowKind::kDelete);
  EXPECT_EQ(Get(KeyOf(1))->sequence, 1u);
  EXPECT_EQ(Get(KeyOf(4)), std::nullopt);
  EXPECT_TRUE(memtable_->has_deletes());
  ExpectReadsLikeModel();
  request_.snapshot = 1;
  ExpectReadsLikeModel();
}

TEST_F(BatchMemtableTest, DisjointBatchesAreReadInKeyOrder) {
  Start();
  MARBLE_ASSERT_OK(Insert({20, 21, 22}));
  MARBLE_ASSERT_OK(Insert({1, 2, 3}));
  MARBLE_ASSERT_OK(Insert({10, 11}, RowKind::kDelete));
  for (const int64_t batch_rows : {1, 2, 3, 5, 100}) {
    request_.batch_rows = batch_rows;
    ExpectReadsLikeModel();
  }
  request_.range = {KeyOf(2), KeyOf(21)};
  ExpectReadsLikeModel();
}

TEST_F(BatchMemtableTest, ManySingleRowsAreDeliveredInFullBatches) {
  Start();
  for (int64_t i = 0; i < 500; ++i) MARBLE_ASSERT_OK(Insert({i * 37 % 500}));
  request_.batch_rows = 128;
  auto reader = memtable_->NewReader(request_).ValueOrDie();
  EXPECT_EQ(reader->Next().ValueOrDie()->num_rows(), 128);
  ExpectReadsLikeModel();
  for (int64_t i = 0; i < 500; ++i) {
    ASSERT_EQ(Get(KeyOf(i)), model_.Get(KeyOf(i), kSequenceMax));
  }
}

TEST_F(BatchMemtableTest, ProjectionsAndEmptyProjectionsAreHonoured) {
  Start();
  for (int i = 0; i < 3; ++i) MARBLE_ASSERT_OK(Insert({1, 2, 3}));
  request_.columns = {2, 0};
  auto batch = memtable_->NewReader(request_).ValueOrDie()->Next().ValueOrDie();
  EXPECT_EQ(batch->columns->schema()->field_names(), (std::vector<std::string>{"amount", "id"}));
  EXPECT_EQ(batch->num_rows(), 9);
  EXPECT_FALSE(batch->unique_keys);
  request_.columns = {};
  request_.want_keys = false;
  batch = memtable_->NewReader(request_).ValueOrDie()->Next().ValueOrDie();
  EXPECT_EQ(batch->num_rows(), 9);
  EXPECT_EQ(batch->columns->num_columns(), 0);
}

TEST_F(BatchMemtableTest, AgreesWithTheModelOverRandomHistories) {
  Random random(SeedOfThisRun());
  SCOPED_TRACE(SeedOfThisRun());
  for (int history = 0; history < 10; ++history) {
    if (history % 2 == 0) {
      Start({"id"});
    } else {
      Start({"name", "id"});
    }
    const uint64_t span = 1 + random.Uniform(400);
    const uint64_t rows_max = history % 3 == 0 ? 1 : 40;
    for (int step = 0; step < 200; ++step) {
      std::vector<int64_t> ids;
      for (uint64_t i = 0; i <= random.Uniform(rows_max); ++i) {
        ids.push_back(static_cast<int64_t>(random.Uniform(span)) - 20);
      }
      MARBLE_ASSERT_OK(Insert(ids, random.OneIn(5) ? RowKind::kDelete : RowKind::kPut));
      const std::string key = KeyOf(static_cast<int64_t>(random.Uniform(span)) - 20);
      const uint64_t snapshot = random.Uniform(sequence_ + 2);
      ASSERT_EQ(Get(key, snapshot), model_.Get(key, snapshot));
      if (!random.OneIn(10)) continue;
      request_.snapshot = random.OneIn(3) ? kSequenceMax : snapshot;
      request_.batch_rows = 1 + static_cast<int64_t>(random.Uniform(60));
      request_.range = {random.OneIn(2) ? KeyOf(static_cast<int64_t>(random.Uniform(span))) : "",
                        std::nullopt};
      if (random.OneIn(2)) {
        request_.range.upper = KeyOf(static_cast<int64_t>(random.Uniform(span)));
      }
      ExpectReadsLikeModel();
    }
  }
}

TEST_F(BatchMemtableTest, AFailedAllocationLeavesNoTrace) {
  Start({"id"}, &pool_);
  MARBLE_ASSERT_OK(Insert({1, 2, 3}));
  pool_.Allow(0);
  EXPECT_TRUE(Insert({2}, RowKind::kDelete).IsOutOfMemory());
  pool_.Allow(INT64_MAX);
  EXPECT_EQ(memtable_->entries(), 3);
  EXPECT_EQ(memtable_->sequence_max(), 1u);
  EXPECT_FALSE(memtable_->has_deletes());
  ExpectReadsLikeModel();
  for (int i = 0; i < 20; ++i) MARBLE_ASSERT_OK(Insert({i, 30 - i}));
  for (int64_t allowed = 0; allowed < 2; ++allowed) {
    pool_.Allow(allowed);
    EXPECT_TRUE(memtable_->NewReader(request_).status().IsOutOfMemory());
    EXPECT_TRUE(memtable_->GetRow(KeyOf(1), 0, kSequenceMax).status().IsOutOfMemory());
    pool_.Allow(INT64_MAX);
  }
  ExpectReadsLikeModel();
}

TEST_F(BatchMemtableTest, RangeTombstonesAreKeptBesideTheRows) {
  Start();
  MARBLE_ASSERT_OK(Insert({1, 2, 3}));
  MARBLE_ASSERT_OK(memtable_->DeleteRange({KeyOf(2), KeyOf(3), 2}));
  EXPECT_EQ(memtable_->range_tombstones().Set()->CoveringSequence(KeyOf(2), kSequenceMax), 2u);
  EXPECT_EQ(memtable_->range_tombstones().Set()->CoveringSequence(KeyOf(3), kSequenceMax), 0u);
  EXPECT_EQ(memtable_->entries(), 4);
  EXPECT_EQ(memtable_->sequence_max(), 2u);
  ExpectReadsLikeModel();
}

TEST_F(BatchMemtableTest, BytesGrowWithRowsAndCountSmallBatchesFully) {
  Start();
  MARBLE_ASSERT_OK(Insert({1}));
  const int64_t one = memtable_->bytes();
  EXPECT_GT(one, 500) << "the objects around a single row weigh more than the row";
  std::vector<int64_t> ids(10000);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i);
  MARBLE_ASSERT_OK(Insert(ids));
  EXPECT_GT(memtable_->bytes() - one, 10000 * 24);
  const int64_t before = memtable_->bytes();
  ExpectReadsLikeModel();
  EXPECT_GT(memtable_->bytes(), before) << "the index of overlapping batches counts";
}

class AppendMemtableTest : public BatchMemtableTest {
 protected:
  void SetUp() override { Start({}); }
};

TEST_F(AppendMemtableTest, RowsAreReadInTheOrderOfInsertion) {
  MARBLE_ASSERT_OK(Insert({5, 4}));
  MARBLE_ASSERT_OK(Insert({9}));
  MARBLE_ASSERT_OK(Insert({1, 1, 1}));
  EXPECT_EQ(memtable_->first_row_id(), 1000u);
  EXPECT_EQ(memtable_->entries(), 6);
  for (const int64_t batch_rows : {1, 2, 4, 100}) {
    request_.batch_rows = batch_rows;
    ExpectReadsLikeModel();
  }
  request_.snapshot = 2;
  ExpectReadsLikeModel();
}

TEST_F(AppendMemtableTest, RangesOfRowIdsAreHonoured) {
  for (int i = 0; i < 20; ++i) MARBLE_ASSERT_OK(Insert({i, i, i}));
  const std::string id = EncodeRowId(1010);
  for (const std::string& lower : {std::string(), id, id + "x", id.substr(0, 7), id.substr(0, 3)}) {
    for (const std::string& upper : {EncodeRowId(1033), EncodeRowId(1033) + "x", id,
                                     std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff")}) {
      request_.range = {lower, upper};
      ExpectReadsLikeModel();
    }
  }
  request_.range = {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", std::nullopt};
  ExpectReadsLikeModel();
}

TEST_F(AppendMemtableTest, SmallBatchesAreJoinedButNotOverGapsInRowIds) {
  for (int i = 0; i < 10; ++i) MARBLE_ASSERT_OK(Insert({i}));
  next_row_id_ += 5;
  for (int i = 0; i < 10; ++i) MARBLE_ASSERT_OK(Insert({i}));
  auto reader = memtable_->NewReader(request_).ValueOrDie();
  EXPECT_EQ(reader->Next().ValueOrDie()->num_rows(), 10);
  EXPECT_EQ(reader->Next().ValueOrDie()->num_rows(), 10);
  EXPECT_FALSE(reader->Next()->has_value());
  ExpectReadsLikeModel();
  request_.want_keys = false;
  request_.direction = Direction::kForward;
  EXPECT_EQ(memtable_->NewReader(request_).ValueOrDie()->Next().ValueOrDie()->num_rows(), 20);
}

TEST_F(AppendMemtableTest, LookupsByKeyAreRefused) {
  MARBLE_ASSERT_OK(Insert({1}));
  EXPECT_TRUE(memtable_->GetRow(EncodeRowId(1000), 0, kSequenceMax).status().IsInvalid());
}

}  // namespace
}  // namespace marble::test

// The memtable of key-value tables against a model of rows with versions.
#include "tree/memtable.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "memtable_test_util.h"
#include "support/random.h"

namespace marble::test {
namespace {

class PointMemtableTest : public ::testing::Test {
 protected:
  void Start(std::shared_ptr<const StoredSchema> schema = KeyValueSchema(),
             arrow::MemoryPool* pool = arrow::default_memory_pool()) {
    schema_ = std::move(schema);
    memtable_ = Memtable::Make(schema_, kHashSeed, pool);
    request_.columns = {0, 1};
  }

  static uint64_t Hash(std::string_view key) { return HashKey(key, kHashSeed); }

  void Put(const std::string& key, const std::string& value) {
    MARBLE_ASSERT_OK(memtable_->Put(++sequence_, key, Hash(key), value));
    model_.Write({key, sequence_, RowKind::kPut, value});
  }
  void PutMany(const std::vector<std::pair<std::string, std::string>>& rows) {
    std::vector<PutPair> pairs;
    for (const auto& [key, value] : rows) pairs.push_back({key, value, Hash(key)});
    MARBLE_ASSERT_OK(memtable_->PutMany(sequence_ + 1, pairs));
    for (const auto& [key, value] : rows) model_.Write({key, ++sequence_, RowKind::kPut, value});
    EXPECT_EQ(memtable_->sequence_max(), sequence_);
  }
  void Delete(const std::string& key) {
    MARBLE_ASSERT_OK(memtable_->Delete(++sequence_, key, Hash(key)));
    model_.Write({key, sequence_, RowKind::kDelete, ""});
  }
  /// Writes a batch of rows with one sequence; later rows of a key win.
  arrow::Status Insert(const std::map<std::string, std::optional<std::string>>& rows,
                       RowKind kind = RowKind::kPut) {
    const auto& stored = schema_->stored_schema();
    ARROW_ASSIGN_OR_RAISE(auto keys, arrow::MakeBuilder(stored->field(0)->type()));
    ARROW_ASSIGN_OR_RAISE(auto values, arrow::MakeBuilder(stored->field(1)->type()));
    const auto append = [](arrow::ArrayBuilder* builder, const std::optional<std::string>& text) {
      if (!text.has_value()) return builder->AppendNull();
      if (arrow::is_large_binary_like(builder->type()->id())) {
        return static_cast<arrow::LargeBinaryBuilder*>(builder)->Append(*text);
      }
      return static_cast<arrow::BinaryBuilder*>(builder)->Append(*text);
    };
    for (const auto& [key, value] : rows) {
      ARROW_RETURN_NOT_OK(append(keys.get(), key));
      ARROW_RETURN_NOT_OK(append(values.get(), value));
    }
    const arrow::ArrayVector columns = {keys->Finish().ValueOrDie(), values->Finish().ValueOrDie()};
    SortedRows sorted;
    sorted.columns = arrow::RecordBatch::Make(stored, columns[0]->length(), columns);
    ARROW_ASSIGN_OR_RAISE(sorted.keys, schema_->codec()->Encode(*sorted.columns));
    ARROW_RETURN_NOT_OK(memtable_->InsertRows(++sequence_, sorted, kind, 0));
    for (const auto& [key, value] : rows) model_.Write({key, sequence_, kind, value});
    return arrow::Status::OK();
  }

  std::optional<ModelRow> Get(const std::string& key, uint64_t snapshot = kSequenceMax) {
    FoundValue found;
    const arrow::Status status = memtable_->FindValue(key, Hash(key), snapshot, &found);
    EXPECT_TRUE(status.ok()) << status;
    if (!found.found) return std::nullopt;
    return ModelRow{key, found.sequence, found.kind, std::string(found.value)};
  }

  void ExpectReadsLikeModel() {
    EXPECT_EQ(ReadAll(*memtable_, request_), model_.Read(request_.range, request_.snapshot));
  }

  FailingPool pool_;  // outlives the memtable; refuses nothing unless told to
  std::shared_ptr<const StoredSchema> schema_;
  std::shared_ptr<Memtable> memtable_;
  Model model_;
  ReadRequest request_;
  uint64_t sequence_ = 0;
};

TEST_F(PointMemtableTest, StartsEmptyAndTakesNoMemory) {
  Start();
  EXPECT_TRUE(memtable_->empty());
  EXPECT_EQ(memtable_->bytes(), 0);
  EXPECT_EQ(Get("a"), std::nullopt);
  EXPECT_TRUE(memtable_->range_tombstones().Set()->empty());
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, FindsTheNewestVersionUpToTheSnapshot) {
  Start();
  Put("a", "one");
  Put("a", "two");
  Delete("a");
  EXPECT_EQ(Get("a", 0), std::nullopt);
  EXPECT_EQ(Get("a", 1)->value, "one");
  EXPECT_EQ(Get("a", 2)->value, "two");
  EXPECT_EQ(Get("a")->kind, RowKind::kDelete);
  EXPECT_EQ(Get("a")->sequence, 3u);
  EXPECT_EQ(memtable_->entries(), 3);
  EXPECT_EQ(memtable_->sequence_min(), 1u);
  EXPECT_EQ(memtable_->sequence_max(), 3u);
}

TEST_F(PointMemtableTest, KeepsEmptyKeysAndValuesAndArbitraryBytes) {
  Start(KeyValueSchema(arrow::binary(), arrow::binary()));
  const std::vector<std::string> odd = {"",
                                        std::string(1, '\0'),
                                        std::string(9, '\0'),
                                        "\xff",
                                        std::string("a\0", 2),
                                        "a",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
  for (const std::string& key : odd) {
    for (const std::string& value : odd) Put(key, value);
  }
  for (const std::string& key : odd) EXPECT_EQ(Get(key), model_.Get(key, kSequenceMax));
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, GetRowGivesBothColumns) {
  Start();
  Put("k", "v");
  const auto found = memtable_->GetRow("k", Hash("k"), kSequenceMax).ValueOrDie();
  ASSERT_TRUE(found.has_value());
  const RowBatch& rows = found->block->rows;
  EXPECT_EQ(ValueAt(*rows.columns->column(0), found->row), "k");
  EXPECT_EQ(ValueAt(*rows.columns->column(1), found->row), "v");
  EXPECT_EQ(rows.keys[found->row], "k");
  EXPECT_EQ(found->sequence, 1u);
  EXPECT_FALSE(memtable_->GetRow("l", Hash("l"), kSequenceMax)->has_value());
}

TEST_F(PointMemtableTest, BatchesBecomeRecordsWithNullsAndKinds) {
  for (const auto& type : {arrow::binary(), arrow::large_binary(), arrow::utf8()}) {
    Start(KeyValueSchema(arrow::large_utf8(), type));
    model_ = Model();
    sequence_ = 0;
    std::map<std::string, std::optional<std::string>> rows;
    for (int i = 0; i < 100; ++i) rows["key" + std::to_string(i)] = std::to_string(i * i);
    rows["key7"] = std::nullopt;
    rows["key8"] = "";
    MARBLE_ASSERT_OK(Insert(rows));
    MARBLE_ASSERT_OK(Insert({{"key9", ""}, {"none", ""}}, RowKind::kDelete));
    EXPECT_EQ(Get("key9")->kind, RowKind::kDelete);
    EXPECT_EQ(Get("key9", 1)->value, "81");
    EXPECT_TRUE(memtable_->has_deletes());
    ExpectReadsLikeModel();
  }
}

TEST_F(PointMemtableTest, GrowsOverManySizes) {
  Start();
  Random random(SeedOfThisRun());
  SCOPED_TRACE(SeedOfThisRun());
  for (int i = 0; i < 60000; ++i) Put("key" + std::to_string(random.Uniform(50000)), "v");
  for (int i = 0; i < 50000; ++i) {
    const std::string key = "key" + std::to_string(i);
    ASSERT_EQ(Get(key), model_.Get(key, kSequenceMax));
    ASSERT_EQ(Get("miss" + std::to_string(i)), std::nullopt);
  }
  EXPECT_EQ(memtable_->entries(), 60000);
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, ValuesLargerThanABlockAreKept) {
  Start();
  const std::string large(5 << 20, 'x');
  Put("a", "small");
  Put("b", large);
  Put("c", "small");
  EXPECT_EQ(Get("b")->value, large);
  EXPECT_GE(memtable_->bytes(), 5 << 20);
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, AnEmptyProjectionStillCountsRows) {
  Start();
  for (int i = 0; i < 10; ++i) Put(std::to_string(i), "v");
  request_.columns = {};
  request_.want_keys = false;
  auto reader = memtable_->NewReader(request_).ValueOrDie();
  const auto batch = reader->Next().ValueOrDie();
  EXPECT_EQ(batch->num_rows(), 10);
  EXPECT_EQ(batch->columns->num_columns(), 0);
  EXPECT_FALSE(reader->Next()->has_value());
}

TEST_F(PointMemtableTest, ProjectionsKeepTheirOrder) {
  Start();
  Put("k", "v");
  request_.columns = {1, 0, 1};
  const auto batch = memtable_->NewReader(request_).ValueOrDie()->Next().ValueOrDie();
  EXPECT_EQ(ValueAt(*batch->columns->column(0), 0), "v");
  EXPECT_EQ(ValueAt(*batch->columns->column(1), 0), "k");
  EXPECT_EQ(ValueAt(*batch->columns->column(2), 0), "v");
  EXPECT_EQ(batch->columns->schema()->field(1)->name(), "key");
}

TEST_F(PointMemtableTest, BatchesOutliveMemtableAndReader) {
  Start();
  Put("k", std::string(1000, 'v'));
  auto reader = memtable_->NewReader(request_).ValueOrDie();
  memtable_.reset();
  const auto batch = reader->Next().ValueOrDie();
  reader.reset();
  EXPECT_EQ(batch->keys[0], "k");
  EXPECT_EQ(ValueAt(*batch->columns->column(1), 0), std::string(1000, 'v'));
}

TEST_F(PointMemtableTest, ManyVersionsOfAKeyStayInOneBatch) {
  Start();
  for (int i = 0; i < 3000; ++i) {
    Put("hot", std::to_string(i));
    if (i % 10 == 0) Put("key" + std::to_string(i), "v");
  }
  request_.batch_rows = 16;
  ExpectReadsLikeModel();
  request_.direction = Direction::kReverse;
  ExpectReadsLikeModel();
  request_.snapshot = 1500;
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, AReaderSeesWhatWasWrittenBeforeItAndNothingLater) {
  Start();
  Put("b", "1");
  request_.snapshot = sequence_;
  auto reader = memtable_->NewReader(request_).ValueOrDie();
  Put("a", "2");
  Put("b", "3");
  const auto batch = reader->Next().ValueOrDie();
  ASSERT_EQ(batch->num_rows(), 1);
  EXPECT_EQ(ValueAt(*batch->columns->column(1), 0), "1");
  EXPECT_FALSE(reader->Next()->has_value());
  request_.snapshot = sequence_;
  ExpectReadsLikeModel();
}

/// Keys of several shapes, so that prefixes tie at every length: shared beginnings, one a prefix of
/// another, zeros.
std::string RandomKey(Random* random) {
  switch (random->Uniform(4)) {
    case 0:
      return "key" + std::to_string(random->Uniform(300));
    case 1:
      return std::string(random->Uniform(40), '\0');
    case 2:
      return "a long common beginning of keys " + std::to_string(random->Uniform(100));
    default:
      return std::string(1 + random->Uniform(3), static_cast<char>(random->Uniform(256)));
  }
}

TEST_F(PointMemtableTest, AgreesWithTheModelOverRandomHistories) {
  Random random(SeedOfThisRun());
  SCOPED_TRACE(SeedOfThisRun());
  for (int history = 0; history < 12; ++history) {
    Start(KeyValueSchema(arrow::binary(), history % 2 == 0 ? arrow::binary() : arrow::utf8()));
    model_ = Model();
    sequence_ = 0;
    for (int step = 0; step < 1500; ++step) {
      const std::string key = RandomKey(&random);
      switch (random.Uniform(8)) {
        case 0:
          Delete(key);
          break;
        case 1: {
          std::map<std::string, std::optional<std::string>> rows;
          for (uint64_t i = random.Uniform(20); i > 0; --i) rows[RandomKey(&random)] = "batch";
          MARBLE_ASSERT_OK(Insert(rows, random.OneIn(4) ? RowKind::kDelete : RowKind::kPut));
          break;
        }
        case 2: {
          // Now and then more bytes than memory is reserved for at once.
          const uint64_t bytes = random.OneIn(4) ? 3000 : 20;
          std::vector<std::pair<std::string, std::string>> rows;
          for (uint64_t i = 1 + random.Uniform(40); i > 0; --i) {
            rows.emplace_back(RandomKey(&random), std::string(random.Uniform(bytes), 'p'));
          }
          PutMany(rows);
          break;
        }
        default:
          Put(key, std::string(random.Uniform(20), 'v'));
          break;
      }
      const std::string asked = RandomKey(&random);
      const uint64_t snapshot = random.Uniform(sequence_ + 2);
      ASSERT_EQ(Get(asked, snapshot), model_.Get(asked, snapshot));
      if (!random.OneIn(40)) continue;
      request_.snapshot = random.OneIn(3) ? kSequenceMax : snapshot;
      request_.direction = random.OneIn(2) ? Direction::kForward : Direction::kReverse;
      request_.batch_rows = 1 + static_cast<int64_t>(random.Uniform(100));
      request_.range = {random.OneIn(2) ? RandomKey(&random) : "", std::nullopt};
      if (random.OneIn(2)) request_.range.upper = RandomKey(&random);
      ASSERT_EQ(ReadAll(*memtable_, request_), model_.Read(request_.range, request_.snapshot));
    }
  }
}

TEST_F(PointMemtableTest, GivesEachOfManyPairsASequenceOfItsOwn) {
  Start(KeyValueSchema());
  Put("a", "before");
  PutMany({{"b", "1"}, {"a", "2"}, {"b", "3"}});
  EXPECT_EQ(Get("b", 1), std::nullopt);
  EXPECT_EQ(Get("b", 2)->value, "1");
  EXPECT_EQ(Get("b", 3)->value, "1");
  EXPECT_EQ(Get("b", 4)->value, "3");
  EXPECT_EQ(Get("a", 2)->value, "before");
  EXPECT_EQ(Get("a", 3)->value, "2");
  EXPECT_EQ(memtable_->entries(), 4);
}

TEST_F(PointMemtableTest, AFailedAllocationLeavesNoTrace) {
  Start(KeyValueSchema(), &pool_);
  int64_t failures = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "key" + std::to_string(i);
    const std::string value(i % 700, 'v');
    pool_.Allow(0);
    const arrow::Status status = memtable_->Put(sequence_ + 1, key, Hash(key), value);
    pool_.Allow(INT64_MAX);
    if (status.ok()) {
      model_.Write({key, ++sequence_, RowKind::kPut, value});
    } else {
      EXPECT_TRUE(status.IsOutOfMemory());
      ++failures;
      ASSERT_EQ(Get(key), std::nullopt);
      ASSERT_EQ(memtable_->entries(), static_cast<int64_t>(sequence_));
      ASSERT_EQ(memtable_->sequence_max(), sequence_);
      Put(key, value);
    }
  }
  EXPECT_GT(failures, 5);
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, ABatchThatDoesNotFitInMemoryLeavesNoTrace) {
  Start(KeyValueSchema(), &pool_);
  Put("key5", "before");
  std::map<std::string, std::optional<std::string>> rows;
  for (int i = 0; i < 5000; ++i) rows["key" + std::to_string(i)] = std::string(100, 'v');
  // The first request is for the records, the second for the index.
  for (const int64_t allowed : {0, 1}) {
    pool_.Allow(allowed);
    EXPECT_TRUE(Insert(rows).IsOutOfMemory());
    pool_.Allow(INT64_MAX);
    --sequence_;
    EXPECT_EQ(memtable_->entries(), 1);
    EXPECT_EQ(memtable_->sequence_max(), 1u);
    EXPECT_EQ(Get("key5")->value, "before");
    EXPECT_EQ(Get("key6"), std::nullopt);
    ExpectReadsLikeModel();
  }
  MARBLE_ASSERT_OK(Insert(rows));
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, AReaderThatGetsNoMemoryChangesNothing) {
  Start(KeyValueSchema(), &pool_);
  for (int i = 0; i < 2000; ++i) Put("key" + std::to_string(i * 7 % 2000), "v");
  for (int64_t allowed = 0; allowed < 6; ++allowed) {
    Put("more" + std::to_string(allowed), "v");
    pool_.Allow(allowed);
    auto reader = memtable_->NewReader(request_);
    if (reader.ok()) {
      EXPECT_TRUE((*reader)->Next().status().IsOutOfMemory());
    } else {
      EXPECT_TRUE(reader.status().IsOutOfMemory());
    }
    pool_.Allow(INT64_MAX);
    ExpectReadsLikeModel();
  }
}

TEST(TombstoneListTest, AnswersAsTheSetWhetherOrNotAllAreIndexed) {
  TombstoneList list;
  EXPECT_EQ(list.CoveringSequence("m", kSequenceMax), 0u);
  for (uint64_t sequence = 1; sequence <= 200; ++sequence) {
    const std::string begin = std::to_string(sequence * 37 % 101);
    const bool bounded = sequence % 5 != 0;
    list.Append({begin, bounded ? std::optional(begin + "5") : std::nullopt, sequence});
    std::vector<uint64_t> answers;
    for (int key = 0; key < 30; ++key) {
      for (const uint64_t snapshot : {sequence / 2, sequence, kSequenceMax}) {
        answers.push_back(list.CoveringSequence(std::to_string(key * 7), snapshot));
      }
    }
    const auto set = sequence % 3 == 0 ? list.Set() : nullptr;
    for (size_t i = 0; set != nullptr && i < answers.size(); ++i) {
      const uint64_t snapshots[] = {sequence / 2, sequence, kSequenceMax};
      const std::string key = std::to_string(i / 3 * 7);
      ASSERT_EQ(answers[i], set->CoveringSequence(key, snapshots[i % 3])) << key;
    }
  }
}

TEST_F(PointMemtableTest, RangeTombstonesAreKeptBesideTheRows) {
  Start();
  Put("b", "v");
  const auto before = memtable_->range_tombstones().Set();
  MARBLE_ASSERT_OK(memtable_->DeleteRange({"a", "c", ++sequence_}));
  MARBLE_ASSERT_OK(memtable_->DeleteRange({"x", std::nullopt, ++sequence_}));
  EXPECT_TRUE(before->empty());
  const auto tombstones = memtable_->range_tombstones().Set();
  EXPECT_EQ(tombstones->CoveringSequence("b", kSequenceMax), 2u);
  EXPECT_EQ(tombstones->CoveringSequence("b", 1), 0u);
  EXPECT_EQ(tombstones->CoveringSequence("c", kSequenceMax), 0u);
  EXPECT_EQ(tombstones->CoveringSequence("zz", kSequenceMax), 3u);
  EXPECT_EQ(memtable_->range_tombstones().Set(), tombstones);
  EXPECT_EQ(memtable_->entries(), 3);
  EXPECT_EQ(memtable_->sequence_max(), 3u);
  EXPECT_FALSE(memtable_->has_deletes()) << "no row is a delete";
  EXPECT_EQ(Get("b")->value, "v") << "lookups leave tombstones to the caller";
}

TEST_F(PointMemtableTest, ATombstoneAloneIsNotEmpty) {
  Start();
  MARBLE_ASSERT_OK(memtable_->DeleteRange({"a", "c", 9}));
  EXPECT_FALSE(memtable_->empty());
  EXPECT_EQ(memtable_->sequence_min(), 9u);
  EXPECT_GT(memtable_->bytes(), 0);
  ExpectReadsLikeModel();
}

TEST_F(PointMemtableTest, BytesCountRecordsIndexAndRuns) {
  Start();
  for (int i = 0; i < 10000; ++i) Put("key" + std::to_string(i * 31 % 10000), "0123456789");
  const int64_t without_order = memtable_->bytes();
  EXPECT_GT(without_order, 10000 * (24 + 7 + 10));
  ExpectReadsLikeModel();
  EXPECT_GE(memtable_->bytes(), without_order + 10000 * 16);
}

}  // namespace
}  // namespace marble::test

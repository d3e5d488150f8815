// One writer and several readers on one memtable at the same time; made for the thread sanitizer.
#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "memtable_test_util.h"
#include "support/random.h"
#include "tree/memtable.h"

namespace marble::test {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr uint64_t kWrites = 6000;
#else
constexpr uint64_t kWrites = 40000;
#endif
constexpr uint64_t kKeys = 3000;

// Write number i is to key (i * 7919) % kKeys with value i. So the newest row of a key at a
// snapshot is known.
uint64_t KeyNumber(uint64_t write) { return write * 7919 % kKeys; }

std::string KeyText(uint64_t number) { return "key" + std::to_string(number); }

/// The last write <= snapshot that goes to key `number`; 0 if there is none (writes begin with 1).
uint64_t LastWrite(uint64_t number, uint64_t snapshot) {
  for (uint64_t write = snapshot; write > 0 && write + kKeys > snapshot; --write) {
    if (KeyNumber(write) == number) return write;
  }
  return 0;
}

/// Runs `read(reader)` over and over in so many threads while this one calls `write(1)`,
/// `write(2)`, ... and publishes each. Now and then the writer waits for reads to end, so that the
/// two are really mixed.
void RunReaders(int readers, const std::function<void(int)>& read,
                const std::function<void(uint64_t)>& write, std::atomic<uint64_t>* published) {
  constexpr uint64_t kPause = kWrites / 20;
  std::atomic<int64_t> reads{0};
  std::vector<std::thread> threads;
  for (int reader = 0; reader < readers; ++reader) {
    threads.emplace_back([&, reader] {
      while (published->load(std::memory_order_acquire) < kWrites) {
        read(reader);
        reads.fetch_add(1);
      }
      read(reader);
    });
  }
  for (uint64_t i = 1; i <= kWrites; ++i) {
    const int64_t enough = reads.load() + readers;
    while (i % kPause == 0 && reads.load() < enough) std::this_thread::yield();
    write(i);
    published->store(i, std::memory_order_release);
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(MemtableThreads, GetsAndScansOfAKeyValueMemtableSeeTheirSnapshotWhileItIsWritten) {
  const auto memtable = Memtable::Make(KeyValueSchema(), kHashSeed, arrow::default_memory_pool());
  std::atomic<uint64_t> published{0};
  const auto write = [&](uint64_t i) {
    const std::string key = KeyText(KeyNumber(i));
    MARBLE_ASSERT_OK(memtable->Put(i, key, HashKey(key, kHashSeed), std::to_string(i)));
    if (i % 1000 == 0) MARBLE_ASSERT_OK(memtable->DeleteRange({"x", "y", i}));
  };
  const auto get = [&] {
    const uint64_t snapshot = published.load(std::memory_order_acquire);
    const uint64_t number = KeyNumber(snapshot / 2 + 1);
    const std::string key = KeyText(number);
    const uint64_t hash = HashKey(key, kHashSeed);
    memtable->Prefetch(hash);
    FoundValue found;
    ASSERT_TRUE(memtable->FindValue(key, hash, snapshot, &found).ok());
    const uint64_t expected = LastWrite(number, snapshot);
    ASSERT_EQ(found.found, expected != 0);
    if (!found.found) return;
    ASSERT_EQ(found.sequence, expected);
    ASSERT_EQ(found.value, std::to_string(expected));
    ASSERT_EQ(memtable->range_tombstones().Set()->CoveringSequence("x", snapshot),
              snapshot / 1000 * 1000);
  };
  const auto scan = [&] {
    ReadRequest request;
    request.columns = {0, 1};
    request.snapshot = published.load(std::memory_order_acquire);
    request.direction = request.snapshot % 2 == 0 ? Direction::kForward : Direction::kReverse;
    const std::vector<ModelRow> rows = ReadAll(*memtable, request);
    ASSERT_EQ(rows.size(), request.snapshot);
    ASSERT_LE(rows.size(), static_cast<size_t>(memtable->entries()));
  };
  RunReaders(3, [&](int reader) { reader == 0 ? scan() : get(); }, write, &published);
}

TEST(MemtableThreads, GetsAndScansOfABatchMemtableSeeTheirSnapshotWhileItIsWritten) {
  const auto schema = MakeSchema(
      {arrow::field("id", arrow::int64(), false), arrow::field("v", arrow::int64())}, {"id"});
  const auto memtable = Memtable::Make(schema, kHashSeed, arrow::default_memory_pool());
  std::atomic<uint64_t> published{0};
  const auto make = [&](uint64_t number, uint64_t value) {
    arrow::Int64Builder id;
    arrow::Int64Builder v;
    EXPECT_TRUE(id.Append(static_cast<int64_t>(number)).ok());
    EXPECT_TRUE(v.Append(static_cast<int64_t>(value)).ok());
    return arrow::RecordBatch::Make(schema->stored_schema(), 1,
                                    {id.Finish().ValueOrDie(), v.Finish().ValueOrDie()});
  };
  const auto write = [&](uint64_t i) {
    SortedRows rows;
    rows.columns = make(KeyNumber(i), i);
    rows.keys = schema->codec()->Encode(*rows.columns).ValueOrDie();
    MARBLE_ASSERT_OK(memtable->InsertRows(i, rows, RowKind::kPut, 0));
  };
  const auto get = [&] {
    const uint64_t snapshot = published.load(std::memory_order_acquire);
    const uint64_t number = KeyNumber(snapshot / 2 + 1);
    const auto keys = schema->codec()->Encode(*make(number, 0)).ValueOrDie();
    const auto found = memtable->GetRow(keys[0], 0, snapshot).ValueOrDie();
    const uint64_t expected = LastWrite(number, snapshot);
    ASSERT_EQ(found.has_value(), expected != 0);
    ASSERT_EQ(found.has_value() ? found->sequence : 0, expected);
  };
  const auto scan = [&] {
    ReadRequest request;
    request.columns = {1};
    request.snapshot = published.load(std::memory_order_acquire);
    const std::vector<ModelRow> rows = ReadAllWith(
        *memtable, request, [](const RowBatch& batch, int64_t row) -> std::optional<std::string> {
          const auto& v = static_cast<const arrow::Int64Array&>(*batch.columns->column(0));
          EXPECT_EQ(static_cast<uint64_t>(v.Value(row)), batch.SequenceAt(row));
          return std::nullopt;
        });
    ASSERT_EQ(rows.size(), request.snapshot);
  };
  RunReaders(2, [&](int reader) { reader == 0 ? scan() : get(); }, write, &published);
}

}  // namespace
}  // namespace marble::test

// Marble through its public headers, with its defaults; "marble-lz4" takes little space on disk:
// compressed blocks, and a bloom filter in place of the point index.
#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/util/config.h>

#include <marble/key_value.h>
#include <marble/table.h>

#include "../support.h"
#include "engine.h"

namespace marble::benchmark {
namespace {

void ReadRows(Iterator* iterator, int64_t rows_max, Digest* digest) {
  for (int64_t i = 0; i < rows_max && iterator->Valid(); ++i, iterator->Next()) {
    digest->Add(iterator->key(), iterator->value());
  }
  Check(iterator->status());
}

class MarbleCursor : public Cursor {
 public:
  explicit MarbleCursor(std::unique_ptr<Iterator> iterator) : iterator_(std::move(iterator)) {}
  void Read(std::string_view key, int64_t rows_max, Digest* digest) override {
    iterator_->Seek(key);
    ReadRows(iterator_.get(), rows_max, digest);
  }

 private:
  std::unique_ptr<Iterator> iterator_;
};

/// The bytes of a binary-like array, which lie in a row.
template <typename ArrayType>
uint64_t SumArray(const arrow::Array& array) {
  const auto& typed = static_cast<const ArrayType&>(array);
  const auto begin = typed.value_offset(0);
  const auto end = typed.value_offset(array.length());
  const auto* data = reinterpret_cast<const char*>(typed.value_data()->data());
  return SumBytes(data + begin, static_cast<size_t>(end - begin));
}

uint64_t SumColumn(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return SumArray<arrow::BinaryArray>(array);
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return SumArray<arrow::LargeBinaryArray>(array);
    default:
      Die("marble: a column of type " + array.type()->ToString());
  }
}

class MarbleEngine : public Engine {
 public:
  MarbleEngine(const EngineSettings& settings, Compression compression) {
    Options options;
    options.memory_budget = settings.cache_bytes;
    // RocksDB (tuned) has four write buffers; here writers are slowed down at three eighths of the
    // budget, three memtables of twice their size.
    options.memtable_bytes = 2 * settings.write_buffer_bytes;
    if (4 * options.memtable_bytes > options.memory_budget) {
      // Large write buffers mean a long log, of which nothing is to be flushed early.
      options.memory_budget = 4 * options.memtable_bytes;
      options.log_bytes_max = 2 * options.memtable_bytes;
    }
    database_ = Check(Database::Open(settings.directory, options));
    if (compression != Compression::kNone) {
      const auto schema = arrow::schema({arrow::field("key", arrow::utf8(), false),
                                         arrow::field("value", arrow::binary(), false)});
      Check(database_->CreateTable(kCompressed, schema,
                                   {.primary_key = {"key"},
                                    .compression = compression,
                                    .point_lookup = PointLookup::kBloomFilter}));
      table_ = kCompressed;
    }
    kv_ = Check(KeyValue::Open(database_, table_));
  }

  void Put(std::string_view key, std::string_view value) override { Check(kv_->Put(key, value)); }
  void PutSynced(std::string_view key, std::string_view value) override {
    Check(kv_->Put(key, value, {.sync = true}));
  }
  void PutBatch(std::span<const std::string_view> keys,
                std::span<const std::string_view> values) override {
    arrow::StringBuilder key_builder;
    arrow::BinaryBuilder value_builder;
    Append(keys, &key_builder);
    Append(values, &value_builder);
    const auto key_array = Check(key_builder.Finish());
    const auto value_array = Check(value_builder.Finish());
    Check(kv_->PutMany(*key_array, *value_array));
  }
  void DeleteRange(std::string_view begin, std::string_view end) override {
    Check(kv_->DeleteRange(begin, end));
  }

  bool Get(std::string_view key, Digest* digest) override {
    thread_local std::string value;
    if (!Check(kv_->Get(key, &value))) return false;
    digest->AddValue(value);
    return true;
  }
  void MultiGet(std::span<const std::string_view> keys, Digest* digest) override {
    thread_local PinnedValues values;
    Check(kv_->MultiGetPinned(keys, &values));
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i].has_value()) digest->AddValue(*values[i]);
    }
    values.Reset(0);  // pins no longer than the other engines do
  }
  void Scan(bool reverse, Digest* digest) override {
    const auto iterator = Check(kv_->NewIterator());
    if (reverse) {
      for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) {
        digest->Add(iterator->key(), iterator->value());
      }
    } else {
      for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
        digest->Add(iterator->key(), iterator->value());
      }
    }
    Check(iterator->status());
  }
  void ScanBatches(Digest* digest) override {
    const auto table = Check(Table::Open(database_, table_));
    const auto reader = Check(table->Scan());
    while (const auto batch = Check(reader->Next())) {
      digest->rows += static_cast<uint64_t>(batch->num_rows());
      for (const auto& column : batch->columns()) digest->sum += SumColumn(*column);
    }
  }
  void ReadRange(std::string_view begin, std::string_view end, int64_t rows_max,
                 Digest* digest) override {
    IteratorOptions options;
    if (!end.empty()) options.upper = std::string(end);
    const auto iterator = Check(kv_->NewIterator(options));
    iterator->Seek(begin);
    ReadRows(iterator.get(), rows_max, digest);
  }
  std::unique_ptr<Cursor> NewCursor() override {
    return std::make_unique<MarbleCursor>(Check(kv_->NewIterator()));
  }

  double Settle() override {
    Check(database_->Flush());
    Check(database_->WaitForBackground());
    return 0;
  }
  void Compact() override {
    Check(database_->Compact(table_));
    Settle();
  }

  std::string Describe() override {
    const Options& options = database_->options();
    return "memory budget " + std::to_string(options.memory_budget >> 20) + " MiB, memtable " +
           std::to_string(options.memtable_bytes >> 20) + " MiB, " +
           (kv_->info().options.compression == Compression::kNone ? "uncompressed, point index"
                                                                  : "LZ4, bloom filter") +
           ", " + std::to_string(options.background_threads) + " background threads";
  }
  std::string Statistics() override {
    const Stats stats = Check(database_->GetStats());
    return "flushes " + std::to_string(stats.flushes) + ", compactions " +
           std::to_string(stats.compactions) + ", bytes compacted " +
           std::to_string(stats.bytes_compacted) + ", writes delayed " +
           std::to_string(stats.write_delays) + ", stopped " + std::to_string(stats.write_stops) +
           ", microseconds of both " + std::to_string(stats.write_delay_micros) +
           (stats.write_delay_reason.empty() ? "" : ", last because " + stats.write_delay_reason);
  }

 private:
  static constexpr char kCompressed[] = "compressed";

  static void Append(std::span<const std::string_view> texts, arrow::BinaryBuilder* builder) {
    size_t bytes = 0;
    for (std::string_view text : texts) bytes += text.size();
    Check(builder->Reserve(static_cast<int64_t>(texts.size())));
    Check(builder->ReserveData(static_cast<int64_t>(bytes)));
    for (std::string_view text : texts) builder->UnsafeAppend(text);
  }

  std::shared_ptr<Database> database_;
  std::string table_ = "default";
  std::shared_ptr<KeyValue> kv_;
};

template <Compression kCompression>
std::unique_ptr<Engine> Open(const EngineSettings& settings) {
  return std::make_unique<MarbleEngine>(settings, kCompression);
}

}  // namespace

std::vector<EngineKind> MarbleEngines() {
  const std::string version = "Marble on Arrow " ARROW_VERSION_STRING;
  return {{"marble", "marble", Open<Compression::kNone>, version},
          {"marble-lz4", "marble", Open<Compression::kLz4>, version}};
}

}  // namespace marble::benchmark

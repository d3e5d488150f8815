// What the SSTable tests share: schemas, rows made from literals, and files in memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/api.h>
#include <arrow/json/from_string.h>
#include <gtest/gtest.h>

#include <marble/error.h>

#include "base/checksum.h"
#include "base/coding.h"
#include "io/memory_file_system.h"
#include "sst/block_index.h"
#include "sst/row_lookup.h"
#include "sst/sst_format.h"
#include "sst/sst_reader.h"
#include "sst/sst_tail.h"
#include "sst/sst_writer.h"

namespace marble::sst_test {

/// The value of a result that must be there; ends the test program otherwise.
template <typename T>
T Get(arrow::Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().ToString();
    std::abort();
  }
  return result.MoveValueUnsafe();
}

#define SST_ASSERT_OK(expression)                    \
  do {                                               \
    const arrow::Status status_ = (expression);      \
    ASSERT_TRUE(status_.ok()) << status_.ToString(); \
  } while (false)

inline std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type,
                                              const std::string& json) {
  return Get(arrow::json::ArrayFromJSONString(type, json));
}

inline std::shared_ptr<const StoredSchema> MakeSchema(const arrow::FieldVector& fields,
                                                      TableOptions options) {
  return Get(StoredSchema::Make(arrow::schema(fields), std::move(options)));
}

/// `text` and a number; `"x" + std::to_string(n)` makes gcc 12 warn about itself.
inline std::string Numbered(const char* text, uint64_t number) {
  std::string result(text);
  result += std::to_string(number);
  return result;
}

/// {key: binary, value: binary}, keyed by `key`.
inline std::shared_ptr<const StoredSchema> KeyValueSchema(TableOptions options = {}) {
  options.primary_key = {"key"};
  return MakeSchema(
      {arrow::field("key", arrow::binary(), false), arrow::field("value", arrow::binary())},
      std::move(options));
}

/// A row of a key-value table.
struct KvRow {
  std::string key;
  std::optional<std::string> value;
  uint64_t sequence = 1;
  RowKind kind = RowKind::kPut;
};

/// Hidden columns that a RowBatch points to.
struct Hidden {
  std::vector<uint64_t> sequences;
  std::vector<uint8_t> kinds;
};

/// Rows of any table; `columns` are sorted stored columns. Keys are encoded here.
inline RowBatch MakeRows(const StoredSchema& schema, std::shared_ptr<arrow::RecordBatch> columns,
                         std::vector<uint64_t> sequences = {}, std::vector<uint8_t> kinds = {}) {
  RowBatch rows;
  rows.columns = std::move(columns);
  auto hidden = std::make_shared<Hidden>(Hidden{std::move(sequences), std::move(kinds)});
  if (!schema.is_append()) {
    rows.keys = Get(schema.codec()->Encode(*rows.columns));
    for (int64_t i = 1; i < rows.num_rows(); ++i) {
      if (rows.keys[i] == rows.keys[i - 1]) rows.unique_keys = false;
    }
  }
  if (!hidden->sequences.empty()) rows.sequences = hidden->sequences.data();
  if (!hidden->kinds.empty()) rows.kinds = hidden->kinds.data();
  rows.sequence = 1;
  rows.owner = hidden;
  return rows;
}

inline RowBatch MakeKvRows(const StoredSchema& schema, const std::vector<KvRow>& rows) {
  const auto& fields = schema.stored_schema()->fields();
  std::unique_ptr<arrow::ArrayBuilder> keys = Get(arrow::MakeBuilder(fields[0]->type()));
  std::unique_ptr<arrow::ArrayBuilder> values = Get(arrow::MakeBuilder(fields[1]->type()));
  std::vector<uint64_t> sequences;
  std::vector<uint8_t> kinds;
  const auto append = [](arrow::ArrayBuilder* builder, const std::string& bytes) {
    const auto scalar = Get(arrow::MakeScalar(builder->type(), arrow::Buffer::FromString(bytes)));
    EXPECT_TRUE(builder->AppendScalar(*scalar).ok());
  };
  for (const KvRow& row : rows) {
    append(keys.get(), row.key);
    if (row.value.has_value()) {
      append(values.get(), *row.value);
    } else {
      EXPECT_TRUE(values->AppendNull().ok());
    }
    sequences.push_back(row.sequence);
    kinds.push_back(static_cast<uint8_t>(row.kind));
  }
  return MakeRows(
      schema,
      arrow::RecordBatch::Make(schema.stored_schema(), static_cast<int64_t>(rows.size()),
                               {Get(keys->Finish()), Get(values->Finish())}),
      std::move(sequences), std::move(kinds));
}

/// "key000042"
/// FindValue with its answer as a value.
inline arrow::Result<std::optional<FoundValue>> FindValue(SstReader* reader, std::string_view key,
                                                          uint64_t hash, uint64_t snapshot,
                                                          bool pin) {
  FoundValue found;
  const PointQuery query{.key = key, .hash = hash, .snapshot = snapshot, .pin = pin};
  ARROW_RETURN_NOT_OK(reader->FindValue(query, &found));
  return found.found ? std::optional<FoundValue>(std::move(found)) : std::nullopt;
}

inline std::string KeyOf(int64_t i) {
  std::string digits = std::to_string(i);
  return "key" + std::string(6 - std::min<size_t>(6, digits.size()), '0') + digits;
}

/// Keys KeyOf(0), KeyOf(step), ... with values "value of ..." and sequences from 1 on.
inline std::vector<KvRow> ManyRows(int64_t n, int64_t step = 1) {
  std::vector<KvRow> rows;
  for (int64_t i = 0; i < n; ++i) {
    rows.push_back({KeyOf(i * step), Numbered("value of ", i * step), static_cast<uint64_t>(i + 1),
                    RowKind::kPut});
  }
  return rows;
}

/// What a lookup of many rows finds, by key.
class FoundMany final : public RowSink {
 public:
  arrow::Status Take(int64_t key, const FoundRow& row) override {
    rows[key] = row;
    return arrow::Status::OK();
  }
  std::map<int64_t, FoundRow> rows;
};

/// One file in memory, written and opened.
class SstFixture {
 public:
  explicit SstFixture(std::shared_ptr<const StoredSchema> schema, bool with_mappings = true)
      : fs(with_mappings), schema(std::move(schema)) {
    EXPECT_TRUE(fs.CreateDirectory("/db").ok());
    writer_options.schema = this->schema;
    writer_options.path = path;
    writer_options.number = 42;
    writer_options.uuid = uuid;
    writer_options.hash_seed = hash_seed;
    writer_options.with_kinds = true;
  }

  arrow::Status Write(const std::vector<RowBatch>& batches,
                      const std::vector<RangeTombstone>& tombstones = {}) {
    ARROW_ASSIGN_OR_RAISE(auto writer, SstWriter::Create(&fs, writer_options));
    for (const RowBatch& batch : batches) ARROW_RETURN_NOT_OK(writer->Add(batch));
    for (const RangeTombstone& tombstone : tombstones) writer->AddRangeTombstone(tombstone);
    return writer->Finish().Value(&meta);
  }

  SstReaderOptions ReaderOptions(bool use_mappings = true) {
    SstReaderOptions options;
    options.fs = &fs;
    options.path = path;
    options.uuid = uuid;
    options.hash_seed = hash_seed;
    options.schema = schema;
    options.cache = cache;
    options.use_mappings = use_mappings;
    options.pool = arrow::default_memory_pool();
    return options;
  }

  arrow::Result<std::shared_ptr<SstReader>> Open(bool use_mappings = true) {
    return SstReader::Open(ReaderOptions(use_mappings), meta);
  }

  /// Opens and verifies: what must find every damage.
  arrow::Status OpenAndVerify(bool use_mappings = true) {
    ARROW_ASSIGN_OR_RAISE(auto reader, Open(use_mappings));
    return reader->Verify();
  }

  std::string ReadAll() {
    auto file = Get(fs.OpenReadable(path));
    return Get(file->Read(0, file->size()))->ToString();
  }

  uint64_t Hash(std::string_view key) const { return HashKey(key, hash_seed); }

  const std::string path = "/db/000042.arrow";
  const Uuid uuid{1, 2, 3, 4};
  const uint64_t hash_seed = 0x5eed;
  MemoryFileSystem fs;
  std::shared_ptr<BlockCache> cache = std::make_shared<BlockCache>(64 << 20);
  std::shared_ptr<const StoredSchema> schema;
  SstWriterOptions writer_options;
  FileMeta meta;
};

/// Where the tail of a whole file's bytes starts, by the length of the footer that they end with.
inline std::optional<int64_t> TailStartOf(const std::string& bytes) {
  const auto footer = LoadLittle<int32_t>(bytes.data() + bytes.size() - 10);
  return TailStart(static_cast<int64_t>(bytes.size()), footer);
}

/// Replaces bytes of the footer's text, those before `key` if one is given, and makes the manifest
/// believe the file.
inline void PatchFooter(SstFixture* file, const std::string& from, const std::string& to,
                        const std::string& key = "") {
  ASSERT_EQ(from.size(), to.size());
  std::string bytes = file->ReadAll();
  const size_t at = bytes.rfind(from, key.empty() ? std::string::npos : bytes.rfind(key));
  ASSERT_NE(at, std::string::npos);
  SST_ASSERT_OK(file->fs.Overwrite(file->path, static_cast<int64_t>(at), to));
  bytes = file->ReadAll();
  const auto start = TailStartOf(bytes);
  ASSERT_TRUE(start.has_value());
  file->meta.tail_checksum = Checksum(std::string_view(bytes).substr(*start));
}

/// Checksums of pages and tail made anew over changed bytes: what an attacker would do.
inline void Reseal(SstFixture* file, std::string bytes) {
  const auto start = TailStartOf(bytes);
  ASSERT_TRUE(start.has_value());
  for (int64_t page = 0; page * kSstPageBytes < *start; ++page) {
    const int64_t length = std::min(kSstPageBytes, *start - page * kSstPageBytes);
    StoreLittle<uint64_t>(
        bytes.data() + *start + 8 * page,
        Checksum(std::string_view(bytes).substr(page * kSstPageBytes, length), PageSeed(page)));
  }
  file->meta.tail_checksum = Checksum(std::string_view(bytes).substr(*start));
  SST_ASSERT_OK(file->fs.Overwrite(file->path, 0, bytes));
}

/// Where a section of the file is.
inline SectionLocation SectionOf(SstFixture* file, const char* name) {
  const auto opened = Get(file->fs.OpenReadable(file->path));
  return Get(ReadLoneSstTail(opened.get(), file->path)).sections.at(name);
}

/// All rows of a file with all columns, as one table.
inline std::shared_ptr<arrow::Table> ReadTable(SstReader* reader, const StoredSchema& schema) {
  std::vector<int> columns;
  for (int i = 0; i < schema.stored_schema()->num_fields(); ++i) columns.push_back(i);
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (int64_t block = 0; block < reader->num_blocks(); ++block) {
    batches.push_back(Get(reader->ReadBlock(block, columns, false)).columns);
  }
  return Get(arrow::Table::FromRecordBatches(schema.stored_schema(), batches));
}

}  // namespace marble::sst_test

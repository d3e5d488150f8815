// For tests of the merge: rows as plain values, sorted sources made from them, and naive answers to
// compare with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "sst/range_tombstone.h"
#include "tree/sorted_reader.h"

namespace marble::merge_test {

struct Row {
  std::string key;
  uint64_t sequence = 0;
  bool is_delete = false;
  int64_t value = 0;

  bool operator==(const Row&) const = default;
};
void PrintTo(const Row& row, std::ostream* out);

/// {key: binary, value: int64}.
std::shared_ptr<arrow::Schema> TestSchema();

/// A batch of sorted rows. Sequences and kinds are arrays only where the rows need them, or always
/// if `hidden_columns`.
RowBatch MakeBatch(const std::vector<Row>& rows, bool hidden_columns = false);

/// The rows of a delivered batch; checks that keys, if present, agree with the key column.
std::vector<Row> RowsOf(const RowBatch& batch);

/// Delivers prepared batches; `reverse` the last one first.
class VectorReader : public SortedReader {
 public:
  VectorReader(std::vector<RowBatch> batches, bool reverse);
  arrow::Result<std::optional<RowBatch>> Next() override;

 private:
  std::vector<RowBatch> batches_;
};

/// Sorts by (key, sequence descending) and cuts into batches of about `batch_rows` between keys.
std::vector<RowBatch> MakeBatches(std::vector<Row> rows, size_t batch_rows, std::mt19937* random);

/// What `snapshot` sees, in key order.
std::vector<Row> NaiveRead(const std::vector<Row>& rows,
                           const std::vector<RangeTombstone>& tombstones, uint64_t snapshot);

/// All rows that a reader delivers; their batches are appended to `batches` if that is not null.
arrow::Result<std::vector<Row>> Drain(SortedReader* reader,
                                      std::vector<RowBatch>* batches = nullptr);

/// Versions of few keys spread at random over sources, and tombstones among them.
struct RandomData {
  std::vector<std::vector<Row>> sources;
  std::vector<Row> all;
  std::vector<RangeTombstone> tombstones;
  uint64_t sequence_max = 0;

  static RandomData Make(std::mt19937* random);
  std::vector<std::unique_ptr<SortedReader>> Readers(std::mt19937* random, bool reverse) const;
  std::shared_ptr<const RangeTombstoneSet> TombstoneSet() const;
};

// Definitions; inline, because each test file is a translation unit of its own.

inline void PrintTo(const Row& row, std::ostream* out) {
  *out << '"' << row.key << "\"@" << row.sequence << (row.is_delete ? " deleted" : "") << " = "
       << row.value;
}

inline std::shared_ptr<arrow::Schema> TestSchema() {
  return arrow::schema(
      {arrow::field("key", arrow::binary(), false), arrow::field("value", arrow::int64(), false)});
}

inline RowBatch MakeBatch(const std::vector<Row>& rows, bool hidden_columns) {
  struct Hidden {
    std::shared_ptr<arrow::Array> keys;
    std::vector<uint64_t> sequences;
    std::vector<uint8_t> kinds;
  };
  auto hidden = std::make_shared<Hidden>();
  arrow::BinaryBuilder keys;
  arrow::Int64Builder values;
  RowBatch batch;
  bool one_sequence = true;
  bool deletes = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    EXPECT_TRUE(keys.Append(row.key).ok());
    EXPECT_TRUE(values.Append(row.value).ok());
    hidden->sequences.push_back(row.sequence);
    hidden->kinds.push_back(row.is_delete ? 1 : 0);
    one_sequence = one_sequence && row.sequence == rows[0].sequence;
    deletes = deletes || row.is_delete;
    if (i > 0 && row.key == rows[i - 1].key) batch.unique_keys = false;
    batch.sequence_max = std::max(batch.sequence_max, row.sequence);
  }
  hidden->keys = keys.Finish().ValueOrDie();
  const auto& key_array = static_cast<const arrow::BinaryArray&>(*hidden->keys);
  const auto size = static_cast<int64_t>(rows.size());
  batch.keys = EncodedKeys::Offsets32(key_array.value_data()->data(), key_array.raw_value_offsets(),
                                      size, hidden);
  batch.columns =
      arrow::RecordBatch::Make(TestSchema(), size, {hidden->keys, values.Finish().ValueOrDie()});
  batch.sequence = rows[0].sequence;
  if (!one_sequence || hidden_columns) batch.sequences = hidden->sequences.data();
  if (deletes || hidden_columns) batch.kinds = hidden->kinds.data();
  batch.owner = hidden;
  return batch;
}

inline std::vector<Row> RowsOf(const RowBatch& batch) {
  const auto& keys = static_cast<const arrow::BinaryArray&>(*batch.columns->column(0));
  const auto& values = static_cast<const arrow::Int64Array&>(*batch.columns->column(1));
  std::vector<Row> rows;
  for (int64_t i = 0; i < batch.num_rows(); ++i) {
    Row row;
    row.key = keys.GetString(i);
    row.value = values.Value(i);
    row.sequence = batch.SequenceAt(i);
    row.is_delete = batch.KindAt(i) == RowKind::kDelete;
    if (batch.keys.size() > 0 && batch.keys[i] != row.key) row.key = "(keys out of step)";
    rows.push_back(std::move(row));
  }
  return rows;
}

inline VectorReader::VectorReader(std::vector<RowBatch> batches, bool reverse)
    : batches_(std::move(batches)) {
  if (!reverse) std::reverse(batches_.begin(), batches_.end());
}

inline arrow::Result<std::optional<RowBatch>> VectorReader::Next() {
  if (batches_.empty()) return std::nullopt;
  RowBatch batch = std::move(batches_.back());
  batches_.pop_back();
  return batch;
}

inline std::vector<RowBatch> MakeBatches(std::vector<Row> rows, size_t batch_rows,
                                         std::mt19937* random) {
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.key != b.key ? a.key < b.key : a.sequence > b.sequence;
  });
  std::vector<RowBatch> batches;
  std::vector<Row> batch;
  for (size_t i = 0; i < rows.size(); ++i) {
    batch.push_back(rows[i]);
    const bool key_ends = i + 1 == rows.size() || rows[i + 1].key != rows[i].key;
    if (key_ends && (i + 1 == rows.size() || batch.size() >= 1 + (*random)() % batch_rows)) {
      batches.push_back(MakeBatch(batch, (*random)() % 2 == 0));
      batch.clear();
    }
  }
  return batches;
}

inline std::vector<Row> NaiveRead(const std::vector<Row>& rows,
                                  const std::vector<RangeTombstone>& tombstones,
                                  uint64_t snapshot) {
  std::map<std::string, Row> newest;
  for (const Row& row : rows) {
    if (row.sequence > snapshot) continue;
    const auto [it, added] = newest.emplace(row.key, row);
    if (!added && it->second.sequence < row.sequence) it->second = row;
  }
  std::vector<Row> visible;
  for (const auto& [key, row] : newest) {
    bool deleted = row.is_delete;
    for (const RangeTombstone& t : tombstones) {
      const bool covers = key >= t.begin && (!t.end.has_value() || key < *t.end);
      deleted = deleted || (covers && t.sequence <= snapshot && t.sequence > row.sequence);
    }
    if (!deleted) visible.push_back(row);
  }
  return visible;
}

inline arrow::Result<std::vector<Row>> Drain(SortedReader* reader, std::vector<RowBatch>* batches) {
  std::vector<Row> rows;
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(std::optional<RowBatch> batch, reader->Next());
    if (!batch.has_value()) return rows;
    if (batch->num_rows() == 0) return arrow::Status::Invalid("an empty batch was delivered");
    ARROW_RETURN_NOT_OK(batch->columns->ValidateFull());
    for (Row& row : RowsOf(*batch)) rows.push_back(std::move(row));
    if (batches != nullptr) batches->push_back(std::move(*batch));
  }
}

inline RandomData RandomData::Make(std::mt19937* random) {
  const auto pick = [&](uint64_t n) { return (*random)() % n; };
  // Keys that share prefixes beyond eight bytes, that are prefixes of each other, and that differ
  // early.
  const std::string prefix =
      pick(2) == 0 ? "" : std::string("shared/prefix/") + char('a' + pick(2));
  const auto key = [&] {
    std::string k = pick(3) == 0 ? "" : prefix;
    const size_t length = pick(4);
    for (size_t i = 0; i < length; ++i) k.push_back("\0ab\xff"[pick(4)]);
    return k;
  };
  RandomData data;
  data.sources.resize(1 + pick(pick(4) == 0 ? 12 : 4));
  const uint64_t rows = 1 + pick(200);
  const bool mostly_one_source = pick(3) == 0;
  for (uint64_t sequence = 1; sequence <= rows; ++sequence) {
    if (pick(20) == 0) {
      RangeTombstone t{key(), std::nullopt, sequence};
      if (pick(6) != 0) t.end = key();
      data.tombstones.push_back(std::move(t));
      continue;
    }
    Row row{key(), sequence, pick(5) == 0, static_cast<int64_t>(sequence * 10)};
    const size_t source = mostly_one_source && pick(8) != 0 ? 0 : pick(data.sources.size());
    data.sources[source].push_back(row);
    data.all.push_back(std::move(row));
  }
  if (pick(2) == 0) data.tombstones.clear();
  data.sequence_max = rows;
  return data;
}

inline std::vector<std::unique_ptr<SortedReader>> RandomData::Readers(std::mt19937* random,
                                                                      bool reverse) const {
  std::vector<std::unique_ptr<SortedReader>> readers;
  for (const std::vector<Row>& source : sources) {
    const size_t batch_rows = 1 + (*random)() % 40;
    readers.push_back(
        std::make_unique<VectorReader>(MakeBatches(source, batch_rows, random), reverse));
  }
  return readers;
}

inline std::shared_ptr<const RangeTombstoneSet> RandomData::TombstoneSet() const {
  return std::make_shared<const RangeTombstoneSet>(tombstones);
}

}  // namespace marble::merge_test

#include "tree/point_memtable.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include <arrow/array/array_binary.h>
#include <arrow/record_batch.h>

#include "base/checksum.h"
#include "tree/point_rows.h"

namespace marble {

namespace {

/// Keys to come whose index lines are fetched while others are entered.
constexpr size_t kPrefetchAhead = 16;
constexpr int64_t kReservedBytes = 8 << 10;
/// What a row found takes as a batch of its own, about.
constexpr int64_t kRowBlockBytes = 1024;

/// A batch ends at this many bytes of keys and values however few rows that is.
constexpr int64_t kBatchBytes = int64_t{64} << 20;

class PointReader final : public SortedReader {
 public:
  PointReader(std::shared_ptr<const RecordStore> store, std::shared_ptr<const RunList> runs,
              const ReadRequest& request, PointRowBuilder builder)
      : store_(std::move(store)),
        merger_(store_.get(), std::move(runs), request.range, request.direction),
        reverse_(request.direction == Direction::kReverse),
        snapshot_(request.snapshot),
        batch_rows_(static_cast<size_t>(std::max<int64_t>(request.batch_rows, 1))),
        builder_(std::move(builder)) {
    Advance();
  }

  arrow::Result<std::optional<RowBatch>> Next() override {
    records_.clear();
    bool unique_keys = true;
    int64_t bytes = 0;
    while (next_ != nullptr) {
      if (!records_.empty()) {
        if (records_.back()->key() == next_->key()) {
          unique_keys = false;  // versions of a key stay together
        } else if (records_.size() >= batch_rows_ || bytes >= kBatchBytes) {
          break;
        }
      }
      records_.push_back(next_);
      bytes += next_->size();
      Advance();
    }
    if (records_.empty()) return std::nullopt;
    if (reverse_) std::ranges::reverse(records_);
    return builder_.Build(records_, unique_keys);
  }

 private:
  /// Sets `next_` to the next row that the snapshot sees, or to nullptr at the end.
  void Advance() {
    uint64_t handle = 0;
    do {
      next_ = merger_.Next(&handle) ? RecordStore::RecordOf(handle) : nullptr;
    } while (next_ != nullptr && next_->sequence() > snapshot_);
  }

  const std::shared_ptr<const RecordStore> store_;
  RunMerger<RecordStore> merger_;
  const bool reverse_;
  const uint64_t snapshot_;
  const size_t batch_rows_;
  const PointRowBuilder builder_;
  const Record* next_ = nullptr;
  std::vector<const Record*> records_;
};

uint64_t SequenceAndKind(uint64_t sequence, RowKind kind) {
  return sequence << 8 | static_cast<uint64_t>(kind);
}

}  // namespace

void RecordStore::Collect(Position* position, int64_t size, KeyEntry* entries) const {
  const auto size_of = [](const uint8_t* object) {
    return reinterpret_cast<const Record*>(object)->size();
  };
  for (int64_t i = 0; i < size; ++i) {
    entries[i].handle = reinterpret_cast<uint64_t>(arena_.Next(position, size_of));
  }
}

PointMemtable::PointMemtable(std::shared_ptr<const StoredSchema> schema, uint64_t hash_seed,
                             arrow::MemoryPool* pool, int64_t expected_keys)
    : schema_(std::move(schema)),
      hash_seed_(hash_seed),
      pool_(pool),
      store_(std::make_shared<RecordStore>(pool)),
      index_(hash_seed, expected_keys),
      runs_(pool) {}

arrow::Status PointMemtable::Reserve(int64_t rows, int64_t bytes) {
  ARROW_RETURN_NOT_OK(store_->arena()->Reserve(bytes));
  return index_.Reserve(rows, pool_);
}

void PointMemtable::Append(std::string_view key, uint64_t hash, std::string_view value,
                           uint64_t sequence_and_kind) {
  const int64_t bytes =
      Record::SizeOf(static_cast<int64_t>(key.size()), static_cast<int64_t>(value.size()));
  auto* record = reinterpret_cast<Record*>(store_->arena()->Allocate(bytes));
  record->sequence_and_kind = sequence_and_kind;
  record->key_bytes = static_cast<uint32_t>(key.size());
  record->value_bytes = static_cast<uint32_t>(value.size());
  char* out = reinterpret_cast<char*>(record + 1);
  if (!key.empty()) std::memcpy(out, key.data(), key.size());
  if (!value.empty()) std::memcpy(out + key.size(), value.data(), value.size());
  index_.Insert(record, hash);
}

arrow::Status PointMemtable::Put(uint64_t sequence, std::string_view key, uint64_t hash,
                                 std::string_view value) {
  ARROW_RETURN_NOT_OK(Reserve(
      1, Record::SizeOf(static_cast<int64_t>(key.size()), static_cast<int64_t>(value.size()))));
  Append(key, hash, value, SequenceAndKind(sequence, RowKind::kPut));
  store_->PublishRows(1);
  NoteSequence(sequence);
  return arrow::Status::OK();
}

arrow::Status PointMemtable::PutMany(uint64_t sequence, std::span<const PutPair> pairs) {
  ARROW_RETURN_NOT_OK(index_.Reserve(static_cast<int64_t>(pairs.size()), pool_));
  for (const PutPair& pair : pairs.first(std::min(pairs.size(), kPrefetchAhead))) {
    index_.Prefetch(pair.hash);
  }
  for (size_t at = 0; at < pairs.size();) {
    // Memory is reserved for some rows at once, but for few bytes: what is left of a block of the
    // arena is lost when the next rows do not fit.
    size_t end = at;
    int64_t bytes = 0;
    while (end < pairs.size() && (end == at || bytes < kReservedBytes)) {
      const PutPair& pair = pairs[end++];
      bytes += Record::SizeOf(static_cast<int64_t>(pair.key.size()),
                              static_cast<int64_t>(pair.value.size()));
    }
    ARROW_RETURN_NOT_OK(store_->arena()->Reserve(bytes));
    const uint64_t first = sequence + at;
    const auto rows = static_cast<int64_t>(end - at);
    for (; at < end; ++at) {
      if (at + kPrefetchAhead < pairs.size()) index_.Prefetch(pairs[at + kPrefetchAhead].hash);
      Append(pairs[at].key, pairs[at].hash, pairs[at].value,
             SequenceAndKind(sequence + at, RowKind::kPut));
    }
    store_->PublishRows(rows);
    NoteSequence(first);
    NoteSequence(sequence + end - 1);
  }
  return arrow::Status::OK();
}

arrow::Status PointMemtable::Delete(uint64_t sequence, std::string_view key, uint64_t hash) {
  ARROW_RETURN_NOT_OK(Reserve(1, Record::SizeOf(static_cast<int64_t>(key.size()), 0)));
  has_deletes_.store(true, std::memory_order_release);
  Append(key, hash, {}, SequenceAndKind(sequence, RowKind::kDelete));
  store_->PublishRows(1);
  NoteSequence(sequence);
  return arrow::Status::OK();
}

template <typename ArrayType>
arrow::Status PointMemtable::InsertArrays(uint64_t sequence, const EncodedKeys& keys,
                                          const ArrayType& values, RowKind kind) {
  constexpr int64_t kAhead = kPrefetchAhead;
  const int64_t size = keys.size();
  int64_t bytes = 0;
  for (int64_t i = 0; i < size; ++i) {
    bytes += Record::SizeOf(static_cast<int64_t>(keys[i].size()), values.value_length(i));
  }
  ARROW_RETURN_NOT_OK(Reserve(size, bytes));
  if (kind == RowKind::kDelete) has_deletes_.store(true, std::memory_order_release);

  std::array<uint64_t, kAhead> hashes{};
  for (int64_t i = 0; i < size + kAhead; ++i) {
    const int64_t row = i - kAhead;
    uint64_t& place = hashes[static_cast<size_t>(i % kAhead)];
    if (row >= 0) {
      uint64_t flags = SequenceAndKind(sequence, kind);
      if (values.IsNull(row)) flags |= Record::kNullFlag;
      Append(keys[row], place, values.GetView(row), flags);
    }
    if (i < size) {
      place = HashKey(keys[i], hash_seed_);
      index_.Prefetch(place);
    }
  }
  store_->PublishRows(size);
  NoteSequence(sequence);
  return arrow::Status::OK();
}

arrow::Status PointMemtable::InsertRows(uint64_t sequence, const SortedRows& rows, RowKind kind,
                                        uint64_t /*first_row_id*/) {
  if (rows.columns->num_rows() == 0) return arrow::Status::OK();
  const arrow::Array& values = *rows.columns->column(1);
  if (values.type_id() == arrow::Type::BINARY || values.type_id() == arrow::Type::STRING) {
    return InsertArrays(sequence, rows.keys, static_cast<const arrow::BinaryArray&>(values), kind);
  }
  return InsertArrays(sequence, rows.keys, static_cast<const arrow::LargeBinaryArray&>(values),
                      kind);
}

arrow::Status PointMemtable::DeleteRange(RangeTombstone tombstone) {
  const uint64_t sequence = tombstone.sequence;
  range_tombstones_.Append(std::move(tombstone));
  NoteSequence(sequence);
  return arrow::Status::OK();
}

const Record* PointMemtable::Find(std::string_view key, uint64_t hash, uint64_t snapshot) const {
  const Record* record = index_.Find(key, hash);
  while (record != nullptr && record->sequence() > snapshot) record = record->older;
  return record;
}

arrow::Status PointMemtable::FindValue(std::string_view key, uint64_t hash, uint64_t snapshot,
                                       FoundValue* out) const {
  const Record* record = Find(key, hash, snapshot);
  if (record == nullptr) return arrow::Status::OK();
  out->found = true;
  out->sequence = record->sequence();
  out->kind = record->kind();
  out->value = record->value();
  return arrow::Status::OK();
}

arrow::Result<std::optional<FoundRow>> PointMemtable::GetRow(std::string_view key, uint64_t hash,
                                                             uint64_t snapshot) const {
  const Record* record = Find(key, hash, snapshot);
  if (record == nullptr) return std::nullopt;
  const PointRowBuilder builder(schema_, {0, 1}, /*want_keys=*/true, pool_);
  ARROW_ASSIGN_OR_RAISE(RowBatch rows, builder.Build({&record, 1}, /*unique_keys=*/true));
  FoundRow found;
  found.sequence = record->sequence();
  found.kind = record->kind();
  auto block = std::make_shared<Block>();
  block->memory = kRowBlockBytes;
  block->rows = std::move(rows);
  found.block = std::move(block);
  return found;
}

arrow::Result<std::unique_ptr<SortedReader>> PointMemtable::NewReader(
    const ReadRequest& request) const {
  ARROW_ASSIGN_OR_RAISE(auto runs, runs_.Refresh(*store_));
  return std::make_unique<PointReader>(
      store_, std::move(runs), request,
      PointRowBuilder(schema_, request.columns, request.want_keys, pool_));
}

}  // namespace marble

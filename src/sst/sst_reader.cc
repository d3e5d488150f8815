#include "sst/sst_reader.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <span>
#include <utility>

#include <marble/error.h>

#include "base/mutex.h"
#include "row/batch_ops.h"
#include "sst/block_access.h"
#include "sst/block_rows.h"
#include "sst/kv_blocks.h"
#include "sst/kv_decoder.h"
#include "sst/kv_lookup.h"
#include "sst/row_lookup.h"
#include "sst/sst_file.h"
#include "sst/sst_verify.h"
#include "sst/zone_map.h"

namespace marble {

namespace {

using arrow::Result;
using arrow::Status;

// Memory of a decoded key-value block beside its bytes.
constexpr int64_t kKvBlockOverhead = 512;
// A block of a mapped table is kept by its reader if its bytes are so many times what that takes.
constexpr int64_t kBytesForOneKept = 256;
// Of the cache's capacity, for what all readers keep.
constexpr int64_t kKeptShare = 4;

// Bytes that are read ahead of a walk: few at first, because it may be a short one, then twice as
// many whenever half of them are used up.
constexpr int64_t kReadAheadMin = int64_t{64} << 10;
constexpr int64_t kReadAheadMax = int64_t{2} << 20;

// A row of a file, by its block.
struct RowPlace {
  int64_t block;
  int64_t row;
};

class SstReaderImpl final : public SstReader, private RowSource {
 public:
  explicit SstReaderImpl(std::unique_ptr<SstFile> file)
      : file_(std::move(file)), columns_(AllColumns(*file_)) {
    const StoredSchema& schema = file_->schema();
    if (!schema.is_append()) row_source_ = this;
    if (!schema.is_append() && !schema.is_key_value() && MapsBlocks()) {
      kept_ = std::make_unique<std::atomic<const Block*>[]>(static_cast<size_t>(num_blocks()));
      file_->options().cache->AddPinned(KeptArrayBytes());
    }
    if (file_->zero_copy() && schema.is_key_value()) {
      lookup_ = std::make_unique<KvLookup>(file_.get());
      kv_ = &lookup_->blocks();
      kv_lookup_ = lookup_.get();
      file_->options().cache->AddPinned(kv_->bytes());
    }
  }
  ~SstReaderImpl() override {
    if (kv_ != nullptr) file_->options().cache->AddPinned(-kv_->bytes());
    ForgetBlocks();
    file_->options().cache->AddPinned(-zones_bytes_);
  }

  const FileMeta& meta() const override { return file_->meta(); }
  int64_t num_blocks() const override { return blocks().num_blocks(); }
  int64_t BlockFirstRow(int64_t block) const override { return blocks().FirstRow(block); }
  Result<std::string_view> BlockFirstKey(int64_t block) const override {
    ARROW_RETURN_NOT_OK(CheckKeyed());
    return blocks().FirstKey(block);
  }
  Result<std::string_view> BlockLastKey(int64_t block) const override {
    ARROW_RETURN_NOT_OK(CheckKeyed());
    return blocks().LastKey(block);
  }
  Result<int64_t> FindBlock(std::string_view key) const override;
  bool HasOnePutAKey() const override { return blocks().HasOnePutAKey(); }
  Result<RowBatch> ReadBlock(int64_t block, const std::vector<int>& columns,
                             bool want_keys) override;
  bool IsReady(int64_t block, const std::vector<int>& columns, bool want_keys) const override;

  void ReadAhead(int64_t block, BlockWalk* walk) override;
  ScarceMemory* memory() override { return file_->memory(); }
  void WillRead(std::string_view mapped) override {
    if (file_->mapping() != nullptr && !mapped.empty()) file_->AskFor(mapped);
  }
  void Prefetch(uint64_t hash) override { file_->PrefetchLookup(hash); }
  Status FindValue(const PointQuery& query, FoundValue* out) override;
  Result<std::optional<FoundRow>> GetRow(std::string_view key, uint64_t hash,
                                         uint64_t snapshot) override;

  Status ReadKvBlock(int64_t block, KvColumns* out, std::shared_ptr<const void>* owner) override;
  void PrefetchKvBlock(int64_t block) const override {
    if (kv_ == nullptr) return;
    kv_->PrefetchSlot(block);
    blocks().PrefetchEntry(block);
  }
  Status DamagedBlock(int64_t block, const Status& status) const override {
    return file_->Damage(status, blocks().Entry(block).message_offset);
  }

  const RangeTombstoneSet& range_tombstones() const override { return file_->tombstones(); }
  Result<std::shared_ptr<arrow::RecordBatch>> ReadZoneMaps() override;
  Status Verify() override { return VerifySst(*file_); }

 private:
  // RowSource:
  SstFile* file() const override { return file_.get(); }
  Result<std::shared_ptr<const Block>> GetRows(int64_t block) override;
  const Block* TryRows(int64_t block) const override {
    return kept_ == nullptr ? nullptr : kept_[block].load(std::memory_order_acquire);
  }
  Status CheckBlock(int64_t block, const Block& rows, std::span<const int> columns) const override {
    if (!MapsBlocks() || file_->schema().is_key_value()) return Status::OK();
    return CheckRows(*file_, block, rows.rows, columns);
  }

  const BlockIndex& blocks() const { return file_->blocks(); }
  Status CheckKeyed() const {
    if (!file_->schema().is_append()) return Status::OK();
    return Status::Invalid("an append table has no keys");
  }
  /// The whole block, kept or from the cache, or now into one of them. Columns of a table's have
  /// yet to go through CheckBlock.
  Result<std::shared_ptr<const Block>> GetBlock(int64_t block);
  /// A block's bytes beside those of its columns: batches of all and of the key's.
  int64_t BlockOverhead() const {
    const KeyCodec* codec = file_->schema().codec();
    const size_t keys = codec == nullptr ? 0 : codec->columns().size();
    return BatchOverhead(static_cast<int64_t>(columns_.size())) +
           BatchOverhead(static_cast<int64_t>(keys));
  }
  int64_t KeptArrayBytes() const {
    return num_blocks() * static_cast<int64_t>(sizeof(std::atomic<const Block*>));
  }
  /// Keeps a block as long as this reader lives, if it is large and the cache has room for it; else
  /// leaves it as it was.
  bool Keep(int64_t block, Block* rows);
  /// The block if it is kept, without a count of its users; else nullptr.
  std::shared_ptr<const Block> Kept(int64_t block) const {
    return {std::shared_ptr<const Block>(), TryRows(block)};
  }
  void ForgetBlocks();
  /// Are blocks of a table mapped first and their columns checked when they are wanted? Not those
  /// of so many columns that some would be checked each time anew.
  bool MapsBlocks() const {
    return file_->zero_copy() && file_->file_schema()->num_fields() <= SstFile::kTrackedColumns;
  }
  /// A block that kv_ has.
  KvBlock MappedKv(int64_t block) const { return {kv_->Columns(block), file_->mapping()}; }

  /// Calls visit(RowPlace) for each row that may be the first of the key, until it returns true
  /// (found). Without a point index there is no row but a block: visit gets row -1.
  template <typename Visit>
  Status VisitCandidates(std::string_view key, uint64_t hash, Visit visit);
  /// Is everything in the file visible to the snapshot?
  bool SeesAll(uint64_t snapshot) const { return meta().sequence_max <= snapshot; }
  /// What FindValue does in one block.
  template <typename Access>
  Status ValueIn(Access* access, const PointQuery& query, int64_t row, bool* is_key,
                 FoundValue* out) const;
  /// Asks for a block that will be checked as a whole.
  void AskForBlock(int64_t block) const {
    const BlockEntry entry = blocks().Entry(block);
    file_->memory()->Note(file_->WillRead(entry.message_offset, entry.message_end()));
  }

  RowPlace PlaceOf(uint32_t row) const {
    const uint32_t block = file_->locator().Find(row);
    return {block, row - file_->locator().FirstRow(block)};
  }

  const std::unique_ptr<SstFile> file_;
  const std::vector<int> columns_;  // all stored ones
  // Of mapped tables: blocks that are addresses only, found without a lock.
  std::unique_ptr<std::atomic<const Block*>[]> kept_;
  std::unique_ptr<KvLookup> lookup_;  // for mapped, uncompressed key-value files
  KvBlocks* kv_ = nullptr;            // lookup_'s
  Mutex zones_mutex_;                 // held while they are read
  std::shared_ptr<arrow::RecordBatch> zones_ MARBLE_GUARDED_BY(zones_mutex_);
  int64_t zones_bytes_ = 0;  // pinned for them
};

Result<int64_t> SstReaderImpl::FindBlock(std::string_view key) const {
  if (!file_->schema().is_append()) return blocks().Find(key);
  int64_t begin = 0;
  int64_t end = num_blocks();
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    const auto last = static_cast<uint64_t>(blocks().FirstRow(middle + 1) - 1);
    if (EncodeRowId(meta().first_row_id + last) < key) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

bool SstReaderImpl::Keep(int64_t block, Block* rows) {
  BlockCache& cache = *file_->options().cache;
  const bool is_large = blocks().Entry(block).body_length >= kBytesForOneKept * BlockOverhead();
  if (!is_large) return false;
  auto kept = std::make_unique<Block>();
  if (!cache.TryTake(BlockOverhead(), cache.capacity() / kKeptShare)) return false;
  *kept = std::move(*rows);
  const Block* before = nullptr;
  if (kept_[block].compare_exchange_strong(before, kept.get(), std::memory_order_acq_rel)) {
    kept.release();
  } else {
    cache.GiveBack(BlockOverhead());
  }
  return true;
}

void SstReaderImpl::ForgetBlocks() {
  if (kept_ == nullptr) return;
  file_->options().cache->AddPinned(-KeptArrayBytes());
  int64_t bytes = 0;
  for (int64_t block = 0; block < num_blocks(); ++block) {
    const std::unique_ptr<const Block> kept(kept_[block].load(std::memory_order_acquire));
    if (kept != nullptr) bytes += BlockOverhead();
  }
  if (bytes > 0) file_->options().cache->GiveBack(bytes);
}

Result<std::shared_ptr<const Block>> SstReaderImpl::GetBlock(int64_t block) {
  if (auto kept = Kept(block); kept != nullptr) return kept;
  BlockCache& cache = *file_->options().cache;
  if (auto cached = cache.Find(meta().number, block)) return cached;
  Block decoded;
  int64_t overhead = kKvBlockOverhead;
  if (file_->schema().is_key_value()) {
    ARROW_ASSIGN_OR_RAISE(decoded.kv, DecodeKvBlock(*file_, block));
    decoded.memory = file_->zero_copy() ? 0 : decoded.kv.bytes->size();
  } else {
    const KeyCodec* codec = file_->schema().codec();
    overhead = BlockOverhead();
    if (MapsBlocks()) {
      ARROW_ASSIGN_OR_RAISE(decoded.rows, MapRows(*file_, block));
    } else {
      const bool free_keys = codec != nullptr && codec->is_single_binary();
      ARROW_ASSIGN_OR_RAISE(decoded.rows,
                            DecodeRows(*file_, block, columns_, free_keys, &decoded.memory));
    }
    if (codec != nullptr) decoded.key_columns = KeyColumns(*file_, decoded.rows);
    if (kept_ != nullptr && Keep(block, &decoded)) return Kept(block);
  }
  auto shared = std::make_shared<const Block>(std::move(decoded));
  cache.Insert(meta().number, block, shared, shared->memory + overhead);
  return shared;
}

Result<std::shared_ptr<const Block>> SstReaderImpl::GetRows(int64_t block) {
  if (!file_->schema().is_key_value()) return GetBlock(block);
  auto out = std::make_shared<Block>();
  if (kv_ != nullptr) {
    ARROW_ASSIGN_OR_RAISE(const bool usable, kv_->Ensure(block));
    if (usable) out->kv = MappedKv(block);
  }
  if (out->kv.bytes == nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto whole, GetBlock(block));
    out->kv = whole->kv;
    out->memory = whole->memory;
  }
  out->rows = KvRows(*file_, out->kv, {0, 1}, /*want_keys=*/true);
  out->key_columns = KeyColumns(*file_, out->rows);
  return out;
}

Result<RowBatch> SstReaderImpl::ReadBlock(int64_t block, const std::vector<int>& columns,
                                          bool want_keys) {
  if (file_->zero_copy()) {
    if (kv_ != nullptr && columns.size() == 2) {
      ARROW_ASSIGN_OR_RAISE(const bool usable, kv_->Ensure(block));
      if (usable) return KvRows(*file_, MappedKv(block), columns, want_keys);
    } else if (kv_ != nullptr && kv_->IsReady(block)) {
      return KvRows(*file_, MappedKv(block), columns, want_keys);
    }
    int64_t memory = 0;
    return DecodeRows(*file_, block, columns, want_keys, &memory);
  }
  const bool key_value = file_->schema().is_key_value();
  if (!key_value &&
      static_cast<int>(columns.size()) < file_->schema().stored_schema()->num_fields()) {
    // Some columns are not worth the others: they are decoded for this reader alone.
    const auto cached = file_->options().cache->Find(meta().number, block);
    if (cached != nullptr) return SelectRows(*file_, block, cached->rows, columns, want_keys);
    int64_t memory = 0;
    return DecodeRows(*file_, block, columns, want_keys, &memory);
  }
  ARROW_ASSIGN_OR_RAISE(const auto whole, GetBlock(block));
  if (key_value) return KvRows(*file_, whole->kv, columns, want_keys);
  return SelectRows(*file_, block, whole->rows, columns, want_keys);
}

bool SstReaderImpl::IsReady(int64_t block, const std::vector<int>& columns, bool want_keys) const {
  if (!file_->zero_copy()) return false;
  if (kv_ != nullptr && kv_->IsReady(block)) return true;
  const KeyCodec* codec = file_->schema().codec();
  if (want_keys && codec != nullptr && !codec->is_single_binary()) return false;
  return file_->IsChecked(block, FileColumns(*file_, block, columns, want_keys));
}

Result<std::shared_ptr<arrow::RecordBatch>> SstReaderImpl::ReadZoneMaps() {
  MutexLock lock(&zones_mutex_);
  if (zones_ == nullptr) {
    ARROW_ASSIGN_OR_RAISE(zones_, ReadZoneMapsOf(*file_));
    zones_bytes_ = BatchBytes(*zones_);
    file_->options().cache->AddPinned(zones_bytes_);
  }
  return zones_;
}

void SstReaderImpl::ReadAhead(int64_t block, BlockWalk* walk) {
  const int64_t step = block - walk->block;
  walk->block = block;
  if (file_->mapping() == nullptr) return;
  const BlockEntry entry = blocks().Entry(block);
  const int64_t begin = entry.message_offset;
  const int64_t end = entry.message_end();
  if (step != 1 && step != -1) {
    walk->asked_begin = begin;
    walk->asked_end = end;
    walk->ahead = 0;
    walk->steps = 0;
    return;
  }
  // A short walk may end in this block, and asking is a system call. (Not to ask may make the
  // kernel read megabytes around what is touched.)
  if (++walk->steps == 1 && !file_->memory()->ShouldAsk()) return;
  const int64_t asked = step == 1 ? walk->asked_end - end : begin - walk->asked_begin;
  if (walk->ahead > 0 && asked >= walk->ahead / 2) return;
  walk->ahead = std::clamp(2 * walk->ahead, kReadAheadMin, kReadAheadMax);
  if (step == 1) {
    const int64_t from = std::max(walk->asked_end, begin);
    walk->asked_end = std::min(end + walk->ahead, file_->mapping()->size());
    if (from < walk->asked_end) file_->WillRead(from, walk->asked_end);
  } else {
    const int64_t to = std::min(walk->asked_begin, end);
    walk->asked_begin = std::max<int64_t>(begin - walk->ahead, 0);
    if (walk->asked_begin < to) file_->WillRead(walk->asked_begin, to);
  }
}

template <typename Visit>
Status SstReaderImpl::VisitCandidates(std::string_view key, uint64_t hash, Visit visit) {
  if (meta().rows == 0) return Status::OK();
  const PointIndex& index = file_->point_index();
  bool found = false;
  if (!index.valid()) {
    if (file_->bloom_filter().valid()) {
      ARROW_RETURN_NOT_OK(file_->TouchBloomFilter(hash));
      if (!file_->bloom_filter().MayContain(hash)) return Status::OK();
    }
    const int64_t block = blocks().Find(key);
    if (block == num_blocks() || key < blocks().FirstKey(block)) return Status::OK();
    return visit(RowPlace{block, -1}, &found);
  }
  uint64_t line = index.HomeLine(hash);
  for (uint64_t n = 0; n < index.line_count(); ++n, line = index.NextLine(line)) {
    ARROW_RETURN_NOT_OK(file_->TouchPointIndex(line));
    for (uint32_t matches = index.Match(line, hash); matches != 0; matches &= matches - 1) {
      const uint32_t row = index.Row(line, std::countr_zero(matches));
      if (row >= index.row_count()) return file_->Damage("the point index names a row too many");
      ARROW_RETURN_NOT_OK(visit(PlaceOf(row), &found));
      if (found) return Status::OK();
    }
    if (!index.Overflowed(line)) break;
  }
  return Status::OK();
}

template <typename Access>
Status SstReaderImpl::ValueIn(Access* access, const PointQuery& query, int64_t row, bool* is_key,
                              FoundValue* out) const {
  const uint64_t snapshot = SeesAll(query.snapshot) ? kSequenceMax : query.snapshot;
  int64_t version;
  ARROW_RETURN_NOT_OK(FindVersion(access, query.key, row, snapshot, is_key, &version));
  if (version < 0) return Status::OK();
  out->found = true;
  if (query.want_sequence) out->sequence = access->SequenceAt(version);
  out->kind = access->KindAt(version);
  return access->ValueAt(version, &out->value);
}

Status SstReaderImpl::FindValue(const PointQuery& query, FoundValue* out) {
  if (!file_->schema().is_key_value()) return Status::Invalid("FindValue needs a key-value table");
  if (lookup_ != nullptr && lookup_->Find(query, out)) {
    if (query.pin && out->found && out->owner == nullptr) out->owner = file_->mapping();
    return Status::OK();
  }
  const ScarceMemory::Watch watch(file_->memory(), query.hash % 16 == 0);
  return VisitCandidates(query.key, query.hash, [&](RowPlace at, bool* is_key) -> Status {
    if (kv_ != nullptr) {
      // Without the row a search goes through the block, checked or not.
      const bool is_large = at.row < 0 || !kv_->IsReady(at.block);
      if (is_large && file_->memory()->ShouldAsk()) AskForBlock(at.block);
      ARROW_ASSIGN_OR_RAISE(const bool usable, kv_->Ensure(at.block));
      if (usable) {
        KvBlockAccess access(file_.get(), kv_, at.block);
        ARROW_RETURN_NOT_OK(ValueIn(&access, query, at.row, is_key, out));
        if (!out->found) return Status::OK();
        lookup_->OfferCopy(query, *out);
        if (query.pin) out->owner = file_->mapping();
        return Status::OK();
      }
    }
    ARROW_ASSIGN_OR_RAISE(auto block, GetBlock(at.block));
    KvColumnsAccess access(file_.get(), &block->kv.rows, at.block);
    ARROW_RETURN_NOT_OK(ValueIn(&access, query, at.row, is_key, out));
    if (out->found) out->owner = std::move(block);
    return Status::OK();
  });
}

Status SstReaderImpl::ReadKvBlock(int64_t block, KvColumns* out,
                                  std::shared_ptr<const void>* owner) {
  if (!file_->schema().is_key_value()) return Status::Invalid("not a key-value table");
  if (kv_ != nullptr) {
    ARROW_ASSIGN_OR_RAISE(const bool usable, kv_->Ensure(block));
    if (usable) {
      *out = kv_->Columns(block);
      owner->reset();
      return Status::OK();
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto decoded, GetBlock(block));
  *out = decoded->kv.rows;
  *owner = std::move(decoded);
  return Status::OK();
}

Result<std::optional<FoundRow>> SstReaderImpl::GetRow(std::string_view key, uint64_t hash,
                                                      uint64_t snapshot) {
  ARROW_RETURN_NOT_OK(CheckKeyed());
  if (SeesAll(snapshot)) snapshot = kSequenceMax;
  std::optional<FoundRow> found;
  const auto visit = [&](RowPlace at, bool* is_key) -> Status {
    ARROW_ASSIGN_OR_RAISE(auto block, GetRows(at.block));
    ARROW_RETURN_NOT_OK(CheckBlock(at.block, *block, columns_));
    DecodedBlockAccess access(file_.get(), block.get());
    int64_t version;
    ARROW_RETURN_NOT_OK(FindVersion(&access, key, at.row, snapshot, is_key, &version));
    if (version < 0) return Status::OK();
    FoundRow& out = found.emplace();
    out.sequence = access.SequenceAt(version);
    out.kind = access.KindAt(version);
    out.row = version;
    out.block = std::move(block);
    return Status::OK();
  };
  ARROW_RETURN_NOT_OK(VisitCandidates(key, hash, visit));
  return found;
}

}  // namespace

Result<std::shared_ptr<SstReader>> SstReader::Open(SstReaderOptions options, const FileMeta& meta) {
  ARROW_ASSIGN_OR_RAISE(auto file, SstFile::Open(std::move(options), meta));
  return std::make_shared<SstReaderImpl>(std::move(file));
}

Result<std::string> FirstKeyOf(const SstReader& reader, int64_t block, bool is_append) {
  if (is_append) {
    const auto rows_before = static_cast<uint64_t>(reader.BlockFirstRow(block));
    return EncodeRowId(reader.meta().first_row_id + rows_before);
  }
  ARROW_ASSIGN_OR_RAISE(const std::string_view key, reader.BlockFirstKey(block));
  return std::string(key);
}

}  // namespace marble

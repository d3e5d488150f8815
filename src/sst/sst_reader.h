// Reads one SSTable. Opening reads the tail (page checksums + footer) and checks it against the
// manifest's checksum; pages are checked at first touch, later reads use the mapping.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include <marble/file_system.h>

#include "base/uuid.h"
#include "row/row_batch.h"
#include "row/stored_schema.h"
#include "sst/block_cache.h"
#include "sst/file_meta.h"
#include "sst/kv_columns.h"
#include "sst/point_query.h"
#include "sst/range_tombstone.h"
#include "sst/scarce_memory.h"

namespace marble {

class KvLookup;
class RowSource;

/// A block in memory, with all stored columns.
struct Block {
  // Keys are set only where they are the column's own bytes (one binary key column).
  RowBatch rows;
  // The key columns alone, in key order, where lookups of many rows want them: putting them
  // together takes longer than to find a row.
  std::shared_ptr<arrow::RecordBatch> key_columns;
  // What the cache keeps of a key-value file; its `rows` are made for who asks for them.
  KvBlock kv;
  // Bytes that it keeps allocated for itself: 0 where they are the mapping's or a memtable's.
  int64_t memory = 0;
};

/// A key's row as a block of decoded rows and the row in it; valid as long as its source. (Blocks
/// that are addresses only belong to the reader, and `block` to nobody.)
struct FoundRow {
  uint64_t sequence = 0;
  RowKind kind = RowKind::kPut;
  std::shared_ptr<const Block> block;
  int64_t row = 0;
};

struct SstReaderOptions {
  FileSystem* fs = nullptr;
  std::string path;
  Uuid uuid{};
  uint64_t hash_seed = 0;
  std::shared_ptr<const StoredSchema> schema;
  /// Shared: readers may outlive the database (a pinned value, a batch in a user's hands). Never
  /// null.
  std::shared_ptr<BlockCache> cache;
  bool use_mappings = true;
  /// Nobody knows which codec the file's blocks are to have (it stands in the manifest), so that
  /// each may have any. Without mappings only.
  bool any_compression = false;
  /// For saving rows: opens a file whose point index, bloom filter or range tombstones are damaged
  /// as if it had none.
  bool rows_only = false;
  arrow::MemoryPool* pool = nullptr;
};

/// Where a reader that goes through the blocks of a file in order stands; for ReadAhead.
struct BlockWalk {
  int64_t block = -2;       // the last one, none at first
  int64_t asked_begin = 0;  // bytes of the file that the disk was asked for
  int64_t asked_end = 0;
  int64_t ahead = 0;  // bytes to be asked for in front of it
  int64_t steps = 0;  // blocks in a row
};

/// Thread-safe. Errors that mean damage are Corruption with file and offset.
class SstReader : public std::enable_shared_from_this<SstReader> {
 public:
  static arrow::Result<std::shared_ptr<SstReader>> Open(SstReaderOptions options,
                                                        const FileMeta& meta);
  virtual ~SstReader() = default;

  virtual const FileMeta& meta() const = 0;
  virtual int64_t num_blocks() const = 0;
  /// Rows before block i; num_blocks() + 1 entries' worth of i are valid.
  virtual int64_t BlockFirstRow(int64_t block) const = 0;
  /// Keyed tables: encoded first and last key of a block (from the block index, checked at open or
  /// first use).
  virtual arrow::Result<std::string_view> BlockFirstKey(int64_t block) const = 0;
  virtual arrow::Result<std::string_view> BlockLastKey(int64_t block) const = 0;
  /// First block whose last key is >= `key`; num_blocks() if none. (Append tables: by row id.)
  virtual arrow::Result<int64_t> FindBlock(std::string_view key) const = 0;

  /// Is each row a put, and the only one of its key? From the block index.
  virtual bool HasOnePutAKey() const = 0;

  /// Rows of a block with the stored columns `columns` (indices into the stored schema, in that
  /// order); only their pages, those of the hidden and, if `want_keys`, of the key columns are
  /// touched. Uncompressed mapped files give zero-copy arrays. For append tables `keys` are row ids
  /// when `want_keys`. Bytes are checked (checksums, and arrow's Validate) before they are handed
  /// out.
  virtual arrow::Result<RowBatch> ReadBlock(int64_t block, const std::vector<int>& columns,
                                            bool want_keys) = 0;

  /// Would ReadBlock only compute addresses, because the bytes have been checked before and keys
  /// need no encoding?
  virtual bool IsReady(int64_t block, const std::vector<int>& columns, bool want_keys) const = 0;

  /// Called before each block of a walk is read: from the third block in a row on (the second, if
  /// memory() tells to ask), in either direction, starts reading what comes next from the disk.
  /// Mapped files only.
  virtual void ReadAhead(int64_t block, BlockWalk* walk) = 0;

  /// Guesses whether the file's bytes are in memory; whoever touches many of them tells it.
  virtual ScarceMemory* memory() = 0;
  /// Hint that these bytes of the mapping will be touched soon: starts reading those that are not
  /// in memory. For those whom memory() tells to ask.
  virtual void WillRead(std::string_view mapped) = 0;

  /// Point lookups: the newest row of the key with sequence <= `snapshot` (a delete counts as
  /// found); nullopt or not `found` if there is none. `hash` = HashKey(key). Range tombstones are
  /// not looked at. FindValue needs a key-value table and a fresh `out`; without `pin` the value is
  /// valid while this reader lives for mapped files, so callers that copy at once need no owner;
  /// blocks from the cache always set `owner`.
  virtual void Prefetch(uint64_t hash) = 0;
  virtual arrow::Status FindValue(const PointQuery& query, FoundValue* out) = 0;
  /// The steps of FindValue, for lookups of many keys; nullptr unless the file is mapped,
  /// uncompressed and of a key-value table.
  KvLookup* kv_lookup() const { return kv_lookup_; }
  virtual arrow::Result<std::optional<FoundRow>> GetRow(std::string_view key, uint64_t hash,
                                                        uint64_t snapshot) = 0;
  /// For LookUpRows (row_lookup.h); nullptr if rows are found by GetRow only, one after the other.
  RowSource* row_source() const { return row_source_; }

  /// Key-value tables: the rows of a block where they lie. `owner` keeps their memory; it is set to
  /// nullptr for mapped files, whose memory lives as long as this reader.
  virtual arrow::Status ReadKvBlock(int64_t block, KvColumns* out,
                                    std::shared_ptr<const void>* owner) = 0;
  /// Fetches what ReadKvBlock looks at first.
  virtual void PrefetchKvBlock(int64_t block) const = 0;
  /// `status` as what it means of a block whose bytes are those that were written: damage there.
  virtual arrow::Status DamagedBlock(int64_t block, const arrow::Status& status) const = 0;
  /// The error for a row of KvColumns that cannot be read.
  arrow::Status DamagedRow(int64_t block) const {
    return DamagedBlock(block, arrow::Status::Invalid("a row's offsets are out of range"));
  }

  virtual const RangeTombstoneSet& range_tombstones() const = 0;
  /// The zone map section's batch (zone_map.h), read and parsed by the first call.
  virtual arrow::Result<std::shared_ptr<arrow::RecordBatch>> ReadZoneMaps() = 0;
  /// Reads and checks every byte of the file, decodes and fully validates every block, and checks
  /// order, index, counts and bounds. The first damage is returned.
  virtual arrow::Status Verify() = 0;

 protected:
  KvLookup* kv_lookup_ = nullptr;
  RowSource* row_source_ = nullptr;
};

/// The encoded first key of a block; of an append table's its first row id.
arrow::Result<std::string> FirstKeyOf(const SstReader& reader, int64_t block, bool is_append);

}  // namespace marble

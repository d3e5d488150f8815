// Settings. Few, each with a default, a unit and a consequence; everything else is a named
// constant.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <marble/file_system.h>

namespace marble {

enum class Compression : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

/// What a table keeps beside each SSTable to answer point lookups.
enum class PointLookup : uint8_t {
  kNone = 0,         // binary search in the block index only; for tables that are only scanned
  kBloomFilter = 1,  // about 1.25 bytes a key: rejects misses, hits cost a binary search
  kPointIndex = 2,   // about 6 bytes a key: the row of a key in one cache miss
};

/// Options of one database, given at each open.
struct Options {
  /// Make the directory and an empty database in it if there is none.
  bool create_if_missing = true;
  /// Take no lock and write nothing; every write is refused. Sees the state at the time of opening.
  bool read_only = false;
  /// Bytes of memory for write buffers, block cache (with copies of hot rows and of indexes, where
  /// data exceed memory) and pinned indexes together. Half of it at most goes to write buffers, and
  /// writes are slowed down from three eighths on; the caches use what they leave, up to seven
  /// eighths. Smaller means shorter bursts of writes at full speed, more flushes and more disk
  /// reads. It does not bound what has to be there: rows that a read-only open replays from the
  /// log, all of which stay in memory, and what is kept of each file from its first use on. That is
  /// little, but without `use_mappings` the point index is a part of it: about 6 bytes a key. At
  /// most 2^50.
  int64_t memory_budget = int64_t{1} << 30;
  /// Bytes at which a table's memtable is sealed and flushed; writes are slowed down when six
  /// sealed ones wait for their flush. Larger means fewer, bigger flushes and a longer replay after
  /// a crash. Bounded by a quarter of memory_budget and by 1 GiB.
  int64_t memtable_bytes = int64_t{64} << 20;
  /// Bytes of log after which idle tables are flushed, so that replay stays short.
  int64_t log_bytes_max = int64_t{512} << 20;
  /// Size of a preallocated log segment, bytes; at least 65,536.
  int64_t log_segment_bytes = int64_t{16} << 20;
  /// Size at which compaction starts a new output file, bytes; at most 2^50.
  int64_t target_file_bytes = int64_t{64} << 20;
  /// Bytes of level 1; each deeper level holds ten times as much.
  int64_t level_base_bytes = int64_t{1} << 30;
  /// Threads for flush and compaction. Of two or more one begins no compaction, so that it is there
  /// for flushes; meanwhile it helps with parts of compactions that others began. Up to as many
  /// more read ahead of long scans and help to sort large batches, begun with the first of them.
  int background_threads = 2;
  /// Map SSTables into memory. Without it every block is read into the block cache.
  bool use_mappings = true;
  /// Compact by itself. Off is for tests and bulk loads that call Compact.
  bool auto_compaction = true;
  /// Where the files live; nullptr means the operating system's. Must outlive the database.
  FileSystem* file_system = nullptr;

  bool operator==(const Options&) const = default;
};

/// Options of one table, fixed at creation and kept in the manifest.
struct TableOptions {
  /// Names of the key columns, in key order. Empty makes an append table.
  std::vector<std::string> primary_key;
  /// Codec of blocks. Uncompressed ones are read where the file is mapped, without being copied or
  /// decoded. docs/performance.md has what the others save and cost.
  Compression compression = Compression::kNone;
  /// Codec of files below which nothing older lies (in a table at rest nearly all of them), which
  /// compaction writes; nullopt means as `compression`. With kNone or kLz4 above and kZstd here
  /// rows are small once they are no longer new.
  std::optional<Compression> bottom_compression = std::nullopt;
  PointLookup point_lookup = PointLookup::kPointIndex;
  /// Uncompressed bytes of a block (one record batch of an SSTable), about: blocks of a file get
  /// equally many rows while that makes them half to twice as long. 0 means, for a table of one
  /// binary key and one binary value, 32 KiB, or 15.5 KiB if it is compressed; otherwise 4 MiB, or
  /// 1 MiB if it is compressed. More than 512 MiB (up to 1 GiB) means 512 MiB. Small blocks make
  /// point reads of compressed data cheap, large ones scans.
  int64_t block_bytes = 0;
  /// Largest number of rows in a block, at most 16,777,216; 0 means that.
  int64_t block_rows_max = 0;

  bool operator==(const TableOptions&) const = default;
};

/// Options of one write.
struct WriteOptions {
  /// Return only when the commit, and all before it, survive power loss.
  bool sync = false;
  /// How long the write may wait for background work when memory or level 0 is full; after that it
  /// fails with Busy and nothing is written. Negative means as long as it takes.
  std::chrono::milliseconds timeout = std::chrono::milliseconds(-1);
};

}  // namespace marble

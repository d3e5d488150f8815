// What everything in an open database shares: where its files are, who it is, its memory.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include <arrow/memory_pool.h>

#include <marble/options.h>

#include "base/uuid.h"
#include "sst/block_cache.h"
#include "tree/compaction_job.h"
#include "tree/recycling_pool.h"
#include "tree/version.h"

namespace marble {

class TableState;

/// Fixed after open, except the counter. Owned by the OpenDatabase.
struct Environment {
  FileSystem* fs = nullptr;
  std::string directory;
  Options options;
  Uuid uuid{};
  uint64_t hash_seed = 0;
  std::shared_ptr<BlockCache> cache;
  RecyclingPool* pool = nullptr;
  std::atomic<uint64_t> next_file_number{1};

  /// Bytes at which the memtable of a table is sealed, between commits and, at the latter, within
  /// one: all versions of a key are flushed as one batch, whose 32-bit offsets have to reach.
  int64_t memtable_bytes_max() const {
    return std::min({options.memtable_bytes, options.memory_budget / 4, kMemtableBytesMost});
  }
  static constexpr int64_t kMemtableBytesMost = int64_t{1} << 30;
  /// Bytes that the memtables of all tables may hold together: from the former on the largest are
  /// sealed and writers slowed down, at the latter they stop.
  int64_t memtables_scarce() const { return options.memory_budget * 3 / 8; }
  int64_t memtables_max() const { return options.memory_budget / 2; }
  SstReaderOptions ReaderOptions(const std::shared_ptr<const StoredSchema>& schema,
                                 uint64_t file_number) const;
  OutputContext MakeOutputContext(const TableState& table, std::vector<uint64_t> snapshots);
};

/// A memory pool of ours that counts what one database has allocated. Pools live for ever, because
/// batches handed to users free their buffers through them after the database is gone; one that is
/// empty again is given out anew. `spare_bytes_max`: memory given back that it may keep.
RecyclingPool* AcquireMemoryPool(int64_t spare_bytes_max);
void ReleaseMemoryPool(RecyclingPool* pool);

}  // namespace marble

#include "db/environment.h"

#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "db/core.h"
#include "tree/file_names.h"

namespace marble {

namespace {

struct PoolEntry {
  explicit PoolEntry(arrow::MemoryPool* base) : pool(base) {}
  RecyclingPool pool;
  bool in_use = true;
};

struct PoolList {
  Mutex mutex;
  std::vector<std::unique_ptr<PoolEntry>> entries MARBLE_GUARDED_BY(mutex);
};

/// Never destroyed: buffers may be freed by other static destructors.
PoolList& Pools() {
  static auto* pools = std::make_unique<PoolList>().release();
  return *pools;
}

}  // namespace

RecyclingPool* AcquireMemoryPool(int64_t spare_bytes_max) {
  PoolList& pools = Pools();
  MutexLock lock(&pools.mutex);
  RecyclingPool* pool = nullptr;
  for (auto& entry : pools.entries) {
    if (entry->in_use || entry->pool.bytes_allocated() != 0) continue;
    entry->in_use = true;
    pool = &entry->pool;
    break;
  }
  if (pool == nullptr) {
    pools.entries.push_back(std::make_unique<PoolEntry>(arrow::default_memory_pool()));
    pool = &pools.entries.back()->pool;
  }
  pool->SetSpareBytesMax(spare_bytes_max);
  return pool;
}

void ReleaseMemoryPool(RecyclingPool* pool) {
  pool->SetSpareBytesMax(0);
  PoolList& pools = Pools();
  MutexLock lock(&pools.mutex);
  for (auto& entry : pools.entries) {
    if (&entry->pool == pool) entry->in_use = false;
  }
}

SstReaderOptions Environment::ReaderOptions(const std::shared_ptr<const StoredSchema>& schema,
                                            uint64_t file_number) const {
  SstReaderOptions reader;
  reader.fs = fs;
  reader.path = SstPath(directory, file_number);
  reader.uuid = uuid;
  reader.hash_seed = hash_seed;
  reader.schema = schema;
  reader.cache = cache;
  reader.use_mappings = options.use_mappings;
  reader.pool = pool;
  return reader;
}

OutputContext Environment::MakeOutputContext(const TableState& table,
                                             std::vector<uint64_t> snapshots) {
  OutputContext context;
  context.fs = fs;
  context.directory = directory;
  context.uuid = uuid;
  context.hash_seed = hash_seed;
  context.schema = table.schema;
  context.table_id = table.info.id;
  context.table_name = table.info.name;
  context.pool = pool;
  context.target_file_bytes = options.target_file_bytes;
  context.next_file_number = &next_file_number;
  context.snapshots = std::move(snapshots);
  return context;
}

}  // namespace marble

#include "db/environment.h"

#include "base/check.h"
#include "base/lasting_pools.h"
#include "db/core.h"
#include "tree/file_names.h"

namespace marble {

RecyclingPool* AcquireMemoryPool(int64_t spare_bytes_max) {
  RecyclingPool* pool = LastingPools<RecyclingPool>::Get().Acquire();
  pool->SetSpareBytesMax(spare_bytes_max);
  return pool;
}

void ReleaseMemoryPool(RecyclingPool* pool) {
  pool->SetSpareBytesMax(0);
  LastingPools<RecyclingPool>::Get().Release(pool);
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

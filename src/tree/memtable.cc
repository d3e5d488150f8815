#include "tree/memtable.h"

#include <utility>

#include "tree/batch_memtable.h"
#include "tree/point_memtable.h"

namespace marble {

std::shared_ptr<Memtable> Memtable::Make(std::shared_ptr<const StoredSchema> schema,
                                         uint64_t hash_seed, arrow::MemoryPool* pool,
                                         int64_t expected_keys) {
  if (schema->is_key_value()) {
    return std::make_shared<PointMemtable>(std::move(schema), hash_seed, pool, expected_keys);
  }
  return std::make_shared<BatchMemtable>(std::move(schema), pool);
}

}  // namespace marble

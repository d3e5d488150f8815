// What a reader of one table works on: an immutable list of sources, newest first. Taken with one
// atomic load, it keeps memtables and files alive for as long as it is held.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/result.h>

#include "row/stored_schema.h"
#include "tree/memtable.h"
#include "tree/sorted_reader.h"
#include "tree/version.h"

namespace marble {

class RowSink;

/// A memtable or a sorted run; exactly one is set.
struct Source {
  std::shared_ptr<Memtable> memtable;
  std::shared_ptr<const Run> run;
};

struct TableView {
  std::shared_ptr<const StoredSchema> schema;
  uint64_t hash_seed = 0;
  arrow::MemoryPool* pool = nullptr;
  /// Newest first. Memtables and level-0 runs have disjoint sequence ranges; for deeper runs only
  /// the order per key holds.
  std::vector<Source> sources;
};

/// Point lookup over a view; `out` is fresh and stays so if the key is absent or deleted. Key-value
/// tables only; `pin` as in SstReader::FindValue (the caller that does not pin copies while it
/// holds the view), and the value of a memtable has the memtable as its owner then. The row's
/// sequence is not told. With
/// `memory_only` a lookup that would have to ask a file returns Status with code Cancelled.
struct ValueLookupOptions {
  uint64_t snapshot = kSequenceMax;
  bool pin = false;
  bool memory_only = false;
};
arrow::Status FindValue(const TableView& view, std::string_view key,
                        const ValueLookupOptions& options, FoundValue* out);
/// Point lookup of whole rows, any keyed table. nullopt: absent or deleted.
arrow::Result<std::optional<FoundRow>> FindRow(const TableView& view, std::string_view key,
                                               uint64_t snapshot);
/// Point lookups of many rows, any keyed table: those of `keys` that are there go to `sink`, source
/// by source, in a file block by block. `columns` as in RowsQuery. A key that stands several times
/// is found as often.
arrow::Status FindRows(const TableView& view, const EncodedKeys& keys, uint64_t snapshot,
                       std::span<const int> columns, RowSink* sink);
/// Many at once with prefetching, without pinning: `out` has one fresh entry a key.
arrow::Status FindValues(const TableView& view, std::span<const std::string_view> keys,
                         uint64_t snapshot, std::span<FoundValue> out);

/// Visible rows of a range as batches of stored columns (request.columns), in key order: the merge
/// of all sources, or for append tables their concatenation. The reader holds the view.
/// `batch_rows_first` as in MergeReadOptions. Of rows that request.filter does not keep some are
/// delivered, in batches that are not marked as filtered.
arrow::Result<std::unique_ptr<SortedReader>> ReadRange(std::shared_ptr<const TableView> view,
                                                       ReadRequest request, int64_t batch_rows_max,
                                                       int64_t batch_rows_first);

}  // namespace marble

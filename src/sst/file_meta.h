// What the manifest knows of an SSTable: the parent holds the child's size, checksum and id, so
// that swapped, stale and misdirected files are found.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <marble/options.h>

namespace marble {

/// Immutable value.
struct FileMeta {
  uint64_t number = 0;         // names the file; never reused
  uint64_t size = 0;           // bytes
  uint64_t tail_checksum = 0;  // XXH3-64 of page checksum section + Arrow footer + trailer
  uint64_t unique_id = 0;      // random, also inside the file's footer
  uint64_t rows = 0;
  uint64_t data_bytes = 0;  // bytes of the record batches
  // Encoded keys. Bounds include range tombstones: `largest` is inclusive unless
  // `largest_exclusive`; `unbounded_end` means that a tombstone reaches beyond every key.
  std::string smallest;
  std::string largest;
  bool largest_exclusive = false;
  bool unbounded_end = false;
  uint64_t sequence_min = 0;
  uint64_t sequence_max = 0;
  /// Set if the file has no `_sequence` column: the sequence number of all its rows.
  std::optional<uint64_t> constant_sequence;
  /// Append tables: row id of the first row (ids are contiguous in a file).
  uint64_t first_row_id = 0;
  uint64_t deletes = 0;  // rows of kind delete
  uint64_t range_tombstones = 0;
  uint32_t schema_version = 0;
  /// Codec of the blocks, if it is another than the table's `compression`.
  std::optional<Compression> compression;

  bool operator==(const FileMeta&) const = default;
};

/// Name inside the database's sst/ folder: six digits or more and ".arrow".
std::string SstFileName(uint64_t number);

}  // namespace marble

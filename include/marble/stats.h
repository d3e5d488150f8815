// Counters and sizes of a database or of one table, as plain values taken at one moment.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace marble {

struct LevelStats {
  int level = 0;
  int64_t runs = 0;
  int64_t files = 0;
  int64_t rows = 0;
  int64_t bytes = 0;
};

struct TableStats {
  std::string name;
  std::vector<LevelStats> levels;  // levels that hold files, shallowest first
  int64_t memtable_bytes = 0;
  int64_t memtables = 0;  // active and waiting to be flushed
  int64_t rows_in_files = 0;
  int64_t bytes_in_files = 0;
};

struct Stats {
  uint64_t last_sequence = 0;
  int64_t commits = 0;             // since open
  int64_t log_bytes_written = 0;   // since open
  int64_t log_syncs = 0;           // since open
  int64_t log_bytes = 0;           // segments needed for replay: now, or when opened read-only
  int64_t log_tail_cut_bytes = 0;  // of the unsynced records that this open had to drop
  int64_t flushes = 0;             // since open
  int64_t compactions = 0;         // since open
  int64_t trivial_moves = 0;       // since open
  int64_t bytes_flushed = 0;       // since open
  int64_t bytes_compacted = 0;     // written by compactions since open
  int64_t write_delays = 0;        // writes that were slowed down
  int64_t write_stops = 0;         // writes that waited
  int64_t write_delay_micros = 0;  // time spent in both
  std::string write_delay_reason;  // why the last one was, e.g. "level 0 of table 'x' has 13 runs"
  int64_t snapshots = 0;
  int64_t memory_budget = 0;   // bytes
  int64_t memtable_bytes = 0;  // all tables
  int64_t spare_bytes = 0;     // memory of memtables, merges and scans, kept for the next ones
  int64_t block_cache_bytes = 0;
  int64_t block_cache_hits = 0;  // not of blocks that files keep: large ones of mapped tables
  int64_t block_cache_misses = 0;
  int64_t row_cache_bytes = 0;  // copies of hot rows of uncompressed files larger than memory
  int64_t row_cache_hits = 0;
  int64_t pinned_index_bytes = 0;  // what files keep: indexes, and addresses of mapped blocks
  int64_t files = 0;
  int64_t file_bytes = 0;
  /// Why writes are refused, or a table is not compacted; empty while all is well.
  std::string background_error;
  std::vector<TableStats> tables;  // sorted by name, internal ones included
};

}  // namespace marble

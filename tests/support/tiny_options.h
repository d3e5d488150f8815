// Options of a database that some thousand operations carry through all of its levels.
#pragma once

#include <marble/options.h>

namespace marble::test {

/// Everything small, so that some thousand operations flush, compact and move files between levels.
inline Options TinyOptions() {
  Options options;
  options.memory_budget = int64_t{8} << 20;
  options.memtable_bytes = int64_t{32} << 10;
  options.log_bytes_max = int64_t{2} << 20;
  options.log_segment_bytes = int64_t{256} << 10;
  options.target_file_bytes = int64_t{32} << 10;
  options.level_base_bytes = int64_t{96} << 10;
  return options;
}

}  // namespace marble::test

#include "sst/file_meta.h"

#include <cinttypes>
#include <cstdio>

namespace marble {

std::string SstFileName(uint64_t number) {
  char name[40];
  std::snprintf(name, sizeof(name), "%06" PRIu64 ".arrow", number);
  return name;
}

}  // namespace marble

#include "row/range_kernel.h"

#include "base/checksum_avx2.h"
#include "row/range_kernel_loop.h"

namespace marble {

void KeepInRange(const NumberRange& range, const void* values, int64_t rows, uint64_t* bits) {
  static const auto keep = HasAvx2() ? KeepInRangeAvx2 : KeepByType;
  keep(range, values, rows, bits);
}

}  // namespace marble

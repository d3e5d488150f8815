// Compiled with -mavx2 (cmake/Layers.cmake).
#include "row/range_kernel_loop.h"

namespace marble {

#ifdef __AVX2__
void KeepInRangeAvx2(const NumberRange& range, const void* values, int64_t rows, uint64_t* bits) {
  KeepByType(range, values, rows, bits);
}
#else
void KeepInRangeAvx2(const NumberRange&, const void*, int64_t, uint64_t*) { __builtin_trap(); }
#endif

}  // namespace marble

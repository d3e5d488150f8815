// Arithmetic in place of branches.
#pragma once

#include <cstdint>

namespace marble {

/// All bits set, or none. For choices that nobody can foresee: compilers make branches of `?:`.
inline uint64_t MaskOf(bool condition) { return ~uint64_t{condition} + 1; }

}  // namespace marble

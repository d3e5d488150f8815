// Assertions. MARBLE_CHECK stays on in release builds: use it for what the programmer promised,
// where it costs nothing per row. MARBLE_DCHECK is for inner loops. Neither may be reachable by bad
// input.
#pragma once

#include <cstdio>
#include <cstdlib>

#define MARBLE_CHECK(condition)                                                          \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

#ifdef NDEBUG
#define MARBLE_DCHECK(condition) static_cast<void>(0)
#else
#define MARBLE_DCHECK(condition) MARBLE_CHECK(condition)
#endif

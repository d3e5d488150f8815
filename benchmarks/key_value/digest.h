// The proof that a workload read what it should have: every byte it was given goes into a sum that
// is the same for all engines, whatever the order or the cut of the rows.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace marble::benchmark {

/// The sum of all bytes, read 16 at a time.
inline uint64_t SumBytes(const char* bytes, size_t size) {
  uint64_t sum = 0;
#ifdef __SSE2__
  __m128i sums = _mm_setzero_si128();
  const __m128i zero = _mm_setzero_si128();
  for (; size >= 16; bytes += 16, size -= 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    sums = _mm_add_epi64(sums, _mm_sad_epu8(block, zero));
  }
  if (size >= 8) {
    const __m128i half = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
    sums = _mm_add_epi64(sums, _mm_sad_epu8(half, zero));
    bytes += 8;
    size -= 8;
  }
  if (size >= 4) {
    int quarter = 0;
    std::memcpy(&quarter, bytes, sizeof(quarter));
    sums = _mm_add_epi64(sums, _mm_sad_epu8(_mm_cvtsi32_si128(quarter), zero));
    bytes += 4;
    size -= 4;
  }
  sum = static_cast<uint64_t>(_mm_cvtsi128_si64(sums)) +
        static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(sums, sums)));
#endif
  for (; size > 0; ++bytes, --size) sum += static_cast<unsigned char>(*bytes);
  return sum;
}

/// What was read so far. `heads` adds up the first 8 bytes of the values, which name their keys
/// (Values in data.h), so that a value under a wrong key shows.
struct Digest {
  uint64_t rows = 0;
  uint64_t sum = 0;
  uint64_t heads = 0;

  void AddKey(std::string_view key) { sum += SumBytes(key.data(), key.size()); }
  void AddValue(std::string_view value) {
    uint64_t head = 0;
    if (value.size() >= sizeof(head)) std::memcpy(&head, value.data(), sizeof(head));
    ++rows;
    heads += head;
    sum += SumBytes(value.data(), value.size());
  }
  void Add(std::string_view key, std::string_view value) {
    AddKey(key);
    AddValue(value);
  }
  void Add(const Digest& other) {
    rows += other.rows;
    sum += other.sum;
    heads += other.heads;
  }
};

}  // namespace marble::benchmark

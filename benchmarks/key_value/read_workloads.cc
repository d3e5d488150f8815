// Reading: single rows, many at once, whole scans, ranges.
#include <bit>
#include <thread>

#include "workloads.h"

namespace marble::benchmark {
namespace {

constexpr uint64_t kReadSeed = 100;
constexpr uint64_t kWarmSeed = 101;
constexpr uint64_t kSeekRows = 50;

/// Gets the rows of `order`, divided among `threads`; all must be there, or none. The time of a get
/// goes into the result under `name`.
void Get(Session* session, Result* result, const char* name, const std::vector<uint32_t>& order,
         uint64_t offset, size_t threads) {
  const bool expected = offset == 0;
  std::vector<Digest> digests(threads);
  std::vector<uint64_t> heads(threads);
  const size_t each = order.size() / threads;
  const auto work = [&](size_t thread) {
    char key[Keys::kSizeMax];
    Digest digest;
    uint64_t sum = 0;
    for (size_t i = thread * each; i < (thread + 1) * each; ++i) {
      const uint64_t row = order[i] + offset;
      if (session->engine->Get(session->keys.Random(row, key), &digest) != expected) {
        Die(expected ? "a key is gone" : "a key came from nowhere");
      }
      sum += HeadOf(row);
    }
    digests[thread] = digest;
    heads[thread] = sum;
  };
  const double start = Now();
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
  result->Add(name, "ns/op", NanosecondsEach(start, each * threads));
  Digest all;
  uint64_t all_heads = 0;
  for (size_t i = 0; i < threads; ++i) {
    all.Add(digests[i]);
    all_heads += heads[i];
  }
  if (expected && all.heads != all_heads) Die("a value belongs to another key");
  result->checksum = session->ChecksumOf(all);
}

/// Gets as many rows first: what is wanted often comes into memory, and blocks are checked that
/// nobody has read before.
void GetTwice(Session* session, Result* result, const std::vector<uint32_t>& first,
              const std::vector<uint32_t>& then, size_t threads) {
  Get(session, result, "first", first, 0, threads);
  Get(session, result, "get", then, 0, threads);
}

void GetUniform(Session* session, Result* result, size_t threads) {
  const uint64_t rows = session->options.rows;
  const uint64_t reads = session->options.reads();
  GetTwice(session, result, UniformRows(rows, reads, kWarmSeed),
           UniformRows(rows, reads, kReadSeed), threads);
}
void ReadRandom(Session* session, Result* result) { GetUniform(session, result, 1); }
void ReadRandom2(Session* session, Result* result) { GetUniform(session, result, 2); }

void ReadZipf(Session* session, Result* result) {
  const uint64_t rows = session->options.rows;
  // Larger than memory, caches take longer to find the hot rows.
  const uint64_t reads = session->options.reads() * (session->options.memory_limit > 0 ? 5 : 1);
  GetTwice(session, result, ZipfRows(rows, reads, kWarmSeed), ZipfRows(rows, reads, kReadSeed), 1);
}

void GetMissing(Session* session, Result* result, size_t threads) {
  const auto order = UniformRows(session->options.rows, session->options.reads(), kReadSeed);
  Get(session, result, "get", order, kMissingRows, threads);
}
void ReadMissing(Session* session, Result* result) { GetMissing(session, result, 1); }
void ReadMissing2(Session* session, Result* result) { GetMissing(session, result, 2); }

void MultiGet(Session* session, Result* result) {
  constexpr size_t kKeys = 100;
  const auto order = UniformRows(session->options.rows, session->options.reads(), kReadSeed + 2);
  std::string buffer(kKeys * Keys::kSizeMax, '\0');
  std::vector<std::string_view> keys(kKeys);
  Digest digest;
  uint64_t heads = 0;
  const size_t groups = order.size() / kKeys;
  const double start = Now();
  for (size_t group = 0; group < groups; ++group) {
    for (size_t i = 0; i < kKeys; ++i) {
      const uint32_t row = order[group * kKeys + i];
      keys[i] = session->keys.Random(row, buffer.data() + i * Keys::kSizeMax);
      heads += HeadOf(row);
    }
    session->engine->MultiGet(keys, &digest);
  }
  result->Add("key", "ns/op", NanosecondsEach(start, groups * kKeys));
  if (digest.rows != groups * kKeys || digest.heads != heads) Die("multi_get missed a key");
  result->checksum = session->ChecksumOf(digest);
}

/// Scans twice: the first may have to read and check blocks that no one has read before.
template <typename Scan>
void TimeScan(Session* session, Result* result, bool has_heads, const Scan& scan) {
  const uint64_t rows = session->rows - session->deleted;
  for (const char* name : {"first", "row"}) {
    Digest digest;
    const double start = Now();
    scan(&digest);
    result->Add(name, "ns/op", NanosecondsEach(start, rows));
    if (digest.rows != rows || (has_heads && digest.heads != session->heads)) {
      Die("a scan did not see every row once");
    }
    // The heads of all rows are the same for all engines, counted or not.
    if (!has_heads) digest.heads = session->heads;
    result->checksum = session->ChecksumOf(digest);
  }
}
void ScanForward(Session* session, Result* result) {
  TimeScan(session, result, true, [&](Digest* digest) { session->engine->Scan(false, digest); });
}
void ScanReverse(Session* session, Result* result) {
  TimeScan(session, result, true, [&](Digest* digest) { session->engine->Scan(true, digest); });
}
void ScanBatches(Session* session, Result* result) {
  TimeScan(session, result, false, [&](Digest* digest) { session->engine->ScanBatches(digest); });
}

/// Operations of a workload that reads many rows in each.
uint64_t Ranges(const Session& session) { return session.options.reads() / 5; }

template <typename Read>
void TimeSeeks(Session* session, Result* result, const Read& read) {
  const auto order = UniformRows(session->options.rows, Ranges(*session), kReadSeed + 3);
  char key[Keys::kSizeMax];
  Digest digest;
  const double start = Now();
  for (uint32_t row : order) read(session->keys.Random(row, key), &digest);
  result->Add("seek", "ns/op", NanosecondsEach(start, order.size()));
  // Only a seek near the end finds fewer.
  const uint64_t wanted = order.size() * kSeekRows;
  if (digest.rows > wanted || digest.rows < wanted - wanted / 50) Die("a seek missed rows");
  result->checksum = session->ChecksumOf(digest);
}
void Seek(Session* session, Result* result) {
  TimeSeeks(session, result, [&](std::string_view key, Digest* digest) {
    session->engine->ReadRange(key, {}, kSeekRows, digest);
  });
}
void SeekAgain(Session* session, Result* result) {
  const auto cursor = session->engine->NewCursor();
  TimeSeeks(session, result,
            [&](std::string_view key, Digest* digest) { cursor->Read(key, kSeekRows, digest); });
}

/// Keys begin with their number's digits, highest first, so those of one prefix can be counted.
void ScanPrefixes(Session* session, Result* result) {
  const int digit_bits = session->keys.shape() == KeyShape::kFixed16 ? 4 : 6;
  const int bits = std::bit_width(session->rows / 10);
  const size_t size = static_cast<size_t>(std::max(1, bits / digit_bits));
  const int shift = 64 - static_cast<int>(size) * digit_bits;
  std::vector<uint32_t> counts(uint64_t{1} << (64 - shift));
  for (uint64_t row = 0; row < session->rows; ++row) ++counts[HeadOf(row) >> shift];
  const auto order = UniformRows(session->options.rows, Ranges(*session), kReadSeed + 4);
  uint64_t expected = 0;
  for (uint32_t row : order) expected += counts[HeadOf(row) >> shift];
  char key[Keys::kSizeMax];
  Digest digest;
  const double start = Now();
  for (uint32_t row : order) {
    const std::string_view prefix = session->keys.Random(row, key).substr(0, size);
    char end[Keys::kSizeMax];
    std::memcpy(end, key, size);
    ++end[size - 1];
    session->engine->ReadRange(prefix, {end, size}, INT64_MAX, &digest);
  }
  result->Add("prefix", "ns/op", NanosecondsEach(start, order.size()));
  if (digest.rows != expected) Die("a prefix scan did not see every row of its prefix once");
  result->checksum = session->ChecksumOf(digest);
  result->note = "rows of a prefix: " + std::to_string(expected / order.size());
}

}  // namespace

std::vector<Workload> ReadWorkloads() {
  return {{"readrandom", ReadRandom, "gets of rows drawn evenly"},
          {"readrandom2", ReadRandom2, "the same by two threads"},
          {"readzipf", ReadZipf, "gets of rows drawn by Zipf's law, 0.99"},
          {"readmissing", ReadMissing, "gets of keys that are not there"},
          {"readmissing2", ReadMissing2, "the same by two threads"},
          {"multiget", MultiGet, "multi_get of 100 rows drawn evenly"},
          {"scan", ScanForward, "all rows by iterator, twice"},
          {"scanreverse", ScanReverse, "all rows by iterator, backwards, twice"},
          {"scanbatches", ScanBatches, "all rows as record batches (peers: by iterator), twice"},
          {"seek", Seek, "a new iterator, seek, 50 rows"},
          {"seekagain", SeekAgain, "one iterator: seek, 50 rows"},
          {"prefix", ScanPrefixes, "a new iterator over the rows of a prefix"}};
}

}  // namespace marble::benchmark

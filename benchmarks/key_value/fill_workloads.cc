// Writing: filling an empty database in several ways, overwriting, synced puts.
#include <algorithm>
#include <thread>

#include "workloads.h"

namespace marble::benchmark {
namespace {

/// How often a clock is read while writing: seldom enough to cost nothing.
constexpr uint64_t kPutsBetweenClocks = 256;

/// Puts `count` rows one by one and waits until the engine is quiet. `write(i)` puts the i-th.
template <typename Write>
void TimePuts(Session* session, Result* result, uint64_t count, const Write& write) {
  const double start = Now();
  Throughput throughput(start, session->options.full ? 1.0 : 0.1);
  for (uint64_t i = 0; i < count; ++i) {
    write(i);
    if ((i + 1) % kPutsBetweenClocks == 0) throughput.Count(Now(), kPutsBetweenClocks);
  }
  result->Add("until_last_put", "ns/op", NanosecondsEach(start, count));
  const double idle = session->engine->Settle();
  result->Add("until_quiet", "ns/op", NanosecondsEach(start + idle, count));
  result->series.push_back(throughput.ToSeries("puts"));
}

void FillRandom(Session* session, Result* result) {
  session->Open();
  char key[Keys::kSizeMax];
  std::string value(session->values.bytes(), '\0');
  TimePuts(session, result, session->options.rows, [&](uint64_t row) {
    session->engine->Put(session->keys.Random(row, key), session->values.Of(row, 0, value.data()));
    session->AddRow(row);
  });
  result->note = session->engine->Describe();
}

void FillSequential(Session* session, Result* result) {
  session->Open();
  char key[Keys::kSizeMax];
  std::string value(session->values.bytes(), '\0');
  TimePuts(session, result, session->options.rows, [&](uint64_t row) {
    session->engine->Put(session->keys.Ascending(row, key),
                         session->values.Of(row, 0, value.data()));
    session->AddRow(row);
  });
  Digest digest;
  session->engine->Scan(false, &digest);
  if (digest.rows != session->rows || digest.heads != session->heads) Die("fillseq lost rows");
  result->checksum = session->ChecksumOf(digest);
}

constexpr uint64_t kBatch = 1'000;

/// Puts the first `rows` in random order and in batches.
void PutBatches(Session* session, uint64_t rows) {
  std::string key_buffer(kBatch * Keys::kSizeMax, '\0');
  std::string value_buffer(kBatch * session->values.bytes(), '\0');
  std::vector<std::string_view> keys(kBatch);
  std::vector<std::string_view> values(kBatch);
  for (uint64_t begin = 0; begin < rows; begin += kBatch) {
    for (uint64_t i = 0; i < kBatch; ++i) {
      keys[i] = session->keys.Random(begin + i, key_buffer.data() + i * Keys::kSizeMax);
      values[i] =
          session->values.Of(begin + i, 0, value_buffer.data() + i * value_buffer.size() / kBatch);
      session->AddRow(begin + i);
    }
    session->engine->PutBatch(keys, values);
  }
}

void FillBatches(Session* session, Result* result) {
  session->Open();
  const uint64_t rows = session->options.rows / kBatch * kBatch;
  const double start = Now();
  PutBatches(session, rows);
  result->Add("until_last_put", "ns/op", NanosecondsEach(start, rows));
  const double idle = session->engine->Settle();
  result->Add("until_quiet", "ns/op", NanosecondsEach(start + idle, rows));
  Digest digest;
  session->engine->Scan(false, &digest);
  if (digest.rows != session->rows || digest.heads != session->heads) Die("fillbatch lost rows");
  result->checksum = session->ChecksumOf(digest);
}

/// Some rows for an engine that waits for the disk at each write, and is not measured doing this.
void FillSome(Session* session, Result* result) {
  constexpr uint64_t kRows = 20'000;
  session->Open();
  PutBatches(session, std::min(kRows, session->options.rows));
  result->note = session->engine->Describe();
}

/// As many puts as there are rows, each of a row drawn at random.
void Overwrite(Session* session, Result* result) {
  char key[Keys::kSizeMax];
  std::string value(session->values.bytes(), '\0');
  const uint64_t rows = session->rows;
  const uint64_t version = ++session->version;
  TimePuts(session, result, rows, [&](uint64_t i) {
    const uint64_t row = UniformRow(rows, i, version);
    session->engine->Put(session->keys.Random(row, key),
                         session->values.Of(row, version, value.data()));
  });
}

void PutSynced(Session* session, Result* result, uint64_t threads) {
  const uint64_t rows = session->rows;
  const uint64_t each = session->options.synced_puts();
  const uint64_t version = ++session->version;
  const auto work = [&](uint64_t thread) {
    char key[Keys::kSizeMax];
    std::string value(session->values.bytes(), '\0');
    for (uint64_t i = 0; i < each; ++i) {
      const uint64_t row = UniformRow(rows, thread * each + i, version);
      session->engine->PutSynced(session->keys.Random(row, key),
                                 session->values.Of(row, version, value.data()));
    }
  };
  const double start = Now();
  std::vector<std::thread> others;
  for (uint64_t i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
  result->Add("put", "ns/op", NanosecondsEach(start, threads * each));
  session->engine->Settle();
}

void PutSynced1(Session* session, Result* result) { PutSynced(session, result, 1); }
void PutSynced4(Session* session, Result* result) { PutSynced(session, result, 4); }

}  // namespace

std::vector<Workload> FillWorkloads() {
  return {{"fillrandom", FillRandom, "puts of all rows in random order"},
          {"fillseq", FillSequential, "puts of all rows in the order of their keys"},
          {"fillbatch", FillBatches, "all rows in random order, 1,000 in a batch"},
          {"fillsome", FillSome, "(what synced puts need)"},
          {"overwrite", Overwrite, "as many puts as rows, of rows drawn at random"},
          {"synced1", PutSynced1, "puts that survive power loss, one thread"},
          {"synced4", PutSynced4, "puts that survive power loss, four threads"}};
}

}  // namespace marble::benchmark

// Workloads that last a given time, with the duration of every single operation: a writer that
// never rests, alone and beside a reader.
#include <thread>

#include "histogram.h"
#include "workloads.h"

namespace marble::benchmark {
namespace {

/// What one thread did.
struct Track {
  Track(double start, double width) : throughput(start, width), slowest{start, width} {}

  Histogram latency;
  Throughput throughput;
  /// The longest operation of each piece of time, which shows a stall that an average hides.
  struct {
    double start;
    double width;
    std::vector<double> nanoseconds = {};
  } slowest;

  void Record(double began, double ended) {
    const auto nanoseconds = static_cast<uint64_t>((ended - began) * 1e9);
    latency.Record(nanoseconds);
    throughput.Count(ended, 1);
    const auto piece = static_cast<size_t>((ended - slowest.start) / slowest.width);
    if (slowest.nanoseconds.size() <= piece) slowest.nanoseconds.resize(piece + 1);
    slowest.nanoseconds[piece] =
        std::max(slowest.nanoseconds[piece], static_cast<double>(nanoseconds));
  }

  void Report(const std::string& name, double seconds, Result* result) const {
    const auto count = static_cast<double>(latency.count());
    result->Add(name + "_mean", "ns/op", seconds * 1e9 / count);
    result->Add(name + "_p50", "ns", latency.Quantile(0.5));
    result->Add(name + "_p99", "ns", latency.Quantile(0.99));
    result->Add(name + "_p99.9", "ns", latency.Quantile(0.999));
    result->Add(name + "_max", "ns", static_cast<double>(latency.max()));
    result->series.push_back(throughput.ToSeries(name));
    result->series.push_back({name + "_slowest", slowest.width, slowest.nanoseconds});
  }
};

/// Calls `operation(i)` until the time is over.
template <typename Operation>
void Repeat(double end, Track* track, const Operation& operation) {
  double now = Now();
  for (uint64_t i = 0; now < end; ++i) {
    operation(i);
    const double after = Now();
    track->Record(now, after);
    now = after;
  }
}

void RunFor(Session* session, Result* result, bool with_reader) {
  const double seconds = session->options.seconds;
  const uint64_t rows = session->rows;
  const uint64_t version = ++session->version;
  session->values_differ = true;
  const double start = Now();
  const double width = session->options.full ? 1.0 : 0.25;
  Track puts(start, width);
  Track gets(start, width);
  std::thread reader;
  Digest digest;
  if (with_reader) {
    reader = std::thread([&] {
      char key[Keys::kSizeMax];
      Repeat(start + seconds, &gets, [&](uint64_t i) {
        const uint64_t row = UniformRow(rows, i, version + 1'000);
        if (!session->engine->Get(session->keys.Random(row, key), &digest)) Die("a key is gone");
      });
    });
  }
  char key[Keys::kSizeMax];
  std::string value(session->values.bytes(), '\0');
  Repeat(start + seconds, &puts, [&](uint64_t i) {
    const uint64_t row = UniformRow(rows, i, version);
    session->engine->Put(session->keys.Random(row, key),
                         session->values.Of(row, version, value.data()));
  });
  if (with_reader) reader.join();
  puts.Report("put", seconds, result);
  if (with_reader) gets.Report("get", seconds, result);
  result->note = session->engine->Statistics();
  session->engine->Settle();
}

void Mixed(Session* session, Result* result) { RunFor(session, result, true); }
void Overload(Session* session, Result* result) { RunFor(session, result, false); }

}  // namespace

std::vector<Workload> TimedWorkloads() {
  return {{"mixed", Mixed, "one thread puts, one gets, as fast as they can for --seconds"},
          {"overload", Overload, "one thread puts as fast as it can for --seconds"}};
}

}  // namespace marble::benchmark

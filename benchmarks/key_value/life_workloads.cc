// What happens to a database as a whole: compaction, deletion of a range, closing, being killed,
// opening; and what it takes of the disk and of memory.
#include <algorithm>

#include "workloads.h"

namespace marble::benchmark {
namespace {

constexpr double kMiB = 1 << 20;

/// The disk and the memory in use just now.
void Resources(Session* session, Result* result) {
  const auto rows = static_cast<double>(session->rows - session->deleted);
  const Memory memory = MemoryOfThisProcess();
  const WrittenBytes written = WrittenByThisProcess();
  const int64_t disk = BytesOnDisk(session->settings.directory);
  result->Add("on_disk", "bytes/row", static_cast<double>(disk) / rows);
  result->Add("written", "bytes/row", static_cast<double>(written.disk) / rows);
  result->Add("anonymous", "MiB", static_cast<double>(memory.anonymous_bytes) / kMiB);
  result->Add("mapped", "MiB", static_cast<double>(memory.mapped_bytes) / kMiB);
  result->note = session->engine->Statistics();
}

void Compact(Session* session, Result* result) {
  const double start = Now();
  session->engine->Compact();
  result->Add("row", "ns/op", NanosecondsEach(start, session->rows - session->deleted));
}

/// Writes a number such that keys that begin with a smaller or greater one sort before or behind.
std::string Bound(const Keys& keys, uint64_t top_bits_48) {
  char buffer[Keys::kSizeMax];
  if (keys.shape() == KeyShape::kFixed16) {
    return std::string(keys.Ascending(top_bits_48 << 16, buffer).substr(0, 12));
  }
  return std::string(keys.Ascending(top_bits_48, buffer).substr(0, 8));
}

/// Deletes a range of 10 % of the rows, then scans those that remain.
void DeleteRange(Session* session, Result* result) {
  constexpr uint64_t kBegin = uint64_t{1} << 46;  // of keys evenly spread over 48 bits
  constexpr uint64_t kEnd = kBegin + (uint64_t{1} << 48) / 10;
  constexpr uint64_t kCalls = 10;
  uint64_t deleted = 0;
  for (uint64_t row = 0; row < session->rows; ++row) {
    const uint64_t bits = HeadOf(row) >> 16;
    if (bits < kBegin || bits >= kEnd) continue;
    ++deleted;
    session->heads -= HeadOf(row);
  }
  // The first call after a long pause is mostly waiting for memory: it is reported apart.
  std::vector<double> calls;
  for (uint64_t i = 0; i < kCalls; ++i) {
    const std::string begin = Bound(session->keys, kBegin + (kEnd - kBegin) * i / kCalls);
    const std::string end = Bound(session->keys, kBegin + (kEnd - kBegin) * (i + 1) / kCalls);
    const double call = Now();
    session->engine->DeleteRange(begin, end);
    calls.push_back((Now() - call) * 1e9);
  }
  result->Add("delete_first", "ns", calls.front());
  std::sort(calls.begin(), calls.end());
  result->Add("delete", "ns", calls[kCalls / 2]);
  session->deleted += deleted;
  const uint64_t remaining = session->rows - session->deleted;
  Digest digest;
  const double start = Now();
  session->engine->Scan(false, &digest);
  result->Add("scan_after", "ns/op", NanosecondsEach(start, remaining));
  if (digest.rows != remaining || digest.heads != session->heads) {
    Die("after deleting a range a scan did not see every other row once");
  }
  result->checksum = session->ChecksumOf(digest);
}

/// Closes and opens again, and gets a row; first with nothing in the log, then with recent puts.
void Reopen(Session* session, Result* result) {
  char key[Keys::kSizeMax];
  std::string value(session->values.bytes(), '\0');
  const uint64_t version = ++session->version;
  for (const char* suffix : {"", "_after_puts"}) {
    double start = Now();
    session->Close();
    result->Add(std::string("close") + suffix, "ms", (Now() - start) * 1e3);
    start = Now();
    session->Open();
    Digest digest;
    if (session->engine->Get(session->keys.Random(kMissingRows, key), &digest)) {
      Die("a key came from nowhere");
    }
    result->Add(std::string("open") + suffix, "ms", (Now() - start) * 1e3);
    for (uint64_t i = 0; i < session->rows / 50; ++i) {
      const uint64_t row = session->rows + i;
      session->engine->Put(session->keys.Random(row, key),
                           session->values.Of(row, version, value.data()));
    }
    session->rows += session->rows / 50;
  }
}

/// Puts in a process that the driver then kills.
void PutUntilKilled(Session* session, Result* result) {
  session->Open();
  char key[Keys::kSizeMax];
  std::string value(session->values.bytes(), '\0');
  const uint64_t rows = session->options.rows_killed();
  const double start = Now();
  for (uint64_t row = 0; row < rows; ++row) {
    session->engine->Put(session->keys.Random(row, key), session->values.Of(row, 0, value.data()));
  }
  result->Add("put", "ns/op", NanosecondsEach(start, rows));
}

void OpenKilled(Session* session, Result* result) {
  char key[Keys::kSizeMax];
  Digest digest;
  const uint64_t rows = session->options.rows_killed();
  const double start = Now();
  session->Open();
  if (!session->engine->Get(session->keys.Random(rows - 1, key), &digest)) {
    Die("the last put before the kill is gone");
  }
  result->Add("open", "ms", (Now() - start) * 1e3);
  for (uint64_t row = 0; row < rows; ++row) {
    if (!session->engine->Get(session->keys.Random(row, key), &digest)) {
      Die("a put before the kill is gone");
    }
  }
  result->checksum = session->ChecksumOf(digest);
}

void OpenLimited(Session* session, Result* result) {
  const double start = Now();
  session->Open();
  result->Add("open", "ms", (Now() - start) * 1e3);
  result->note = session->engine->Describe();
}

}  // namespace

std::vector<Workload> LifeWorkloads() {
  return {{"resources", Resources, "bytes on disk and written, anonymous and mapped memory"},
          {"compact", Compact, "merging everything"},
          {"deleterange", DeleteRange,
           "deleting 10 % of the keys in ten ranges, a call; a scan after it"},
          {"reopen", Reopen, "closing and opening, with and without recent puts"},
          {"killed", PutUntilKilled, "opening after kill -9, write buffers as configured"},
          {"killedlog", PutUntilKilled, "opening after kill -9, all puts still in the log"},
          {"open-killed", OpenKilled, "(the second half of killed)"},
          {"open-limited", OpenLimited, "(opening under a memory limit)"}};
}

const std::vector<Workload>& AllWorkloads() {
  static const std::vector<Workload> all = [] {
    std::vector<Workload> workloads;
    for (auto list : {FillWorkloads, ReadWorkloads, YcsbWorkloads, TimedWorkloads, LifeWorkloads}) {
      for (Workload& workload : list()) workloads.push_back(std::move(workload));
    }
    return workloads;
  }();
  return all;
}

const Workload& FindWorkload(const std::string& name) {
  for (const Workload& workload : AllWorkloads()) {
    if (workload.name == name) return workload;
  }
  Die("no workload " + name + "; --list names them");
}

double NanosecondsEach(double start, uint64_t operations) {
  return (Now() - start) / static_cast<double>(operations) * 1e9;
}

Series Throughput::ToSeries(const std::string& name) const {
  Series series{name, width_, counts_};
  if (!series.values.empty()) series.values.pop_back();
  for (double& value : series.values) value /= width_;
  return series;
}

}  // namespace marble::benchmark

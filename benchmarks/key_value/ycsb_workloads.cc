// The core workloads of YCSB, on the rows loaded by fillrandom, one thread. Operations are drawn
// before the time is taken, the same for each engine.
#include "workloads.h"

namespace marble::benchmark {
namespace {

constexpr uint64_t kKindSeed = 200;
constexpr uint64_t kRowSeed = 201;
constexpr uint64_t kLengthSeed = 202;

enum class Kind : uint8_t { kRead, kUpdate, kInsert, kScan, kReadModifyWrite };

/// Percentages of the kinds in a mix; `latest` draws from the rows inserted last.
struct Mix {
  int read = 0;
  int update = 0;
  int insert = 0;
  int scan = 0;
  bool latest = false;  // what is left of 100 is read-modify-write
};

Kind Draw(const Mix& mix, uint64_t i) {
  int at = static_cast<int>(UniformRow(100, i, kKindSeed));
  if ((at -= mix.read) < 0) return Kind::kRead;
  if ((at -= mix.update) < 0) return Kind::kUpdate;
  if ((at -= mix.insert) < 0) return Kind::kInsert;
  if ((at -= mix.scan) < 0) return Kind::kScan;
  return Kind::kReadModifyWrite;
}

/// Carries out one operation after the other on one session.
class Client {
 public:
  explicit Client(Session* session)
      : session_(session), value_(session->values.bytes(), '\0'), version_(++session->version) {}

  void Run(Kind kind, uint64_t row, uint64_t scan_rows) {
    switch (kind) {
      case Kind::kRead:
        return Read(row);
      case Kind::kUpdate:
        return Write(row);
      case Kind::kInsert:
        Write(session_->rows);
        return session_->AddRow(session_->rows);
      case Kind::kScan:
        return session_->engine->ReadRange(session_->keys.Random(row, key_), {},
                                           static_cast<int64_t>(scan_rows), &digest_);
      case Kind::kReadModifyWrite:
        Read(row);
        return Write(row);
    }
  }
  const Digest& digest() const { return digest_; }

 private:
  void Read(uint64_t row) {
    if (!session_->engine->Get(session_->keys.Random(row, key_), &digest_)) Die("a key is gone");
  }
  void Write(uint64_t row) {
    session_->engine->Put(session_->keys.Random(row, key_),
                          session_->values.Of(row, version_, value_.data()));
  }

  Session* session_;
  char key_[Keys::kSizeMax];
  std::string value_;
  uint64_t version_;
  Digest digest_;
};

void Run(Session* session, Result* result, const Mix& mix) {
  const uint64_t count = session->options.reads() / (mix.scan > 0 ? 5 : 1);
  const auto drawn = mix.latest ? ZipfRanks(session->options.rows, count, kRowSeed)
                                : ZipfRows(session->options.rows, count, kRowSeed);
  std::vector<Kind> kinds(count);
  std::vector<uint8_t> lengths(count);
  for (uint64_t i = 0; i < count; ++i) {
    kinds[i] = Draw(mix, i);
    lengths[i] = static_cast<uint8_t>(1 + UniformRow(100, i, kLengthSeed));
  }
  Client client(session);
  const double start = Now();
  for (uint64_t i = 0; i < count; ++i) {
    client.Run(kinds[i], mix.latest ? session->rows - 1 - drawn[i] : drawn[i], lengths[i]);
  }
  result->Add("operation", "ns/op", NanosecondsEach(start, count));
  result->checksum = session->ChecksumOf(client.digest());
  session->engine->Settle();
}

void RunA(Session* session, Result* result) { Run(session, result, {.read = 50, .update = 50}); }
void RunB(Session* session, Result* result) { Run(session, result, {.read = 95, .update = 5}); }
void RunC(Session* session, Result* result) { Run(session, result, {.read = 100}); }
void RunD(Session* session, Result* result) {
  Run(session, result, {.read = 95, .insert = 5, .latest = true});
}
void RunE(Session* session, Result* result) { Run(session, result, {.insert = 5, .scan = 95}); }
void RunF(Session* session, Result* result) { Run(session, result, {.read = 50}); }

}  // namespace

std::vector<Workload> YcsbWorkloads() {
  return {{"ycsb-a", RunA, "Zipf: 50 % gets, 50 % puts"},
          {"ycsb-b", RunB, "Zipf: 95 % gets, 5 % puts"},
          {"ycsb-c", RunC, "Zipf: gets"},
          {"ycsb-f", RunF, "Zipf: 50 % gets, 50 % get, change and put"},
          {"ycsb-d", RunD, "95 % gets of the latest rows, 5 % puts of new ones"},
          {"ycsb-e", RunE, "95 % scans of 1 to 100 rows, 5 % puts of new ones"}};
}

}  // namespace marble::benchmark

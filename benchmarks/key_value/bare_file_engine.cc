// No engine: one record appended and made durable by the bare system calls, which no engine that
// keeps its promise can beat by much. "overwrite" writes into blocks that the file already has, as
// a recycled log does; "append" lets the file grow.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>

#include "../support.h"
#include "engine.h"

namespace marble::benchmark {
namespace {

/// What a log record needs besides key and value: length, checksum and sequence number.
constexpr size_t kHeaderBytes = 16;

class BareFileEngine : public Engine {
 public:
  BareFileEngine(const EngineSettings& settings, bool preallocated) : preallocated_(preallocated) {
    std::filesystem::create_directories(settings.directory);
    const std::string path = settings.directory + "/log";
    file_ = open(path.c_str(), O_CREAT | O_RDWR, 0644);
    if (file_ < 0) Die("cannot open " + path);
    if (!preallocated) return;
    const std::string zeros(size_t{1} << 20, '\0');
    for (int64_t at = 0; at < kLogBytes; at += static_cast<int64_t>(zeros.size())) {
      Write(zeros.data(), zeros.size(), at);
    }
    if (fsync(file_) != 0) Die("fsync failed");
  }
  ~BareFileEngine() override { close(file_); }

  void PutSynced(std::string_view key, std::string_view value) override {
    thread_local std::string record;
    record.assign(kHeaderBytes, '\0');
    record.append(key).append(value);
    const auto size = static_cast<int64_t>(record.size());
    const int64_t at = end_.fetch_add(size);
    Write(record.data(), record.size(), preallocated_ ? at % (kLogBytes - size) : at);
    if (fdatasync(file_) != 0) Die("fdatasync failed");
  }

  void Put(std::string_view, std::string_view) override {}
  void PutBatch(std::span<const std::string_view>, std::span<const std::string_view>) override {}
  void DeleteRange(std::string_view, std::string_view) override { Unable(); }
  bool Get(std::string_view, Digest*) override { Unable(); }
  void MultiGet(std::span<const std::string_view>, Digest*) override { Unable(); }
  void Scan(bool, Digest*) override { Unable(); }
  void ReadRange(std::string_view, std::string_view, int64_t, Digest*) override { Unable(); }
  std::unique_ptr<Cursor> NewCursor() override { Unable(); }
  double Settle() override { return 0; }
  void Compact() override {}
  std::string Describe() override {
    return preallocated_ ? "pwrite into written blocks of a file + fdatasync"
                         : "pwrite at the end of a growing file + fdatasync";
  }

 private:
  static constexpr int64_t kLogBytes = int64_t{64} << 20;

  [[noreturn]] static void Unable() { Die("a bare file takes synced puts only"); }
  void Write(const char* data, size_t size, int64_t at) {
    if (pwrite(file_, data, size, at) != static_cast<ssize_t>(size)) Die("pwrite failed");
  }

  const bool preallocated_;
  int file_ = -1;
  std::atomic<int64_t> end_{0};
};

template <bool kPreallocated>
std::unique_ptr<Engine> Open(const EngineSettings& settings) {
  return std::make_unique<BareFileEngine>(settings, kPreallocated);
}

}  // namespace

std::vector<EngineKind> BareFileEngines() {
  return {{"bare-overwrite", "bare", Open<true>, "", true, true},
          {"bare-append", "bare", Open<false>, "", true, true}};
}

}  // namespace marble::benchmark

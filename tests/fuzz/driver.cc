// Runs a fuzz target without libFuzzer, with its arguments as far as they are needed here:
//
//   TARGET [-max_total_time=S] [-runs=N] [-seed=N] [-timeout=S] [-artifact_prefix=P]
//   FILE_OR_FOLDER...
//
// Replays the files, then mutates them for S seconds, or N times. An input is a finding if it
// crashes, takes more processor time than its target allows (30 times that under the address
// sanitizer; or -timeout, as given), or asks for more memory than its size can justify; it is
// written to P<kind>-<number> and the program ends.

#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/memory_pool.h>

#include "fuzz/fuzz_target.h"
#include "fuzz/mutator.h"

#if defined(__SANITIZE_ADDRESS__)
#define MARBLE_FUZZ_SANITIZED 1
extern "C" void __sanitizer_set_death_callback(void (*callback)());
#else
#define MARBLE_FUZZ_SANITIZED 0
#endif

namespace marble::fuzz {

namespace {

// Inputs have a few KiB; what a database takes for itself is in it.
constexpr size_t kMemoryMax = size_t{64} << 20;
constexpr size_t kMemoryPerByte = 16;
constexpr size_t kInputBytesMax = size_t{1} << 17;
constexpr int kSanitizedFactor = MARBLE_FUZZ_SANITIZED ? 30 : 1;
constexpr auto kProgress = std::chrono::seconds(10);

struct Settings {
  std::vector<std::string> paths;
  double seconds = 0;
  uint64_t runs = 0;
  uint64_t seed = 0;
  int timeout = kSecondsMax * kSanitizedFactor;
  std::string artifacts = "./";
};

/// The input that runs, for whoever has to save it when the program dies.
struct Current {
  const char* data = nullptr;
  size_t size = 0;
  std::array<char, 512> artifact{};
  bool running = false;
};
Current current;

void Print(const char* text) {
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text, std::strlen(text));
}

/// Calls nothing but system calls: the heap may be broken.
void SaveInput() {
  if (!current.running) return;
  current.running = false;
  const int fd = ::open(current.artifact.data(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t n = ::write(fd, current.data, current.size);
  ::close(fd);
  Print("fuzz: the input is in ");
  Print(current.artifact.data());
  Print("\n");
}

void OnSignal(int signal) {
  if (signal == SIGPROF) Print("fuzz: the input takes too long\n");
  SaveInput();
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  ::kill(::getpid(), signal == SIGPROF ? SIGKILL : signal);
}

void WatchForDeath() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGPROF, &action, nullptr);
  ::sigaction(SIGABRT, &action, nullptr);
#if MARBLE_FUZZ_SANITIZED
  __sanitizer_set_death_callback(SaveInput);
#else
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::sigaction(signal, &action, nullptr);
#endif
}

void SetAlarm(int seconds) {
  const itimerval timer = {{0, 0}, {seconds, 0}};
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

size_t MemoryMax() { return kMemoryMax + kMemoryPerByte * current.size; }

/// What the whole run comes to.
struct Sum {
  uint64_t replayed = 0;
  uint64_t mutated = 0;
  std::chrono::duration<double> slowest{0};
};

void RunOne(const std::string& input, const std::string& name, int timeout, Sum* sum) {
  // In memory of exactly its size, so that sanitizers see what reads beyond it.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  current.data = input.data();
  current.size = input.size();
  std::snprintf(current.artifact.data(), current.artifact.size(), "%s", name.c_str());
  current.running = true;
  const auto began = std::chrono::steady_clock::now();
  SetAlarm(timeout);
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  SetAlarm(0);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - began;
  sum->slowest = std::max(sum->slowest, elapsed);
  const int64_t peak = arrow::default_memory_pool()->max_memory();
  if (peak > static_cast<int64_t>(MemoryMax())) {
    Fail(std::to_string(peak) + " bytes were asked of Arrow's memory pool");
  }
  current.running = false;
}

std::optional<std::string_view> After(std::string_view argument, std::string_view name) {
  if (!argument.starts_with(name)) return std::nullopt;
  return argument.substr(name.size());
}

Settings Parse(int argc, char** argv) {
  Settings settings;
  const char* seed = std::getenv("MARBLE_SEED");
  settings.seed = seed != nullptr ? std::strtoull(seed, nullptr, 10) : std::random_device()();
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (const auto text = After(argument, "-max_total_time=")) {
      settings.seconds = std::strtod(text->data(), nullptr);
    } else if (const auto text = After(argument, "-runs=")) {
      settings.runs = std::strtoull(text->data(), nullptr, 10);
    } else if (const auto text = After(argument, "-seed=")) {
      settings.seed = std::strtoull(text->data(), nullptr, 10);
    } else if (const auto text = After(argument, "-timeout=")) {
      settings.timeout = static_cast<int>(std::strtol(text->data(), nullptr, 10));
    } else if (const auto text = After(argument, "-artifact_prefix=")) {
      settings.artifacts = *text;
    } else if (argument.starts_with('-')) {
      std::fprintf(stderr, "fuzz: unknown argument %s\n", argv[i]);
      std::exit(2);
    } else {
      settings.paths.emplace_back(argument);
    }
  }
  return settings;
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::filesystem::path> FilesOf(const Settings& settings) {
  std::vector<std::filesystem::path> files;
  for (const std::string& path : settings.paths) {
    if (!std::filesystem::is_directory(path)) {
      files.emplace_back(path);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void Mutate(const Settings& settings, const std::vector<std::string>& corpus, Sum* sum) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  auto told = began;
  while (settings.runs == 0 || sum->mutated < settings.runs) {
    const auto now = Clock::now();
    const std::chrono::duration<double> elapsed = now - began;
    if (settings.seconds > 0 && elapsed.count() >= settings.seconds) break;
    if (now - told > kProgress) {
      told = now;
      std::fprintf(stderr, "fuzz: %llu executions in %.0f s\n",
                   static_cast<unsigned long long>(sum->mutated), elapsed.count());
    }
    // A seed of its own for each, so that one can be made again without those before it.
    Mutator mutator(settings.seed + sum->mutated * 0x9e3779b97f4a7c15);
    std::string input = mutator.Next(corpus, kInputBytesMax);
    if (mutator.WantsSeal()) Reseal(&input);
    RunOne(input, settings.artifacts + "finding-" + std::to_string(sum->mutated), settings.timeout,
           sum);
    ++sum->mutated;
  }
}

int Run(int argc, char** argv) {
  const Settings settings = Parse(argc, argv);
  WatchForDeath();
  Sum sum;
  std::vector<std::string> corpus;
  for (const auto& path : FilesOf(settings)) {
    corpus.push_back(ReadFile(path));
    RunOne(corpus.back(), settings.artifacts + "finding-" + path.filename().string(),
           settings.timeout, &sum);
    ++sum.replayed;
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "fuzz: no file in the folders named\n");
    return 2;
  }
  std::fprintf(stderr, "fuzz: seed %llu\n", static_cast<unsigned long long>(settings.seed));
  if (settings.seconds > 0 || settings.runs > 0) Mutate(settings, corpus, &sum);
  std::printf(
      "fuzz: passed: %llu files replayed, %llu mutations, slowest %.0f ms, memory %lld KiB\n",
      static_cast<unsigned long long>(sum.replayed), static_cast<unsigned long long>(sum.mutated),
      sum.slowest.count() * 1000,
      static_cast<long long>(arrow::default_memory_pool()->max_memory() / 1024));
  return 0;
}

}  // namespace

void Fail(const std::string& what) {
  Print("fuzz: ");
  Print(what.c_str());
  Print("\n");
  std::abort();
}

/// Ends the program if an input makes it ask for more at once than it may.
void CheckAllocation(size_t bytes) {
  if (!current.running || bytes <= MemoryMax()) return;
  Print("fuzz: one allocation is larger than the input can justify\n");
  std::abort();
}

}  // namespace marble::fuzz

#if !MARBLE_FUZZ_SANITIZED
// Sanitizers have a limit of their own (max_allocation_size_mb), and the heap to themselves.
void* operator new(size_t bytes) {
  marble::fuzz::CheckAllocation(bytes);
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

int main(int argc, char** argv) { return marble::fuzz::Run(argc, argv); }

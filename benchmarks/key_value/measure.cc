#include "measure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "../support.h"

namespace marble::benchmark {
namespace {

/// The number after `name` at the start of a line of a file in /proc.
int64_t NumberIn(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(name)) return std::stoll(line.substr(name.size()));
  }
  Die(std::string(path) + " does not say " + name);
}

std::string TextIn(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(name)) continue;
    const size_t at = line.find_first_not_of(" \t:", name.size());
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "unknown";
}

template <typename Work>
void ForEachFile(const std::string& directory, Work work) {
  std::error_code gone;  // files may vanish while we look
  for (std::filesystem::recursive_directory_iterator i(directory, gone), end; !gone && i != end;
       i.increment(gone)) {
    if (i->is_regular_file(gone)) work(i->path().string());
  }
}

}  // namespace

Memory MemoryOfThisProcess() {
  constexpr char kPath[] = "/proc/self/smaps_rollup";
  const int64_t resident = NumberIn(kPath, "Rss:");
  const int64_t anonymous = NumberIn(kPath, "Anonymous:");
  return {anonymous * 1024, (resident - anonymous) * 1024};
}

WrittenBytes WrittenByThisProcess() {
  constexpr char kPath[] = "/proc/self/io";
  return {NumberIn(kPath, "wchar:"), NumberIn(kPath, "write_bytes:")};
}

double WaitUntilNothingIsWritten() {
  constexpr double kQuietSeconds = 0.4;
  int64_t written = WrittenByThisProcess().calls;
  double last = Now();
  while (Now() - last < kQuietSeconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const int64_t now = WrittenByThisProcess().calls;
    if (now == written) continue;
    written = now;
    last = Now();
  }
  return Now() - last;
}

int64_t BytesOnDisk(const std::string& directory) {
  int64_t bytes = 0;
  ForEachFile(directory, [&bytes](const std::string& path) {
    struct stat information{};
    if (stat(path.c_str(), &information) == 0) bytes += information.st_blocks * 512;
  });
  return bytes;
}

void DropFromPageCache(const std::string& directory) {
  ForEachFile(directory, [](const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY);
    if (file < 0) Die("cannot open " + path);
    // Only clean pages can be dropped.
    if (fdatasync(file) != 0) Die("fdatasync failed on " + path);
    if (posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) != 0) Die("posix_fadvise failed");
    close(file);
  });
}

std::string LoadOfMachine() {
  double load[3];
  if (getloadavg(load, 3) != 3) return "unknown";
  char text[64];
  std::snprintf(text, sizeof(text), "%.2f %.2f %.2f", load[0], load[1], load[2]);
  return text;
}

std::vector<std::pair<std::string, std::string>> DescribeMachine(const std::string& directory) {
  struct utsname names{};
  uname(&names);
  struct statfs disk{};
  statfs(directory.c_str(), &disk);
  char type[32];
  std::snprintf(type, sizeof(type), "type 0x%lx", static_cast<unsigned long>(disk.f_type));
  return {{"processor", TextIn("/proc/cpuinfo", "model name")},
          {"cores", std::to_string(std::thread::hardware_concurrency())},
          {"memory", TextIn("/proc/meminfo", "MemTotal:")},
          {"kernel", std::string(names.sysname) + " " + names.release},
          {"file system", type},
          {"compiler", __VERSION__}};
}

}  // namespace marble::benchmark

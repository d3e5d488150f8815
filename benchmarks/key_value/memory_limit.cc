#include "memory_limit.h"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "../support.h"

namespace marble::benchmark {
namespace {

bool WriteTo(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

int64_t AvailableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("MemAvailable:")) return std::stoll(line.substr(13)) * 1024;
  }
  Die("/proc/meminfo has no MemAvailable");
}

}  // namespace

MemoryLimit::MemoryLimit(int64_t bytes) {
  const std::string root = "/sys/fs/cgroup";
  if (MakeGroup(root + "/memory", "memory.limit_in_bytes", bytes)) {
    how_ = "control group, version 1";
    return;
  }
  // Children of the root have a memory limit only if the root hands that on.
  WriteTo(root + "/cgroup.subtree_control", "+memory");
  if (MakeGroup(root, "memory.max", bytes)) {
    how_ = "control group, version 2";
    return;
  }
  LockTheRest(bytes);
  how_ = "memory of the machine locked up to the limit";
}

bool MemoryLimit::MakeGroup(const std::string& parent, const std::string& limit_file,
                            int64_t bytes) {
  const std::string group = parent + "/marble-benchmark-" + std::to_string(getpid());
  std::error_code error;
  if (!std::filesystem::create_directory(group, error)) return false;
  if (std::filesystem::exists(group + "/" + limit_file) &&
      WriteTo(group + "/" + limit_file, std::to_string(bytes))) {
    group_ = group;
    return true;
  }
  rmdir(group.c_str());
  return false;
}

void MemoryLimit::LockTheRest(int64_t bytes) {
  const int64_t available = AvailableBytes();
  if (available <= bytes) return;
  locked_bytes_ = static_cast<size_t>(available - bytes);
  locked_ =
      mmap(nullptr, locked_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (locked_ == MAP_FAILED || mlock(locked_, locked_bytes_) != 0) {
    Die("neither a control group nor mlock limits the memory here; both need root");
  }
}

MemoryLimit::~MemoryLimit() {
  if (locked_ != nullptr) munmap(locked_, locked_bytes_);
  if (group_.empty()) return;
  // The last process that joined may still be on its way out.
  for (int i = 0; i < 100 && rmdir(group_.c_str()) != 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void MemoryLimit::Join() const {
  if (group_.empty()) return;
  if (!WriteTo(group_ + "/cgroup.procs", std::to_string(getpid()))) {
    Die("cannot join " + group_);
  }
}

}  // namespace marble::benchmark

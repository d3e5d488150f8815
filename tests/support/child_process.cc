#include "support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace marble::test {
namespace {

constexpr int kSilenceMilliseconds = 60'000;

int MillisecondsUntil(std::chrono::steady_clock::time_point deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

}  // namespace

arrow::Result<ChildProcess> ChildProcess::Start(std::vector<std::string> arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return arrow::Status::IOError("pipe2: ", strerror(errno));
  // The child gets a copy of the writing end that survives exec.
  const int inherited = fcntl(ends[1], F_DUPFD, 3);
  close(ends[1]);
  if (inherited < 0) {
    close(ends[0]);
    return arrow::Status::IOError("fcntl: ", strerror(errno));
  }
  arguments.insert(arguments.begin(), "/proc/self/exe");
  arguments.push_back(std::to_string(inherited));
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t process = fork();
  if (process == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(inherited);
  if (process < 0) {
    close(ends[0]);
    return arrow::Status::IOError("fork: ", strerror(errno));
  }
  return ChildProcess(process, ends[0]);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : process_(other.process_),
      pipe_(other.pipe_),
      reports_(other.reports_),
      last_(other.last_),
      partial_(std::move(other.partial_)) {
  other.process_ = -1;
  other.pipe_ = -1;
}

ChildProcess::~ChildProcess() {
  if (process_ > 0) Kill();
  if (pipe_ >= 0) close(pipe_);
}

bool ChildProcess::Read(int milliseconds) {
  pollfd wanted{pipe_, POLLIN, 0};
  const int ready = poll(&wanted, 1, milliseconds);
  if (ready <= 0) return true;
  char bytes[4096];
  const ssize_t count = read(pipe_, bytes, sizeof(bytes));
  if (count < 0) return errno == EINTR;
  if (count == 0) return false;
  partial_.append(bytes, static_cast<size_t>(count));
  const size_t whole = partial_.size() / sizeof(uint64_t);
  if (whole > 0) {
    uint64_t number = 0;
    std::memcpy(&number, partial_.data() + (whole - 1) * sizeof(number), sizeof(number));
    last_ = number;
    reports_ += whole;
    partial_.erase(0, whole * sizeof(number));
  }
  return true;
}

void ChildProcess::Listen(std::chrono::microseconds time) {
  const auto deadline = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < deadline) {
    if (!Read(MillisecondsUntil(deadline))) return;
  }
}

bool ChildProcess::ListenFor(uint64_t count) {
  while (reports_ < count) {
    const uint64_t before = reports_;
    if (!Read(kSilenceMilliseconds) || reports_ == before) return reports_ >= count;
  }
  return true;
}

int ChildProcess::Kill() {
  kill(process_, SIGKILL);
  return Reap();
}

int ChildProcess::Wait() {
  while (Read(kSilenceMilliseconds)) {
  }
  return Reap();
}

int ChildProcess::Reap() {
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  // What it had written before it died is still in the pipe.
  while (Read(-1)) {
  }
  return status;
}

bool ChildProcess::Report(int pipe, uint64_t number) {
  return write(pipe, &number, sizeof(number)) == static_cast<ssize_t>(sizeof(number));
}

}  // namespace marble::test

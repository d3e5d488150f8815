// A child process that runs this same program with other arguments and reports numbers through a
// pipe: the parent kills it and knows the last number that arrived. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <arrow/result.h>

namespace marble::test {

class ChildProcess {
 public:
  /// Runs /proc/self/exe with `arguments`, then the number of the pipe's writing end.
  static arrow::Result<ChildProcess> Start(std::vector<std::string> arguments);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  /// Kills and reaps what still runs.
  ~ChildProcess();

  /// Reads reports for `time`, or until the child closes the pipe.
  void Listen(std::chrono::microseconds time);
  /// Reads until `count` reports are there; false if the child ended before, or said nothing for a
  /// minute.
  bool ListenFor(uint64_t count);
  /// Kills the child, reads what it had reported, reaps it. Returns the status of waitpid(2).
  int Kill();
  /// Waits for the child to end by itself, reading its reports.
  int Wait();

  /// The last report, if any.
  std::optional<uint64_t> last() const { return last_; }
  uint64_t reports() const { return reports_; }

  /// In the child: reports `number`; false when the parent is gone.
  static bool Report(int pipe, uint64_t number);

 private:
  ChildProcess(int process, int pipe) : process_(process), pipe_(pipe) {}
  /// Takes in what is there within `milliseconds`; false at the end of the pipe.
  bool Read(int milliseconds);
  int Reap();

  int process_ = -1;
  int pipe_ = -1;
  uint64_t reports_ = 0;
  std::optional<uint64_t> last_;
  std::string partial_;
};

}  // namespace marble::test

#include "child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support.h"
#include "workloads.h"

namespace marble::benchmark {
namespace {

/// Told to close the database and end. (The end of the pipe would not tell: later children hold
/// copies of it.)
constexpr char kQuit[] = "quit";

/// The engine's side: runs what it is told.
[[noreturn]] void Serve(const RunOptions& options, const EngineKind& kind,
                        const EngineSettings& settings, std::FILE* from, std::FILE* to) {
  {
    Session session(options, kind, settings);
    char name[64];
    while (std::fscanf(from, "%63s", name) == 1 && std::string_view(name) != kQuit) {
      Result result;
      FindWorkload(name).run(&session, &result);
      Send(result, to);
    }
  }
  // Without the static destructors of all the libraries in here, which have threads.
  _exit(0);
}

}  // namespace

Child::Child(const RunOptions& options, const EngineKind& kind, const EngineSettings& settings,
             const MemoryLimit* limit)
    : name_(kind.name) {
  // A child that is gone shows when it is read from.
  signal(SIGPIPE, SIG_IGN);
  int down[2];
  int up[2];
  if (pipe(down) != 0 || pipe(up) != 0) Die("cannot make a pipe");
  std::fflush(nullptr);
  process_ = fork();
  if (process_ < 0) Die("cannot make a process");
  if (process_ == 0) {
    // Nothing is left running if the driver is stopped.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(down[1]);
    close(up[0]);
    if (limit != nullptr) limit->Join();
    Serve(options, kind, settings, fdopen(down[0], "r"), fdopen(up[1], "w"));
  }
  close(down[0]);
  close(up[1]);
  to_ = fdopen(down[1], "w");
  from_ = fdopen(up[0], "r");
}

Child::~Child() {
  std::fprintf(to_, "%s\n", kQuit);
  std::fclose(to_);
  std::fclose(from_);
  waitpid(process_, nullptr, 0);
}

Result Child::Run(const std::string& workload) {
  std::fprintf(to_, "%s\n", workload.c_str());
  std::fflush(to_);
  Result result;
  if (!Receive(from_, &result)) Die(name_ + " ended in " + workload);
  return result;
}

void Child::Kill() { kill(process_, SIGKILL); }

}  // namespace marble::benchmark

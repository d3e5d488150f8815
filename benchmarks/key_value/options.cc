#include "options.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "workloads.h"

namespace marble::benchmark {
namespace {

constexpr char kHelp[] =
    R"(Key-value engines beside each other, in one run.

  --quick             1,000,000 rows, short workloads (the default)
  --full              10,000,000 rows, workloads by time last a minute
  --rows N            rows of the database
  --keys SHAPE        fixed16 (hexadecimal digits) or mixed (8 to 64 characters)
  --value-bytes N     8 or more; 100 unless said
  --rounds N          how often everything is done; 3 unless said
  --seconds N         how long the workloads last that last a given time
  --workloads A,B     only these (--list names them); fillrandom comes along where it is needed
  --states A,B        of loaded, compacted
  --engines A,B       only these
  --memory-limit MIB  larger-than-memory mode: reads under this limit, of 4 times as many bytes
                      unless --rows is given
  --one-at-a-time     an engine does everything, then the next: takes less space on disk
  --directory DIR     where the databases go; emptied before and after
  --json FILE         all figures, written after each step
  --list              names of workloads and engines
)";

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

void List(const std::vector<EngineKind>& engines) {
  std::printf("workloads:\n");
  for (const Workload& workload : AllWorkloads()) {
    if (workload.what.starts_with("(")) continue;
    std::printf("  %-14s %s\n", workload.name.c_str(), workload.what.c_str());
  }
  std::printf("engines:\n");
  for (const EngineKind& engine : engines) {
    std::printf("  %-18s %s\n", engine.name.c_str(), engine.version.c_str());
  }
}

int64_t Number(const std::string& name, const std::string& text, int64_t least) {
  char* end = nullptr;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || number < least) {
    Die(name + " takes a number from " + std::to_string(least) + " on");
  }
  return number;
}

KeyShape Shape(const std::string& name) {
  if (name == "fixed16") return KeyShape::kFixed16;
  if (name == "mixed") return KeyShape::kMixed;
  Die("--keys takes fixed16 or mixed");
}

void Set(const std::string& name, const std::string& value, RunOptions* options) {
  if (name == "--rows") {
    options->rows = static_cast<uint64_t>(Number(name, value, 10'000));
  } else if (name == "--keys") {
    options->keys = Shape(value);
  } else if (name == "--value-bytes") {
    options->value_bytes = Number(name, value, 8);
  } else if (name == "--rounds") {
    options->rounds = static_cast<int>(Number(name, value, 1));
  } else if (name == "--seconds") {
    options->seconds = static_cast<double>(Number(name, value, 1));
  } else if (name == "--workloads") {
    options->workloads = Split(value);
  } else if (name == "--states") {
    options->states = Split(value);
  } else if (name == "--engines") {
    options->engines = Split(value);
  } else if (name == "--memory-limit") {
    options->memory_limit = Number(name, value, 64) << 20;
  } else if (name == "--directory") {
    options->directory = value;
  } else if (name == "--json") {
    options->json = value;
  } else {
    Die("unknown option " + name + "; --help names them");
  }
}

void Complete(const std::vector<EngineKind>& engines, RunOptions* options) {
  const double row_bytes =
      static_cast<double>(options->value_bytes) + Keys(options->keys).bytes_mean();
  if (options->rows == 0 && options->memory_limit > 0) {
    options->rows =
        static_cast<uint64_t>(4 * static_cast<double>(options->memory_limit) / row_bytes);
  }
  if (options->rows == 0) options->rows = options->full ? 10'000'000 : 1'000'000;
  if (options->rows > UINT32_MAX / 2) Die("--rows: at most 2 billion");
  if (options->seconds == 0) options->seconds = options->full ? 60 : 5;
  for (const std::string& name : options->workloads) FindWorkload(name);
  for (const std::string& state : options->states) {
    if (state != "loaded" && state != "compacted") Die("--states: loaded, compacted");
  }
  for (const std::string& name : options->engines) {
    if (std::none_of(engines.begin(), engines.end(),
                     [&](const EngineKind& engine) { return engine.name == name; })) {
      Die("this program was built without an engine " + name + "; --list names those it has");
    }
  }
}

}  // namespace

uint64_t RunOptions::reads() const {
  if (memory_limit > 0) return full ? 200'000 : 50'000;
  return full ? 1'000'000 : 200'000;
}

RunOptions ParseArguments(int argc, char** argv, const std::vector<EngineKind>& engines) {
  RunOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help") {
      std::fputs(kHelp, stdout);
      std::exit(0);
    } else if (name == "--list") {
      List(engines);
      std::exit(0);
    } else if (name == "--quick") {
      options.full = false;
    } else if (name == "--full") {
      options.full = true;
    } else if (name == "--one-at-a-time") {
      options.one_at_a_time = true;
    } else {
      if (i + 1 == argc) Die(name + " lacks its value");
      Set(name, argv[++i], &options);
    }
  }
  Complete(engines, &options);
  return options;
}

}  // namespace marble::benchmark

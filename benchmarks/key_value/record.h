// All figures of a run: written as JSON after each step, printed as a table at the end.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine.h"
#include "options.h"
#include "plan.h"
#include "result.h"

namespace marble::benchmark {

class Record {
 public:
  Record(const RunOptions& options, const std::vector<EngineKind>& engines);

  /// Notes a fact about the run as a whole.
  void Note(const std::string& name, const std::string& text) { facts_.emplace_back(name, text); }
  /// Keeps the result and writes the file. Ends the program if the engines did not read the same.
  void Add(int round, const EngineKind& engine, const Step& step, const Result& result);
  /// Medians of all rounds, and how many times as much the best peer and each takes as Marble.
  void Print() const;

 private:
  struct Entry {
    int round = 0;
    std::string engine;
    std::string workload;
    std::string state;
    Result result;
  };
  /// Workload, state and name of a figure, with its unit.
  struct Row {
    std::string name;
    std::string unit;
    std::map<std::string, std::vector<double>> values;  // by engine
  };

  std::vector<Row> Rows() const;
  void Write() const;

  const RunOptions options_;
  const std::vector<EngineKind> engines_;
  std::vector<std::pair<std::string, std::string>> facts_;
  std::vector<Entry> entries_;
};

}  // namespace marble::benchmark

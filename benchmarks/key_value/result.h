// What a workload found out about an engine, and its way from the engine's process to the driver's.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace marble::benchmark {

/// Of all figures less is better.
struct Figure {
  std::string name;  // no spaces
  std::string unit;
  double value = 0;
};

/// How something went over time, one number for each piece of it.
struct Series {
  std::string name;
  double seconds = 1;  // of a piece
  std::vector<double> values;
};

struct Result {
  std::vector<Figure> figures;
  std::vector<Series> series;
  /// Of everything that was read; equal for all engines unless 0.
  uint64_t checksum = 0;
  std::string note;  // one line

  void Add(const std::string& name, const std::string& unit, double value) {
    figures.push_back({name, unit, value});
  }
};

void Send(const Result& result, std::FILE* to);
/// False if the other end is gone.
bool Receive(std::FILE* from, Result* result);

}  // namespace marble::benchmark

#include "record.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "measure.h"

namespace marble::benchmark {
namespace {

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return quoted + '"';
}

std::string Number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof(text), "%.10g", value);
  return text;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// A short figure for a table.
std::string Short(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), value < 100 ? "%.2f" : "%.0f", value);
  return text;
}

}  // namespace

Record::Record(const RunOptions& options, const std::vector<EngineKind>& engines)
    : options_(options), engines_(engines), facts_(DescribeMachine(options.directory)) {}

void Record::Add(int round, const EngineKind& engine, const Step& step, const Result& result) {
  const std::string workload = step.credited.empty() ? step.workload : step.credited;
  for (const Entry& entry : entries_) {
    if (entry.round == round && entry.workload == workload && entry.state == step.state &&
        result.checksum != 0 && entry.result.checksum != 0 &&
        entry.result.checksum != result.checksum) {
      Die(engine.name + " did not read in " + workload + " what " + entry.engine + " read");
    }
  }
  entries_.push_back({round, engine.name, workload, step.state, result});
  if (!options_.json.empty()) Write();
}

void Record::Write() const {
  std::ostringstream out;
  out << "{\"rows\": " << options_.rows << ", \"value_bytes\": " << options_.value_bytes
      << ", \"keys\": " << Quoted(Keys(options_.keys).name())
      << ", \"mode\": " << Quoted(options_.full ? "full" : "quick")
      << ", \"reads\": " << options_.reads() << ", \"seconds\": " << Number(options_.seconds)
      << ", \"memory_limit\": " << options_.memory_limit << ",\n \"facts\": {";
  for (const auto& [name, text] : facts_) {
    out << (name == facts_.front().first ? "" : ", ") << Quoted(name) << ": " << Quoted(text);
  }
  out << "},\n \"engines\": [";
  for (const EngineKind& engine : engines_) {
    out << (engine.name == engines_.front().name ? "\n" : ",\n")
        << "  {\"name\": " << Quoted(engine.name) << ", \"family\": " << Quoted(engine.family)
        << ", \"version\": " << Quoted(engine.version)
        << ", \"floor\": " << (engine.floor ? "true" : "false") << "}";
  }
  out << "],\n \"results\": [";
  for (const Entry& entry : entries_) {
    out << (&entry == &entries_.front() ? "\n" : ",\n") << "  {\"round\": " << entry.round
        << ", \"engine\": " << Quoted(entry.engine) << ", \"workload\": " << Quoted(entry.workload)
        << ", \"state\": " << Quoted(entry.state) << ", \"note\": " << Quoted(entry.result.note)
        << ", \"figures\": {";
    for (const Figure& figure : entry.result.figures) {
      out << (&figure == &entry.result.figures.front() ? "" : ", ") << Quoted(figure.name)
          << ": {\"unit\": " << Quoted(figure.unit) << ", \"value\": " << Number(figure.value)
          << "}";
    }
    out << "}, \"series\": {";
    for (const Series& series : entry.result.series) {
      out << (&series == &entry.result.series.front() ? "" : ", ") << Quoted(series.name)
          << ": {\"seconds\": " << Number(series.seconds) << ", \"values\": [";
      for (size_t i = 0; i < series.values.size(); ++i) {
        out << (i == 0 ? "" : ", ") << Number(series.values[i]);
      }
      out << "]}";
    }
    out << "}}";
  }
  out << "]}\n";
  // A reader never sees half a file.
  const std::string temporary = options_.json + ".tmp";
  std::ofstream file(temporary);
  file << out.str() << std::flush;
  std::error_code error;
  if (file.good()) std::filesystem::rename(temporary, options_.json, error);
  if (!file.good() || error) Die("cannot write " + options_.json);
}

std::vector<Record::Row> Record::Rows() const {
  std::vector<Row> rows;
  for (const Entry& entry : entries_) {
    for (const Figure& figure : entry.result.figures) {
      std::string name = entry.workload + " " + figure.name;
      if (!entry.state.empty()) name += ", " + entry.state;
      auto row = std::find_if(rows.begin(), rows.end(),
                              [&](const Row& candidate) { return candidate.name == name; });
      if (row == rows.end()) row = rows.insert(rows.end(), {name, figure.unit, {}});
      row->values[entry.engine].push_back(figure.value);
    }
  }
  return rows;
}

void Record::Print() const {
  std::printf("%-36s %-9s", "medians; less is better", "unit");
  for (const EngineKind& engine : engines_) std::printf(" %15s", engine.name.c_str());
  std::printf("  best peer / marble\n");
  for (const Row& row : Rows()) {
    std::printf("%-36s %-9s", row.name.c_str(), row.unit.c_str());
    double ours = 0;
    double best = 0;
    for (const EngineKind& engine : engines_) {
      const auto found = row.values.find(engine.name);
      const double value = found == row.values.end() ? 0 : Median(found->second);
      std::printf(" %15s", found == row.values.end() ? "" : Short(value).c_str());
      if (engine.name == "marble") ours = value;
      const bool peer = engine.family != "marble" && !engine.floor;
      if (peer && value > 0 && (best == 0 || value < best)) best = value;
    }
    if (ours > 0 && best > 0) std::printf("  %.2f", best / ours);
    std::printf("\n");
  }
}

}  // namespace marble::benchmark

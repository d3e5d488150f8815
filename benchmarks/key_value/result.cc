#include "result.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace marble::benchmark {

void Send(const Result& result, std::FILE* to) {
  for (const Figure& figure : result.figures) {
    std::fprintf(to, "figure %s %s %.17g\n", figure.name.c_str(), figure.unit.c_str(),
                 figure.value);
  }
  for (const Series& series : result.series) {
    std::fprintf(to, "series %s %.17g", series.name.c_str(), series.seconds);
    for (double value : series.values) std::fprintf(to, " %.17g", value);
    std::fprintf(to, "\n");
  }
  std::string note = result.note;
  std::replace(note.begin(), note.end(), '\n', ';');
  std::fprintf(to, "note %s\nchecksum %llu\nend\n", note.c_str(),
               static_cast<unsigned long long>(result.checksum));
  std::fflush(to);
}

bool Receive(std::FILE* from, Result* result) {
  *result = {};
  char* line = nullptr;
  size_t capacity = 0;
  bool ended = false;
  while (!ended && getline(&line, &capacity, from) > 0) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "figure") {
      Figure figure;
      words >> figure.name >> figure.unit >> figure.value;
      result->figures.push_back(std::move(figure));
    } else if (kind == "series") {
      Series series;
      words >> series.name >> series.seconds;
      for (double value = 0; words >> value;) series.values.push_back(value);
      result->series.push_back(std::move(series));
    } else if (kind == "note") {
      words >> std::ws;
      std::getline(words, result->note);
    } else if (kind == "checksum") {
      words >> result->checksum;
    } else {
      ended = kind == "end";
    }
  }
  std::free(line);
  return ended;
}

}  // namespace marble::benchmark

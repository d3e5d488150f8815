#include "table/file_format.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace marble {
namespace {

/// Behind the last dot of the file's name, in lower case.
std::string ExtensionOf(const std::string& path) {
  const size_t name = path.rfind('/') + 1;  // npos + 1 is 0
  const size_t dot = path.rfind('.');
  if (dot == std::string::npos || dot < name) return "";
  std::string extension = path.substr(dot + 1);
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

}  // namespace

arrow::Result<FileFormat> FormatOf(const std::string& path, FileFormat format) {
  if (format != FileFormat::kGuess) return format;
  const std::string extension = ExtensionOf(path);
  if (extension == "parquet" || extension == "pq") return FileFormat::kParquet;
  if (extension == "arrow" || extension == "feather" || extension == "ipc") {
    return FileFormat::kArrowFile;
  }
  if (extension == "arrows") return FileFormat::kArrowStream;
  if (extension == "csv" || extension == "tsv") return FileFormat::kCsv;
  return arrow::Status::Invalid("the name of '", path,
                                "' does not tell its format: name one, or an extension of .parquet "
                                ".pq .arrow .feather .ipc .arrows .csv .tsv");
}

arrow::Result<char> DelimiterOf(const std::string& path, char delimiter) {
  if (delimiter == 0) return ExtensionOf(path) == "tsv" ? '\t' : ',';
  if (delimiter == '"' || delimiter == '\n' || delimiter == '\r') {
    return arrow::Status::Invalid("a quote or a line break cannot delimit values of CSV");
  }
  return delimiter;
}

}  // namespace marble

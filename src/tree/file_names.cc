#include "tree/file_names.h"

#include <charconv>
#include <cstdio>

#include "sst/file_meta.h"

namespace marble {

namespace {

std::string Numbered(const char* prefix, uint64_t number, const char* suffix) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%06llu", static_cast<unsigned long long>(number));
  return std::string(prefix) + digits + suffix;
}

std::optional<uint64_t> Parse(std::string_view name, std::string_view prefix,
                              std::string_view suffix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  if (name.size() < prefix.size() + suffix.size() + 6) return std::nullopt;
  const std::string_view digits =
      name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  uint64_t number = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string CurrentPath(const std::string& directory) { return directory + "/CURRENT"; }
std::string LockPath(const std::string& directory) { return directory + "/LOCK"; }
std::string ManifestName(uint64_t number) { return Numbered("MANIFEST-", number, ""); }
std::string ManifestPath(const std::string& directory, uint64_t number) {
  return directory + "/" + ManifestName(number);
}
std::string LogDirectory(const std::string& directory) { return directory + "/wal"; }
std::string LogSegmentPath(const std::string& directory, uint64_t number) {
  return LogDirectory(directory) + "/" + Numbered("", number, ".wal");
}
std::string SpareSegmentPath(const std::string& directory, uint64_t number) {
  return LogDirectory(directory) + "/" + Numbered("spare-", number, ".wal");
}
std::string SstDirectory(const std::string& directory) { return directory + "/sst"; }
std::string SstPath(const std::string& directory, uint64_t number) {
  return SstDirectory(directory) + "/" + SstFileName(number);
}

std::optional<uint64_t> ParseManifestName(std::string_view name) {
  return Parse(name, "MANIFEST-", "");
}
std::optional<uint64_t> ParseLogSegmentName(std::string_view name) {
  return Parse(name, "", ".wal");
}
std::optional<uint64_t> ParseSpareSegmentName(std::string_view name) {
  return Parse(name, "spare-", ".wal");
}
std::optional<uint64_t> ParseSstName(std::string_view name) { return Parse(name, "", ".arrow"); }

}  // namespace marble

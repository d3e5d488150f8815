// Where the files of a database directory are. Names are made from numbers only; table names never
// become paths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace marble {

std::string CurrentPath(const std::string& directory);
std::string LockPath(const std::string& directory);
std::string ManifestName(uint64_t number);
std::string ManifestPath(const std::string& directory, uint64_t number);
std::string LogDirectory(const std::string& directory);
std::string LogSegmentPath(const std::string& directory, uint64_t number);
/// A recycled or prepared segment that waits for a number.
std::string SpareSegmentPath(const std::string& directory, uint64_t number);
std::string SstDirectory(const std::string& directory);
std::string SstPath(const std::string& directory, uint64_t number);

/// The number in "MANIFEST-000007", "000031.wal", "000042.arrow"; nullopt for any other name.
std::optional<uint64_t> ParseManifestName(std::string_view name);
std::optional<uint64_t> ParseLogSegmentName(std::string_view name);
std::optional<uint64_t> ParseSpareSegmentName(std::string_view name);
std::optional<uint64_t> ParseSstName(std::string_view name);

}  // namespace marble

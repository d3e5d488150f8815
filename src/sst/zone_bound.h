// Bounds of strings for zone maps: cut to 64 bytes, the upper one rounded up. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace marble {

inline constexpr size_t kZoneBoundBytes = 64;

/// A string <= `value` of at most 64 bytes; of whole characters if `is_text`.
std::string_view ZoneLowerBound(std::string_view value, bool is_text);
/// A string >= `value` of at most 64 bytes, valid UTF-8 if `is_text`; nullopt if there is none.
std::optional<std::string> ZoneUpperBound(std::string_view value, bool is_text);

}  // namespace marble
